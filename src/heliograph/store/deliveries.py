"""Deliveries as figures: how many, and how long after their event.

Law: reading alone, over all of a workspace: for a summary now and then, not for every request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import effects, ids, messages
from heliograph.store import schema

_MESSAGES = schema.messages.c
_EVENTS = schema.events.c
_RUNS = schema.runs.c
_TAKEN = sorted(messages.TAKEN)


class Tally(NamedTuple):
    """What a workspace has been through."""

    events: int
    """That came in from outside."""
    emitted: int
    """That rules let come in."""
    runs: int
    states: Mapping[tuple[effects.Kind, messages.State], int]
    """How many messages and calls stand how."""

    def accepted(self, kind: effects.Kind) -> int:
        """How many messages, or calls, the outside took."""
        return sum(self.states.get((kind, state), 0) for state in messages.TAKEN)


def tally(connection: sa.Connection, workspace_id: int) -> Tally:
    """Everything counted."""
    outside = _count(connection, schema.events, _EVENTS.workspace_id == workspace_id, _EVENTS.depth == 0)
    emitted = _count(connection, schema.events, _EVENTS.workspace_id == workspace_id, _EVENTS.depth > 0)
    ran = _count(connection, schema.runs, _RUNS.workspace_id == workspace_id)
    states = connection.execute(
        sa.select(_MESSAGES.kind, _MESSAGES.state, sa.func.count())
        .where(_MESSAGES.workspace_id == workspace_id)
        .group_by(_MESSAGES.kind, _MESSAGES.state)
    )
    counted = {(effects.Kind(kind), messages.State(state)): count for kind, state, count in states}
    return Tally(outside, emitted, ran, counted)


def _count(connection: sa.Connection, table: sa.Table, *clauses: sa.ColumnElement[Any]) -> int:
    return connection.execute(sa.select(sa.func.count()).select_from(table).where(*clauses)).scalar_one()


def last_settled_at(connection: sa.Connection, workspace_id: int) -> int | None:
    """When the last answer of the outside was stored (µs)."""
    found: int | None = connection.execute(
        sa.select(sa.func.max(_MESSAGES.settled_at)).where(_MESSAGES.workspace_id == workspace_id)
    ).scalar_one()
    return found


def delays(connection: sa.Connection, workspace_id: int, since: int) -> list[int]:
    """How long (µs) after its event each message to a person was taken, for events from the instant `since` on."""
    found = connection.execute(
        sa.select(_MESSAGES.event_id, _MESSAGES.attempts).where(
            _MESSAGES.workspace_id == workspace_id,
            _MESSAGES.id >= ids.head(since) + bytes(8),
            _MESSAGES.kind == effects.Kind.MESSAGE,
            _MESSAGES.state.in_(_TAKEN),
            _MESSAGES.event_id.is_not(None),
        )
    )
    made = []
    for event_id, attempts in found:
        taken_at = messages.read_attempts(attempts)[-1].settled_at
        came_at = ids.created_at(event_id)
        if taken_at is not None and came_at >= since:
            made.append(taken_at - came_at)
    return made


def an_event_answered(connection: sa.Connection, workspace_id: int, template_id: str) -> bytes | None:
    """An event to which somebody was sent this template; None where there is none."""
    found: bytes | None = connection.execute(
        sa.select(_MESSAGES.event_id)
        .where(
            _MESSAGES.workspace_id == workspace_id,
            _MESSAGES.template_id == template_id,
            _MESSAGES.state.in_(_TAKEN),
        )
        .order_by(_MESSAGES.id)
        .limit(1)
    ).scalar_one_or_none()
    return found
