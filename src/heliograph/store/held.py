"""What was due for too long, and waits for an operator: let go, or dropped (engine.md E33).

Law: what is released goes on as if it had just become due, and is not held a second time: of a message it is asked
again whether its recipient wants it, and now. What is dropped ends at once, and a run that waits for it is told. Nobody
else touches what is held.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import effects, events, ids, messages
from heliograph.store import answers, batches, held_runs, rows, schema, statistics, timers

_MESSAGES = schema.messages.c
_DECISIONS = schema.decisions.c
_EVENTS = schema.events.c
DROPPED = "dropped by an operator"


class Held(NamedTuple):
    """One thing that is held."""

    id: bytes
    what: str
    """`event`, `message`, `run` or `batch`."""
    about: str
    """The event's type, the message's channel, the kind of the run's automation, or the batch's key."""
    contact_id: str | None
    address: str | None

    @property
    def created_at(self) -> int:
        """When it came in, or was decided on (µs)."""
        return ids.created_at(self.id)


def listed(connection: sa.Connection, workspace_id: int, limit: int) -> list[Held]:
    """What is held in a workspace, oldest first, at most so many of each kind."""
    of_events = (
        sa.select(_EVENTS.id, sa.literal("event"), _EVENTS.event_type, _EVENTS.contact_id, sa.null())
        .join_from(
            schema.decisions,
            schema.events,
            (_EVENTS.workspace_id == _DECISIONS.workspace_id) & (_EVENTS.id == _DECISIONS.event_id),
        )
        .where(_DECISIONS.workspace_id == workspace_id, _DECISIONS.status == events.State.HELD)
        .order_by(_EVENTS.id)
        .limit(limit)
    )
    of_messages = (
        sa.select(
            _MESSAGES.id, sa.literal("message"), _MESSAGES.channel, _MESSAGES.contact_id, _MESSAGES.address
        )
        .where(_MESSAGES.workspace_id == workspace_id, _MESSAGES.state == messages.State.HELD)
        .order_by(_MESSAGES.id)
        .limit(limit)
    )
    queries = (
        of_events,
        of_messages,
        held_runs.listed(workspace_id, limit),
        batches.held(workspace_id, limit),
    )
    found = [Held._make(row) for query in queries for row in connection.execute(query)]
    return sorted(found)


def release(connection: sa.Connection, workspace_id: int, chosen: Collection[bytes], now: int) -> int:
    """Put these back in line, of whatever kind; gives how many of them were held."""
    return (
        _release_messages(connection, workspace_id, chosen)
        + _release_events(connection, workspace_id, chosen, now)
        + held_runs.release(connection, workspace_id, chosen, now)
        + batches.release(connection, workspace_id, chosen)
    )


def drop(connection: sa.Connection, workspace_id: int, chosen: Collection[bytes], now: int) -> int:
    """Let these end here, of whatever kind; gives how many of them were held."""
    return (
        _drop_messages(connection, workspace_id, chosen, now)
        + _drop_events(connection, workspace_id, chosen, now)
        + held_runs.drop(connection, workspace_id, chosen, DROPPED)
        + batches.drop(connection, workspace_id, chosen)
    )


# ── messages ────────────────────────────────────────────────────────────────────────────────────────


def _release_messages(connection: sa.Connection, workspace_id: int, chosen: Collection[bytes]) -> int:
    held, state = messages.State.HELD, messages.State.PLANNED
    # A delivery had them in hand, so they have attempts, though it be none: caps count them no more.
    found = answers.change(connection, workspace_id, chosen, held, state, error=None)
    answers.let_go(connection, workspace_id, found)
    return len(found)


def _drop_messages(connection: sa.Connection, workspace_id: int, chosen: Collection[bytes], now: int) -> int:
    held, state = messages.State.HELD, messages.State.CANCELED
    found = answers.change(connection, workspace_id, chosen, held, state, error=DROPPED, settled_at=now)
    answers.tell(connection, workspace_id, found, state, DROPPED)
    return len(found)


# ── events ──────────────────────────────────────────────────────────────────────────────────────────


def _release_events(connection: sa.Connection, workspace_id: int, chosen: Collection[bytes], now: int) -> int:
    # As a failed event that is tried again: by its timer, due since it came in, a turn knows that it has been
    # looked at before.
    found = _take_events(
        connection,
        workspace_id,
        chosen,
        status=events.State.PENDING,
        attempts=0,
        available_at=now,
        error=None,
    )
    kind = int(effects.Timer.EVENT)
    timers.put(
        connection,
        [rows.Timer(ids.partition_of(one), ids.created_at(one), workspace_id, kind, one) for one in found],
    )
    return len(found)


def _drop_events(connection: sa.Connection, workspace_id: int, chosen: Collection[bytes], now: int) -> int:
    found = _take_events(
        connection, workspace_id, chosen, status=events.State.PROCESSED, decided_at=now, error=DROPPED
    )
    statistics.recount(connection, workspace_id, found, processed=1)
    return len(found)


def _take_events(
    connection: sa.Connection, workspace_id: int, chosen: Collection[bytes], **values: Any
) -> list[bytes]:
    """The events among `chosen` that were held, with their new status."""
    changed = (
        sa.update(schema.decisions)
        .where(
            _DECISIONS.workspace_id == workspace_id,
            _DECISIONS.event_id.in_(chosen),
            _DECISIONS.status == events.State.HELD,
        )
        .values(**values)
        .returning(_DECISIONS.event_id)
    )
    return list(connection.execute(changed).scalars())
