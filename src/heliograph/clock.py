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


_STEADY: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Which of the system's clocks nobody sets; where there is one, it goes on while the machine sleeps."""


def _steady() -> int:
    return time.clock_gettime_ns(_STEADY) // 1000


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

    A lease that one machine wrote is over for all at the same moment, whatever their own clocks say. Between two looks
    at the database it goes by what nobody sets, so that who sets a machine's clock moves the time of no one.
    """

    def __init__(self, wall: Clock | None = None, steady: Callable[[], int] = _steady):
        self._wall, self._steady = wall or WallClock(), steady
        self._began = self._wall.now() - steady()
        self.ahead = 0
        """By how much (µs) this machine's clock was ahead of the time that is shared when it was looked at last."""

    def now(self) -> int:
        """The present instant (µs), as the database has it."""
        return self._began + self._steady()

    def agree(self, tell: Callable[[], int]) -> bool:
        """Ask what time it is (µs), and go by that; gives whether this machine's clock is newly apart, or no more.

        An answer that took long says too little: then all stays as it is, until it is asked again.
        """
        asked = self.now()
        told = tell()
        took = self.now() - asked
        if took >= APART:
            return False
        apart = asked + took // 2 - told
        if abs(apart) >= APART:
            self._began -= apart
        ahead = self._wall.now() - self.now()
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
