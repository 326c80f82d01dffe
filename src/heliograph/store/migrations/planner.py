"""What SQLite's query planner is told of the tables: how many rows a key finds.

Law: the figures are those of a large installation and depend on the schema alone, so that every version of SQLite
finds rows in the same way, in a database of any size. PostgreSQL counts for itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import sqlalchemy as sa

_MANY, _WAITING, _FEW = 1_000_000, 10_000, 1_000
_QUEUES = frozenset({"due", "inbox", "send_due", "claims"})
"""Tables whose rows go within seconds."""
_WRITTEN_BY_HAND = frozenset(
    {
        "agents",
        "alerts",
        "api_keys",
        "audiences",
        "automations",
        "brands",
        "campaigns",
        "control_versions",
        "counters",
        "divisions",
        "event_place_marks",
        "facts",
        "lists",
        "partitions",
        "preference_pages",
        "preference_sections",
        "preference_topics",
        "provider_rates",
        "providers",
        "resource_schemas",
        "routing_strategies",
        "segments",
        "sending_policies",
        "templates",
        "workspaces",
    }
)
"""Tables that hold what people define; all others grow with events and contacts."""
_VALUES = {
    "workspace_id": 10,
    "partition": 64,
    "kind": 4,
    "status": 4,
    "action": 10,
    "scope": 10,
    "automation_id": 100,
    "list_id": 100,
    "tenant_id": 100,
    "parent_tenant_id": 100,
    "day": 100,
}
"""How many values a column has; one that is not here finds a hundred rows."""
_FOUND = 100


# A table without a rowid is its primary key's index, and that index goes by the table's name.
_COLUMNS = """
    SELECT t.name, iif(i.origin = 'pk' AND upper(t.sql) LIKE '%WITHOUT ROWID%', t.name, i.name), i."unique", c.name
    FROM sqlite_master t, pragma_index_list(t.name) i, pragma_index_info(i.name) c
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY t.name, i.name, c.seqno
"""
"""The columns of every index, in their order: table, index, whether it is unique, column."""


def tell(connection: sa.Connection) -> None:
    """Write the figures for every index there is, in place of those that are there."""
    # Without it there is no table to write to; alone, it looks at no rows.
    connection.exec_driver_sql("ANALYZE sqlite_schema")
    connection.exec_driver_sql("DELETE FROM sqlite_stat1")
    # Samples of the rows, which a build of SQLite may take when people analyze the file, and which go before figures.
    connection.exec_driver_sql("DROP TABLE IF EXISTS sqlite_stat4")
    listed = connection.exec_driver_sql(_COLUMNS).all()
    figures = [
        (table, index, _figures(table, [row[3] for row in columns], is_unique=unique))
        for (table, index, unique), columns in itertools.groupby(listed, key=lambda row: tuple(row[:3]))
    ]
    connection.exec_driver_sql("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", figures)


def _figures(table: str, columns: Iterable[str], *, is_unique: bool) -> str:
    """How many rows there are, and how many the first so many columns of an index find."""
    rows = _WAITING if table in _QUEUES else _FEW if table in _WRITTEN_BY_HAND else _MANY
    found = [rows]
    for column in columns:
        found.append(max(1, found[-1] // _VALUES.get(column, rows // _FOUND)))
    if is_unique:
        found[-1] = 1
    # Never each workspace in turn because there are few of them.
    return " ".join(map(str, found)) + " noskipscan"
