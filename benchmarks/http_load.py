"""Events over HTTP: how many are durable a second, in bulk and one by one, and how soon an answer comes.

Law: the server is the real one, and the load comes from a process of its own on the same machine. An answer of 202
counts, nothing else. `bulk` sends 1,000 events a request, `single` one on each of 64 connections: while matching is
paused, when ingest has the processor for itself, and with the engine at work on what comes in. `behind` are single
requests, paced, while a backlog is worked off.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from benchmarks import house, observer, results, setting, sides

BENCH = "http"
BULK = 1_000


class Size(NamedTuple):
    """How many events are posted."""

    bulk: int
    single: int
    behind: int


QUICK, FULL = Size(40_000, 3_000, 400), Size(200_000, 40_000, 3_000)
EACH_SECOND = 200.0
"""Requests a second while the engine is behind."""


def run(asked: setting.Setting) -> Iterator[results.Row]:
    """Measure on every database."""
    steps = asked.progress.add_task(BENCH, total=len(asked.databases))
    for kind in asked.databases:
        asked.progress.update(steps, description=f"{BENCH} on {kind}")
        try:
            yield from measure(asked, kind)
        except sides.Failed as fault:
            asked.refuse(f"{BENCH} on {kind}: {fault}")
        asked.progress.advance(steps)


def measure(asked: setting.Setting, kind: sides.Database) -> Iterator[results.Row]:
    """All of it on one database."""
    size = QUICK if asked.quick else FULL
    with observer.watching() as watcher, house.opened(asked, kind, watcher.mail_port) as server:
        source = house.Source(watcher, server)
        source.post(size.bulk // 10, BULK, 4)
        # What is still to be decided or handed over would take the processor from what is measured first.
        server.idle()
        server.pause(True)
        yield from _rates(source, kind, size, ", paused")
        server.pause(False)
        behind = source.post(size.behind, 1, 64, EACH_SECOND)
        if not server.waiting():
            raise sides.Failed("the backlog was gone before the last request")
        yield results.alone(f"{BENCH} behind p99", kind, observer.quantile(behind.answered, 0.99) * 1e3, "ms")
        server.idle()
        yield from _rates(source, kind, size, "")
        server.idle()


def _rates(source: house.Source, kind: sides.Database, size: Size, when: str) -> Iterator[results.Row]:
    single = size.single / source.post(size.single, 1, 64).seconds
    bulk = size.bulk / source.post(size.bulk, BULK, 8).seconds
    yield results.alone(f"{BENCH} single{when}", kind, single, "requests/s")
    yield results.alone(f"{BENCH} bulk{when}", kind, bulk, "events/s")
