"""What the tables of a database hold, in a form in which two databases can be compared."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from heliograph.store import database, schema

Row = dict[str, Any]
QUEUES = ("due", "inbox", "timers", "send_due", "claims")
"""The tables in which work waits for somebody."""


def content(store: database.Database, *names: str) -> dict[str, list[Row]]:
    """The rows of these tables (of all, when none is named), in the order of their keys; JSON as text."""
    with store.reading() as connection:
        return {name: _rows(connection, schema.metadata.tables[name]) for name in names or _all()}


def rows(store: database.Database, name: str) -> list[Row]:
    """The rows of one table, in the order of its key."""
    return content(store, name)[name]


def waiting(store: database.Database) -> set[str]:
    """The queues that are not empty."""
    return {name for name, found in content(store, *QUEUES).items() if found}


def _all() -> Iterable[str]:
    return schema.metadata.tables


def _rows(connection: sa.Connection, table: sa.Table) -> list[Row]:
    found = [
        {column.name: _plain(column, value) for column, value in zip(table.columns, row, strict=True)}
        for row in connection.execute(sa.select(table))
    ]
    return sorted(found, key=lambda row: [(value is not None, value) for value in row.values()])


def _plain(column: sa.Column[Any], value: Any) -> Any:
    return value.decode() if isinstance(column.type, schema.Json) and isinstance(value, bytes) else value


def values(found: Iterable[Row]) -> list[list[Any]]:
    """Rows without the names of their columns."""
    return [list(row.values()) for row in found]


def as_stored(row: Iterable[Any]) -> list[Any]:
    """The values of a row as `content` gives them: bytes that are no id are JSON text."""
    return [value.decode() if isinstance(value, bytes) and len(value) != 16 else value for value in row]
