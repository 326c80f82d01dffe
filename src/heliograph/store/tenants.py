"""Tenants and their users as people manage them.

Law: each function works in the caller's transaction. To the key of a tenant there is that tenant alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import consent, tenants
from heliograph.store import preference_topics, schema, workspaces

_TENANTS = schema.tenants.c
_USERS = schema.tenant_users.c
_definition = msgspec.json.Decoder(tenants.Definition)
_decode, _encode = msgspec.json.decode, msgspec.json.encode


class Tenant(NamedTuple):
    """A tenant as it stands."""

    id: str
    definition: tenants.Definition


class Membership(NamedTuple):
    """Somebody who is with a tenant."""

    user_id: str
    tenant_id: str
    profile: dict[str, Any] | None


def put(
    connection: sa.Connection,
    workspace_id: int,
    identity: str,
    definition: tenants.Definition,
    now: int,
    defaults: Mapping[str, consent.Topic] | None = None,
) -> Tenant:
    """Let a tenant say this, which is made where there is none, and set these defaults (None: those that it has).

    Raises InvalidInput where it cannot stand there, or there is no such brand.
    """
    _lock(connection, workspace_id)
    _refuse_unknown_brand(connection, workspace_id, definition.brand_id)
    parent = definition.parent_tenant_id
    if parent != _parent(connection, workspace_id, identity) and preference_topics.is_any_tenants(
        connection, workspace_id
    ):
        # What holds for its people who said nothing is another line's now.
        workspaces.raise_version(connection, workspace_id)
    if parent is not None:
        above = line(connection, workspace_id, parent)
        if not above:
            raise errors.InvalidInput.at("parent_tenant_id", f"there is no tenant {parent!r}")
        tenants.check_place(identity, above, _levels_below(connection, workspace_id, identity))
    values = {"parent_tenant_id": parent, "definition": _encode(definition), "updated_at": now}
    key = (_TENANTS.workspace_id == workspace_id, _TENANTS.id == identity)
    changed = connection.execute(sa.update(schema.tenants).where(*key).values(**values))
    if not changed.rowcount:
        connection.execute(
            sa.insert(schema.tenants).values(**values, workspace_id=workspace_id, id=identity, created_at=now)
        )
    if defaults is not None:
        preference_topics.replace_of_tenant(connection, workspace_id, identity, defaults, now)
    return Tenant(identity, definition)


def _refuse_unknown_brand(connection: sa.Connection, workspace_id: int, brand_id: str | None) -> None:
    known = schema.brands.c
    query = sa.select(known.id).where(known.workspace_id == workspace_id, known.id == brand_id)
    if brand_id is not None and connection.execute(query).first() is None:
        raise errors.InvalidInput.at("brand_id", f"there is no brand {brand_id!r}")


def in_brand(connection: sa.Connection, workspace_id: int, brand_id: str) -> list[str]:
    """The tenants whose messages are drawn in this brand, because they name it."""
    query = sa.select(_TENANTS.id, _TENANTS.definition).where(_TENANTS.workspace_id == workspace_id)
    rows = connection.execute(query.order_by(_TENANTS.id))
    return [row.id for row in rows if _definition.decode(row.definition).brand_id == brand_id]


def _lock(connection: sa.Connection, workspace_id: int) -> None:
    """Let the changes of a workspace's tenants stand in line, or two of them could make a circle."""
    query = sa.select(schema.workspaces.c.id).where(schema.workspaces.c.id == workspace_id)
    connection.execute(query.with_for_update())


def line(connection: sa.Connection, workspace_id: int, identity: str | None) -> list[str]:
    """This tenant and those above it, from below; nothing where there is none."""
    found: list[str] = []
    while identity is not None and len(found) <= tenants.MAX_LEVELS:
        query = sa.select(_TENANTS.parent_tenant_id).where(
            _TENANTS.workspace_id == workspace_id, _TENANTS.id == identity
        )
        row = connection.execute(query).one_or_none()
        if row is None:
            break
        found.append(identity)
        identity = row.parent_tenant_id
    return found


def _parent(connection: sa.Connection, workspace_id: int, identity: str) -> str | None:
    query = sa.select(_TENANTS.parent_tenant_id).where(
        _TENANTS.workspace_id == workspace_id, _TENANTS.id == identity
    )
    return connection.execute(query).scalar_one_or_none()


def _levels_below(connection: sa.Connection, workspace_id: int, identity: str) -> int:
    height = sa.literal_column("1", sa.Integer)
    children = sa.select(_TENANTS.id, height.label("height")).where(
        _TENANTS.workspace_id == workspace_id, _TENANTS.parent_tenant_id == identity
    )
    below = children.cte("below", recursive=True)
    deeper = sa.select(_TENANTS.id, below.c.height + 1).join_from(
        below, schema.tenants, _TENANTS.parent_tenant_id == below.c.id
    )
    deeper = deeper.where(_TENANTS.workspace_id == workspace_id, below.c.height < tenants.MAX_LEVELS)
    query = sa.select(sa.func.coalesce(sa.func.max(below.union_all(deeper).c.height), 0))
    return int(connection.execute(query).scalar_one())


