"""Segments as people manage them, and the people whom they hold.

Law: each function works in the caller's transaction and raises the workspace's `definitions_version` before it writes,
so two changes of one workspace stand in line. Who is in a segment is judged on the profiles as they stand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import ids, rules, segments
from heliograph.store import identities, schema, workspaces

_SEGMENTS = schema.segments.c
_CONTACTS = schema.contacts.c
_definition = msgspec.json.Decoder(segments.Definition)
_decode = msgspec.json.Decoder().decode
_fields = (
    _SEGMENTS.id,
    _SEGMENTS.tenant_id,
    _SEGMENTS.number,
    _SEGMENTS.created_at,
    _SEGMENTS.updated_at,
    _SEGMENTS.definition,
)
_AT_ONCE = 2_000


class Segment(NamedTuple):
    """A segment as people read it."""

    id: bytes
    tenant_id: str | None
    number: int
    created_at: int
    updated_at: int
    definition: segments.Definition


def create(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    definition: segments.Definition,
    now: int,
    identity: bytes | None = None,
) -> Segment:
    """Store a new segment."""
    workspaces.raise_version(connection, workspace_id)
    identity = identity or identities.fresh(now)
    number = workspaces.next_number(connection, workspace_id, "segments")
    made = Segment(identity, tenant_id, number, now, now, definition)
    connection.execute(
        sa.insert(schema.segments).values(
            **{**made._asdict(), "definition": msgspec.json.encode(definition)}, workspace_id=workspace_id
        )
    )
    return made


def lock(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: bytes
) -> Segment | None:
    """A segment that is about to be changed: nobody else changes definitions until this transaction ends."""
    workspaces.raise_version(connection, workspace_id)
    return read(connection, workspace_id, tenant_id, identity)


def change(connection: sa.Connection, stored: Segment, definition: segments.Definition, now: int) -> Segment:
    """Store what a segment that was read by `lock` says now."""
    made = stored._replace(definition=definition, updated_at=max(now, stored.updated_at))
    connection.execute(
        sa.update(schema.segments)
        .where(_SEGMENTS.id == stored.id)
        .values(definition=msgspec.json.encode(definition), updated_at=made.updated_at)
    )
    return made


def read(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: bytes
) -> Segment | None:
    """A segment, where this tenant (None: the whole workspace) may see it."""
    query = _visible(workspace_id, tenant_id).where(_SEGMENTS.id == identity)
    row = connection.execute(query).one_or_none()
    return None if row is None else _segment(row)


def listed(connection: sa.Connection, workspace_id: int, tenant_id: str | None) -> list[Segment]:
    """Every segment that this tenant (None: the whole workspace) may see, in the order in which they were made."""
    query = _visible(workspace_id, tenant_id).order_by(_SEGMENTS.number)
    return [_segment(row) for row in connection.execute(query)]


def statuses(connection: sa.Connection, workspace_id: int, tenant_id: str | None) -> dict[str, str]:
    """The status of every segment that this tenant may refer to, by id; everybody's among them."""
    found = listed(connection, workspace_id, tenant_id)
    return {segments.ALL_USERS: "active", **{ids.text(one.id): one.definition.status for one in found}}


def conditions_of(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, wanted: Collection[str]
) -> dict[str, segments.Owned]:
    """What these segments say, by id; those that are not there are absent."""
    found = {
        ids.text(one.id): segments.Owned(one.definition, one.tenant_id)
        for one in listed(connection, workspace_id, tenant_id)
        if ids.text(one.id) in wanted
    }
    everybody = {segments.ALL_USERS: segments.Owned(segments.EVERYBODY)}
    return {**found, **(everybody if segments.ALL_USERS in wanted else {})}


def _visible(workspace_id: int, tenant_id: str | None) -> sa.Select[Any]:
    query = sa.select(*_fields).where(_SEGMENTS.workspace_id == workspace_id)
    return query if tenant_id is None else query.where(_SEGMENTS.tenant_id == tenant_id)


def _segment(row: Sequence[Any]) -> Segment:
    return Segment._make((*row[:-1], _definition.decode(row[-1])))


# ── people ──────────────────────────────────────────────────────────────────────────────────────────


class Person(NamedTuple):
    """A contact as segments see them."""

    user_id: str
    tenant_id: str | None
    seen: dict[str, Any]
    """`segments.view` of the contact."""


def people(connection: sa.Connection, workspace_id: int, tenant_id: str | None) -> Iterator[Person]:
    """Everybody whom this tenant (None: the whole workspace) has, in the order of `place_of`, some at a time."""
    for partition in range(ids.PARTITIONS):
        after = ""
        while found := walk(connection, workspace_id, partition, after):
            for row in found:
                if tenant_id in (None, row.tenant_id):
                    seen = segments.view(row.user_id, row.tenant_id, _decode(row.profile))
                    yield Person(row.user_id, row.tenant_id, seen)
            after = found[-1].user_id


def walk(connection: sa.Connection, workspace_id: int, partition: int, after: str) -> Sequence[sa.Row[Any]]:
    """The next contacts of a partition: their user_id, tenant_id, profile and updated_at."""
    place = {"workspace_id": workspace_id, "partition": partition, "after": after}
    return connection.execute(_WALK[connection.dialect.name], place).all()


def place_of(workspace_id: int, user_id: str) -> tuple[int, str]:
    """Where a contact stands in a walk over everybody."""
    return rules.partition_of_person(workspace_id, user_id), user_id


_OURS = "workspace_id = :workspace_id AND partition = :partition"
_PEOPLE = f"SELECT user_id, tenant_id, profile, updated_at FROM contacts WHERE {_OURS}"
_WALK = {
    "sqlite": sa.text(f"{_PEOPLE} AND user_id > :after ORDER BY user_id LIMIT {_AT_ONCE}"),
    "postgresql": sa.text(f"{_PEOPLE} AND user_id ~>~ :after ORDER BY user_id USING ~<~ LIMIT {_AT_ONCE}"),
}
"""By the index over the people of a partition, in the order of bytes."""


def person(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, external_id: str
) -> Person | None:
    """A contact by the id that their business knows; None where this tenant sees none."""
    names = [external_id] if tenant_id is None else [f"{tenant_id}:{external_id}", external_id]
    for user_id in names:
        query = sa.select(_CONTACTS.tenant_id, _CONTACTS.profile).where(
            _CONTACTS.workspace_id == workspace_id, _CONTACTS.user_id == user_id
        )
        row = connection.execute(query).one_or_none()
        if row is not None and tenant_id in (None, row.tenant_id):
            seen = segments.view(user_id, row.tenant_id, _decode(row.profile))
            return Person(user_id, row.tenant_id, seen)
    return None
