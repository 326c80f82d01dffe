"""Courier's audiences as people manage them, and who is in one.

Law: an audience belongs to the tenant whose key made it, and sees that tenant's people alone; to every other tenant it
does not exist. Its members are judged on profiles as they stand, a walk over everybody from where a page begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import audience_filters, ids, segments
from heliograph.store import schema, tenants
from heliograph.store import segments as people

_AUDIENCES = schema.audiences.c
_FIELDS = tuple(
    _AUDIENCES[name]
    for name in ("id", "tenant_id", "version", "name", "description", "created_at", "updated_at", "filter")
)
_decode = msgspec.json.Decoder().decode


class Audience(NamedTuple):
    """An audience as people read it."""

    id: str
    tenant_id: str | None
    version: int
    name: str
    description: str
    created_at: int
    updated_at: int
    filter: dict[str, Any] | None


class Member(NamedTuple):
    """Somebody who is in an audience."""

    partition: int
    user_id: str
    since: int
    """When they, or the audience, came to say what they say."""


class Members(NamedTuple):
    """Some of those who are in an audience."""

    found: Sequence[Member]
    reached: tuple[int, str] | None
    """(partition, user_id) behind which it goes on; None at the end."""


LOOKED_AT = 20_000
"""So many people are looked at for a page, which may hold fewer than it could, even nobody."""


def page(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, after: str, limit: int
) -> list[Audience]:
    """The next audiences in the order of their ids."""
    query = (
        _visible(workspace_id, tenant_id).where(_AUDIENCES.id > after).order_by(_AUDIENCES.id).limit(limit)
    )
    return [_audience(row) for row in connection.execute(query)]


def read(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: str
) -> Audience | None:
    """An audience; None where this tenant (None: the whole workspace) sees none."""
    row = connection.execute(_visible(workspace_id, tenant_id).where(_AUDIENCES.id == identity)).one_or_none()
    return None if row is None else _audience(row)


def put(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    identity: str,
    given: dict[str, Any],
    now: int,
) -> Audience:
    """Create an audience, or change what is given of it. Raises errors.NotFound where it is another tenant's."""
    # Of two who put it at once, the second changes what the first made.
    line = sa.select(schema.workspaces.c.id).where(schema.workspaces.c.id == workspace_id)
    connection.execute(line.with_for_update())
    stored = read(connection, workspace_id, None, identity)
    if stored is not None and tenant_id not in (None, stored.tenant_id):
        raise errors.NotFound(f"there is no audience {identity!r}")
    before = stored or Audience(identity, tenant_id, 0, identity, "", now, now, None)
    made = before._replace(**given, version=before.version + 1, updated_at=max(now, before.updated_at))
    values = {**made._asdict(), "filter": None if made.filter is None else msgspec.json.encode(made.filter)}
    if stored is None:
        connection.execute(sa.insert(schema.audiences).values(**values, workspace_id=workspace_id))
    else:
        mine = (_AUDIENCES.workspace_id == workspace_id, _AUDIENCES.id == identity)
        connection.execute(sa.update(schema.audiences).where(*mine).values(**values))
    return made


def delete(connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: str) -> bool:
    """Delete an audience; False where this tenant sees none."""
    if read(connection, workspace_id, tenant_id, identity) is None:
        return False
    mine = (_AUDIENCES.workspace_id == workspace_id, _AUDIENCES.id == identity)
    connection.execute(sa.delete(schema.audiences).where(*mine))
    return True


def members(
    connection: sa.Connection, workspace_id: int, audience: Audience, after: tuple[int, str], limit: int
) -> Members:
    """The next who are in an audience, in the order of (partition, user_id); in one without a filter nobody is."""
    if audience.filter is None:
        return Members([], None)
    is_in = segments.audience([segments.Members(audience_filters.parse(audience.filter))], [])
    named = audience_filters.tenants_of(audience.filter, audience.tenant_id)
    found: list[Member] = []
    partition, last = max(after[0], 0), after[1]
    looked_at = 0
    while partition < ids.PARTITIONS and len(found) <= limit and looked_at < LOOKED_AT:
        contacts = people.walk(connection, workspace_id, partition, last)
        looked_at += len(contacts)
        joined = tenants.joined(connection, workspace_id, named, [row.user_id for row in contacts])
        for row in contacts:
            if audience.tenant_id not in (None, row.tenant_id):
                continue
            profile, those = _decode(row.profile), joined.get(row.user_id, ())
            if is_in(audience_filters.view(row.user_id, row.tenant_id, profile, those)):
                found.append(Member(partition, row.user_id, max(row.updated_at, audience.updated_at)))
        partition, last = (partition, contacts[-1].user_id) if contacts else (partition + 1, "")
    if len(found) > limit:
        return Members(found[:limit], found[limit - 1][:2])
    return Members(found, None if partition == ids.PARTITIONS else (partition, last))


def _visible(workspace_id: int, tenant_id: str | None) -> sa.Select[Any]:
    query = sa.select(*_FIELDS).where(_AUDIENCES.workspace_id == workspace_id)
    return query if tenant_id is None else query.where(_AUDIENCES.tenant_id == tenant_id)


def _audience(row: Sequence[Any]) -> Audience:
    return Audience._make((*row[:-1], None if row[-1] is None else _decode(row[-1])))
