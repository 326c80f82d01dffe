"""Statements of many rows on SQLite leave what statements of one row leave."""

import sqlite3
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.store.hot_sqlite import portions

COLUMNS = ("workspace_id", "id", "name", "body")


def table() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(
        "CREATE TABLE things (workspace_id INTEGER NOT NULL, id BLOB NOT NULL, name TEXT, body BLOB, state INTEGER,"
        " PRIMARY KEY (workspace_id, id)) WITHOUT ROWID"
    )
    return connection


def stored(connection: sqlite3.Connection) -> list[Any]:
    return connection.execute("SELECT * FROM things ORDER BY workspace_id, id").fetchall()


ROWS = st.lists(
    st.tuples(
        st.integers(1, 2),
        st.integers(0, 999).map(lambda number: number.to_bytes(16, "big")),
        st.none() | st.text("ab", max_size=2),
        st.none() | st.binary(max_size=3),
    ),
    max_size=150,
    unique_by=lambda row: row[:2],
)


@given(ROWS, st.sampled_from([None, 2, 3]), st.integers(0, 150))
def test_many_rows_come_in_as_each_would(
    rows: Sequence[Sequence[Any]], unsaid: int | None, again: int
) -> None:
    """The rows are those of one statement each; what is there already stays with IGNORE, and is refused with FAIL."""
    rows = [tuple(None if place == unsaid else value for place, value in enumerate(row)) for row in rows]
    plain, many = table(), table()
    plain.executemany("INSERT INTO things VALUES (?,?,?,?,7)", rows)
    assert portions.Insertion("things", COLUMNS, same={"state": 7})(many, rows) == len(rows)
    assert (
        portions.Insertion("things", COLUMNS, same={"state": 8}, conflict="IGNORE")(many, rows[:again]) == 0
    )
    assert stored(many) == stored(plain)
    if rows[:again]:
        with pytest.raises(sqlite3.IntegrityError):
            portions.Insertion("things", COLUMNS)(many, rows[:again])


@given(ROWS, st.integers(0, 150))
def test_what_is_done_with_many_rows_is_done_with_each(rows: Sequence[Sequence[Any]], some: int) -> None:
    """What is said of keys holds of the rows that are there, which are counted, and of no others."""
    plain, many = table(), table()
    for connection in (plain, many):
        connection.executemany("INSERT INTO things VALUES (?,?,?,?,7)", rows)
    keys = [row[1] for row in rows if row[0] == 1][:some]
    plain.executemany(
        "UPDATE things SET body = x'01' WHERE workspace_id = 1 AND id = ?", [(k,) for k in keys]
    )
    done = portions.Work("UPDATE things SET body = ? WHERE", "id")(many, (b"\x01",), 1, [*keys, b"nobody's"])
    assert (done, stored(many)) == (len(keys), stored(plain))
