"""Runs of journeys as people start, read and cancel them (journeys.md 1.1).

Law: a run is started by the same keyed insert as everywhere, in the caller's transaction; what is read is what stands
in the tables. The newest come first, and a page goes on where the last one ended.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import effects, ids, journey_starts, runs
from heliograph.store import database, rows, schema

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
    """Which runs are listed."""

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
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, wanted: Filter, limit: int
) -> list[Stored]:
    """The newest runs that pass, at most so many."""
    query = _visible(workspace_id, tenant_id).order_by(_STARTS.run_id.desc()).limit(limit)
    if wanted.statuses is not None:
        query = query.where(_RUNS.status.in_([int(status) for status in wanted.statuses]))
    if wanted.automations is not None:
        query = query.where(_RUNS.automation_id.in_(wanted.automations))
    if wanted.since is not None:
        query = query.where(_STARTS.run_id >= ids.head(wanted.since) + bytes(8))
    if wanted.until is not None:
        query = query.where(_STARTS.run_id <= ids.head(wanted.until) + b"\xff" * 8)
    if wanted.before is not None:
        query = query.where(_STARTS.run_id < wanted.before)
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
