"""Connections of the engine's own to PostgreSQL: how they open, begin, commit, and sleep.

Law: frozen or vanished, a connection loses its partitions (engine.md E25); whoever sleeps says so first.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.adapt import Loader
from psycopg.pq import Format, PipelineStatus

from heliograph.store import packing

Connection = psycopg.Connection[tuple[Any, ...]]

LOCKS = 0x6865
"""The first key of a partition's advisory lock; the second is its number."""
SLEEPERS = 0x68656C696F
"""The advisory lock that sleeping workers share: while it is shared, commits of new work notify."""
CHANNEL = "heliograph"
LINE_MOVES = "line"
"""What a notification says when messages that stood in line may go: to every worker, asleep or not."""
APPLICATION = "heliograph engine"
"""How the engine's sessions are called in the server's list of sessions."""
MANAGEMENT = "heliograph"
"""How all others of this program are called there."""
LINE: dict[str, Any] = {
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    # A line that was spoken into is not asked whether it is alive: what is not received there is given up as late.
    "tcp_user_timeout": 25_000,
}
"""How long a server of which no packet comes back is waited for, on every connection (seconds, the last in ms)."""
_OPTIONS = (
    "-c idle_in_transaction_session_timeout=10s -c lock_timeout=5s"
    # A plan made while a queue was short must not stay when it is long: nothing but walks along an index is open to
    # choice, so one plan is right whatever the values, and is made once.
    " -c enable_seqscan=off -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off -c jit=off"
    " -c plan_cache_mode=force_generic_plan"
)


class _Identity(Loader):
    format = Format.BINARY

    def load(self, data: Any) -> bytes:
        """Sixteen bytes, as the program keeps them."""
        return bytes(data)


def connect(url: str) -> Connection:
    """A connection of the engine's own: frozen or vanished, it loses its partitions (engine.md E25)."""
    connection = psycopg.connect(
        url,
        autocommit=True,
        options=_OPTIONS,
        application_name=APPLICATION,
        prepare_threshold=2,
        **LINE,
    )
    for kind, dumper in packing.DUMPERS:
        connection.adapters.register_dumper(kind, dumper)
    connection.adapters.register_loader("uuid", _Identity)
    return connection


def schema_version(connection: Connection) -> str | None:
    """The step of the schema's history that the database stands at; None for one that is empty."""
    try:
        found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except psycopg.errors.UndefinedTable:
        return None
    return None if found is None else str(found[0])


def begin(connection: Connection) -> None:
    """Open the transaction."""
    connection.execute("BEGIN")


