"""Our engine: the job as `heliograph serve` and `heliograph worker` do it, from a request's body to the settled run.

Nothing is left out but HTTP itself: bodies of 500 events are read and checked, accepted durably, matched against
rules that were made through the store as the API makes them, rendered from Liquid templates into MIME, claimed with
a lease, handed over, settled, and their runs moved on by the answer. A job is done when its run is executed.

How it is set up. SQLite: one loop for all but the delivery, which has a process of its own, as `serve` runs there.
PostgreSQL: two workers, each a process with turns in a thread and deliveries on a loop, beside the process that takes
events in, as in production.
All settings are the defaults.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import multiprocessing
import time
import traceback
from collections.abc import Callable, Coroutine, Iterable, Iterator, MutableSequence
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import uvloop

from benchmarks import crews, job, our_channel, sides, tables
from heliograph import app, clock, settings
from heliograph.core import rules
from heliograph.store import automations, database

REQUEST = 500
"""Events in a body."""
CLIENTS = 4
"""Requests that are under way at once."""
WORKERS = 2
_LOOK = 0.005
"""Seconds between two looks at how far the engine is."""
STALLED = 60.0
"""Seconds without any progress after which the engine is said to stand still."""

Progress = Callable[[], int]
"""How many inputs were decided so far: two a job, the event and the answer to its message."""
_T = TypeVar("_T")


class Bench:
    """An engine at work, fed from here."""

    def __init__(self, application: app.App, runner: asyncio.Runner, decided: Progress, seed: int) -> None:
        self._ingest, self._runner, self._decided, self._seed = application.ingest, runner, decided, seed
        self._called = application.callers.note
        self._expected = 0

    def work(self, first: int, count: int) -> float:
        """Do `count` jobs from number `first` on; how many seconds it took."""
        bodies = job.packed(job.events(self._seed, first, count), REQUEST)
        self._expected += 2 * count
        began = time.perf_counter()
        self._runner.run(self._feed(bodies))
        return time.perf_counter() - began

    def hand_in(self, bodies: Iterable[bytes], is_done: Callable[[], bool]) -> None:
        """Hand these bodies in, and let the engine work until something holds; asked a few times a second."""
        self._runner.run(self._handed_in(iter(bodies), is_done))

    def rest(self, seconds: float) -> None:
        """Let the engine be, for so long."""
        self._runner.run(asyncio.sleep(seconds))

    async def _handed_in(self, bodies: Iterator[bytes], is_done: Callable[[], bool]) -> None:
        await asyncio.gather(*(self._client(bodies) for _ in range(CLIENTS)))
        began = time.perf_counter()
        while not is_done():
            if time.perf_counter() - began > STALLED * 3:
                raise sides.Failed("the engine did not come to an end")
            await asyncio.sleep(0.2)

    async def _feed(self, bodies: list[bytes]) -> None:
        waiting = iter(bodies)
        await asyncio.gather(*(self._client(waiting) for _ in range(CLIENTS)))
        progress, seen_at = -1, 0.0
        while (decided := self._decided()) < self._expected:
            if decided != progress:
                progress, seen_at = decided, time.perf_counter()
            elif time.perf_counter() - seen_at > STALLED:
                raise sides.Failed(f"{decided} inputs were decided of {self._expected}, then no more")
            await asyncio.sleep(_LOOK)

    async def _client(self, waiting: Iterator[bytes]) -> None:
        for body in waiting:
            self._called()  # as the web's door tells of a request
            batch = self._ingest.read(body, "application/json", tables.WORKSPACE, None)
            await self._ingest.accept(batch)


def opened(order: sides.Order) -> app.App:
    """The application on the order's database, with the sink as its way out."""
    chosen = settings.load({}, database_url=tables.opened(order).url)
    return app.App(chosen, ways=functools.partial(our_channel.ways, order.sink))


# ── SQLite: one process ─────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def on_one_loop(order: sides.Order) -> Iterator[Bench]:
    """The engine and its feeder on one loop."""
    application = opened(order)

    def decided() -> int:
        return 0 if application.pace is None else application.pace.taken

    with _runner() as runner, _entered(runner, application.engine_on_loop()):
        runner.run(_manned(application))
        yield Bench(application, runner, decided, order.seed)
    application.close()


