"""Communication groups as people manage them: each is a template that belongs to a tenant.

Law: a group's texts are versions of a template, which are kept for ever, so what a message was made from can be read
as long as the message. Each function works in the caller's transaction and raises `definitions_version` first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import communication_groups, ids
from heliograph.store import identities, schema, workspaces

_TEMPLATES = schema.templates.c
_GROUP = "group"
_definition = msgspec.json.Decoder(communication_groups.Definition)
_fields = (
    _TEMPLATES.id,
    _TEMPLATES.tenant_id,
    _TEMPLATES.number,
    _TEMPLATES.version,
    _TEMPLATES.created_at,
    _TEMPLATES.updated_at,
    _TEMPLATES.definition,
)


class Group(NamedTuple):
    """A communication group as people read it."""

    id: str
    tenant_id: str | None
    number: int
    version: int
    created_at: int
    updated_at: int
    definition: communication_groups.Definition


def create(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    definition: communication_groups.Definition,
    now: int,
    identity: str | None = None,
) -> Group:
    """Store a new group. Raises errors.Conflict where the id belongs to something else."""
    workspaces.raise_version(connection, workspace_id)
    if identity is not None:
        _refuse_known(connection, workspace_id, identity)
    identity = identity or ids.text(identities.fresh(now))
    number = workspaces.next_number(connection, workspace_id, "communication_groups")
    made = Group(identity, tenant_id, number, 1, now, now, definition)
    connection.execute(
        sa.insert(schema.templates).values(
            **{**made._asdict(), "definition": msgspec.json.encode(definition)},
            workspace_id=workspace_id,
            kind=_GROUP,
        )
    )
    _add_version(connection, workspace_id, made)
    return made


def _refuse_known(connection: sa.Connection, workspace_id: int, identity: str) -> None:
    query = sa.select(_TEMPLATES.id).where(_TEMPLATES.workspace_id == workspace_id, _TEMPLATES.id == identity)
    if connection.execute(query).one_or_none() is not None:
        raise errors.Conflict(f"the id {identity} belongs to something else: take another one")


def lock(connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: str) -> Group | None:
    """A group that is about to be changed: nobody else changes definitions until this transaction ends."""
    workspaces.raise_version(connection, workspace_id)
    return read(connection, workspace_id, tenant_id, identity)


def change(
    connection: sa.Connection,
    workspace_id: int,
    stored: Group,
    definition: communication_groups.Definition,
    now: int,
) -> Group:
    """Store the next version of a group that was read by `lock`."""
    made = stored._replace(
        version=stored.version + 1, definition=definition, updated_at=max(now, stored.updated_at)
    )
    connection.execute(
        sa.update(schema.templates)
        .where(_TEMPLATES.workspace_id == workspace_id, _TEMPLATES.id == stored.id)
        .values(
            version=made.version,
            definition=msgspec.json.encode(definition),
            updated_at=made.updated_at,
        )
    )
    _add_version(connection, workspace_id, made)
    return made


def read(connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: str) -> Group | None:
    """A group, where this tenant (None: the whole workspace) may see it."""
    query = _visible(workspace_id, tenant_id).where(_TEMPLATES.id == identity)
    row = connection.execute(query).one_or_none()
    return None if row is None else _group(row)


def listed(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, search: str | None = None
) -> list[Group]:
    """Every group that this tenant (None: the whole workspace) may see, in the order in which they were made."""
    query = _visible(workspace_id, tenant_id).order_by(_TEMPLATES.number)
    found = [_group(row) for row in connection.execute(query)]
    return [one for one in found if search is None or search.casefold() in one.definition.name.casefold()]


def readiness(connection: sa.Connection, workspace_id: int, tenant_id: str | None) -> dict[str, str | None]:
    """Why each group that this tenant may refer to cannot be sent (None: it can), by id."""
    return {
        one.id: communication_groups.unready(one.definition)
        for one in listed(connection, workspace_id, tenant_id)
    }


def _visible(workspace_id: int, tenant_id: str | None) -> sa.Select[Any]:
    query = sa.select(*_fields).where(_TEMPLATES.workspace_id == workspace_id, _TEMPLATES.kind == _GROUP)
    return query if tenant_id is None else query.where(_TEMPLATES.tenant_id == tenant_id)


def _group(row: Sequence[Any]) -> Group:
    return Group._make((*row[:-1], _definition.decode(row[-1])))


def _add_version(connection: sa.Connection, workspace_id: int, group: Group) -> None:
    connection.execute(
        sa.insert(schema.template_versions).values(
            workspace_id=workspace_id,
            id=group.id,
            version=group.version,
            content=msgspec.json.encode(communication_groups.content(group.definition)),
            created_at=group.updated_at,
        )
    )
