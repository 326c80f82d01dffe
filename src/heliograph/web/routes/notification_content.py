"""Notifications: the versions of a template, and its content as a whole and in parts.

Law: content is checked whole, however small the part that is changed; a change is the draft's until it is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post, put

from heliograph import errors
from heliograph.core import elemental, message_templates
from heliograph.core.elemental import reading, strangers
from heliograph.store import templates as stored
from heliograph.web import courier, notification_answers
from heliograph.web import paging as pages
from heliograph.web.calls import Call, ignored_header, in_thread

_Paging = pages.Paging


class VersionsQuery(pages.CursorQuery, kw_only=True):
    """Which versions are listed."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=10)] = 10


class ContentBody(msgspec.Struct):
    """Elemental content."""

    content: notification_answers.Elemental
    state: notification_answers.State = "DRAFT"


class ElementBody(msgspec.Struct, rename={"asked": "if"}):
    """What takes the place of an element; `data` holds its own fields."""

    type: str
    channels: list[str] | None = None
    data: dict[str, Any] | None = None
    asked: str | None = None
    loop: str | None = None
    ref: str | None = None
    state: notification_answers.State = "DRAFT"


class LocaleBody(msgspec.Struct):
    """What elements say in a locale, each by its `id`."""

    elements: list[dict[str, Any]]
    state: notification_answers.State = "DRAFT"


class PublishBody(msgspec.Struct):
    """The version that is to be published; the draft, where none is named."""

    version: str | None = None


class Mark(msgspec.Struct):
    """An element, and the checksum of what can be translated of it."""

    id: str
    checksum: str


class Mutation(msgspec.Struct):
    """What became of a change of content."""

    id: str
    elements: list[Mark]
    state: notification_answers.State
    version: str


class TemplateContent(msgspec.Struct):
    """What a template says, each element with its checksum."""

    elements: list[dict[str, Any]]
    version: str


class TemplateVersion(msgspec.Struct, kw_only=True):
    """A version: `draft`, `published:v002`, or one such as `v001`."""

    version: str
    created: int
    creator: str
    has_changes: bool | msgspec.UnsetType = msgspec.UNSET


class TemplateVersions(msgspec.Struct):
    """The draft, and what was published, newest first."""

    paging: _Paging
    versions: list[TemplateVersion]


@post(
    f"{notification_answers.ONE}/publish",
    status_code=204,
    opt={"tag": notification_answers.TAG, "body": PublishBody},
)
@in_thread
def publish_notification(request: Call) -> None:
    """Publish a template's draft, or a version of before."""
    courier.refuse_tenants(request)
    given = request.read_object() if request.content.body.strip() else {}
    named = given.get("version")
    number = None
    if named not in (None, "draft"):
        number = stored.number_of(named)
        if number is None:
            raise errors.InvalidInput.at("version", "is one that was published, such as v001")
    services, workspace = request.services, request.principal.workspace_id
    with services.database.writing() as connection:
        found = notification_answers.there(
            stored.lock(connection, workspace, request.part("template_id")), request
        )
        stored.publish(connection, workspace, found, services.now(), number)
    request.wake()


@get(f"{notification_answers.ONE}/versions", opt={"tag": notification_answers.TAG, "query": VersionsQuery})
@in_thread
def list_notification_versions(request: Call) -> Response[TemplateVersions]:
    """List a template's draft and the versions that were published, newest first."""
    query, ignored = request.read_courier_query(VersionsQuery)
    with request.services.database.reading() as connection:
        workspace = request.principal.workspace_id
        found = notification_answers.there(
            stored.read(connection, workspace, request.part("template_id")), request
        )
        known = stored.versions(connection, workspace, found.id)
    listed = [
        TemplateVersion(
            version="draft",
            created=found.updated_at // 1000,
            creator=found.draft.creator or "",
            has_changes=not found.draft.same(found.published),
        )
    ]
    listed += [
        TemplateVersion(
            version=f"{'published:' if one.version == found.version else ''}v{one.version:03}",
            created=one.created_at // 1000,
            creator=one.said.creator or "",
        )
        for one in known
    ]
    page, paging = pages.page_after(query.cursor, listed, _cursor_of, query.limit)
    return Response(TemplateVersions(paging, list(page)), headers=ignored_header(ignored))


def _cursor_of(version: TemplateVersion) -> str:
    """A version's place, whichever of them is the published one by now."""
    return version.version.removeprefix("published:")


