"""Run: take in answers and carry out what runs ask for (a chapter of the turn).

Law: a run is moved by `runs.advance` alone. What it asks for of its own partition is done on the desk; what
concerns another subject becomes an inbox row in that subject's partition, unique on the effect (engine.md E3).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

import msgspec

from heliograph.core import effects, ids, messages, plans, routes, rules, runs
from heliograph.engine import batch_words, posting, records, saving, throttling
from heliograph.engine import desk as desks
from heliograph.store import rows

_encode = msgspec.json.Encoder().encode
_reply = msgspec.json.Decoder(runs.Reply)

_WAITING = int(runs.Status.WAITING)
_PENDING, _EXECUTED = int(runs.Outcome.PENDING), int(runs.Outcome.EXECUTED)
_RUN = int(effects.Timer.RUN)
_PLANNED, _UNROUTABLE = int(messages.State.PLANNED), int(messages.State.UNROUTABLE)


class Place(Protocol):
    """Where a run is decided, and about whom."""

    @property
    def workspace_id(self) -> int:
        """Whose it is."""

    @property
    def partition(self) -> int:
        """Where the run is decided."""

    @property
    def contact_id(self) -> str | None:
        """Whom the run is about."""


class Origin(Place, Protocol):
    """What a run's effects inherit from: the event that started it, or what it was started with."""

    @property
    def id(self) -> bytes | None:
        """The event's id, where there is one."""

    @property
    def tenant_id(self) -> str | None:
        """The tenant, where it is one's."""

    @property
    def channel_source(self) -> str | None:
        """Through what the event came."""

    @property
    def depth(self) -> int:
        """How many events or runs have caused each other before."""


def resume(
    desk: desks.Desk, plan: plans.Plan, row: rows.Run, reply: runs.Reply, scene: plans.Scene
) -> list[Any]:
    """Let a waiting run take in one answer; gives what it asks for next: (visit, ordinal, effect)."""
    if row.status != _WAITING:
        return []
    moved = runs.advance(plan, runs.read(row.state), (reply,), scene, desk.now)
    _put(desk, row, _change_to(moved))
    return moved.asked


def end(desk: desks.Desk, plan: plans.Plan, row: rows.Run, inbox: rows.Inbox) -> None:
    """Let a waiting run take in one answer that has no step left: its plan was asked for all it has."""
    if row.status != _WAITING:
        return
    same = (plan, row.state, inbox.body)
    change = desk.answered.get(same)
    if change is None:
        moved = runs.advance(plan, runs.read(row.state), (reply_in(inbox),), _NOWHERE, desk.now)
        assert not moved.asked
        change = desk.answered[same] = _change_to(moved)
    _put(desk, row, change)


def _change_to(moved: runs.Moved) -> desks.RunChange:
    return int(moved.status), int(moved.outcome), None, runs.write(moved.records)


def _put(desk: desks.Desk, row: rows.Run, change: desks.RunChange) -> None:
    """Let a run that waited stand like this."""
    status, outcome, _, state = change
    key = (row.workspace_id, row.id)
    desk.runs[key] = row.moved(status, outcome, state)
    desk.writes.run_changes[key] = change
    if outcome != _PENDING:
        desk.count_settled(row.workspace_id, row.automation_id, row.id, executed=outcome == _EXECUTED)


def hear_now(
    desk: desks.Desk, told: runs.Reply, place: int, plan_of: Callable[[rows.Run], plans.Plan | None]
) -> bool:
    """Let a run that this turn has made, at its place among those, take in an answer; gives whether it did.

    One that has steps left does not: what they look at was not read. It was counted as it was made (desk.close).
    """
    row = rows.Run._make(desk.writes.runs[place])
    plan = plan_of(row)
    if plan is None or len(runs.read(row.state)) < len(plan.steps):
        return False
    resume(desk, plan, row, told, _NOWHERE)
    key = (row.workspace_id, row.id)
    desk.writes.runs[place] = desk.runs.pop(key)
    del desk.writes.run_changes[key]
    return True


def told_of(one: rows.Launch, begun: Collection[bytes]) -> runs.Reply:
    """What the run hears that asked for another one; `begun` are the ids of those that did begin."""
    assert one.asked_by is not None
    _, visit, ordinal = one.asked_by
    output = {"run_id": ids.wire(one.run.id)} if one.run.id in begun else {"already_entered": True}
    return runs.Reply(visit, ordinal, plans.Status.SUCCEEDED, output, None)


