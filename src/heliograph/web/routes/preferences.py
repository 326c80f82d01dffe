"""What a person wants to hear of: `/users/{user_id}/preferences`, in Courier's shape (courier-wire 2.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from litestar import Response, delete, get, post, put

from heliograph import errors
from heliograph.core import consent
from heliograph.store import consent as stored
from heliograph.store import preference_topics as topics_stored
from heliograph.store import tenants
from heliograph.web import courier, paging, subscribers
from heliograph.web.calls import Call, ignored_header, in_thread

_Paging = paging.Paging
TAG = "Preferences"
_PATH = "/users/{user_id:str}/preferences"
_TOPIC = f"{_PATH}/{{topic_id:str}}"


class TenantQuery(msgspec.Struct):
    """To which tenant it is said; to the workspace itself where none is named."""

    tenant_id: str | None = None


class Choice(msgspec.Struct, kw_only=True):
    """What somebody says of a topic."""

    status: courier.TopicStatus
    has_custom_routing: bool | None = None
    custom_routing: list[courier.ChannelClass] | None = None


class ChoiceBody(msgspec.Struct):
    """What somebody says of one topic."""

    topic: Choice


class TopicChoice(Choice, kw_only=True):
    """What somebody says of which topic."""

    topic_id: str


class TopicsBody(msgspec.Struct):
    """What somebody says of several topics, 50 at most."""

    topics: list[TopicChoice]


class Topic(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A topic, and what somebody said of it, or what is taken to be said where they said nothing."""

    topic_id: str
    topic_name: str
    status: courier.TopicStatus
    default_status: courier.TopicStatus
    has_custom_routing: bool
    custom_routing: list[courier.ChannelClass]
    section_id: str | None = None
    section_name: str | None = None


class TopicPage(msgspec.Struct):
    """The topics of which somebody said something."""

    items: list[Topic]
    paging: _Paging


class OneTopic(msgspec.Struct):
    """One topic."""

    topic: Topic


class Said(msgspec.Struct, kw_only=True):
    """What was said."""

    topic_id: str
    status: courier.TopicStatus
    has_custom_routing: bool
    custom_routing: list[courier.ChannelClass]


class Replaced(msgspec.Struct):
    """What was said, and the topics of which nothing is said any more."""

    items: list[Said]
    deleted: list[str]


class Refusal(msgspec.Struct):
    """A topic that was not taken."""

    topic_id: str
    reason: str


class Updated(msgspec.Struct):
    """What was said."""

    items: list[Said]
    errors: list[Refusal]


class PreferenceSaved(msgspec.Struct):
    """It is done."""

    message: str


@get(_PATH, opt={"tag": TAG, "query": TenantQuery})
@in_thread
def list_preferences(request: Call) -> Response[TopicPage]:
    """List the workspace's topics, and others of which somebody said something."""
    tenant_id, ignored = _tenant(request)
    topics, known = _read(request, tenant_id).topics, _known(request, tenant_id)
    listed = [_topic(topic_id, topics.get(topic_id), known) for topic_id in sorted({*topics, *known.topics})]
    return Response(TopicPage(listed, paging.Paging(None, False)), headers=ignored_header(ignored))


@put(_PATH, opt={"tag": TAG, "query": TenantQuery, "body": TopicsBody})
@in_thread
def replace_preferences(request: Call) -> Response[Replaced]:
    """Let somebody have said this and nothing else: other topics are as they were at first."""
    tenant_id, ignored = _tenant(request)
    given = request.read_object()
    topics, more = consent.check_topics(given.get("topics"))
    _refuse(request, tenant_id, topics)
    before, _ = _change(request, tenant_id, lambda _: consent.Consent(topics))
    headers = subscribers.named([*ignored, *more], given, ("topics",))
    return Response(Replaced(_said(topics), sorted(before.topics.keys() - topics.keys())), headers=headers)


@post(_PATH, status_code=200, opt={"tag": TAG, "query": TenantQuery, "body": TopicsBody})
@in_thread
def update_preferences(request: Call) -> Response[Updated]:
    """Let somebody say this of some topics; of others they said what they said."""
    tenant_id, ignored = _tenant(request)
    given = request.read_object()
    topics, more = consent.check_topics(given.get("topics"))
    known = _known(request, tenant_id)
    refused = [name for name, topic in topics.items() if _is_against(name, topic, known)]
    taken = {name: topic for name, topic in topics.items() if name not in refused}
    _change(request, tenant_id, lambda before: consent.Consent({**before.topics, **taken}))
    headers = subscribers.named([*ignored, *more], given, ("topics",))
    return Response(Updated(_said(taken), [Refusal(name, _REQUIRED) for name in refused]), headers=headers)


@get(_TOPIC, opt={"tag": TAG, "query": TenantQuery})
@in_thread
def read_preference(request: Call) -> Response[OneTopic]:
    """Read what somebody said of a topic: who said nothing has agreed."""
    tenant_id, ignored = _tenant(request)
    topic_id = consent.check_topic_id(request.part("topic_id"), "topic_id")
    found, known = _read(request, tenant_id).topics.get(topic_id), _known(request, tenant_id)
    return Response(OneTopic(_topic(topic_id, found, known)), headers=ignored_header(ignored))


