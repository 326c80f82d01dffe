"""Lists of the OmniStream family: envelope, cursor and pages.

Law: a cursor is `<created_at>|<id>` of the last item that was shown, follows the order of creation and nothing else,
and is refused together with a page (rules.md C23, C24). A page reaches 10,000 rows (engine.md E35).
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import ids, schedule

MOST_PER_PAGE = 200
_DEEPEST = 10_000

Cursor = Annotated[str, msgspec.Meta(description="`next_cursor` of the page before, percent-encoded.")]
PageNumber = Annotated[int, msgspec.Meta(ge=1, description="From 1 on; instead of `cursor`.")]
PerPage = Annotated[int, msgspec.Meta(ge=1, le=MOST_PER_PAGE)]
SortOrder = Literal["asc", "desc"]


class Place(NamedTuple):
    """Where in a list a page begins."""

    after: bytes | None
    """The id of the last item that was seen."""
    offset: int


def place(cursor: str | None, page: int | None, per_page: int, sort_by: str) -> Place:
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
    return Place(_after(cursor), 0)


def cursor_of(identity: bytes) -> str:
    """The cursor that goes on after this item."""
    return f"{schedule.write_instant(ids.created_at(identity))}|{ids.text(identity)}"


def _after(cursor: str) -> bytes:
    """The place that a cursor names, as an id; the instant leads, as in the order of (created_at, id)."""
    written, _, text = cursor.partition("|")
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
