"""The Celery application of `celery_job`, and the worker process that it starts.

Law: a worker process opens its connections once, after the fork. A task is acknowledged late: a job whose worker
dies is done again, and `ledger` counts it once. The order comes on standard input, as for a side.
"""

from __future__ import annotations

import sys
from typing import Any

import celery
import msgspec
import psycopg
from celery import signals

from benchmarks import job, ledger, sides, sink
from heliograph import clock

TASK = "benchmark.one"
PREFIX = "heliograph-benchmark-"
PROCESSES = 2
PREFETCHED = 16
OPTIONS = (
    "--pool=prefork",
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",
    "--loglevel=ERROR",
)


def application(order: sides.Order) -> Any:
    """The Celery application; its keys in Redis have a prefix of their own."""
    app = celery.Celery("benchmark", broker=order.redis)
    app.conf.update(
        broker_connection_retry_on_startup=True,
        broker_transport_options={"global_keyprefix": PREFIX},
        task_acks_late=True,
        task_ignore_result=True,
        worker_disable_rate_limits=True,
        worker_prefetch_multiplier=PREFETCHED,
    )
    return app


def connect(order: sides.Order) -> Any:
    """A connection to the tables."""
    if order.database == "sqlite":
        return ledger.open_sqlite(order.url)
    return psycopg.connect(order.url, autocommit=True)


class Worker:
    """What one worker process holds open."""

    def __init__(self, order: sides.Order) -> None:
        self._ledger = ledger.Ledger(order.database)
        self._begin = "BEGIN IMMEDIATE" if order.database == "sqlite" else "BEGIN"
        self._connection = connect(order)
        self._line = sink.Line(order.sink)
        self._clock = clock.WallClock()

    def one(self, event: job.Event) -> None:
        """Record, hand over, mark: two transactions."""
        cursor = self._connection.cursor()
        cursor.execute(self._begin)
        message = self._ledger.record(cursor, event, self._clock.now())
        cursor.execute("COMMIT")
        self._line.send(message.key, message.text)
        cursor.execute(self._begin)
        self._ledger.mark(cursor, message, self._clock.now())
        cursor.execute("COMMIT")


def main() -> None:
    """Be Celery's worker, until terminated."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=sides.Order)
    app = application(order)
    opened: list[Worker] = []

    def open_worker(**_: Any) -> None:
        opened.append(Worker(order))

    def one(*event: Any) -> None:
        opened[0].one(job.Event(*event))

    signals.worker_process_init.connect(open_worker, weak=False)
    app.task(name=TASK)(one)
    app.worker_main(["worker", f"--concurrency={PROCESSES}", *OPTIONS])


if __name__ == "__main__":
    main()
