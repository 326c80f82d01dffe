"""Journeys: `/automations/templates/{id}` and the two ways to invoke, in Courier's shape (journeys.md 1.1, J13, J15).

Law: an invocation is checked whole before a run starts, and answered when its run is stored.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, post, put

from heliograph import errors
from heliograph.core import effects, ids, journey_checks, journey_starts, journeys, schedule
from heliograph.engine import journey
from heliograph.store import journeys as store
from heliograph.store import providers
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Journeys"
_TEMPLATE = "/automations/templates/{template_id:str}"
_PER_PAGE, _LONGEST_CURSOR = 100, 18
_MOST_ID, _MOST_BYTES = 200, 6 * 1024 * 1024
_NOTHING_TO_RUN = "Either an ad hoc automation or valid templateId is required."
_AUTOMATION = ("steps", "cancelation_token", "cancelationToken")


class ListQuery(msgspec.Struct):
    """Which journeys are listed."""

    version: Annotated[str, msgspec.Meta(description="`published` or `draft`.")] = "published"
    cursor: str | None = None


class Context(msgspec.Struct, kw_only=True):
    """What a run holds."""

    recipient: str | None = None
    """The `user_id` of whom it is for."""
    template: str | None = None
    """The template of every send that names none."""
    brand: str | None = None
    data: dict[str, Any] | None = None
    profile: dict[str, Any] | None = None


class AdHoc(msgspec.Struct):
    """Steps of one's own."""

    steps: list[dict[str, Any]]
    cancelation_token: str | dict[str, Any] | None = None


class AdHocInvocation(Context, kw_only=True):
    """Steps to run, and what their run holds."""

    automation: AdHoc


class TemplateBody(msgspec.Struct, kw_only=True):
    """What a journey says."""

    name: str
    steps: list[dict[str, Any]]
    alias: str | None = None
    cancelation_token: str | dict[str, Any] | None = None
    status: Literal["draft", "published"] = "published"
    trigger: journeys.EventTrigger | None = None


class Template(TemplateBody, kw_only=True):
    """A journey."""

    id: str
    version: int
    created_at: str
    updated_at: str


class Version(TemplateBody, kw_only=True):
    """A journey as it was from an instant on."""

    version: int
    valid_from: str


class Versions(msgspec.Struct):
    """Every version, newest first."""

    versions: list[Version]


class Listed(msgspec.Struct, kw_only=True):
    """A journey in a list."""

    id: str
    name: str
    version: str
    created_at: str = msgspec.field(name="createdAt")
    updated_at: str = msgspec.field(name="updatedAt")


class Templates(msgspec.Struct, omit_defaults=True):
    """Journeys, oldest first."""

    templates: list[Listed]
    cursor: str | None = None
    """Where the list goes on; absent on its last page."""


class Invoked(msgspec.Struct):
    """The run that was started."""

    run_id: str = msgspec.field(name="runId")


# ── invoking ────────────────────────────────────────────────────────────────────────────────────────


@post("/automations/invoke", status_code=200, opt={"tag": TAG, "body": AdHocInvocation})
@in_thread
def invoke_ad_hoc(request: Call) -> Response[Invoked]:
    """Run steps of one's own."""
    ignored = request.ignore_query()
    given = _body(request)
    automation = given.get("automation")
    if not isinstance(automation, dict):
        raise errors.InvalidInput(_NOTHING_TO_RUN, faults=[errors.Fault("automation", "is required")])
    evaluator, now = request.services.evaluator, request.services.now()
    context = journey_checks.context_given(given, automation)
    token = automation.get("cancelation_token") or automation.get("cancelationToken")
    asked = journey_starts.of_own(
        automation.get("steps"),
        token,
        context,
        evaluator,
        now,
        allowed_hosts=request.services.settings.allowed_hosts,
        providers=functools.partial(_providers, request),
    )
    started = _start(request, asked, now)
    known = {*_AUTOMATION, "recipient", "data", "profile"}
    strangers = [f"automation.{name}" for name in automation.keys() - known]
    strangers += journey_checks.strangers(automation["steps"], "automation.steps")
    ignored += [*strangers, *(given.keys() - {"automation", *journey_checks.CONTEXT})]
    return Response(started, headers=ignored_header(ignored))


@post("/automations/{template_id:str}/invoke", status_code=200, opt={"tag": TAG, "body": Context})
@in_thread
def invoke_template(request: Call) -> Response[Invoked]:
    """Run a journey, by its id or its alias."""
    ignored = request.ignore_query()
    given, who, name = _body(request), request.principal, request.part("template_id")
    evaluator, now = request.services.evaluator, request.services.now()
    context = journey_checks.context_given(given)
    with request.services.database.reading() as connection:
        found = store.find(connection, who.workspace_id, who.tenant_id, name)
    if found is None or found.definition.status != "published":
        raise errors.NotFound(f"there is no published journey {name!r}")
    chosen = journeys.Journey(found.id, found.version, found.definition)
    asked = journey_starts.of_template(chosen, context, evaluator, now)
    ignored += given.keys() - {*journey_checks.CONTEXT}
    return Response(_start(request, asked, now), headers=ignored_header(ignored))


def _body(request: Call) -> dict[str, Any]:
    if len(request.content.body) > _MOST_BYTES:
        raise errors.TooLarge(f"an invocation takes at most {_MOST_BYTES // 1024**2} MiB")
    return request.read_object()


