"""Ingest on SQLite: events, their places in the queue, and their idempotency keys, in bulk."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from heliograph.store import rows
from heliograph.store.hot_sqlite.connection import Connection, by_pairs
from heliograph.store.hot_sqlite.portions import Insertion

INSERT_EVENTS = Insertion("events", rows.Event._fields)
INSERT_DUE = Insertion("due", ("partition", "workspace_id", "event_id"))


def find_keys(connection: Connection, keys: Collection[tuple[int, str]]) -> dict[tuple[int, str], rows.Key]:
    """The idempotency keys that are known, by (workspace, key)."""
    found = by_pairs(
        connection,
        "SELECT k.workspace_id, k.key, k.event_id, k.fingerprint, k.expires_at FROM wanted w"
        " CROSS JOIN idempotency_keys k ON k.workspace_id = w.a AND k.key = w.b",
        keys,
    )
    return {(row[0], row[1]): rows.Key(*row) for row in found}


def accept(connection: Connection, events: Sequence[rows.Event], keys: Sequence[rows.Key]) -> bool:
    """Insert events, their places in the queue, and their idempotency keys (an outlived key is replaced)."""
    INSERT_EVENTS(connection, events)
    INSERT_DUE(connection, [(e[2], e[0], e[1]) for e in events])
    if keys:
        connection.executemany("INSERT OR REPLACE INTO idempotency_keys VALUES (?,?,?,?,?)", keys)
    return True


def backlog(connection: Connection, at_most: int) -> int:
    """How many events wait for a decision, counted no further than `at_most`."""
    counted = connection.execute("SELECT count(*) FROM (SELECT 1 FROM due LIMIT ?)", (at_most,)).fetchone()
    return int(counted[0])


def forget_keys(connection: Connection, now: int, at_most: int) -> int:
    """Delete idempotency keys that have outlived their day; how many."""
    return connection.execute(
        # Said twice: SQLite before 3.45 would look through all keys of a workspace to compare both columns.
        "DELETE FROM idempotency_keys WHERE (workspace_id, key) IN"
        " (SELECT workspace_id, key FROM idempotency_keys WHERE expires_at < ? LIMIT ?) AND expires_at < ?",
        (now, at_most, now),
    ).rowcount
