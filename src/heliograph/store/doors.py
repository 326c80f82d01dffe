"""The doors as figures: what each kind of automation started, and what one person received.

Law: reading alone, over all of a workspace: for a summary now and then, not for every request.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import effects, messages
from heliograph.store import schema

_AUTOMATIONS = schema.automations.c
_MESSAGES = schema.messages.c
_RUNS = schema.runs.c


class Door(NamedTuple):
    """One kind of automation."""

    kind: str
    runs: int
    messages: int
    """To people."""
    accepted: int


class Received(NamedTuple):
    """A message that the outside took."""

    at: int
    """When its answer was stored (µs)."""
    kind: str
    """Of the automation."""
    name: str
    """The automation's."""


def passed(connection: sa.Connection, workspace_id: int) -> list[Door]:
    """What came through each door, those with nothing left out."""
    runs = _by_kind(connection, workspace_id, schema.runs, _RUNS.automation_id)
    people = _MESSAGES.kind == effects.Kind.MESSAGE
    made = _by_kind(connection, workspace_id, schema.messages, _MESSAGES.automation_id, people)
    taken = _MESSAGES.state == messages.State.ACCEPTED
    accepted = _by_kind(connection, workspace_id, schema.messages, _MESSAGES.automation_id, people & taken)
    return [
        Door(kind, runs.get(kind, 0), made.get(kind, 0), accepted.get(kind, 0))
        for kind in sorted(runs.keys() | made.keys())
    ]


def _by_kind(
    connection: sa.Connection,
    workspace_id: int,
    table: sa.Table,
    automation_id: sa.ColumnElement[bytes],
    wanted: sa.ColumnElement[bool] | None = None,
) -> dict[str, int]:
    query = (
        sa.select(_AUTOMATIONS.kind, sa.func.count())
        .select_from(table.join(schema.automations, _AUTOMATIONS.id == automation_id))
        .where(table.c.workspace_id == workspace_id, sa.true() if wanted is None else wanted)
        .group_by(_AUTOMATIONS.kind)
    )
    return {row[0]: row[1] for row in connection.execute(query)}


def much_written_to(connection: sa.Connection, workspace_id: int) -> str | None:
    """Somebody who heard from as many doors as anybody; of several, who was written to least."""
    found: str | None = connection.execute(
        sa.select(_MESSAGES.contact_id)
        .join(schema.automations, _AUTOMATIONS.id == _MESSAGES.automation_id)
        .where(
            _MESSAGES.workspace_id == workspace_id,
            _MESSAGES.contact_id.is_not(None),
            _MESSAGES.state == messages.State.ACCEPTED,
        )
        .group_by(_MESSAGES.contact_id)
        .order_by(
            sa.func.count(sa.distinct(_AUTOMATIONS.kind)).desc(),
            sa.func.count(sa.distinct(_AUTOMATIONS.id)).desc(),
            sa.func.count(),
            _MESSAGES.contact_id,
        )
        .limit(1)
    ).scalar_one_or_none()
    return found


def received(connection: sa.Connection, workspace_id: int, contact_id: str) -> list[Received]:
    """What somebody received, oldest first."""
    found = connection.execute(
        sa.select(_MESSAGES.settled_at, _AUTOMATIONS.kind, _AUTOMATIONS.definition)
        .join(schema.automations, _AUTOMATIONS.id == _MESSAGES.automation_id)
        .where(
            _MESSAGES.workspace_id == workspace_id,
            _MESSAGES.contact_id == contact_id,
            _MESSAGES.state == messages.State.ACCEPTED,
        )
        .order_by(_MESSAGES.settled_at, _MESSAGES.id)
    )
    return [Received(at, kind, _name(definition)) for at, kind, definition in found]


def _name(definition: bytes | str) -> str:
    return str(msgspec.json.decode(definition).get("name", ""))
