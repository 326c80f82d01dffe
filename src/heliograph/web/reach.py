"""What the Reach family shares: its envelope, its pages, and whose business is meant.

Law: every answer is `{"success": true, "message", "data"}`, every list `data.results` and `data.pagination`. A key that
is bound to a tenant speaks for that business; another one speaks for the whole workspace, or for the business that it
names in the header `reach-tenant-id` (segments-and-campaigns.md 1.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal, NamedTuple, TypeVar

import msgspec

from heliograph import errors
from heliograph.core import people
from heliograph.web import idempotency, paging
from heliograph.web.calls import Call

One = TypeVar("One")
MOST_PER_PAGE, PER_PAGE = 1_000, 100
Yes = Literal[True]

Limit = Annotated[int, msgspec.Meta(ge=1, le=MOST_PER_PAGE)]
Cursor = Annotated[str, msgspec.Meta(description="`pagination.cursor` of the page before.")]


class Pagination(msgspec.Struct):
    """Where a list goes on."""

    has_next_page: bool
    total: int
    cursor: str | None
    """For the next page; null on the last one."""


class Caution(msgspec.Struct):
    """What is allowed but looks wrong."""

    path: str
    message: str


class PageQuery(msgspec.Struct, kw_only=True):
    """Which page of a list."""

    cursor: Cursor | None = None
    limit: Limit = PER_PAGE


class SearchQuery(PageQuery, kw_only=True):
    """Which page of a list, of those whose name holds a text."""

    search: str | None = None


class Page(NamedTuple):
    """Some of a list, and where it goes on."""

    first: int
    last: int
    pagination: Pagination


def page(
    listed: Sequence[One],
    identity: Callable[[One], str],
    query: PageQuery,
    whole: Callable[[], Sequence[One]] | None = None,
) -> Page:
    """The page that follows `cursor` in a list that is there whole; raises errors.InvalidQuery.

    Where it is a choice of a list, the cursor is looked for in the `whole` one: it may be chosen no more.
    """
    first = 0
    if query.cursor is not None:
        order = [identity(one) for one in (listed if whole is None else whole())]
        if query.cursor not in order:
            raise paging.unknown_cursor()
        before = set(order[: order.index(query.cursor) + 1])
        first = sum(identity(one) in before for one in listed)
    last = min(first + query.limit, len(listed))
    more = last < len(listed)
    cursor = identity(listed[last - 1]) if more else None
    return Page(first, last, Pagination(more, len(listed), cursor))


def tenant_of(request: Call) -> str | None:
    """The business that a request speaks for; None: the whole workspace. Raises NotFound, and InvalidQuery."""
    named = request.headers.get(idempotency.TENANT_HEADER)
    bound = request.principal.tenant_id
    # Who forgets to fill it in must not make what is nobody's.
    if named is not None and not 1 <= len(named) <= people.MAX_ID:
        raise errors.InvalidQuery(
            faults=[errors.Fault(idempotency.TENANT_HEADER, f"is a text of 1 to {people.MAX_ID} characters")]
        )
    if named is not None and bound not in (None, named):
        raise errors.NotFound(f"there is no business {named!r}")
    return named if bound is None else bound