def read(connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: str) -> Tenant | None:
    """A tenant; None where this tenant's key (None: the workspace's) sees none."""
    if tenant_id not in (None, identity):
        return None
    query = sa.select(_TENANTS.id, _TENANTS.definition).where(
        _TENANTS.workspace_id == workspace_id, _TENANTS.id == identity
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else Tenant(row.id, _definition.decode(row.definition))


def listed(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    parent: str | None,
    after: str,
    limit: int,
) -> list[Tenant]:
    """Tenants in the order of their ids, those of one parent where it is named, at most so many."""
    query = (
        sa.select(_TENANTS.id, _TENANTS.definition)
        .where(_TENANTS.workspace_id == workspace_id, _TENANTS.id > after)
        .order_by(_TENANTS.id)
        .limit(limit)
    )
    if parent is not None:
        query = query.where(_TENANTS.parent_tenant_id == parent)
    if tenant_id is not None:
        query = query.where(_TENANTS.id == tenant_id)
    return [Tenant(row.id, _definition.decode(row.definition)) for row in connection.execute(query)]


def delete(connection: sa.Connection, workspace_id: int, bound: str | None, identity: str) -> None:
    """Delete a tenant, and with it what it knows of its users. Raises Conflict where others stand below it.

    Who is `bound` to a tenant does not see them, and is not told their names.
    """
    _lock(connection, workspace_id)
    below = sa.select(_TENANTS.id).where(
        _TENANTS.workspace_id == workspace_id, _TENANTS.parent_tenant_id == identity
    )
    child = connection.execute(below.limit(1)).scalar_one_or_none()
    if child is not None:
        which = f"the tenant {child!r}" if bound is None else "another tenant"
        raise errors.Conflict(f"{which} stands below it: move or delete that first")
    connection.execute(
        sa.delete(schema.tenant_users).where(
            _USERS.workspace_id == workspace_id, _USERS.tenant_id == identity
        )
    )
    preference_topics.drop_of_tenant(connection, workspace_id, identity)
    connection.execute(
        sa.delete(schema.tenants).where(_TENANTS.workspace_id == workspace_id, _TENANTS.id == identity)
    )


# ── users ───────────────────────────────────────────────────────────────────────────────────────────


def add_user(
    connection: sa.Connection,
    workspace_id: int,
    user_id: str,
    given: Mapping[str, Mapping[str, Any] | None],
    now: int,
) -> None:
    """Let somebody be with these tenants, with these profiles there.

    Raises InvalidInput for those that there are not.
    """
    _lock(connection, workspace_id)
    query = sa.select(_TENANTS.id).where(_TENANTS.workspace_id == workspace_id, _TENANTS.id.in_(list(given)))
    known = set(connection.execute(query).scalars())
    missing = [one for one in given if one not in known]
    if missing:
        raise errors.InvalidInput(
            faults=[errors.Fault("tenant_id", f"there is no tenant {one!r}") for one in missing]
        )
    remove_user(connection, workspace_id, user_id, list(given))
    connection.execute(
        sa.insert(schema.tenant_users),
        [
            {
                "workspace_id": workspace_id,
                "user_id": user_id,
                "tenant_id": tenant_id,
                "profile": None if profile is None else _encode(profile),
                "created_at": now,
            }
            for tenant_id, profile in given.items()
        ],
    )


def remove_user(
    connection: sa.Connection, workspace_id: int, user_id: str, tenant_ids: Sequence[str] | None
) -> int:
    """Let somebody be with these tenants (None: any) no more; gives of how many that changed anything."""
    gone = sa.delete(schema.tenant_users).where(
        _USERS.workspace_id == workspace_id, _USERS.user_id == user_id
    )
    if tenant_ids is not None:
        gone = gone.where(_USERS.tenant_id.in_(list(tenant_ids)))
    return int(connection.execute(gone).rowcount)


def joined(
    connection: sa.Connection, workspace_id: int, tenant_ids: Collection[str], user_ids: Collection[str]
) -> dict[str, set[str]]:
    """Those of these tenants which each of these people is with; who is with none is absent."""
    found: dict[str, set[str]] = {}
    if not tenant_ids or not user_ids:
        return found
    query = sa.select(_USERS.user_id, _USERS.tenant_id).where(
        _USERS.workspace_id == workspace_id,
        _USERS.user_id.in_(list(user_ids)),
        _USERS.tenant_id.in_(list(tenant_ids)),
    )
    for user_id, tenant_id in connection.execute(query):
        found.setdefault(user_id, set()).add(tenant_id)
    return found


def memberships(
    connection: sa.Connection,
    workspace_id: int,
    after: str,
    limit: int,
    *,
    user_id: str | None = None,
    tenant_id: str | None = None,
) -> list[Membership]:
    """Who is with a tenant, in the order of their ids, or with which tenants somebody is; at most so many."""
    key = _USERS.user_id if user_id is None else _USERS.tenant_id
    query = (
        sa.select(_USERS.user_id, _USERS.tenant_id, _USERS.profile)
        .where(_USERS.workspace_id == workspace_id, key > after)
        .order_by(key)
        .limit(limit)
    )
    if user_id is not None:
        query = query.where(_USERS.user_id == user_id)
    if tenant_id is not None:
        query = query.where(_USERS.tenant_id == tenant_id)
    return [
        Membership(row.user_id, row.tenant_id, None if row.profile is None else _decode(row.profile))
        for row in connection.execute(query)
    ]
