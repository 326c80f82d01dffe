"""DBOS: one durable workflow a journey, with a durable sleep between two steps.

How it is tuned. As for its job (dbos_job.py), but for the wait: a workflow that sleeps keeps its thread, so there are
as many threads as are needed for the work to go on while others sleep: on SQLite a process of 100 did 95 a second and
rested for most of it, one of 250 does 190 and is busy; on PostgreSQL 130 do best, 200 and more stand in each other's
way. Its async workflows, which keep no thread, do a third less on SQLite and a tenth less on PostgreSQL. A send is one
step, the fewest that keep its promise: it hands over and writes the message down, and a crash repeats one send at most,
under the same key. What came of the first send is the step's own answer, which is cheaper than to look it up. The
workflow's id is the contact's.
"""

from __future__ import annotations

import sys

import pysqlite3

# Before anybody imports the standard driver: two SQLite libraries in one process would break each other's locks.
sys.modules["sqlite3"] = pysqlite3

import multiprocessing  # noqa: E402 - the swap comes first
import queue  # noqa: E402
import time  # noqa: E402
from concurrent.futures import ThreadPoolExecutor  # noqa: E402
from importlib.metadata import version  # noqa: E402
from multiprocessing.connection import Connection  # noqa: E402
from typing import Any  # noqa: E402

import dbos  # noqa: E402

from benchmarks import job, journeys, sides, sink  # noqa: E402
from benchmarks.peers import dbos_job  # noqa: E402

PROCESSES = dbos_job.PROCESSES
THREADS = {"sqlite": 250, "postgresql": 130}
WRITERS = {"sqlite": 2, "postgresql": 8}
"""Connections to the application's tables that a process's threads share: there are fewer than threads that sleep."""
DELAY = 1.0
_TABLE = (
    "CREATE TABLE sent (id TEXT PRIMARY KEY, contact_id TEXT NOT NULL, address TEXT NOT NULL, text TEXT NOT NULL,"
    " state TEXT NOT NULL, accepted_at DOUBLE PRECISION NOT NULL)"
)
_SENT = "INSERT INTO sent VALUES (?, ?, ?, ?, 'SENT', ?) ON CONFLICT DO NOTHING"


class Application:
    """What a user of DBOS would write: a workflow of two sends with a sleep between them."""

    def __init__(self, order: sides.Order, place: int) -> None:
        self._lines: queue.SimpleQueue[tuple[Any, sink.Line]] = queue.SimpleQueue()
        for _ in range(WRITERS[order.database]):
            self._lines.put((dbos_job.connect(order), sink.Line(order.sink)))
        self._insert = _SENT if order.database == "sqlite" else _SENT.replace("?", "%s")
        self.late: list[float] = []
        config: Any = {
            "name": "benchmark",
            "system_database_url": dbos_job.system_url(order),
            "executor_id": f"benchmark-{place}",
            "log_level": "ERROR",
            "enable_otlp": False,
        }
        dbos.DBOS(config=config)
        self._live = self._registered()
        dbos.DBOS.launch()

    def _registered(self) -> Any:
        def send(contact: job.Contact, number: int) -> tuple[str, float]:
            return self._send(contact, number)

        step = dbos.DBOS.step()(send)

        def live(contact: job.Contact) -> None:
            status, ended = step(contact, 1)
            dbos.DBOS.sleep(DELAY)
            self.late.append(time.time() - ended - DELAY)
            if status == "SENT":
                step(contact, 2)

        return dbos.DBOS.workflow()(live)

    def _send(self, contact: job.Contact, number: int) -> tuple[str, float]:
        key, text = f"{contact.user_id}-{number}", f"Hello {contact.given_name}, thank you."
        connection, line = self._lines.get()
        try:
            line.send(key, text)
            values = (key, contact.user_id, contact.email, text, time.time())
            connection.cursor().execute(self._insert, values)
        finally:
            self._lines.put((connection, line))
        return "SENT", time.time()

    def one(self, contact: job.Contact) -> None:
        """Live one journey."""
        with dbos.SetWorkflowID(contact.user_id):
            self._live(contact)


def _member(order: sides.Order, place: int, pipe: Connection) -> None:
    application = Application(order, place)
    mine = job.contacts(order.jobs)[place :: PROCESSES[order.database]]
    with ThreadPoolExecutor(THREADS[order.database]) as threads:
        pipe.send("ready")
        pipe.recv()
        for _ in threads.map(application.one, mine):
            pass
        pipe.send(application.late)


def work(order: sides.Order) -> journeys.Lived:
    """The side's whole work."""
    connection = dbos_job.connect(order)
    connection.cursor().execute(_TABLE)
    context = multiprocessing.get_context("spawn")
    pipes = []
    for place in range(PROCESSES[order.database]):
        ours, theirs = context.Pipe()
        context.Process(target=_member, args=(order, place, theirs), daemon=True).start()
        theirs.close()
        _heard(ours)
        pipes.append(ours)
    began = time.perf_counter()
    for pipe in pipes:
        pipe.send("go")
    late = sorted(second for pipe in pipes for second in _heard(pipe))
    seconds = time.perf_counter() - began
    sent = connection.cursor().execute("SELECT count(*) FROM sent").fetchone()[0]
    if not len(late) * 2 == sent == order.jobs * 2:
        raise sides.Failed(f"{order.jobs} journeys, but {len(late)} waits and {sent} messages")
    threads = f"{PROCESSES[order.database]} process(es) of {THREADS[order.database]} threads"
    share = (len(late) - 1) / 100
    return journeys.Lived(
        seconds, late[round(50 * share)], late[round(99 * share)], [f"DBOS {version('dbos')}", threads]
    )


def _heard(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        raise sides.Failed("a process ended before its work was done") from None


if __name__ == "__main__":
    sides.answer(sides.Order, work)
