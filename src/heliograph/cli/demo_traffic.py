"""The demo's traffic: the shop's month in bulk as fast as it goes, then single events at an even pace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx2
import msgspec

from heliograph import clock, errors
from heliograph.cli import demo_stage
from heliograph.store import queues

CONNECTIONS = 4
EVENTS_A_REQUEST = 1_000
PACE = 300
"""Single events a second in the second part, for PACE_SECONDS."""
PACE_SECONDS = 10
_PACED_CONNECTIONS = 16
PATH = "/api/automation/events"
_LOOKS_A_SECOND = 10

Seen = Callable[[int], None]


class Span(NamedTuple):
    """One part of the traffic."""

    began_at: int
    """Before its first request (µs)."""
    seconds: float
    """Until its last event was accepted."""


def customers(stage: demo_stage.Stage, people: Iterable[Mapping[str, Any]], seen: Seen) -> None:
    """Put every customer's profile through the API; `seen` is told of each."""
    asyncio.run(_customers(stage, people, seen))


async def _customers(stage: demo_stage.Stage, people: Iterable[Mapping[str, Any]], seen: Seen) -> None:
    waiting = iter(people)
    async with connected(stage, _PACED_CONNECTIONS) as client, asyncio.TaskGroup() as tasks:
        for _ in range(_PACED_CONNECTIONS):
            tasks.create_task(_put_all(client, waiting, seen))


async def _put_all(client: httpx2.AsyncClient, people: Iterator[Mapping[str, Any]], seen: Seen) -> None:
    for one in people:
        profile = {name: value for name, value in one.items() if name != "user_id"}
        body, path = msgspec.json.encode({"profile": profile}), f"/profiles/{quote(one['user_id'], safe='')}"
        answer = await client.put(path, content=body, headers={"Content-Type": "application/json"})
        if answer.status_code != 200:
            raise errors.Unavailable(f"the server answered {answer.status_code}: {answer.text[:300]}")
        seen(1)


def burst(stage: demo_stage.Stage, events: Path, seen: Seen) -> Span:
    """Post a file of events, a thousand to a request; `seen` is told of each thousand that was accepted."""
    return asyncio.run(_burst(stage, events, seen))


async def _burst(stage: demo_stage.Stage, events: Path, seen: Seen) -> Span:
    began_at, began = clock.WallClock().now(), time.perf_counter()
    with events.open("rb") as file:
        bodies = _bodies(file)
        async with connected(stage, CONNECTIONS) as client, asyncio.TaskGroup() as tasks:
            for _ in range(CONNECTIONS):
                tasks.create_task(_post_all(client, bodies, seen))
    return Span(began_at, time.perf_counter() - began)


def _bodies(file: Iterator[bytes]) -> Iterator[list[bytes]]:
    while lines := list(islice(file, EVENTS_A_REQUEST)):
        yield lines


async def _post_all(client: httpx2.AsyncClient, bodies: Iterator[list[bytes]], seen: Seen) -> None:
    for lines in bodies:
        await post(client, b"".join(lines))
        seen(len(lines))


async def post(client: httpx2.AsyncClient, body: bytes) -> None:
    """Send until it is accepted: a server that is behind says when to come again."""
    while True:
        answer = await client.post(PATH, content=body)
        if answer.status_code == 202:
            return
        if answer.status_code != 429:
            raise errors.Unavailable(f"the server answered {answer.status_code}: {answer.text[:300]}")
        await asyncio.sleep(float(answer.headers.get("Retry-After", "1")))


def paced(stage: demo_stage.Stage, bodies: list[bytes], seen: Seen) -> Span:
    """Post single events, PACE of them a second, whether earlier ones were answered or not."""
    return asyncio.run(_paced(stage, bodies, seen))


async def _paced(stage: demo_stage.Stage, bodies: list[bytes], seen: Seen) -> Span:
    began_at, began = clock.WallClock().now(), time.perf_counter()
    async with connected(stage, _PACED_CONNECTIONS) as client, asyncio.TaskGroup() as tasks:
        for number, body in enumerate(bodies):
            wait = began + number / PACE - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            tasks.create_task(post(client, body))
            seen(1)
    return Span(began_at, time.perf_counter() - began)


def connected(stage: demo_stage.Stage, connections: int) -> httpx2.AsyncClient:
    """A client that keeps so many connections and sends lines of JSON."""
    return httpx2.AsyncClient(
        base_url=stage.address.url,
        headers={"Authorization": f"Bearer {stage.key}", "Content-Type": "application/x-ndjson"},
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        timeout=60,
    )


def wait_until_idle(stage: demo_stage.Stage, seen: Seen) -> None:
    """Return once nothing waits any more; `seen` is told how much does."""
    while True:
        stage.check()
        with stage.store.reading() as connection:
            standing = queues.standing(connection)
        left = standing.events + standing.answers + standing.messages + standing.claimed + standing.timers
        seen(left)
        if not left:
            return
        time.sleep(1 / _LOOKS_A_SECOND)
