"""What the engine reads of definitions: once for each version, never by time.

Law: reading only, in one look; whoever changes a definition raises the workspace's `definitions_version`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import sqlalchemy as sa

from heliograph.store import schema


class StoredRule(NamedTuple):
    """A rule as it is stored; `definition` is the JSON of core.rules.Definition."""

    id: bytes
    version: int
    tenant_id: str | None
    created_at: int
    definition: bytes | str


class Definitions(NamedTuple):
    """Everything that a workspace's turns need to know beforehand."""

    version: int
    settings: bytes | str
    control_updated_at: int
    rules: list[StoredRule]
    template_versions: Mapping[str, int]


_AUTOMATIONS = schema.automations.c
_TEMPLATES = schema.templates.c


def load(connection: sa.Connection, workspace_id: int) -> Definitions:
    """The definitions of a workspace as they stand."""
    workspace = connection.execute(
        sa.select(
            schema.workspaces.c.definitions_version,
            schema.workspaces.c.settings,
            schema.workspaces.c.control_updated_at,
        ).where(schema.workspaces.c.id == workspace_id)
    ).one()
    rules = connection.execute(
        sa.select(
            _AUTOMATIONS.id,
            _AUTOMATIONS.version,
            _AUTOMATIONS.tenant_id,
            _AUTOMATIONS.created_at,
            _AUTOMATIONS.definition,
        ).where(
            _AUTOMATIONS.workspace_id == workspace_id,
            _AUTOMATIONS.kind == "rule",
            _AUTOMATIONS.deleted_at.is_(None),
        )
    )
    templates = connection.execute(
        sa.select(_TEMPLATES.id, _TEMPLATES.version).where(_TEMPLATES.workspace_id == workspace_id)
    )
    return Definitions(
        workspace.definitions_version,
        workspace.settings,
        workspace.control_updated_at,
        [StoredRule(*row) for row in rules],
        {row.id: row.version for row in templates},
    )


def version_of(connection: sa.Connection, automation_id: bytes, version: int) -> bytes | str | None:
    """The definition of an automation as it was in one version; None where there is none."""
    found: bytes | str | None = connection.execute(
        sa.select(schema.automation_versions.c.definition).where(
            schema.automation_versions.c.automation_id == automation_id,
            schema.automation_versions.c.version == version,
        )
    ).scalar_one_or_none()
    return found


def template(
    connection: sa.Connection, workspace_id: int, template_id: str, version: int
) -> bytes | str | None:
    """The content of a template in one version; None where there is none."""
    versions = schema.template_versions.c
    found: bytes | str | None = connection.execute(
        sa.select(versions.content).where(
            versions.workspace_id == workspace_id, versions.id == template_id, versions.version == version
        )
    ).scalar_one_or_none()
    return found


_FACTS = schema.facts.c
_NOTE = sa.text("INSERT INTO facts (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING")


def clock_of(connection: sa.Connection) -> str | None:
    """Which clock this database has run on (`real` or `scaled`); None before the first."""
    found: str | None = connection.execute(
        sa.select(_FACTS.value).where(_FACTS.name == "clock")
    ).scalar_one_or_none()
    return found


def set_clock(connection: sa.Connection, kind: str) -> None:
    """Note which clock this database runs on; several programs may start at once and say the same."""
    connection.execute(_NOTE, {"name": "clock", "value": kind})
