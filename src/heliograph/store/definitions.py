"""What the engine reads of definitions: once for each version, never by time.

Law: reading only, in one look; whoever changes a definition raises the workspace's `definitions_version`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import (
    campaigns,
    exposures,
    ids,
    notices,
    plans,
    routing,
    routing_strategies,
    segment_moves,
    segments,
)
from heliograph.core import sending_policies as core_policies
from heliograph.store import preference_topics, providers, schema, sending_policies, teams

_strategy = msgspec.json.Decoder(routing_strategies.Definition)


class StoredRule(NamedTuple):
    """A rule as it is stored; `definition` is the JSON of core.rules.Definition."""

    id: bytes
    version: int
    tenant_id: str | None
    created_at: int
    definition: bytes | str


class StoredDate(NamedTuple):
    """A date automation as it is stored; `definition` is the JSON of store.dates.Kept."""

    id: bytes
    version: int
    tenant_id: str | None
    created_at: int
    updated_at: int
    definition: bytes | str


class Definitions(NamedTuple):
    """Everything that a workspace's turns need to know beforehand."""

    version: int
    settings: bytes | str
    pause_ended_at: int
    """When the newest pause ended, or ends by itself (µs); 0 = there was none, or nobody has ended it."""
    rules: list[StoredRule]
    journeys: list[StoredRule]
    """As rules are: `definition` is the JSON of core.journeys.Definition."""
    library: plans.Library
    dates: list[StoredDate]
    agents: Mapping[str, str | None]
    """Who may take care of conversations, each with the tenant whose they are."""
    divisions: Mapping[str, str | None]
    is_paused: bool
    """By the control record, whatever the clock says of its end."""
    paused_until: int | None
    moving: segment_moves.Groups
    """The segments of whose moves somebody waits to hear."""
    policies: Mapping[str, core_policies.Policy]
    """When nobody is disturbed and how often people are written to, by tenant; an empty text is the workspace."""
    topics: Mapping[str, str]
    """The topics of templates, by template, archived ones too."""
    defaults: preference_topics.Defaults
    """What is taken to be said by whoever said nothing."""


class Campaign(NamedTuple):
    """A campaign that is about to run, with all that it refers to and that is there."""

    tenant_id: str | None
    version: int
    definition: campaigns.Definition
    segments: Mapping[str, segments.Owned]
    groups: Mapping[str, tuple[int, Mapping[str, Any]]]
    """Version and content of each communication group, by id."""
    exposed: exposures.Exposed
    """What the workspace's schemas expose."""
    has_sms: bool = False
    """Whether there is a provider for text messages."""


_AUTOMATIONS = schema.automations.c
_TEMPLATES = schema.templates.c
_SEGMENTS = schema.segments.c
_campaign = msgspec.json.Decoder(campaigns.Definition)
_segment = msgspec.json.Decoder(segments.Definition)
_schema = msgspec.json.Decoder(exposures.Schema)
_decode = msgspec.json.Decoder().decode


def load(connection: sa.Connection, workspace_id: int) -> Definitions:
    """The definitions of a workspace as they stand."""
    workspace = connection.execute(
        sa.select(
            schema.workspaces.c.definitions_version,
            schema.workspaces.c.settings,
            schema.workspaces.c.is_paused,
            schema.workspaces.c.paused_until,
            schema.workspaces.c.pause_ended_at,
        ).where(schema.workspaces.c.id == workspace_id)
    ).one()
    return Definitions(
        workspace.definitions_version,
        workspace.settings,
        (workspace.paused_until or 0) if workspace.is_paused else workspace.pause_ended_at,
        [StoredRule(*row) for row in _stored(connection, workspace_id, "rule", StoredRule._fields)],
        [StoredRule(*row) for row in _stored(connection, workspace_id, "journey", StoredRule._fields)],
        library(connection, workspace_id),
        [StoredDate(*row) for row in _stored(connection, workspace_id, "date", StoredDate._fields)],
        teams.known(connection, workspace_id, teams.AGENTS),
        teams.known(connection, workspace_id, teams.DIVISIONS),
        bool(workspace.is_paused),
        workspace.paused_until,
        moving(connection, workspace_id),
        sending_policies.standing(connection, workspace_id),
        topics(connection, workspace_id),
        preference_topics.defaults(connection, workspace_id),
    )


