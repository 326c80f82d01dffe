"""Requests to send on SQLite."""

from __future__ import annotations

from collections.abc import Collection

from heliograph.store import request_rows
from heliograph.store.hot_sqlite.connection import Connection, by_pairs


def read_requests(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], request_rows.Request]:
    """Requests by (workspace, id)."""
    found = by_pairs(
        connection,
        "SELECT r.workspace_id, r.id, r.partition, r.tenant_id, r.body, r.due_at, r.event, r.trace_id, r.tags,"
        " r.start_key FROM wanted w CROSS JOIN requests r ON r.workspace_id = w.a AND r.id = w.b",
        keys,
    )
    return {(row[0], row[1]): request_rows.Request._make(row) for row in found}
