"""Stored templates as people manage them: a draft, and versions of which one is published.

Law: a version is written once and kept for ever, so what a message was made from can be read as long as the message.
Sends take the published version; the draft is nobody's but its writers'. Each function works in the caller's
transaction and raises the workspace's `definitions_version` before it writes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import brands, exposures, ids, message_templates
from heliograph.core.message_templates import Said
from heliograph.store import definitions, identities, schema, workspaces

_TEMPLATES = schema.templates.c
_VERSIONS = schema.template_versions.c
_VERSION = re.compile(r"(?:published:)?v?0*([1-9]\d{0,8})")
_said = msgspec.json.Decoder(Said)
_fields = (
    _TEMPLATES.id,
    _TEMPLATES.number,
    _TEMPLATES.version,
    _TEMPLATES.created_at,
    _TEMPLATES.updated_at,
    _TEMPLATES.is_editable,
    _TEMPLATES.alias,
    _TEMPLATES.archived_at,
    _TEMPLATES.definition,
    _VERSIONS.content,
)


class Version(NamedTuple):
    """A version that was published; the draft has the number 0."""

    version: int
    created_at: int
    said: Said


class Template(NamedTuple):
    """A template as people read it."""

    id: str
    number: int
    version: int
    """The published one; 0 where none was ever published."""
    created_at: int
    updated_at: int
    is_editable: bool
    """False once a date automation sends it."""
    alias: str | None
    archived_at: int | None
    draft: Said
    published: Said | None

    @property
    def name(self) -> str:
        """What it is called: its own name, else its id."""
        return (self.published or self.draft).name or self.id

    def in_version(self, named: str | None, known: Sequence[Version]) -> Version:
        """The version of this name: `published`, `draft`, or `v001`; None is what is published, else the draft.

        Raises errors.NotFound where there is none.
        """
        if named == "draft" or (named is None and self.version == 0):
            return Version(0, self.updated_at, self.draft)
        number = self.version if named in (None, "published") else number_of(named)
        for one in known:
            if one.version == number:
                return one
        raise errors.NotFound(f"the template {self.id!r} has no version {named!r}")


def number_of(named: object) -> int | None:
    """The number of a version that is named `v001` or `published:v001`; None for what is none."""
    found = _VERSION.fullmatch(named) if isinstance(named, str) else None
    return None if found is None else int(found[1])


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def read(connection: sa.Connection, workspace_id: int, name: str) -> Template | None:
    """The template of this id, else of this alias, archived or not; None where there is none."""
    query = _query(workspace_id)
    for clause in (_TEMPLATES.id == name, _TEMPLATES.alias == name):
        row = connection.execute(query.where(clause)).one_or_none()
        if row is not None:
            return _template(row)
    return None


def lock(connection: sa.Connection, workspace_id: int, name: str) -> Template | None:
    """A template that is about to be changed: nobody else changes definitions until this transaction ends."""
    workspaces.raise_version(connection, workspace_id)
    return read(connection, workspace_id, name)


def listed(connection: sa.Connection, workspace_id: int) -> list[Template]:
    """Every template that is not archived, by id."""
    query = _query(workspace_id).where(_TEMPLATES.archived_at.is_(None)).order_by(_TEMPLATES.id)
    return [_template(row) for row in connection.execute(query)]


def names(connection: sa.Connection, workspace_id: int) -> frozenset[str]:
    """The ids and aliases by which templates are sent."""
    found = connection.execute(
        sa.select(_TEMPLATES.id, _TEMPLATES.alias).where(
            _TEMPLATES.workspace_id == workspace_id,
            _TEMPLATES.kind == "template",
            _TEMPLATES.version > 0,
            _TEMPLATES.archived_at.is_(None),
        )
    )
    return frozenset(name for row in found for name in row if name)


def versions(connection: sa.Connection, workspace_id: int, identity: str) -> list[Version]:
    """The versions of a template, newest first."""
    query = (
        sa.select(_VERSIONS.version, _VERSIONS.created_at, _VERSIONS.content)
        .where(_VERSIONS.workspace_id == workspace_id, _VERSIONS.id == identity)
        .order_by(_VERSIONS.version.desc())
    )
    return [
        Version(row.version, row.created_at, _said.decode(row.content)) for row in connection.execute(query)
    ]


def _query(workspace_id: int) -> sa.Select[Any]:
    return (
        sa.select(*_fields)
        .join_from(
            schema.templates,
            schema.template_versions,
            (_VERSIONS.workspace_id == _TEMPLATES.workspace_id)
            & (_VERSIONS.id == _TEMPLATES.id)
            & (_VERSIONS.version == _TEMPLATES.version),
            isouter=True,
        )
        .where(_TEMPLATES.workspace_id == workspace_id, _TEMPLATES.kind == "template")
    )


def _template(row: Sequence[Any]) -> Template:
    *head, draft, content = row
    published = None if content is None else _said.decode(content)
    # One that was stored before there were drafts has none of its own.
    return Template._make((*head, published if draft is None else _said.decode(draft), published))


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────


def put(
    connection: sa.Connection,
    workspace_id: int,
    identity: str,
    content: Said | Mapping[str, Any],
    now: int,
    alias: str | msgspec.UnsetType | None = msgspec.UNSET,
) -> Template:
    """Publish a template under an id, or its next version; one that says nothing new is left alone.

    The caller has checked what it says. Raises errors.Conflict.
    """
    said = content if isinstance(content, Said) else msgspec.convert(content, Said)
    stored = lock(connection, workspace_id, identity)
    if stored is None or stored.id != identity:
        return _made(connection, workspace_id, said, now, identity, alias, publishes=True)
    is_new = not said.same(stored.published) or stored.archived_at is not None
    if not is_new and alias in (msgspec.UNSET, stored.alias):
        return stored
    kept = change(connection, workspace_id, stored._replace(archived_at=None), said, now, alias)
    return publish(connection, workspace_id, kept, now)


def create(
    connection: sa.Connection,
    workspace_id: int,
    said: Said,
    now: int,
    *,
    identity: str | None = None,
    alias: str | msgspec.UnsetType | None = msgspec.UNSET,
    publishes: bool = False,
) -> Template:
    """Store a new template. Raises errors.Conflict where its id or alias is another one's."""
    workspaces.raise_version(connection, workspace_id)
    if identity is None:
        identity = ids.text(identities.fresh(now))
    return _made(connection, workspace_id, said, now, identity, alias, publishes=publishes)


