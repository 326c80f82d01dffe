"""Listings: how a page of a long table is found without looking at all of it.

Law: no page looks at more than LOOK rows (COUNTED where they lie side by side), and none counts more than COUNTED.
What is looked at (the candidates) is a walk by key: of a table, or of what leads to it; filters are applied to
candidates. A walk by cursor may therefore give a page that is not full, even an empty one, and tell where it goes on:
it ends where there is no further cursor, and has then shown every row once. An order other than that of creation sorts
its candidates, so there may be no more of them than are looked at.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph import errors
from heliograph.core import ids
from heliograph.store import database

LOOK = 4_000
"""How many rows a page looks at."""
COUNTED = 10_000
"""How many rows `total` counts where no filter needs a look at them, and how far pages reach."""
_AT_FIRST, _MORE = 4, 5
"""Candidates that are looked at for each row that is wanted, and how many times as many next, before all LOOK are."""
AVAILABLE_AT = "available_at"
"""The order whose key is null where it is the instant of creation, which stands in the id."""


class Order(NamedTuple):
    """How a list is gone through."""

    sort_by: str = "created_at"
    descending: bool = True
    """Ties are broken by id, in the same direction."""
    after: bytes | None = None
    """The id of the last row that was seen; for `created_at` alone."""
    offset: int = 0
    limit: int = 50
    created_from: int | None = None
    """Rows that were made at this instant (µs) or later."""
    created_to: int | None = None
    """Rows that were made before this instant (µs)."""

    def bounds(self, column: Any, *, from_cursor: bool = True) -> list[sa.ColumnElement[bool]]:
        """What holds for the ids of these rows."""
        found = []
        if self.created_from is not None:
            found.append(column >= ids.head(self.created_from) + bytes(8))
        if self.created_to is not None:
            found.append(column < ids.head(self.created_to) + bytes(8))
        if from_cursor and self.after is not None:
            found.append(column < self.after if self.descending else column > self.after)
        return found

    def along(self, column: Any) -> sa.ColumnElement[Any]:
        """The direction, for a column."""
        found: sa.ColumnElement[Any] = sa.desc(column) if self.descending else sa.asc(column)
        return found


class Found(NamedTuple):
    """One page of ids."""

    ids: list[bytes]
    total: int
    """How many pass the filters, on all pages, as far as was counted."""
    is_exact: bool
    """Whether all of them were counted."""
    after: bytes | None
    """Where the next page begins; None at the end, and in every order but that of creation."""


class Listed(NamedTuple):
    """What is listed."""

    candidates: Callable[[Order, bool, int, bool], sa.Select[Any]]
    """(order, whether the cursor counts, how many, whether anything but `id` is looked at) gives the rows in line."""
    filters: Callable[[Any], list[sa.ColumnElement[bool]]]
    """Conditions on the columns of candidates."""
    keys: Callable[[str, Any], sa.ColumnElement[Any]]
    """What another order than that of creation sorts by: (sort_by, columns of candidates)."""
    leads: Callable[[str, Any], sa.ColumnElement[bool] | None]
    """For an order of two kinds of rows: whether a row is of the kind that comes last when ascending."""
    look: int
    """How many candidates a page looks at."""


@contextlib.contextmanager
def looking(store: database.Database) -> Iterator[sa.Connection]:
    """A connection for lists: one look at the whole, and a planner that keeps to walks of indexes."""
    with store.reading() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))
        keep_to_walks(connection)
        yield connection


def keep_to_walks(connection: sa.Connection) -> None:
    """Until its transaction ends a connection walks along indexes, whatever is known of its tables."""
    if connection.dialect.name == "postgresql":
        connection.execute(_WALKS_ALONE)


# A plan for every limit takes a tenth of the table for what is looked at, and may sort all of it first.
_WALKS_ALONE = sa.text(
    "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),"
    " set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),"
    " set_config('max_parallel_workers_per_gather', '0', true),"
    " set_config('plan_cache_mode', 'force_custom_plan', true), set_config('jit', 'off', true)"
)


def find(connection: sa.Connection, listed: Listed, order: Order, most: int | None = None) -> Found:
    """One page; another order than that of creation sorts `most` rows: at least LOOK where nobody says how many.

    Raises errors.InvalidQuery where that is too few, or a page lies too far.
    """
    most = max(listed.look, LOOK) if most is None else most
    if order.sort_by != "created_at":
        looked_at, total = _counted(connection, listed, order, most, looks=True)
        is_exact = looked_at <= most
        found = _sorted(connection, listed, order, most, is_exact=is_exact)
        return Found(found, min(total, most), is_exact, None)
    total, is_exact = count(connection, listed, order)
    if is_exact and not total:
        return Found([], 0, True, None)
    # Where no page is full there is nothing to be saved by looking at a few first.
    found, after = walk(connection, listed, order, at_once=is_exact and total <= order.limit)
    if order.offset and after is not None and len(found) < order.limit:
        raise _refused(
            "page", "lies behind more rows than are looked at with these filters: use cursor instead"
        )
    return Found(found, total, is_exact, after)


def count(connection: sa.Connection, listed: Listed, order: Order) -> tuple[int, bool]:
    """How many rows pass, wherever the cursor is, and whether all of them were counted."""
    looks = _looks(listed)
    most = listed.look if looks else COUNTED
    looked_at, total = _counted(connection, listed, order, most, looks=looks)
    return min(total, most), looked_at <= most


def _looks(listed: Listed) -> bool:
    """Whether filters look at rows."""
    return bool(listed.filters(_Anything()))


class _Anything:
    """Columns, for who wants to know how many filters there are."""

    def __getattr__(self, name: str) -> Any:
        return sa.column(name)


def _counted(
    connection: sa.Connection, listed: Listed, order: Order, most: int, *, looks: bool
) -> tuple[int, int]:
    """How many candidates there are, and how many of them pass; `most` and one at most."""
    rows = listed.candidates(order, False, most + 1, looks).subquery()
    passing = listed.filters(rows.c) if looks else []
    passed = sa.func.count(sa.case((sa.and_(*passing), 1))) if passing else sa.func.count()
    looked_at, total = connection.execute(sa.select(sa.func.count(), passed).select_from(rows)).one()
    return int(looked_at), int(total)


def walk(
    connection: sa.Connection, listed: Listed, order: Order, *, at_once: bool = False
) -> tuple[list[bytes], bytes | None]:
    """A page in the order of creation, and after which id the next one begins.

    `at_once` looks at all candidates of a page at first, not at a few and then at more.
    """
    wanted, looks = order.offset + order.limit + 1, _looks(listed)
    most = max(listed.look, order.limit + 1) if looks else wanted
    few = most if at_once else min(most, wanted * _AT_FIRST)
    while True:
        found = _look(connection, listed, order, few, looks=looks)
        if len(found) > order.limit:
            return found[: order.limit], found[order.limit - 1]
        behind = _last(connection, listed, order, few)
        if behind is None or few == most:
            # Where nothing more was found among as many rows as a page looks at, it goes on behind them.
            return found, behind
        few = min(most, few * _MORE)


def _look(connection: sa.Connection, listed: Listed, order: Order, look: int, *, looks: bool) -> list[bytes]:
    """The page among so many candidates, with one row more where there is one."""
    rows = listed.candidates(order, True, look, looks).subquery()
    query = sa.select(rows.c.id).where(*(listed.filters(rows.c) if looks else ()))
    query = query.order_by(order.along(rows.c.id)).limit(order.limit + 1).offset(order.offset)
    return list(connection.execute(query).scalars())


def _last(connection: sa.Connection, listed: Listed, order: Order, look: int) -> bytes | None:
    """The id of the last of so many candidates; None where there are fewer."""
    rows = listed.candidates(order, True, look, False).subquery()
    query = sa.select(rows.c.id).order_by(order.along(rows.c.id)).limit(1).offset(look - 1)
    found: bytes | None = connection.execute(query).scalar_one_or_none()
    return found


def _sorted(
    connection: sa.Connection, listed: Listed, order: Order, most: int, *, is_exact: bool
) -> list[bytes]:
    rows = listed.candidates(order, False, most, True).subquery()
    passing = listed.filters(rows.c)
    if not is_exact:
        return _leading(connection, listed, order, most, rows)
    along, key = order.along, listed.keys(order.sort_by, rows.c)
    if order.sort_by == AVAILABLE_AT:
        pairs = [
            (at or ids.created_at(identity), identity)
            for identity, at in connection.execute(sa.select(rows.c.id, key).where(*passing))
        ]
        pairs.sort(reverse=order.descending)
        return [identity for _, identity in pairs[order.offset : order.offset + order.limit]]
    query = sa.select(rows.c.id).where(*passing).order_by(along(key), along(rows.c.id))
    return list(connection.execute(query.limit(order.limit).offset(order.offset)).scalars())


def _leading(
    connection: sa.Connection, listed: Listed, order: Order, most: int, rows: sa.Subquery
) -> list[bytes]:
    """The page, where rows of the kind that comes first are many enough to fill it."""
    last = listed.leads(order.sort_by, rows.c)
    if last is not None:
        first = last if order.descending else sa.not_(last)
        query = sa.select(rows.c.id).where(*listed.filters(rows.c), first).order_by(order.along(rows.c.id))
        found = list(connection.execute(query.limit(order.limit).offset(order.offset)).scalars())
        if len(found) == order.limit:
            return found
    raise _refused(
        "sort_by",
        f"sorts {most} rows at most: add created_from and created_to, or name a rule, event or conversation,"
        " so that fewer are left",
    )


def _refused(name: str, message: str) -> errors.InvalidQuery:
    return errors.InvalidQuery(faults=[errors.Fault(name, message)])


def merged(order: Order, look: int, parts: Sequence[sa.Select[Any]]) -> sa.Select[Any]:
    """The first `look` ids of several walks that have none in common; each selects `id` in its own order."""
    if len(parts) == 1:
        return parts[0].limit(look)
    both = sa.union_all(*(sa.select(part.limit(look).subquery().c.id) for part in parts)).subquery()
    return sa.select(both.c.id).order_by(order.along(both.c.id)).limit(look)
