"""Resting: how long whoever has the lowest priority lets others work, by how busy those keep the machine.

Law: what is decided is pure: `rest` and `busy`. `Machine` asks what the system tells of its processors.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

CALM, FULL = 0.25, 0.75
"""Of the machine's processors: below the one nobody minds, above the other whoever is at work needs all."""
ALONE, CROWDED = 0.5, 0.05
"""The part of its time for which it works: on a calm machine, and on a full one."""
_LONGEST = 0.5
_LOOKS_EVERY = 0.1
"""Seconds between two looks at the machine: less is too few of the system's ticks to tell anything."""
_SYSTEM = Path("/proc/stat")
_AT_WORK, _TOLD = (0, 1, 2, 5, 6), 8
"""Of what is told of processors: user, nice, system, irq, softirq; and how many figures are time of their own."""


class Times(NamedTuple):
    """Seconds of processors since some instant."""

    all: float
    """Of every processor, idle or not."""
    at_work: float
    own: float
    """Those that this process was at work."""


def rest(worked: float, busy: float) -> float:
    """Seconds to rest after so many of work, where others keep this part (0 to 1) of the machine busy."""
    crowd = min(1.0, max(0.0, (busy - CALM) / (FULL - CALM)))
    share = ALONE + crowd * (CROWDED - ALONE)
    return min(_LONGEST, worked * (1 - share) / share)


def busy(before: Times, after: Times) -> float:
    """Which part of the machine others kept busy between two looks."""
    passed = after.all - before.all
    others = (after.at_work - before.at_work) - (after.own - before.own)
    return min(1.0, max(0.0, others / passed)) if passed > 0 else 0.0


def read_times(line: str, own: float, ticks: int) -> Times:
    """What the first line of Linux's `/proc/stat` says, in ticks of which a second has so many."""
    told = [int(text) / ticks for text in line.split()[1 : _TOLD + 1]]
    return Times(sum(told), sum(told[place] for place in _AT_WORK), own)


class Machine:
    """The machine on which this runs, looked at now and then."""

    def __init__(self, look: Callable[[], float], stopwatch: Callable[[], float]):
        """`look` tells which part others kept busy since it was asked last; until then the machine is full."""
        self._look, self._stopwatch = look, stopwatch
        self._looked_at, self._busy = stopwatch(), 1.0

    def rest_after(self, worked: float) -> float:
        """Seconds to rest after so many of work."""
        if self._stopwatch() - self._looked_at >= _LOOKS_EVERY:
            self._looked_at, self._busy = self._stopwatch(), self._look()
        return rest(worked, self._busy)


def this_machine() -> Machine:
    """The one on which this runs; where the system does not tell of its processors, by what waits for them."""
    return Machine(_Linux() if _SYSTEM.exists() else _by_load, time.perf_counter)


class _Linux:
    """What Linux tells of its processors, from one look to the next."""

    def __init__(self) -> None:
        self._times = self._read()

    def __call__(self) -> float:
        before, self._times = self._times, self._read()
        return busy(before, self._times)

    @staticmethod
    def _read() -> Times:
        with _SYSTEM.open(encoding="ascii") as file:
            return read_times(file.readline(), time.process_time(), os.sysconf("SC_CLK_TCK"))


def _by_load() -> float:
    return min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
