"""Housekeeping: what has outlived its day goes, in small bites, and queues are cleared where it is worth it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from heliograph import errors, testing
from heliograph.engine import housekeeping
from heliograph.store import database


@pytest.fixture
def world(database_url: str) -> Iterator[testing.World]:
    """An empty world on each database in turn."""
    with testing.World(database_url) as made:
        yield made


def forget(world: testing.World) -> int:
    """One round of the broom."""
    return asyncio.run(world.app.housekeeping().forget())


def test_keys_are_forgotten_when_their_day_is_over(
    world: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idempotency key counts for 24 hours, then it goes, however many bites that takes; others stay."""
    monkeypatch.setattr(housekeeping, "KEYS_AT_ONCE", 3)
    old = [{"event_type": "custom.a", "idempotency_key": f"old-{number}"} for number in range(7)]
    first = world.events(old)
    world.clock.move(12 * 3600 * 1_000_000)
    young = world.event("custom.a", idempotency_key="young")
    assert forget(world) == 0
    assert world.events(old) == first
    world.clock.move(12 * 3600 * 1_000_000 + 1)
    assert forget(world) == 7
    assert set(world.events(old)).isdisjoint(first)
    assert world.event("custom.a", idempotency_key="young") == young


def test_queues_are_cleared_where_it_is_worth_it(ready_postgres_url: str) -> None:
    """At the start, then after so many rows were taken out, and not again until there are as many more."""
    worked = 0

    async def rounds(broom: housekeeping.Housekeeping) -> list[bool]:
        nonlocal worked
        swept = []
        for so_far in (0, housekeeping.TIDY_AFTER - 1, housekeeping.TIDY_AFTER, housekeeping.TIDY_AFTER + 1):
            worked = so_far
            swept.append(await broom.tidy())
        return swept

    with testing.World(ready_postgres_url) as world:
        open_session = world.app.store.session
        broom = housekeeping.Housekeeping(open_session, world.clock.now, lambda: worked, watches=True)
        assert asyncio.run(rounds(broom)) == [True, False, True, False]


def test_on_sqlite_the_log_is_copied_into_the_file(tmp_path: Path) -> None:
    """What was committed stands in the file itself after a round, and the next commits begin the log anew."""
    file = tmp_path / "world.db"
    with testing.World(f"sqlite:///{file}") as world:
        world.events([{"event_type": "custom.a", "payload": {"text": "x" * 1000}} for _ in range(500)])
        before = file.stat().st_size
        world.app.store.session().hot.tidy(world.app.session().connection)
        assert file.stat().st_size > before + 500_000
        assert world.app.session().connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 0


def test_a_round_that_fails_is_followed_by_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database that is away costs a round, not the broom; stopping is heard whatever happens."""
    monkeypatch.setattr(housekeeping, "FORGET_SECONDS", 0)
    tries: list[int] = []

    def open_nothing() -> database.Session:
        tries.append(len(tries))
        if len(tries) == 3:
            broom.stop()
        raise errors.DatabaseUnreachable if len(tries) == 1 else RuntimeError("nobody foresaw this")

    broom = housekeeping.Housekeeping(open_nothing, lambda: 0, lambda: 0, watches=False)
    asyncio.run(broom.run())
    assert len(tries) == 3
