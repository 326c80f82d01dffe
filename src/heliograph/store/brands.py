"""Brands as people manage them.

Law: each change is a version, and what a version looks like is kept for ever, the parts that it inherits filled in; so
a change of the default brand is a version of every brand that takes after it. Each function works in the caller's
transaction and raises the workspace's `definitions_version` before it writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import brands, documents, ids
from heliograph.store import identities, numbered, routing_strategies, schema, templates, tenants, workspaces

_BRANDS, _VERSIONS = schema.brands.c, schema.brand_versions.c


class Brand(NamedTuple):
    """A brand as people read it."""

    id: str
    number: int
    version: int
    created_at: int
    updated_at: int
    definition: brands.Definition


def _brand(row: Sequence[Any]) -> Brand:
    return Brand._make((*row[:-1], brands.stored(row[-1])))


_table = numbered.Table(schema.brands, Brand._fields, _brand)
read, lock, listed = _table.read, _table.lock, _table.listed


def create(
    connection: sa.Connection,
    workspace_id: int,
    definition: brands.Definition,
    now: int,
    identity: str | None = None,
) -> Brand:
    """Store a new brand. Raises errors.Conflict where its id is taken."""
    workspaces.raise_version(connection, workspace_id)
    return _made(connection, workspace_id, definition, now, identity)


def _made(
    connection: sa.Connection,
    workspace_id: int,
    definition: brands.Definition,
    now: int,
    identity: str | None,
) -> Brand:
    if identity is None:
        identity = ids.text(identities.fresh(now))
    elif read(connection, workspace_id, identity) is not None:
        raise errors.Conflict(f"there is a brand {identity!r} already: take another id, or change that one")
    number = workspaces.next_number(connection, workspace_id, "brands")
    version = 1 + _last_version(connection, workspace_id, identity)
    made = Brand(identity, number, version, now, now, definition)
    connection.execute(
        sa.insert(schema.brands).values(
            **{**made._asdict(), "definition": msgspec.json.encode(definition)}, workspace_id=workspace_id
        )
    )
    _drawn(connection, workspace_id, made, now)
    return made


def change(
    connection: sa.Connection, workspace_id: int, stored: Brand, definition: brands.Definition, now: int
) -> Brand:
    """Store the next version of a brand that was read by `lock`; one that says nothing new is left alone."""
    if documents.is_same(stored.definition, definition):
        return stored
    made = stored._replace(
        version=stored.version + 1, definition=definition, updated_at=max(now, stored.updated_at)
    )
    _update(connection, workspace_id, made)
    _drawn(connection, workspace_id, made, now)
    return made


def put(
    connection: sa.Connection, workspace_id: int, identity: str, definition: brands.Definition, now: int
) -> Brand:
    """Let a brand of this id say this."""
    stored = lock(connection, workspace_id, identity)
    if stored is None:
        return _made(connection, workspace_id, definition, now, identity)
    return change(connection, workspace_id, stored, definition, now)


def delete(connection: sa.Connection, workspace_id: int, stored: Brand, now: int) -> None:
    """Delete a brand that was read by `lock`; its versions stay for the messages that were made in its look.

    Raises errors.Conflict where a template, what a tenant sends, or what goes by a strategy is drawn in it.
    """
    drawn = [
        one.id
        for one in templates.listed(connection, workspace_id)
        if stored.id in (one.draft.brand, one.published and one.published.brand)
    ]
    for what, used in (
        ("templates", drawn),
        ("tenants", tenants.in_brand(connection, workspace_id, stored.id)),
        ("routing strategies", routing_strategies.in_brand(connection, workspace_id, stored.id)),
    ):
        if used:
            raise errors.Conflict(f"the brand {stored.id!r} is used by the {what} {', '.join(used[:10])}")
    connection.execute(
        sa.delete(schema.brands).where(_BRANDS.workspace_id == workspace_id, _BRANDS.id == stored.id)
    )
    if stored.id == brands.DEFAULT:
        _keep_heirs(connection, workspace_id, None, now)


def _last_version(connection: sa.Connection, workspace_id: int, identity: str) -> int:
    """The last version of a brand that was deleted; 0 where there was none of this id."""
    query = sa.select(sa.func.max(_VERSIONS.version)).where(
        _VERSIONS.workspace_id == workspace_id, _VERSIONS.id == identity
    )
    return int(connection.execute(query).scalar_one() or 0)


def _update(connection: sa.Connection, workspace_id: int, made: Brand) -> None:
    connection.execute(
        sa.update(schema.brands)
        .where(_BRANDS.workspace_id == workspace_id, _BRANDS.id == made.id)
        .values(
            version=made.version, definition=msgspec.json.encode(made.definition), updated_at=made.updated_at
        )
    )


def _drawn(connection: sa.Connection, workspace_id: int, made: Brand, now: int) -> None:
    """Keep what this version looks like; of the default brand, what the others come to look like too."""
    if made.id != brands.DEFAULT:
        default = read(connection, workspace_id, brands.DEFAULT)
        _keep(connection, workspace_id, made, default and default.definition, now)
        return
    _keep(connection, workspace_id, made, None, now)
    _keep_heirs(connection, workspace_id, made.definition, now)


def _keep_heirs(
    connection: sa.Connection, workspace_id: int, default: brands.Definition | None, now: int
) -> None:
    """What the other brands come to look like after a change of the default one."""
    for one in listed(connection, workspace_id):
        if one.id != brands.DEFAULT:
            heir = one._replace(version=one.version + 1)
            _update(connection, workspace_id, heir)
            _keep(connection, workspace_id, heir, default, now)


def _keep(
    connection: sa.Connection, workspace_id: int, made: Brand, default: brands.Definition | None, now: int
) -> None:
    look = brands.effective(made.definition, default)
    connection.execute(
        sa.insert(schema.brand_versions).values(
            workspace_id=workspace_id,
            id=made.id,
            version=made.version,
            look=msgspec.json.encode(look),
            created_at=now,
        )
    )
