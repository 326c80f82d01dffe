"""Publishing the page on which people choose: `POST /preferences/publish`, in Courier's shape."""

from __future__ import annotations

import msgspec
from litestar import Response, post

from heliograph.core import ids, preference_topics, schedule
from heliograph.store import preference_pages
from heliograph.web import courier
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Preference sections"


class PageBody(msgspec.Struct):
    """What the page says beside its sections and topics."""

    heading: str | None = None
    description: str | None = None
    """What stands under the heading."""
    brand_id: str | None = None
    """In whose look it is drawn: a brand's id, `default` as when left out, or `none`."""


class PublishedPage(msgspec.Struct):
    """A page that was published."""

    page_id: str
    published_at: str
    published_version: int
    """Milliseconds since 1970; later ones are larger."""
    published_by: str | None
    preview_url: str | None = None
    """Always null: each person's page has a link of their own."""


@post("/preferences/publish", status_code=200, opt={"tag": TAG, "body": PageBody})
@in_thread
def publish_preferences(request: Call) -> Response[PublishedPage]:
    """Let people see the sections and topics as they stand now; later changes are shown when they are published."""
    ignored = request.ignore_query()
    courier.refuse_tenants(request)
    given = request.read_object() if request.content.body.strip() else {}
    who, page = request.principal, preference_topics.define_page(given)
    with request.services.database.writing() as connection:
        made = preference_pages.publish(
            connection, who.workspace_id, page, request.services.now(), who.key_id
        )
    told = PublishedPage(ids.text(made.id), schedule.write_instant(made.at), made.version, who.key_id)
    headers = ignored_header([*ignored, *(given.keys() - {*preference_topics.PAGE})])
    return Response(told, headers=headers)


HANDLERS = (publish_preferences,)
