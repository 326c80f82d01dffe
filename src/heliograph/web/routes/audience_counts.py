"""Whom an audience holds: `/api/segments/count`, in Reach's shape (segments-and-campaigns.md 1.2, 1.4)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
from litestar import post

from heliograph import errors
from heliograph.core import documents, ids, segments
from heliograph.store import audiences
from heliograph.store import campaigns as stored_campaigns
from heliograph.store import segments as stored
from heliograph.web import reach
from heliograph.web.calls import Call, in_thread

TAG = "Segments"


class AudienceQuestion(msgspec.Struct, kw_only=True):
    """Whom to count: who is in an included segment and in no excluded one."""

    include_segments: list[str] | None = None
    exclude_segments: list[str] | None = None
    automation_id: (
        Annotated[
            str,
            msgspec.Meta(description="Takes its segments, where none are named; 404 where there is none."),
        ]
        | None
    ) = None
    search: Annotated[str, msgspec.Meta(description="Part of a name, an address or an id.")] | None = None
    filter: Annotated[
        Literal["all", "email", "phone"], msgspec.Meta(description="Only who has such an address.")
    ] = "all"
    limit: reach.Limit = reach.PER_PAGE
    cursor: reach.Cursor | None = None


class Recipient(msgspec.Struct, kw_only=True):
    """A person of an audience."""

    id: str
    external_id: str
    """The id by which the business knows them."""
    first_name: Any
    last_name: Any
    email: str | None
    phone: str | None


class Recipients(msgspec.Struct):
    """How many people are meant, and some of them."""

    count: int
    recipients: list[Recipient]
    pagination: reach.Pagination


class RecipientsAnswer(msgspec.Struct):
    """How many people are meant, and some of them."""

    success: reach.Yes
    message: str
    data: Recipients


@post("/api/segments/count", status_code=200, opt={"tag": TAG, "body": AudienceQuestion})
@in_thread
def count_audience(request: Call) -> RecipientsAnswer:
    """Count who is in the included segments and in none of the excluded ones, as they are now."""
    request.refuse_query()
    workspace, tenant = request.principal.workspace_id, reach.tenant_of(request)
    asked = _question(request.read_object())
    with request.services.database.reading() as connection:
        include, exclude = asked.include_segments, asked.exclude_segments or []
        if asked.automation_id is not None:
            campaign = _campaign(connection, workspace, tenant, asked.automation_id)
            if include is None:
                include = campaign.definition.include_segments
                exclude = asked.exclude_segments or campaign.definition.exclude_segments
        wanted = {*(include or ()), *exclude}
        there = stored.conditions_of(connection, workspace, tenant, wanted)
        question = audiences.Question(
            _named(include or [], there, "include_segments"),
            _named(exclude, there, "exclude_segments"),
            lambda person: _is_asked_for(person, asked),
        )
        found = audiences.audience(connection, workspace, tenant, question, asked.cursor, asked.limit + 1)
    more = len(found.people) > asked.limit
    people = found.people[: asked.limit]
    pagination = reach.Pagination(more, found.total, people[-1].user_id if more else None)
    listed = [_recipient(person) for person in people]
    return RecipientsAnswer(True, "the audience", Recipients(found.total, listed, pagination))


def _question(given: dict[str, Any]) -> AudienceQuestion:
    asked = documents.as_struct(given, AudienceQuestion)
    if not asked.include_segments and asked.automation_id is None:
        raise errors.InvalidInput.at(
            "include_segments", f'names at least one segment: everybody is in "{segments.ALL_USERS}"'
        )
    return asked


def _campaign(
    connection: sa.Connection, workspace: int, tenant: str | None, written: str
) -> stored_campaigns.Campaign:
    identity = ids.parse(written)
    campaign = None if identity is None else stored_campaigns.read(connection, workspace, tenant, identity)
    if campaign is None:
        raise errors.NotFound(f"there is no automation {written!r}")
    return campaign


def _named(wanted: list[str], there: dict[str, segments.Owned], name: str) -> list[segments.Owned]:
    faults = [
        errors.Fault(f"{name}[{index}]", f"there is no segment {identity!r}")
        for index, identity in enumerate(wanted)
        if identity not in there
    ]
    if faults:
        raise errors.InvalidInput(faults=faults)
    return [there[identity] for identity in wanted]


def _is_asked_for(person: stored.Person, asked: AudienceQuestion) -> bool:
    if asked.filter != "all" and person.seen[asked.filter] is None:
        return False
    if not asked.search:
        return True
    words = (person.seen[name] for name in segments.BUILT_IN)
    return any(asked.search.casefold() in str(word).casefold() for word in words if word is not None)


def _recipient(person: stored.Person) -> Recipient:
    seen = person.seen
    return Recipient(
        id=person.user_id,
        external_id=seen["user_id"],
        first_name=seen["first_name"],
        last_name=seen["last_name"],
        email=seen["email"],
        phone=seen["phone"],
    )


HANDLERS = (count_audience,)
