"""Schema definitions of a platform's records, and what they expose.

Law: names are unique whatever their case. A field that a segment or a communication group uses stays exposed to it, at
the same path and with the same type: an audience never changes because a schema did (A20). Each function works in the
caller's transaction and raises the workspace's `definitions_version` before it writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import communication_groups as core_groups
from heliograph.core import exposures, ids
from heliograph.core import segments as core_segments
from heliograph.store import communication_groups, identities, numbered, schema, segments, workspaces

_SCHEMAS = schema.resource_schemas.c
_definition = msgspec.json.Decoder(exposures.Schema)


class Stored(NamedTuple):
    """A schema definition as people read it."""

    id: bytes
    number: int
    version: int
    created_at: int
    updated_at: int
    definition: exposures.Schema


def _stored(row: Sequence[Any]) -> Stored:
    return Stored._make((*row[:-1], _definition.decode(row[-1])))


listed = numbered.Table(schema.resource_schemas, Stored._fields, _stored).listed


def find(connection: sa.Connection, workspace_id: int, name: str) -> Stored | None:
    """The schema definition of this id or name; None where there is none."""
    identity = ids.parse(name)
    for one in listed(connection, workspace_id):
        if one.id == identity or one.definition.name.lower() == name.lower():
            return one
    return None


def create(connection: sa.Connection, workspace_id: int, definition: exposures.Schema, now: int) -> Stored:
    """Store a new schema definition. Raises errors.Conflict where its name or a field's is taken."""
    workspaces.raise_version(connection, workspace_id)
    known = listed(connection, workspace_id)
    if any(one.definition.name.lower() == definition.name.lower() for one in known):
        raise errors.Conflict(f"there is a schema {definition.name!r} already")
    _refuse_taken(known, definition)
    identity = identities.fresh(now)
    number = workspaces.next_number(connection, workspace_id, "resource_schemas")
    made = Stored(identity, number, 1, now, now, definition)
    connection.execute(
        sa.insert(schema.resource_schemas).values(
            **{**made._asdict(), "definition": msgspec.json.encode(definition)}, workspace_id=workspace_id
        )
    )
    return made


def lock(connection: sa.Connection, workspace_id: int, name: str) -> Stored | None:
    """A schema definition that is about to be changed: nobody else changes definitions meanwhile."""
    workspaces.raise_version(connection, workspace_id)
    return find(connection, workspace_id, name)


def change(
    connection: sa.Connection, workspace_id: int, stored: Stored, definition: exposures.Schema, now: int
) -> Stored:
    """Store what a definition read by `lock` says now. Raises errors.Conflict where a field that is used would go."""
    others = [one for one in listed(connection, workspace_id) if one.id != stored.id]
    _refuse_taken(others, definition)
    _refuse_used(connection, workspace_id, stored.definition, definition)
    made = stored._replace(
        version=stored.version + 1, definition=definition, updated_at=max(now, stored.updated_at)
    )
    connection.execute(
        sa.update(schema.resource_schemas)
        .where(_SCHEMAS.workspace_id == workspace_id, _SCHEMAS.id == stored.id)
        .values(version=made.version, definition=msgspec.json.encode(definition), updated_at=made.updated_at)
    )
    return made


def _refuse_taken(others: Sequence[Stored], definition: exposures.Schema) -> None:
    taken = {field.name: one.definition.name for one in others for field in one.definition.fields_to_expose}
    for field in definition.fields_to_expose:
        if field.name in taken:
            raise errors.Conflict(
                f"the field {field.name!r} is exposed by the schema {taken[field.name]!r}: take another name"
            )


def _refuse_used(
    connection: sa.Connection, workspace_id: int, before: exposures.Schema, after: exposures.Schema
) -> None:
    was, will = exposures.gathered([before]), exposures.gathered([after])
    for place in exposures.PLACES:
        lost = {field.name for field in was.to(place)} - {field.name for field in will.to(place)}
        lost |= {
            field.name
            for field in will.to(place)
            if field.name in was.fields
            and (was.fields[field.name].json_path, was.types.get(field.name))
            != (field.json_path, will.types.get(field.name))
        }
        used = _users(connection, workspace_id, place, lost) if lost else []
        if used:
            raise errors.Conflict(
                f"the fields {', '.join(sorted(lost))} cannot be hidden from {place.replace('_', ' ')}, moved or"
                f" given another type while they are used by {', '.join(used[:10])}"
            )


def _users(connection: sa.Connection, workspace_id: int, place: str, lost: set[str]) -> list[str]:
    if place == "segments":
        return [
            f"the segment {one.definition.name!r}"
            for one in segments.listed(connection, workspace_id, None)
            if lost & core_segments.fields_used(one.definition)
        ]
    return [
        f"the communication group {one.definition.name!r}"
        for one in communication_groups.listed(connection, workspace_id, None)
        if lost & core_groups.merge_fields_read(one.definition)
    ]
