"""Trying templates: as a person would read one, and sent to oneself."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, post

from heliograph.core import documents
from heliograph.engine import trials
from heliograph.web.calls import Call, in_thread

TAG = "Templates"
_ONE = "/api/templates/{template_id:str}"


class Trial(msgspec.Struct, kw_only=True):
    """For whom a template is tried, and with what."""

    contact_id: (
        Annotated[str, msgspec.Meta(description="A stored contact, whose profile fills it.")] | None
    ) = None
    data: dict[str, Any] | None = None
    payload: (
        Annotated[dict[str, Any], msgspec.Meta(description="That of an event, for the template of a rule.")]
        | None
    ) = None
    version: (
        Annotated[str, msgspec.Meta(description="`published`, `draft`, or one such as `v001`.")] | None
    ) = None
    brand_id: str | None = None
    locale: Annotated[str, msgspec.Meta(description="Instead of the contact's, such as `fr-CA`.")] | None = (
        None
    )


class TestMessage(Trial, kw_only=True):
    """A trial that is sent."""

    to: Annotated[str, msgspec.Meta(description="The e-mail address that gets it.")]


class Preview(msgspec.Struct, kw_only=True):
    """What a person would read."""

    subject: str
    text: str
    html: str | None
    missing: list[str]
    """The paths that are empty because there is nothing there."""


class TestSent(msgspec.Struct):
    """The message, to be found at `/messages`."""

    message_id: str


@post(f"{_ONE}/preview", status_code=200, opt={"tag": TAG, "body": Trial})
@in_thread
def preview_template(request: Call) -> Preview:
    """Show a template as a person would read it, with the contact's profile and the data that is given."""
    asked, services, who = _asked(request, Trial), request.services, request.principal
    with services.database.reading() as connection:
        tried = trials.prepare(connection, who.workspace_id, who.tenant_id, asked)
    made = tried.rendered(services.now())
    subject = made.subject or services.settings.default_subject
    return Preview(subject=subject, text=made.text, html=made.html, missing=tried.missing())


@post(f"{_ONE}/test", status_code=202, opt={"tag": TAG, "body": TestMessage})
@in_thread
def send_test(request: Call) -> Response[TestSent]:
    """Send a template to an address, filled as for the contact that is named."""
    asked, services, who = _asked(request, TestMessage), request.services, request.principal
    to = request.read_object()["to"]
    with services.database.writing() as connection:
        tried = trials.prepare(connection, who.workspace_id, who.tenant_id, asked)
        identity = trials.send(connection, who.workspace_id, who.tenant_id, tried, to, services.now())
    request.wake()
    return Response(TestSent(identity), status_code=202)


def _asked(request: Call, kind: type[Trial]) -> trials.Asked:
    request.refuse_query()
    trial = documents.as_struct(request.read_object(), kind)
    name = request.part("template_id")
    return trials.Asked(
        name,
        trial.contact_id,
        trial.data or {},
        trial.version,
        trial.brand_id,
        trial.locale,
        trial.payload,
    )


HANDLERS = (preview_template, send_test)
