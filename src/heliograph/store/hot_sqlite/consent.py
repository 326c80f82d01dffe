"""Consent on SQLite: what recipients said, addresses that nothing is sent to, and who was deleted."""

from __future__ import annotations

from collections.abc import Collection

from heliograph.core import ids
from heliograph.store import erasure_rows
from heliograph.store.hot_sqlite.connection import Connection, by_pairs


def read_consents(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> list[tuple[int, str, str, bytes | str]]:
    """(workspace, user_id, tenant or nothing, body) of whoever of these, by (workspace, user_id), said anything."""
    query = (
        "SELECT c.workspace_id, c.user_id, c.tenant_id, c.body FROM wanted w"
        " CROSS JOIN consents c ON c.workspace_id = w.a AND c.user_id = w.b"
    )
    return [(row[0], row[1], row[2], row[3]) for row in by_pairs(connection, query, keys)]


def read_suppressions(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> list[tuple[int, str, str]]:
    """(workspace, address, tenant or nothing) of those of these addresses that nothing is sent to."""
    query = (
        "SELECT s.workspace_id, s.address, s.tenant_id FROM wanted w"
        " CROSS JOIN suppressions s ON s.workspace_id = w.a AND s.address = w.b"
    )
    return [(row[0], row[1], row[2]) for row in by_pairs(connection, query, keys)]


def read_erasures(connection: Connection, keys: Collection[tuple[int, str]]) -> list[erasure_rows.Deleted]:
    """Those of these, by (workspace, user_id), who were deleted and are being taken out of history."""
    query = (
        "SELECT e.workspace_id, e.user_id, e.tenant_id, e.id FROM wanted w"
        " CROSS JOIN erasures e ON e.workspace_id = w.a AND e.user_id = w.b"
    )
    found = by_pairs(connection, query, keys)
    return [erasure_rows.Deleted(row[0], row[1], row[2], ids.created_at(row[3])) for row in found]
