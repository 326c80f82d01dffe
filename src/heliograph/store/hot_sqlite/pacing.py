"""Pacing on SQLite: what is asked about recipients before messages go, and what is kept of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from heliograph.store import policy_rows
from heliograph.store.hot_sqlite.connection import Connection, by_triples

MOVE = "UPDATE messages SET channel=?, address=?, content=?, route=? WHERE workspace_id=? AND id=?"
"""Let a message go another way."""
# Four levels: tenants.MAX_LEVELS.
_RECIPIENTS = (
    "SELECT w.a, w.b, w.c, p.profile, u.profile, t.definition, t2.definition, t3.definition, t4.definition,"
    " r.counts, coalesce(r.expires_at, 0) FROM wanted w"
    " LEFT JOIN contacts p ON p.workspace_id = w.a AND p.user_id = w.b"
    " LEFT JOIN recent_sends r ON r.workspace_id = w.a AND r.user_id = w.b"
    " LEFT JOIN tenant_users u ON u.workspace_id = w.a AND u.user_id = w.b AND u.tenant_id = w.c"
    " LEFT JOIN tenants t ON t.workspace_id = w.a AND t.id = w.c"
    " LEFT JOIN tenants t2 ON t2.workspace_id = w.a AND t2.id = t.parent_tenant_id"
    " LEFT JOIN tenants t3 ON t3.workspace_id = w.a AND t3.id = t2.parent_tenant_id"
    " LEFT JOIN tenants t4 ON t4.workspace_id = w.a AND t4.id = t3.parent_tenant_id WHERE w.a <> 0"
)


def read_recipients(
    connection: Connection, keys: Collection[tuple[int, str, str]]
) -> dict[tuple[int, str, str], policy_rows.Recipient]:
    """What is known of these recipients, by (workspace, user_id, tenant or nothing); each of them is there."""
    found = by_triples(connection, _RECIPIENTS, keys)
    return {row[:3]: policy_rows.Recipient(row[3], row[4], row[5:9], row[9], row[10]) for row in found}


def write_pacing(connection: Connection, writes: policy_rows.Writes) -> None:
    """Let messages of earlier turns stand as was decided, and keep what was counted."""
    connection.executemany(
        "UPDATE messages SET state=?, settled_at=?, attempts=coalesce(?, attempts), error=?"
        " WHERE workspace_id=? AND id=?",
        _changes(writes.messages),
    )
    connection.executemany(MOVE, [(*m.moved, *m[:2]) for m in writes.messages if m.moved is not None])
    connection.executemany(MOVE, [(*moved, *key) for *key, moved in writes.moved])
    connection.executemany(
        "INSERT OR REPLACE INTO recent_sends VALUES (?,?,?,?)", list(writes.recent.values())
    )


def _changes(changed: Sequence[policy_rows.MessageChange]) -> list[tuple[object, ...]]:
    return [(*row[2:6], *row[:2]) for row in changed]
