"""Lists of contacts and conversations: walks along a key, of which each page looks at a bounded number of rows.

Law: as in listings.py, no page looks at more than listings.LOOK rows, and none counts more than listings.COUNTED. What
leads to the rows is one key; what else is asked of them is looked at here, so it may be anything. A page may be short
and have a place where the list goes on; it ends where there is none, and has then shown every row once that was there.
A tenant is led over its own rows alone: a place is told, and names a row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa

from heliograph.store import conversations, listings, people, schema

Row = TypeVar("Row")
_CONVERSATIONS, _CONTACTS = schema.conversations.c, schema.contacts.c
_decode = msgspec.json.Decoder(list[str]).decode
_AT_ONCE = 500


class Place(NamedTuple):
    """A conversation's place in a list."""

    created_at: int
    id: str


class Page(NamedTuple, Generic[Row]):
    """One page."""

    rows: list[Row]
    goes_on: Row | None
    """The row after which the list goes on; None at its end."""
    total: int
    """How many pass, on all pages, as far as was counted."""
    is_exact: bool


class Chosen(NamedTuple):
    """Which conversations are asked for; None = any."""

    status: str | None = None
    priority: str | None = None
    agent_id: str | None = None
    division_id: str | None = None
    contact_id: str | None = None
    channel: str | None = None
    tag: str | None = None
    created_from: int | None = None
    """Made at this instant (µs) or later."""
    created_to: int | None = None
    """Made before this instant (µs)."""


def list_conversations(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    chosen: Chosen,
    after: Place | None,
    limit: int,
    *,
    descending: bool = True,
) -> Page[conversations.Conversation]:
    """The conversations that pass, in the order in which they were made, newest first or oldest first."""
    made, identity = _CONVERSATIONS.created_at, _CONVERSATIONS.id
    leads = "status" if tenant_id is None else "tenant_id"
    if chosen.contact_id is not None:
        leads = "contact_id"
    along = (made.desc(), identity.desc()) if descending else (made, identity)
    query = (
        sa.select(*conversations.COLUMNS)
        .where(_CONVERSATIONS.workspace_id == workspace_id, *_bounds(chosen, tenant_id, leads))
        .order_by(*along)
    )
    wanted = {
        name: value
        for name, value in chosen._asdict().items()
        if value is not None and name not in (leads, "tag", "created_from", "created_to")
    }

    def fetch(place: Place | None, look: int) -> Sequence[Any]:
        found = query.limit(look)
        if place is not None:
            key, there = sa.tuple_(made, identity), sa.tuple_(*map(sa.literal, place))
            found = found.where(key < there if descending else key > there)
        return connection.execute(found).all()

    def passes(row: Any) -> bool:
        return all(getattr(row, name) == value for name, value in wanted.items()) and (
            chosen.tag is None or chosen.tag in _decode(row.tags)
        )

    def place_of(row: Any) -> Place:
        return Place(row.created_at, row.id)

    looks = bool(wanted) or chosen.tag is not None
    walk = _Walk(connection, query, fetch, passes if looks else None, place_of)
    found = walk.page(after, limit)
    # Only what is shown is read whole.
    last = None if found.goes_on is None else conversations.of_row(found.goes_on)
    return Page(list(map(conversations.of_row, found.rows)), last, found.total, found.is_exact)


def _bounds(chosen: Chosen, tenant_id: str | None, leads: str) -> list[sa.ColumnElement[bool]]:
    """What the walk itself keeps to."""
    made = _CONVERSATIONS.created_at
    found = []
    if leads == "tenant_id":
        found.append(_CONVERSATIONS.tenant_id == tenant_id)
    elif getattr(chosen, leads) is not None:
        found.append(_CONVERSATIONS[leads] == getattr(chosen, leads))
        if tenant_id is not None:
            # Said so that no index knows it: those of one contact are few, those of a tenant many.
            found.append(sa.func.coalesce(_CONVERSATIONS.tenant_id, "") == tenant_id)
    if chosen.created_from is not None:
        found.append(made >= chosen.created_from)
    if chosen.created_to is not None:
        found.append(made < chosen.created_to)
    return found


def list_contacts(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    passes: Callable[[people.Contact], bool] | None,
    after: str | None,
    limit: int,
) -> Page[people.Contact]:
    """The contacts that pass, in the order of their ids; `passes` None: all that this tenant sees."""

    def line(place: str | None) -> sa.Select[Any]:
        """Those behind a place."""
        found = sa.select(*people.FIELDS).where(_CONTACTS.workspace_id == workspace_id)
        if tenant_id is None:
            behind = () if place is None else (_CONTACTS.user_id > place,)
            return found.where(*behind).order_by(_CONTACTS.user_id)
        # SQLite would rather walk over everybody where it reads that the tenant is this one.
        key = (_CONTACTS.tenant_id, _CONTACTS.user_id)
        there = sa.tuple_(sa.literal(tenant_id), sa.literal(place or ""))
        return found.where(sa.tuple_(*key) > there, _CONTACTS.tenant_id <= tenant_id).order_by(*key)

    def fetch(place: str | None, look: int) -> Sequence[people.Contact]:
        return [people.of_row(row) for row in connection.execute(line(place).limit(look))]

    walk = _Walk(connection, line(None), fetch, passes, lambda row: row.user_id)
    return walk.page(after, limit)


class _Walk(Generic[Row]):
    """One list, of which a page is looked for."""

    def __init__(
        self,
        connection: sa.Connection,
        query: sa.Select[Any],
        fetch: Callable[[Any, int], Sequence[Row]],
        passes: Callable[[Row], bool] | None,
        place_of: Callable[[Row], Any],
    ):
        self._connection, self._query, self._fetch = connection, query, fetch
        self._passes, self._place_of = passes, place_of

    def page(self, after: Any, limit: int) -> Page[Row]:
        """The rows behind a place."""
        total, is_exact = self._counted()
        if self._passes is None:
            found = list(self._fetch(after, limit + 1))
            return Page(found[:limit], found[limit - 1] if len(found) > limit else None, total, is_exact)
        found, last = self._passing(after, limit + 1)
        if len(found) > limit:
            return Page(found[:limit], found[limit - 1], total, is_exact)
        return Page(found, last, total, is_exact)

    def _counted(self) -> tuple[int, bool]:
        if self._passes is None:
            # In its order, or a database might leave the index that leads to the rows for another one.
            most = self._query.with_only_columns(sa.literal(1)).limit(listings.COUNTED + 1).subquery()
            there = int(self._connection.execute(sa.select(sa.func.count()).select_from(most)).scalar_one())
            return min(there, listings.COUNTED), there <= listings.COUNTED
        found, last = self._passing(None, listings.LOOK + 1)
        return len(found), last is None

    def _passing(self, after: Any, wanted: int) -> tuple[list[Row], Row | None]:
        """Rows that pass, at most so many; and the last that was looked at, where there may be more behind it."""
        assert self._passes is not None
        found: list[Row] = []
        looked = 0
        last: Row | None = None
        while looked < listings.LOOK and len(found) < wanted:
            size = min(_AT_ONCE, listings.LOOK - looked)
            rows = self._fetch(after, size)
            found += filter(self._passes, rows)
            looked += len(rows)
            if len(rows) < size:
                return found, None
            last, after = rows[-1], self._place_of(rows[-1])
        return found, last
