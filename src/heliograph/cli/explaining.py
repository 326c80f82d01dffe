"""`heliograph explain`: an event, or a message, from its arrival to the answers of the outside, as a tree."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.text import Text
from rich.tree import Tree

from heliograph import errors
from heliograph.cli import options, terminal
from heliograph.core import ids

if TYPE_CHECKING:
    import sqlalchemy as sa

    from heliograph.core import explain as stories

_LONGEST = 300
_MOST_MESSAGES = 20
_STYLES = {
    "processed": "green", "executed": "green", "succeeded": "green", "accepted": "green",
    "failed": "red", "permanent": "red", "unroutable": "red",
    "pending": "yellow", "planned": "yellow", "held": "yellow", "temporary": "yellow", "uncertain": "yellow",
}  # fmt: skip
_WITHOUT_RUN = {
    "not_considered": ("was not considered", "dim"),
    "not_decided": ("was not decided", "red"),
    "waiting": ("waits", "yellow"),
}


def explain(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="The id of an event, a message or a request, or what a provider calls a message by.",
        ),
    ],
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Tell what became of an event: every rule of its type, why it ran or not, and every message with its attempts.

    Given a message, tell of the event that it speaks of, or of itself where there is none; given a request to several,
    tell of its newest messages. All of it is read from what was stored when it was decided, and stays true when rules
    change.
    """
    name = name.strip()
    with options.opened(database) as store:
        now = options.moment(store)
        with store.reading() as connection:
            owner = options.workspace_id(connection, workspace)
            found = _of_event(connection, owner, ids.parse(name), now)
            trees = [found] if found is not None else _of_messages(connection, owner, name, now)
    if not trees:
        raise errors.NotFound(f"there is no event and no message {name} in the workspace {workspace}")
    for one in trees:
        terminal.console().print(one)


def _of_event(connection: sa.Connection, workspace_id: int, event_id: bytes | None, now: int) -> Tree | None:
    from heliograph.store import history

    if event_id is None:
        return None
    told = history.explain_event(connection, workspace_id, None, event_id, now)
    return None if told is None else tree(told)


def _of_messages(connection: sa.Connection, workspace_id: int, name: str, now: int) -> list[Tree]:
    """The stories of the messages of a name, each with its event where that is still there."""
    from heliograph.store import messages

    made = []
    for sent in messages.named(connection, workspace_id, name, _MOST_MESSAGES, now):
        story = _of_event(connection, workspace_id, sent.row.event_id, now)
        made.append(story or message_tree(messages.explained(sent), sent.status))
    return made


def message_tree(message: stories.OutgoingMessage, status: str) -> Tree:
    """The story of a message that speaks of no event; `status` is how it stands, in Courier's words."""
    root = Tree(_line("message ", (message.id, "bold"), f" of {message.created_at}: {status}"))
    _add_message(root, message)
    return root


def tree(told: stories.Explanation) -> Tree:
    """The story of an event."""
    event = told.event
    root = Tree(_line(("event ", ""), (event.event_type, "bold"), f" {event.id}: ", _word(event.status)))
    root.add(_line(f"came in at {event.created_at} from {event.source}", *_about(event)))
    root.add(_line("payload ", _json(event.payload)))
    if event.previous is not None:
        root.add(_line("before it ", _json(event.previous)))
    if event.processed_at is not None:
        root.add(_line(f"decided at {event.processed_at}", _tries(event.attempts)))
    if event.error is not None:
        root.add(_line(("! " + event.error, "red" if event.status == "failed" else "yellow")))
    if not told.rules:
        root.add("no rule listens to it" if event.processed_at is None else "no rule listened to it")
    for account in told.rules:
        if account.run is None:
            _add_without_run(root, account)
        else:
            run = account.run
            _add_run(root, account, run, [one for one in told.messages if one.run_id == run.id])
    return root


def _about(event: stories.Event) -> Iterable[str]:
    for word, value in (
        ("contact", event.contact_id),
        ("conversation", event.conversation_id),
        ("channel", event.channel_source),
        ("it happened at", event.occurred_at),
    ):
        if value is not None:
            yield f", {word} {value}"


def _tries(attempts: int) -> str:
    return f", at the {attempts}. attempt" if attempts > 1 else ""


# ── rules ───────────────────────────────────────────────────────────────────────────────────────────


