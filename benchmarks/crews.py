"""A side's own processes: each takes a share of the events, and all are timed together.

Law: what is timed begins when every process has its events in memory and ends when the last one is through.
"""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Protocol

from benchmarks import job, sides

Work = Callable[[Sequence[job.Event]], None]


class Start(Protocol):
    """A module's function that opens what a worker process needs and gives the function that does jobs there."""

    def __call__(self, order: sides.Order, place: int, /) -> Work: ...


class Crew:
    """Some processes that are ready to work; started one after the other."""

    def __init__(self, size: int, start: Start, order: sides.Order) -> None:
        context = multiprocessing.get_context("spawn")
        self._order = order
        self._pipes: list[Connection] = []
        for place in range(size):
            ours, theirs = context.Pipe()
            context.Process(target=_member, args=(start, order, place, theirs), daemon=True).start()
            theirs.close()
            self._pipes.append(ours)
            self._heard(ours, "ready")

    def work(self, first: int, count: int) -> float:
        """Do `count` jobs from number `first` on, dealt out like cards; how many seconds it took."""
        for pipe in self._pipes:
            pipe.send((first, count, len(self._pipes)))
        for pipe in self._pipes:
            self._heard(pipe, "loaded")
        began = time.perf_counter()
        for pipe in self._pipes:
            pipe.send("go")
        for pipe in self._pipes:
            self._heard(pipe, "done")
        return time.perf_counter() - began

    def dismiss(self) -> None:
        """Nothing more is to be done: they end by themselves."""
        for pipe in self._pipes:
            pipe.close()

    def _heard(self, pipe: Connection, wanted: str) -> None:
        try:
            said = pipe.recv()
        except EOFError:
            raise sides.Failed("a worker process ended before its work was done") from None
        if said != wanted:
            raise sides.Failed(said)


def _member(start: Start, order: sides.Order, place: int, pipe: Connection) -> None:
    try:
        work = start(order, place)
        pipe.send("ready")
        while True:
            first, count, size = pipe.recv()
            events = job.events(order.seed, first, count)[place::size]
            pipe.send("loaded")
            pipe.recv()
            work(events)
            pipe.send("done")
    except EOFError:
        return
    except Exception:
        pipe.send(traceback.format_exc())
        raise


def timed(size: int, start: Start, order: sides.Order) -> list[float]:
    """Warm a crew up, then let it do the job as often as the order says; the seconds of each time."""
    return repeated(order, Crew(size, start, order).work)


def repeated(order: sides.Order, work: Callable[[int, int], float]) -> list[float]:
    """Warm up, then do the job as often as the order says: `work(first, count)` gives the seconds it took."""
    work(0, order.warm_up)
    return [work(first, count) for first, count in _spans(order)[1:]]


def done(order: sides.Order) -> list[job.Event]:
    """All the events of this order, those of the warm-up too, for the check."""
    return [event for first, count in _spans(order) for event in job.events(order.seed, first, count)]


def jobs(order: sides.Order) -> int:
    """How many they are: what the sink must have seen."""
    return sum(count for _, count in _spans(order))


def _spans(order: sides.Order) -> list[tuple[int, int]]:
    repetitions = [(order.warm_up + order.jobs * n, order.jobs) for n in range(order.repetitions)]
    return [(0, order.warm_up), *repetitions]
