"""The page on which people choose what they hear of: as it was published, or else as its sections and topics stand.

Law: what was published stays; the newest is shown. A topic that was deleted since is shown no more.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import brands as core_brands
from heliograph.core import preference_topics as core
from heliograph.store import brands, identities, preference_topics, schema

_PAGES = schema.preference_pages.c
_page = msgspec.json.Decoder(core.Page)


class Published(NamedTuple):
    """A page that was published."""

    id: bytes
    version: int
    """Milliseconds since 1970, later than that of any before."""
    definition: core.Page
    at: int
    """The instant (µs)."""


def publish(connection: sa.Connection, workspace_id: int, page: core.Page, now: int, by: str) -> Published:
    """Let the sections and topics that stand now be shown with what this page says. Raises errors.InvalidInput."""
    if page.brand_id and (
        "\x00" in page.brand_id or brands.read(connection, workspace_id, page.brand_id) is None
    ):
        raise errors.InvalidInput.at("brand_id", f"there is no brand {page.brand_id!r}")
    # Two who publish at once do it one after the other.
    own = sa.select(schema.workspaces.c.id).where(schema.workspaces.c.id == workspace_id)
    connection.execute(own.with_for_update())
    latest = connection.execute(
        sa.select(sa.func.max(_PAGES.version)).where(_PAGES.workspace_id == workspace_id)
    ).scalar_one()
    definition = msgspec.structs.replace(page, sections=_sections(connection, workspace_id))
    made = Published(identities.fresh(now), max(now // 1000, (latest or 0) + 1), definition, now)
    connection.execute(
        sa.insert(schema.preference_pages).values(
            workspace_id=workspace_id,
            version=made.version,
            id=made.id,
            definition=msgspec.json.encode(definition),
            published_at=now,
            published_by=by,
        )
    )
    return made


def shown(connection: sa.Connection, workspace_id: int) -> core.Page:
    """The page that people see: the newest that was published; where none was, what stands."""
    standing = _sections(connection, workspace_id)
    query = sa.select(_PAGES.definition).where(_PAGES.workspace_id == workspace_id)
    stored = connection.execute(query.order_by(_PAGES.version.desc()).limit(1)).scalar_one_or_none()
    if stored is None:
        return core.Page(standing)
    page, there = _page.decode(stored), {topic.id for section in standing for topic in section.topics}
    kept = [
        msgspec.structs.replace(section, topics=[topic for topic in section.topics if topic.id in there])
        for section in page.sections
    ]
    return msgspec.structs.replace(page, sections=[section for section in kept if section.topics])


def look(connection: sa.Connection, workspace_id: int, page: core.Page) -> core_brands.Look:
    """How a page looks; a brand that was deleted since is none."""
    if page.brand_id == "":
        return core_brands.PLAIN
    default = brands.read(connection, workspace_id, core_brands.DEFAULT)
    chosen = default if page.brand_id is None else brands.read(connection, workspace_id, page.brand_id)
    if chosen is None:
        return core_brands.PLAIN
    return core_brands.effective(chosen.definition, None if default is None else default.definition)


def _sections(connection: sa.Connection, workspace_id: int) -> list[core.PageSection]:
    """The sections that have topics, with these, as they stand."""
    topics = preference_topics.topics(connection, workspace_id)
    made = [
        core.PageSection(
            section.definition.name,
            [
                core.PageTopic(topic.id, topic.definition.name, topic.definition.description)
                for topic in topics
                if topic.section_id == section.id
            ],
            section.definition.description,
        )
        for section in preference_topics.sections(connection, workspace_id)
    ]
    return [section for section in made if section.topics]
