"""Empty databases for tests: a file for SQLite, one database a test process for PostgreSQL.

A test that asks for `database_url` runs on both. The PostgreSQL half is skipped, with a line that says so,
where `HELIOGRAPH_TEST_POSTGRES` names no server.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql

from tests import environment

SKIPPED = "PostgreSQL tests skipped: set HELIOGRAPH_TEST_POSTGRES"


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'heliograph.db'}"


@pytest.fixture(scope="session")
def postgres_database(worker_id: str) -> Iterator[str]:
    """A PostgreSQL database of this test process's own, dropped at the end."""
    server = environment.postgres_server()
    if server is None:
        pytest.skip(SKIPPED)
    name = f"heliograph_test_{worker_id}_{secrets.token_hex(4)}"
    _on(server, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    yield urlsplit(server)._replace(path=f"/{name}").geturl()
    _on(server, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def postgres_url(postgres_database: str) -> str:
    """The URL of a PostgreSQL database in which nothing is left of earlier tests."""
    _on(
        postgres_database,
        sql.SQL(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        ),
        sql.SQL("DROP SCHEMA public CASCADE"),
        sql.SQL("CREATE SCHEMA public"),
    )
    return postgres_database


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, on each of the two kinds in turn."""
    fixture = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(fixture))


def _on(url: str, *statements: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
