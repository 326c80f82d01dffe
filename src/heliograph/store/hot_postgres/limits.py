"""Limits of providers on PostgreSQL: buckets of tokens, and counts of a day, taken from by batches."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import LiteralString

from heliograph.store import packing
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.packing import Bigints, Integers, Texts

Place = tuple[int, str]
"""(workspace, provider)"""

_MAKE: LiteralString = (
    "INSERT INTO provider_rates SELECT w, p, 0 FROM unnest(%s::int4[], %s::text[]) u(w, p)"
    " ON CONFLICT DO NOTHING"
)
# In the order of the key, so that no two workers wait for each other.
_LOCK: LiteralString = (
    "SELECT workspace_id, provider_id, full_at FROM provider_rates WHERE (workspace_id, provider_id) IN"
    " (SELECT * FROM unnest(%s::int4[], %s::text[])) ORDER BY workspace_id, provider_id FOR UPDATE"
)
_DAYS: LiteralString = (
    "SELECT d.workspace_id, d.provider_id, d.domain, d.sent FROM unnest(%s::int4[], %s::text[]) w(a, b)"
    " CROSS JOIN LATERAL (SELECT * FROM provider_days WHERE workspace_id = w.a AND provider_id = w.b AND day = %s"
    " OFFSET 0) d"
)
_KEEP_RATES: LiteralString = (
    "INSERT INTO provider_rates SELECT * FROM unnest(%s::int4[], %s::text[], %s::int8[])"
    " ON CONFLICT (workspace_id, provider_id) DO UPDATE SET full_at = excluded.full_at"
)
_FORGET: LiteralString = (
    "DELETE FROM provider_days d USING unnest(%s::int4[], %s::text[]) w(a, b)"
    " WHERE d.workspace_id = w.a AND d.provider_id = w.b AND d.day < %s"
)
_KEEP_DAYS: LiteralString = (
    "INSERT INTO provider_days SELECT w, p, n, d, s FROM"
    " unnest(%s::int4[], %s::text[], %s::int4[], %s::text[], %s::int8[]) u(w, p, n, d, s)"
    " ON CONFLICT (workspace_id, provider_id, day, domain) DO UPDATE SET sent = excluded.sent"
)


def lock_rates(connection: Connection, places: Collection[Place]) -> dict[Place, int]:
    """When the buckets of these providers are full again; nobody else takes of them until the transaction ends."""
    packed = packing.columns((Integers, Texts), sorted(places))
    connection.execute(_MAKE, packed)
    return {(row[0], row[1]): row[2] for row in fetch(connection, _LOCK, packed)}


def read_days(connection: Connection, places: Collection[Place], day: int) -> dict[tuple[Place, str], int]:
    """How many e-mails these providers sent on a day, by provider and domain."""
    packed = packing.columns((Integers, Texts), sorted(places))
    return {((row[0], row[1]), row[2]): row[3] for row in fetch(connection, _DAYS, (*packed, day))}


def keep_limits(
    connection: Connection, rates: Mapping[Place, int], days: Mapping[tuple[Place, str], int], day: int
) -> None:
    """Store what is left of buckets, and what was sent on a day; the days before it are forgotten."""
    values = [(*place, full_at) for place, full_at in rates.items()]
    if values:
        connection.execute(_KEEP_RATES, packing.columns((Integers, Texts, Bigints), values))
    if days:
        places = sorted({place for place, _ in days})
        connection.execute(_FORGET, (*packing.columns((Integers, Texts), places), day))
        counted = [(*place, day, domain, sent) for (place, domain), sent in days.items()]
        kinds = (Integers, Texts, Integers, Texts, Bigints)
        connection.execute(_KEEP_DAYS, packing.columns(kinds, counted))
