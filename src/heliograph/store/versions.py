"""Versions of automations: each change of a definition is one, kept for ever with the instant from which it holds.

Law: whatever kind an automation is, its row says how it is now, and each version what it said from when on; both are
written from the same value in the caller's transaction (engine.md E27). A version also names the `definitions_version`
of the workspace from which it holds, as decisions name the one that they went by: so what an event met can be told
exactly, whatever the clocks of several machines say. Versions of before that was kept are told by their instant.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import msgspec
import sqlalchemy as sa

from heliograph.store import schema

_VERSIONS = schema.automation_versions.c
_AUTOMATIONS = schema.automations.c
_WORKSPACES = schema.workspaces.c
HEAD = tuple(
    _AUTOMATIONS[name]
    for name in ("id", "tenant_id", "number", "version", "created_at", "updated_at", "definition")
)
"""How an automation is now, of whatever kind; its definition last."""
TOMBSTONE = b"null"
"""What stands instead of a definition where an automation was deleted."""


class Version(NamedTuple):
    """An automation as it was at some moment."""

    id: bytes
    kind: str
    tenant_id: str | None
    created_at: int
    version: int
    definition: bytes | str


class Versioned(Protocol):
    """An automation of any kind, in one version."""

    @property
    def id(self) -> bytes:
        """Its id."""

    @property
    def tenant_id(self) -> str | None:
        """Whose it is; None: the whole workspace's."""

    @property
    def number(self) -> int:
        """What it is called by where ids are numbers."""

    @property
    def version(self) -> int:
        """The number of this version, from 1 on."""

    @property
    def created_at(self) -> int:
        """When the first version began (µs)."""

    @property
    def updated_at(self) -> int:
        """When this version began (µs)."""

    @property
    def definition(self) -> msgspec.Struct:
        """What it says."""


def visible(workspace_id: int, tenant_id: str | None, kind: str) -> sa.Select[Any]:
    """The HEAD of the automations of a kind that this tenant (None: the whole workspace) may see."""
    query = sa.select(*HEAD).where(
        _AUTOMATIONS.workspace_id == workspace_id,
        _AUTOMATIONS.kind == kind,
        _AUTOMATIONS.deleted_at.is_(None),
    )
    return query if tenant_id is None else query.where(_AUTOMATIONS.tenant_id == tenant_id)


def columns(one: Versioned) -> dict[str, Any]:
    """What a row of `automations` says of this version, whatever kind it is."""
    return {
        "id": one.id,
        "version": one.version,
        "definition": msgspec.json.encode(one.definition),
        "updated_at": one.updated_at,
    }


def create(
    connection: sa.Connection, workspace_id: int, kind: str, one: Versioned, trigger_type: str | None = None
) -> None:
    """Store a new automation with its first version; the caller has raised the workspace's `definitions_version`."""
    connection.execute(
        sa.insert(schema.automations).values(
            **columns(one),
            workspace_id=workspace_id,
            kind=kind,
            tenant_id=one.tenant_id,
            trigger_type=trigger_type,
            number=one.number,
            created_at=one.created_at,
        )
    )
    add(connection, workspace_id, one)


def add(connection: sa.Connection, workspace_id: int, one: Versioned) -> None:
    """Keep this version; the caller has raised the workspace's `definitions_version`."""
    written = msgspec.json.encode(one.definition)
    _put(connection, workspace_id, one.id, one.version, one.updated_at, written)


def bury(connection: sa.Connection, workspace_id: int, one: Versioned, now: int) -> None:
    """Let an automation be gone from now on, as the version after its last one."""
    version, gone_at = one.version + 1, max(now, one.updated_at)
    connection.execute(
        sa.update(schema.automations)
        .where(_AUTOMATIONS.id == one.id)
        .values(version=version, deleted_at=gone_at, updated_at=gone_at)
    )
    _put(connection, workspace_id, one.id, version, gone_at, TOMBSTONE)


def _put(
    connection: sa.Connection,
    workspace_id: int,
    automation_id: bytes,
    version: int,
    valid_from: int,
    definition: bytes,
) -> None:
    current = sa.select(_WORKSPACES.definitions_version).where(_WORKSPACES.id == workspace_id)
    connection.execute(
        sa.insert(schema.automation_versions).values(
            automation_id=automation_id,
            version=version,
            workspace_id=workspace_id,
            valid_from=valid_from,
            definition=definition,
            definitions_version=current.scalar_subquery(),
        )
    )


def at(connection: sa.Connection, workspace_id: int, definitions_version: int, instant: int) -> list[Version]:
    """The rules and journeys that were there by a version of the definitions; `instant` tells it of old versions."""
    newest = (
        sa.select(_VERSIONS.automation_id, sa.func.max(_VERSIONS.version).label("version"))
        .join_from(
            schema.automations,
            schema.automation_versions,
            _VERSIONS.automation_id == _AUTOMATIONS.id,
        )
        .where(
            _AUTOMATIONS.workspace_id == workspace_id,
            _AUTOMATIONS.kind.in_(("rule", "journey")),
            sa.or_(
                _VERSIONS.definitions_version <= definitions_version,
                _VERSIONS.definitions_version.is_(None) & (_VERSIONS.valid_from <= instant),
            ),
        )
        .group_by(_VERSIONS.automation_id)
        .subquery()
    )
    query = (
        sa.select(
            _AUTOMATIONS.id,
            _AUTOMATIONS.kind,
            _AUTOMATIONS.tenant_id,
            _AUTOMATIONS.created_at,
            _VERSIONS.version,
            _VERSIONS.definition,
        )
        .join_from(newest, schema.automations, _AUTOMATIONS.id == newest.c.automation_id)
        .join(
            schema.automation_versions,
            (_VERSIONS.automation_id == newest.c.automation_id) & (_VERSIONS.version == newest.c.version),
        )
    )
    return [Version._make(row) for row in connection.execute(query) if not is_tombstone(row.definition)]


def is_tombstone(definition: bytes | str) -> bool:
    """Whether this stands for an automation that was deleted."""
    return definition in (TOMBSTONE, TOMBSTONE.decode())
