"""Backtests on behalf of others: each in a process of its own, as few at once as was said.

Law: whoever decides and delivers shares neither interpreter nor connection with a backtest, whose process has the
lowest priority that the system knows. It ends when nobody waits for its answer any more: whoever started it ends it,
and so does a pipe that nobody reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator

import msgspec

from heliograph import errors, loading
from heliograph.engine import backtest, resting
from heliograph.store import database

LOWEST_PRIORITY = 19
_TELLS_EVERY = 0.25
"""Seconds between two words about progress."""
_LINE = 64 << 20
"""The longest line that an answer may be."""


class Job(msgspec.Struct, frozen=True):
    """What a process is started for."""

    database_url: str
    asked: backtest.Order


_NOTHING = msgspec.Raw()


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of what a backtest says: progress, and at the end its answer or why there is none."""

    progress: backtest.Progress | None = None
    result: msgspec.Raw = _NOTHING
    """A core.backtests.Backtest, as JSON; empty while there is none."""
    fault: str | None = None


Runner = Callable[[Job], AsyncGenerator[Told, None]]
_encode = msgspec.json.Encoder().encode
_told = msgspec.json.Decoder(Told).decode


class Backtests:
    """Those that run for the clients of one process."""

    def __init__(self, database_url: str, most: int, run: Runner):
        """`most` may run at once, `run` runs one."""
        self._url, self._free, self._run = database_url, most, run

    def refuse_more(self) -> None:
        """Raises errors.TooManyBacktests where none may begin."""
        if self._free < 1:
            raise errors.TooManyBacktests(retry_after=5)

    async def run(self, asked: backtest.Order) -> AsyncGenerator[Told, None]:
        """Run one; it ends when the generator is closed. Raises errors.TooManyBacktests, errors.Unavailable."""
        self.refuse_more()
        self._free -= 1
        try:
            async with contextlib.aclosing(self._run(Job(self._url, asked))) as lines:
                async for line in lines:
                    if line.fault is not None:
                        raise errors.Unavailable(line.fault)
                    yield line
        finally:
            self._free += 1


async def apart(job: Job) -> AsyncGenerator[Told, None]:
    """Run a backtest in a process of its own, which is ended when the generator is closed."""
    child = await asyncio.create_subprocess_exec(
        *loading.command("heliograph.engine.backtests"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=_LINE,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, child.pid, LOWEST_PRIORITY)  # its start is work, too
    try:
        child.stdin.write(_encode(job) + b"\n")
        is_over = False
        async for line in child.stdout:
            told = _told(line)
            is_over = bool(bytes(told.result)) or told.fault is not None
            yield told
        if not is_over:
            yield Told(fault="the process in which it ran was ended: send again")
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def beside(job: Job) -> AsyncGenerator[Told, None]:
    """Run a backtest in threads of this process, without any rest: for who has nothing else to do."""
    lines = words(job, lambda _: None)
    while (told := await asyncio.to_thread(next, lines, None)) is not None:
        yield told


def words(job: Job, rest: Callable[[float], None]) -> Iterator[Told]:
    """What a backtest says while it runs here."""
    spoke_at = 0.0
    try:
        with contextlib.closing(database.Database(job.database_url, pool_size=1)) as store:
            for found in backtest.run(store, job.asked, rest, time.perf_counter):
                if not isinstance(found, backtest.Progress):
                    yield Told(result=msgspec.Raw(_encode(found)))
                elif time.perf_counter() - spoke_at > _TELLS_EVERY:
                    spoke_at = time.perf_counter()
                    yield Told(progress=found)
    except errors.HeliographError as fault:
        yield Told(fault=fault.message)


def take_lowest_priority() -> None:
    """Let this process work when no other wants to."""
    with contextlib.suppress(OSError):
        os.nice(LOWEST_PRIORITY)


def main() -> None:
    """Run the job that stands in the first line of stdin, and tell about it on stdout."""
    # Whoever started it says when it ends; a pipe that nobody reads says so too.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    take_lowest_priority()
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    machine = resting.this_machine()
    for told in words(job, lambda worked: time.sleep(machine.rest_after(worked))):
        sys.stdout.buffer.write(_encode(told) + b"\n")
        sys.stdout.buffer.flush()
