"""Folding: the counts of days that are over, which many lanes left side by side, become one row each.

Law: sums stay what they were, whoever reads meanwhile. A lane's row is written by whoever has its partition, so those
of a bite are locked while it is folded; what settles late leaves a row in a lane again, and is folded another day.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import schedule
from heliograph.store import columns, database, schema

LANE = 0
"""The lane in which everything ends up."""
_DAYS_AT_ONCE = 31


class _Counts(NamedTuple):
    """A table of counts: whose they are, and what is counted."""

    table: sa.Table
    owner: str
    counted: tuple[str, ...]


_TABLES = (
    _Counts(schema.rule_statistics, "automation_id", ("total", "matched", "executed", "pending")),
    _Counts(schema.event_statistics, "tenant_id", ("total", "processed", "failed")),
)


class Bite(NamedTuple):
    """The counts of one rule, or of one tenant's events, of some days."""

    counts: _Counts
    workspace_id: int
    owner: Any
    first: int
    last: int

    def rows(self) -> list[sa.ColumnElement[bool]]:
        """What holds for its rows that are to go."""
        columns = self.counts.table.c
        return [
            columns.workspace_id == self.workspace_id,
            columns[self.counts.owner] == self.owner,
            columns.day.between(self.first, self.last),
            columns.partition != LANE,
        ]


def left(connection: sa.Connection, now: int) -> Iterator[Bite]:
    """What is to be folded: days before yesterday, of which nearly everything has settled."""
    last = now // schedule.DAY - 2
    for counts in _TABLES:
        columns = counts.table.c
        owner = columns[counts.owner]
        query = sa.select(columns.workspace_id, owner, sa.func.min(columns.day)).where(
            columns.day <= last, columns.partition != LANE
        )
        for workspace_id, whose, first in connection.execute(query.group_by(columns.workspace_id, owner)):
            yield Bite(counts, workspace_id, whose, first, min(last, first + _DAYS_AT_ONCE - 1))


def fold(store: database.Database, bite: Bite) -> int:
    """Fold one bite; gives how many rows went."""
    table, counted = bite.counts.table, bite.counts.counted
    columns = table.c
    with store.writing() as connection:
        lanes = set(connection.execute(sa.select(columns.partition).where(*bite.rows()).distinct()).scalars())
        store.lock_partitions(connection, {LANE, *lanes})
        gone = connection.execute(
            sa.delete(table)
            .where(*bite.rows(), columns.partition.in_(lanes))
            .returning(columns.day, *(columns[name] for name in counted))
        ).all()
        sums: dict[int, list[int]] = {}
        for day, *numbers in gone:
            known = sums.setdefault(day, [0] * len(counted))
            sums[day] = [one + more for one, more in zip(known, numbers, strict=True)]
        rows = [
            {
                "workspace_id": bite.workspace_id,
                bite.counts.owner: bite.owner,
                "day": day,
                "partition": LANE,
                **dict(zip(counted, numbers, strict=True)),
            }
            for day, numbers in sorted(sums.items())
        ]
        if rows:
            connection.execute(_adding(connection, bite.counts), rows)
    return len(gone)


def _adding(connection: sa.Connection, counts: _Counts) -> Any:
    """An insert that adds to what is there."""
    insert = columns.inserting(connection, counts.table)
    return insert.on_conflict_do_update(
        index_elements=["workspace_id", counts.owner, "day", "partition"],
        set_={name: counts.table.c[name] + insert.excluded[name] for name in counts.counted},
    )
