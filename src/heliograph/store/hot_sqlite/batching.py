"""Batches on SQLite: how they stand, the items that are looked at, and what becomes of both."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from heliograph.core import batches
from heliograph.store import rows
from heliograph.store.hot_sqlite.connection import Connection, by_pairs, wanted

_BATCH = ", ".join(f"b.{name}" for name in batches.Batch._fields)
_BY_ID = f"SELECT {_BATCH} FROM wanted w CROSS JOIN batches b ON b.workspace_id = w.a AND b.id = w.b"
_BY_GROUP = f"SELECT {_BATCH} FROM wanted w CROSS JOIN batches b ON b.workspace_id = w.a AND b.group_id = w.b"
_ITEMS = (
    "WITH wanted(a, b, c, d) AS (VALUES {}) SELECT i.workspace_id, i.batch_id, i.number, i.run_id, i.visit,"
    " i.joined_at, i.wait, i.max_wait, %s FROM wanted w CROSS JOIN batch_items i ON i.workspace_id = w.a"
    " AND i.batch_id = w.b AND i.number BETWEEN w.c AND w.d"
)
_WHOLE, _HEADS = _ITEMS % "i.data", _ITEMS % "x''"
_PUT = (
    f"INSERT INTO batches VALUES ({'?,' * (len(batches.Batch._fields) - 1)}?) ON CONFLICT (workspace_id, id) DO UPDATE"
    f" SET {', '.join(f'{name} = excluded.{name}' for name in batches.Batch._fields[4:])}"
)


def read_batches(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], batches.Batch]:
    """Batches by (workspace, id); those that are over are absent."""
    return {(row[0], row[1]): batches.Batch._make(row) for row in by_pairs(connection, _BY_ID, keys)}


def read_open_batches(
    connection: Connection, groups: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], batches.Batch]:
    """The batches that take the items of these groups, by (workspace, id)."""
    return {(row[0], row[1]): batches.Batch._make(row) for row in by_pairs(connection, _BY_GROUP, groups)}


def read_batch_items(
    connection: Connection, spans: Iterable[batches.Span], *, whole: bool
) -> list[batches.Item]:
    """The items of these spans, with what they hold where they are wanted whole."""
    found = wanted(connection, _WHOLE if whole else _HEADS, "(?,?,?,?)", spans)
    return [batches.Item._make(row) for row in found]


def write_batches(connection: Connection, writes: rows.Writes) -> None:
    """How batches stand now, the items that came, and what is over."""
    # Those that take no more items come first: the next one of their group may be among the others.
    ordered = sorted(writes.batches.changed.values(), key=lambda batch: batch.group_id is not None)
    connection.executemany(_PUT, ordered)
    connection.executemany("INSERT INTO batch_items VALUES (?,?,?,?,?,?,?,?,?)", writes.batches.items)
    if writes.batches.left:
        connection.executemany(
            "DELETE FROM batch_items WHERE workspace_id=? AND batch_id=? AND number=?", writes.batches.left
        )
    if writes.batches.ended:
        connection.executemany("DELETE FROM batches WHERE workspace_id=? AND id=?", writes.batches.ended)
        connection.executemany(
            "DELETE FROM batch_items WHERE workspace_id=? AND batch_id=?", writes.batches.ended
        )
