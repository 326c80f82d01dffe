"""DBOS: one durable workflow a job, in two steps.

How it is tuned. Two steps are the fewest that keep the job's promise: `record` writes everything in one
transaction of the application's, `deliver` hands over and marks; each is checkpointed, so a crash repeats one
step at most (both are written to bear that). Plain steps over a driver's connection are twice as fast here as
DBOS's own transactional data source, and calling the workflow from a pool of threads is faster than its queue,
which writes and polls more. The workflow's id is the event's key, which saves drawing one. Logging is at ERROR,
telemetry off. DBOS is bound by the interpreter: more threads than these gain nothing, and on PostgreSQL two
processes share the work, as two of our workers do. On SQLite there are WAL and synchronous=FULL, and DBOS's
tables stand in a file of their own, so that the two do not queue for one lock; the SQLite library is
pysqlite3's, because DBOS needs 3.42.
"""

from __future__ import annotations

import sys

import pysqlite3

# Before anybody imports the standard driver: two SQLite libraries in one process would break each other's locks.
sys.modules["sqlite3"] = pysqlite3

import threading  # noqa: E402 - the swap comes first
from collections.abc import Callable, Iterator, Sequence  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from importlib.metadata import version  # noqa: E402
from typing import Any  # noqa: E402

import dbos  # noqa: E402
import psycopg  # noqa: E402

from benchmarks import crews, job, ledger, sides, sink  # noqa: E402
from heliograph import clock  # noqa: E402

PROCESSES = {"sqlite": 1, "postgresql": 2}
THREADS = {"sqlite": 2, "postgresql": 4}


class Application:
    """What a user of DBOS would write: its tables' connections, and one workflow."""

    def __init__(self, order: sides.Order, place: int) -> None:
        self._order = order
        self._ledger = ledger.Ledger(order.database)
        self._thread = threading.local()
        self._clock = clock.WallClock()
        self._launch(f"benchmark-{place}")

    def connection(self) -> Any:
        """This thread's connection to the application's tables."""
        if not hasattr(self._thread, "connection"):
            self._thread.connection = connect(self._order)
            self._thread.line = sink.Line(self._order.sink)
        return self._thread.connection

    @contextmanager
    def transaction(self) -> Iterator[Any]:
        """A cursor in a transaction that commits where nothing is raised."""
        cursor = self.connection().cursor()
        cursor.execute("BEGIN IMMEDIATE" if self._order.database == "sqlite" else "BEGIN")
        try:
            yield cursor
        except BaseException:
            cursor.execute("ROLLBACK")
            raise
        cursor.execute("COMMIT")

    def _launch(self, executor: str) -> None:
        dbos.DBOS(
            config={
                "name": "benchmark",
                "system_database_url": system_url(self._order),
                "executor_id": executor,
                "log_level": "ERROR",
                "enable_otlp": False,
            }
        )

        self._work = self._registered()
        dbos.DBOS.launch()

    def _registered(self) -> Callable[[job.Event], None]:
        def record(event: job.Event) -> ledger.Message:
            return self._record(event)

        def deliver(message: ledger.Message) -> None:
            self._deliver(message)

        first, second = dbos.DBOS.step()(record), dbos.DBOS.step()(deliver)

        def work(event: job.Event) -> None:
            second(first(event))

        workflow: Callable[[job.Event], None] = dbos.DBOS.workflow()(work)
        return workflow

    def _record(self, event: job.Event) -> ledger.Message:
        with self.transaction() as cursor:
            return self._ledger.record(cursor, event, self._clock.now())

    def _deliver(self, message: ledger.Message) -> None:
        self.connection()
        self._thread.line.send(message.key, message.text)
        with self.transaction() as cursor:
            self._ledger.mark(cursor, message, self._clock.now())

    def one(self, event: job.Event) -> None:
        """One job, from its event to its mark."""
        with dbos.SetWorkflowID(event.key):
            self._work(event)


def connect(order: sides.Order) -> Any:
    """A connection to the application's tables."""
    if order.database == "sqlite":
        return ledger.open_sqlite(order.url)
    return psycopg.connect(order.url, autocommit=True)


def system_url(order: sides.Order) -> str:
    """Where DBOS keeps its own tables."""
    if order.database == "sqlite":
        path = f"{order.url}.dbos"
        ledger.open_sqlite(path).close()
        return f"sqlite:///{path}"
    return order.url.replace("postgresql://", "postgresql+psycopg://", 1)


def start(order: sides.Order, place: int) -> crews.Work:
    """Launch DBOS in this process."""
    application = Application(order, place)
    threads = ThreadPoolExecutor(THREADS[order.database])

    def work(events: Sequence[job.Event]) -> None:
        for _ in threads.map(application.one, events):
            pass

    return work


def work(order: sides.Order) -> sides.Outcome:
    """The side's whole work."""
    book = ledger.Ledger(order.database)
    connection = connect(order)
    book.create(connection.cursor())
    seconds = crews.timed(PROCESSES[order.database], start, order)
    book.check(connection.cursor(), crews.done(order))
    return sides.Outcome(
        seconds=seconds,
        jobs=crews.jobs(order),
        versions={"DBOS": version("dbos"), **_library(order)},
        settings=[
            f"{PROCESSES[order.database]} process(es) of {THREADS[order.database]} threads",
            "a workflow of two steps a job",
            "SQLite WAL, synchronous=FULL" if order.database == "sqlite" else "READ COMMITTED",
        ],
    )


def _library(order: sides.Order) -> dict[str, str]:
    return {"SQLite": pysqlite3.sqlite_version} if order.database == "sqlite" else {}


if __name__ == "__main__":
    sides.main(work)
