"""Runs of journeys as people start, read and cancel them (journeys.md 1.1).

Law: a run is started by the same keyed insert as everywhere, in the caller's transaction; what is read is what stands
in the tables. The newest come first, and a page goes on where the last one ended; however many there are, and however
few of them pass, it looks at a bounded number.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import effects, journey_starts, runs
from heliograph.store import database, listings, rows, schema

_AUTOMATIONS = schema.automations.c
_RUNS = schema.runs.c
_STARTS = schema.starts.c


class Stored(NamedTuple):
    """A run, and what it was started with."""

    run: rows.Run
    start: rows.Start

    @property
    def body(self) -> journey_starts.Body:
        """What it holds."""
        return journey_starts.read_body(self.start.body)


class Filter(NamedTuple):
    """Which runs are listed; None = any."""

    statuses: Collection[runs.Status] | None = None
    automations: Collection[bytes] | None = None
    since: int | None = None
    until: int | None = None
    """The last microsecond."""
    before: bytes | None = None
    """The last run that was seen."""


def start(store: database.Database, connection: sa.Connection, launch: rows.Launch) -> bool:
    """Let a run begin; gives whether it does, or its start key is taken."""
    return bool(store.hot.start(connection.connection.driver_connection, [launch]))


def begun(connection: sa.Connection, automation_id: bytes, start_key: str | None) -> bytes | None:
    """The run that began with this start key."""
    query = sa.select(_RUNS.id).where(_RUNS.automation_id == automation_id, _RUNS.start_key == start_key)
    found: bytes | None = connection.execute(query).scalar_one_or_none()
    return found


def read(connection: sa.Connection, workspace_id: int, tenant_id: str | None, run_id: bytes) -> Stored | None:
    """A run of a journey; None where this tenant (None: the whole workspace) sees none."""
    query = _visible(workspace_id, tenant_id).where(_STARTS.run_id == run_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else _stored(row)


def listed(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    wanted: Filter,
    limit: int,
    passes: Callable[[Stored], bool] | None = None,
) -> tuple[list[Stored], bytes | None]:
    """The newest runs that pass, at most so many, and behind which run there may be more.

    `passes` is a filter that the tables do not know. Takes a connection of `listings.looking`.
    """
    if wanted.statuses is not None and not wanted.statuses:
        return [], None
    automations = _there(connection, workspace_id, wanted.automations)
    if automations is not None and not automations:
        return [], None
    along = _along(workspace_id, tenant_id, automations, wanted.statuses)
    until = None if wanted.until is None else wanted.until + 1
    order = listings.Order(after=wanted.before, limit=limit, created_from=wanted.since, created_to=until)
    found: list[Stored] = []
    looked_at = 0
    while True:
        chosen, after = listings.walk(connection, along, order)
        page = _read(connection, workspace_id, chosen)
        if passes is None:
            return page, after
        found += filter(passes, page)
        looked_at += len(page)
        if len(found) > limit:
            return found[:limit], found[limit - 1].run.id
        # A page that is not full has been looked for among as many as a page looks at.
        if after is None or len(page) < order.limit or looked_at >= along.look:
            return found, after
        order = order._replace(after=after, limit=_READ_AT_ONCE)


_READ_AT_ONCE = 500


def _there(
    connection: sa.Connection, workspace_id: int, automations: Collection[bytes] | None
) -> list[bytes] | None:
    """Those of these automations that there are, or were before they were deleted."""
    if automations is None:
        return None
    query = sa.select(_AUTOMATIONS.id).where(
        _AUTOMATIONS.workspace_id == workspace_id, _AUTOMATIONS.id.in_(automations)
    )
    return list(connection.execute(query).scalars())


def _along(
    workspace_id: int,
    tenant_id: str | None,
    automations: Sequence[bytes] | None,
    statuses: Collection[runs.Status] | None,
) -> listings.Listed:
    """The runs of these journeys, each by the index that leads to it; else all that were started, in their order."""

    def candidates(order: listings.Order, from_cursor: bool, look: int, looks: bool) -> sa.Select[Any]:
        if automations is None:
            parts = [
                sa.select(_STARTS.run_id.label("id")).where(
                    _STARTS.workspace_id == workspace_id,
                    *order.bounds(_STARTS.run_id, from_cursor=from_cursor),
                )
            ]
            column: Any = _STARTS.run_id
        else:
            column = _RUNS.id
            parts = [
                sa.select(column).where(
                    _RUNS.automation_id == one, *order.bounds(column, from_cursor=from_cursor)
                )
                for one in automations
            ]
        walked = listings.merged(order, look, [part.order_by(order.along(column)) for part in parts])
        if not looks:
            return walked
        line = walked.subquery()

        def of(column: Any, key: Any, name: str) -> Any:
            # A look-up for each, not a join: that would be planned from whatever end seems the shorter.
            here = sa.select(column).where(column.table.c.workspace_id == workspace_id, key == line.c.id)
            return here.scalar_subquery().label(name)

        return sa.select(
            line.c.id,
            of(_RUNS.status, _RUNS.id, "status"),
            of(_STARTS.door, _STARTS.run_id, "door"),
            of(_STARTS.tenant_id, _STARTS.run_id, "tenant_id"),
        )

    def filters(row: Any) -> list[sa.ColumnElement[bool]]:
        found = [row.door == int(effects.Door.JOURNEY)]
        if statuses is not None:
            found.append(row.status.in_([int(status) for status in statuses]))
        if tenant_id is not None:
            found.append(row.tenant_id == tenant_id)
        return found

    def by_creation_alone(*_: Any) -> Any:
        raise NotImplementedError

    # What is looked at is fetched from two tables.
    return listings.Listed(candidates, filters, by_creation_alone, by_creation_alone, listings.LOOK // 2)


def _read(connection: sa.Connection, workspace_id: int, chosen: Sequence[bytes]) -> list[Stored]:
    """These runs, in their order."""
    if not chosen:
        return []
    query = _visible(workspace_id, None).where(_STARTS.run_id.in_(chosen)).order_by(_STARTS.run_id.desc())
    return [_stored(row) for row in connection.execute(query)]


def _visible(workspace_id: int, tenant_id: str | None) -> sa.Select[Any]:
    query = (
        sa.select(
            *(_RUNS[name] for name in rows.Run._fields),
            *(_STARTS[name].label(f"start_{name}") for name in rows.Start._fields),
        )
        .join_from(
            schema.starts,
            schema.runs,
            (_RUNS.workspace_id == _STARTS.workspace_id) & (_RUNS.id == _STARTS.run_id),
        )
        .where(_STARTS.workspace_id == workspace_id, _STARTS.door == int(effects.Door.JOURNEY))
    )
    return query if tenant_id is None else query.where(_STARTS.tenant_id == tenant_id)


def _stored(row: Sequence[Any]) -> Stored:
    width = len(rows.Run._fields)
    return Stored(rows.Run._make(row[:width]), rows.Start._make(row[width:]))
