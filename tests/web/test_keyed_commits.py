"""Requests with an `Idempotency-Key` whose process dies, or hears nothing more of its database, at a commit (J16)."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator

import httpx2
import pytest
import sqlalchemy as sa

from heliograph import errors
from heliograph.store import request_keys, schema
from heliograph.web import auth, idempotency
from tests import tables
from tests.web import test_route_matrix as matrix
from tests.web.client import Client


class Killed(BaseException):
    """The process is gone."""


def keyed_routes() -> list[str]:
    """Every route that heeds a key."""
    paths = [route for route in matrix.routes() if route.startswith("POST ")]
    return [one for one in paths if not auth.is_open(one[5:]) and one[5:] not in idempotency.SIGNS]


@contextlib.contextmanager
def failing(commit: int, fault: Callable[[], BaseException]) -> Iterator[list[int]]:
    """The so-many-th commit of management takes hold, and nobody hears of it; gives how many there were."""
    commits = [0]
    done = sa.Connection.commit

    def lost(connection: sa.Connection) -> None:
        done(connection)
        commits[0] += 1
        if commits[0] == commit:
            raise fault()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sa.Connection, "commit", lost)
        yield commits


def counts(api: Client) -> list[tuple[str, int]]:
    """How many rows each table has but for that of keys."""
    named = (table for name, table in schema.metadata.tables.items() if name != "request_keys")
    each = [sa.select(sa.literal(table.name), sa.func.count()).select_from(table) for table in named]
    with api.store.reading() as connection:
        return sorted((name, count) for name, count in connection.execute(sa.union_all(*each)))


def test_what_a_killed_process_committed_is_found(api: Client) -> None:
    """Whatever a POST with a key does is done once, at whichever of its commits its process dies."""
    places, twice = matrix.owned(api, api.admin), []
    for route in keyed_routes():
        # The first one is that of the key itself.
        for commit in itertools.count(2):
            key = {"Idempotency-Key": f"{route} {commit}"}
            with failing(commit, Killed) as commits, contextlib.suppress(Killed):
                matrix.ask(api, route, places, api.admin, **key)
            if commits[0] < commit:
                break
            made = counts(api)
            api.clock.move(61_000_000)
            again = matrix.ask(api, route, places, api.admin, **key)
            is_found = again.headers.get("idempotent-replayed") == "true"
            if counts(api) != made or not (is_found or 400 <= again.status_code < 500):
                twice.append((route, commit))
    assert twice == []


def test_what_was_committed_when_the_database_was_lost_is_found(api: Client) -> None:
    """Who is told that there was no time may ask again at once, and is answered what the lost commit tells."""
    with failing(2, errors.DatabaseUnreachable):
        first = keyed(api)
    again = keyed(api)
    assert (first.status_code, again.status_code) == (503, 201)
    assert again.headers["idempotent-replayed"] == "true"
    (made,) = api.get("/api/automations").json()["data"]["results"]
    assert made == again.json()["data"]


def test_a_key_whose_own_commit_was_lost_is_free_again(api: Client) -> None:
    """Where nobody heard whether a key was taken, it is let go of as soon as the database is back."""
    rests: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def rest(_seconds: float) -> None:
        over = asyncio.Event()
        await rests.put(over)
        await over.wait()

    async def worked() -> list[int]:
        transport = httpx2.ASGITransport(api.world.app.asgi(rest=rest))
        headers = {"Idempotency-Key": "k", "Authorization": f"Bearer {api.admin}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://heliograph") as http:
            ask = functools.partial(http.post, "/api/automations", json={"name": "Summer"}, headers=headers)
            with failing(1, errors.DatabaseUnreachable):
                refused = await ask(), await ask()
            (await rests.get()).set()
            async with asyncio.timeout(30):
                while (first := await ask()).status_code == 409:
                    pass
            assert (await ask()).content == first.content
        return [one.status_code for one in (*refused, first)]

    assert api.run(worked()) == [503, 409, 201]
    assert len(tables.rows(api.store, "campaigns")) == 1


def test_what_others_have_worked_leaves_nothing(api: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that stood still until its lease was over writes nothing where others worked the request."""
    first = keyed(api)
    made, (key,) = counts(api), tables.rows(api.store, "request_keys")
    with monkeypatch.context() as patch:
        stood_still = request_keys.Taken(key["begun_at"], True, True, None, key["lease_until"])
        patch.setattr(request_keys, "take", lambda *_: stood_still)
        assert keyed(api).status_code == 409
    assert counts(api) == made
    assert keyed(api).content == first.content


def keyed(api: Client) -> httpx2.Response:
    """A campaign that is made with a key."""
    return api.post("/api/automations", {"name": "Summer"}, headers={"Idempotency-Key": "k"})
