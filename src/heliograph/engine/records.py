"""Records: what runs change of contacts and conversations, and what the engine tells of it (a chapter of the turn).

Law: a record is changed in the turn of its own partition. A conversation of another one is owed the change, as an
inbox row, and takes what it is owed in the order in which it was decided (engine.md E3). What the engine tells by
itself is an event one deeper than what caused it, written only where somebody listens (E10); beyond the deepest it is
told in the log alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog

from heliograph.core import conversations, effects, ids, notices, plans, rules
from heliograph.engine import desk as desks
from heliograph.store import rows

_log = structlog.get_logger(__name__)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_TOLD, _MOVED = 1 << 12, 1 << 20
"""Ordinals of what the engine tells stand above those of what steps ask for."""
_MOVES = 8
"""The first place of the segments that a contact enters and leaves."""


INBOX = (effects.Inbox.CHANGE, effects.Inbox.TAG)
"""What a conversation is owed by other partitions."""


class Cause(NamedTuple):
    """What lets a record change."""

    workspace_id: int
    tenant_id: str | None
    run_id: bytes
    visit: int
    ordinal: int
    author: str
    """Who writes: `rule:<id>`."""
    contact_id: str | None
    channel: str | None
    depth: int
    """Of the event that caused it."""
    generation: int
    """How many turns it came after something from outside."""

    def told_as(self, place: int) -> int:
        """The ordinal of the `place`-th event that is told of it: first of the record, from `_MOVES` on of segments."""
        if place < _MOVES:
            return _TOLD + self.ordinal * _MOVES + place
        return _MOVED + self.ordinal * 1_024 + place


class _Owed(msgspec.Struct, array_like=True):
    """The body of an inbox row of kind CHANGE."""

    conversation_id: str
    fields: dict[str, str | None]
    add: tuple[str, ...]
    remove: tuple[str, ...]
    note: str | None
    tenant_id: str | None
    run_id: str
    visit: int
    ordinal: int
    author: str
    contact_id: str | None
    channel: str | None
    depth: int
    generation: int


_owed = msgspec.json.Decoder(_Owed)


# ── contacts ────────────────────────────────────────────────────────────────────────────────────────


def save_profile(desk: desks.Desk, cause: Cause, effect: effects.SaveProfile) -> None:
    """Set attributes of a contact of the turn's own partition."""
    before = desk.contacts.get((cause.workspace_id, effect.contact_id))
    desk.save_profile(cause.workspace_id, cause.tenant_id, effect)
    _tell_contact(desk, cause, effect.contact_id, before)


def save_tags(desk: desks.Desk, cause: Cause, effect: effects.SaveTags) -> None:
    """Put tags on a contact of the turn's own partition, or take them off."""
    before = desk.contacts.get((cause.workspace_id, effect.contact_id))
    desk.save_tags(cause.workspace_id, cause.tenant_id, effect)
    _tell_contact(desk, cause, effect.contact_id, before)


def _tell_contact(desk: desks.Desk, cause: Cause, contact_id: str, before: rows.Contact | None) -> None:
    workspace_id = cause.workspace_id
    after = desk.contacts[workspace_id, contact_id]
    is_heard = _listens(desk, workspace_id, after.tenant_id, notices.OF_CONTACTS)
    moves = _listens(desk, workspace_id, after.tenant_id, notices.OF_SEGMENTS)
    if not (is_heard or moves):
        return
    cause = cause._replace(tenant_id=after.tenant_id, contact_id=contact_id)
    profile, now = None if before is None else _decode(before.profile), _decode(after.profile)
    if is_heard:
        tags = [] if before is None else _decode(before.tags)
        _tell(desk, cause, notices.of_contact(profile, now, tags, _decode(after.tags)), None)
    if moves:
        told = desk.groups(workspace_id).moves(contact_id, after.tenant_id, profile, now)
        _tell(desk, cause, told, None, _MOVES)


# ── conversations ───────────────────────────────────────────────────────────────────────────────────


def change(desk: desks.Desk, cause: Cause, partition: int, effect: effects.ChangeConversation) -> None:
    """Change a conversation, or let its own partition do so; `partition` is where the change was decided."""
    subject = rules.cooldown_subject(None, effect.id)
    there = ids.partition_of_subject(cause.workspace_id, subject)
    if there == partition:
        _change(desk, cause, effect)
        return
    run_id = cause.run_id
    identity = ids.of_debt(run_id, cause.visit, cause.ordinal, desk.head, there, desk.debts)
    desk.debts += 1
    # It waits a turn: what comes of it comes that much later.
    body = _Owed(
        effect.id,
        dict(effect.fields),
        effect.add,
        effect.remove,
        effect.note,
        cause.tenant_id,
        ids.text(run_id),
        cause.visit,
        cause.ordinal,
        cause.author,
        cause.contact_id,
        cause.channel,
        cause.depth,
        cause.generation + 1,
    )
    kind = int(effects.Inbox.CHANGE)
    desk.writes.inbox.append(rows.Inbox(there, cause.workspace_id, identity, kind, None, _encode(body), 0))


class _Told(Protocol):
    """What the body of an inbox row says of its cause."""

    tenant_id: str | None
    run_id: str
    visit: int
    ordinal: int
    author: str
    depth: int
    generation: int


def cause_of(inbox: rows.Inbox, told: _Told, contact_id: str | None, channel: str | None) -> Cause:
    """What lets a record change that another partition wants changed."""
    return Cause(
        inbox.workspace_id,
        told.tenant_id,
        ids.parse(told.run_id) or inbox.id,
        told.visit,
        told.ordinal,
        told.author,
        contact_id,
        channel,
        told.depth,
        told.generation,
    )


