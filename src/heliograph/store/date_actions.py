"""What date automations have queued, as people read it: for whom, for which year, and how it stands.

Law: an action is the run that the calendar started; nothing is kept of it beside. What a deleted automation has queued
is aborted from then on, though its run hears of it only when its time comes (engine.md E22).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import runs
from heliograph.store import dates, rows, schema

_AUTOMATIONS = schema.automations.c
_RUNS = schema.runs.c
_STARTS = schema.starts.c
_kept = msgspec.json.Decoder(dates.Kept)


class Action(NamedTuple):
    """One thing that was queued."""

    run: rows.Run
    start: rows.Start
    is_aborted: bool
    """Whether its automation was deleted before its time came."""


class Page(NamedTuple):
    """Where a page begins, and which way it goes."""

    size: int
    first: bytes | None = None
    reverse: bool = False


def listed(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    number: int,
    page: Page,
    is_seen: Callable[[dates.Kept], bool],
) -> list[Action] | None:
    """What one has queued, in that order, one more than fills the page; None where whoever asks sees no such one.

    One that was deleted is told of too.
    """
    mine = [] if tenant_id is None else [_AUTOMATIONS.tenant_id == tenant_id]
    found = connection.execute(
        sa.select(_AUTOMATIONS.id, _AUTOMATIONS.deleted_at, _AUTOMATIONS.definition).where(
            _AUTOMATIONS.workspace_id == workspace_id,
            _AUTOMATIONS.kind == dates.KIND,
            _AUTOMATIONS.number == number,
            *mine,
        )
    ).one_or_none()
    if found is None:
        return None
    kept = _kept.decode(found.definition)
    if not is_seen(kept):
        return None
    query = sa.select(*(_RUNS[name] for name in rows.Run._fields)).where(_RUNS.automation_id == found.id)
    if page.first is not None:
        query = query.where(_RUNS.id <= page.first if page.reverse else _RUNS.id >= page.first)
    query = query.order_by(_RUNS.id.desc() if page.reverse else _RUNS.id).limit(page.size + 1)
    queued = [rows.Run._make(row) for row in connection.execute(query)]
    starts = _starts(connection, workspace_id, queued)
    return [
        Action(run, starts[run.id], _is_aborted(run, found.deleted_at, kept.first_version))
        for run in queued
        if run.id in starts
    ]


def _is_aborted(run: rows.Run, deleted_at: int | None, first_version: int) -> bool:
    is_queued = run.status in (runs.Status.WAITING, runs.Status.HELD) and not runs.read(run.state)
    return is_queued and (deleted_at is not None or run.version < first_version)


def _starts(connection: sa.Connection, workspace_id: int, queued: list[rows.Run]) -> dict[bytes, rows.Start]:
    query: sa.Select[Any] = sa.select(*(_STARTS[name] for name in rows.Start._fields)).where(
        _STARTS.workspace_id == workspace_id, _STARTS.run_id.in_([run.id for run in queued])
    )
    return {row.run_id: rows.Start._make(row) for row in connection.execute(query)}
