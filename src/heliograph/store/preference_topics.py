"""Sections and topics of a workspace, and what holds for a tenant's people who said nothing.

Law: whoever changes one raises the version of the definitions, by which turns read them again. Each function works in
the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import consent, preference_topics
from heliograph.core.tenants import MAX_LEVELS
from heliograph.store import schema, workspaces

_SECTIONS, _TOPICS = schema.preference_sections.c, schema.preference_topics.c
_TENANTS = schema.tenant_preferences.c
_section = msgspec.json.Decoder(preference_topics.Section)
_topic = msgspec.json.Decoder(preference_topics.Topic)
_default = msgspec.json.Decoder(consent.Topic)


class Written(NamedTuple):
    """When something was written, and by whom."""

    created_at: int
    created_by: str | None
    updated_at: int
    updated_by: str | None


class Section(NamedTuple):
    """A section as it stands."""

    id: str
    definition: preference_topics.Section
    written: Written


class Topic(NamedTuple):
    """A topic as it stands."""

    id: str
    section_id: str
    definition: preference_topics.Topic
    written: Written


def sections(connection: sa.Connection, workspace_id: int) -> list[Section]:
    """Every section, in the order in which they were made."""
    query = sa.select(schema.preference_sections).where(_SECTIONS.workspace_id == workspace_id)
    found = connection.execute(query.order_by(_SECTIONS.created_at, _SECTIONS.id))
    return [Section(row.id, _section.decode(row.definition), _written(row)) for row in found]


def topics(connection: sa.Connection, workspace_id: int) -> list[Topic]:
    """Every topic, in the order in which they were made."""
    query = sa.select(schema.preference_topics).where(_TOPICS.workspace_id == workspace_id)
    found = connection.execute(query.order_by(_TOPICS.created_at, _TOPICS.id))
    return [Topic(row.id, row.section_id, _topic.decode(row.definition), _written(row)) for row in found]


def names(connection: sa.Connection, workspace_id: int, chosen: Sequence[str]) -> dict[str, str]:
    """What those of these topics are called that there are, by id."""
    query = sa.select(_TOPICS.id, _TOPICS.definition).where(
        _TOPICS.workspace_id == workspace_id, _TOPICS.id.in_(chosen)
    )
    return {row.id: _topic.decode(row.definition).name for row in connection.execute(query)}


def _written(row: Any) -> Written:
    return Written(*(getattr(row, name) for name in Written._fields))


def put_section(
    connection: sa.Connection,
    workspace_id: int,
    identity: str,
    definition: preference_topics.Section,
    now: int,
    by: str,
) -> Section:
    """Let a section say this, which is made where there is none. Raises errors.Conflict where there are too many."""
    workspaces.raise_version(connection, workspace_id)
    known = sections(connection, workspace_id)
    before = next((one for one in known if one.id == identity), None)
    if before is None and len(known) >= preference_topics.MOST_SECTIONS:
        raise errors.Conflict(f"there are {preference_topics.MOST_SECTIONS} sections already")
    written = _put(
        connection, schema.preference_sections, workspace_id, identity, definition, before, (now, by)
    )
    return Section(identity, definition, written)


def put_topic(
    connection: sa.Connection,
    workspace_id: int,
    section_id: str,
    identity: str,
    definition: preference_topics.Topic,
    now: int,
    by: str,
) -> Topic:
    """Let a topic say this, which is made where there is none. Raises errors.Conflict where it cannot stand there."""
    workspaces.raise_version(connection, workspace_id)
    known = topics(connection, workspace_id)
    before = next((one for one in known if one.id == identity), None)
    if before is not None and before.section_id != section_id:
        raise errors.Conflict(f"the topic {identity!r} is in the section {before.section_id!r}")
    if before is None and len(known) >= preference_topics.MOST_TOPICS:
        raise errors.Conflict(f"there are {preference_topics.MOST_TOPICS} topics already")
    written = _put(
        connection,
        schema.preference_topics,
        workspace_id,
        identity,
        definition,
        before,
        (now, by),
        section_id=section_id,
    )
    return Topic(identity, section_id, definition, written)


def _put(
    connection: sa.Connection,
    table: sa.Table,
    workspace_id: int,
    identity: str,
    definition: msgspec.Struct,
    before: Section | Topic | None,
    when: tuple[int, str],
    **more: str,
) -> Written:
    now, by = when
    values = {"definition": msgspec.json.encode(definition), "updated_at": now, "updated_by": by}
    if before is not None:
        mine = (table.c.workspace_id == workspace_id, table.c.id == identity)
        connection.execute(sa.update(table).where(*mine).values(**values))
        return before.written._replace(updated_at=now, updated_by=by)
    made = {"workspace_id": workspace_id, "id": identity, "created_at": now, "created_by": by, **more}
    connection.execute(sa.insert(table).values(**values, **made))
    return Written(now, by, now, by)


def delete_section(connection: sa.Connection, workspace_id: int, identity: str) -> bool:
    """Delete a section; False where there is none. Raises errors.Conflict while it has topics."""
    workspaces.raise_version(connection, workspace_id)
    inside = next((one for one in topics(connection, workspace_id) if one.section_id == identity), None)
    if inside is not None:
        raise errors.Conflict(f"the topic {inside.id!r} is in it: delete that first")
    return _delete(connection, schema.preference_sections, workspace_id, identity)


def delete_topic(connection: sa.Connection, workspace_id: int, section_id: str, identity: str) -> bool:
    """Delete a topic; False where there is none. What people said of it stays."""
    workspaces.raise_version(connection, workspace_id)
    mine = _TOPICS.section_id == section_id
    return _delete(connection, schema.preference_topics, workspace_id, identity, mine)


def _delete(
    connection: sa.Connection,
    table: sa.Table,
    workspace_id: int,
    identity: str,
    *only: sa.ColumnElement[bool],
) -> bool:
    mine = (table.c.workspace_id == workspace_id, table.c.id == identity, *only)
    return bool(connection.execute(sa.delete(table).where(*mine)).rowcount)


# ── what holds for whoever said nothing ─────────────────────────────────────────────────────────────

_Said = Mapping[str, Mapping[str, consent.Topic]]


class Defaults(NamedTuple):
    """What is taken to be said by whoever said nothing; topics that everybody hears of are left out."""

    said: _Said
    """By tenant (an empty text: the workspace) and topic."""
    lines: Mapping[str, Sequence[str]]
    """The tenants whose words hold in one that has others above it, the nearest first."""

    def of(self, tenant_id: str | None) -> list[Mapping[str, consent.Topic]]:
        """What holds in a tenant (None: in the workspace), the nearest words first, by topic."""
        above = self.lines.get(tenant_id, (tenant_id,)) if tenant_id else ()
        return [self.said[name] for name in (*above, "") if name in self.said]


def defaults(connection: sa.Connection, workspace_id: int) -> Defaults:
    """What is taken to be said by whoever said nothing, in every tenant."""
    found = of_tenants(connection, workspace_id)
    for one in topics(connection, workspace_id):
        if one.definition.default != consent.AGREED:
            found.setdefault("", {})[one.id] = one.definition.default
    return Defaults(found, _lines(connection, workspace_id) if found.keys() - {""} else {})


def _lines(connection: sa.Connection, workspace_id: int) -> dict[str, list[str]]:
    """For each tenant below one that has set anything: those at and above it that have, the nearest first."""
    tenants = schema.tenants.c
    set_by = sa.select(_TENANTS.tenant_id).where(_TENANTS.workspace_id == workspace_id)
    line = (
        sa.select(tenants.id, tenants.id.label("origin"), sa.literal(1).label("height"))
        .where(tenants.workspace_id == workspace_id, tenants.id.in_(set_by))
        .cte("line", recursive=True)
    )
    below = (
        sa.select(tenants.id, line.c.origin, line.c.height + 1)
        .join(line, tenants.parent_tenant_id == line.c.id)
        .where(tenants.workspace_id == workspace_id, line.c.height < MAX_LEVELS)
    )
    line = line.union_all(below)
    found: dict[str, list[str]] = {}
    for row in connection.execute(sa.select(line.c.id, line.c.origin).order_by(line.c.height)):
        found.setdefault(row.id, []).append(row.origin)
    return {name: above for name, above in found.items() if above != [name]}


def is_any_tenants(connection: sa.Connection, workspace_id: int) -> bool:
    """Whether any tenant has set what holds for its people who said nothing."""
    query = sa.select(_TENANTS.topic_id).where(_TENANTS.workspace_id == workspace_id)
    return connection.execute(query.limit(1)).first() is not None


def of_tenants(
    connection: sa.Connection, workspace_id: int, chosen: Sequence[str] | None = None
) -> dict[str, dict[str, consent.Topic]]:
    """What these tenants (None: all) have set for their people who said nothing, by tenant and topic."""
    query = sa.select(_TENANTS.tenant_id, _TENANTS.topic_id, _TENANTS.body).where(
        _TENANTS.workspace_id == workspace_id
    )
    if chosen is not None:
        query = query.where(_TENANTS.tenant_id.in_(chosen))
    found: dict[str, dict[str, consent.Topic]] = {}
    for row in connection.execute(query.order_by(_TENANTS.topic_id)):
        found.setdefault(row.tenant_id, {})[row.topic_id] = _default.decode(row.body)
    return found


def replace_of_tenant(
    connection: sa.Connection, workspace_id: int, tenant_id: str, given: Mapping[str, consent.Topic], now: int
) -> None:
    """Let a tenant set these for its people who said nothing, and nothing else."""
    drop_of_tenant(connection, workspace_id, tenant_id)
    put_of_tenant(connection, workspace_id, tenant_id, given, now)


def put_of_tenant(
    connection: sa.Connection, workspace_id: int, tenant_id: str, given: Mapping[str, consent.Topic], now: int
) -> None:
    """Let a tenant set these for its people who said nothing; what it set of other topics stays."""
    workspaces.raise_version(connection, workspace_id)
    drop_of_tenant(connection, workspace_id, tenant_id, list(given))
    if given:
        connection.execute(
            sa.insert(schema.tenant_preferences),
            [
                {
                    "workspace_id": workspace_id,
                    "tenant_id": tenant_id,
                    "topic_id": topic_id,
                    "body": msgspec.json.encode(topic),
                    "updated_at": now,
                }
                for topic_id, topic in given.items()
            ],
        )


def drop_of_tenant(
    connection: sa.Connection, workspace_id: int, tenant_id: str, chosen: list[str] | None = None
) -> int:
    """Let a tenant set nothing of these topics (None: of any); gives of how many that changed anything."""
    workspaces.raise_version(connection, workspace_id)
    gone = sa.delete(schema.tenant_preferences).where(
        _TENANTS.workspace_id == workspace_id, _TENANTS.tenant_id == tenant_id
    )
    if chosen is not None:
        gone = gone.where(_TENANTS.topic_id.in_(chosen))
    return int(connection.execute(gone).rowcount)
