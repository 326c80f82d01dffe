"""Whole engines at work: started, stopped, cut off from their database, several on one."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import msgspec
import psycopg
import pytest
import sqlalchemy as sa
import structlog

from heliograph import app, channels, errors, settings, testing
from heliograph.core import control, rules
from heliograph.engine import deliver
from heliograph.store import automations, database, delivery_proof, people, workspaces
from tests import tables

PATIENCE = 60
"""Seconds after which a test that waits for an engine gives up."""


class Engine:
    """One process's worth of engine, with a mailbox for its channel."""

    def __init__(self, url: str, way: channels.Channel | None = None, lease_seconds: float = 2):
        self.mailbox = testing.Mailbox()
        chosen = settings.load({}, database_url=url, lease_seconds=lease_seconds)
        self.app = app.App(chosen, None, {"email": way or self.mailbox, "webhook": testing.Calls()})
        self.workspace_id = 0

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """While it is entered, the engine works."""
        is_lone = self.app.store.is_sqlite
        async with self.app.engine_on_loop() if is_lone else self.app.engine_in_threads():
            yield
        self.app.close()

    async def accept(self, first: int, count: int) -> None:
        """So many events come in, one for each contact; refused ones are sent again."""
        given = [
            {"event_type": "custom.a", "contact_id": f"c{number}", "idempotency_key": f"k{number}"}
            for number in range(first, first + count)
        ]
        batch = self.app.ingest.read(msgspec.json.encode(given), "application/json", self.workspace_id, None)
        for _ in range(10):
            with contextlib.suppress(errors.DatabaseUnreachable, errors.Unavailable):
                await self.app.ingest.accept(batch)
                return
        raise AssertionError("it was refused again and again")


def furnish(url: str, people_count: int) -> int:
    """A workspace with contacts, and a rule that writes to them."""
    store = database.Database(url)
    store.migrate()
    with store.writing() as connection:
        workspace_id = workspaces.ensure(connection, "default", testing.START)
        definition = rules.define(
            {
                "name": "Hello",
                "trigger_type": "custom.a",
                "actions": [
                    {"type": "send_message", "text": "Hello", "on_error": "stop"},
                    {"type": "add_tags", "tags": ["greeted"]},
                ],
            }
        )
        automations.create_rule(connection, workspace_id, None, definition, testing.START, None)
    for number in range(people_count):
        profile = {"email": f"c{number}@example.com"}
        people.save_profile(
            store, workspace_id, None, f"c{number}", profile, testing.START, strategy="replace"
        )
    store.close()
    return workspace_id


async def until(reached: Callable[[], object]) -> None:
    """Wait for something that the engine does in its own time."""
    async with asyncio.timeout(PATIENCE):
        while not reached():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.Event().wait(), 0.01)


def greeted(store: database.Database) -> int:
    return sum("greeted" in row["tags"] for row in tables.rows(store, "contacts"))


@pytest.mark.parametrize("people_count", [40])
def test_an_engine_works_until_it_is_stopped(database_url: str, people_count: int) -> None:
    """From event to answered run without anybody's help; a stop leaves nothing in flight."""
    engine = Engine(database_url) if database_url.startswith("sqlite") else None
    workspace_id = furnish(database_url, people_count)
    engine = engine or Engine(database_url)
    engine.workspace_id = workspace_id
    watching = database.Database(database_url)

    async def play() -> None:
        async with engine.working():
            for first in range(0, people_count, 10):
                await engine.accept(first, 10)
            await until(lambda: greeted(watching) == people_count)

    asyncio.run(play())
    assert len(engine.mailbox.received) == people_count
    assert tables.waiting(watching) == set()
    watching.close()


def test_a_stop_in_the_middle_leaves_the_rest_for_the_next(database_url: str) -> None:
    """What an engine had not begun when it was stopped, the next one does; nobody hears twice."""
    workspace_id = furnish(database_url, 60)
    watching = database.Database(database_url)
    sent: list[str] = []

    async def play(first: int, enough: int) -> None:
        engine = Engine(database_url)
        engine.workspace_id = workspace_id
        async with engine.working():
            await engine.accept(first, 30)
            await until(lambda: greeted(watching) >= enough)
        sent.extend(mail.recipient for mail in engine.mailbox.received)

    asyncio.run(play(0, 1))
    asyncio.run(play(30, 60))
    assert sorted(sent) == sorted(f"c{number}@example.com" for number in range(60))
    assert tables.rows(watching, "claims") == []
    watching.close()


def cut_all(url: str) -> int:
    """End every connection to the database but one's own; how many there were."""
    with psycopg.connect(url, autocommit=True) as operator:
        return len(
            operator.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            ).fetchall()
        )


def test_an_engine_outlives_its_connections(ready_postgres_url: str) -> None:
    """The server ends every connection, again and again: the engine opens new ones and all is done, once."""
    workspace_id = furnish(ready_postgres_url, 60)
    engine = Engine(ready_postgres_url)
    engine.workspace_id = workspace_id
    watching = database.Database(ready_postgres_url)

    async def play() -> None:
        async with engine.working():
            for first in (0, 20, 40):
                await engine.accept(first, 20)
                await asyncio.to_thread(cut_all, ready_postgres_url)
            await until(lambda: greeted(watching) == 60)

    asyncio.run(play())
    uncertain = sum(row["attempts"].count("uncertain") for row in tables.rows(watching, "messages"))
    assert 60 <= len(engine.mailbox.received) <= 60 + uncertain
    assert {mail.recipient for mail in engine.mailbox.received} == {f"c{n}@example.com" for n in range(60)}
    watching.close()


