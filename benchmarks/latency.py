"""From an event's request to its message at the mail server: idle, at 300 a second, and beside a noisy neighbour.

Law: seen from outside, by one clock; the server is the real one and speaks real SMTP. `idle` is one event at a time
with pauses. `paced` is an even stream; its cost is what all our processes use of the processor, and with PostgreSQL
also what the server's processes for our sessions use. `quiet` is a workspace with a few events beside one whose
backlog is being worked off all the while.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks import house, observer, results, setting, sides

BENCH = "latency"
PACE = 300.0


class Size(NamedTuple):
    """How much is posted."""

    idle: int
    paced: int
    backlog: int
    """Of the noisy workspace; 0: this is left out."""
    quiet: int


QUICK, FULL = Size(20, 1_500, 0, 0), Size(150, 9_000, 100_000, 200)
IDLE_PACE, QUIET_PACE = 5.0, 25.0


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
        source.messages(2_000 if size.backlog else 300, PACE)
        yield from _spread("idle", kind, source.messages(size.idle, IDLE_PACE))
        ours, theirs, began = server.cpu_seconds(), server.database_cpu_seconds(), time.monotonic()
        seen = source.messages(size.paced, PACE)
        span = time.monotonic() - began
        ours, theirs = server.cpu_seconds() - ours, server.database_cpu_seconds() - theirs
        yield from _spread("at 300/s", kind, seen)
        yield results.alone(f"{BENCH} at 300/s, processor", kind, ours / span, "cores")
        if kind == "postgresql":
            yield results.alone(f"{BENCH} at 300/s, its database", kind, theirs / span, "cores")
        if size.backlog:
            yield from _quiet(kind, watcher, server, size)


def _spread(name: str, kind: sides.Database, seen: observer.Seen) -> Iterator[results.Row]:
    for share in (0.5, 0.99):
        took = observer.quantile(seen.arrived, share) * 1e3
        yield results.alone(f"{BENCH} {name} p{share * 100:.0f}", kind, took, "ms")


def _quiet(
    kind: sides.Database, watcher: observer.Observer, server: house.House, size: Size
) -> Iterator[results.Row]:
    noisy = house.Source(watcher, server, noisy=True, first=10**7)
    quiet = house.Source(watcher, server, first=10**8)
    noisy.post(size.backlog, 1_000, 8)
    seen = quiet.messages(size.quiet, QUIET_PACE)
    if not server.waiting():
        raise sides.Failed("the backlog was gone before the last message of the quiet workspace")
    yield from _spread(f"quiet beside {size.backlog:,}", kind, seen)
