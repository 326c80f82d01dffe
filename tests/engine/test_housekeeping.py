"""Housekeeping: what has outlived its day goes, in small bites, and queues are cleared where it is worth it."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa

from heliograph import errors, testing
from heliograph.core import ids, schedule
from heliograph.core import statistics as core_statistics
from heliograph.engine import housekeeping
from heliograph.store import database, places, request_keys, schema, statistics
from heliograph.store.hot_sqlite import connection as hot_connection
from tests import tables

TAG = [{"type": "add_tags", "tags": ["a"], "target": "conversation"}]


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


def test_others_have_their_turn_between_two_bites_of_keys(
    world: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys of requests go however many there are, and who waits to write never waits for more than one bite of them."""
    monkeypatch.setattr(housekeeping, "KEYS_AT_ONCE", 2)
    now, forget_some, order = world.clock.now(), request_keys.forget, list[str]()
    with world.app.store.writing() as connection:
        for number in range(7):
            wanted = request_keys.Wanted(1, "POST /send", f"key-{number}", b"same")
            assert request_keys.note(connection, wanted, now, now + schedule.DAY)
    world.clock.move(schedule.DAY)

    def bite(store: database.Database, at: int, at_most: int) -> int:
        order.append("bite")
        return forget_some(store, at, at_most)

    async def others() -> None:
        while True:
            order.append("others")
            await asyncio.sleep(0)

    async def round_beside_others() -> int:
        beside = asyncio.create_task(others())
        forgotten = await world.app.housekeeping().forget()
        beside.cancel()
        return forgotten

    monkeypatch.setattr(request_keys, "forget", bite)
    assert asyncio.run(round_beside_others()) == 7
    assert order.count("bite") == 4
    assert ("bite", "bite") not in pairwise(order)