def _made(
    connection: sa.Connection,
    workspace_id: int,
    said: Said,
    now: int,
    identity: str,
    alias: str | msgspec.UnsetType | None,
    *,
    publishes: bool,
) -> Template:
    alias = None if isinstance(alias, msgspec.UnsetType) else alias
    _take_names(connection, workspace_id, identity, alias)
    _refuse_unknown(connection, workspace_id, said)
    number = workspaces.next_number(connection, workspace_id, "templates")
    made = Template(identity, number, 0, now, now, True, alias, None, said, None)
    connection.execute(
        sa.insert(schema.templates).values(
            workspace_id=workspace_id,
            id=identity,
            number=number,
            version=0,
            created_at=now,
            updated_at=now,
            alias=alias,
            definition=msgspec.json.encode(said),
        )
    )
    return publish(connection, workspace_id, made, now) if publishes else made


def change(
    connection: sa.Connection,
    workspace_id: int,
    stored: Template,
    said: Said,
    now: int,
    alias: str | msgspec.UnsetType | None = msgspec.UNSET,
) -> Template:
    """Store what the draft of a template, read by `lock`, says from now on. Raises errors.Conflict."""
    refuse_fixed(stored)
    name = stored.alias if isinstance(alias, msgspec.UnsetType) else alias
    if name != stored.alias:
        _take_names(connection, workspace_id, None, name)
    _refuse_unknown(connection, workspace_id, said)
    made = stored._replace(draft=said, updated_at=max(now, stored.updated_at), alias=name)
    _update(
        connection,
        workspace_id,
        made,
        definition=msgspec.json.encode(said),
        alias=name,
        archived_at=made.archived_at,
    )
    return made


