"""What a person wants to hear of: `/users/{user_id}/preferences`, in Courier's shape (courier-wire 2.1)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Response, delete, get, post, put

from heliograph import errors
from heliograph.core import consent
from heliograph.store import consent as stored
from heliograph.web import paging, subscribers
from heliograph.web.calls import Call, ignored_header, in_thread

_Paging = paging.Paging
TAG = "Preferences"
_PATH = "/users/{user_id:str}/preferences"
_TOPIC = f"{_PATH}/{{topic_id:str}}"

Status = Literal["OPTED_IN", "OPTED_OUT", "REQUIRED"]
ChannelClass = Literal["direct_message", "email", "push", "sms", "webhook", "inbox"]


class TenantQuery(msgspec.Struct):
    """To which tenant it is said; to the workspace itself where none is named."""

    tenant_id: str | None = None


class Choice(msgspec.Struct, kw_only=True):
    """What somebody says of a topic."""

    status: Status
    has_custom_routing: bool | None = None
    custom_routing: list[ChannelClass] | None = None


class ChoiceBody(msgspec.Struct):
    """What somebody says of one topic."""

    topic: Choice


class TopicChoice(Choice, kw_only=True):
    """What somebody says of which topic."""

    topic_id: str


class TopicsBody(msgspec.Struct):
    """What somebody says of several topics, 50 at most."""

    topics: list[TopicChoice]


class Topic(msgspec.Struct, kw_only=True):
    """A topic, and what somebody said of it."""

    topic_id: str
    topic_name: str
    status: Status
    default_status: Status
    has_custom_routing: bool
    custom_routing: list[ChannelClass]


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
    status: Status
    has_custom_routing: bool
    custom_routing: list[ChannelClass]


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
    """List the topics of which somebody said something."""
    tenant_id, ignored = _tenant(request)
    topics = _read(request, tenant_id).topics
    listed = [_topic(topic_id, topics[topic_id]) for topic_id in sorted(topics)]
    return Response(TopicPage(listed, paging.Paging(None, False)), headers=ignored_header(ignored))


@put(_PATH, opt={"tag": TAG, "query": TenantQuery, "body": TopicsBody})
@in_thread
def replace_preferences(request: Call) -> Response[Replaced]:
    """Let somebody have said this and nothing else: other topics are as they were at first."""
    tenant_id, ignored = _tenant(request)
    given = request.read_object()
    topics, more = consent.check_topics(given.get("topics"))
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
    _change(request, tenant_id, lambda before: consent.Consent({**before.topics, **topics}))
    headers = subscribers.named([*ignored, *more], given, ("topics",))
    return Response(Updated(_said(topics), []), headers=headers)


@get(_TOPIC, opt={"tag": TAG, "query": TenantQuery})
@in_thread
def read_preference(request: Call) -> Response[OneTopic]:
    """Read what somebody said of a topic: who said nothing has agreed."""
    tenant_id, ignored = _tenant(request)
    topic_id = consent.check_topic_id(request.part("topic_id"), "topic_id")
    found = _read(request, tenant_id).topics.get(topic_id, consent.Topic("OPTED_IN"))
    return Response(OneTopic(_topic(topic_id, found)), headers=ignored_header(ignored))


@put(_TOPIC, opt={"tag": TAG, "query": TenantQuery, "body": ChoiceBody})
@in_thread
def put_preference(request: Call) -> Response[PreferenceSaved]:
    """Let somebody say this of a topic."""
    tenant_id, ignored = _tenant(request)
    topic_id = consent.check_topic_id(request.part("topic_id"), "topic_id")
    given = request.read_object()
    topic = consent.check_topic(given.get("topic"), "topic")
    _change(request, tenant_id, lambda before: consent.Consent({**before.topics, topic_id: topic}))
    return Response(PreferenceSaved("success"), headers=subscribers.named(ignored, given, ("topic",)))


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
    own = request.principal.tenant_id
    if own is not None and query.tenant_id not in (None, own):
        raise errors.NotFound(f"there is no tenant {query.tenant_id!r}")
    fault = subscribers.user_fault(request.part("user_id"))
    if fault:
        raise errors.InvalidInput.at("user_id", fault)
    return own or query.tenant_id or None, ignored


def _read(request: Call, tenant_id: str | None) -> consent.Consent:
    workspace_id, user_id = request.principal.workspace_id, request.part("user_id")
    with request.services.database.reading() as connection:
        return stored.read(connection, workspace_id, tenant_id, user_id)


def _change(request: Call, tenant_id: str | None, change: Any) -> tuple[consent.Consent, consent.Consent]:
    services, workspace_id = request.services, request.principal.workspace_id
    user_id = request.part("user_id")
    return stored.change(services.database, workspace_id, tenant_id, user_id, change, services.now())


def _topic(topic_id: str, topic: consent.Topic) -> Topic:
    return Topic(topic_id=topic_id, topic_name=topic_id, default_status="OPTED_IN", **consent.shown(topic))


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
