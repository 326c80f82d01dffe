"""Audiences: `/audiences`, in Courier's shape (courier-wire 2.1)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Response, delete, get, put

from heliograph import errors
from heliograph.core import audience_filters, readers, schedule
from heliograph.store import courier_audiences as stored
from heliograph.web import paging, subscribers
from heliograph.web.calls import Call, ignored_header, in_thread

_Paging = paging.Paging
TAG = "Audiences"
_ONE = "/audiences/{audience_id:str}"
_LONGEST_ID = 255
_KNOWN = ("name", "description", "filter", "operator")

Join = Literal["AND", "OR"]


class AudienceBody(msgspec.Struct):
    """What an audience says; what is not given stays."""

    name: str | None = None
    description: str | None = None
    filter: dict[str, Any] | None = None
    """A filter, or a group: `{"operator": "AND" or "OR", "filters": […]}`."""
    operator: Join | None = None
    """How the filters are joined where `filter` does not say it."""


class Audience(msgspec.Struct, kw_only=True):
    """An audience."""

    id: str
    name: str
    description: str
    filter: dict[str, Any] | None
    operator: Join | None
    created_at: str
    updated_at: str


class Put(msgspec.Struct):
    """The audience as it is now."""

    audience: Audience


class AudiencePage(msgspec.Struct):
    """A page of audiences, in the order of their ids."""

    items: list[Audience]
    paging: _Paging


class Member(msgspec.Struct):
    """Somebody who is in an audience."""

    member_id: str
    audience_id: str
    audience_version: int
    added_at: str
    """Since when it cannot have been otherwise: their profile's last change, or the audience's."""
    reason: str


class MemberPage(msgspec.Struct):
    """A page of those who are in an audience."""

    items: list[Member]
    paging: _Paging


@get("/audiences", opt={"tag": TAG, "query": paging.CursorQuery})
@in_thread
def list_audiences(request: Call) -> Response[AudiencePage]:
    """List the audiences, a hundred a page."""
    query, ignored = request.read_courier_query(paging.CursorQuery)
    who, after = request.principal, paging.key_of(query.cursor, _id_fault)
    with request.services.database.reading() as connection:
        found = stored.page(connection, who.workspace_id, who.tenant_id, after, paging.PER_PAGE + 1)
    page = paging.page(found, lambda one: one.id)
    listed = [_shown(one) for one in page.items]
    return Response(AudiencePage(listed, page.paging), headers=ignored_header(ignored))


@get(_ONE, opt={"tag": TAG})
@in_thread
def read_audience(request: Call) -> Response[Audience]:
    """Read an audience."""
    ignored = request.ignore_query()
    return Response(_shown(_there(request)), headers=ignored_header(ignored))


@put(_ONE, opt={"tag": TAG, "body": AudienceBody})
@in_thread
def put_audience(request: Call) -> Response[Put]:
    """Create an audience, or change what is given of it."""
    ignored, given, who = request.ignore_query(), request.read_object(), request.principal
    identity = request.part("audience_id")
    if fault := _id_fault(identity):
        raise errors.InvalidInput.at("audience_id", fault)
    said = {name: value for name, value in given.items() if value is not None}
    changes, faults = readers.checked(said, {"name": readers.name, "description": readers.description})
    # They have columns of their own, and PostgreSQL's texts hold none.
    faults += [errors.Fault(name, "holds a NUL") for name, value in changes.items() if "\x00" in value]
    try:
        asked, strange = audience_filters.known(given.get("filter"))
        ignored += strange
        found = audience_filters.whole(asked, given.get("operator"))
        if found is not None:
            audience_filters.parse(found)
            changes["filter"] = found
    except errors.InvalidInput as refusal:
        faults += refusal.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
    with request.services.database.writing() as connection:
        now = request.services.now()
        made = stored.put(connection, who.workspace_id, who.tenant_id, identity, changes, now)
    return Response(Put(_shown(made)), headers=subscribers.named(ignored, given, _KNOWN))


@delete(_ONE, opt={"tag": TAG})
@in_thread
def delete_audience(request: Call) -> Response[None]:
    """Delete an audience."""
    ignored, who = request.ignore_query(), request.principal
    with request.services.database.writing() as connection:
        if not stored.delete(connection, who.workspace_id, who.tenant_id, request.part("audience_id")):
            raise _nowhere(request)
    return Response(None, headers=ignored_header(ignored))


@get(f"{_ONE}/members", opt={"tag": TAG, "query": paging.CursorQuery})
@in_thread
def list_members(request: Call) -> Response[MemberPage]:
    """List who is in an audience now, a hundred a page at most."""
    query, ignored = request.read_courier_query(paging.CursorQuery)
    after, audience = paging.place_of(query.cursor), _there(request)
    with request.services.database.reading() as connection:
        found, reached = stored.members(
            connection, request.principal.workspace_id, audience, after, paging.PER_PAGE
        )
    listed = [
        Member(one.user_id, audience.id, audience.version, schedule.write_instant(one.since), "MATCHED")
        for one in found
    ]
    cursor = None if reached is None else paging.cursor_at(*reached)
    return Response(
        MemberPage(listed, paging.Paging(cursor, cursor is not None)), headers=ignored_header(ignored)
    )


def _there(request: Call) -> stored.Audience:
    who = request.principal
    with request.services.database.reading() as connection:
        found = stored.read(connection, who.workspace_id, who.tenant_id, request.part("audience_id"))
    if found is None:
        raise _nowhere(request)
    return found


def _nowhere(request: Call) -> errors.NotFound:
    return errors.NotFound(f"there is no audience {request.part('audience_id')!r}")


def _shown(one: stored.Audience) -> Audience:
    told = audience_filters.grouped(one.filter)
    return Audience(
        id=one.id,
        name=one.name,
        description=one.description,
        filter=told,
        operator=None if told is None else told["operator"],
        created_at=schedule.write_instant(one.created_at),
        updated_at=schedule.write_instant(one.updated_at),
    )


def _id_fault(identity: str) -> str | None:
    return f"takes at most {_LONGEST_ID} characters" if len(identity) > _LONGEST_ID else None


HANDLERS = (list_audiences, read_audience, put_audience, delete_audience, list_members)
