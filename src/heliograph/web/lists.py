"""Lists of the OmniStream family: envelope, cursor and pages.

Law: a cursor is `<created_at>|<id>` of the last item that was shown, follows the order of creation and nothing else,
and is refused together with a page (rules.md C23, C24); to a tenant it tells nothing of an item that is not theirs. A
page reaches 10,000 rows, and an order other than that of creation needs something that keeps the list short (engine.md
E35).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import cursors, ids, schedule
from heliograph.store import listings
from heliograph.web.calls import Call

MOST_PER_PAGE = 200
_LONGEST_RANGE = 31 * schedule.DAY
_is_date = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch
_DEEPEST = 10_000
_HIDDEN = "-"
"""In a cursor, instead of an instant that is nobody's business."""

Cursor = Annotated[str, msgspec.Meta(description="`next_cursor` of the page before, percent-encoded.")]
PageNumber = Annotated[int, msgspec.Meta(ge=1, description="From 1 on; instead of `cursor`.")]
PerPage = Annotated[int, msgspec.Meta(ge=1, le=MOST_PER_PAGE)]
SortOrder = Literal["asc", "desc"]
CreatedFrom = Annotated[
    str, msgspec.Meta(description="What was created at this instant or later; a date is its midnight, UTC.")
]
CreatedTo = Annotated[
    str, msgspec.Meta(description="What was created before this instant; a date is its midnight, UTC.")
]
AtLeast = Literal["at_least"] | msgspec.UnsetType


class Paged(msgspec.Struct, kw_only=True):
    """What every list takes; each has a `sort_by` of its own beside it."""

    cursor: Cursor | None = None
    page: PageNumber | None = None
    per_page: PerPage = 50
    sort_order: SortOrder = "desc"
    created_from: CreatedFrom | None = None
    created_to: CreatedTo | None = None


class Place(NamedTuple):
    """Where in a list a page begins."""

    after: bytes | None
    """The id of the last item that was seen."""
    offset: int


def place(
    cursor: str | None, page: int | None, per_page: int, sort_by: str, veil: cursors.Veil | None = None
) -> Place:
    """Where a page begins. Raises errors.InvalidQuery."""
    if cursor is None:
        offset = ((page or 1) - 1) * per_page
        if offset + per_page > _DEEPEST:
            raise _refused("page", f"reaches {_DEEPEST} rows: use cursor for what lies further")
        return Place(None, offset)
    if page is not None:
        raise _refused("cursor", "goes without page: give one of them")
    if sort_by != "created_at":
        raise _refused("cursor", "follows the order of creation: use page to go through another order")
    return Place(_after(cursor, veil), 0)


def veil(request: Call) -> cursors.Veil | None:
    """What hides from a tenant which rows of others its pages end on; None for who sees them all."""
    whose = request.principal.tenant_id
    return None if whose is None else cursors.Veil(request.services.link_secret(), whose)


def order(request: Call, query: Paged, sort_by: str, *, is_short: bool) -> listings.Order:
    """How a list is gone through; `is_short`: a rule, event, conversation or payload was named.

    Raises errors.InvalidQuery.
    """
    at = place(query.cursor, query.page, query.per_page, sort_by, veil(request))
    now = request.services.now()
    since, until = span(query.created_from, query.created_to, sort_by, now, is_short=is_short)
    return listings.Order(
        sort_by, query.sort_order == "desc", at.after, at.offset, query.per_page, since, until
    )


def span(
    created_from: str | None, created_to: str | None, sort_by: str, now: int, *, is_short: bool
) -> tuple[int | None, int | None]:
    """The range of instants (µs) that is asked for, fit for an order. Raises errors.InvalidQuery."""
    since, until = _instant("created_from", created_from), _instant("created_to", created_to)
    if sort_by == "created_at" or is_short:
        return since, until
    if since is None or (now if until is None else until) - since > _LONGEST_RANGE:
        raise _refused(
            "sort_by",
            "needs a range of at most 31 days (created_from, created_to), or the list of a rule, an event or a"
            " conversation",
        )
    return since, until


def _instant(name: str, written: str | None) -> int | None:
    if written is None:
        return None
    try:
        return schedule.parse_instant(f"{written}T00:00:00Z" if _is_date(written) else written, name)
    except errors.InvalidInput as fault:
        raise errors.InvalidQuery(faults=fault.faults) from None


def next_cursor(request: Call, found: listings.Found) -> str | None:
    """The cursor of the page that follows."""
    if found.after is None:
        return None
    hides = None if found.after in found.ids[-1:] else veil(request)
    return cursor_of(found.after) if hides is None else f"{_HIDDEN}|{hides.hide(found.after)}"


def at_least(found: listings.Found) -> AtLeast:
    """What `total_is` says: nothing where `total` is exact."""
    return msgspec.UNSET if found.is_exact else "at_least"


def cursor_of(identity: bytes) -> str:
    """The cursor that goes on after this item."""
    return f"{schedule.write_instant(ids.created_at(identity))}|{ids.text(identity)}"


def _after(cursor: str, hides: cursors.Veil | None) -> bytes:
    """The place that a cursor names, as an id; the instant leads, as in the order of (created_at, id)."""
    written, _, text = cursor.partition("|")
    if hides is not None and written == _HIDDEN and (place := hides.find(text)) is not None:
        return place
    identity = ids.parse(text)
    try:
        at = schedule.parse_instant(written, "cursor")
    except errors.InvalidInput:
        identity = at = None
    if identity is None or at is None:
        raise _refused("cursor", "is none that a list gave: it is <created_at>|<id>, percent-encoded")
    if at == ids.created_at(identity):
        return identity
    return ids.head(at) + (b"\x00" if at > ids.created_at(identity) else b"\xff") * 8


def _refused(name: str, message: str) -> errors.InvalidQuery:
    return errors.InvalidQuery(faults=[errors.Fault(name, message)])
