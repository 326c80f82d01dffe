"""Sending policies: when a workspace disturbs nobody and how often it writes, as people set it.

Law: every change is kept, with the instant from which on it holds; whoever changes one raises the version of the
definitions, by which turns read it again.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import sending_policies
from heliograph.store import schema, workspaces

_POLICIES = schema.sending_policies.c


class Stored(NamedTuple):
    """A policy as it held from an instant on."""

    policy: sending_policies.Policy
    valid_from: int | None
    """None: nothing was set."""
    updated_by: str | None


NONE = Stored(sending_policies.NOTHING_SET, None, None)


def read(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, at: int | None = None
) -> Stored:
    """What a tenant (None: the workspace itself) has set, now or at an instant."""
    query = (
        sa.select(_POLICIES.policy, _POLICIES.valid_from, _POLICIES.updated_by)
        .where(_POLICIES.workspace_id == workspace_id, _POLICIES.tenant_id == (tenant_id or ""))
        .order_by(_POLICIES.valid_from.desc())
        .limit(1)
    )
    if at is not None:
        query = query.where(_POLICIES.valid_from <= at)
    row = connection.execute(query).one_or_none()
    return NONE if row is None else Stored(sending_policies.read(row.policy), row.valid_from, row.updated_by)


def put(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    policy: sending_policies.Policy,
    now: int,
    by: str | None,
) -> tuple[Stored, Stored]:
    """Set a policy; gives what held before and what holds now. What says nothing new is left alone."""
    before = read(connection, workspace_id, tenant_id)
    if before.policy == policy:
        return before, before
    workspaces.raise_version(connection, workspace_id)
    before = read(connection, workspace_id, tenant_id)
    # Two changes in one microsecond: the later one is the version.
    valid_from = max(now, (before.valid_from or 0) + 1)
    connection.execute(
        sa.insert(schema.sending_policies).values(
            workspace_id=workspace_id,
            tenant_id=tenant_id or "",
            valid_from=valid_from,
            policy=msgspec.json.encode(policy),
            updated_by=by,
        )
    )
    return before, Stored(policy, valid_from, by)


def standing(connection: sa.Connection, workspace_id: int) -> dict[str, sending_policies.Policy]:
    """The policies that set anything, by tenant; under an empty text the workspace's own."""
    latest = (
        sa.select(_POLICIES.tenant_id, sa.func.max(_POLICIES.valid_from).label("valid_from"))
        .where(_POLICIES.workspace_id == workspace_id)
        .group_by(_POLICIES.tenant_id)
        .subquery()
    )
    query = (
        sa.select(_POLICIES.tenant_id, _POLICIES.policy)
        .join(
            latest,
            (latest.c.tenant_id == _POLICIES.tenant_id) & (latest.c.valid_from == _POLICIES.valid_from),
        )
        .where(_POLICIES.workspace_id == workspace_id)
    )
    found = {row.tenant_id: sending_policies.read(row.policy) for row in connection.execute(query)}
    return {name: policy for name, policy in found.items() if policy != sending_policies.NOTHING_SET}
