"""Databases for tests: empty ones, and ones whose tables are there with nothing in them.

A test that asks for `database_url` or `empty_database_url` runs on both kinds. The PostgreSQL half is skipped, with a
line that says so, where `HELIOGRAPH_TEST_POSTGRES` names no server.

Making the tables takes longer than most tests: they are made once in each test process, then emptied on PostgreSQL
and copied on SQLite. The toolkit's statements are compiled once in each test process too, as they are in a server.
"""

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
import sqlalchemy as sa
from psycopg import sql

from heliograph.store import database
from tests import environment, sessions

SKIPPED = "PostgreSQL tests skipped: set HELIOGRAPH_TEST_POSTGRES"
KINDS = ["sqlite", "postgresql"]


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Let every database that is opened have the statements that earlier ones of its kind compiled."""
    compiled: dict[str, dict[Any, Any]] = {kind: {} for kind in KINDS}
    dialects: dict[str, sa.Dialect] = {}
    opened = database._engine

    def sharing(store: database.Database, pool_size: int) -> sa.Engine:
        engine = opened(store, pool_size)
        if store.dialect in dialects:
            engine.dialect = dialects[store.dialect]
        else:
            # The toolkit asks a server once what it can do, at the first connection of a dialect.
            sa.event.listen(engine, "connect", lambda *_: dialects.setdefault(store.dialect, engine.dialect))
        engine.update_execution_options(compiled_cache=compiled[store.dialect])
        return engine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database, "_engine", sharing)
        yield


# ── SQLite ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'heliograph.db'}"


@pytest.fixture(scope="session")
def sqlite_pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the tables in it, to be copied."""
    file = tmp_path_factory.mktemp("pattern") / "heliograph.db"
    _migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
def ready_sqlite_url(sqlite_url: str, sqlite_pattern: Path) -> str:
    """The URL of a SQLite file whose tables are there."""
    shutil.copyfile(sqlite_pattern, sqlite_url.removeprefix("sqlite:///"))
    return sqlite_url


# ── PostgreSQL ──────────────────────────────────────────────────────────────────────────────────────


class Postgres:
    """A PostgreSQL database of this test process's own."""

    def __init__(self, url: str):
        self.url = url
        self._shape: object = None
        """What the tables looked like when they were made; None where they are not there."""
        self._connection: psycopg.Connection | None = None

    def clear(self) -> None:
        """Leave nothing of earlier tests, and no tables."""
        self._shape = None
        connection = self._alone()
        connection.execute("DROP SCHEMA IF EXISTS public, kept CASCADE")
        connection.execute("CREATE SCHEMA public")

    def make_ready(self) -> None:
        """Leave nothing of earlier tests but the tables, as migrations make them."""
        connection = self._alone()
        if self._shape is not None and self._shape == _shape(connection):
            connection.execute(_EMPTY)
            return
        self.clear()
        _migrate(self.url)
        connection.execute(_KEEP)
        self._shape = _shape(connection)

    def _alone(self) -> psycopg.Connection:
        """A connection that is kept (a new one looks up every table anew), with no other beside it."""
        try:
            if self._connection is not None:
                self._end_others(self._connection)
                return self._connection
        except psycopg.OperationalError:
            # A test has ended it with all the others.
            self.close()
        self._connection = psycopg.connect(self.url, autocommit=True)
        self._end_others(self._connection)
        return self._connection

    def _end_others(self, connection: psycopg.Connection) -> None:
        connection.execute(_END_OTHERS.replace("kept", str(sessions.KEPT.pids)))

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


# The server's own way of waiting looks every tenth of a second, and sessions that were closed are mostly gone at once.
_END_OTHERS = """
    DO $$ BEGIN
        FOR look IN 1..5000 LOOP
            PERFORM pg_stat_clear_snapshot();
            PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> ALL (ARRAY kept::int4[]);
            EXIT WHEN NOT FOUND;
            PERFORM pg_sleep(0.001);
        END LOOP;
    END $$
"""
# The few rows that migrations lay in are kept in a schema beside, to be put back.
_KEEP = """
    DO $$ DECLARE t name; is_filled bool; BEGIN
        CREATE SCHEMA kept;
        FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
            EXECUTE format('SELECT EXISTS (SELECT FROM public.%I)', t) INTO is_filled;
            IF is_filled THEN EXECUTE format('CREATE TABLE kept.%1$I AS TABLE public.%1$I', t); END IF;
        END LOOP;
    END $$
"""
# Deleting a few rows is quicker than a truncation, which makes new files; dead entries must not grow many all the same.
_EMPTY = """
    DO $$ DECLARE t name; size int8; BEGIN
        SET LOCAL session_replication_role = replica;
        FOR t, size IN SELECT relname, pg_relation_size(oid) FROM pg_class
                WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' LOOP
            IF size > 65536 THEN EXECUTE format('TRUNCATE public.%I', t);
            ELSIF size > 0 THEN EXECUTE format('DELETE FROM public.%I', t);
            END IF;
        END LOOP;
        FOR t IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL LOOP
            EXECUTE format('ALTER SEQUENCE public.%I RESTART', t);
        END LOOP;
        FOR t IN SELECT relname FROM pg_class WHERE relnamespace = 'kept'::regnamespace AND relkind = 'r' LOOP
            EXECUTE format('INSERT INTO public.%1$I TABLE kept.%1$I', t);
        END LOOP;
    END $$
"""


def _shape(connection: psycopg.Connection) -> object:
    """What tables, columns, indexes, rules and functions there are, as a test may have changed them."""
    return connection.execute(
        "SELECT (SELECT md5(string_agg(format('%s %s %s', c.oid, c.relname, c.relnatts), ',' ORDER BY c.oid))"
        " FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace), (SELECT count(*) FROM pg_attribute a"
        " JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace AND NOT a.attisdropped),"
        " (SELECT count(*) FROM pg_trigger), (SELECT count(*) FROM pg_constraint),"
        " (SELECT count(*) FROM pg_proc WHERE pronamespace = 'public'::regnamespace)"
    ).fetchone()


@pytest.fixture(scope="session")
def postgres_database(worker_id: str) -> Iterator[Postgres]:
    """A PostgreSQL database of this test process's own, dropped at the end."""
    server = environment.postgres_server()
    if server is None:
        pytest.skip(SKIPPED)
    name = f"heliograph_test_{worker_id}_{secrets.token_hex(4)}"
    # Processes are killed here, the server never is: that a commit is on the disk is waited for where it matters.
    _on(
        server,
        sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)),
        sql.SQL("ALTER DATABASE {} SET synchronous_commit TO off").format(sql.Identifier(name)),
    )
    made = Postgres(urlsplit(server)._replace(path=f"/{name}").geturl())
    yield made
    made.close()
    _on(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def postgres_url(postgres_database: Postgres) -> str:
    """The URL of a PostgreSQL database in which nothing is, not even tables."""
    postgres_database.clear()
    return postgres_database.url


@pytest.fixture
def ready_postgres_url(postgres_database: Postgres) -> str:
    """The URL of a PostgreSQL database whose tables are there."""
    postgres_database.make_ready()
    return postgres_database.url


# ── both ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database whose tables are there with nothing in them, on each of the two kinds in turn."""
    fixture = "ready_sqlite_url" if request.param == "sqlite" else "ready_postgres_url"
    return str(request.getfixturevalue(fixture))


@pytest.fixture(params=KINDS)
def empty_database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a database without tables, on each of the two kinds in turn."""
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(fixture))


def _migrate(url: str) -> None:
    store = database.Database(url)
    store.migrate()
    store.close()


def _on(url: str, *statements: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