# ── content ─────────────────────────────────────────────────────────────────────────────────────────


@get(
    f"{notification_answers.ONE}/content",
    opt={"tag": notification_answers.TAG, "query": notification_answers.VersionQuery},
)
@in_thread
def read_content(request: Call) -> Response[TemplateContent]:
    """Read a template's content: the published version unless another one is asked for."""
    query, ignored = request.read_courier_query(notification_answers.VersionQuery)
    _, said, _ = notification_answers.asked_for(request, query.version)
    content = message_templates.content_of(said)
    told = TemplateContent([_marked(one) for one in content["elements"]], content["version"])
    return Response(told, headers=ignored_header(ignored))


@put(f"{notification_answers.ONE}/content", opt={"tag": notification_answers.TAG, "body": ContentBody})
@in_thread
def replace_content(request: Call) -> Response[Mutation]:
    """Replace the content of a template's draft."""
    given, ignored = courier.body(request, ContentBody)
    content = reading.define(given.get("content"))
    ignored += elemental.strangers_in(given["content"], "content")
    return _changed(request, given, lambda _: content, ignored)


@put(
    f"{notification_answers.ONE}/elements/{{element_id:str}}",
    opt={"tag": notification_answers.TAG, "body": ElementBody},
)
@in_thread
def replace_element(request: Call) -> Response[Mutation]:
    """Replace one element of a draft; the elements in it stay, unless `data` brings others."""
    given, ignored = courier.body(request, ElementBody)
    identity = request.part("element_id")
    data = given.get("data") or {}
    if not isinstance(data, dict):
        raise errors.InvalidInput.at("data", "is an object with the element's own fields")
    flow = {
        name: given[name] for name in ("type", "channels", "if", "loop", "ref") if given.get(name) is not None
    }
    element = {**data, **flow}

    def change(content: Mapping[str, Any]) -> Mapping[str, Any]:
        changed = reading.with_element(content, identity, element)
        ignored.extend(strangers.of_element(element, "data"))
        return changed

    return _changed(request, given, change, ignored)


@put(
    f"{notification_answers.ONE}/locales/{{locale_id:str}}",
    opt={"tag": notification_answers.TAG, "body": LocaleBody},
)
@in_thread
def replace_locale(request: Call) -> Response[Mutation]:
    """Replace what the elements of a draft say in one locale."""
    given, ignored = courier.body(request, LocaleBody)
    locale = request.part("locale_id")

    def change(content: Mapping[str, Any]) -> Mapping[str, Any]:
        changed = reading.with_locale(content, locale, given.get("elements"))
        ignored.extend(strangers.of_locale(given["elements"], "elements"))
        return changed

    return _changed(request, given, change, ignored)


def _changed(
    request: Call, given: Mapping[str, Any], change: courier.ContentChange, ignored: list[str]
) -> Response[Mutation]:
    courier.refuse_tenants(request)
    publishes = notification_answers.publishes(given)
    services, workspace = request.services, request.principal.workspace_id
    with services.database.writing() as connection:
        before = notification_answers.there(
            stored.lock(connection, workspace, request.part("template_id")), request
        )
        said = message_templates.checked_content(
            before.draft, change(message_templates.content_of(before.draft))
        )
        said = msgspec.structs.replace(said, creator=request.principal.key_id)
        now = services.now()
        made = stored.change(connection, workspace, before, said, now)
        if publishes:
            made = stored.publish(connection, workspace, made, now)
    request.wake()
    content = message_templates.content_of(made.draft)
    marks = [Mark(one["id"], reading.checksum(one)) for one in reading.walk(content["elements"])]
    told = Mutation(made.id, marks, "PUBLISHED" if publishes else "DRAFT", content["version"])
    return Response(told, headers=ignored_header(ignored))


def _marked(element: Mapping[str, Any]) -> dict[str, Any]:
    """An element as it is shown with checksums; of its locales there are only these."""
    shown = {**element, "checksum": reading.checksum(element)}
    if element.get("locales"):
        shown["locales"] = {
            name: {"checksum": reading.checksum(said)} for name, said in element["locales"].items()
        }
    if element.get("elements"):
        shown["elements"] = [_marked(one) for one in element["elements"]]
    return shown


HANDLERS = (
    publish_notification,
    list_notification_versions,
    read_content,
    replace_content,
    replace_element,
    replace_locale,
)