def begin_reading(connection: Connection) -> None:
    """Open a transaction that only looks: it waits for nobody, and nobody waits for it."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")


def at_once(connection: Connection) -> contextlib.AbstractContextManager[Any]:
    """While it is entered, statements are sent together: none waits for the answer to the one before it."""
    is_entered = connection.info.pipeline_status is not PipelineStatus.OFF
    return contextlib.nullcontext() if is_entered else connection.pipeline()


def commit(connection: Connection) -> None:
    """Make all of it durable."""
    connection.execute("COMMIT")


def rollback(connection: Connection) -> None:
    """Leave nothing of it; a connection that is gone left nothing by itself.

    The driver's own way also forgets its prepared statements: those of a pipeline that failed are not there.
    """
    with contextlib.suppress(psycopg.OperationalError, psycopg.InterfaceError):
        connection.rollback()


def is_closed(connection: Connection) -> bool:
    """Whether the connection was ended: by the server that lost patience, or by the network."""
    return connection.closed or connection.broken


def fetch(connection: Connection, query: LiteralString, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """All rows of a query, in binary."""
    return connection.execute(query, values, binary=True).fetchall()


def put(
    connection: Connection,
    query: LiteralString,
    kinds: Sequence[type[packing.Packed]],
    values: Sequence[Sequence[Any]],
) -> None:
    """One statement over packed columns, where there is anything."""
    if values:
        connection.execute(query, packing.columns(kinds, values))


def lock_partitions(connection: Connection, partitions: Collection[int]) -> None:
    """Keep turns out of these partitions until the transaction ends; waits for a turn that has them."""
    for partition in sorted(partitions):
        connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (LOCKS, partition))


def tidy(connection: Connection, _alone: contextlib.AbstractContextManager[Any]) -> None:
    """Clear the queues of their dead entries, outside any transaction and beside whoever writes.

    A queue's index is read from its head, where its dead entries lie: left to the server's own rhythm they halve
    a busy worker's throughput within minutes.
    """
    for queue in ("due", "send_due", "inbox", "timers", "claims"):
        connection.execute(f"VACUUM (TRUNCATE false, SKIP_LOCKED) {queue}")


_UNKNOWN = (
    "SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'"
    " AND pg_relation_size(c.oid) >= 40 * 8192 AND NOT EXISTS"
    " (SELECT FROM pg_stats s WHERE s.schemaname = current_schema() AND s.tablename = c.relname)"
)


def look_at_tables(connection: Connection) -> int:
    """Let the server look at tables that are no longer short and at which it never looked; gives how many.

    It would do so by itself within minutes, and until then take a workspace for the two hundredth part of a table.
    """
    unknown = [row[0] for row in fetch(connection, _UNKNOWN)]
    for table in unknown:
        # Where another process is at it there is nothing to be done.
        connection.execute(sql.SQL("ANALYZE (SKIP_LOCKED) {}").format(sql.Identifier(table)))
    return len(unknown)


def stalled(connection: Connection) -> frozenset[tuple[int, str]]:
    """Sessions that stand in a transaction and wait for their process: (pid, since when, as text).

    They are the engine's, and those others of this program that hold up turns: whoever wrote, or keeps partitions.
    """
    found = fetch(
        connection,
        "SELECT pid, state_change::text FROM pg_stat_activity a WHERE datname = current_database()"
        " AND xact_start IS NOT NULL AND wait_event = 'ClientRead' AND pid <> pg_backend_pid()"
        " AND (application_name = %s OR (application_name = %s AND (backend_xid IS NOT NULL OR EXISTS (SELECT FROM"
        " pg_locks l WHERE l.pid = a.pid AND l.locktype = 'advisory' AND l.classid = %s::int8::oid))))",
        (APPLICATION, MANAGEMENT, LOCKS),
    )
    return frozenset((int(pid), str(since)) for pid, since in found)


def end_sessions(connection: Connection, pids: Sequence[int]) -> None:
    """End sessions: what they had begun is undone, what they had locked is free."""
    connection.execute("SELECT pg_terminate_backend(p) FROM unnest(%s::int4[]) p", (list(pids),))


class Listener:
    """A connection that sleeps: woken by a notification, by `interrupt`, or by time."""

    def __init__(
        self,
        opened: Callable[[], Connection],
        refusals: Callable[[], contextlib.AbstractContextManager[None]],
    ):
        """`opened` opens a connection, now and after one broke; `refusals` gives a driver's refusal our meaning."""
        self._opened, self._refusals = opened, refusals
        self._connection = self._listening()
        self._woken, self._alarm = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._alarm, False)

    def _listening(self) -> Connection:
        connection = self._opened()
        connection.execute(f"LISTEN {CHANNEL}")
        # What was told while nobody listened is not told again.
        self._line_moves = True
        return connection

    @contextlib.contextmanager
    def asleep(self) -> Iterator[None]:
        """While it is entered, whoever commits new work notifies."""
        with self._refusals():
            if is_closed(self._connection):
                self._connection = self._listening()
            self._connection.execute("SELECT pg_advisory_lock_shared(%s)", (SLEEPERS,))
        try:
            yield
        finally:
            with self._refusals():
                self._connection.execute("SELECT pg_advisory_unlock_shared(%s)", (SLEEPERS,))

    def wait(self, seconds: float) -> None:
        """Sleep until a notification, `interrupt`, or the end of the time."""
        with self._refusals():
            if self._hear():
                return
            # Not `select`, which takes no number of a file from 1,024 on: a server of many connections has such.
            either = select.poll()
            for file in (self._connection.fileno(), self._woken):
                either.register(file, select.POLLIN)
            either.poll(math.ceil(seconds * 1000))
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 4096)
            self._hear()

    def line_moves(self) -> bool:
        """Whether it was told since this was asked last that what stood in line may go; waits for nothing."""
        with self._refusals():
            self._hear()
        moves, self._line_moves = self._line_moves, False
        return moves

    def _hear(self) -> bool:
        """Take what was notified; whether anything was."""
        told = [notification.payload for notification in self._connection.notifies(timeout=0)]
        self._line_moves = self._line_moves or LINE_MOVES in told
        return bool(told)

    def interrupt(self) -> None:
        """Wake the sleeper; callable from any thread."""
        # A full pipe wakes as well: who is not asleep for long has as much to read as it can take.
        with contextlib.suppress(BlockingIOError):
            os.write(self._alarm, b"!")

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()
        os.close(self._woken)
        os.close(self._alarm)
