"""A database made ready, and the engine's connection to it."""

from collections.abc import Iterator

import pytest

from heliograph.store import database, workspaces
from tests.store import samples


def ready(url: str) -> database.Database:
    """A database that is ready, with three workspaces in it: 1, 2 and 3."""
    store = database.Database(url)
    with store.writing() as connection:
        for name in ("default", "second", "third"):
            workspaces.ensure(connection, name, samples.NOW)
    return store


@pytest.fixture
def store(database_url: str) -> Iterator[database.Database]:
    """A database that is ready, of each kind in turn."""
    made = ready(database_url)
    yield made
    made.close()


@pytest.fixture
def session(store: database.Database) -> Iterator[database.Session]:
    """The engine's connection to it."""
    opened = store.session()
    yield opened
    opened.close()


@pytest.fixture
def shared_store(ready_postgres_url: str) -> Iterator[database.Database]:
    """A PostgreSQL database that is ready, for what several processes do at once."""
    made = ready(ready_postgres_url)
    yield made
    made.close()


@pytest.fixture
def two_sessions(shared_store: database.Database) -> Iterator[tuple[database.Session, database.Session]]:
    """Two connections, as two workers have them."""
    one, other = shared_store.session(), shared_store.session()
    yield one, other
    one.close()
    other.close()