async def _manned(application: app.App) -> None:
    """Ends when the process that delivers is there: every side's processes are, before the clock is started."""
    began = time.perf_counter()
    while application.handover.rooms().of(tables.WORKSPACE, our_channel.SinkChannel.name) is None:
        if time.perf_counter() - began > STALLED:
            raise sides.Failed("nothing delivers")
        await asyncio.sleep(_LOOK)


# ── PostgreSQL: workers beside us ───────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def beside_workers(order: sides.Order, size: int = WORKERS) -> Iterator[Bench]:
    """The feeder here, the engine in processes of its own."""
    context = multiprocessing.get_context("spawn")
    decided = context.RawArray("q", size)
    pipes = []
    for place in range(size):
        ours, theirs = context.Pipe()
        context.Process(target=_worker, args=(order, decided, place, theirs), daemon=True).start()
        theirs.close()
        _heard(ours)
        pipes.append(ours)
    application = opened(order)
    with _runner() as runner:
        yield Bench(application, runner, lambda: sum(decided), order.seed)
    application.close()
    for pipe in pipes:
        pipe.send("stop")
    for pipe in pipes:
        _heard(pipe)


def _heard(pipe: Connection) -> None:
    try:
        said = pipe.recv()
    except EOFError:
        raise sides.Failed("a worker process ended by itself") from None
    if said != "well":
        raise sides.Failed(said)


def _worker(order: sides.Order, decided: MutableSequence[int], place: int, pipe: Connection) -> None:
    try:
        application = opened(order)
        with _runner() as runner:
            runner.run(_at_work(application, decided, place, pipe))
        application.close()
        pipe.send("well")
    except Exception:
        pipe.send(traceback.format_exc())
        raise


async def _at_work(application: app.App, decided: MutableSequence[int], place: int, pipe: Connection) -> None:
    async with application.engine_in_threads():
        assert application.pace is not None
        pipe.send("well")
        over = asyncio.Event()
        asyncio.get_running_loop().add_reader(pipe.fileno(), over.set)
        while not over.is_set():
            decided[place] = application.pace.taken
            await asyncio.sleep(_LOOK)


# ── the side ────────────────────────────────────────────────────────────────────────────────────────


def _runner() -> asyncio.Runner:
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


@contextlib.contextmanager
def _entered(runner: asyncio.Runner, engine: contextlib.AbstractAsyncContextManager[None]) -> Iterator[None]:
    runner.run(_awaited(engine.__aenter__()))
    yield
    runner.run(_awaited(engine.__aexit__(None, None, None)))


async def _awaited(work: Coroutine[Any, Any, _T]) -> _T:
    return await work


def at_work(order: sides.Order) -> contextlib.AbstractContextManager[Bench]:
    """Our engine, as it works on this database."""
    return on_one_loop(order) if order.database == "sqlite" else beside_workers(order)


def make_rules(base: database.Database, now: int, workspace: int = tables.WORKSPACE) -> list[bytes]:
    """The twenty rules, made as the API makes them; gives their ids in order."""
    defined = [rules.define(job.wire(rule)) for rule in job.RULES]
    with base.writing() as connection:
        return [automations.create_rule(connection, workspace, None, one, now, None).id for one in defined]


def work(order: sides.Order) -> sides.Outcome:
    """The side's whole work."""
    base, now = tables.opened(order), clock.WallClock().now()
    tables.create(base, now)
    identities = make_rules(base, now)
    on_sqlite = order.database == "sqlite"
    with at_work(order) as bench:
        seconds = crews.repeated(order, bench.work)
    tables.check(base, crews.done(order), identities)
    return sides.Outcome(
        seconds=seconds,
        jobs=crews.jobs(order),
        versions={},
        settings=[
            "one process and the one that delivers for it"
            if on_sqlite
            else f"{WORKERS} workers beside the process that takes events in",
            f"bodies of {REQUEST} events, {CLIENTS} under way",
            "default settings",
        ],
    )


if __name__ == "__main__":
    sides.main(work)
