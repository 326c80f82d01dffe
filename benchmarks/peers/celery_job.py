"""Celery with Redis: one task a job, prefork 2.

How it is tuned. Tasks are acknowledged late and results ignored; rate limits, gossip, mingle and heartbeats are
off; 16 tasks are prefetched for each process; one producer publishes over one connection while the workers are
already working, and is part of the time, as taking an event in is part of everybody's. A worker process keeps its
database connection and its connection to the sink. A job is two transactions: everything recorded, then, after
the hand-over, marked. Redis runs as it is found: without an append-only file its queue is less durable than
everybody else's, in Celery's favour. On SQLite the two processes write one file with WAL, synchronous=FULL,
BEGIN IMMEDIATE and a long busy_timeout.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import msgspec
import redis

from benchmarks import crews, job, ledger, sides, sink
from benchmarks.peers import celery_tasks

PATIENCE = 60.0
"""Seconds without any progress after which the workers count as dead."""


class Publisher:
    """Publishes jobs and sees them through."""

    def __init__(self, order: sides.Order) -> None:
        self._order = order
        self._app = celery_tasks.application(order)
        self._ledger = ledger.Ledger(order.database)
        self._cursor = celery_tasks.connect(order).cursor()
        self._line = sink.Line(order.sink)

    def create(self) -> None:
        """Make the tables."""
        self._ledger.create(self._cursor)

    def work(self, first: int, count: int) -> float:
        """Publish these jobs and wait until all are marked; how many seconds it took."""
        events = job.events(self._order.seed, first, count)
        began = time.perf_counter()
        with self._app.producer_pool.acquire(block=True) as producer:
            for event in events:
                self._app.send_task(celery_tasks.TASK, event, producer=producer)
        # The sink is asked, not the database: that costs the workers nothing.
        _until(first + count, lambda: self._line.seen().lines)
        _until(first + count, lambda: self._ledger.accepted(self._cursor))
        return time.perf_counter() - began

    def check(self) -> None:
        """Raise Failed unless the rows are right."""
        self._ledger.check(self._cursor, crews.done(self._order))


def _until(wanted: int, count: Callable[[], int]) -> None:
    last, since = -1, time.perf_counter()
    while (found := count()) < wanted:
        if found > last:
            last, since = found, time.perf_counter()
        elif time.perf_counter() - since > PATIENCE:
            raise sides.Failed(f"Celery's workers stood still at {found} of {wanted} jobs")
        time.sleep(0.002)


@contextmanager
def workers(order: sides.Order) -> Iterator[None]:
    """Celery's worker with its processes, on an empty queue; nothing of it is left in Redis afterwards."""
    forget(order)
    started = subprocess.Popen([sys.executable, "-m", celery_tasks.__name__], stdin=subprocess.PIPE)
    assert started.stdin is not None
    started.stdin.write(msgspec.json.encode(order))
    started.stdin.close()
    try:
        yield
    finally:
        started.terminate()
        started.wait()
        forget(order)


def forget(order: sides.Order) -> None:
    """Delete the benchmark's keys from Redis."""
    broker: Any = redis.Redis.from_url(order.redis)
    for key in [*broker.scan_iter(f"{celery_tasks.PREFIX}*"), *broker.scan_iter(f"*{celery_tasks.PREFIX}*")]:
        broker.delete(key)


def broker_facts(order: sides.Order) -> dict[str, str]:
    """Which Redis it is, and how durable. Raises Failed where there is none."""
    broker: Any = redis.Redis.from_url(order.redis)
    try:
        kept = broker.config_get("appendonly", "save")
        return {"Redis": f"{broker.info('server')['redis_version']} (appendonly={kept['appendonly']})"}
    except redis.RedisError as fault:
        raise sides.Failed(f"Redis cannot be used at {order.redis}: {fault}") from None


def work(order: sides.Order) -> sides.Outcome:
    """The side's whole work."""
    facts = broker_facts(order)
    publisher = Publisher(order)
    publisher.create()
    with workers(order):
        seconds = crews.repeated(order, publisher.work)
    publisher.check()
    return sides.Outcome(
        seconds=seconds,
        jobs=crews.jobs(order),
        versions={"Celery": version("celery"), "redis-py": version("redis"), **facts},
        settings=[
            f"prefork {celery_tasks.PROCESSES}",
            "late acknowledgement",
            f"{celery_tasks.PREFETCHED} tasks prefetched for each process",
        ],
    )


if __name__ == "__main__":
    sides.main(work)
