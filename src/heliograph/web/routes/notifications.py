"""Notifications: `/notifications`, stored templates on Courier's wire (courier-wire.md 2).

Law: what is published is a version for ever; a message keeps the one that it was made from (engine.md E20). Templates
that came by `heliograph apply` are the same records.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, post, put

from heliograph import errors
from heliograph.core import elemental, message_templates
from heliograph.store import dates
from heliograph.store import templates as stored
from heliograph.web import courier, notification_answers
from heliograph.web import paging as pages
from heliograph.web.calls import Call, ignored_header, in_thread


class ListQuery(pages.CursorQuery, kw_only=True):
    """Which templates are listed."""

    tags: Annotated[str, msgspec.Meta(description="Those with all of these, commas between.")] | None = None
    event_id: Annotated[str, msgspec.Meta(description="The one that is sent by this name.")] | None = None
    notes: bool | None = None


class WrittenTemplate(msgspec.Struct, kw_only=True):
    """A template as it is written."""

    name: str
    content: notification_answers.Elemental
    tags: list[str] | None = None
    brand: notification_answers.BrandReference | None = None
    subscription: notification_answers.TopicReference | None = None
    routing: notification_answers.RoutingReference | None = None
    email: notification_answers.Email | None = None
    alias: Annotated[str, msgspec.Meta(description="Another name that it is sent by.")] | None = None


_WRITABLE = frozenset(WrittenTemplate.__struct_fields__)


class NotificationBody(msgspec.Struct):
    """A template, and whether it is published at once."""

    notification: WrittenTemplate
    state: notification_answers.State = "DRAFT"


@get("/notifications", opt={"tag": notification_answers.TAG, "query": ListQuery})
@in_thread
def list_notifications(request: Call) -> Response[notification_answers.Notifications]:
    """List the templates that are not archived, by id."""
    query, ignored = request.read_courier_query(ListQuery)
    with request.services.database.reading() as connection:
        found = stored.listed(connection, request.principal.workspace_id)
    wanted = {tag.strip().casefold() for tag in (query.tags or "").split(",") if tag.strip()}
    chosen = [
        one
        for one in found
        if wanted <= {tag.casefold() for tag in (one.published or one.draft).tags}
        and query.event_id in (None, one.id, one.alias)
    ]
    page, paging = pages.page_of_ids(query.cursor, chosen, lambda one: one.id)
    return Response(
        notification_answers.Notifications(paging, [notification_answers.summary(one) for one in page]),
        headers=ignored_header(ignored),
    )


@post("/notifications", status_code=200, opt={"tag": notification_answers.TAG, "body": NotificationBody})
@in_thread
def create_notification(request: Call) -> Response[notification_answers.Notification]:
    """Create a template: a draft, unless `state` is PUBLISHED."""
    courier.refuse_tenants(request)
    given, ignored = courier.body(request, NotificationBody)
    written = message_templates.of_wire(given.get("notification"), None, request.principal.key_id)
    publishes = notification_answers.publishes(given)
    services, workspace = request.services, request.principal.workspace_id
    with services.database.writing() as connection, errors.placed("notification.{}".format):
        made = stored.create(
            connection, workspace, written.said, services.now(), alias=written.alias, publishes=publishes
        )
    return _answer(request, made, [*ignored, *strangers(given)])


@get(
    notification_answers.ONE,
    opt={"tag": notification_answers.TAG, "query": notification_answers.VersionQuery},
)
@in_thread
def read_notification(request: Call) -> Response[notification_answers.Notification]:
    """Read a template, by its id or alias: the published version unless another one is asked for."""
    query, ignored = request.read_courier_query(notification_answers.VersionQuery)
    found, said, state = notification_answers.asked_for(request, query.version)
    return Response(notification_answers.shown(found, said, state), headers=ignored_header(ignored))


@put(notification_answers.ONE, opt={"tag": notification_answers.TAG, "body": NotificationBody})
@in_thread
def replace_notification(request: Call) -> Response[notification_answers.Notification]:
    """Replace what a template's draft says; with the state PUBLISHED it is the next version."""
    courier.refuse_tenants(request)
    given, ignored = courier.body(request, NotificationBody)
    publishes = notification_answers.publishes(given)
    services, workspace = request.services, request.principal.workspace_id
    with services.database.writing() as connection:
        before = notification_answers.there(
            stored.lock(connection, workspace, request.part("template_id")), request
        )
        wanted = given.get("notification")
        written = message_templates.of_wire(wanted, before.draft, request.principal.key_id)
        now = services.now()
        with errors.placed("notification.{}".format):
            made = stored.change(connection, workspace, before, written.said, now, written.alias)
        if publishes:
            made = stored.publish(connection, workspace, made, now)
    return _answer(request, made, [*ignored, *strangers(given)])


@delete(notification_answers.ONE, opt={"tag": notification_answers.TAG})
@in_thread
def archive_notification(request: Call) -> None:
    """Archive a template: nobody can send it any more; it can still be read. Date automations that do are paused."""
    courier.refuse_tenants(request)
    services, workspace = request.services, request.principal.workspace_id
    with services.database.writing() as connection:
        found = notification_answers.there(
            stored.lock(connection, workspace, request.part("template_id")), request
        )
        if found.archived_at is None:
            now = services.now()
            dates.pause_senders(connection, workspace, found.id, now)
            stored.archive(connection, workspace, found, now)
    request.wake()


def strangers(given: Mapping[str, Any]) -> list[str]:
    said = given["notification"]
    own = [f"notification.{name}" for name in said.keys() - _WRITABLE]
    return own + elemental.strangers_in(said["content"], "notification.content")


def _answer(
    request: Call, made: stored.Template, ignored: list[str]
) -> Response[notification_answers.Notification]:
    request.wake()
    state: notification_answers.State = "PUBLISHED" if made.draft.same(made.published) else "DRAFT"
    return Response(notification_answers.shown(made, made.draft, state), headers=ignored_header(ignored))


HANDLERS = (
    list_notifications,
    create_notification,
    read_notification,
    replace_notification,
    archive_notification,
)