def heard_later(one: rows.Launch, told: runs.Reply) -> rows.Inbox:
    """The row by which the run that asked for another one hears of it in a turn of its own."""
    assert one.asked_by is not None
    run_id, kind = one.asked_by[0], int(effects.Inbox.REPLY)
    body = messages.answer_body(told.visit, told.ordinal, told.status, told.output, told.error)
    return rows.Inbox(ids.partition_of(run_id), one.run.workspace_id, one.run.id, kind, run_id, body, 0)


def reply_in(inbox: rows.Inbox) -> runs.Reply:
    """The answer that an inbox row of kind REPLY brings."""
    return _said_often(inbox.body) if len(inbox.body) <= _SHORT else _reply.decode(inbox.body)


_REMEMBERED, _SHORT = 256, 64
"""So many answers are remembered, of so many characters at most: nearly all say no more than that all went well."""
_said_often = functools.lru_cache(_REMEMBERED)(_reply.decode)


def moving(
    taken: rows.Taken,
    found: Mapping[tuple[int, bytes], rows.Run],
    plan_of: Callable[[rows.Run], plans.Plan | None],
    now: int,
) -> dict[tuple[int, bytes], rows.Run]:
    """Those that will take a step: their time has come, or what they hear is what they have waited for."""
    woken = {(t.workspace_id, t.id) for t in taken.timers}
    heard: dict[tuple[int, bytes], list[runs.Reply]] = {}
    for one in taken.inbox:
        if one.kind == effects.Inbox.REPLY and one.run_id is not None:
            heard.setdefault((one.workspace_id, one.run_id), []).append(reply_in(one))
    made = {}
    for key, row in found.items():
        plan = None if key in woken else plan_of(row)
        if plan is not None and not runs.would_go_on(plan, runs.read(row.state), heard.get(key, ()), now):
            continue
        made[key] = row
    return made


def carry_out(
    desk: desks.Desk,
    origin: Origin,
    run_id: bytes,
    automation_id: bytes,
    visit: int,
    ordinal: int,
    effect: effects.Effect,
) -> None:
    """Do what a run asked for, or hand it to the partition whose business it is."""
    if isinstance(effect, effects.Deliver):
        _deliver(desk, origin, run_id, automation_id, visit, ordinal, effect)
    elif isinstance(effect, effects.Wait):
        partition = ids.partition_of(run_id)
        desk.writes.timers.append(rows.Timer(partition, effect.until, origin.workspace_id, _RUN, run_id))
    elif isinstance(effect, effects.Start):
        _start(desk, origin, run_id, visit, ordinal, effect)
    elif isinstance(effect, effects.SaveProfile | effects.SaveTags | effects.ChangeConversation):
        _change(desk, origin, _cause(origin, run_id, automation_id, visit, ordinal), effect)
    elif isinstance(effect, effects.Subscribe):
        places = (place_of(origin, effect.contact_id, None), origin.partition)
        saving.subscribe(desk, origin.workspace_id, places, (run_id, visit, ordinal), effect)
    elif isinstance(effect, effects.Throttle):
        throttling.ask(desk, (origin.workspace_id, origin.tenant_id), (run_id, visit, ordinal), effect)
    elif isinstance(effect, effects.Cancel):
        desk.cancel_by_token(origin.workspace_id, origin.tenant_id, effect.token)
    elif isinstance(effect, effects.JoinBatch):
        batch_words.join(desk, (origin.workspace_id, origin.tenant_id), run_id, visit, effect)
    elif isinstance(effect, effects.Emit):
        _emit(desk, origin, run_id, automation_id, visit, ordinal, effect)


def _change(
    desk: desks.Desk,
    origin: Origin,
    cause: records.Cause,
    effect: effects.SaveProfile | effects.SaveTags | effects.ChangeConversation,
) -> None:
    """Change a record of ours, or let the partition do it whose it is."""
    if isinstance(effect, effects.SaveProfile):
        saving.ask(desk, cause, subject_partition(origin, effect.contact_id), origin.partition, effect)
    elif isinstance(effect, effects.SaveTags):
        records.save_tags(desk, cause, effect)
    else:
        records.change(desk, cause, origin.partition, effect)


