"""A journey beside DBOS: send, wait a second, look at what became of it, send again, for very many contacts at once.

Law: each side writes down the message and hands it to the sink before the wait begins, and again after it; what is
counted is journeys that came to their end, and each side is asked how late the step after the wait began. The sink
must have seen two messages a journey, and each once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import msgspec

from benchmarks import engine, results, setting, sides, sink

BENCH = "journeys"
OURS = engine.Side("heliograph", "benchmarks.our_journeys", sys.executable, 20_000, 20_000)
PEER = engine.Side("dbos", "benchmarks.peers.dbos_journeys", sides.PEERS_PYTHON, 300, 2_000)


class Lived(msgspec.Struct, frozen=True):
    """What a side did."""

    #: From the first journey that began to the last one's end.
    seconds: float
    #: How late (s) the step after the wait began.
    p50: float
    p99: float
    settings: list[str]


def run(asked: setting.Setting) -> Iterator[results.Row]:
    """Measure both on every database."""
    steps = asked.progress.add_task(BENCH, total=2 * len(asked.databases))
    for kind in asked.databases:
        found: dict[str, tuple[float, Lived]] = {}
        for side in (OURS, PEER):
            asked.progress.update(steps, description=f"{BENCH}: {side.name} on {kind}")
            try:
                found[side.name] = _measured(asked, side, kind)
            except sides.Failed as fault:
                asked.refuse(f"{BENCH}: {side.name} on {kind}: {fault}")
            asked.progress.advance(steps)
        yield from _rows(kind, found)


def _rows(kind: sides.Database, found: dict[str, tuple[float, Lived]]) -> Iterator[results.Row]:
    if OURS.name not in found:
        return
    rate, ours = found[OURS.name]
    if PEER.name not in found:
        yield results.alone(BENCH, kind, rate, "runs/s")
        yield results.alone(f"{BENCH} late, p50", kind, ours.p50 * 1000, "ms")
        yield results.alone(f"{BENCH} late, p99", kind, ours.p99 * 1000, "ms")
        return
    their_rate, theirs = found[PEER.name]
    yield results.row(BENCH, kind, rate, "runs/s", PEER.name, their_rate)
    yield results.row(f"{BENCH} late, p50", kind, ours.p50 * 1000, "ms", PEER.name, theirs.p50 * 1000)
    yield results.row(f"{BENCH} late, p99", kind, ours.p99 * 1000, "ms", PEER.name, theirs.p99 * 1000)


def _measured(asked: setting.Setting, side: engine.Side, kind: sides.Database) -> tuple[float, Lived]:
    """One side's journeys a second, and what it told. Raises sides.Failed."""
    count = side.quick_jobs if asked.quick else side.jobs
    with setting.empty(asked, kind) as url, sink.running() as address:
        order = sides.Order(kind, url, address, asked.redis, count, 0, 1)
        lived = sides.ask(side.module, order, Lived, side.python)
        seen = sink.Line(address).seen()
    if not seen.lines == seen.keys == 2 * count:
        raise sides.Failed(f"{count} journeys, but the sink saw {seen.lines} messages under {seen.keys} keys")
    asked.progress.console.print(f"{side.name} on {kind}: {'; '.join(lived.settings)}", highlight=False)
    return count / lived.seconds, lived
