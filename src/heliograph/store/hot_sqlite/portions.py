"""Portions on SQLite: many rows to a statement.

Law: the same rows as one statement for each would leave, or an error, after which the transaction is rolled back.
What costs is less what SQLite does with a row than how it gets there: a statement opens its table and indexes anew
each time, and each value is bound by itself. So a statement takes many rows, what is the same in all of them is bound
once, and a column that says nothing in any of them stands in none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from heliograph.store.hot_sqlite.connection import Connection

_T = TypeVar("_T")

_SIZES = (64, 8, 1)
"""Rows in a statement: of few sizes, so that the driver's cache of prepared statements is of use."""


def portions(values: Sequence[_T]) -> Iterator[tuple[int, list[Sequence[_T]]]]:
    """The values in portions: of each size all that there are, the largest first."""
    begin = 0
    for size in _SIZES:
        end = begin + (len(values) - begin) // size * size
        if begin < end:
            yield size, [values[first : first + size] for first in range(begin, end, size)]
        begin = end


class _Statements(NamedTuple):
    """How rows are inserted of which these columns say anything."""

    places: list[int]
    by_size: dict[int, str]


class Insertion:
    """How rows come into a table."""

    def __init__(
        self,
        table: str,
        columns: Sequence[str],
        *,
        conflict: str = "FAIL",
        same: Mapping[str, int] | None = None,
    ):
        """`columns` are its names, in the order of a row's values; `same`, what is the same in every row.

        FAIL leaves the rows before the one that is refused, so SQLite need not remember how its pages looked before
        the statement, which costs as much as the rows: whoever inserts has a transaction that is rolled back then.
        """
        self._head, self._columns, self._same = f"INSERT OR {conflict} INTO {table}", columns, same or {}
        self._known: dict[tuple[bool, ...], _Statements] = {}

    def __call__(self, connection: Connection, rows: Sequence[Sequence[Any]]) -> int:
        """Insert these rows; gives how many came in."""
        if not rows:
            return 0
        by_column = list(zip(*rows, strict=True))
        is_said = tuple([values[0] is not None or values.count(None) < len(values) for values in by_column])
        known = self._known.get(is_said)
        if known is None:
            known = self._known[is_said] = self._statements(is_said)
        # Plain tuples too: the driver takes values out of a named one ten times as slowly.
        plain = list(zip(*[by_column[place] for place in known.places], strict=True))
        done = 0
        for size, found in portions(plain):
            flat = [[*chain.from_iterable(part)] for part in found]
            done += connection.executemany(known.by_size[size], flat).rowcount
        return done

    def _statements(self, is_said: tuple[bool, ...]) -> _Statements:
        places = [place for place, said in enumerate(is_said) if said]
        names = ", ".join([*(self._columns[place] for place in places), *self._same])
        mark = f"({','.join([*'?' * len(places), *map(str, self._same.values())])})"
        head = f"{self._head} ({names}) VALUES "
        return _Statements(places, {size: head + ",".join([mark] * size) for size in _SIZES})


class Work:
    """What is done with rows of one table that are named by their keys: the same with all of them."""

    def __init__(self, statement: str, key: str):
        """`statement` begins what is done, up to its WHERE; the rows' workspace and `key` say which they are."""
        self._by_size = {
            size: f"{statement} workspace_id = ? AND {key} IN ({','.join('?' * size)})" for size in _SIZES
        }

    def __call__(
        self, connection: Connection, given: Sequence[Any], workspace_id: int, keys: Collection[bytes]
    ) -> int:
        """Do it, with these values, which the statement takes first; gives how many rows were there."""
        done = 0
        for size, found in portions([*keys]):
            asked = [[*given, workspace_id, *part] for part in found]
            done += connection.executemany(self._by_size[size], asked).rowcount
        return done
