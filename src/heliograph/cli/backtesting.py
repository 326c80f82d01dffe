"""`heliograph backtest`: what a rule would have made of the events of the last days."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.tree import Tree

from heliograph import errors
from heliograph.cli import explaining, options, terminal

if TYPE_CHECKING:
    from heliograph.core import backtests as answers
    from heliograph.store import database as databases

_SHOWN_SAMPLES, _SHOWN_OVERLAPS = 3, 10
_WHY = {
    "stopped_by_rule": "a rule before it stopped there",
    "schedule": "outside the rule's schedule",
    "rollout": "outside the rule's rollout",
    "cooldown": "within its cooldown",
}


def backtest(
    rule: Annotated[
        str | None,
        typer.Argument(metavar="[RULE_ID]", help="The id of a rule that is stored.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.yaml",
            help="A rule as `apply` takes it, stored or not.",
            dir_okay=False,
            exists=True,
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=90, help="Days of UTC, today among them.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as the API gives it.")] = False,
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Tell what a rule would have made of the events of the last days, with nothing done.

    It reads beside whoever is at work, at the lowest priority, and rests the longer the more others have to do.
    """
    if (rule is None) is (file is None):
        raise typer.BadParameter("takes the id of a rule, or --file", param_hint="RULE_ID")
    with options.opened(database) as store:
        found = _run(store, workspace, _given(rule, file, days))
    if as_json:
        terminal.say(msgspec.json.encode(found).decode())
    else:
        _tell(found)


def _given(rule: str | None, file: Path | None, days: int) -> dict[str, Any]:
    """What is asked for, as the API is asked; of a file with the id that the rule has or would get."""
    if file is None:
        assert rule is not None
        return {"rule_id": rule, "days": days}
    from heliograph.cli import definition_files
    from heliograph.core import ids, rules

    read = definition_files.read_file(file)
    if read.kind != "rule":
        raise errors.InvalidInput.at(str(file), f"is a {read.kind}: a rule can be tried")
    fields = {name: getattr(read.content, name) for name in rules.WRITABLE}
    assert isinstance(read.id, bytes)
    return {"rule_id": ids.text(read.id), "rule": fields, "days": days}


def _run(store: databases.Database, workspace: str, given: dict[str, Any]) -> answers.Backtest:
    from heliograph.core import backtests as core
    from heliograph.core import ids
    from heliograph.engine import backtest as engine
    from heliograph.engine import backtests, resting
    from heliograph.store import automations

    now = options.moment(store)
    with store.reading() as connection:
        owner = options.workspace_id(connection, workspace)
        if "rule" in given:
            identity = ids.parse(given["rule_id"])
            if identity is None or automations.read_rule(connection, owner, None, identity) is None:
                del given["rule_id"]
        asked = engine.order(connection, owner, None, given, now)
    backtests.take_lowest_priority()
    machine = resting.this_machine()
    with _progress() as moved:
        for found in engine.run(
            store, asked, lambda worked: time.sleep(machine.rest_after(worked)), time.perf_counter
        ):
            if isinstance(found, core.Backtest):
                return found
            moved(found.looked_at, found.of)
    raise errors.Unavailable


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = terminal.errors_console()
    with Progress(*columns, console=console, disable=not terminal.is_watched(), transient=True) as progress:
        task = progress.add_task("events")
        yield lambda looked_at, of: progress.update(task, completed=looked_at, total=of)


# ── for people ──────────────────────────────────────────────────────────────────────────────────────


def _tell(found: answers.Backtest) -> None:
    first, last = found.daily[0].date, found.daily[-1].date
    terminal.say(f"{found.events:,} events of its type from {first} to {last} (UTC)")
    terminal.say(f"{found.matched:,} matched, {found.executed:,} of them would have been acted upon, for")
    terminal.say(f"{found.contacts:,} different contacts")
    for keeper, count in msgspec.structs.asdict(found.held_back).items():
        if count:
            terminal.say(f"{count:,} held back: {_WHY[keeper]}")
    if found.present_state.reads:
        records = " and ".join(found.present_state.reads)
        terminal.say(
            f"its conditions read the {records} as stored now: {found.present_state.matches:,} matches depend on it"
        )
    terminal.show_table(
        ("day", "events", "matched", "executed"),
        [(day.date, day.events, day.matched, day.executed) for day in found.daily],
    )
    if found.overlaps:
        terminal.say("other rules that match the same events")
        terminal.show_table(
            ("rule", "id", "events"),
            [(one.rule_name, one.rule_id, one.events) for one in found.overlaps[:_SHOWN_OVERLAPS]],
        )
    for one in found.sample[:_SHOWN_SAMPLES]:
        terminal.console().print(_tree(one))


def _tree(sample: answers.Sample) -> Tree:
    word = "matched" if sample.matched else "did not match"
    held = "" if sample.held_back is None else f", held back: {_WHY[sample.held_back]}"
    root = Tree(f"event {sample.event_id} of {sample.created_at}: {word}{held}")
    for leaf in sample.trace:
        root.add(explaining.leaf_line(leaf))
    return root
