"""Alarms on SQLite: what has been told of rules, and the sums by which they are judged."""

from __future__ import annotations

from collections.abc import Collection

from heliograph.store import alert_rows, rows
from heliograph.store.hot_sqlite.connection import Connection, by_pairs, wanted


def read_alerts(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], alert_rows.Alert]:
    """What has been told of these rules, by (workspace, rule); those of which nothing was are absent."""
    found = by_pairs(
        connection,
        "SELECT s.workspace_id, s.automation_id, s.told, s.worst, s.notified_at, s.since, s.alarming_at,"
        " s.notices"
        " FROM wanted w CROSS JOIN alerts s ON s.workspace_id = w.a AND s.automation_id = w.b",
        keys,
    )
    return {(row[0], row[1]): alert_rows.Alert._make(row) for row in found}


def read_rule_counts(
    connection: Connection, asked: Collection[tuple[int, bytes, int, int, int]]
) -> dict[tuple[int, bytes], tuple[int, int, int, int, int]]:
    """For each (workspace, rule, day before, first day, last day): the sums of its runs, and how many matched before.

    The sums are total, matched, executed and pending from the first to the last day; before are the days from the day
    before up to the first one.
    """
    found = wanted(
        connection,
        "WITH wanted(a, b, c, d, e) AS (VALUES {}) SELECT w.a, w.b, sum((s.day >= w.d) * s.total),"
        " sum((s.day >= w.d) * s.matched), sum((s.day >= w.d) * s.executed), sum((s.day >= w.d) * s.pending),"
        " sum((s.day < w.d) * s.matched) FROM wanted w CROSS JOIN rule_statistics s ON s.workspace_id = w.a"
        " AND s.automation_id = w.b AND s.day BETWEEN w.c AND w.e GROUP BY w.a, w.b",
        "(?,?,?,?,?)",
        asked,
    )
    return {(row[0], row[1]): (row[2], row[3], row[4], row[5], row[6]) for row in found}


def write_alerts(connection: Connection, writes: rows.Writes) -> None:
    """What has been told of rules from now on."""
    connection.executemany(
        "DELETE FROM alerts WHERE workspace_id=? AND automation_id=?",
        [key for key, row in writes.alerts.items() if row is None],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO alerts VALUES (?,?,?,?,?,?,?,?)",
        [row for row in writes.alerts.values() if row is not None],
    )
