"""The engine's benchmark: the job of `benchmarks.job`, done by us and by the peers, on both databases.

Law: every side does the same job with the same sink, in a process of its own, one side at a time; its rows and
the sink's count must be right or there is no figure. A figure is the median of the repetitions.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from typing import NamedTuple

import psycopg
from rich.progress import TaskID
from rich.table import Table

from benchmarks import results, setting, sides, sink

BENCH = "engine"
UNIT = "jobs/s"


class Side(NamedTuple):
    """Somebody who does the job, and how many jobs tell something about it."""

    name: str
    module: str
    python: str
    quick_jobs: int
    jobs: int


PEERS = (
    Side("dbos", "benchmarks.peers.dbos_job", sides.PEERS_PYTHON, 150, 1_500),
    Side("celery", "benchmarks.peers.celery_job", sides.PEERS_PYTHON, 500, 5_000),
    Side("bare loop", "benchmarks.peers.bare_loop", sys.executable, 10_000, 100_000),
)
OURS = Side("heliograph", "benchmarks.our_job", sys.executable, 10_000, 100_000)
REPETITIONS = (3, 5)


class Measured(NamedTuple):
    """One side on one database."""

    name: str
    database: sides.Database
    outcome: sides.Outcome
    rates: list[float]

    @property
    def rate(self) -> float:
        """Jobs a second: the median."""
        return statistics.median(self.rates)


def run(asked: setting.Setting) -> Iterator[results.Row]:
    """Measure every side on every database; a side that fails has no row."""
    steps = asked.progress.add_task(BENCH, total=len(asked.databases) * (len(PEERS) + 1))
    measured: list[Measured] = []
    for database in asked.databases:
        ours = tried(asked, OURS, database, steps)
        theirs = [tried(asked, peer, database, steps) for peer in PEERS]
        for one in filter(None, theirs):
            yield results.row(BENCH, database, ours.rate if ours else None, UNIT, one.name, one.rate)
        measured += filter(None, (ours, *theirs))
    asked.progress.console.print(table(measured))


def tried(asked: setting.Setting, side: Side, database: sides.Database, steps: TaskID) -> Measured | None:
    """One side's figure, or None and a line that says why there is none."""
    asked.progress.update(steps, description=f"{BENCH}: {side.name} on {database}")
    try:
        return measure(asked, side, database)
    except (sides.Failed, psycopg.OperationalError) as fault:
        asked.refuse(f"{side.name} on {database}: {fault}")
        return None
    finally:
        asked.progress.advance(steps)


def measure(asked: setting.Setting, side: Side, database: sides.Database) -> Measured:
    """Let one side do its jobs on an empty database. Raises sides.Failed where the sink saw something else."""
    jobs = side.quick_jobs if asked.quick else side.jobs
    with setting.empty(asked, database) as url, sink.running() as address:
        order = sides.Order(
            database=database,
            url=url,
            sink=address,
            redis=asked.redis,
            jobs=jobs,
            warm_up=max(20, jobs // 10),
            repetitions=REPETITIONS[not asked.quick],
        )
        outcome = sides.run(side.module, order, side.python)
        seen = sink.Line(address).seen()
    if not seen.lines == seen.keys == outcome.jobs:
        raise sides.Failed(
            f"{outcome.jobs} jobs, but the sink saw {seen.lines} messages under {seen.keys} keys"
        )
    return Measured(side.name, database, outcome, [jobs / seconds for seconds in outcome.seconds])


def table(measured: list[Measured]) -> Table:
    """How each side was run, and how far its repetitions lie apart."""
    drawn = Table(title="how each side did the job", title_justify="left", show_lines=True)
    for heading in ("database", "side", UNIT, "repetitions", "how"):
        drawn.add_column(heading, justify="right" if heading == UNIT else "left")
    for one in measured:
        how = [*(f"{name} {number}" for name, number in one.outcome.versions.items()), *one.outcome.settings]
        drawn.add_row(
            one.database,
            one.name,
            results.written(one.rate),
            " ".join(results.written(rate) for rate in one.rates),
            "; ".join(how),
        )
    return drawn
