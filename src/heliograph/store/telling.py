"""Telling: events of the engine's own about what people write, in the transaction that writes it (engine.md E10).

Law: only what some rule or journey listens to is written. What a turn changes, the turn tells (engine/records.py); this
is for those who write records by hand: the API and imports.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import ids, notices, rules
from heliograph.store import rows, schema

_AUTOMATIONS = schema.automations.c
_encode = msgspec.json.Encoder().encode


class About(NamedTuple):
    """What a notice is about."""

    workspace_id: int
    tenant_id: str | None
    contact_id: str | None
    conversation_id: str | None = None
    channel: str | None = None


class _Standing(msgspec.Struct):
    """What decides whether a definition listens."""

    is_active: bool = True
    status: str = "published"


_standing = msgspec.json.Decoder(_Standing)


class Listening(NamedTuple):
    """Who waits for which events: (tenant whose events alone are seen, or None; event type)."""

    pairs: Collection[tuple[str | None, str]]

    def hears(self, tenant_id: str | None, event_type: str) -> bool:
        """Whether anybody waits for such an event of this tenant."""
        return (None, event_type) in self.pairs or (tenant_id, event_type) in self.pairs


NOBODY = Listening(frozenset())


def listening(connection: sa.Connection, workspace_id: int, event_types: Sequence[str]) -> Listening:
    """Who waits for events of these types."""
    query = sa.select(_AUTOMATIONS.tenant_id, _AUTOMATIONS.trigger_type, _AUTOMATIONS.definition).where(
        _AUTOMATIONS.workspace_id == workspace_id,
        _AUTOMATIONS.kind.in_(("rule", "journey")),
        _AUTOMATIONS.trigger_type.in_(event_types),
        _AUTOMATIONS.deleted_at.is_(None),
    )
    found = set()
    for row in connection.execute(query):
        stands = _standing.decode(row.definition)
        if stands.is_active and stands.status == "published":
            found.add((row.tenant_id, row.trigger_type))
    return Listening(found)


def tell(
    connection: sa.Connection,
    about: About,
    told: Sequence[notices.Notice],
    now: int,
    listens: Listening | None = None,
) -> bool:
    """Let these events come in, as far as anybody waits for them; whether any did.

    `listens` is who waits, where that is known already.
    """
    if not told:
        return False
    if listens is None:
        listens = listening(connection, about.workspace_id, [notice.event_type for notice in told])
    made = [
        event_of(about, notice, now, place)
        for place, notice in enumerate(told)
        if listens.hears(about.tenant_id, notice.event_type)
    ]
    for event in made:
        connection.execute(sa.insert(schema.events).values(**event._asdict()))
        connection.execute(
            sa.insert(schema.due).values(
                partition=event.partition, workspace_id=event.workspace_id, event_id=event.id
            )
        )
    return bool(made)


def event_of(about: About, notice: notices.Notice, now: int, place: int) -> rows.Event:
    """The `place`-th event of one write."""
    subject = rules.cooldown_subject(about.contact_id, about.conversation_id)
    partition = ids.partition_of_subject(about.workspace_id, subject)
    values: dict[str, Any] = {
        "workspace_id": about.workspace_id,
        "id": ids.mint(now, place, partition, secrets.randbits(36)),
        "partition": partition,
        "tenant_id": about.tenant_id,
        "event_type": notice.event_type,
        "contact_id": about.contact_id,
        "conversation_id": about.conversation_id,
        "source": notices.SOURCE,
        "channel_source": about.channel,
        "occurred_at": None,
        "depth": 0,
        "payload": _encode(notice.payload),
        "previous": None if notice.previous is None else _encode(notice.previous),
    }
    return rows.Event(**values)
