"""One server for all tests of this folder that run in one process."""

from collections.abc import Iterator

import courier
import pytest

from tests.clients import house as houses


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[houses.House]:
    """A server on SQLite with a mail server beside it; tests use names of their own."""
    with houses.opened(tmp_path_factory.mktemp("clients")) as opened:
        yield opened


@pytest.fixture
def client(house: houses.House) -> courier.Courier:
    """Courier's official client of Python: only the base URL and the key are ours."""
    return house.client
