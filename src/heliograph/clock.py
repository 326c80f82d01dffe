"""The only reader of the wall clock.

Law: whoever needs the time is given a `Clock` by the composition root, or better, is given `now`.
Instants are integers, microseconds since 1970-01-01 UTC. A scaled clock (E23) plays months in minutes;
a manual one stands still until it is told to move.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

SECOND = 1_000_000
APART = SECOND
"""Clocks that differ by less (µs) are left as they are."""


class Clock(Protocol):
    """What time it is, and how long a span of its time lasts on the wall."""

    def now(self) -> int:
        """The present instant (µs)."""

    def wall_seconds(self, span: int) -> float:
        """How many seconds of the wall a span (µs) of this clock takes; sleeping is done on the wall."""

    def span(self, seconds: float) -> int:
        """How much of its time (µs) passes in so many seconds of the wall; leases are as long as the wall says."""


class WallClock:
    """The real time."""

    def now(self) -> int:
        """The present instant (µs)."""
        return time.time_ns() // 1000

    def wall_seconds(self, span: int) -> float:
        """A second is a second."""
        return span / SECOND

    def span(self, seconds: float) -> int:
        """A second is a second."""
        return int(seconds * SECOND)


class SharedClock(WallClock):
    """The real time of all who share one database: this machine's own, unless it is apart from the database's.

    A lease that one machine wrote is over for all at the same moment, whatever their own clocks say.
    """

    def __init__(self, wall: Clock | None = None):
        self._wall = wall or WallClock()
        self.ahead = 0
        """By how much (µs) this machine's clock is taken to be ahead of the database's."""

    def now(self) -> int:
        """The present instant (µs), as the database has it."""
        return self._wall.now() - self.ahead

    def agree(self, tell: Callable[[], int]) -> bool:
        """Ask what time it is (µs), and go by that; gives whether that was news.

        An answer that took long says too little: then all stays as it is, until it is asked again.
        """
        asked = self._wall.now()
        told = tell()
        took = self._wall.now() - asked
        if not 0 <= took < APART:
            return False
        ahead = asked + took // 2 - told
        before, self.ahead = self.ahead, ahead if abs(ahead) >= APART else 0
        return abs(before - self.ahead) >= APART


class ScaledClock:
    """A time that starts at `start` (µs) and runs `speed` times as fast as the wall."""

    def __init__(self, start: int, speed: float):
        self.start, self.speed = start, speed
        self._began = time.monotonic_ns()

    def now(self) -> int:
        """The present instant (µs) of the play."""
        return self.start + int((time.monotonic_ns() - self._began) / 1000 * self.speed)

    def wall_seconds(self, span: int) -> float:
        """A span is shorter on the wall by the speed."""
        return span / SECOND / self.speed

    def span(self, seconds: float) -> int:
        """More passes here than on the wall, by the speed."""
        return int(seconds * SECOND * self.speed)


class ManualClock:
    """A time that moves only when it is told to; for tests and tutorials."""

    def __init__(self, start: int):
        self.at = start

    def now(self) -> int:
        """The instant (µs) it was last moved to."""
        return self.at

    def wall_seconds(self, span: int) -> float:
        """Waiting for a manual clock is pointless: whoever waits looks again at once."""
        return 0.0

    def span(self, seconds: float) -> int:
        """As on the wall."""
        return int(seconds * SECOND)

    def move(self, span: int) -> int:
        """Let a span (µs) pass; gives the new instant."""
        self.at += span
        return self.at
