"""Consent on PostgreSQL: what recipients said, addresses that nothing is sent to, and who was deleted."""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from heliograph.core import ids
from heliograph.store import erasure_rows, packing
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.packing import Integers, Texts

_CONSENTS: LiteralString = (
    "SELECT c.workspace_id, c.user_id, c.tenant_id, c.body FROM unnest(%s::int4[], %s::text[]) w(a, b)"
    " CROSS JOIN LATERAL (SELECT * FROM consents WHERE workspace_id = w.a AND user_id = w.b OFFSET 0) c"
)
_SUPPRESSIONS: LiteralString = (
    "SELECT s.workspace_id, s.address, s.tenant_id FROM unnest(%s::int4[], %s::text[]) w(a, b)"
    " CROSS JOIN LATERAL (SELECT * FROM suppressions WHERE workspace_id = w.a AND address = w.b OFFSET 0) s"
)
_ERASURES: LiteralString = (
    "SELECT e.workspace_id, e.user_id, e.tenant_id, e.id FROM unnest(%s::int4[], %s::text[]) w(a, b)"
    " CROSS JOIN LATERAL (SELECT * FROM erasures WHERE workspace_id = w.a AND user_id = w.b OFFSET 0) e"
)


def read_consents(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> list[tuple[int, str, str, bytes | str]]:
    """(workspace, user_id, tenant or nothing, body) of whoever of these, by (workspace, user_id), said anything."""
    found = fetch(connection, _CONSENTS, packing.columns((Integers, Texts), sorted(keys)))
    return [(row[0], row[1], row[2], row[3]) for row in found]


def read_suppressions(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> list[tuple[int, str, str]]:
    """(workspace, address, tenant or nothing) of those of these addresses that nothing is sent to."""
    found = fetch(connection, _SUPPRESSIONS, packing.columns((Integers, Texts), sorted(keys)))
    return [(row[0], row[1], row[2]) for row in found]


def read_erasures(connection: Connection, keys: Collection[tuple[int, str]]) -> list[erasure_rows.Deleted]:
    """Those of these, by (workspace, user_id), who were deleted and are being taken out of history."""
    found = fetch(connection, _ERASURES, packing.columns((Integers, Texts), sorted(keys)))
    return [erasure_rows.Deleted(row[0], row[1], row[2], ids.created_at(row[3])) for row in found]