def test_two_engines_share_the_work(ready_postgres_url: str) -> None:
    """Two engines on one database: every event is decided once, every message sent once, both have worked."""
    workspace_id = furnish(ready_postgres_url, 300)
    both = Engine(ready_postgres_url), Engine(ready_postgres_url)
    watching = database.Database(ready_postgres_url)

    async def play() -> None:
        async with both[0].working(), both[1].working():
            for index, first in enumerate(range(0, 300, 30)):
                engine = both[index % 2]
                engine.workspace_id = workspace_id
                await engine.accept(first, 30)
            await until(lambda: greeted(watching) == 300)

    asyncio.run(play())
    sent = [mail.recipient for engine in both for mail in engine.mailbox.received]
    assert sorted(sent) == sorted(f"c{number}@example.com" for number in range(300))
    assert len(tables.rows(watching, "runs")) == 300
    watching.close()


def hold(store: database.Database, workspace_id: int, *, holds: bool) -> None:
    """Hold the deliveries of a workspace, or let go what was held."""
    now = testing.START + int(not holds)
    with store.writing() as connection:
        workspaces.raise_version(connection, workspace_id)
        stored = workspaces.read_control(connection, workspace_id)
        workspaces.write_control(
            connection, workspace_id, control.change(stored, {"hold_deliveries": holds}, now, None)
        )
        if not holds:
            workspaces.free_line(store, connection, workspace_id, now)


def test_the_end_of_a_hold_wakes_the_delivery_of_every_worker(
    ready_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stood in line is claimed by all workers as soon as it may go, not only by the one that hears of it first."""
    workspace_id = furnish(ready_postgres_url, 60)
    engines = [Engine(ready_postgres_url) for _ in range(3)]
    watching = database.Database(ready_postgres_url)
    woken: set[int] = set()

    async def play() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for engine in engines:
                engine.workspace_id = workspace_id
                await stack.enter_async_context(engine.working())
            hold(watching, workspace_id, holds=True)
            await engines[0].accept(0, 60)
            await until(lambda: len(tables.rows(watching, "send_due")) == 60)
            for number, engine in enumerate(engines):
                delivery = engine.app._delivery
                assert delivery is not None

                def wake(number: int = number, wake: Callable[[], None] = delivery.wake) -> None:
                    woken.add(number)
                    wake()

                monkeypatch.setattr(delivery, "wake", wake)
            hold(watching, workspace_id, holds=False)
            watching.notify()
            await until(lambda: greeted(watching) == 60)
            await until(lambda: len(woken) == len(engines))

    asyncio.run(play())
    assert sum(len(engine.mailbox.received) for engine in engines) == 60
    watching.close()


def let_in(url: str, *, is_let_in: bool) -> None:
    """Let a database take connections, or none: then all there are are ended."""
    name = url.rpartition("/")[2]
    with psycopg.connect(url.replace(name, "postgres"), autocommit=True) as operator:
        operator.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {is_let_in}'.encode())
        if not is_let_in:
            operator.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s", (name,)
            )


class Slow:
    """A channel that hands over one message after the other, and tells when it begins."""

    name = provider = "email"
    concurrency = 1

    def __init__(self, begun: Callable[[], None], goes_on: Callable[[], bool]):
        self.begun, self.goes_on = begun, goes_on
        self.sent: list[str] = []

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """Take a message; after the first one as soon as it may go on."""
        await asyncio.to_thread(self.begun)
        await until(lambda: not self.sent or self.goes_on())
        self.sent.append(outgoing.address)
        return testing.accepted(outgoing)

    async def close(self) -> None:
        """Nothing is open."""


def test_an_engine_that_is_stopped_while_its_database_is_away_ends_soon(
    ready_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits some seconds for its answers to be stored, begins nothing more, and says what others go on with."""
    monkeypatch.setattr(deliver, "_AWAY", 0.5)
    workspace_id = furnish(ready_postgres_url, 20)
    cut, loops = asyncio.Event(), list[asyncio.AbstractEventLoop]()

    def begun() -> None:
        if not cut.is_set():
            let_in(ready_postgres_url, is_let_in=False)
            loops[0].call_soon_threadsafe(cut.set)

    def rests() -> bool:
        # Not before: until it is told to end it goes on as long as it may.
        return all(lane._is_resting for lane in engine.app._delivery._ways.lanes)  # type: ignore[union-attr]

    way = Slow(begun, rests)
    engine = Engine(ready_postgres_url, way, lease_seconds=300)
    engine.workspace_id = workspace_id

    async def stopped_in_between() -> None:
        async with engine.working():
            await engine.accept(0, 20)
            await cut.wait()

    async def play() -> None:
        loops.append(asyncio.get_running_loop())
        async with asyncio.timeout(PATIENCE):
            await stopped_in_between()

    try:
        with structlog.testing.capture_logs() as said:
            asyncio.run(play())
    finally:
        let_in(ready_postgres_url, is_let_in=True)
    assert 1 <= len(way.sent) <= 2
    (left,) = (one for one in said if one["event"] == "left_to_their_leases")
    assert (left["messages"], left["answered"]) == (20, len(way.sent))
    watching = database.Database(ready_postgres_url)
    with watching.writing() as connection:
        assert connection.execute(sa.text("UPDATE claims SET lease_until = 0")).rowcount == 20
    other = Engine(ready_postgres_url)

    def lost() -> int:
        return sum((row["attempts"] or "").count("uncertain") for row in tables.rows(watching, "messages"))

    async def go_on() -> None:
        async with other.working():
            await until(lambda: lost() == 20)

    asyncio.run(go_on())
    assert delivery_proof.prove(watching, workspace_id, lambda _: None).faults == []
    assert len({row["id"] for row in tables.rows(watching, "timers")}) == 20
    watching.close()
