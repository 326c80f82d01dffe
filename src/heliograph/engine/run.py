"""Run: take in answers and carry out what runs ask for (a chapter of the turn).

Law: a run is moved by `runs.advance` alone. What it asks for of its own partition is done on the desk; what
concerns another subject becomes an inbox row in that subject's partition, unique on the effect (engine.md E3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from heliograph.core import effects, ids, messages, plans, rules, runs
from heliograph.engine import desk as desks
from heliograph.store import rows

_encode = msgspec.json.Encoder().encode
_reply = msgspec.json.Decoder(tuple[int, int, int, Any, str | None])
_row = msgspec.json.Decoder()

_PLANNED, _UNROUTABLE = int(messages.State.PLANNED), int(messages.State.UNROUTABLE)
Origin = rows.Event
"""What a run's effects inherit from: the event that started it."""


def resume(
    desk: desks.Desk, plan: plans.Plan, row: rows.Run, inbox: rows.Inbox, scene: plans.Scene | None
) -> list[Any]:
    """Let a waiting run take in one answer; gives what it asks for next: (visit, ordinal, effect)."""
    visit, ordinal, status, output, error = _reply.decode(inbox.body)
    reply = runs.Reply(visit, ordinal, plans.Status(status), output, error)
    if row.status != runs.Status.WAITING:
        return []
    # Without a scene there is no further step to take: the plan was asked for all it has.
    moved = runs.advance(plan, runs.read(row.state), (reply,), scene or _NOWHERE, desk.now)
    state = runs.write(moved.records)
    key = (row.workspace_id, row.id)
    desk.runs[key] = row._replace(status=moved.status, outcome=moved.outcome, state=state)
    desk.writes.run_changes[key] = (int(moved.status), int(moved.outcome), None, state)
    if moved.outcome is not runs.Outcome.PENDING:
        executed = int(moved.outcome is runs.Outcome.EXECUTED)
        desk.count_settled(row.workspace_id, row.automation_id, ids.created_at(row.id), executed)
    return moved.asked


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
    elif isinstance(effect, effects.SaveProfile):
        desk.save_profile(origin.workspace_id, origin.tenant_id, effect)
    elif isinstance(effect, effects.SaveTags):
        _tag(desk, origin, run_id, visit, ordinal, effect)
    else:
        _emit(desk, origin, run_id, automation_id, visit, ordinal, effect)


def _deliver(
    desk: desks.Desk,
    origin: Origin,
    run_id: bytes,
    automation_id: bytes,
    visit: int,
    ordinal: int,
    effect: effects.Deliver,
) -> None:
    subject = effect.contact_id or effect.address or ""
    own = effect.kind is effects.Kind.CALL or effect.contact_id == origin.contact_id
    partition = (
        origin.partition
        if own
        else ids.partition_of_subject(origin.workspace_id, rules.cooldown_subject(subject, None))
    )
    message = rows.Message(
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
        _encode(effect.content) if effect.content is not None else None,
        _encode(effect.data) if effect.data else None,
        _UNROUTABLE if effect.fault else _PLANNED,
        desk.now if effect.fault else None,
        None,
        effect.fault,
    )
    if partition == origin.partition:
        release(desk, message)
    else:
        body = _encode(
            [
                ids.text(value) if isinstance(value, bytes) and len(value) == 16 else _text(value)
                for value in message
            ]
        )
        desk.writes.inbox.append(
            rows.Inbox(partition, origin.workspace_id, message.id, effects.Inbox.DELIVER, None, body, 0)
        )


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def received(inbox: rows.Inbox) -> rows.Message:
    """The message that another partition decided on for one of ours."""
    values = _row.decode(inbox.body)
    for place in _IDENTITIES:
        values[place] = None if values[place] is None else ids.parse(values[place])
    return rows.Message._make(values)


_IDENTITIES = [rows.Message._fields.index(name) for name in ("id", "automation_id", "run_id", "event_id")]


def release(desk: desks.Desk, message: rows.Message) -> None:
    """Put a message into the ledger, to be delivered unless it cannot go out at all."""
    desk.writes.messages.append(message)
    if message.state == _PLANNED:
        desk.planned.append(message)
    elif message.run_id is not None:
        desk.writes.inbox.append(reply_to(message, plans.Status.FAILED, message.error))


def claim(
    desk: desks.Desk, taken: rows.Taken, rooms: dict[str, int], worker: str, lease: int
) -> list[rows.Claimed]:
    """Put planned messages straight into the hands of the delivery beside us, where it has room; the rest in line.

    `rooms` is how many more of each channel it takes. A message that is claimed as it is planned is never put in line
    to be taken from it: half the statements, and no waiting.
    """
    lease_until = desk.now + lease
    events = {(event.workspace_id, event.id): event for event in taken.events} if rooms else {}
    claimed: list[rows.Claimed] = []
    for message in desk.planned:
        key = None if message.event_id is None else (message.workspace_id, message.event_id)
        event = None if key is None else events.get(key) or desk.events.get(key)
        is_held = message.workspace_id in taken.held
        if is_held or rooms.get(message.channel, 0) <= 0 or (key is not None and event is None):
            desk.writes.send_due.append((message.partition, message.workspace_id, message.id, desk.now))
            continue
        rooms[message.channel] -= 1
        claimed.append(rows.Claimed(message, desk.now, lease_until, event))
        desk.writes.claims.append((message.workspace_id, message.id, lease_until, desk.now, worker))
    return claimed


def reply_to(message: rows.Message, status: plans.Status, error: str | None) -> rows.Inbox:
    """What the run that asked for a message is told of its end."""
    assert message.run_id is not None
    body = messages.answer_body(message.visit, message.ordinal, status, None, error)
    return rows.Inbox(
        ids.partition_of(message.run_id),
        message.workspace_id,
        message.id,
        int(effects.Inbox.REPLY),
        message.run_id,
        body,
        0,
    )


def _tag(
    desk: desks.Desk, origin: Origin, run_id: bytes, visit: int, ordinal: int, effect: effects.SaveTags
) -> None:
    subject = rules.cooldown_subject(
        *((effect.id, None) if effect.target == "contact" else (None, effect.id))
    )
    partition = ids.partition_of_subject(origin.workspace_id, subject)
    if partition == origin.partition:
        desk.save_tags(origin.workspace_id, origin.tenant_id, effect)
        return
    body = _encode([effect.target, effect.id, effect.add, effect.remove, origin.tenant_id])
    identity = ids.of_effect(run_id, visit, ordinal, desk.head, partition)
    desk.writes.inbox.append(
        rows.Inbox(partition, origin.workspace_id, identity, effects.Inbox.TAG, None, body, 0)
    )


def tag(desk: desks.Desk, inbox: rows.Inbox) -> None:
    """Tags that another partition decided on for a subject of ours."""
    target, identity, add, remove, tenant_id = _row.decode(inbox.body)
    desk.save_tags(
        inbox.workspace_id, tenant_id, effects.SaveTags(target, identity, tuple(add), tuple(remove))
    )


def tagged_subject(inbox: rows.Inbox) -> tuple[str, str]:
    """Whom an inbox row of kind TAG is about: (target, id)."""
    target, identity, *_ = _row.decode(inbox.body)
    return target, identity


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
        ids.of_effect(run_id, visit, ordinal, desk.head, partition),
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


_EMPTY: Mapping[str, Any] = {}
_NOWHERE = plans.Scene(b"", b"", "", "", None, None, None, None, 0, _EMPTY, None, None, None, "", {}, None, 0)
