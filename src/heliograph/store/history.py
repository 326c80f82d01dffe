"""History: events and runs as they are read back, and the whole story of an event.

Law: reading, and one write: the retry of a failed event. Rows become the words of core.explain here. The runs of an
event lie side by side under its decision's instant (core/ids.py), so they need no index of their own. Instants of
creation are read from ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from heliograph.core import (
    considerations,
    control,
    effects,
    events,
    explain,
    ids,
    journeys,
    rules,
    runs,
    schedule,
)
from heliograph.store import messages, rows, schema, statistics, timers, versions, workspaces

_EVENTS = schema.events.c
_DECISIONS = schema.decisions.c
_RUNS = schema.runs.c
_VERSIONS = schema.automation_versions.c

_decode = msgspec.json.Decoder().decode

# ── events ──────────────────────────────────────────────────────────────────────────────────────────


def read_event(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, event_id: bytes
) -> explain.Event | None:
    """An event with what became of it; None where this tenant (None: the whole workspace) sees none."""
    row = _event_row(connection, workspace_id, tenant_id, event_id)
    return None if row is None else _event(row)


def retry_event(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, event_id: bytes, now: int
) -> bool:
    """Let a failed event be tried again at once; whether there was one that had failed."""
    row = _event_row(connection, workspace_id, tenant_id, event_id)
    if row is None:
        return False
    changed = connection.execute(
        sa.update(schema.decisions)
        .where(
            _DECISIONS.workspace_id == workspace_id,
            _DECISIONS.event_id == event_id,
            _DECISIONS.status == events.State.FAILED,
        )
        .values(status=events.State.PENDING, available_at=now, decided_at=None)
    )
    if changed.rowcount == 1:
        statistics.recount(connection, workspace_id, (event_id,), failed=-1)
        timer = rows.Timer(row.partition, now, workspace_id, int(effects.Timer.EVENT), event_id)
        timers.put(connection, [timer])
    return changed.rowcount == 1


def read_events(
    connection: sa.Connection, workspace_id: int, identities: Sequence[bytes]
) -> list[explain.Event]:
    """These events, in the order in which they are named."""
    found = connection.execute(_event_query(workspace_id).where(_EVENTS.id.in_(identities)))
    by_id = {row.id: _event(row) for row in found}
    return [by_id[identity] for identity in identities if identity in by_id]


def _event_row(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, event_id: bytes
) -> sa.Row[Any] | None:
    query = _event_query(workspace_id).where(_EVENTS.id == event_id)
    if tenant_id is not None:
        query = query.where(_EVENTS.tenant_id == tenant_id)
    return connection.execute(query).one_or_none()


def _event_query(workspace_id: int) -> sa.Select[Any]:
    return (
        sa.select(
            schema.events,
            _DECISIONS.status,
            _DECISIONS.attempts,
            _DECISIONS.available_at,
            _DECISIONS.decided_at,
            _DECISIONS.definitions_version,
            _DECISIONS.error,
        )
        .join_from(
            schema.events,
            schema.decisions,
            (_DECISIONS.workspace_id == _EVENTS.workspace_id) & (_DECISIONS.event_id == _EVENTS.id),
            isouter=True,
        )
        .where(_EVENTS.workspace_id == workspace_id)
    )


def _event(row: sa.Row[Any]) -> explain.Event:
    payload = _decode(row.payload)
    created_at = ids.created_at(row.id)
    return explain.Event(
        id=ids.text(row.id),
        event_type=row.event_type,
        contact_id=row.contact_id,
        conversation_id=row.conversation_id,
        source=row.source,
        channel_source=row.channel_source,
        payload=payload,
        previous=None if row.previous is None else _decode(row.previous),
        payload_hash=events.fingerprint(payload),
        status=_status(row.status),
        attempts=row.attempts or 0,
        available_at=schedule.write_instant(row.available_at or created_at),
        occurred_at=explain.instant(row.occurred_at),
        created_at=schedule.write_instant(created_at),
        processed_at=explain.instant(row.decided_at),
        error=row.error,
    )


def _status(state: int | None) -> explain.EventStatus:
    """What has no decision yet is pending, and so is what is held until an operator lets it go."""
    if state == events.State.PROCESSED:
        return "processed"
    return "failed" if state == events.State.FAILED else "pending"


# ── runs ────────────────────────────────────────────────────────────────────────────────────────────


def read_run(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, run_id: bytes
) -> explain.Run | None:
    """A run of a rule; None where this tenant (None: the whole workspace) sees none."""
    query = _run_query(workspace_id).where(_RUNS.id == run_id)
    if tenant_id is not None:
        query = query.where(_EVENTS.tenant_id == tenant_id)
    found = _run_list(connection, connection.execute(query))
    return found[0] if found else None


def read_runs(connection: sa.Connection, workspace_id: int, identities: Sequence[bytes]) -> list[explain.Run]:
    """These runs of rules, in the order in which they are named."""
    found = connection.execute(_run_query(workspace_id).where(_RUNS.id.in_(identities)))
    by_id = {run.id: run for run in _run_list(connection, found)}
    return [by_id[text] for text in map(ids.text, identities) if text in by_id]


def span_of_event(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, event_id: bytes
) -> tuple[bytes, bytes] | None:
    """The ids between which the runs of an event lie; None where this tenant sees no event that was decided."""
    row = _event_row(connection, workspace_id, tenant_id, event_id)
    return None if row is None or row.decided_at is None else ids.runs_of(event_id, ids.head(row.decided_at))


def _run_query(workspace_id: int) -> sa.Select[Any]:
    return (
        sa.select(
            schema.runs,
            _EVENTS.event_type,
            _EVENTS.source,
            _EVENTS.channel_source,
            _EVENTS.contact_id,
            _EVENTS.conversation_id,
            _DECISIONS.status.label("event_state"),
        )
        .join_from(
            schema.runs,
            schema.events,
            (_EVENTS.workspace_id == _RUNS.workspace_id) & (_EVENTS.id == _RUNS.event_id),
        )
        .join(
            schema.decisions,
            (_DECISIONS.workspace_id == _RUNS.workspace_id) & (_DECISIONS.event_id == _RUNS.event_id),
            isouter=True,
        )
        # A run with a start key is of another door than the rules'.
        .where(_RUNS.workspace_id == workspace_id, _RUNS.start_key.is_(None))
    )


def _run_list(connection: sa.Connection, found: Iterable[sa.Row[Any]]) -> list[explain.Run]:
    known: dict[tuple[bytes, int], rules.Definition] = {}
    made = []
    for row in found:
        key = (row.automation_id, row.version)
        if key not in known:
            known[key] = _definition_of(connection, *key)
        made.append(_run(row, known[key]))
    return made


def _definition_of(connection: sa.Connection, automation_id: bytes, version: int) -> rules.Definition:
    found = journeys.rule_in(
        connection.execute(
            sa.select(_VERSIONS.definition).where(
                _VERSIONS.automation_id == automation_id, _VERSIONS.version == version
            )
        ).scalar_one()
    )
    assert found is not None, "a run of a journey's trigger has one"
    return found


def _run(row: sa.Row[Any], definition: rules.Definition) -> explain.Run:
    return explain.Run(
        id=ids.text(row.id),
        event_id=ids.text(row.event_id),
        rule_id=ids.text(row.automation_id),
        rule_name=definition.name,
        rule_version=row.version,
        event_type=row.event_type,
        event_source=row.source,
        event_status=_status(row.event_state),
        conversation_id=row.conversation_id,
        contact_id=row.contact_id,
        channel_source=row.channel_source,
        matched=row.outcome in runs.MATCHED,
        executed=row.outcome == runs.Outcome.EXECUTED,
        result=explain.result(
            definition,
            row.outcome,
            row.reason,
            row.trace,
            runs.read(row.state),
            explain.Subject(row.automation_id, row.event_id, row.contact_id, row.conversation_id),
        ),
        created_at=schedule.write_instant(ids.created_at(row.id)),
    )


# ── the whole story ─────────────────────────────────────────────────────────────────────────────────


def explain_event(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, event_id: bytes, now: int
) -> explain.Explanation | None:
    """An event, what became of every rule of its type, and every message with its attempts; None where there is none.

    Of an event that was decided it speaks by the rules of that moment, of one that waits by those of now.
    """
    row = _event_row(connection, workspace_id, tenant_id, event_id)
    if row is None:
        return None
    event = _event(row)
    waits = row.status in (None, events.State.PENDING, events.State.HELD)
    pause = workspaces.read_control(connection, workspace_id) if waits else None
    moment = considerations.Moment(
        event,
        None if waits else row.decided_at,
        pause if pause is not None and control.is_paused(pause, now) else None,
    )
    ran = [] if row.decided_at is None else _rows_of_event(connection, workspace_id, row)
    asked_at = {record.started_at for one in ran for record in runs.read(one.state)}
    return explain.Explanation(
        event=event,
        rules=considerations.accounts(
            moment,
            _candidates(connection, workspace_id, row, ran, None if waits else row.decided_at),
            _run_list(connection, ran),
        ),
        messages=messages.of_event(connection, workspace_id, event_id, asked_at),
    )


def _rows_of_event(connection: sa.Connection, workspace_id: int, event: sa.Row[Any]) -> Sequence[sa.Row[Any]]:
    query = _run_query(workspace_id).where(
        _RUNS.id.between(*ids.runs_of(event.id, ids.head(event.decided_at))), _RUNS.event_id == event.id
    )
    return connection.execute(query.order_by(_RUNS.id)).all()


_FOR_EVER = 2**62


def _candidates(
    connection: sa.Connection,
    workspace_id: int,
    event: sa.Row[Any],
    ran: Sequence[sa.Row[Any]],
    decided_at: int | None,
) -> list[considerations.Candidate]:
    """The rules that an event meets, as they are (None) or as they were when it was decided."""
    by = (_FOR_EVER, _FOR_EVER) if decided_at is None else (event.definitions_version, decided_at)
    found: dict[bytes, considerations.Candidate] = {}
    for one in versions.at(connection, workspace_id, *by):
        definition = journeys.rule_in(one.definition) if one.tenant_id in (None, event.tenant_id) else None
        if definition is not None and definition.trigger_type == event.event_type:
            kind: Literal["rule", "journey"] = "rule" if one.kind == "rule" else "journey"
            found[one.id] = considerations.Candidate(one.id, kind, one.version, one.created_at, definition)
    for row in ran:
        # What it ran by is known better than by any clock.
        known = found.get(row.automation_id)
        if known is None or known.version != row.version:
            definition = _definition_of(connection, row.automation_id, row.version)
            kind, created_at = ("rule", 0) if known is None else (known.kind, known.created_at)
            found[row.automation_id] = considerations.Candidate(
                row.automation_id, kind, row.version, created_at, definition
            )
    return list(found.values())
