"""A house to work in: a database that is ready, and a way to type commands."""

from collections.abc import Iterator

import pytest
import structlog

from tests.cli import program


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[program.Tell]:
    """`tell("key", "list")` types a command and gives what it said; lines are as long as they like."""
    monkeypatch.setenv("COLUMNS", "300")

    def type_in(*arguments: object) -> program.Told:
        return program.tell(tuple(map(str, arguments)), capsys.readouterr)

    yield type_in
    structlog.reset_defaults()


@pytest.fixture
def house(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a database that is ready and that commands take, on each kind in turn."""
    monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", database_url)
    return database_url


@pytest.fixture
def lone_house(ready_sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The same on SQLite, for what no database has a part in."""
    monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", ready_sqlite_url)
    return ready_sqlite_url
