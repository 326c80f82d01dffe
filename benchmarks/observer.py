"""Whoever stands outside a running server: posts events to it and receives its mail, in a process of its own.

Law: what is measured is seen from outside, by one clock: from the instant at which a request was due to leave until
its answer, and until the message that came of it has arrived. A request that could not leave in time counts from
when it should have.
"""

from __future__ import annotations

import asyncio
import math
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import uvloop

from benchmarks import client, job, mailbox, sides

PATIENCE = 120.0
"""Seconds after the last request within which every message must have arrived."""


class Load(NamedTuple):
    """What to post."""

    address: tuple[str, int]
    key: str
    seed: int
    first: int
    """The number of the first order."""
    events: int
    size: int
    """Events in a request."""
    connections: int
    rate: float | None = None
    """Requests a second; None: the next one when the last one was answered."""
    awaits_mail: bool = False
    """Whether it ends when each event's message has arrived, or when each request was answered."""


class Seen(NamedTuple):
    """What came of it."""

    seconds: float
    """From the first request to the last answer."""
    answered: list[float]
    """How long each request took (s)."""
    arrived: list[float]
    """How long each message took from its event's request on (s)."""


class Observer:
    """The process."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self.mail_port: int = self._heard()

    def post(self, load: Load) -> Seen:
        """Let it post. Raises sides.Failed where something was refused or did not arrive."""
        self._pipe.send(load)
        seen: Seen = self._heard()
        return seen

    def _heard(self) -> Any:
        try:
            said = self._pipe.recv()
        except EOFError:
            raise sides.Failed("the observer ended by itself") from None
        if isinstance(said, str):
            raise sides.Failed(said)
        return said


@contextmanager
def watching() -> Iterator[Observer]:
    """An observer in a process of its own, gone afterwards."""
    with sides.beside(_observe) as pipe:
        yield Observer(pipe)


def quantile(values: Sequence[float], share: float) -> float:
    """The value below or at which this share of all lies."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


# ── in its process ──────────────────────────────────────────────────────────────────────────────────


def _observe(pipe: Connection) -> None:
    uvloop.run(_serve(pipe))


async def _serve(pipe: Connection) -> None:
    post = _Post()
    async with await mailbox.opened(post.received) as server:
        pipe.send(mailbox.port_of(server))
        loop = asyncio.get_running_loop()
        while True:
            try:
                load = await loop.run_in_executor(None, pipe.recv)
            except EOFError:
                break
            try:
                pipe.send(await post.run(load))
            except sides.Failed as fault:
                pipe.send(str(fault))
            except Exception:  # noqa: BLE001 - whoever waits hears of it
                pipe.send(traceback.format_exc())


class _Post:
    """The requests of one load, and the messages that come of them."""

    def __init__(self) -> None:
        self._left_at: dict[int, float] = {}
        self._arrived: list[float] = []
        self._all_here = asyncio.Event()

    def received(self, number: int) -> None:
        """A message arrived."""
        left_at = self._left_at.pop(number, None)
        if left_at is not None:
            self._arrived.append(time.perf_counter() - left_at)
            if not self._left_at:
                self._all_here.set()

    async def run(self, load: Load) -> Seen:
        """Post, and wait for what is to be waited for."""
        events = job.events(load.seed, load.first, load.events)
        requests = [client.request(load.key, body) for body in job.packed(events, load.size)]
        lines = [await client.opened(load.address) for _ in range(load.connections)]
        self._left_at, self._arrived = {}, []
        self._all_here.clear()
        began = time.perf_counter()
        answered = await (self._paced(load, requests, lines) if load.rate else _pumped(requests, lines))
        seconds = time.perf_counter() - began
        if load.awaits_mail and self._left_at:
            try:
                await asyncio.wait_for(self._all_here.wait(), PATIENCE)
            except TimeoutError:
                raise sides.Failed(f"{len(self._left_at)} messages never arrived") from None
        for line in lines:
            line.close()
        return Seen(seconds, answered, self._arrived)

    async def _paced(
        self, load: Load, requests: Sequence[bytes], lines: Sequence[client.Connection]
    ) -> list[float]:
        assert load.rate is not None
        free: asyncio.Queue[client.Connection] = asyncio.Queue()
        for line in lines:
            free.put_nowait(line)
        answered: list[float] = []

        async def one(whole: bytes, due_at: float) -> None:
            line = await free.get()
            await line.accepted(whole)
            answered.append(time.perf_counter() - due_at)
            free.put_nowait(line)

        began = time.perf_counter()
        under_way = []
        for place, whole in enumerate(requests):
            due_at = began + place / load.rate
            await asyncio.sleep(max(0.0, due_at - time.perf_counter()))
            if load.awaits_mail:
                first = load.first + place * load.size
                self._left_at.update((first + n, due_at) for n in range(load.size))
            under_way.append(asyncio.create_task(one(whole, due_at)))
        await asyncio.gather(*under_way)
        return answered


async def _pumped(requests: Sequence[bytes], lines: Sequence[client.Connection]) -> list[float]:
    waiting = iter(requests)
    answered: list[float] = []

    async def pump(line: client.Connection) -> None:
        for whole in waiting:
            began = time.perf_counter()
            await line.accepted(whole)
            answered.append(time.perf_counter() - began)

    await asyncio.gather(*(pump(line) for line in lines))
    return answered
