"""Events come in: each once, whole or not at all, many requests to a commit, one bad request alone with its fault."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest

from heliograph import errors, testing
from heliograph.engine import ingest
from tests import tables
from tests.engine import acts
from tests.engine.test_workers import Engine, furnish

DAY = 86_400 * 1_000_000


def keyed(key: str, **fields: Any) -> dict[str, Any]:
    return {"event_type": "custom.a", "contact_id": "ana", "idempotency_key": key, **fields}


def read(world: testing.World, given: object) -> ingest.Batch:
    return world.app.ingest.read(msgspec.json.encode(given), "application/json", world.workspace_id, None)


def together(world: testing.World, *requests: object) -> list[Any]:
    """Send requests at the same moment; what each is answered."""

    async def send() -> list[Any]:
        batches = [read(world, given) for given in requests]
        return await asyncio.gather(*map(world.app.ingest.accept, batches), return_exceptions=True)

    return world._loop.run_until_complete(send())


def stored(world: testing.World) -> set[bytes]:
    """The events that are kept, each of which must be in line."""
    found = {row["id"] for row in tables.rows(world.app.store, "events")}
    assert {row["event_id"] for row in tables.rows(world.app.store, "due")} == found
    return found


def test_the_same_event_twice_is_one_event(world: testing.World) -> None:
    """A request that is repeated gets the first ids again; spacing and the order of keys make no difference."""
    first = world.events([keyed("k1", payload={"a": 1, "b": [2.0]}), keyed("k2")])
    world.clock.move(DAY - 1)
    again = world.events([keyed("k1", payload={"b": [2], "a": 1.0}), keyed("k2"), keyed("k3")])
    assert again[:2] == first
    assert len(stored(world)) == 3


def test_a_key_lives_for_a_day(world: testing.World) -> None:
    """After 24 hours the same key is a new event."""
    (first,) = world.events([keyed("k1")])
    world.clock.move(DAY)
    (second,) = world.events([keyed("k1", payload={"other": True})])
    assert first != second
    assert world.events([keyed("k1", payload={"other": True})]) == [second]


def test_a_key_for_another_payload_is_refused_whole(world: testing.World) -> None:
    """409 names the place, and nothing of that request is kept."""
    world.events([keyed("k1", payload={"n": 1})])
    with pytest.raises(errors.Conflict) as told:
        world.events([keyed("k2"), keyed("k1", payload={"n": 2})])
    assert told.value.faults[0].path == "[1].idempotency_key"
    assert len(stored(world)) == 1
    world.events([keyed("k2")])


def test_a_key_twice_in_one_request(world: testing.World) -> None:
    """The same event twice in one array is one event; another payload under its key refuses the array."""
    one, two = world.events([keyed("k1"), keyed("k1")])
    assert one == two
    with pytest.raises(errors.Conflict):
        world.events([keyed("k9"), keyed("k9", payload={"n": 2})])
    assert len(stored(world)) == 1


def test_two_requests_at_once_with_one_key_are_one_event(world: testing.World) -> None:
    """Requests that share a commit know of each other's keys."""
    answers = together(world, [keyed("k1")], [keyed("k1")], [keyed("k1", payload={"n": 2})])
    assert answers[0] == answers[1]
    assert isinstance(answers[2], errors.Conflict)
    assert stored(world) == set(answers[0])


def test_many_requests_share_a_commit(world: testing.World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty requests that wait at the same moment are made durable by a handful of commits."""
    session = world.app.ingest._session
    commits: list[object] = []
    commit = session.hot.commit

    def counted(connection: object) -> None:
        commits.append(connection)
        commit(connection)

    monkeypatch.setattr(session.hot, "commit", counted)
    answers = together(world, *[[keyed(f"k{number}")] for number in range(60)])
    assert len(stored(world)) == len({identity for (identity,) in answers}) == 60
    assert len(commits) <= 3


def test_one_refused_request_leaves_the_others_whole(world: testing.World) -> None:
    """Of requests that share a commit one has a row that the database refuses: it alone hears of it."""
    acts.refuse(world, "events", "contact_id", "mallory")
    requests: Sequence[Sequence[Mapping[str, Any]]] = [
        [keyed("k1"), keyed("k2")],
        [keyed("k3"), keyed("k4", contact_id="mallory")],
        [keyed("k5")],
    ]
    answers = together(world, *requests)
    assert isinstance(answers[1], Exception)
    assert (len(answers[0]), len(answers[2])) == (2, 1)
    assert stored(world) == {*answers[0], *answers[2]}
    assert {row["key"] for row in tables.rows(world.app.store, "idempotency_keys")} == {"k1", "k2", "k5"}


def test_a_caller_that_goes_away_disturbs_nobody(world: testing.World) -> None:
    """A request whose caller hung up while it waited leaves the others of its commit as they are."""

    async def send() -> tuple[list[bytes], bool]:
        going = asyncio.create_task(world.app.ingest.accept(read(world, [keyed("k1")])))
        staying = asyncio.create_task(world.app.ingest.accept(read(world, [keyed("k2")])))
        await asyncio.sleep(0)
        going.cancel()
        return await staying, going.cancelled() or going.cancelling() > 0

    ids, is_gone = world._loop.run_until_complete(send())
    assert is_gone
    assert set(ids) <= stored(world)


def test_an_event_makes_no_contact(world: testing.World) -> None:
    """What comes in about a person who is not known leaves the people as they are."""
    world.events([keyed("k1", contact_id="stranger", conversation_id="k9")])
    world.run_until_idle()
    assert tables.rows(world.app.store, "contacts") == tables.rows(world.app.store, "conversations") == []


def test_two_processes_with_one_key_make_one_event(ready_postgres_url: str) -> None:
    """The same requests are sent to two processes at once: every event is kept once, and nobody is refused."""
    workspace_id = furnish(ready_postgres_url, 0)
    both = Engine(ready_postgres_url), Engine(ready_postgres_url)
    body = [
        msgspec.json.encode([keyed(f"k{request}-{number}") for number in range(5)]) for request in range(40)
    ]

    async def send() -> list[list[bytes]]:
        batches = [
            engine.app.ingest.read(one, "application/json", workspace_id, None)
            for one in body
            for engine in both
        ]
        sent = [both[index % 2].app.ingest.accept(batch) for index, batch in enumerate(batches)]
        return await asyncio.gather(*sent)

    answers = asyncio.run(send())
    assert answers[::2] == answers[1::2]
    assert len({identity for ids in answers for identity in ids}) == 200
    assert len(tables.rows(both[0].app.store, "events")) == len(tables.rows(both[0].app.store, "due")) == 200
    for engine in both:
        engine.app.close()
