"""How fast a rule is tried on a million stored events, and how much that holds up the engine at work beside it.

Law: first it runs without a rest, as fast as it can; then the engine does its job, now alone and now beside backtests
as the server starts them (a process of the lowest priority that rests the longer the busier the machine is), which are
reading by then. Both must find every event.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from benchmarks import history_rows, our_job, results, setting, sides, sink, tables
from heliograph import clock
from heliograph.core import backtests as answers
from heliograph.core import ids
from heliograph.engine import backtest, backtests
from heliograph.store import database

BENCH = "backtest"
EVENTS, FEW = 1_000_000, 100_000
_JOBS, _TIMES = 30_000, 5


class Order(msgspec.Struct, frozen=True):
    """What the side is to do."""

    side: sides.Order
    events: int


class Figures(msgspec.Struct, frozen=True):
    """What it came to (s, MB)."""

    whole: float
    at_half: float
    memory: float
    alone: float
    beside: float


def run(asked: setting.Setting) -> Iterator[results.Row]:
    """Measure on every database."""
    events = FEW if asked.quick else EVENTS
    steps = asked.progress.add_task(BENCH, total=len(asked.databases))
    for kind in asked.databases:
        asked.progress.update(steps, description=f"{BENCH} on {kind}")
        try:
            with setting.empty(asked, kind) as url, sink.running() as address:
                jobs = _JOBS // 3 if asked.quick else _JOBS
                side = sides.Order(
                    kind, url, address, asked.redis, jobs, jobs // 4, 3 if asked.quick else _TIMES
                )
                found = sides.ask("benchmarks.backtest", Order(side, events), Figures)
            yield results.alone(
                f"{BENCH} of {events:,}, without a rest", kind, events / found.whole, "events/s"
            )
            yield results.alone(f"{BENCH} of {events:,}, as it is run", kind, found.at_half, "s")
            yield results.alone(f"{BENCH} memory of its process", kind, found.memory, "MB")
            slower = 100 * (found.beside / found.alone - 1)
            yield results.alone(f"{BENCH}: a job beside it takes longer by", kind, max(0.0, slower), "%")
        except sides.Failed as fault:
            asked.refuse(f"{BENCH} on {kind}: {fault}")
        asked.progress.advance(steps)


# ── in a process of its own ─────────────────────────────────────────────────────────────────────────


def work(order: Order) -> Figures:
    """Fill the tables, try a rule on them, and let the engine work beside that."""
    side = order.side
    base, now = tables.opened(side), clock.WallClock().now()
    rule = history_rows.make_events(base, order.events, now)
    asked = _asked(base, rule, now)
    began = time.perf_counter()
    *_, found = backtest.run(base, asked, lambda _: None, time.perf_counter)
    whole = time.perf_counter() - began
    if not isinstance(found, answers.Backtest) or found.events != order.events:
        raise sides.Failed(f"not all of {order.events} events were found: {found}")
    job = backtests.Job(base.url, asked)
    began = time.perf_counter()
    memory = _apart(job, threading.Event())
    at_half = time.perf_counter() - began
    alone, beside = _side_by_side(side, job)
    base.close()
    return Figures(whole, at_half, memory, alone, beside)


def _asked(base: database.Database, rule: bytes, now: int) -> backtest.Order:
    given = {"rule_id": ids.text(rule), "days": 8, "rule": {"cooldown_secs": 3600}}
    with base.reading() as connection:
        return backtest.order(connection, tables.WORKSPACE, None, given, now)


def _side_by_side(side: sides.Order, job: backtests.Job) -> tuple[float, float]:
    """How long the engine's jobs took alone, and beside backtests: medians of turns about."""
    alone, beside = [], []
    with our_job.at_work(side) as bench:
        bench.work(0, side.warm_up)
        done = side.warm_up
        for _ in range(side.repetitions):
            alone.append(bench.work(done, side.jobs))
            with _tried_again_and_again(job):
                beside.append(bench.work(done + side.jobs, side.jobs))
            done += 2 * side.jobs
    return statistics.median(alone), statistics.median(beside)


@contextlib.contextmanager
def _tried_again_and_again(job: backtests.Job) -> Iterator[None]:
    begun, enough = threading.Event(), threading.Event()

    def again() -> None:
        while not enough.is_set():
            _apart(job, enough, begun)

    thread = threading.Thread(target=again)
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def _apart(job: backtests.Job, enough: threading.Event, begun: threading.Event | None = None) -> float:
    """One backtest as the server starts it, or a part of one; gives the most memory that it held (MB)."""
    command = [sys.executable, "-m", "heliograph.engine.backtests"]
    most = 0.0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        os.setpriority(os.PRIO_PROCESS, child.pid, backtests.LOWEST_PRIORITY)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(msgspec.json.encode(job) + b"\n")
        child.stdin.flush()
        for _ in child.stdout:
            if begun is not None:
                begun.set()
            lines = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8").splitlines()
            most = next(
                (int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")), most
            )
            if enough.is_set():
                child.kill()
    return most


if __name__ == "__main__":
    sides.answer(Order, work)
