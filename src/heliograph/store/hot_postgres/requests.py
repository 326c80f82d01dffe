"""Requests to send on PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from heliograph.store import packing, request_rows
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.packing import Identities, Integers

_READ: LiteralString = (
    "SELECT r.workspace_id, r.id, r.partition, r.tenant_id, r.body, r.due_at, r.event, r.trace_id, r.tags,"
    " r.start_key FROM unnest(%s::int4[], %s::uuid[]) w(a, b) CROSS JOIN LATERAL"
    " (SELECT * FROM requests WHERE workspace_id = w.a AND id = w.b OFFSET 0) r"
)


def read_requests(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], request_rows.Request]:
    """Requests by (workspace, id)."""
    found = fetch(connection, _READ, packing.columns((Integers, Identities), sorted(keys)))
    return {(row[0], row[1]): request_rows.Request._make(row) for row in found}
