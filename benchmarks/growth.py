"""Whether an event costs the same when millions lie behind it, and how much memory a process holds.

Law: the history is written by the bare loop, whose rows are ours, and lies in the same tables under the same indexes;
then our engine does its job on top of it, turn about on a database with little history and on one with much: what the
machine does from minute to minute would otherwise count as growth. Memory is the most that any process of a real
server ever held while a million events passed through it. Both take minutes, so quick runs leave them out.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator

import msgspec

from benchmarks import crews, house, observer, our_job, results, setting, sides, sink, tables
from benchmarks.peers import bare_loop
from heliograph import clock

BENCH = "growth"
MARKS = (100_000, 5_000_000)
"""How many events lie behind those that are measured."""
WINDOW, TIMES = 20_000, 9
_AT_ONCE = 50_000
_AN_EVENT = 400e-6
"""Seconds in which the history of an event is written, on a slow disk too."""
PASSING, ANSWERED_AT_ONCE, MOST_WAITING = 1_000_000, 20_000, 60_000


class Order(msgspec.Struct, frozen=True):
    """What the side is to do: a database for each of MARKS."""

    sides: tuple[sides.Order, ...]


class Grown(msgspec.Struct, frozen=True):
    """What an event cost (s), at each mark."""

    seconds: list[float]
    jobs: int


def run(asked: setting.Setting) -> Iterator[results.Row]:
    """Measure on every database; nothing in a quick run."""
    if asked.quick:
        return
    steps = asked.progress.add_task(BENCH, total=len(asked.databases))
    for kind in asked.databases:
        asked.progress.update(steps, description=f"{BENCH} on {kind}")
        try:
            yield from _costs(asked, kind)
            yield from _memory(asked, kind)
        except sides.Failed as fault:
            asked.refuse(f"{BENCH} on {kind}: {fault}")
        asked.progress.advance(steps)


def _costs(asked: setting.Setting, kind: sides.Database) -> Iterator[results.Row]:
    with contextlib.ExitStack() as opened:
        urls = [opened.enter_context(setting.empty(asked, kind)) for _ in MARKS]
        address = opened.enter_context(sink.running())
        order = Order(
            tuple(
                sides.Order(kind, url, address, asked.redis, WINDOW, WINDOW // 4, TIMES, seed=seed)
                for seed, url in enumerate(urls)
            )
        )
        grown = sides.ask("benchmarks.growth", order, Grown, time_out=sides.TIME_OUT + sum(MARKS) * _AN_EVENT)
        seen = sink.Line(address).seen()
    if seen.keys != grown.jobs:
        raise sides.Failed(f"{grown.jobs} jobs, but the sink saw {seen.keys} messages")
    for mark, seconds in zip(MARKS, grown.seconds, strict=True):
        yield results.alone(f"{BENCH} cost after {mark:,}", kind, seconds * 1e6, "µs/event")
    yield results.alone(f"{BENCH} cost, last / first", kind, grown.seconds[-1] / grown.seconds[0], "times")


def _memory(asked: setting.Setting, kind: sides.Database) -> Iterator[results.Row]:
    with observer.watching() as watcher, house.opened(asked, kind, watcher.mail_port) as server:
        source = house.Source(watcher, server)
        for _ in range(0, PASSING, ANSWERED_AT_ONCE):
            source.post(ANSWERED_AT_ONCE, 1_000, 8)
            while server.waiting() > MOST_WAITING:
                time.sleep(0.2)
        server.idle()
        yield results.alone(f"{BENCH} memory of a process", kind, server.largest(), "MB")


# ── in a process of its own ─────────────────────────────────────────────────────────────────────────


def work(order: Order) -> Grown:
    """Let history grow, and do the job on top of each, turn about."""
    now = clock.WallClock().now()
    with contextlib.ExitStack() as opened:
        benches = []
        for mark, side in zip(MARKS, order.sides, strict=True):
            base = tables.opened(side)
            tables.create(base, now)
            our_job.make_rules(base, now)
            _fill(side, mark)
            benches.append(opened.enter_context(our_job.at_work(side)))
        for mark, side, bench in zip(MARKS, order.sides, benches, strict=True):
            bench.work(mark, side.warm_up)
        spans: list[list[float]] = [[] for _ in MARKS]
        for n in range(TIMES):
            for mark, side, bench, of_mark in zip(MARKS, order.sides, benches, spans, strict=True):
                of_mark.append(bench.work(mark + side.warm_up + side.jobs * n, side.jobs))
    more = sum(side.warm_up + side.jobs * TIMES for side in order.sides)
    return Grown([statistics.median(of_mark) / WINDOW for of_mark in spans], sum(MARKS) + more)


def _fill(side: sides.Order, count: int) -> None:
    crew = crews.Crew(bare_loop.PROCESSES[side.database], bare_loop.start, side)
    for first in range(0, count, _AT_ONCE):
        crew.work(first, min(_AT_ONCE, count - first))
    crew.dismiss()


if __name__ == "__main__":
    sides.answer(Order, work)