def test_soft_bounces_are_forgotten_when_they_count_no_more(
    world: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After 90 days, some in each round; one that bounced again since stays, however old its first bounce is."""
    monkeypatch.setattr(housekeeping, "KEYS_AT_ONCE", 2)
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])

    def bounce(*names: str) -> None:
        for name in names:
            world.event("custom.a", contact_id=name)
            world.run_until_idle()
            world.report(ids.text(world.ledger()[0].row.id), "bounced", bounce="soft")
            world.run_until_idle()
            world.clock.move(1_000)

    names = ("ana", "ben", "cleo", "dan", "eve")
    for name in names:
        world.contact(name, email=f"{name}@example.com")
    bounce(*names)
    world.clock.move(60 * schedule.DAY)
    bounce("cleo")
    world.clock.move(31 * schedule.DAY)
    broom = world.app.housekeeping()
    for _ in range(4):
        asyncio.run(broom.forget())
    left = [row["address"] for row in tables.rows(world.app.store, "soft_bounces")]
    assert left == ["cleo@example.com"]


def test_queues_are_cleared_where_it_is_worth_it(database_url: str) -> None:
    """At the start, then after so many rows were taken out, on SQLite far fewer, and not again until as many more."""
    worked = 0
    on_postgres = not database_url.startswith("sqlite")
    enough = housekeeping.TIDY_AFTER if on_postgres else housekeeping.COPY_AFTER

    async def rounds(broom: housekeeping.Housekeeping) -> list[bool]:
        nonlocal worked
        swept = []
        for so_far in (0, enough - 1, enough, enough + 1):
            worked = so_far
            swept.append(await broom.tidy())
        return swept

    with testing.World(database_url) as world:
        open_session = world.app.store.session
        broom = housekeeping.Housekeeping(open_session, world.clock.now, lambda: worked, watches=on_postgres)
        assert asyncio.run(rounds(broom)) == [True, False, True, False]


def test_a_table_that_grew_is_known_to_the_server(ready_postgres_url: str) -> None:
    """PostgreSQL looks at a table as soon as that is no longer short, once, whether or not it does so by itself."""
    made = "CREATE TABLE grown (n int8) WITH (autovacuum_enabled = off)"
    filled = "INSERT INTO grown SELECT * FROM generate_series(1, 20000)"
    known = "SELECT count(*) FROM pg_stats WHERE schemaname = 'public' AND tablename = 'grown'"
    with testing.World(ready_postgres_url) as world:

        def looked() -> int:
            return asyncio.run(world.app.housekeeping().look())

        def do(statement: str) -> list[Any]:
            with world.app.store.writing() as connection:
                done = connection.execute(sa.text(statement))
                return list(done.scalars()) if done.returns_rows else []

        do(made)
        try:
            assert looked() == 0, "it is short"
            do(filled)
            assert looked() == 1
            assert do(known) == [1]
            assert looked() == 0, "it is known"
        finally:
            do("DROP TABLE grown")


def by_conversation(world: testing.World, conversation_id: str) -> tuple[list[bytes], int]:
    """The events that have a place by their conversation, and how many by their rule."""
    places_of, key = schema.event_places.c, places.conversation_key(conversation_id)
    with world.app.store.reading() as connection:
        found = connection.execute(sa.select(places_of.event_id).where(places_of.key == key)).scalars().all()
        of_rules = sa.select(sa.func.count()).where(places_of.kind == places.Kind.RULE)
        return sorted(found), connection.execute(of_rules).scalar_one()


def test_events_get_places_in_bites_until_there_are_no_more(
    world: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle engine places everything that has settled, once; a busy one so many bites a round and no more."""
    monkeypatch.setattr(housekeeping, "_BREATH", 0)
    monkeypatch.setattr(housekeeping, "EVENTS_AT_ONCE", 2)
    monkeypatch.setattr(housekeeping, "RUNS_AT_ONCE", 3)
    monkeypatch.setattr(housekeeping, "BITES_WHEN_BUSY", 2)
    world.rule(trigger_type="custom.a", actions=TAG)
    made = world.events([{"event_type": "custom.a", "conversation_id": "k"} for _ in range(9)])
    world.run_until_idle()
    worked = 0
    store, now = world.app.store, world.clock.now
    broom = housekeeping.Housekeeping(store.session, now, lambda: worked, watches=False, places_in=store)
    assert asyncio.run(broom.place()) == 0, "what may still be joined by older rows has no place yet"
    world.clock.move(places.SETTLED_AFTER + 1)
    worked = housekeeping.BUSY_FROM + 1
    assert asyncio.run(broom.place()) == 2 * (2 + 3)
    assert by_conversation(world, "k") == ([ids.parse(one) for one in made[:4]], 6)
    assert asyncio.run(broom.place()) == 9 + 9 - 10
    assert by_conversation(world, "k") == ([ids.parse(one) for one in made], 9)
    assert asyncio.run(broom.place()) == 0
    broom.stop()
    world.event("custom.a", conversation_id="k")
    world.clock.move(places.SETTLED_AFTER + 1)
    assert asyncio.run(broom.place()) == 0, "it was told to stop"
    assert asyncio.run(housekeeping.Housekeeping(store.session, now, lambda: 0, watches=False).place()) == 0


def test_great_payloads_get_their_places_in_smaller_bites(
    world: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many events a bite may have, no more bytes of payloads than a bound are read at once, or one payload."""
    monkeypatch.setattr(places, "_PAYLOADS_AT_ONCE", 1_000)
    sizes = (600, 300, 600, 2_000, 5, 5)
    events = [
        {"event_type": "custom.a", "conversation_id": "k", "payload": {"text": "x" * size}} for size in sizes
    ]
    made = world.events(events)
    world.run_until_idle()
    world.clock.move(places.SETTLED_AFTER + 1)
    bites = [places.fill_events(world.app.store, world.clock.now(), 100) for _ in range(5)]
    assert bites == [2, 1, 1, 2, 0]
    assert by_conversation(world, "k")[0] == [ids.parse(one) for one in made]


def test_counts_of_days_that_are_over_become_one_row_each(world: testing.World) -> None:
    """What lanes counted is added up, day by day, and says the same as before; later lanes are added another day."""
    today, rule = (
        world.clock.now() // schedule.DAY,
        ids.parse(world.rule(trigger_type="custom.a", actions=TAG)),
    )
    counted = [(day, lane) for day in range(today - 40, today + 1) for lane in (0, 7, 63)]

    def count(day: int, lane: int) -> None:
        place = {"workspace_id": 1, "day": day, "partition": lane}
        runs = {"automation_id": rule, "total": lane + 9, "matched": 5, "executed": 3, "pending": 1}
        came = {"tenant_id": "", "total": lane + 1, "processed": lane, "failed": 1}
        with world.app.store.writing() as connection:
            connection.execute(sa.insert(schema.rule_statistics).values({**place, **runs}))
            connection.execute(sa.insert(schema.event_statistics).values({**place, **came}))

    def told() -> tuple[object, object, int]:
        window = core_statistics.Window(today - 50, today)
        with world.app.store.reading() as connection:
            rows = sa.select(sa.func.count()).select_from(schema.rule_statistics)
            return (
                statistics.by_day(connection, 1, None, window),
                statistics.event_counts(connection, 1, None, window),
                connection.execute(rows).scalar_one(),
            )

    for day, lane in counted:
        count(day, lane)
    before = told()
    broom = world.app.housekeeping()
    assert asyncio.run(broom.fold()) == 2 * 39 * 2
    assert told() == (*before[:2], 39 + 2 * 3)
    assert asyncio.run(broom.fold()) == 0
    count(today - 40, 8)
    late = told()
    world.clock.move(schedule.DAY)
    assert asyncio.run(broom.fold()) == 2 * 3
    assert told() == (*late[:2], 40 + 3)


def test_on_sqlite_the_log_is_copied_into_the_file(tmp_path: Path) -> None:
    """What was committed stands in the file itself after a round, and the next commits begin the log anew."""
    file = tmp_path / "world.db"
    with testing.World(f"sqlite:///{file}") as world:
        world.events([{"event_type": "custom.a", "payload": {"text": "x" * 1000}} for _ in range(500)])
        before = file.stat().st_size
        world.app.session().tidy()
        assert file.stat().st_size > before + 500_000
        assert world.app.session().connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 0


@pytest.mark.parametrize("is_long", [True, False])
def test_only_a_long_log_holds_up_who_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_long: bool
) -> None:
    """A log is copied beside whoever writes; only when it has become long must they wait until it is begun anew."""
    held_up: list[object] = []
    monkeypatch.setattr(hot_connection, "LONG_LOG", 10 if is_long else 10_000)
    monkeypatch.setattr(hot_connection, "begin_log_anew", held_up.append)
    with testing.World(f"sqlite:///{tmp_path / 'world.db'}") as world:
        world.events([{"event_type": "custom.a"} for _ in range(200)])
        world.app.session().tidy()
    assert len(held_up) == int(is_long)


def test_what_comes_fast_is_copied_sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """On SQLite a round is taken as well whenever so much came that the disk would be busy with more for long."""
    monkeypatch.setattr(housekeeping, "COPY_SECONDS", 0)
    a_little = housekeeping.COPY_AT // 4
    came, copied = 0, list[int]()

    class Session:
        def tidy(self) -> None:
            copied.append(came)
            if len(copied) == 4:
                broom.stop()

        def close(self) -> None:
            pass

    def look() -> int:
        nonlocal came
        came += a_little
        return came

    broom = housekeeping.Housekeeping(
        lambda: cast(database.Session, Session()), lambda: 0, look, watches=False
    )
    asyncio.run(broom.run())
    assert [later - sooner for sooner, later in pairwise(copied)] == [housekeeping.COPY_AT] * 3


def test_a_log_that_is_written_all_the_time_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is committed while the log is copied is copied too, and a log that somebody reads is left to go on."""
    monkeypatch.setattr(hot_connection, "LONG_LOG", 1)
    log = tmp_path / "world.db-wal"
    with testing.World(f"sqlite:///{tmp_path / 'world.db'}") as world:
        session, events = world.app.session(), [{"event_type": "custom.a"} for _ in range(200)]
        world.events(events)
        session.tidy()
        size = log.stat().st_size
        for _ in range(3):
            world.events(events)
            session.tidy()
        assert log.stat().st_size < 2 * size
        with world.app.store.reading() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM events").scalar()
            world.events(events)
            session.tidy()
        assert session.connection.execute("PRAGMA busy_timeout").fetchone()[0] == 5_000


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