def publish(
    connection: sa.Connection, workspace_id: int, stored: Template, now: int, version: int | None = None
) -> Template:
    """Let sends take the draft of a template read by `lock`, or a version that was published before.

    A draft that says what is published already is no new version. Raises errors.Conflict, and NotFound for a version
    that there is not.
    """
    refuse_fixed(stored)
    known = versions(connection, workspace_id, stored.id)
    said: Said | None
    if version is None:
        if known and stored.version == known[0].version and stored.draft.same(stored.published):
            return stored
        version, said = 1 + (known[0].version if known else 0), stored.draft
        connection.execute(
            sa.insert(schema.template_versions).values(
                workspace_id=workspace_id,
                id=stored.id,
                version=version,
                content=msgspec.json.encode(said),
                created_at=now,
            )
        )
    else:
        said = next((one.said for one in known if one.version == version), None)
        if said is None:
            raise errors.NotFound(f"the template {stored.id!r} has no version v{version:03}")
    made = stored._replace(version=version, published=said, updated_at=max(now, stored.updated_at))
    said = made.published or stored.draft
    _update(
        connection,
        workspace_id,
        made,
        version=version,
        brand_id=brand_of(said),
        topic_id=said.topic,
        routing_id=said.routing,
    )
    return made


def archive(connection: sa.Connection, workspace_id: int, stored: Template, now: int) -> None:
    """Let nobody send a template, read by `lock`, any more; its versions stay, and what is in line is sent."""
    made = stored._replace(archived_at=now, updated_at=max(now, stored.updated_at))
    _update(connection, workspace_id, made, archived_at=now)


def refuse_fixed(stored: Template) -> None:
    """Raises errors.Conflict for a template that can be changed no more."""
    if stored.archived_at is not None:
        raise errors.Conflict(f"the template {stored.id!r} is archived: make another one")
    if not stored.is_editable:
        raise errors.Conflict(
            f"the template {stored.id!r} is sent by a date automation and can be edited no more:"
            " write another one, under an id of its own"
        )


def brand_of(said: Said) -> str | None:
    """The brand in whose look it is drawn; Elemental content is always drawn in one, if there is a default."""
    return said.brand or (brands.DEFAULT if said.is_drawn else None)


def _update(connection: sa.Connection, workspace_id: int, made: Template, **values: Any) -> None:
    connection.execute(
        sa.update(schema.templates)
        .where(_TEMPLATES.workspace_id == workspace_id, _TEMPLATES.id == made.id)
        .values(**values, updated_at=made.updated_at)
    )


def _refuse_unknown(connection: sa.Connection, workspace_id: int, said: Said) -> None:
    """Raises errors.InvalidInput where there is no such brand, or a field is not exposed to merge fields."""
    known, faults = schema.brands.c, []
    query = sa.select(known.id).where(known.workspace_id == workspace_id, known.id == said.brand)
    if said.brand is not None and connection.execute(query).first() is None:
        faults.append(errors.Fault("brand", f"there is no brand {said.brand!r}"))
    strategies = schema.routing_strategies.c
    query = sa.select(strategies.id).where(
        strategies.workspace_id == workspace_id, strategies.id == said.routing
    )
    if said.routing is not None and connection.execute(query).first() is None:
        faults.append(errors.Fault("routing.strategy_id", f"there is no routing strategy {said.routing!r}"))
    exposed = definitions.exposed(connection, workspace_id)
    if exposed.fields:
        # A template is filled from more than people: of what no schema speaks of, nothing is said.
        paths, lenient = message_templates.paths(said), exposed._replace(is_strict=False)
        faults += exposures.merge_faults(paths, lenient, "content", is_bare=False)
    if faults:
        raise errors.InvalidInput(faults=faults)


def _take_names(
    connection: sa.Connection, workspace_id: int, identity: str | None, alias: str | None
) -> None:
    """Let an archived template give up its alias to one that takes it for a name.

    Raises errors.Conflict where another record has this id, or another template this alias.
    """
    names = [name for name in (identity, alias) if name is not None]
    connection.execute(
        sa.update(schema.templates)
        .where(
            _TEMPLATES.workspace_id == workspace_id,
            _TEMPLATES.alias.in_(names),
            _TEMPLATES.archived_at.is_not(None),
        )
        .values(alias=None)
    )
    for column, name in itertools.product((_TEMPLATES.id, _TEMPLATES.alias), names):
        query = sa.select(_TEMPLATES.id).where(_TEMPLATES.workspace_id == workspace_id, column == name)
        if connection.execute(query).first() is not None:
            what = "alias" if name == alias else "id"
            raise errors.Conflict(f"the {what} {name} belongs to something else: take another one")
