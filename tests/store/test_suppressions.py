"""Suppressions as they are brought out: some at a time."""

import pytest

from heliograph.store import database, suppressions
from tests.store import samples


def test_nothing_is_held_while_suppressions_are_taken(
    store: database.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever brings many out may take their time: others write meanwhile, and what they add behind comes too."""
    monkeypatch.setattr(suppressions, "_AT_ONCE", 2)

    def put(*addresses: str) -> None:
        with store.writing() as connection:
            suppressions.put(connection, 1, None, [(address, "manual") for address in addresses], samples.NOW)

    put("a@x.com", "b@x.com", "c@x.com")
    taken = []
    for some in suppressions.each(store, 1, None):
        taken.append([one.address for one in some])
        if len(taken) == 1:
            with store.writing() as connection:
                assert suppressions.delete(connection, 1, None, "c@x.com")
            put("d@x.com", "e@x.com", "f@x.com")
    assert taken == [["a@x.com", "b@x.com"], ["d@x.com", "e@x.com"], ["f@x.com"]]
