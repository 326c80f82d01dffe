"""Celery with Redis: one task a job, prefork 2.

How it is tuned. Tasks are acknowledged late and results ignored; rate limits, gossip, mingle and heartbeats are
off; 16 tasks are prefetched for each process; one producer publishes over one connection while the workers are
already working, and is part of the time, as taking an event in is part of everybody's. A worker process keeps its
database connection and its connection to the sink. A job is two transactions: everything recorded, then, after
the hand-over, marked. Redis is one of this benchmark's own whose append-only file is synced before every answer: a
published task is as durable as everybody else's accepted event. A Redis that the order names runs as it is found. On
SQLite the two processes write one file with WAL, synchronous=FULL, BEGIN IMMEDIATE and a long busy_timeout.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import msgspec
import redis

from benchmarks import crews, job, ledger, sides, sink
from benchmarks.peers import celery_tasks

DURABLE = ("--appendonly", "yes", "--appendfsync", "always", "--save", "")
"""Redis as durable as SQLite with synchronous=FULL and PostgreSQL with fsync=on."""
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


@contextmanager
def with_broker(order: sides.Order) -> Iterator[sides.Order]:
    """The order with a broker: the Redis that it names, or one of our own, gone afterwards.

    Raises Failed where none can be started.
    """
    if order.redis:
        yield order
        return
    if shutil.which("redis-server") is None:
        raise sides.Failed("there is no redis-server to start, and --redis names none")
    with tempfile.TemporaryDirectory(prefix="heliograph-bench-") as folder:
        port = _free_port()
        listening = ["--bind", "127.0.0.1", "--port", str(port), "--dir", folder]
        started = subprocess.Popen(["redis-server", *listening, *DURABLE], stdout=subprocess.DEVNULL)
        try:
            mine = msgspec.structs.replace(order, redis=f"redis://127.0.0.1:{port}/0")
            _answering(mine)
            yield mine
        finally:
            started.terminate()
            started.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _answering(order: sides.Order) -> None:
    began = time.perf_counter()
    broker: Any = redis.Redis.from_url(order.redis)
    while True:
        try:
            broker.ping()
            return
        except redis.RedisError as fault:
            if time.perf_counter() - began > PATIENCE:
                raise sides.Failed(f"the redis-server that was started does not answer: {fault}") from None
            time.sleep(0.01)


def broker_facts(order: sides.Order) -> dict[str, str]:
    """Which Redis it is, and how durable. Raises Failed where there is none."""
    broker: Any = redis.Redis.from_url(order.redis)
    try:
        kept = broker.config_get("appendonly", "appendfsync")
        durable = ", ".join(f"{name}={kept[name]}" for name in sorted(kept))
        return {"Redis": f"{broker.info('server')['redis_version']} ({durable})"}
    except redis.RedisError as fault:
        raise sides.Failed(f"Redis cannot be used at {order.redis}: {fault}") from None


def work(order: sides.Order) -> sides.Outcome:
    """The side's whole work."""
    with with_broker(order) as complete:
        return _worked(complete)


def _worked(order: sides.Order) -> sides.Outcome:
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