def received(desk: desks.Desk, inbox: rows.Inbox) -> None:
    """Change a conversation as another partition decided."""
    if inbox.kind == effects.Inbox.TAG:
        _received_tags(desk, inbox)
        return
    owed = _owed.decode(inbox.body)
    effect = effects.ChangeConversation(owed.conversation_id, owed.fields, owed.add, owed.remove, owed.note)
    _change(desk, cause_of(inbox, owed, owed.contact_id, owed.channel), effect)


def _received_tags(desk: desks.Desk, inbox: rows.Inbox) -> None:
    """Tags that an older Heliograph decided on in another partition: they were for conversations alone."""
    _, identity, add, remove, tenant_id = _decode(inbox.body)
    cause = Cause(inbox.workspace_id, tenant_id, inbox.id, 0, 0, "rule", None, None, plans.MAX_DEPTH, 0)
    _change(desk, cause, effects.ChangeConversation(identity, {}, tuple(add), tuple(remove)))


def conversation_in(inbox: rows.Inbox) -> str:
    """The conversation that an inbox row of one of INBOX is about."""
    if inbox.kind == effects.Inbox.CHANGE:
        return _owed.decode(inbox.body).conversation_id
    return str(_decode(inbox.body)[1])


def _change(desk: desks.Desk, cause: Cause, effect: effects.ChangeConversation) -> None:
    workspace_id = cause.workspace_id
    stored = desk.conversations.get((workspace_id, effect.id))
    otherwise = {
        "tenant_id": cause.tenant_id, "contact_id": cause.contact_id, "channel": cause.channel
    }  # fmt: skip
    row = desk.conversation_row(workspace_id, effect.id, otherwise)
    before = None if stored is None else desk.conversation(workspace_id, effect.id)
    tags = _encode(conversations.tagged(_decode(row.tags), effect.add, effect.remove))
    desk.put_conversation(row._replace(**effect.fields, tags=tags, updated_at=desk.now))
    if effect.note is not None:
        identity = ids.of_emitted(
            cause.run_id, cause.visit, cause.ordinal, desk.head, row.partition, cause.generation
        )
        desk.writes.notes.append(rows.Note(workspace_id, effect.id, identity, cause.author, effect.note))
    if _listens(desk, workspace_id, row.tenant_id, notices.OF_CONVERSATIONS):
        told = notices.of_conversation(before, desk.conversation(workspace_id, effect.id))
        of_row = cause._replace(tenant_id=row.tenant_id, contact_id=row.contact_id, channel=row.channel)
        _tell(desk, of_row, told, effect.id)


# ── what is told ────────────────────────────────────────────────────────────────────────────────────


def _listens(desk: desks.Desk, workspace_id: int, tenant_id: str | None, event_types: Sequence[str]) -> bool:
    return any(desk.listens(workspace_id, tenant_id, event_type) for event_type in event_types)


def _tell(
    desk: desks.Desk,
    cause: Cause,
    told: Sequence[notices.Notice],
    conversation_id: str | None,
    first: int = 0,
) -> None:
    for place, notice in enumerate(told, first):
        if desk.listens(cause.workspace_id, cause.tenant_id, notice.event_type):
            _emit(desk, cause, place, notice, conversation_id)


def _emit(
    desk: desks.Desk, cause: Cause, place: int, notice: notices.Notice, conversation_id: str | None
) -> None:
    if cause.depth >= plans.MAX_DEPTH:
        _log.warning("notice_too_deep", event_type=notice.event_type, run_id=ids.text(cause.run_id))
        return
    subject = rules.cooldown_subject(cause.contact_id, conversation_id)
    partition = ids.partition_of_subject(cause.workspace_id, subject)
    ordinal, generation = cause.told_as(place), cause.generation + 1
    event = rows.Event(
        cause.workspace_id,
        ids.of_emitted(cause.run_id, cause.visit, ordinal, desk.head, partition, generation),
        partition,
        cause.tenant_id,
        notice.event_type,
        cause.contact_id,
        conversation_id,
        notices.SOURCE,
        cause.channel,
        None,
        cause.depth + 1,
        _encode(notice.payload),
        None if notice.previous is None else _encode(notice.previous),
    )
    desk.writes.events.append(event)
    desk.writes.due.append((partition, event.workspace_id, event.id))


# ── messages ────────────────────────────────────────────────────────────────────────────────────────


def tell_of_message(
    desk: desks.Desk,
    message: rows.Message,
    event: rows.Event | None,
    depth: int,
    notice: notices.Notice,
    place: int,
) -> None:
    """Tell of a message, where anybody listens; `event` is the one that it speaks of, where there is one.

    `place` tells what is told of one message from each other.
    """
    if not desk.listens(message.workspace_id, message.tenant_id, notice.event_type):
        return
    generation = ids.generation(event.id, depth) if event is not None else depth
    cause = Cause(
        message.workspace_id,
        message.tenant_id,
        message.id,
        message.visit,
        message.ordinal + place,
        notices.SOURCE,
        message.contact_id,
        None if event is None else event.channel_source,
        depth,
        generation,
    )
    payload: Mapping[str, Any] = {
        "message_id": ids.text(message.id),
        "channel": message.channel,
        "address": message.address,
        "template_id": message.template_id,
        "automation_id": None if message.automation_id is None else ids.text(message.automation_id),
        "run_id": None if message.run_id is None else ids.text(message.run_id),
        **notice.payload,
    }
    conversation_id = None if event is None else event.conversation_id
    _emit(desk, cause, 0, notice._replace(payload=payload), conversation_id)
