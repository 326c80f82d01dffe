"""Notifications as they are read and answered: what the routes of `/notifications` share.

Law: which version is meant by a word, and how a template looks on Courier's wire, is said here alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from heliograph import errors
from heliograph.core import message_templates
from heliograph.core.elemental import reading
from heliograph.core.message_templates import Said
from heliograph.store import templates as stored
from heliograph.web import paging as pages
from heliograph.web.calls import Call

TAG = "Templates"
ONE = "/notifications/{template_id:str}"
State = Literal["DRAFT", "PUBLISHED"]


class VersionQuery(msgspec.Struct):
    """Which version is meant."""

    version: (
        Annotated[str, msgspec.Meta(description="`published`, `draft`, or one such as `v001`.")] | None
    ) = None


class BrandReference(msgspec.Struct):
    """The brand in whose look it is drawn."""

    id: str


class TopicReference(msgspec.Struct):
    """The topic that people subscribe to."""

    topic_id: str


class RoutingReference(msgspec.Struct):
    """The strategy by which channels are chosen."""

    strategy_id: str


class Elemental(msgspec.Struct):
    """What it says, by elements such as `{"type": "text", "content": "Hello {name}"}`."""

    elements: list[dict[str, Any]]
    version: str = reading.VERSION


class Email(msgspec.Struct, omit_defaults=True, rename={"sender": "from"}):
    """Whom its e-mails are from."""

    sender: str | msgspec.UnsetType = msgspec.UNSET
    reply_to: str | msgspec.UnsetType = msgspec.UNSET


class Notification(msgspec.Struct, kw_only=True):
    """A template."""

    id: str
    name: str
    content: dict[str, Any]
    tags: list[str]
    brand: BrandReference | None
    routing: RoutingReference | None
    subscription: TopicReference | None
    created: int
    creator: str
    state: State
    updated: int
    updater: str
    email: Email | msgspec.UnsetType = msgspec.UNSET
    alias: str | msgspec.UnsetType = msgspec.UNSET


def there(found: stored.Template | None, request: Call) -> stored.Template:
    """Raises errors.NotFound where there is none."""
    return request.there(found, "template", "template_id")


def publishes(given: Mapping[str, Any]) -> bool:
    """Whether the request's `state` is PUBLISHED. Raises errors.InvalidInput."""
    state = given.get("state", "DRAFT")
    if not isinstance(state, str) or state.upper() not in ("DRAFT", "PUBLISHED"):
        raise errors.InvalidInput.at("state", "is DRAFT or PUBLISHED")
    return state.upper() == "PUBLISHED"


def in_version(found: stored.Template, named: str | None, known: list[stored.Version]) -> tuple[Said, State]:
    """What a template says in the version that is asked for, and the state of that."""
    chosen = found.in_version(named, known)
    return chosen.said, "PUBLISHED" if chosen.version else "DRAFT"


def asked_for(request: Call, named: str | None) -> tuple[stored.Template, Said, State]:
    """The template of the path as it was in the version of this name. Raises errors.NotFound."""
    with request.services.database.reading() as connection:
        workspace = request.principal.workspace_id
        found = there(stored.read(connection, workspace, request.part("template_id")), request)
        said, state = in_version(found, named, stored.versions(connection, workspace, found.id))
    return found, said, state


def shown(found: stored.Template, said: Said, state: State) -> Notification:
    """A template as Courier shows one."""
    email: Email | msgspec.UnsetType = msgspec.UNSET
    if said.sender or said.reply_to:
        email = Email(said.sender or msgspec.UNSET, said.reply_to or msgspec.UNSET)
    return Notification(
        id=found.id,
        name=said.name or found.id,
        content=message_templates.content_of(said),
        tags=said.tags,
        brand=None if said.brand is None else BrandReference(said.brand),
        routing=None if said.routing is None else RoutingReference(said.routing),
        subscription=None if said.topic is None else TopicReference(said.topic),
        created=found.created_at // 1000,
        creator=said.creator or "",
        state=state,
        updated=found.updated_at // 1000,
        updater=found.draft.creator or "",
        email=email,
        alias=found.alias or msgspec.UNSET,
    )


class Summary(msgspec.Struct, kw_only=True):
    """A template in a list; instants are milliseconds since 1970 UTC."""

    id: str
    name: str
    created: int
    creator: str
    state: State
    tags: list[str]
    updated: int
    updater: str
    subscription_topic_id: str | msgspec.UnsetType = msgspec.UNSET
    topic_id: str | msgspec.UnsetType = msgspec.UNSET


class Notifications(msgspec.Struct):
    """A page of templates, by id."""

    paging: pages.Paging
    results: list[Summary]


def summary(found: stored.Template) -> Summary:
    """A template as lists show it."""
    said = found.published or found.draft
    topic = found.published.topic if found.published else None
    return Summary(
        id=found.id,
        name=said.name or found.id,
        created=found.created_at // 1000,
        creator=said.creator or "",
        state="DRAFT" if found.published is None else "PUBLISHED",
        tags=said.tags,
        updated=found.updated_at // 1000,
        updater=found.draft.creator or "",
        subscription_topic_id=topic or msgspec.UNSET,
        topic_id=topic or msgspec.UNSET,
    )
