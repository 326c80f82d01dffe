"""Opening a database: SQLite or PostgreSQL, and its connections.

Law: the only place that knows which database it is and the two hot files. `reading` and `writing` give management
code a transaction; `session` gives the engine a connection of its own with the hot statements beside it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urlsplit

import psycopg
import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from heliograph import errors
from heliograph.store import hot_postgres, hot_sqlite, migrations, packing
from heliograph.store import safe as safes
from heliograph.store.meanings import refusals

TIME_IS = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8"
"""The one question for the time: all else comes with it."""
_BUSY_MILLISECONDS = 5_000
_OLDEST_SERVER = 15
"""The oldest version of PostgreSQL that the statements were tried on (docs/operations.md)."""
_OLDEST_SQLITE = (3, 35)
"""The first one that has RETURNING."""
_ENGINE_CACHE, _CACHE = 24_576, 4_096
"""How much of a SQLite file each connection keeps in memory (KiB); the system keeps the rest."""


class Session:
    """A connection of the engine's own, and the hot statements for it; one that broke is opened anew."""

    def __init__(
        self, hot: ModuleType, opened: Callable[[], Any], gate: contextlib.AbstractContextManager[Any]
    ):
        """`gate` is held while a transaction is open: SQLite has one writer, and it is cheaper to wait for it here."""
        self.hot, self._opened, self._gate = hot, opened, gate
        self._connection = opened()

    @property
    def connection(self) -> Any:
        """The connection, opened anew where the server or the network ended it."""
        if self.hot.is_closed(self._connection):
            self._connection = self._opened()
        return self._connection

    @contextlib.contextmanager
    def transaction(self, *, writes_alone: bool = False) -> Iterator[Any]:
        """One transaction: all of it or nothing; one that reads nothing is one message to a server and its answer."""
        with refusals(), self._gate:
            connection = self.connection
            try:
                with self.hot.at_once(connection) if writes_alone else contextlib.nullcontext():
                    self.hot.begin(connection)
                    yield connection
                    self.hot.commit(connection)
            except BaseException:
                self.hot.rollback(connection)
                raise

    @contextlib.contextmanager
    def looking(self) -> Iterator[Any]:
        """One consistent look: nothing can be written, and no writer waits for it."""
        with refusals():
            connection = self.connection
            self.hot.begin_reading(connection)
            try:
                yield connection
            finally:
                self.hot.rollback(connection)

    def tidy(self) -> None:
        """See to what writing leaves behind, beside whoever writes: a log that is long holds them up, for a moment."""
        with refusals():
            self.hot.tidy(self.connection, self._gate)

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


class _Together(threading.local):
    """What this thread writes as one transaction, if it does (`Database.together`)."""

    whole: contextlib.ExitStack | None = None
    connection: sa.Connection | None = None