def moving(connection: sa.Connection, workspace_id: int) -> segment_moves.Groups:
    """The active segments, where any rule or journey waits for somebody to enter or leave one; else none."""
    is_awaited = sa.exists(
        sa.select(1).where(
            _AUTOMATIONS.workspace_id == workspace_id,
            _AUTOMATIONS.kind.in_(("rule", "journey")),
            _AUTOMATIONS.trigger_type.in_(notices.OF_SEGMENTS),
            _AUTOMATIONS.deleted_at.is_(None),
        )
    )
    query = (
        sa.select(_SEGMENTS.id, _SEGMENTS.tenant_id, _SEGMENTS.definition)
        .where(_SEGMENTS.workspace_id == workspace_id, is_awaited)
        .order_by(_SEGMENTS.number)
    )
    found = tuple(tuple(row) for row in connection.execute(query))
    return _compiled(found) if found else segment_moves.NOBODY


@functools.lru_cache(maxsize=32)
def _compiled(found: tuple[tuple[Any, ...], ...]) -> segment_moves.Groups:
    """These segments, compiled: whoever writes profiles by hand asks again with each."""
    made = []
    for identity, tenant_id, definition in found:
        said = _segment.decode(definition)
        if said.status == "active":
            (members,) = segments.compiled([said.conditions], [tenant_id])
            made.append(segment_moves.Group(ids.text(identity), said.name, members))
    return segment_moves.Groups(made)


def topics(connection: sa.Connection, workspace_id: int) -> dict[str, str]:
    """The topics of templates, by template, archived ones too."""
    query = sa.select(_TEMPLATES.id, _TEMPLATES.topic_id).where(
        _TEMPLATES.workspace_id == workspace_id, _TEMPLATES.topic_id.is_not(None)
    )
    return {row.id: row.topic_id for row in connection.execute(query)}


def version(connection: sa.Connection, workspace_id: int) -> int:
    """The version of a workspace's definitions."""
    found: int = connection.execute(
        sa.select(schema.workspaces.c.definitions_version).where(schema.workspaces.c.id == workspace_id)
    ).scalar_one()
    return found


def library(connection: sa.Connection, workspace_id: int) -> plans.Library:
    """What is published of a workspace's templates and brands."""
    known = connection.execute(
        sa.select(
            _TEMPLATES.id, _TEMPLATES.alias, _TEMPLATES.version, _TEMPLATES.brand_id, _TEMPLATES.routing_id
        ).where(
            _TEMPLATES.workspace_id == workspace_id,
            _TEMPLATES.kind == "template",
            _TEMPLATES.archived_at.is_(None),
        )
    ).all()
    made = [
        (row, plans.Pin(row.id, row.version, row.brand_id, row.routing_id))
        for row in known
        if row.version > 0
    ]
    drafts = {name for row in known if row.version == 0 for name in (row.id, row.alias) if name}
    # An id goes before an alias.
    pins = {row.alias: pin for row, pin in made if row.alias} | {row.id: pin for row, pin in made}
    brands = schema.brands.c
    found = connection.execute(
        sa.select(brands.id, brands.version).where(brands.workspace_id == workspace_id)
    )
    versions = {row.id: row.version for row in found}
    routings, names = _routings(connection, workspace_id), providers.channels(connection, workspace_id)
    return plans.Library(pins, versions, routings, frozenset(drafts) - pins.keys(), names)


def _routings(connection: sa.Connection, workspace_id: int) -> dict[str, routing.Routing]:
    """By which channels messages go, by strategy."""
    known = schema.routing_strategies.c
    found = connection.execute(
        sa.select(known.id, known.definition).where(known.workspace_id == workspace_id)
    )
    return {row.id: routing_strategies.routing_of(_strategy.decode(row.definition)) for row in found}


def look(connection: sa.Connection, workspace_id: int, brand_id: str, version: int) -> bytes | str | None:
    """The look of a brand in one version; None where there is none."""
    versions = schema.brand_versions.c
    found: bytes | str | None = connection.execute(
        sa.select(versions.look).where(
            versions.workspace_id == workspace_id, versions.id == brand_id, versions.version == version
        )
    ).scalar_one_or_none()
    return found


