"""Alarms on PostgreSQL: what has been told of rules, and the sums by which they are judged."""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from heliograph.store import alert_rows, packing, rows
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.packing import Bigints, Identities, Integers, Smallints

_PUT: LiteralString = (
    "INSERT INTO alerts SELECT * FROM unnest(%s::int4[], %s::uuid[], %s::int2[], %s::int2[], %s::int8[], %s::int8[],"
    " %s::int8[], %s::int4[]) ON CONFLICT (workspace_id, automation_id) DO UPDATE SET told = excluded.told,"
    " worst = excluded.worst, notified_at = excluded.notified_at, since = excluded.since,"
    " alarming_at = excluded.alarming_at, notices = excluded.notices"
)
_FORGET: LiteralString = (
    "DELETE FROM alerts s USING unnest(%s::int4[], %s::uuid[]) u(w, a)"
    " WHERE s.workspace_id = u.w AND s.automation_id = u.a"
)


def read_alerts(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], alert_rows.Alert]:
    """What has been told of these rules, by (workspace, rule); those of which nothing was are absent."""
    query: LiteralString = (
        "SELECT s.workspace_id, s.automation_id, s.told, s.worst, s.notified_at, s.since, s.alarming_at,"
        " s.notices"
        " FROM unnest(%s::int4[], %s::uuid[]) w(a, b) CROSS JOIN LATERAL (SELECT * FROM alerts"
        " WHERE workspace_id = w.a AND automation_id = w.b OFFSET 0) s"
    )
    found = fetch(connection, query, packing.columns((Integers, Identities), sorted(keys)))
    return {(row[0], row[1]): alert_rows.Alert._make(row) for row in found}


def read_rule_counts(
    connection: Connection, asked: Collection[tuple[int, bytes, int, int, int]]
) -> dict[tuple[int, bytes], tuple[int, int, int, int, int]]:
    """For each (workspace, rule, day before, first day, last day): the sums of its runs, and how many matched before.

    The sums are total, matched, executed and pending from the first to the last day; before are the days from the day
    before up to the first one.
    """
    query: LiteralString = (
        "SELECT w.a, w.b, s.total, s.matched, s.executed, s.pending, s.before"
        " FROM unnest(%s::int4[], %s::uuid[], %s::int4[], %s::int4[], %s::int4[]) w(a, b, c, d, e) CROSS JOIN LATERAL"
        " (SELECT sum(total) FILTER (WHERE day >= w.d) AS total, sum(matched) FILTER (WHERE day >= w.d) AS matched,"
        " sum(executed) FILTER (WHERE day >= w.d) AS executed, sum(pending) FILTER (WHERE day >= w.d) AS pending,"
        " sum(matched) FILTER (WHERE day < w.d) AS before FROM rule_statistics"
        " WHERE workspace_id = w.a AND automation_id = w.b AND day BETWEEN w.c AND w.e) s"
    )
    kinds = (Integers, Identities, Integers, Integers, Integers)
    found = fetch(connection, query, packing.columns(kinds, sorted(asked)))
    # Sums of whole numbers are decimals here, and nothing where there are no rows.
    sums = {(row[0], row[1]): [int(value or 0) for value in row[2:]] for row in found}
    return {key: (one[0], one[1], one[2], one[3], one[4]) for key, one in sums.items()}


def write_alerts(connection: Connection, writes: rows.Writes) -> None:
    """What has been told of rules from now on."""
    gone = sorted(key for key, row in writes.alerts.items() if row is None)
    if gone:
        connection.execute(_FORGET, packing.columns((Integers, Identities), gone))
    kept = sorted(row for row in writes.alerts.values() if row is not None)
    if kept:
        kinds = (Integers, Identities, Smallints, Smallints, Bigints, Bigints, Bigints, Integers)
        connection.execute(_PUT, packing.columns(kinds, kept))
