"""Posting: messages that a turn makes, on their way out (a chapter of the turn).

Law: a message is released in the partition whose business it is: another one hands it over as an inbox row, unique on
the message's id. What is released is claimed for the delivery beside this turn, or stands in line.
"""

from __future__ import annotations

from typing import Any

import msgspec

from heliograph.core import effects, ids, messages, plans
from heliograph.engine import desk as desks
from heliograph.engine import replies, rooms
from heliograph.store import request_rows, rows

_encode = msgspec.json.Encoder().encode
_row = msgspec.json.Decoder()

_PLANNED = int(messages.State.PLANNED)
_IDENTITIES = [rows.Message._fields.index(name) for name in request_rows.MESSAGE_IDENTITIES]


def post(desk: desks.Desk, message: rows.Message, here: int) -> None:
    """Release a message of this partition, or hand it to the one whose business it is."""
    if message.partition == here:
        release(desk, message)
        return
    written: list[Any] = list(message)
    for place in _IDENTITIES:
        written[place] = None if written[place] is None else ids.text(written[place])
    written = [value.decode() if isinstance(value, bytes) else value for value in written]
    # What is too late here is so there, whenever that partition comes to it.
    late = [desk.late[message.id]] if message.id in desk.late else []
    body = _encode([*written, *late])
    desk.writes.inbox.append(
        rows.Inbox(message.partition, message.workspace_id, message.id, effects.Inbox.DELIVER, None, body, 0)
    )


def received(inbox: rows.Inbox) -> rows.Message:
    """The message that another partition decided on for one of ours."""
    values = _row.decode(inbox.body)
    # An older Heliograph, which knew fewer fields, may have written it.
    for place in (place for place in _IDENTITIES if place < len(values)):
        values[place] = None if values[place] is None else ids.parse(values[place])
    return rows.Message(*values[: len(rows.Message._fields)])


def receive(desk: desks.Desk, inbox: rows.Inbox) -> None:
    """Release the message that another partition decided on for one of ours."""
    message = received(inbox)
    late = _row.decode(inbox.body)[len(rows.Message._fields) :]
    if late:
        desk.late[message.id] = late[0]
    release(desk, message)


def release(desk: desks.Desk, message: rows.Message) -> None:
    """Put a message into the ledger, to be delivered unless it cannot go out at all."""
    desk.writes.messages.append(message)
    if message.state == _PLANNED:
        desk.planned.append(message)
    elif message.run_id is not None:
        desk.writes.inbox.append(replies.to_run(message, plans.Status.FAILED, None, message.error))


def claim(
    desk: desks.Desk, taken: rows.Taken, offered: rooms.Rooms, worker: str, lease: int
) -> list[rows.Claimed]:
    """Put planned messages straight into the hands of the delivery beside us, where it has room; the rest in line.

    `offered` is what it takes of each channel. A message that is claimed as it is planned is never put in line
    to be taken from it: half the statements, and no waiting.
    """
    lease_until = desk.now + lease
    events = {(event.workspace_id, event.id): event for event in taken.events} if desk.planned else {}
    claimed: list[rows.Claimed] = []
    for message in desk.planned:
        key = None if message.event_id is None else (message.workspace_id, message.event_id)
        event = None if key is None else events.get(key) or desk.events.get(key)
        is_held = message.workspace_id in taken.held or (key is not None and event is None)
        room = None if is_held else offered.of(message.workspace_id, message.channel)
        due_at = desk.late.get(message.id)
        if due_at is not None or room is None or not room.take(message.workspace_id):
            place = (message.partition, message.workspace_id, message.id)
            desk.writes.send_due.append((*place, desk.now if due_at is None else due_at))
            continue
        claimed.append(rows.Claimed._make((message, desk.now, lease_until, event, False)))
        desk.writes.claims.append((message.workspace_id, message.id, lease_until, desk.now, worker))
    return claimed


def may_go(desk: desks.Desk, taken: rows.Taken) -> bool:
    """Whether messages were put in line, or what a hold kept there may go: the delivery beside us is to look."""
    return bool(desk.writes.send_due) or any(timer.kind == effects.Timer.LINE for timer in taken.timers)
