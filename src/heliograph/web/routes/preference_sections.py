"""What people may choose from: `/preferences/sections` and the topics in them, in Courier's shape (courier-wire 2)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec
from litestar import Response, delete, get, post, put

from heliograph import errors
from heliograph.core import ids, preference_topics, schedule
from heliograph.store import identities
from heliograph.store import preference_topics as stored
from heliograph.web import courier
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Preference sections"
_SECTIONS = "/preferences/sections"
_SECTION = f"{_SECTIONS}/{{section_id:str}}"
_TOPICS = f"{_SECTION}/topics"
_TOPIC = f"{_TOPICS}/{{topic_id:str}}"

Allowed = Literal["snooze", "channel_preferences"]


class SectionBody(msgspec.Struct, kw_only=True):
    """What is said of a section."""

    name: str
    id: str | None = None
    """The id of a new section, where it is to have one of your own."""
    description: str | None = None
    has_custom_routing: bool | None = None
    routing_options: list[courier.ChannelClass] | None = None


class TopicBody(msgspec.Struct, kw_only=True):
    """What is said of a topic."""

    name: str
    default_status: courier.TopicStatus
    """What is taken to be said by whoever said nothing of it; nobody can refuse what is REQUIRED."""
    id: str | None = None
    """The id of a new topic, where it is to have one of your own."""
    description: str | None = None
    routing_options: list[courier.ChannelClass] | None = None
    """The channels on which it goes to whoever said nothing; all where it is empty."""
    allowed_preferences: list[Allowed] | None = None
    include_unsubscribe_header: bool | None = None
    topic_data: dict[str, Any] | None = None


class SectionTopic(msgspec.Struct, kw_only=True):
    """A topic."""

    id: str
    name: str
    description: str | None
    default_status: courier.TopicStatus
    routing_options: list[courier.ChannelClass]
    allowed_preferences: list[Allowed]
    include_unsubscribe_header: bool
    topic_data: dict[str, Any]
    created: str
    creator: str | None
    updated: str
    updater: str | None


class Section(msgspec.Struct, kw_only=True):
    """A section with its topics."""

    id: str
    name: str
    description: str | None
    has_custom_routing: bool
    routing_options: list[courier.ChannelClass]
    topics: list[SectionTopic]
    created: str
    creator: str | None
    updated: str
    updater: str | None


class Sections(msgspec.Struct):
    """Every section."""

    results: list[Section]


class SectionTopics(msgspec.Struct):
    """The topics of a section."""

    results: list[SectionTopic]


# ── sections ────────────────────────────────────────────────────────────────────────────────────────


@get(_SECTIONS, opt={"tag": TAG})
@in_thread
def list_sections(request: Call) -> Response[Sections]:
    """List the sections with their topics."""
    ignored = request.ignore_query()
    with request.services.database.reading() as connection:
        found = stored.sections(connection, request.principal.workspace_id)
        topics = stored.topics(connection, request.principal.workspace_id)
    return Response(Sections([_section(one, topics) for one in found]), headers=ignored_header(ignored))


@post(_SECTIONS, status_code=200, opt={"tag": TAG, "body": SectionBody})
@in_thread
def create_section(request: Call) -> Response[Section]:
    """Make a section."""
    return _put_section(request, None)


@get(_SECTION, opt={"tag": TAG})
@in_thread
def read_section(request: Call) -> Response[Section]:
    """Read a section with its topics."""
    ignored = request.ignore_query()
    with request.services.database.reading() as connection:
        found = _there(request, connection)
        topics = stored.topics(connection, request.principal.workspace_id)
    return Response(_section(found, topics), headers=ignored_header(ignored))


@put(_SECTION, opt={"tag": TAG, "body": SectionBody})
@in_thread
def replace_section(request: Call) -> Response[Section]:
    """Let a section say something else; what is left out is cleared. Its topics stay."""
    return _put_section(request, request.part("section_id"))


@delete(_SECTION, opt={"tag": TAG})
@in_thread
def delete_section(request: Call) -> Response[None]:
    """Delete a section that has no topics."""
    ignored, workspace_id = request.ignore_query(), _whole_workspace(request)
    with request.services.database.writing() as connection:
        if not stored.delete_section(connection, workspace_id, request.part("section_id")):
            raise errors.NotFound(f"there is no section {request.part('section_id')!r}")
    return Response(None, headers=ignored_header(ignored))


def _put_section(request: Call, identity: str | None) -> Response[Section]:
    ignored, workspace_id = request.ignore_query(), _whole_workspace(request)
    given = request.read_object()
    definition = preference_topics.define_section(given)
    with request.services.database.writing() as connection:
        if identity is None:
            identity = _new(request, given, "section", stored.sections(connection, workspace_id))
        else:
            _there(request, connection)
        made = stored.put_section(
            connection, workspace_id, identity, definition, request.services.now(), request.principal.key_id
        )
        topics = stored.topics(connection, workspace_id)
    ignored += given.keys() - {*preference_topics.SECTION, "id"}
    return Response(_section(made, topics), headers=ignored_header(ignored))


# ── topics ──────────────────────────────────────────────────────────────────────────────────────────


@get(_TOPICS, opt={"tag": TAG})
@in_thread
def list_topics(request: Call) -> Response[SectionTopics]:
    """List the topics of a section."""
    ignored = request.ignore_query()
    with request.services.database.reading() as connection:
        section = _there(request, connection)
        topics = stored.topics(connection, request.principal.workspace_id)
    return Response(SectionTopics(_section(section, topics).topics), headers=ignored_header(ignored))


@post(_TOPICS, status_code=200, opt={"tag": TAG, "body": TopicBody})
@in_thread
def create_topic(request: Call) -> Response[SectionTopic]:
    """Make a topic in a section."""
    return _put_topic(request, None)


@get(_TOPIC, opt={"tag": TAG})
@in_thread
def read_topic(request: Call) -> Response[SectionTopic]:
    """Read a topic."""
    ignored = request.ignore_query()
    with request.services.database.reading() as connection:
        return Response(_topic(_topic_there(request, connection)), headers=ignored_header(ignored))


@put(_TOPIC, opt={"tag": TAG, "body": TopicBody})
@in_thread
def replace_topic(request: Call) -> Response[SectionTopic]:
    """Let a topic say something else; what is left out is cleared."""
    return _put_topic(request, request.part("topic_id"))


@delete(_TOPIC, opt={"tag": TAG})
@in_thread
def delete_topic(request: Call) -> Response[None]:
    """Delete a topic; what people said of it stays, for when it comes back."""
    ignored, workspace_id = request.ignore_query(), _whole_workspace(request)
    with request.services.database.writing() as connection:
        section_id, topic_id = request.part("section_id"), request.part("topic_id")
        if not stored.delete_topic(connection, workspace_id, section_id, topic_id):
            raise errors.NotFound(f"there is no topic {topic_id!r} in the section {section_id!r}")
    return Response(None, headers=ignored_header(ignored))


def _put_topic(request: Call, identity: str | None) -> Response[SectionTopic]:
    ignored, workspace_id = request.ignore_query(), _whole_workspace(request)
    given = request.read_object()
    definition = preference_topics.define_topic(given)
    with request.services.database.writing() as connection:
        section = _there(request, connection)
        if identity is None:
            identity = _new(request, given, "topic", stored.topics(connection, workspace_id))
        else:
            _topic_there(request, connection)
        made = stored.put_topic(
            connection,
            workspace_id,
            section.id,
            identity,
            definition,
            request.services.now(),
            request.principal.key_id,
        )
    ignored += given.keys() - {*preference_topics.TOPIC, "id"}
    return Response(_topic(made), headers=ignored_header(ignored))


# ── what they share ─────────────────────────────────────────────────────────────────────────────────


def _whole_workspace(request: Call) -> int:
    if request.principal.tenant_id is not None:
        raise errors.Forbidden(
            "sections and topics are the whole workspace's: take a key that is bound to no tenant"
        )
    return request.principal.workspace_id


def _new(
    request: Call, given: Mapping[str, Any], what: str, known: Iterable[stored.Section | stored.Topic]
) -> str:
    """The id of what is made: its own, or a fresh one. Raises errors.Conflict where it is taken."""
    named = preference_topics.check_id(given.get("id"))
    identity = named or ids.text(identities.fresh(request.services.now()))
    if any(one.id == identity for one in known):
        raise errors.Conflict(f"there is a {what} {identity!r} already: change it with PUT")
    return identity


def _there(request: Call, connection: Any) -> stored.Section:
    identity = request.part("section_id")
    for one in stored.sections(connection, request.principal.workspace_id):
        if one.id == identity:
            return one
    raise errors.NotFound(f"there is no section {identity!r}")


def _topic_there(request: Call, connection: Any) -> stored.Topic:
    section_id, topic_id = request.part("section_id"), request.part("topic_id")
    for one in stored.topics(connection, request.principal.workspace_id):
        if (one.id, one.section_id) == (topic_id, section_id):
            return one
    raise errors.NotFound(f"there is no topic {topic_id!r} in the section {section_id!r}")


def _section(section: stored.Section, topics: list[stored.Topic]) -> Section:
    inside = [_topic(one) for one in topics if one.section_id == section.id]
    fields: dict[str, Any] = msgspec.structs.asdict(section.definition)
    return Section(id=section.id, topics=inside, **fields, **_when(section.written))


def _topic(topic: stored.Topic) -> SectionTopic:
    fields: dict[str, Any] = msgspec.structs.asdict(topic.definition)
    return SectionTopic(id=topic.id, **fields, **_when(topic.written))


def _when(written: stored.Written) -> dict[str, Any]:
    return {
        "created": schedule.write_instant(written.created_at),
        "creator": written.created_by,
        "updated": schedule.write_instant(written.updated_at),
        "updater": written.updated_by,
    }


HANDLERS = (
    list_sections,
    create_section,
    read_section,
    replace_section,
    delete_section,
    list_topics,
    create_topic,
    read_topic,
    replace_topic,
    delete_topic,
)
