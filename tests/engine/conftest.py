"""Worlds: the real engine on a database of each kind, with a clock that is moved by hand."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog

from heliograph import testing


@pytest.fixture
def world(database_url: str) -> Iterator[testing.World]:
    """An engine with nothing in it, on each database in turn."""
    with testing.World(database_url) as made:
        yield made


@pytest.fixture
def lone_world(ready_sqlite_url: str) -> Iterator[testing.World]:
    """An engine with nothing in it on SQLite, for what no database has a part in."""
    with testing.World(ready_sqlite_url) as made:
        yield made


@pytest.fixture(autouse=True)
def told() -> Iterator[list[MutableMapping[str, Any]]]:
    """What the engine logs, kept instead of printed."""
    with structlog.testing.capture_logs() as entries:
        yield entries