def _deliver(
    desk: desks.Desk,
    origin: Origin,
    run_id: bytes,
    automation_id: bytes,
    visit: int,
    ordinal: int,
    effect: effects.Deliver,
) -> None:
    own = effect.kind is not effects.Kind.MESSAGE
    partition = origin.partition if own else place_of(origin, effect.contact_id, effect.address)
    content, data, fault = effect.content, effect.data, effect.fault
    message = rows.Message._make(
        (
            origin.workspace_id,
            ids.of_effect(run_id, visit, ordinal, desk.head, partition),
            partition,
            origin.tenant_id,
            int(effect.kind),
            effect.channel,
            automation_id,
            run_id,
            visit,
            ordinal,
            origin.id,
            effect.contact_id,
            effect.address,
            effect.template_id,
            effect.template_version,
            None if content is None else _encode(content),
            _encode(data) if data else None,
            _UNROUTABLE if fault else _PLANNED,
            desk.now if fault else None,
            None,
            fault,
            effect.request_id,
            routes.write(effect.route),
        )
    )
    posting.post(desk, message, origin.partition)


def place_of(origin: Place, contact_id: str | None, address: str | None) -> int:
    """The partition of a message to this recipient."""
    if contact_id == origin.contact_id:
        return origin.partition
    return rules.partition_of_person(origin.workspace_id, contact_id or address or "")


def _start(
    desk: desks.Desk, origin: Origin, run_id: bytes, visit: int, ordinal: int, effect: effects.Start
) -> None:
    identity = ids.of_effect(run_id, visit, ordinal, desk.head, subject_partition(origin, effect.contact_id))
    desk.writes.launches.append(
        launch(origin.workspace_id, identity, origin.tenant_id, effect, desk.now, (run_id, visit, ordinal))
    )


def subject_partition(origin: Origin, contact_id: str | None) -> int:
    """The partition of a run for this contact; that of nobody is the one of what started it."""
    return origin.partition if contact_id is None else place_of(origin, contact_id, None)


def launch(
    workspace_id: int,
    identity: bytes,
    tenant_id: str | None,
    effect: effects.Start,
    wake_at: int,
    asked_by: tuple[bytes, int, int] | None = None,
) -> rows.Launch:
    """A run that has taken no step yet, and begins at `wake_at`: the form in which every door starts its runs."""
    row = rows.Run(
        workspace_id,
        identity,
        effect.automation_id,
        effect.version,
        None,
        effect.start_key or ids.text(identity),
        int(runs.Status.WAITING),
        int(runs.Outcome.PENDING),
        None,
        None,
        b"[]",
    )
    start = rows.Start(
        workspace_id,
        identity,
        ids.partition_of(identity),
        int(effect.door),
        tenant_id,
        effect.contact_id,
        effect.token,
        _encode(effect.body),
    )
    return rows.Launch(row, start, wake_at, asked_by)


def _cause(origin: Origin, run_id: bytes, automation_id: bytes, visit: int, ordinal: int) -> records.Cause:
    return records.Cause(
        origin.workspace_id,
        origin.tenant_id,
        run_id,
        visit,
        ordinal,
        f"rule:{ids.text(automation_id)}",
        origin.contact_id,
        origin.channel_source,
        origin.depth,
        ids.generation(origin.id, origin.depth),
    )


DEBTS: Mapping[int, Callable[[desks.Desk, rows.Inbox], None]] = {
    effects.Inbox.DELIVER: posting.receive,
    effects.Inbox.SUBSCRIBE: saving.subscribed,
    effects.Inbox.PROFILE: saving.save,
    effects.Inbox.THROTTLE: throttling.decide,
    **dict.fromkeys(records.INBOX, records.received),
}
"""What is done with what another partition decided for one of ours, by kind."""


def _emit(
    desk: desks.Desk,
    origin: Origin,
    run_id: bytes,
    automation_id: bytes,
    visit: int,
    ordinal: int,
    effect: effects.Emit,
) -> None:
    subject = rules.cooldown_subject(effect.contact_id, effect.conversation_id)
    partition = ids.partition_of_subject(origin.workspace_id, subject)
    event = rows.Event(
        origin.workspace_id,
        ids.of_emitted(
            run_id, visit, ordinal, desk.head, partition, ids.generation(origin.id, origin.depth) + 1
        ),
        partition,
        origin.tenant_id,
        effect.event_type,
        effect.contact_id,
        effect.conversation_id,
        f"rule:{ids.text(automation_id)}",
        origin.channel_source,
        None,
        origin.depth + 1,
        _encode(effect.payload),
        None,
    )
    desk.writes.events.append(event)
    desk.writes.due.append((partition, event.workspace_id, event.id))


_NOWHERE = plans.NOWHERE
