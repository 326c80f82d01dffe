"""A real server: `heliograph serve` with its processes, on an empty database that has the job's rules and people.

Law: nothing of it is touched from here but what anybody could touch: its database before it starts, its port, the
clock ticks and the memory that the system counts for it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib import request

import msgspec
import psycopg
import sqlalchemy as sa

from benchmarks import observer, our_job, setting, sides, tables
from heliograph import clock, settings
from heliograph.store import database, keys, schema

WORKERS = 2
_TICK = os.sysconf("SC_CLK_TCK")
_START = 60.0
_PR_SET_PDEATHSIG = 1


class House(NamedTuple):
    """A server that runs."""

    address: tuple[str, int]
    keys: list[str]
    """Of the first workspace, and of the noisy one: a key that may do everything."""
    base: database.Database
    pid: int

    def pids(self) -> list[int]:
        """Its processes: the server and its workers."""
        found = [self.pid]
        for pid in found:
            found += [int(child) for child in _read(pid, f"task/{pid}/children").split()]
        return found

    def cpu_seconds(self) -> float:
        """What its processes have used so far."""
        return sum(map(_cpu_seconds, self.pids()))

    def database_cpu_seconds(self) -> float:
        """What PostgreSQL's processes for its sessions have used so far; 0 on SQLite, or where they are elsewhere."""
        return sum(map(_cpu_seconds, self._backends()))

    def largest(self) -> float:
        """The most memory (MB) that one of its processes ever held."""
        return max(map(_peak, self.pids()))

    def pause(self, paused: bool) -> None:
        """Let matching rest, or go on: events stay in line meanwhile."""
        host, port = self.address
        asked = request.Request(
            f"http://{host}:{port}/api/automation/control",
            msgspec.json.encode({"is_paused": paused}),
            {"Authorization": f"Bearer {self.keys[0]}", "Content-Type": "application/json"},
            method="PATCH",
        )
        with request.urlopen(asked, timeout=30):
            pass

    def waiting(self) -> int:
        """How many events wait for a decision."""
        with self.base.reading() as connection:
            query = sa.select(sa.func.count()).select_from(schema.due)
            return int(connection.execute(query).scalar_one())

    def idle(self) -> None:
        """Return once nothing waits to be decided or handed over."""
        queues = (schema.due, schema.send_due, schema.claims, schema.inbox)
        there = sa.or_(*(sa.exists(sa.select(1).select_from(queue)) for queue in queues))
        while True:
            with self.base.reading() as connection:
                if not connection.execute(sa.select(there)).scalar_one():
                    return
            time.sleep(0.2)

    def _backends(self) -> list[int]:
        if self.base.is_sqlite:
            return []
        with psycopg.connect(self.base.url) as connection:
            query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            return [pid for (pid,) in connection.execute(query)]


class Source:
    """Posts events to the first workspace or to the noisy one, with numbers that rise."""

    def __init__(
        self, watcher: observer.Observer, server: House, *, noisy: bool = False, first: int = 0
    ) -> None:
        """`first` is the number of the first order: sources of one server must not share numbers."""
        self._watcher, self._server, self._key, self._next = watcher, server, server.keys[noisy], first

    def post(
        self,
        events: int,
        size: int,
        connections: int,
        rate: float | None = None,
        *,
        awaits_mail: bool = False,
    ) -> observer.Seen:
        """Post so many more, `size` in a request, `rate` requests a second (None: as fast as they are answered)."""
        first, self._next = self._next, self._next + events
        address = self._server.address
        return self._watcher.post(
            observer.Load(
                address, self._key, 1, first, events, size, connections, rate, awaits_mail=awaits_mail
            )
        )

    def messages(self, events: int, rate: float) -> observer.Seen:
        """Post so many more, one by one, and wait for the message that comes of each."""
        return self.post(events, 1, 16, rate, awaits_mail=True)


@contextmanager
def opened(asked: setting.Setting, kind: sides.Database, mail_port: int) -> Iterator[House]:
    """A server on an empty database, sending its mail to this port; it ends with the block."""
    with setting.empty(asked, kind) as place:
        url = tables.url_of(kind, place)
        base, now = database.Database(url), clock.WallClock().now()
        made = tables.create(base, now, "noisy")
        for workspace in made:
            our_job.make_rules(base, now, workspace)
        chosen = settings.load(
            {},
            database_url=url,
            smtp_url=f"smtp://127.0.0.1:{mail_port}?security=none",
            backlog_limit=0,
            log_level="warning",
        )
        with _running(chosen, kind) as (process, address):
            yield House(address, [_key(base, workspace, now) for workspace in made], base, process.pid)
        base.close()


def _key(base: database.Database, workspace: int, now: int) -> str:
    with base.writing() as connection:
        return keys.create(connection, workspace, keys.Role.ADMIN, "benchmark", now)[1]


@contextmanager
def _running(
    chosen: settings.Settings, kind: sides.Database
) -> Iterator[tuple[subprocess.Popen[bytes], tuple[str, int]]]:
    command = [sys.executable, "-m", "heliograph", "serve", "--port", "0"]
    command += ["--workers", str(WORKERS)] if kind == "postgresql" else []
    with tempfile.NamedTemporaryFile(prefix="heliograph-serve-") as said:
        process = subprocess.Popen(
            command,
            stdout=said,
            stderr=said,
            env=settings.environment(chosen),
            start_new_session=True,
            preexec_fn=_end_with_us,  # noqa: PLW1509 - there are no threads that could be in its way
        )
        try:
            yield process, _ready(process, Path(said.name))
            process.send_signal(signal.SIGTERM)
            process.wait(_START)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _end_with_us() -> None:
    """Let the system end the server when the benchmark is gone, however it went; its workers follow it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _ready(process: subprocess.Popen[bytes], said: Path) -> tuple[str, int]:
    """Where it listens, once it does."""
    until = time.monotonic() + _START
    while process.poll() is None and time.monotonic() < until:
        for line in said.read_text(encoding="utf-8").splitlines():
            if line.startswith("ready: http://"):
                host, _, port = line.split("/")[2].partition(":")
                return host, int(port)
        time.sleep(0.05)
    raise sides.Failed("the server did not start: " + said.read_text(encoding="utf-8")[-800:])


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")
    except OSError:
        return ""


def _cpu_seconds(pid: int) -> float:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK if fields else 0.0


def _peak(pid: int) -> float:
    lines = _read(pid, "status").splitlines()
    found = (int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return next(found, 0) * 1024 / 1e6
