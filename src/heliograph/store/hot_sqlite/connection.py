"""Connections of the engine's own to SQLite: how they begin and commit, and how they are asked for sets of keys."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Collection, Iterable
from typing import Any

Connection = sqlite3.Connection

# The driver looks for an adapter of every value that is no plain number or text, and looks long where there is
# none. These give the value itself, and cost a quarter less for each row.
sqlite3.register_adapter(bytes, bytes.__bytes__)
_ITSELF: Any = {}.get
sqlite3.register_adapter(type(None), _ITSELF)

_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_NOTHING = 0
"""What no key has, and the driver binds more quickly than a NULL."""
_VALUES_AT_ONCE = _SIZES[-1]
"""Keys in one VALUES list: well under SQLite's limit of bound variables."""


def begin(connection: Connection) -> None:
    """Open the transaction and take the one write lock."""
    connection.execute("BEGIN IMMEDIATE")


def begin_reading(connection: Connection) -> None:
    """Open a transaction that only looks: it waits for nobody, and nobody waits for it."""
    connection.execute("BEGIN")


def at_once(_connection: Connection) -> contextlib.AbstractContextManager[Any]:
    """A file is near: statements wait for nothing."""
    return contextlib.nullcontext()


def commit(connection: Connection) -> None:
    """Make all of it durable."""
    connection.execute("COMMIT")


def rollback(connection: Connection) -> None:
    """Leave nothing of it."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def is_closed(_connection: Connection) -> bool:
    """Whether the connection was ended: a file does not end one."""
    return False


LONG_LOG = 25_000
"""Pages: a log that has become so long (100 MB) is begun anew, for which whoever writes waits some ten milliseconds."""


def tidy(connection: Connection, alone: contextlib.AbstractContextManager[Any]) -> None:
    """Copy what was committed from the log into the file, beside the writer, so that no commit has to.

    A log that has become long is begun anew, within `alone`: nobody of this process writes meanwhile.
    """
    _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if pages >= LONG_LOG:
        # Once more, or what was committed meanwhile would be copied while nobody may write.
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        with alone:
            begin_log_anew(connection)


def begin_log_anew(connection: Connection) -> None:
    """Let the next writer begin the log anew, where nobody reads in it just then; nobody may write meanwhile.

    Beside a writer that never rests the log is never copied to its end, and would grow until some commit has to do it.
    """
    (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {patience}")


def lock_partitions(connection: Connection, partitions: Collection[int]) -> None:
    """Keep turns out of these partitions until the transaction ends; the one writer has done so already."""


def by_pairs(
    connection: Connection, query: str, keys: Collection[tuple[int | bytes, str | bytes]]
) -> list[tuple[Any, ...]]:
    """What `query` finds for the pairs of `wanted(a, b)`."""
    return wanted(connection, "WITH wanted(a, b) AS (VALUES {}) " + query, "(?,?)", keys)


def by_triples(
    connection: Connection, query: str, keys: Collection[tuple[int, str | bytes, str]]
) -> list[tuple[Any, ...]]:
    """What `query` finds for the triples of `wanted(a, b, c)`."""
    return wanted(connection, "WITH wanted(a, b, c) AS (VALUES {}) " + query, "(?,?,?)", keys)


def wanted(
    connection: Connection, query: str, mark: str, keys: Iterable[tuple[Any, ...]], more: tuple[Any, ...] = ()
) -> list[tuple[Any, ...]]:
    """What `query` finds for these keys: its `{}` takes one `mark` a key, and `more` follows the keys.

    It joins tables to `wanted` by CROSS JOIN (or LEFT JOIN), which SQLite never turns round: since 3.43 it would
    look through a table of any size to find a hundred rows of it.
    """
    ordered = sorted(keys)
    found: list[tuple[Any, ...]] = []
    for first in range(0, len(ordered), _VALUES_AT_ONCE):
        part = ordered[first : first + _VALUES_AT_ONCE]
        # Padded to a few sizes, so that the driver's cache of prepared statements is of use.
        size = next(size for size in _SIZES if size >= len(part))
        part += [(_NOTHING,) * len(part[0])] * (size - len(part))
        flat = [value for key in part for value in key]
        found += connection.execute(query.format(",".join([mark] * size)), (*flat, *more)).fetchall()
    return found