def _add_without_run(root: Tree, account: stories.RuleAccount) -> None:
    branch = root.add(
        _line(
            f"{account.kind} ",
            (account.rule_name, "bold"),
            f" (version {account.rule_version}): ",
            _WITHOUT_RUN[account.decision],
        )
    )
    branch.add(_line((f"{account.reason}: {account.why}", _WITHOUT_RUN[account.decision][1])))


def _add_run(
    root: Tree, account: stories.RuleAccount, run: stories.Run, messages: list[stories.OutgoingMessage]
) -> None:
    outcome = run.result.outcome
    words = ("did not match", "dim") if outcome == "not_matched" else _word(outcome)
    branch = root.add(
        _line(f"{account.kind} ", (run.rule_name, "bold"), f" (version {run.rule_version}): ", words)
    )
    if run.result.reason is not None:
        branch.add(_line((f"{run.result.reason}: {account.why}", "yellow")))
    for leaf in run.result.conditions:
        branch.add(leaf_line(leaf))
    for action in run.result.actions:
        _add_action(branch, action, [one for one in messages if one.action == action.index])


def leaf_line(leaf: stories.Leaf) -> Text:
    """What one condition saw."""
    # Below a `none`, it is the conditions that do not hold which let a rule match.
    helps = leaf.result != bool(leaf.path.count("none[") % 2)
    wanted = "" if leaf.value is None else f" {_json(leaf.value)}"
    seen = f"  saw {_json(leaf.observed)}" if leaf.note is None else f"  {leaf.note}"
    return _line(
        ("yes  " if leaf.result else "no   ", "green" if helps else "red"),
        f"{leaf.field} {leaf.operator}{wanted}",
        (seen, "cyan"),
        (f"  {leaf.path}", "dim"),
    )


def _add_action(branch: Tree, action: stories.Action, messages: list[stories.OutgoingMessage]) -> None:
    took = "" if action.duration_ms is None else f" after {_milliseconds(action.duration_ms)}"
    line = _line(f"action {action.index + 1} {action.type}: ", _word(action.status), took)
    leaf = branch.add(line)
    if action.error is not None:
        leaf.add(_line((f"! {action.error}", "red" if action.status == "failed" else "yellow")))
    if action.output is not None and not messages:
        leaf.add(_line("gave ", _json(action.output)))
    for message in messages:
        _add_message(leaf, message)


def _add_message(leaf: Tree, message: stories.OutgoingMessage) -> None:
    written = (
        ""
        if message.template_id is None
        else f", template {message.template_id} version {message.template_version}"
    )
    branch = leaf.add(
        _line(
            f"{message.channel} to {message.address or message.contact_id or 'nobody'}{written}: ",
            _word(message.state),
            ("  possibly repeated", "yellow") if message.possibly_repeated else "",
            (f"  {message.id}", "dim"),
        )
    )
    for number, attempt in enumerate(message.attempts, 1):
        code = "" if attempt.code is None or attempt.text.startswith(attempt.code) else f"{attempt.code} "
        said = f"{code}{attempt.text}".strip()
        by = f" by {attempt.provider}" if attempt.provider else ""
        called = f" as {attempt.reference}" if attempt.reference not in (None, message.id) else ""
        ended = "" if attempt.settled_at is None else f" until {attempt.settled_at[11:]}"
        branch.add(
            _line(
                f"attempt {number} {attempt.at}{ended}: ",
                _word(attempt.outcome),
                f"{by}{called}{': ' if said else ''}{said}",
            )
        )
    if message.followed_by is not None:
        branch.add(_line("nobody took notice in time: followed by ", message.followed_by))
    if message.error is not None and not _is_said(message):
        branch.add(_line((f"! {message.error}", "yellow")))


# ── words ───────────────────────────────────────────────────────────────────────────────────────────


def _line(*parts: str | tuple[str, str]) -> Text:
    return Text.assemble(*parts)


def _is_said(message: stories.OutgoingMessage) -> bool:
    """Whether the last attempt says already what the ledger does; an operator's word stands in the ledger alone."""
    if not message.attempts:
        return False
    last = message.attempts[-1]
    return message.error in (last.text, f"{last.code}: {last.text}")


def _word(word: str) -> tuple[str, str]:
    return word.replace("_", " "), _STYLES.get(word, "")


def _json(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text):,} characters)"


def _milliseconds(span: float) -> str:
    return f"{span:,.1f} ms" if span < 10_000 else f"{span / 1000:,.1f} s"
