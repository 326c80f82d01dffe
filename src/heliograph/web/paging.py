"""Lists of Courier's family: `paging` with an opaque cursor.

Law: a cursor is what the page before gave; one that no page can have given is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

import msgspec

from heliograph import errors
from heliograph.core import ids

One = TypeVar("One")
PER_PAGE = 100


class Paging(msgspec.Struct):
    """Where a list goes on."""

    cursor: str | None
    more: bool


class CursorQuery(msgspec.Struct):
    """Which page."""

    cursor: str | None = None


def limit_of(given: str | None, usual: int, most: int) -> int:
    """How many a page holds: 1 to `most`, and the usual number where it is no whole number (journeys.md 1.1, A79)."""
    written = (given or "").strip()
    if not _WHOLE.fullmatch(written):
        return usual
    # So many digits are more than enough, with whatever sign.
    return min(max(int(written[:9]), 1), most)


_NUMBER = re.compile(r"[0-9]{1,18}")
_WHOLE = re.compile(r"[+-]?[0-9]+")


class Page(NamedTuple, Generic[One]):
    """Some of a list, and where it goes on."""

    items: Sequence[One]
    paging: Paging


def page(found: Sequence[One], cursor_of: Callable[[One], str], limit: int = PER_PAGE) -> Page[One]:
    """The first `limit` of one more than these; `cursor_of` names the place of an item."""
    items, more = found[:limit], len(found) > limit
    return Page(items, Paging(cursor_of(items[-1]) if more else None, more))


def page_after(
    cursor: str | None, whole: Sequence[One], cursor_of: Callable[[One], str], limit: int = PER_PAGE
) -> Page[One]:
    """The page that follows a cursor in a list of which nothing goes. Raises errors.InvalidQuery."""
    first = 0
    if cursor:
        places = [place for place, one in enumerate(whole, 1) if cursor_of(one) == cursor]
        if not places:
            raise unknown_cursor()
        first = places[0]
    return page(whole[first:], cursor_of, limit)


def page_behind(
    cursor: str | None, whole: Sequence[One], number_of: Callable[[One], int], limit: int = PER_PAGE
) -> Page[One]:
    """The page behind a number in a list in the order of numbers: what had it may be gone by now.

    Raises errors.InvalidQuery.
    """
    if cursor:
        if not _NUMBER.fullmatch(cursor):
            raise unknown_cursor()
        whole = [one for one in whole if number_of(one) > int(cursor)]
    return page(whole, lambda one: str(number_of(one)), limit)


def page_of_ids(
    cursor: str | None, whole: Sequence[One], id_of: Callable[[One], str], limit: int = PER_PAGE
) -> Page[One]:
    """The same of a list that is put in the order of ids, which are names. Raises errors.InvalidQuery."""
    after = key_of(cursor, lambda given: ids.name_fault(given, "order-shipped"))
    return page(sorted((one for one in whole if id_of(one) > after), key=id_of), id_of, limit)


def key_of(cursor: str | None, fault: Callable[[str], str | None]) -> str:
    """The id that people chose which a cursor is; `fault` says why one is none. Raises errors.InvalidQuery."""
    if cursor and fault(cursor) is not None:
        raise unknown_cursor()
    return cursor or ""


def id_of(cursor: str | None) -> bytes | None:
    """The id that a cursor is; None without one. Raises errors.InvalidQuery."""
    if not cursor:
        return None
    identity = ids.parse(cursor)
    if identity is None:
        raise unknown_cursor()
    return identity


def place_of(cursor: str | None) -> tuple[int, str]:
    """The place (partition, id) that a cursor `<partition>|<id>` names. Raises errors.InvalidQuery."""
    if not cursor:
        return -1, ""
    partition, bar, identity = cursor.partition("|")
    if not bar or not partition.isascii() or not partition.isdigit() or len(partition) > 2:
        raise unknown_cursor()
    return int(partition), identity


def cursor_at(partition: int, identity: str) -> str:
    """The cursor of a place, as `place_of` reads it."""
    return f"{partition}|{identity}"


def unknown_cursor() -> errors.InvalidQuery:
    """A cursor that no list gave."""
    return errors.InvalidQuery(faults=[errors.Fault("cursor", "is none that this list gave")])
