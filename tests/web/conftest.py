"""The applications that the web's tests speak to."""

from collections.abc import Iterator

import pytest

from tests.web import client


@pytest.fixture
def api(database_url: str) -> Iterator[client.Client]:
    """A client of an empty application, on each database in turn."""
    with client.Client(database_url) as made:
        yield made


@pytest.fixture
def lone_api(ready_sqlite_url: str) -> Iterator[client.Client]:
    """A client of an empty application on SQLite, for what no database has a part in."""
    with client.Client(ready_sqlite_url) as made:
        yield made
