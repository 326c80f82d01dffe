"""Writing on SQLite: all that a turn leaves behind, one bulk statement for each table."""

from __future__ import annotations

from collections.abc import Sequence

from heliograph.core import runs
from heliograph.store import rows
from heliograph.store.hot_sqlite.connection import Connection
from heliograph.store.hot_sqlite.ingest import INSERT_EVENT

# What is the same in every such row stands in the statement: each value bound costs as much as a look at an index.
_PASSED_RUNS = f"INSERT INTO runs VALUES (?,?,?,?,?,NULL,{int(runs.Status.DONE)},?,?,?,NULL)"


def write(connection: Connection, writes: rows.Writes, partitions: Sequence[int], now: int) -> None:
    """Everything that the turn decided, table by table."""
    many = connection.executemany
    many("INSERT OR REPLACE INTO decisions VALUES (?,?,?,?,?,?,?,?)", writes.decisions)
    many("INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?,?,?)", writes.runs)
    many(_PASSED_RUNS, writes.passed_runs)
    many(f"INSERT INTO messages VALUES ({'?,' * 20}?)", writes.messages)
    many("INSERT INTO send_due VALUES (?,?,?,?)", writes.send_due)
    many(
        "UPDATE runs SET status=?, outcome=?, reason=?, state=? WHERE workspace_id=? AND id=?",
        [(*change, *key) for key, change in writes.run_changes.items()],
    )
    many(INSERT_EVENT, writes.events)
    many("INSERT INTO due VALUES (?,?,?)", writes.due)
    many("INSERT OR IGNORE INTO timers VALUES (?,?,?,?,?)", writes.timers)
    many("INSERT OR IGNORE INTO inbox VALUES (?,?,?,?,?,?,?)", writes.inbox)
    many(
        "INSERT INTO cooldowns VALUES (?,?,?,?) ON CONFLICT DO UPDATE SET matched_at = excluded.matched_at",
        [(*key, matched_at) for key, matched_at in writes.cooldowns.items()],
    )
    _write_people(connection, writes)
    _write_counts(connection, writes, partitions[0])
    connection.execute(
        "UPDATE partitions SET last_now = max(last_now, ?) WHERE partition = ?", (now, partitions[0])
    )


def _write_people(connection: Connection, writes: rows.Writes) -> None:
    for table, key, body, found in (
        ("contacts", "user_id", "profile", writes.contacts.values()),
        ("conversations", "id", "record", writes.conversations.values()),
    ):
        for person in found:
            changed = connection.execute(
                f"UPDATE {table} SET {body}=?, tags=?, updated_at=? WHERE workspace_id=? AND {key}=?",
                (person[4], person[5], person[7], person[0], person[1]),
            ).rowcount
            if not changed:
                number = _next_number(connection, person[0], table)
                connection.execute(
                    f"INSERT INTO {table} (workspace_id, {key}, partition, number, tenant_id, {body}, tags,"
                    " created_at, updated_at) VALUES (?,?,?,?,?,?,?,?,?)",
                    (*person[:3], number, *person[3:]),
                )


def _next_number(connection: Connection, workspace_id: int, kind: str) -> int:
    """The next `number` of this kind in this workspace."""
    (value,) = connection.execute(
        "INSERT INTO counters VALUES (?,?,1) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value",
        (workspace_id, kind),
    ).fetchone()
    return int(value)


def _write_counts(connection: Connection, writes: rows.Writes, lane: int) -> None:
    connection.executemany(
        "INSERT INTO rule_statistics VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET total = total + excluded.total,"
        " matched = matched + excluded.matched, executed = executed + excluded.executed,"
        " pending = pending + excluded.pending",
        [(*key, lane, *counts) for key, counts in writes.rule_counts.items()],
    )
    connection.executemany(
        "INSERT INTO event_statistics VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET"
        " processed = processed + excluded.processed, failed = failed + excluded.failed",
        [(*key, lane, *counts) for key, counts in writes.event_counts.items()],
    )