class Database:
    """One database, opened; nothing is read or written until it is asked for."""

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 4,
        must_exist: bool = False,
        safe: safes.Safe | None = None,
        only_reads: bool = False,
    ):
        """`safe` locks and opens the secrets in it; without one none can be kept.

        `only_reads`: SQLite refuses whatever would change the file.
        """
        self.url, self.safe = url, safe or safes.Safe()
        self.is_sqlite = urlsplit(url).scheme == "sqlite"
        self.path = _path_of(url) if self.is_sqlite else None
        if self.path is not None:
            _check_sqlite()
            _prepare_folder(self.path, must_exist)
        else:
            _check_postgres(url)
        self._only_reads = only_reads
        self._gate = threading.RLock()
        self._together = _Together()
        self._engine = _engine(self, pool_size)

    @property
    def dialect(self) -> str:
        """`sqlite` or `postgresql`."""
        return "sqlite" if self.is_sqlite else "postgresql"

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection for reading, one consistent look at the whole."""
        if self._together.connection is not None:
            with refusals():
                yield self._together.connection
            return
        with refusals(), self._engine.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A connection with an open transaction; it commits at the end, and leaves nothing after an error."""
        together = self._together
        if together.whole is None:
            with self._transaction() as connection:
                yield connection
            return
        if together.connection is None:
            together.connection = together.whole.enter_context(self._transaction())
        with refusals():
            yield together.connection

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """All that this thread writes within is one transaction, which the first of it begins and the end commits.

        What is read within after it was begun sees what was written. Whoever writes within lets errors out: nothing is
        left after one.
        """
        with contextlib.ExitStack() as whole:
            self._together.whole = whole
            try:
                yield
            finally:
                self._together.whole = self._together.connection = None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        with (
            refusals(),
            self._gate if self.is_sqlite else contextlib.nullcontext(),
            self._engine.connect() as connection,
        ):
            # Begun here, whatever comes first: statements of the engine go past the toolkit.
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.begin()
            yield connection
            connection.commit()

    @property
    def hot(self) -> ModuleType:
        """The engine's statements, which take a driver's own connection."""
        return hot_sqlite if self.is_sqlite else hot_postgres

    def lock_partitions(self, connection: sa.Connection, partitions: Collection[int]) -> None:
        """Keep turns out of these partitions until the transaction of `writing` ends; waits for one that has them."""
        self.hot.lock_partitions(connection.connection.driver_connection, partitions)

    def session(self) -> Session:
        """A connection for a turn, for ingest or for delivery."""
        with refusals():
            if self.is_sqlite:
                return Session(hot_sqlite, lambda: self.connect_sqlite(_ENGINE_CACHE), self._gate)
            return Session(hot_postgres, self._connect_engine, contextlib.nullcontext())

    def reader(self) -> Session:
        """A connection that looks (`Session.looking`) with the engine's statements, and keeps little in memory."""
        if not self.is_sqlite:
            return self.session()
        with refusals():
            return Session(hot_sqlite, self.connect_sqlite, self._gate)

    def notify(self) -> None:
        """Tell the workers that something was committed that they have to see (PostgreSQL)."""
        with refusals(), self._engine.connect() as connection:
            connection.execute(sa.text("SELECT pg_notify(:channel, '')"), {"channel": hot_postgres.CHANNEL})
            connection.commit()

    def tell_line_moves(self, connection: sa.Connection) -> None:
        """Tell every worker, with the transaction, that what stood in line may go; on SQLite there are no others."""
        if not self.is_sqlite:
            told = {"channel": hot_postgres.CHANNEL, "what": hot_postgres.LINE_MOVES}
            connection.execute(sa.text("SELECT pg_notify(:channel, :what)"), told)

    def told_time(self) -> int:
        """What time it is (µs) on the server's clock (PostgreSQL): for comparing clocks, and nothing else."""
        with refusals(), self._engine.connect() as connection:
            return int(connection.execute(sa.text(TIME_IS)).scalar_one())

    def listener(self) -> hot_postgres.Listener:
        """A connection for a worker's sleep (PostgreSQL)."""
        with refusals():
            return hot_postgres.Listener(lambda: hot_postgres.connect(self.url), refusals)

    def _connect_engine(self) -> hot_postgres.Connection:
        """A connection of the engine's own; who lost one while the database was migrated hears of it here."""
        connection = hot_postgres.connect(self.url)
        try:
            migrations.refuse_another(hot_postgres.schema_version(connection))
        except BaseException:
            connection.close()
            raise
        return connection

    def connect_sqlite(self, cache: int = _CACHE) -> sqlite3.Connection:
        """A new driver connection to the file, set to lose nothing that was committed; `cache` is in KiB."""
        assert self.path is not None
        connection = sqlite3.connect(
            self.path,
            timeout=_BUSY_MILLISECONDS / 1000,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        for pragma in (
            "page_size = 4096",
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "temp_store = MEMORY",
            # What was forgotten is not to be found in free pages, however this SQLite was built.
            "secure_delete = ON",
            f"cache_size = -{cache}",
            # Housekeeping copies the log (hot_sqlite.tidy); this is for when it does not come to it.
            "wal_autocheckpoint = 256000",
            "journal_size_limit = 268435456",
            f"query_only = {self._only_reads:d}",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    # ── schema ──────────────────────────────────────────────────────────────────────────────────────

    def migrate(self) -> tuple[str | None, str]:
        """Bring the schema up to this program's; gives the versions before and after."""
        with refusals():
            return migrations.upgrade(self._engine, hot_postgres.APPLICATION)

    def is_current(self) -> bool:
        """Whether the schema is this program's."""
        with refusals():
            return migrations.current(self._engine) == migrations.LATEST

    def check(self) -> None:
        """Refuse a database whose schema is not this program's; an empty SQLite file is made ready."""
        with refusals():
            version = migrations.current(self._engine)
        if version is None and self.is_sqlite:
            self.migrate()
        else:
            migrations.refuse_another(version)

    def close(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()


def _path_of(url: str) -> Path:
    written = url.removeprefix("sqlite://")
    # As everywhere: three slashes for a relative path, four for an absolute one.
    return Path(unquote(written.removeprefix("/"))).expanduser()


def _prepare_folder(path: Path, must_exist: bool) -> None:
    if must_exist and not path.exists():
        raise errors.DatabaseUnreachable(f"there is no database at {path}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise errors.DatabaseUnreachable(
            f"the folder {path.parent} cannot be made: {fault.strerror}"
        ) from None


def _check_sqlite() -> None:
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise errors.DatabaseTooOld(
            f"SQLite {_OLDEST_SQLITE[0]}.{_OLDEST_SQLITE[1]} or newer is needed, and this Python has"
            f" {sqlite3.sqlite_version}: take another Python, or PostgreSQL; nothing was changed"
        )


def _check_postgres(url: str) -> None:
    try:
        psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError as fault:
        words = " ".join(str(fault).split())
        raise errors.DatabaseUnreachable(f"this is no address of a PostgreSQL database: {words}") from None


def _engine(database: Database, pool_size: int) -> sa.Engine:
    if database.is_sqlite:
        return sa.create_engine(
            "sqlite://",
            creator=database.connect_sqlite,
            poolclass=QueuePool,
            pool_size=pool_size,
            max_overflow=pool_size,
        )
    return sa.create_engine(
        "postgresql+psycopg://",
        creator=lambda: _connect_postgres(database.url),
        # What is opened when many ask stays open: to begin a session costs as much as several requests.
        pool_size=2 * pool_size,
        max_overflow=0,
        pool_pre_ping=True,
    )


def _connect_postgres(url: str) -> psycopg.Connection[Any]:
    connection = psycopg.connect(url, application_name=hot_postgres.MANAGEMENT, **hot_postgres.LINE)
    # Every process opens one of these before any other.
    if connection.info.server_version < _OLDEST_SERVER * 10_000:
        version = connection.info.parameter_status("server_version")
        connection.close()
        raise errors.DatabaseTooOld(
            f"PostgreSQL {_OLDEST_SERVER} or newer is needed, and the server is {version}: nothing was changed"
        )
    if connection.info.parameter_status("server_encoding") != "UTF8":
        connection.close()
        raise errors.DatabaseEncoding
    # The engine's statements are used on such connections too.
    for kind, dumper in packing.DUMPERS:
        connection.adapters.register_dumper(kind, dumper)
    return connection
