"""Segments: `/api/segments`, in Reach's shape (segments-and-campaigns.md 1.2, 1.4)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import get, patch, post

from heliograph import errors
from heliograph.core import explain, ids, schedule, segments
from heliograph.store import campaigns as stored_campaigns
from heliograph.store import definitions
from heliograph.store import segments as stored
from heliograph.web import reach
from heliograph.web.calls import Call, in_thread

TAG = "Segments"
SegmentStatus = Literal["active", "deactivated"]
SegmentName = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class SegmentCondition(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One condition; all of them must hold."""

    field: Annotated[str, msgspec.Meta(description="A built-in field, or a dotted path into the profile.")]
    operator: Literal["equals", "not_equals", "greater_than", "less_than", "exists", "not_exists"]
    value: Annotated[
        Any, msgspec.Meta(description="What it is compared with; a list means any of its values.")
    ] = None


SegmentConditions = Annotated[list[SegmentCondition], msgspec.Meta(min_length=1, max_length=100)]


class NewSegment(msgspec.Struct, kw_only=True):
    """A segment to create."""

    name: SegmentName
    conditions: SegmentConditions
    description: str | None = None
    status: SegmentStatus = "active"
    type: Literal["custom"] = "custom"


class SegmentChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What to change of a segment: each field that is given is replaced whole."""

    name: SegmentName | msgspec.UnsetType = msgspec.UNSET
    conditions: SegmentConditions | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    status: SegmentStatus | msgspec.UnsetType = msgspec.UNSET


class Segment(msgspec.Struct, kw_only=True):
    """A segment."""

    id: str
    business_id: str | None
    """The business that it belongs to; null: the whole workspace."""
    name: str
    description: str | None
    status: SegmentStatus
    type: Literal["custom", "all_users"]
    conditions: list[dict[str, Any]]
    created_at: explain.Instant | None
    updated_at: explain.Instant | None


class SegmentAnswer(msgspec.Struct):
    """A segment."""

    success: reach.Yes
    message: str
    data: Segment


class Segments(msgspec.Struct):
    """A page of segments."""

    results: list[Segment]
    pagination: reach.Pagination


class SegmentList(msgspec.Struct):
    """A page of segments."""

    success: reach.Yes
    message: str
    data: Segments


class ConditionField(msgspec.Struct):
    """A field that conditions may name, and the operators that it takes."""

    field: str
    type: str
    operators: list[str]


class ConditionFields(msgspec.Struct):
    """What conditions may say of which field."""

    conditions: list[ConditionField]


class ConditionFieldsAnswer(msgspec.Struct):
    """What conditions may say of which field."""

    success: reach.Yes
    message: str
    data: ConditionFields


# ── segments ────────────────────────────────────────────────────────────────────────────────────────


@get("/api/segments", opt={"tag": TAG, "query": reach.SearchQuery})
@in_thread
def list_segments(request: Call) -> SegmentList:
    """List segments in the order in which they were made; that of everybody comes first."""
    query, tenant = request.read_query(reach.SearchQuery), reach.tenant_of(request)
    with request.services.database.reading() as connection:
        found = stored.listed(connection, request.principal.workspace_id, tenant)
    whole = [_everybody(tenant), *(_fields(one) for one in found)]
    word = (query.search or "").casefold()
    listed = [one for one in whole if word in one.name.casefold()]
    page = reach.page(listed, lambda one: one.id, query, lambda: whole)
    return SegmentList(True, "segments", Segments(listed[page.first : page.last], page.pagination))


@post("/api/segments", opt={"tag": TAG, "body": NewSegment})
@in_thread
def create_segment(request: Call) -> SegmentAnswer:
    """Create a segment."""
    request.refuse_query()
    services, tenant = request.services, reach.tenant_of(request)
    given, region = request.read_object(), services.settings.default_region or None
    with services.database.writing() as connection:
        exposed = definitions.exposed(connection, request.principal.workspace_id)
        definition = segments.define(given, region, exposed)
        made = stored.create(connection, request.principal.workspace_id, tenant, definition, services.now())
    return SegmentAnswer(True, "the segment was created", _fields(made))


@get("/api/segments/conditions", opt={"tag": TAG})
@in_thread
def list_condition_fields(request: Call) -> ConditionFieldsAnswer:
    """List the fields that conditions may name; where no schema is defined, any path into the profile is taken too."""
    request.refuse_query()
    with request.services.database.reading() as connection:
        exposed = definitions.exposed(connection, request.principal.workspace_id)
    known = {**segments.KNOWN, **exposed.types_for("segments")}
    fields = [ConditionField(name, kind, _operators(kind)) for name, kind in known.items()]
    return ConditionFieldsAnswer(True, "fields of conditions", ConditionFields(fields))


def _operators(kind: str) -> list[str]:
    ordered = kind in ("number", "integer", "date", "date-time", "string")
    return [one for one in segments.OPERATORS if ordered or one not in segments.ORDERED]


@get("/api/segments/{segment_id:str}", opt={"tag": TAG})
@in_thread
def read_segment(request: Call) -> SegmentAnswer:
    """Read a segment."""
    request.refuse_query()
    tenant = reach.tenant_of(request)
    if request.part("segment_id") == segments.ALL_USERS:
        return SegmentAnswer(True, "segment", _everybody(tenant))
    identity = request.identity("segment_id")
    with request.services.database.reading() as connection:
        found = stored.read(connection, request.principal.workspace_id, tenant, identity)
    return SegmentAnswer(True, "segment", _fields(_there(found, request)))


@patch("/api/segments/{segment_id:str}", opt={"tag": TAG, "body": SegmentChange})
@in_thread
def change_segment(request: Call) -> SegmentAnswer:
    """Change a segment: the fields that are given, each whole.

    One that an active or scheduled automation refers to cannot be deactivated.
    """
    request.refuse_query()
    services, workspace, tenant = (
        request.services,
        request.principal.workspace_id,
        reach.tenant_of(request),
    )
    if request.part("segment_id") == segments.ALL_USERS:
        raise errors.Conflict("the segment of everybody is built in and stays as it is")
    identity, given = request.identity("segment_id"), request.read_object()
    with services.database.writing() as connection:
        before = _there(stored.lock(connection, workspace, tenant, identity), request)
        exposed = definitions.exposed(connection, workspace)
        region = services.settings.default_region or None
        changed = segments.change(before.definition, given, region, exposed)
        if changed.status == "deactivated" and before.definition.status == "active":
            stored_campaigns.refuse_used(connection, workspace, tenant, identity)
        made = stored.change(connection, before, changed, services.now())
    return SegmentAnswer(True, "the segment was changed", _fields(made))


@get("/api/segments/user/{external_id:str}", opt={"tag": TAG})
@in_thread
def list_segments_of_user(request: Call) -> SegmentList:
    """List the active segments that a person is in."""
    request.refuse_query()
    workspace, tenant = request.principal.workspace_id, reach.tenant_of(request)
    with request.services.database.reading() as connection:
        person = stored.person(connection, workspace, tenant, request.part("external_id"))
        found = stored.listed(connection, workspace, tenant)
    if person is None:
        raise errors.NotFound(f"there is no user {request.part('external_id')!r}")
    active = [one for one in found if one.definition.status == "active"]
    members = segments.of_owned([segments.Owned(one.definition, one.tenant_id) for one in active])
    listed = [_everybody(tenant)] + [
        _fields(one)
        for one, holds in zip(active, members, strict=True)
        if segments.audience([holds], [])(person.seen, person.tenant_id)
    ]
    pagination = reach.Pagination(False, len(listed), None)
    return SegmentList(True, "segments of the user", Segments(listed, pagination))


# ── as they are shown ───────────────────────────────────────────────────────────────────────────────


def _there(found: stored.Segment | None, request: Call) -> stored.Segment:
    return request.there(found, "segment", "segment_id")


def _fields(segment: stored.Segment) -> Segment:
    said = segment.definition
    return Segment(
        id=ids.text(segment.id),
        business_id=segment.tenant_id,
        name=said.name,
        description=said.description,
        status=said.status,  # type: ignore[arg-type]
        type="custom",
        conditions=segments.shown(said),
        created_at=schedule.write_instant(segment.created_at),
        updated_at=schedule.write_instant(segment.updated_at),
    )


def _everybody(tenant_id: str | None) -> Segment:
    said = segments.EVERYBODY
    return Segment(
        id=segments.ALL_USERS,
        business_id=tenant_id,
        name=said.name,
        description=said.description,
        status="active",
        type="all_users",
        conditions=[],
        created_at=None,
        updated_at=None,
    )


HANDLERS = (
    list_segments,
    create_segment,
    list_condition_fields,
    list_segments_of_user,
    read_segment,
    change_segment,
)