def _providers(request: Call) -> dict[str, str]:
    """The channel of each of the workspace's own providers."""
    with request.services.database.reading() as connection:
        return providers.channels(connection, request.principal.workspace_id)


def _start(request: Call, asked: effects.Start, now: int) -> Invoked:
    """Store the run; it takes its first step in the next turn of its partition."""
    who = request.principal
    asked = asked._replace(start_key=request.content.start_key)
    identity = journey.begin(request.services.database, who.workspace_id, who.tenant_id, asked, now)
    request.wake()
    return Invoked(ids.wire(identity))


# ── templates ───────────────────────────────────────────────────────────────────────────────────────


@get("/automations", opt={"tag": TAG, "query": ListQuery})
@in_thread
def list_templates(request: Call) -> Response[Templates]:
    """List the journeys that are published, or those that are drafts."""
    query, ignored = request.read_courier_query(ListQuery)
    who, after = request.principal, _cursor(query)
    with request.services.database.reading() as connection:
        found = store.listed(connection, who.workspace_id, who.tenant_id)
    chosen = [one for one in found if one.definition.status == query.version and one.number > after]
    listed = [
        Listed(
            id=one.definition.id,
            name=one.definition.name,
            version=one.definition.status,
            created_at=schedule.write_instant(one.created_at),
            updated_at=schedule.write_instant(one.updated_at),
        )
        for one in chosen[:_PER_PAGE]
    ]
    more = str(chosen[_PER_PAGE - 1].number) if len(chosen) > _PER_PAGE else None
    return Response(Templates(listed, more), headers=ignored_header(ignored))


def _cursor(query: ListQuery) -> int:
    """The number of the last journey that was seen. Raises InvalidQuery, in Courier's words."""
    if query.version not in journeys.STATES:
        raise errors.InvalidQuery(
            f'Invalid version parameter "{query.version}". Accepted values are: published (for published'
            " templates) or draft (for draft templates)"
        )
    if not query.cursor:
        return 0
    if not query.cursor.isascii() or not query.cursor.isdigit() or len(query.cursor) > _LONGEST_CURSOR:
        raise errors.InvalidQuery("Invalid cursor format")
    return int(query.cursor)


@put(_TEMPLATE, opt={"tag": TAG, "body": TemplateBody})
@in_thread
def put_template(request: Call) -> Response[Template]:
    """Make a journey, or change it: runs that have begun keep the version with which they did."""
    ignored = request.ignore_query()
    identity, given, who = request.part("template_id"), request.read_object(), request.principal
    if not 1 <= len(identity) <= _MOST_ID:
        raise errors.InvalidInput.at("id", f"takes 1 to {_MOST_ID} characters")
    services = request.services
    allowed, known = services.settings.allowed_hosts, functools.partial(_providers, request)
    definition = journeys.define(identity, given, services.evaluator, allowed, known)
    with request.services.database.writing() as connection:
        now = request.services.now()
        made = store.put(connection, who.workspace_id, who.tenant_id, definition, now)
    request.wake()
    ignored += given.keys() - {*journeys.WRITABLE}
    ignored += journey_checks.strangers(definition.steps, "steps")
    return Response(_template(made), headers=ignored_header(ignored))


@get(_TEMPLATE, opt={"tag": TAG})
@in_thread
def read_template(request: Call) -> Response[Template]:
    """Read a journey, by its id or its alias."""
    ignored = request.ignore_query()
    who, name = request.principal, request.part("template_id")
    with request.services.database.reading() as connection:
        found = _there(store.find(connection, who.workspace_id, who.tenant_id, name), name)
    return Response(_template(found), headers=ignored_header(ignored))


@get(f"{_TEMPLATE}/versions", opt={"tag": TAG})
@in_thread
def list_template_versions(request: Call) -> Response[Versions]:
    """List every version of a journey, newest first."""
    ignored = request.ignore_query()
    who, name = request.principal, request.part("template_id")
    with request.services.database.reading() as connection:
        found = _there(store.find(connection, who.workspace_id, who.tenant_id, name), name)
        versions = store.versions(connection, found)
    told = [
        Version(
            **_said(one.definition), version=one.version, valid_from=schedule.write_instant(one.valid_from)
        )
        for one in versions
    ]
    return Response(Versions(told), headers=ignored_header(ignored))


@delete(_TEMPLATE, opt={"tag": TAG})
@in_thread
def delete_template(request: Call) -> None:
    """Delete a journey; its runs go on."""
    who, name = request.principal, request.part("template_id")
    with request.services.database.writing() as connection:
        found = _there(store.lock(connection, who.workspace_id, who.tenant_id, name), name)
        store.delete(connection, who.workspace_id, found, request.services.now())
    request.wake()


def _there(found: store.Journey | None, name: str) -> store.Journey:
    if found is None:
        raise errors.NotFound(f"there is no journey {name!r}")
    return found


def _template(journey: store.Journey) -> Template:
    return Template(
        **_said(journey.definition),
        id=journey.definition.id,
        version=journey.version,
        created_at=schedule.write_instant(journey.created_at),
        updated_at=schedule.write_instant(journey.updated_at),
    )


def _said(definition: journeys.Definition) -> Mapping[str, Any]:
    return {name: getattr(definition, name) for name in journeys.WRITABLE}


HANDLERS = (
    invoke_ad_hoc,
    invoke_template,
    list_templates,
    put_template,
    read_template,
    list_template_versions,
    delete_template,
)
