"""Worker: lets turns and deliveries follow one another, and sleeps exactly until the next due instant.

Law: on SQLite all runs on one loop, a turn between two commits of ingest; on PostgreSQL turns have a thread of
their own. A sleeper wakes for what it is told, for what becomes due, and after five seconds whatever it was told.
A worker never ends for a fault of one turn, nor of its sleep: it is told in the log, and work goes on a second later.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Protocol

import structlog

from heliograph import errors
from heliograph.engine import turn
from heliograph.store import database, meanings

_log = structlog.get_logger(__name__)

LONGEST_SLEEP = 5.0
"""Seconds."""
_AFTER_A_FAULT = 1.0
"""Seconds that a worker waits after a turn, or its sleep, has failed."""
_REST = 0.01
"""After a small turn a PostgreSQL worker rests, so that a trickle makes batches (engine.md E25)."""
_LONGEST_REST = 0.05
"""A PostgreSQL worker that was woken in vain again and again rests longer, up to this."""
_SMALL = 50
"""Fewer inputs and answers than this are a small turn."""
_PAUSE = 0.002
"""After a small turn on SQLite, in seconds: less than anybody notices, and enough for a commit to be shared."""
_BREATHS = 20
"""Between two turns on SQLite the loop goes round so often: a request needs that from its first byte to its answer."""


class Pace:
    """Takes turns one after the other and says how long to wait until the next."""

    def __init__(
        self,
        turns: turn.Turns,
        session: database.Session,
        now: Callable[[], int],
        wall_seconds: Callable[[int], float],
        planned: Callable[[], None],
    ):
        """`planned` is told when messages are in line for delivery."""
        self._turns, self._session, self._now, self._wall_seconds, self._planned = (
            turns,
            session,
            now,
            wall_seconds,
            planned,
        )
        self._seen_at = 0
        self._failed = False
        self.taken = 0
        """How many inputs were decided."""
        self.found = 0
        """How many inputs and answers the last turn had."""

    def step(self) -> bool:
        """One turn; gives whether there is more to do at once."""
        self.found = 0
        try:
            report = self._turns.take()
        except errors.HeliographError as fault:
            _log.error("turn_failed", error=fault.message)
            self._failed = True
            return False
        except Exception as fault:  # noqa: BLE001 - a worker never ends for a fault of one turn
            _log.error("turn_failed", error=str(fault), exc_info=fault)
            self._failed = True
            return False
        self._failed = False
        self.taken += report.inputs
        self.found = max(report.inputs, report.answers)
        self._seen_at = report.now
        if report.may_go:
            self._planned()
        return report.more

    def let_go(self) -> None:
        """What stood in line may go."""
        self._planned()

    def rest(self) -> float:
        """How many seconds nothing will be due."""
        if self._failed:
            return _AFTER_A_FAULT
        try:
            return self._until_due(self._seen_at)
        except errors.HeliographError as fault:
            _log.error("turn_failed", error=fault.message)
            return _AFTER_A_FAULT

    def _until_due(self, now: int) -> float:
        with meanings.refusals():
            due_at = self._session.hot.next_due(self._session.connection, now)
        if due_at is None:
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(0.0, self._wall_seconds(due_at - self._now())))


class LoopWorker:
    """Turns on the loop itself (SQLite)."""

    def __init__(self, pace: Pace):
        self._pace = pace
        self._awake = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """There may be something to decide; callable from the loop's own thread."""
        self._awake.set()

    def stop(self) -> None:
        """Take no further turn."""
        self._stopping = True
        self._awake.set()

    async def run(self) -> None:
        """Take turns until stopped."""
        while not self._stopping:
            self._awake.clear()
            if self._pace.step():
                for _ in range(_BREATHS):
                    await asyncio.sleep(0)
                continue
            # A trickle makes batches, so that its events share a commit.
            await asyncio.sleep(_PAUSE if 0 < self._pace.found < _SMALL else 0)
            if not self._awake.is_set():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._awake.wait(), self._pace.rest())


class ThreadWorker:
    """Turns in a thread of their own (PostgreSQL)."""

    def __init__(self, pace: Pace, listener: Listener):
        self._pace, self._listener = pace, listener
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="turns", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There may be something to decide; callable from any thread."""
        self._listener.interrupt()

    def stop(self) -> None:
        """Take no further turn; waits for the one under way."""
        self._stopping.set()
        self._listener.interrupt()
        self._thread.join()

    def _run(self) -> None:
        vain = 0
        while not self._stopping.is_set():
            has_more = self._pace.step()
            self._look_at_line()
            if has_more or self._pace.found >= _SMALL:
                vain = 0
            elif self._pace.found:
                vain = 0
                self._stopping.wait(_REST)
            else:
                # Woken for what another worker took: that one is awake, and this one need not look as often.
                self._stopping.wait(min(_LONGEST_REST, _REST * vain))
                vain += 1
                self._rest_until_woken()

    def _look_at_line(self) -> None:
        # The sleep tells of a connection that is gone, and opens another.
        with contextlib.suppress(errors.HeliographError):
            if self._listener.line_moves():
                self._pace.let_go()

    def _rest_until_woken(self) -> None:
        # Told to be asleep first, looked once more after: what commits in between is seen, or wakes us.
        try:
            with self._listener.asleep():
                if not (self._pace.step() or self._pace.found or self._stopping.is_set()):
                    self._listener.wait(self._pace.rest())
        except errors.HeliographError as fault:
            _log.error("listener_failed", error=fault.message)
            self._stopping.wait(_AFTER_A_FAULT)
        except Exception as fault:  # noqa: BLE001 - a worker never ends for a fault of its sleep
            _log.error("listener_failed", error=str(fault), exc_info=fault)
            self._stopping.wait(_AFTER_A_FAULT)


class Listener(Protocol):
    """Sleeping where several processes share the work."""

    def asleep(self) -> contextlib.AbstractContextManager[None]:
        """While it is entered, whoever commits work sends a notification."""

    def wait(self, seconds: float) -> None:
        """Sleep until a notification, `interrupt`, or the end of the time."""

    def line_moves(self) -> bool:
        """Whether it was told since this was asked last that what stood in line may go; waits for nothing."""

    def interrupt(self) -> None:
        """Wake the sleeper; callable from any thread."""