def _stored(
    connection: sa.Connection, workspace_id: int, kind: str, fields: Sequence[str]
) -> Iterable[Sequence[Any]]:
    return connection.execute(
        sa.select(*(_AUTOMATIONS[name] for name in fields)).where(
            _AUTOMATIONS.workspace_id == workspace_id,
            _AUTOMATIONS.kind == kind,
            _AUTOMATIONS.deleted_at.is_(None),
        )
    ).all()


def version_of(connection: sa.Connection, automation_id: bytes, version: int) -> bytes | str | None:
    """The definition of an automation as it was in one version; None where there is none."""
    found: bytes | str | None = connection.execute(
        sa.select(schema.automation_versions.c.definition).where(
            schema.automation_versions.c.automation_id == automation_id,
            schema.automation_versions.c.version == version,
        )
    ).scalar_one_or_none()
    return found


def template(
    connection: sa.Connection, workspace_id: int, template_id: str, version: int
) -> bytes | str | None:
    """The content of a template in one version; None where there is none."""
    versions = schema.template_versions.c
    found: bytes | str | None = connection.execute(
        sa.select(versions.content).where(
            versions.workspace_id == workspace_id, versions.id == template_id, versions.version == version
        )
    ).scalar_one_or_none()
    return found


def campaign(connection: sa.Connection, workspace_id: int, automation_id: bytes) -> Campaign | None:
    """A campaign with what it refers to, as all of it stands; None where there is none."""
    row = connection.execute(
        sa.select(_AUTOMATIONS.tenant_id, _AUTOMATIONS.version, _AUTOMATIONS.definition).where(
            _AUTOMATIONS.workspace_id == workspace_id,
            _AUTOMATIONS.id == automation_id,
            _AUTOMATIONS.kind == "campaign",
            _AUTOMATIONS.deleted_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    definition = _campaign.decode(row.definition)
    wanted = (*definition.include_segments, *definition.exclude_segments)
    groups = campaigns.groups_of(definition)
    return Campaign(
        row.tenant_id,
        row.version,
        definition,
        _segments(connection, workspace_id, row.tenant_id, wanted),
        _groups(connection, workspace_id, row.tenant_id, groups),
        exposed(connection, workspace_id),
        providers.sends(connection, workspace_id, "sms"),
    )


def exposed(connection: sa.Connection, workspace_id: int) -> exposures.Exposed:
    """What a workspace's schemas expose."""
    schemas = schema.resource_schemas.c
    query = sa.select(schemas.definition).where(schemas.workspace_id == workspace_id)
    return exposures.gathered(_schema.decode(one) for one in connection.execute(query).scalars())


def _segments(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, wanted: tuple[str, ...]
) -> dict[str, segments.Owned]:
    query = sa.select(_SEGMENTS.id, _SEGMENTS.tenant_id, _SEGMENTS.definition).where(
        _SEGMENTS.workspace_id == workspace_id,
        _SEGMENTS.id.in_([identity for text in wanted if (identity := ids.parse(text)) is not None]),
    )
    if tenant_id is not None:
        query = query.where(_SEGMENTS.tenant_id == tenant_id)
    found = {
        ids.text(row.id): segments.Owned(_segment.decode(row.definition), row.tenant_id)
        for row in connection.execute(query)
    }
    return {**found, segments.ALL_USERS: segments.Owned(segments.EVERYBODY)}


def _groups(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, wanted: list[str]
) -> dict[str, tuple[int, Mapping[str, Any]]]:
    versions = schema.template_versions.c
    query = (
        sa.select(_TEMPLATES.id, _TEMPLATES.version, versions.content)
        .join_from(
            schema.templates,
            schema.template_versions,
            (versions.workspace_id == _TEMPLATES.workspace_id)
            & (versions.id == _TEMPLATES.id)
            & (versions.version == _TEMPLATES.version),
        )
        .where(_TEMPLATES.workspace_id == workspace_id, _TEMPLATES.kind == "group", _TEMPLATES.id.in_(wanted))
    )
    if tenant_id is not None:
        query = query.where(_TEMPLATES.tenant_id == tenant_id)
    return {row.id: (row.version, _decode(row.content)) for row in connection.execute(query)}
