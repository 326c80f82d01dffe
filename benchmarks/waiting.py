"""What it costs that very many runs wait, and how fast and how punctually those go on whose time has come.

Law: runs wait in a journey's delay, filled in through the insert by which all runs begin, with timers over the next
month. Before and after, the engine's job is done on the same database and the engine is left alone for a while: the
difference is what the waiting ones cost. Then many become due at one moment, and turns are taken as a worker takes
them until none is left, with nothing handed over; and others become due at a steady rate, with the whole engine at
work, of which each must have sent its message: how late the step after the delay began is read from the runs.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import psycopg
import sqlalchemy as sa

from benchmarks import observer, our_job, our_journey, results, setting, sides, sink, tables, turns
from heliograph import app, clock
from heliograph.core import ids, journeys, messages, runs
from heliograph.store import database, places, schema
from heliograph.store import journeys as stored_journeys

BENCH, MORE = "waiting", "waiting-more"
MANY, MOST, FEW = 1_000_000, 5_000_000, 100_000
"""How many runs wait."""
DUE = 100_000
RATE, SECONDS = 500, 10
_JOBS, _TIMES = 10_000, 3
_IDLE = 5.0
_DAY = 86_400_000_000
_GRACE = 3_000_000
_PLACED_AT_ONCE = 20_000
_TICK = os.sysconf("SC_CLK_TCK")
_STEPS = (
    {"action": "delay", "duration": "30 days"},
    {"action": "send", "template": our_journey.TEMPLATE},
)
Part = Literal["begin", "fill", "live", "due", "steady"]


class Order(msgspec.Struct, frozen=True):
    """What the side is to do: one part, in a process of its own."""

    side: sides.Order
    part: Part
    count: int = 0
    first: int = 0
    """The number of the first job."""


class Figures(msgspec.Struct, frozen=True):
    """What it came to, by name."""

    values: dict[str, float] = {}


def run(asked: setting.Setting) -> Iterator[results.Row]:
    """Measure on every database what a million cost."""
    yield from _run(asked, BENCH, FEW if asked.quick else MANY)


def run_more(asked: setting.Setting) -> Iterator[results.Row]:
    """Measure on every database what five million cost; nothing in a quick run."""
    if not asked.quick:
        yield from _run(asked, MORE, MOST)


def _run(asked: setting.Setting, bench: str, many: int) -> Iterator[results.Row]:
    steps = asked.progress.add_task(bench, total=len(asked.databases))
    for kind in asked.databases:
        asked.progress.update(steps, description=f"{bench} on {kind}")
        try:
            with setting.empty(asked, kind) as url, sink.running() as address:
                side = sides.Order(kind, url, address, asked.redis, _JOBS, _JOBS // 4, _TIMES)
                for name, value, unit in _measured(side, many):
                    row = results.alone(f"{bench}: {name}", kind, value, unit)
                    asked.progress.console.print(f"{row.bench} on {kind}: {row.ours} {unit}", highlight=False)
                    yield row
        except sides.Failed as fault:
            asked.refuse(f"{bench} on {kind}: {fault}")
        asked.progress.advance(steps)


def _measured(side: sides.Order, many: int) -> Iterator[tuple[str, float, str]]:
    def ask(part: Part, count: int = 0, first: int = 0) -> dict[str, float]:
        return sides.ask("benchmarks.waiting", Order(side, part, count, first), Figures).values

    ask("begin")
    spent = side.warm_up + side.jobs * side.repetitions
    # Once for nothing: of two measurements that follow each other on one database the second would be the slower.
    ask("live")
    yield from _living("none", ask("live", first=spent))
    filled = ask("fill", many)
    yield f"{many:,} filled in", filled["rate"], "runs/s"
    yield f"{many:,} on disk", filled["bytes"], "bytes each"
    yield from _living(f"{many:,}", ask("live", first=2 * spent))
    taken = ask("due", DUE)
    yield f"{DUE:,} due at once", taken["rate"], "runs/s"
    yield f"{DUE:,} due at once, longest turn", taken["longest"] * 1000, "ms"
    yield f"{DUE:,} due at once, longest turn's own work", taken["busiest"] * 1000, "ms"
    late = ask("steady", RATE * SECONDS)
    yield f"late at {RATE}/s, p50", late["p50"] * 1000, "ms"
    yield f"late at {RATE}/s, p99", late["p99"] * 1000, "ms"


def _living(many: str, found: dict[str, float]) -> Iterator[tuple[str, float, str]]:
    yield f"{many}, live work", found["rate"], "jobs/s"
    yield f"{many}, memory of a process", found["memory"], "MB"
    yield f"{many}, processor while idle", found["idle"], "cores"


# ── in a process of its own ─────────────────────────────────────────────────────────────────────────


def work(order: Order) -> Figures:
    """One part."""
    return Figures(_PARTS[order.part](order))


def _begin(order: Order) -> dict[str, float]:
    base, now = tables.opened(order.side), clock.WallClock().now()
    tables.create(base, now)
    our_job.make_rules(base, now)
    application = our_job.opened(order.side)
    our_journey.make(application, "waits", *_STEPS)
    application.close()
    return {}


def _fill(order: Order) -> dict[str, float]:
    application = our_job.opened(order.side)
    before, now = _size(application), application.clock.now()
    wakes_at = our_journey.spread(now + _DAY, now + 30 * _DAY, order.count)
    began = time.perf_counter()
    our_journey.waiting(application, _journey(application), wakes_at)
    seconds = time.perf_counter() - began
    grown = _size(application) - before
    _settle(application.store)
    application.close()
    return {"bytes": grown / order.count, "rate": order.count / seconds}


def _live(order: Order) -> dict[str, float]:
    side, first = order.side, order.first
    with our_job.at_work(side) as bench:
        bench.work(first, side.warm_up)
        first += side.warm_up
        spans = [bench.work(first + side.jobs * n, side.jobs) for n in range(side.repetitions)]
        engine = [child.pid or 0 for child in multiprocessing.active_children()] or [os.getpid()]

        def busy(seconds: float) -> float:
            before = sum(map(_processor, engine))
            bench.rest(seconds)
            return (sum(map(_processor, engine)) - before) / seconds

        base = tables.opened(side)
        _settle(base)
        base.close()
        bench.rest(_IDLE)
        idle = busy(_IDLE)
        memory = max(map(_memory, engine))
    return {"rate": side.jobs / statistics.median(spans), "memory": memory, "idle": idle}


def _settle(base: database.Database) -> None:
    """Do what rows that came leave for later, or it would be taken for what it costs that they are there."""
    later = clock.WallClock().now() + _DAY
    while places.fill_rules(base, later, _PLACED_AT_ONCE) or places.fill_events(base, later, _PLACED_AT_ONCE):
        pass
    if not base.is_sqlite:
        with psycopg.connect(base.url, autocommit=True) as server:
            server.execute("VACUUM (ANALYZE)")
            server.execute("CHECKPOINT")


def _due(order: Order) -> dict[str, float]:
    application = our_job.opened(order.side)
    journey = _journey(application)
    our_journey.waiting(application, journey, [application.clock.now()] * order.count)
    workers = 1 if application.store.is_sqlite else our_job.WORKERS
    with multiprocessing.get_context("spawn").Pool(workers) as crew:
        # One that is not ready yet would leave everything to the other, so all of them are opened first.
        crew.map(_opened, [order.side] * workers, chunksize=1)
        began = time.perf_counter()
        taken = crew.map(_taken, [order.side] * workers, chunksize=1)
        seconds = time.perf_counter() - began
    inputs = sum(one.inputs for one in taken)
    in_line = _count(application, sa.select(sa.func.count()).select_from(schema.send_due))
    application.close()
    if not inputs == in_line == order.count:
        raise sides.Failed(f"{order.count} runs, but {inputs} were taken, {in_line} messages are in line")
    return {
        "rate": order.count / seconds,
        "longest": max(one.longest for one in taken),
        "busiest": max(one.busiest for one in taken),
    }


def _opened(side: sides.Order) -> None:
    our_job.opened(side).close()
    # Long enough for every process of the crew to get one of these.
    time.sleep(0.5)


def _taken(side: sides.Order) -> turns.Taken:
    application = our_job.opened(side)
    taken = turns.taken(application)
    application.close()
    return taken


def _steady(order: Order) -> dict[str, float]:
    application = our_job.opened(order.side)
    journey = _journey(application)
    # What the part before has left in line is not measured here.
    with application.store.writing() as connection:
        connection.execute(sa.delete(schema.send_due))
    first = application.clock.now() + _GRACE + order.count * 100
    step = 1_000_000 // RATE
    mine = [first + step * number for number in range(order.count)]
    our_journey.waiting(application, journey, mine)
    sent = sa.select(sa.func.count()).where(
        schema.messages.c.state == int(messages.State.ACCEPTED),
        schema.messages.c.automation_id == journey.automation_id,
        schema.messages.c.id >= ids.head(first) + bytes(8),
    )
    late_by = mine[-1] / 1e6 - time.time()
    with our_job.at_work(order.side) as bench:
        bench.rest(max(0.0, late_by))
        bench.hand_in((), lambda: _count(application, sent) == order.count)
    late = our_journey.lateness(_ended(application, journey, order.count), 0)
    application.close()
    return {"p50": observer.quantile(late, 0.5), "p99": observer.quantile(late, 0.99)}


def _ended(application: app.App, journey: journeys.Journey, count: int) -> list[bytes | str]:
    run = schema.runs.c
    query = (
        sa.select(run.state)
        .where(run.automation_id == journey.automation_id, run.status == int(runs.Status.DONE))
        .order_by(run.id.desc())
        .limit(count)
    )
    with application.store.reading() as connection:
        found = list(connection.execute(query).scalars())
    if len(found) != count:
        raise sides.Failed(f"{count} runs were due, but {len(found)} have ended")
    return found


def _journey(application: app.App) -> journeys.Journey:
    with application.store.reading() as connection:
        found = stored_journeys.find(connection, tables.WORKSPACE, None, "waits")
    assert found is not None
    return journeys.Journey(found.id, found.version, found.definition)


def _count(application: app.App, query: sa.Select[Any]) -> int:
    with application.store.reading() as connection:
        return int(connection.execute(query).scalar_one())


def _size(application: app.App) -> int:
    """What the runs that wait take on disk, indexes and all (bytes)."""
    store = application.store
    if store.is_sqlite:
        with store.writing() as connection:
            connection.execute(sa.text("SELECT 1"))
        with store.reading() as connection:
            connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
        assert store.path is not None
        return Path(store.path).stat().st_size
    query = "SELECT sum(pg_total_relation_size(c::regclass)) FROM unnest(ARRAY['runs','starts','timers']) c"
    with store.reading() as connection:
        return int(connection.execute(sa.text(query)).scalar_one())


def _processor(pid: int) -> float:
    """The processor time (s) that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def _memory(pid: int) -> float:
    """What a process holds (MB)."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


_PARTS = {"begin": _begin, "fill": _fill, "live": _live, "due": _due, "steady": _steady}

if __name__ == "__main__":
    sides.answer(Order, work)
