"""Journeys as people manage them: templates of automations, and their versions (journeys.md J15).

Law: every change is a new version, kept for ever; a run keeps the one that it began with. A journey is known inside by
an id that follows from its own, so one that was deleted and comes back goes on counting its versions. Each function
works in the caller's transaction and raises the workspace's `definitions_version` before it writes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import documents, journeys
from heliograph.store import schema, workspaces
from heliograph.store import versions as automation_versions

_KIND = "journey"
_AUTOMATIONS = schema.automations.c
_VERSIONS = schema.automation_versions.c
_definition = msgspec.json.Decoder(journeys.Definition)


class Journey(NamedTuple):
    """A journey as people read it."""

    id: bytes
    tenant_id: str | None
    number: int
    version: int
    created_at: int
    updated_at: int
    definition: journeys.Definition


class Version(NamedTuple):
    """A journey as it was from an instant on."""

    version: int
    valid_from: int
    definition: journeys.Definition


def put(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    definition: journeys.Definition,
    now: int,
) -> Journey:
    """Let the journey of this id say this; one that says so already is left alone. Raises errors.Conflict."""
    workspaces.raise_version(connection, workspace_id)
    _refuse_alias(connection, workspace_id, tenant_id, definition)
    identity = journeys.automation_id(workspace_id, definition.id)
    query = sa.select(_AUTOMATIONS.deleted_at, *automation_versions.HEAD).where(_AUTOMATIONS.id == identity)
    row = connection.execute(query).one_or_none()
    if row is None:
        number = workspaces.next_number(connection, workspace_id, _KIND)
        made = Journey(identity, tenant_id, number, 1, now, now, definition)
        automation_versions.create(connection, workspace_id, _KIND, made, _trigger_type(made))
    else:
        stored = _journey(row[1:])
        # One that was deleted too: who has it reads what it said before.
        if tenant_id not in (None, stored.tenant_id):
            raise errors.Conflict(f"the id {definition.id!r} is taken: choose another one")
        if row.deleted_at is None and documents.is_same(stored.definition, definition):
            return stored
        made = stored._replace(
            tenant_id=stored.tenant_id if row.deleted_at is None else tenant_id,
            version=stored.version + 1,
            updated_at=max(now, stored.updated_at),
            definition=definition,
        )
        connection.execute(
            sa.update(schema.automations)
            .where(_AUTOMATIONS.id == identity)
            .values(**_row(made), deleted_at=None)
        )
        automation_versions.add(connection, workspace_id, made)
    return made


def _refuse_alias(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, definition: journeys.Definition
) -> None:
    """Ids and aliases name one journey each (A31), in all tenants together; a tenant is not told which of another's."""
    for other in listed(connection, workspace_id, None):
        if other.definition.id == definition.id:
            continue
        taken = {other.definition.id, other.definition.alias}
        for name in (definition.alias, definition.id):
            if name is not None and name in taken:
                whose = f"the journey {other.definition.id!r}"
                if tenant_id not in (None, other.tenant_id):
                    whose = "a journey"
                raise errors.Conflict(f"{name!r} names {whose} already: choose another one")


def find(connection: sa.Connection, workspace_id: int, tenant_id: str | None, name: str) -> Journey | None:
    """The journey of this id, else of this alias, where this tenant (None: the whole workspace) may see it."""
    query = automation_versions.visible(workspace_id, tenant_id, _KIND)
    identity = journeys.automation_id(workspace_id, name)
    row = connection.execute(query.where(_AUTOMATIONS.id == identity)).one_or_none()
    if row is not None:
        return _journey(row)
    return next(
        (one for one in listed(connection, workspace_id, tenant_id) if one.definition.alias == name), None
    )


def lock(connection: sa.Connection, workspace_id: int, tenant_id: str | None, name: str) -> Journey | None:
    """The same of one that is about to be deleted: nobody else changes definitions until this transaction ends."""
    workspaces.raise_version(connection, workspace_id)
    return find(connection, workspace_id, tenant_id, name)


def listed(connection: sa.Connection, workspace_id: int, tenant_id: str | None) -> list[Journey]:
    """Every journey that this tenant (None: the whole workspace) may see, oldest first."""
    query = automation_versions.visible(workspace_id, tenant_id, _KIND).order_by(_AUTOMATIONS.number)
    return [_journey(row) for row in connection.execute(query)]


def versions(connection: sa.Connection, journey: Journey) -> list[Version]:
    """Every version of a journey, newest first."""
    query = (
        sa.select(_VERSIONS.version, _VERSIONS.valid_from, _VERSIONS.definition)
        .where(_VERSIONS.automation_id == journey.id)
        .order_by(_VERSIONS.version.desc())
    )
    return [
        Version(row.version, row.valid_from, _definition.decode(row.definition))
        for row in connection.execute(query)
        if not automation_versions.is_tombstone(row.definition)
    ]


def delete(connection: sa.Connection, workspace_id: int, journey: Journey, now: int) -> None:
    """Leave a tombstone of one that was read by `lock`: what runs goes on (A32)."""
    automation_versions.bury(connection, workspace_id, journey, now)


def names(connection: sa.Connection, automation_ids: set[bytes]) -> dict[bytes, str]:
    """The ids of these journeys as people know them, deleted ones too."""
    query = sa.select(_AUTOMATIONS.id, _AUTOMATIONS.definition).where(_AUTOMATIONS.id.in_(automation_ids))
    return {row.id: _definition.decode(row.definition).id for row in connection.execute(query)}


def _journey(row: Any) -> Journey:
    return Journey._make((*row[:-1], _definition.decode(row[-1])))


def _row(journey: Journey) -> dict[str, Any]:
    return {
        **automation_versions.columns(journey),
        "tenant_id": journey.tenant_id,
        "trigger_type": _trigger_type(journey),
    }


def _trigger_type(journey: Journey) -> str | None:
    trigger = journey.definition.trigger
    return None if trigger is None else trigger.event_type
