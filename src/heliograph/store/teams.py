"""Teams: the agents and divisions that conversations are assigned to.

Law: they are definitions, so whoever writes them raises the workspace's `definitions_version` first, and turns know
them by that. One that goes away stays named in the conversations that it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph import errors
from heliograph.core import tenants
from heliograph.store import schema, workspaces

AGENTS, DIVISIONS = schema.agents, schema.divisions


class Member(NamedTuple):
    """An agent or a division."""

    id: str
    tenant_id: str | None
    name: str
    email: str | None
    """Of agents alone."""
    created_at: int
    updated_at: int


def known(connection: sa.Connection, workspace_id: int, table: sa.Table) -> dict[str, str | None]:
    """Everybody of a table, by id, with the tenant whose they are."""
    query = sa.select(table.c.id, table.c.tenant_id).where(table.c.workspace_id == workspace_id)
    return {row.id: row.tenant_id for row in connection.execute(query)}


def is_known(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, table: sa.Table, identity: str
) -> bool:
    """Whether this tenant (None: the whole workspace) may assign conversations to this one."""
    query = sa.select(table.c.tenant_id).where(table.c.workspace_id == workspace_id, table.c.id == identity)
    row = connection.execute(query).one_or_none()
    return row is not None and tenants.reaches(tenant_id, row.tenant_id)


def listed(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, table: sa.Table
) -> list[Member]:
    """Everybody whom this tenant (None: the whole workspace) sees, by id: its own, and the workspace's."""
    theirs = (table.c.workspace_id == workspace_id, schema.is_reached(table.c.tenant_id, tenant_id))
    query = _select(table).where(*theirs).order_by(table.c.id)
    return [Member._make(row) for row in connection.execute(query)]


def put(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    table: sa.Table,
    identity: str,
    values: Mapping[str, Any],
    now: int,
) -> tuple[Member, bool]:
    """Let one be called like this; gives it, and whether it was made. Raises errors.Conflict for another tenant's."""
    workspaces.raise_version(connection, workspace_id)
    stored = _find(connection, workspace_id, table, identity)
    if stored is None:
        connection.execute(
            sa.insert(table).values(
                workspace_id=workspace_id,
                id=identity,
                tenant_id=tenant_id,
                created_at=now,
                updated_at=now,
                **values,
            )
        )
        return Member(identity, tenant_id, values["name"], values.get("email"), now, now), True
    if tenant_id is not None and stored.tenant_id != tenant_id:
        raise errors.Conflict(f"the id {identity!r} is taken: choose another one")
    connection.execute(
        sa.update(table)
        .where(table.c.workspace_id == workspace_id, table.c.id == identity)
        .values(updated_at=now, **values)
    )
    return stored._replace(name=values["name"], email=values.get("email"), updated_at=now), False


def delete(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, table: sa.Table, identity: str
) -> bool:
    """Let one go; False where this tenant (None: the whole workspace) has none of this id."""
    workspaces.raise_version(connection, workspace_id)
    query = sa.delete(table).where(table.c.workspace_id == workspace_id, table.c.id == identity)
    if tenant_id is not None:
        query = query.where(table.c.tenant_id == tenant_id)
    return bool(connection.execute(query).rowcount)


def _find(connection: sa.Connection, workspace_id: int, table: sa.Table, identity: str) -> Member | None:
    query = _select(table).where(table.c.workspace_id == workspace_id, table.c.id == identity)
    row = connection.execute(query).one_or_none()
    return None if row is None else Member._make(row)


def _select(table: sa.Table) -> sa.Select[Any]:
    email = table.c.get("email", sa.null().label("email"))
    return sa.select(
        table.c.id, table.c.tenant_id, table.c.name, email, table.c.created_at, table.c.updated_at
    )
