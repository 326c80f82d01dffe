"""Queues as an operator sees them: what waits, and for how long.

Law: counting alone, and no further than a limit: a look must not cost more because much waits.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import ids
from heliograph.store import schema

_MOST_COUNTED = 1_000_000


class Standing(NamedTuple):
    """How much waits now; each number is exact up to a million."""

    events: int
    """Events that wait for a decision."""
    oldest_event_at: int | None
    """When the oldest of them came in (µs)."""
    answers: int
    """Answers of the outside, and what one subject owes another."""
    messages: int
    """Messages that are due."""
    claimed: int
    """Messages that a delivery holds."""
    timers: int
    """What waits for its time."""
    first_timer_at: int | None
    """When the earliest of it is due (µs)."""


def standing(connection: sa.Connection) -> Standing:
    """How much waits now, in all workspaces."""
    oldest: bytes | None = connection.execute(
        sa.select(schema.due.c.event_id).order_by(schema.due.c.event_id).limit(1)
    ).scalar_one_or_none()
    return Standing(
        _count(connection, schema.due),
        None if oldest is None else ids.created_at(oldest),
        _count(connection, schema.inbox),
        _count(connection, schema.send_due),
        _count(connection, schema.claims),
        _count(connection, schema.timers),
        _first_timer_at(connection),
    )


def _count(connection: sa.Connection, table: sa.Table) -> int:
    some = sa.select(sa.literal(1)).select_from(table).limit(_MOST_COUNTED).subquery()
    return connection.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()


def _first_timer_at(connection: sa.Connection) -> int | None:
    # The first of an index: on PostgreSQL that is in order of time within each partition alone.
    timers = schema.timers.c
    query: sa.Select[Any] = sa.select(sa.func.min(timers.wake_at))
    if connection.dialect.name == "postgresql":
        places = sa.func.generate_series(0, ids.PARTITIONS - 1).table_valued("place").render_derived()
        of_place = sa.select(timers.wake_at).where(timers.partition == places.c.place)
        first = of_place.order_by(timers.wake_at).limit(1).scalar_subquery()
        query = sa.select(sa.func.min(first)).select_from(places)
    first_at: int | None = connection.execute(query).scalar_one()
    return first_at
