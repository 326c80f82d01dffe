"""Exports: lists as CSV, streamed (rules.md C33, C34, R77).

Law: memory stays flat. Rows are read BATCH at a time, in transactions of their own, and what is refused is refused
before the first byte is sent. Text that a spreadsheet would take for a formula gets a leading apostrophe.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Annotated, Any, NamedTuple, Protocol

import msgspec
import sqlalchemy as sa
from litestar.response import Stream

from heliograph.store import database, listings
from heliograph.web import lists
from heliograph.web.calls import Call

CSV = "text/csv"
DEFAULT_LIMIT, MOST = 1_000, 50_000
BATCH = 500
Limit = Annotated[int, msgspec.Meta(ge=1, le=MOST)]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_encode = msgspec.json.Encoder().encode


class Query(Protocol):
    """What every export takes."""

    limit: int
    sort_by: Any
    sort_order: lists.SortOrder
    created_from: str | None
    created_to: str | None


class Export(NamedTuple):
    """What is exported."""

    name: str
    """Of the file."""
    columns: tuple[str, ...]
    """The attributes of its rows, in order."""
    listed: Callable[[sa.Connection], listings.Listed | None]
    read: Callable[[sa.Connection, Sequence[bytes]], Sequence[Any]]


def order(request: Call, query: Query, *, is_short: bool) -> listings.Order:
    """How the rows are gone through. Raises errors.InvalidQuery."""
    now = request.services.now()
    since, until = lists.span(query.created_from, query.created_to, query.sort_by, now, is_short=is_short)
    return listings.Order(
        query.sort_by, query.sort_order == "desc", None, 0, min(query.limit, BATCH), since, until
    )


async def stream(request: Call, export: Export, order: listings.Order, limit: int) -> Stream:
    """The answer: its first rows are read before it begins."""
    batches = _batches(request, export, order, limit)
    first = await asyncio.to_thread(next, batches)

    async def lines() -> AsyncIterator[bytes]:
        yield line(export.columns) + first
        while (more := await asyncio.to_thread(next, batches, None)) is not None:
            yield more

    disposition = f'attachment; filename="{export.name}"'
    return Stream(lines(), media_type=CSV, headers={"content-disposition": disposition})


def _batches(request: Call, export: Export, order: listings.Order, limit: int) -> Iterator[bytes]:
    """The rows as lines, batch by batch; at least one batch, which may be empty."""
    walk = _in_order_of_creation if order.sort_by == "created_at" else _in_another_order
    return walk(request.services.database, export, order, limit)


def _in_order_of_creation(
    store: database.Database, export: Export, order: listings.Order, limit: int
) -> Iterator[bytes]:
    left, after = limit, order.after
    while True:
        # No connection is held while whoever reads the answer takes their time.
        with listings.looking(store) as connection:
            listed = export.listed(connection)
            found: list[bytes] = []
            if listed is not None:
                order = order._replace(limit=min(left, BATCH), after=after)
                found, after = listings.walk(connection, listed, order)
            lines = _lines(connection, export, found)
        yield lines
        left -= len(found)
        if after is None or not left:
            return


def _in_another_order(
    store: database.Database, export: Export, order: listings.Order, limit: int
) -> Iterator[bytes]:
    """All ids are sorted at once, 16 bytes each; their rows are read batch by batch."""
    with listings.looking(store) as connection:
        listed = export.listed(connection)
        whole = order._replace(limit=limit)
        found = [] if listed is None else listings.find(connection, listed, whole, MOST).ids
    for first in range(0, max(len(found), 1), BATCH):
        with listings.looking(store) as connection:
            lines = _lines(connection, export, found[first : first + BATCH])
        yield lines


def _lines(connection: sa.Connection, export: Export, found: Sequence[bytes]) -> bytes:
    rows = export.read(connection, found) if found else ()
    return b"".join(line([getattr(row, name) for name in export.columns]) for row in rows)


# ── cells ───────────────────────────────────────────────────────────────────────────────────────────


def line(cells: Sequence[Any]) -> bytes:
    """A line of CSV (RFC 4180) with its end."""
    return (",".join(map(_cell, cells)) + "\r\n").encode("utf-8", "replace")


def _cell(value: Any) -> str:
    text = _text(value)
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else _encode(value).decode()
    return f"'{text}" if text.startswith(_FORMULA) else text
