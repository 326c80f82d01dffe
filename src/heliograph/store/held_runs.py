"""Runs that were to begin or to go on too long ago, and wait for an operator (a part of held.py).

Law: one that is released is due at once and is not held a second time; one that is dropped is canceled at once, and the
next turn of its partition stops those of its messages that nobody holds.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from heliograph.core import effects, ids, runs
from heliograph.store import answers, rows, schema, timers

_RUNS = schema.runs.c
_STARTS = schema.starts.c
_AUTOMATIONS = schema.automations.c


def listed(workspace_id: int, limit: int) -> sa.Select[Any]:
    """What is held, oldest first: (id, `run`, the kind of its automation, contact, no address)."""
    return (
        sa.select(
            _RUNS.id,
            sa.literal("run"),
            sa.func.coalesce(_AUTOMATIONS.kind, "run"),
            _STARTS.contact_id,
            sa.null(),
        )
        .select_from(schema.runs)
        .outerjoin(schema.automations, _AUTOMATIONS.id == _RUNS.automation_id)
        .outerjoin(schema.starts, (_STARTS.workspace_id == _RUNS.workspace_id) & (_STARTS.run_id == _RUNS.id))
        .where(_RUNS.workspace_id == workspace_id, _RUNS.status == runs.Status.HELD)
        .order_by(_RUNS.id)
        .limit(limit)
    )


def release(connection: sa.Connection, workspace_id: int, chosen: Collection[bytes], now: int) -> int:
    """Let these go on at once; gives how many of them were held."""
    found = _take(connection, workspace_id, chosen, status=runs.Status.WAITING)
    kind = int(effects.Timer.RUN)
    timers.put(connection, [rows.Timer(ids.partition_of(one), now, workspace_id, kind, one) for one in found])
    return len(found)


def drop(connection: sa.Connection, workspace_id: int, chosen: Collection[bytes], reason: str) -> int:
    """Let these end here; gives how many of them were held."""
    ended = {"status": runs.Status.CANCELED, "outcome": runs.Outcome.SKIPPED, "reason": reason}
    found = _take(connection, workspace_id, chosen, **ended)
    answers.cancel_runs(connection, workspace_id, found, b"null")
    return len(found)


def _take(
    connection: sa.Connection, workspace_id: int, chosen: Collection[bytes], **values: Any
) -> list[bytes]:
    """Those among `chosen` that were held, with their new standing."""
    changed = (
        sa.update(schema.runs)
        .where(_RUNS.workspace_id == workspace_id, _RUNS.id.in_(chosen), _RUNS.status == runs.Status.HELD)
        .values(**values)
        .returning(_RUNS.id)
    )
    return list(connection.execute(changed).scalars())