@put(_TOPIC, opt={"tag": TAG, "query": TenantQuery, "body": ChoiceBody})
@in_thread
def put_preference(request: Call) -> Response[PreferenceSaved]:
    """Let somebody say this of a topic."""
    tenant_id, ignored = _tenant(request)
    topic_id = consent.check_topic_id(request.part("topic_id"), "topic_id")
    given = request.read_object()
    topic = consent.check_topic(given.get("topic"), "topic")
    _refuse(request, tenant_id, {topic_id: topic}, "topic.status")
    _change(request, tenant_id, lambda before: consent.Consent({**before.topics, topic_id: topic}))
    more = consent.passed_over(given["topic"], "topic")
    return Response(
        PreferenceSaved("success"), headers=subscribers.named([*ignored, *more], given, ("topic",))
    )


@delete(_TOPIC, opt={"tag": TAG, "query": TenantQuery})
@in_thread
def delete_preference(request: Call) -> Response[None]:
    """Let nothing be said of a topic any more."""
    tenant_id, ignored = _tenant(request)
    topic_id = request.part("topic_id")

    def without(before: consent.Consent) -> consent.Consent:
        return consent.Consent({name: topic for name, topic in before.topics.items() if name != topic_id})

    _change(request, tenant_id, without)
    return Response(None, headers=ignored_header(ignored))


def _tenant(request: Call) -> tuple[str | None, list[str]]:
    """To which tenant it is said. Raises errors.NotFound where a tenant's key names another one."""
    query, ignored = request.read_courier_query(TenantQuery)
    tenant_id = request.speaking_for(query.tenant_id)
    fault = subscribers.user_fault(request.part("user_id"))
    if fault:
        raise errors.InvalidInput.at("user_id", fault)
    return tenant_id or None, ignored


def _read(request: Call, tenant_id: str | None) -> consent.Consent:
    workspace_id, user_id = request.principal.workspace_id, request.part("user_id")
    with request.services.database.reading() as connection:
        return stored.read(connection, workspace_id, tenant_id, user_id)


def _change(request: Call, tenant_id: str | None, change: Any) -> tuple[consent.Consent, consent.Consent]:
    services, workspace_id = request.services, request.principal.workspace_id
    user_id = request.part("user_id")
    return stored.change(services.database, workspace_id, tenant_id, user_id, change, services.now())


class _Known(NamedTuple):
    """The workspace's topics and sections, and what is taken to be said by whoever said nothing."""

    topics: dict[str, topics_stored.Topic]
    sections: dict[str, str]
    defaults: list[Mapping[str, consent.Topic]]
    """The tenant's first, then those of the tenants above it, the workspace's last."""

    def default(self, topic_id: str) -> consent.Topic:
        """What is taken to be said of a topic."""
        return next((one[topic_id] for one in self.defaults if topic_id in one), consent.AGREED)


_REQUIRED = "is REQUIRED: nobody can refuse it"


def _known(request: Call, tenant_id: str | None) -> _Known:
    workspace_id = request.principal.workspace_id
    with request.services.database.reading() as connection:
        found = topics_stored.topics(connection, workspace_id)
        sections = topics_stored.sections(connection, workspace_id)
        by_workspace = {one.id: one.definition.default for one in found}
        line = tenants.line(connection, workspace_id, tenant_id)
        said = topics_stored.of_tenants(connection, workspace_id, line) if line else {}
    names = {one.id: one.definition.name for one in sections}
    above = [said[name] for name in line if name in said]
    return _Known({one.id: one for one in found}, names, [*above, by_workspace])


def _is_against(topic_id: str, topic: consent.Topic, known: _Known) -> bool:
    """Whether somebody refuses what nobody can refuse."""
    return topic.status == "OPTED_OUT" and any(
        default[topic_id].status == "REQUIRED" for default in known.defaults if topic_id in default
    )


def _refuse(
    request: Call, tenant_id: str | None, topics: Mapping[str, consent.Topic], path: str = "topics"
) -> None:
    """Raises errors.InvalidInput where somebody refuses what nobody can refuse."""
    known = _known(request, tenant_id)
    faults = [
        errors.Fault(path, f"{name!r} {_REQUIRED}")
        for name, topic in topics.items()
        if _is_against(name, topic, known)
    ]
    if faults:
        raise errors.InvalidInput(faults=faults)


def _topic(topic_id: str, said: consent.Topic | None, known: _Known) -> Topic:
    default, topic = known.default(topic_id), known.topics.get(topic_id)
    shown = consent.shown(said or default)
    if default.status == "REQUIRED":
        shown["status"] = "REQUIRED"
    section_id = None if topic is None else topic.section_id
    return Topic(
        topic_id=topic_id,
        topic_name=topic_id if topic is None else topic.definition.name,
        default_status=default.status,  # type: ignore[arg-type]
        section_id=section_id,
        section_name=None if section_id is None else known.sections.get(section_id),
        **shown,
    )


def _said(topics: dict[str, consent.Topic]) -> list[Said]:
    return [Said(topic_id=topic_id, **consent.shown(topic)) for topic_id, topic in topics.items()]


HANDLERS = (
    list_preferences,
    replace_preferences,
    update_preferences,
    read_preference,
    put_preference,
    delete_preference,
)
