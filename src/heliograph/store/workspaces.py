"""Workspaces: who owns keys and data, their control record, and the version of their definitions.

Law: whoever changes a definition or the control record raises `definitions_version` in the same transaction, first of
all: that locks the workspace's row, so two changes of one workspace stand in line on both databases.
"""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph.core import control, effects
from heliograph.store import database, rows, schema, timers, webhook_secrets
from heliograph.store import safe as safes

DEFAULT = "default"

_WORKSPACES = schema.workspaces.c
_VERSIONS = schema.control_versions
_ADD = sa.text(
    "INSERT INTO workspaces (name, control_updated_at, created_at)"
    " VALUES (:name, :now, :now) ON CONFLICT (name) DO NOTHING"
)
_COUNT = sa.text(
    "INSERT INTO counters (workspace_id, kind, value) VALUES (:workspace_id, :kind, 1)"
    " ON CONFLICT (workspace_id, kind) DO UPDATE SET value = counters.value + 1 RETURNING value"
)


_MADE_IN_TURNS = frozenset({"contacts", "conversations"})
"""On PostgreSQL these take their numbers from a sequence, so that no two partitions wait for each other."""


def find(connection: sa.Connection, name: str) -> int | None:
    """The id of a workspace by its name; None where there is none."""
    found: int | None = connection.execute(
        sa.select(_WORKSPACES.id).where(_WORKSPACES.name == name)
    ).scalar_one_or_none()
    return found


def ensure(connection: sa.Connection, name: str, now: int, safe: safes.Safe | None = None) -> int:
    """The id of a workspace by its name; it is made where there is none, its secret locked by the `safe`."""
    found = find(connection, name)
    if found is not None:
        return found
    connection.execute(_ADD, {"name": name, "now": now})
    made = int(connection.execute(sa.select(_WORKSPACES.id).where(_WORKSPACES.name == name)).scalar_one())
    webhook_secrets.draw(connection, made, safe or safes.Safe())
    return made


def names(connection: sa.Connection) -> list[str]:
    """The names of all workspaces, in the order in which they were made."""
    return list(connection.execute(sa.select(_WORKSPACES.name).order_by(_WORKSPACES.id)).scalars())


def raise_version(connection: sa.Connection, workspace_id: int) -> None:
    """Let every turn read the definitions again; call it before the change, in its transaction."""
    connection.execute(
        sa.update(schema.workspaces)
        .where(_WORKSPACES.id == workspace_id)
        .values(definitions_version=_WORKSPACES.definitions_version + 1)
    )


def next_number(connection: sa.Connection, workspace_id: int, kind: str) -> int:
    """The next `number` of this kind (`contacts`, `api_keys` …) in this workspace, from 1 on."""
    if kind in _MADE_IN_TURNS and connection.dialect.name == "postgresql":
        return int(connection.execute(sa.text("SELECT nextval('person_numbers')")).scalar_one())
    return int(connection.execute(_COUNT, {"workspace_id": workspace_id, "kind": kind}).scalar_one())


def settings(connection: sa.Connection, workspace_id: int) -> dict[str, Any]:
    """What a workspace says that goes before the program's own settings."""
    stored = connection.execute(
        sa.select(_WORKSPACES.settings).where(_WORKSPACES.id == workspace_id)
    ).scalar_one()
    return dict(msgspec.json.decode(stored) or {})


# ── the control record ──────────────────────────────────────────────────────────────────────────────


def read_control(connection: sa.Connection, workspace_id: int) -> control.Control:
    """The control record as it is stored; what holds now is `control.effective`."""
    row = connection.execute(
        sa.select(
            _WORKSPACES.is_paused,
            _WORKSPACES.pause_reason,
            _WORKSPACES.paused_until,
            _WORKSPACES.hold_deliveries,
            _WORKSPACES.sandbox,
            _WORKSPACES.control_updated_at,
            _WORKSPACES.control_updated_by,
        ).where(_WORKSPACES.id == workspace_id)
    ).one()
    return control.Control(
        is_paused=bool(row.is_paused),
        pause_reason=row.pause_reason,
        paused_until=row.paused_until,
        hold_deliveries=bool(row.hold_deliveries),
        sandbox=bool(row.sandbox),
        updated_at=row.control_updated_at,
        updated_by=row.control_updated_by,
    )


def write_control(connection: sa.Connection, workspace_id: int, changed: control.Control) -> None:
    """Store the control record, and its version from `updated_at` on; the caller has raised the version."""
    ended_at: sa.ColumnElement[int] = _WORKSPACES.pause_ended_at
    if not changed.is_paused:
        ran_out = (_WORKSPACES.paused_until < changed.updated_at, _WORKSPACES.paused_until)
        ended_at = sa.case((~_WORKSPACES.is_paused, ended_at), ran_out, else_=changed.updated_at)
    connection.execute(
        sa.update(schema.workspaces)
        .where(_WORKSPACES.id == workspace_id)
        .values(
            is_paused=changed.is_paused,
            pause_reason=changed.pause_reason,
            paused_until=changed.paused_until,
            pause_ended_at=ended_at,
            hold_deliveries=changed.hold_deliveries,
            sandbox=changed.sandbox,
            control_updated_at=changed.updated_at,
            control_updated_by=changed.updated_by,
        )
    )
    # Two changes in one microsecond: no event was decided between them, so the later one is the version.
    version = {"workspace_id": workspace_id, "valid_from": changed.updated_at}
    connection.execute(sa.delete(_VERSIONS).filter_by(**version))
    connection.execute(sa.insert(_VERSIONS).values(**version, control=msgspec.json.encode(changed)))


def free_line(store: database.Database, connection: sa.Connection, workspace_id: int, now: int) -> None:
    """Let a turn tell its delivery that what a hold kept in line may go, and the commit every other worker."""
    store.tell_line_moves(connection)
    timers.put(connection, [rows.Timer(0, now, workspace_id, int(effects.Timer.LINE), bytes(16))])
