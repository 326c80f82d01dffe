"""Fan-outs on SQLite: how campaigns stand, how far cursors have come, and the people of a partition in order."""

from __future__ import annotations

from collections.abc import Collection

from heliograph.core import ids, runs
from heliograph.store import fanout_rows, rows
from heliograph.store.hot_sqlite.connection import Connection, by_pairs, wanted

_CAMPAIGN = (
    "c.workspace_id, c.automation_id, c.partition, c.state, c.due_at, c.started_at, c.settled_at, c.action, c.error,"
    " c.is_stopping"
)
_CURSOR = (
    "c.workspace_id, c.id, c.partition, c.fanout_id, c.part, c.place, c.judged, c.jobs, c.sent, c.failed, c.skipped,"
    " c.uncertain, c.done_at, c.attempts, c.error"
)
_PEOPLE = (
    "SELECT workspace_id, user_id, partition, tenant_id, profile, tags, created_at, updated_at FROM contacts"
    " INDEXED BY contacts_by_partition WHERE workspace_id = ? AND partition = ? AND user_id > ? ORDER BY user_id"
    " LIMIT ?"
)


def read_campaigns(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], fanout_rows.Campaign]:
    """How campaigns stand, by (workspace, automation_id)."""
    found = by_pairs(
        connection,
        f"SELECT {_CAMPAIGN} FROM wanted w CROSS JOIN campaigns c ON c.workspace_id = w.a AND c.automation_id = w.b",
        keys,
    )
    return {(row[0], row[1]): fanout_rows.Campaign._make(row) for row in found}


def read_fanouts(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], fanout_rows.Fanout]:
    """Fan-outs by (workspace, id)."""
    found = by_pairs(
        connection,
        "SELECT f.workspace_id, f.id, f.automation_id, f.version, f.body, f.created_at, f.run_id FROM wanted w"
        " CROSS JOIN fanouts f ON f.workspace_id = w.a AND f.id = w.b",
        keys,
    )
    return {(row[0], row[1]): fanout_rows.Fanout._make(row) for row in found}


def read_cursors(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], fanout_rows.Cursor]:
    """Cursors by (workspace, id)."""
    found = by_pairs(
        connection,
        f"SELECT {_CURSOR} FROM wanted w CROSS JOIN cursors c ON c.workspace_id = w.a AND c.id = w.b",
        keys,
    )
    return {(row[0], row[1]): fanout_rows.Cursor._make(row) for row in found}


def walk_contacts(
    connection: Connection, workspace_id: int, partition: int, after: str, limit: int
) -> list[rows.Contact]:
    """The next contacts of a partition, in the order of their ids."""
    found = connection.execute(_PEOPLE, (workspace_id, partition, after, limit))
    return [rows.Contact._make(row) for row in found]


def read_stopping(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> frozenset[tuple[int, bytes]]:
    """Which of these, by (workspace, automation_id), were stopped: campaigns, or runs that write to lists."""
    found = wanted(
        connection,
        "WITH wanted(a, b, c) AS (VALUES {}) SELECT w.a, w.b FROM wanted w"
        " LEFT JOIN campaigns c ON c.workspace_id = w.a AND c.automation_id = w.b"
        " LEFT JOIN fanouts f ON f.workspace_id = w.a AND f.id = w.c"
        " LEFT JOIN runs r ON r.workspace_id = w.a AND r.id = f.run_id"
        f" WHERE c.is_stopping OR r.status = {int(runs.Status.CANCELED)}",
        "(?,?,?)",
        {(workspace, identity, ids.of_fanout(identity)) for workspace, identity in keys},
    )
    return frozenset((row[0], row[1]) for row in found)


def write_fanouts(connection: Connection, writes: rows.Writes) -> None:
    """How campaigns stand now, what fan-outs go by, and where their cursors are."""
    connection.executemany(
        "UPDATE campaigns SET state=?, due_at=?, started_at=?, settled_at=?, action=?, error=?, is_stopping=?"
        " WHERE workspace_id=? AND automation_id=?",
        [(*campaign[3:], *key) for key, campaign in writes.campaigns.items()],
    )
    connection.executemany("INSERT OR IGNORE INTO fanouts VALUES (?,?,?,?,?,?,?)", writes.fanouts)
    connection.executemany(
        f"INSERT OR REPLACE INTO cursors VALUES ({'?,' * 14}?)", list(writes.cursors.values())
    )
