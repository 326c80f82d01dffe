"""When people changed what they want to hear of, and from what to what.

Law: a change is written with the words that it makes, in their transaction, and stays; who is deleted stays in it under
a pseudonym (departures.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import consent, ids
from heliograph.store import identities, preference_topics, schema

_CHANGES = schema.consent_changes.c
_topic = msgspec.json.Decoder(consent.Topic)


class Change(NamedTuple):
    """Somebody said something else of a topic."""

    id: bytes
    user_id: str
    tenant_id: str | None
    """To which tenant; None: to the workspace itself."""
    topic_id: str
    topic_name: str
    """What it was called then."""
    before: consent.Topic | None
    """None where they had said nothing."""
    after: consent.Topic
    """Where they say nothing any more, the default that counts from then on."""


class Filter(NamedTuple):
    """Which changes are listed."""

    tenant_id: str | None = None
    user_id: str | None = None
    since: int | None = None
    """The instant (µs) at which they begin."""
    before: bytes | None = None
    """Only those older than the one with this id."""


def note(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    user_id: str,
    changes: list[consent.Change],
    now: int,
) -> None:
    """Write down what somebody said anew."""
    if not changes:
        return
    names = preference_topics.names(connection, workspace_id, [one.topic_id for one in changes])
    made = [
        {
            "workspace_id": workspace_id,
            "id": identities.fresh(now),
            "user_id": user_id,
            "tenant_id": tenant_id or "",
            "topic_id": one.topic_id,
            "topic_name": names.get(one.topic_id, one.topic_id),
            "before": _encode(one.before),
            "after": _encode(one.after or _default(connection, workspace_id, tenant_id, one.topic_id)),
        }
        for one in changes
    ]
    connection.execute(sa.insert(schema.consent_changes), made)


def _default(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, topic_id: str
) -> consent.Topic:
    by_default = preference_topics.defaults(connection, workspace_id).of(tenant_id)
    return next((one[topic_id] for one in by_default if topic_id in one), consent.AGREED)


def listed(connection: sa.Connection, workspace_id: int, wanted: Filter, limit: int) -> list[Change]:
    """The newest changes, at most so many."""
    query = sa.select(*(_CHANGES[name] for name in Change._fields)).where(
        _CHANGES.workspace_id == workspace_id
    )
    if wanted.tenant_id is not None:
        query = query.where(_CHANGES.tenant_id == wanted.tenant_id)
    if wanted.user_id is not None:
        query = query.where(_CHANGES.user_id == wanted.user_id)
    if wanted.since is not None:
        query = query.where(_CHANGES.id >= ids.head(wanted.since) + bytes(8))
    if wanted.before is not None:
        query = query.where(_CHANGES.id < wanted.before)
    return [_read(row) for row in connection.execute(query.order_by(_CHANGES.id.desc()).limit(limit))]


def _read(row: Any) -> Change:
    before = None if row.before is None else _topic.decode(row.before)
    return Change(*row)._replace(
        tenant_id=row.tenant_id or None, before=before, after=_topic.decode(row.after)
    )


def _encode(topic: consent.Topic | None) -> bytes | None:
    return None if topic is None else msgspec.json.encode(topic)
