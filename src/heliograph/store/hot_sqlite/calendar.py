"""The calendar on SQLite: birthdays of a day, and how far walks through them have come."""

from __future__ import annotations

from collections.abc import Collection

from heliograph.core import ids
from heliograph.store import calendar_rows, rows
from heliograph.store.hot_sqlite.connection import Connection, by_pairs


def read_walks(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], calendar_rows.Walk]:
    """Walks by (workspace, id); those that ended are absent."""
    found = by_pairs(
        connection,
        "SELECT c.workspace_id, c.id, c.partition, c.automation_id, c.birth, c.birthday, c.place FROM wanted w"
        " CROSS JOIN calendar_walks c ON c.workspace_id = w.a AND c.id = w.b",
        keys,
    )
    return {(row[0], row[1]): calendar_rows.Walk._make(row) for row in found}


def where_birthdays(connection: Connection, workspace_id: int, birthday: int) -> list[int]:
    """The partitions in which anybody has this birthday."""
    found = connection.execute(
        f"WITH RECURSIVE p(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM p WHERE n < {ids.PARTITIONS - 1})"
        " SELECT n FROM p WHERE EXISTS"
        " (SELECT 1 FROM birthdays WHERE workspace_id = ? AND partition = n AND birthday = ?)",
        (workspace_id, birthday),
    )
    return [row[0] for row in found]


def walk_birthdays(
    connection: Connection, workspace_id: int, partition: int, birthday: int, after: str, limit: int
) -> list[calendar_rows.Birthday]:
    """The next people of a partition who have this birthday, in the order of their ids."""
    found = connection.execute(
        "SELECT workspace_id, partition, birthday, user_id, tenant_id, known_at FROM birthdays"
        " WHERE workspace_id = ? AND partition = ? AND birthday = ? AND user_id > ? ORDER BY user_id LIMIT ?",
        (workspace_id, partition, birthday, after, limit),
    )
    return [calendar_rows.Birthday._make(row) for row in found]


def read_new_birthdays(
    connection: Connection,
    workspace_id: int,
    partition: int,
    birthdays: Collection[int],
    known_from: int,
    known_before: int,
) -> list[calendar_rows.Birthday]:
    """The people of a partition with one of these birthdays, known from an instant up to but without another."""
    marks = ",".join("?" * len(birthdays))
    found = connection.execute(
        "SELECT workspace_id, partition, birthday, user_id, tenant_id, known_at FROM birthdays"
        f" WHERE workspace_id = ? AND partition = ? AND birthday IN ({marks}) AND known_at >= ? AND known_at < ?"
        " ORDER BY user_id",
        (workspace_id, partition, *birthdays, known_from, known_before),
    )
    return [calendar_rows.Birthday._make(row) for row in found]


def write_calendar(connection: Connection, writes: rows.Writes) -> None:
    """Birthdays as they are now, and how far walks through them have come."""
    many = connection.executemany
    many(
        "DELETE FROM birthdays WHERE workspace_id=? AND partition=? AND birthday=? AND user_id=?",
        writes.forgotten_birthdays,
    )
    many("INSERT OR REPLACE INTO birthdays VALUES (?,?,?,?,?,?)", writes.birthdays.values())
    many("INSERT OR IGNORE INTO calendar_walks VALUES (?,?,?,?,?,?,?)", writes.walks)
    many("UPDATE calendar_walks SET place=? WHERE workspace_id=? AND id=?", writes.moved_walks)
    many("DELETE FROM calendar_walks WHERE workspace_id=? AND id=?", writes.ended_walks)
