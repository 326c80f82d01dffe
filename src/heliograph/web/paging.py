"""Lists of Courier's family: `paging` with an opaque cursor.

Law: a cursor is what the page before gave; one that no page can have given is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph import errors

PER_PAGE = 100


class Paging(msgspec.Struct):
    """Where a list goes on."""

    cursor: str | None
    more: bool


class CursorQuery(msgspec.Struct):
    """Which page."""

    cursor: str | None = None


class Page(NamedTuple):
    """Some of a list, and where it goes on."""

    items: Sequence[Any]
    paging: Paging


def page(found: Sequence[Any], cursor_of: Any) -> Page:
    """The first PER_PAGE of one more than these; `cursor_of` names the place of an item."""
    items = found[:PER_PAGE]
    if len(found) <= PER_PAGE:
        return Page(items, Paging(None, False))
    return Page(items, Paging(cursor_of(items[-1]), True))


def place_of(cursor: str | None) -> tuple[int, str]:
    """The place (partition, id) that a cursor `<partition>|<id>` names. Raises errors.InvalidQuery."""
    if not cursor:
        return -1, ""
    partition, bar, identity = cursor.partition("|")
    if not bar or not partition.isascii() or not partition.isdigit() or len(partition) > 2:
        raise errors.InvalidQuery(faults=[errors.Fault("cursor", "is none that a list gave")])
    return int(partition), identity
