"""Statistics: days of counts as windows, buckets and rates, and what is alarming in them.

Law: a day is a day of UTC, counted from 1970; a window of n days ends with today (rules.md C8). A run counts on the day
on which it was made, an event on the day on which it came in (R65). What is pending has not failed (C5).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from heliograph.core import schedule

PRECEDING = 4
"""So many windows before the present one say what is usual (C7)."""
_SPIKE = 3


class Counts(NamedTuple):
    """How many runs there were, and what came of them."""

    total: int = 0
    matched: int = 0
    executed: int = 0
    pending: int = 0

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(*(one + more for one, more in zip(self, other, strict=True)))

    @property
    def settled(self) -> int:
        """How many of those that matched wait for nothing more."""
        return self.matched - self.pending

    @property
    def failure_rate(self) -> float:
        """How many of a hundred settled runs have failed; 0 where none has settled (C5)."""
        return 100 * (self.settled - self.executed) / self.settled if self.settled > 0 else 0.0


class Window(NamedTuple):
    """Some days, from the first to the last."""

    first: int
    last: int


class Bucket(NamedTuple):
    """The counts of some days that follow one another."""

    start: int
    """The instant at which the first of them begins (µs)."""
    counts: Counts


def window(now: int, days: int) -> Window:
    """The last days, today among them."""
    today = now // schedule.DAY
    return Window(today - days + 1, today)


def preceding(present: Window) -> Window:
    """The windows of the same length before this one, all of them."""
    days = present.last - present.first + 1
    return Window(present.first - PRECEDING * days, present.first - 1)


def buckets(days: Window, length: int, by_day: Mapping[int, Counts]) -> list[Bucket]:
    """The days of a window in buckets of so many, oldest first; the last may be shorter (C8, R64)."""
    found = []
    for first in range(days.first, days.last + 1, length):
        counts = Counts()
        for day in range(first, min(first + length, days.last + 1)):
            counts = counts.plus(by_day.get(day, _NONE))
        found.append(Bucket(first * schedule.DAY, counts))
    return found


_NONE = Counts()


# ── what is alarming ────────────────────────────────────────────────────────────────────────────────


class Verdict(NamedTuple):
    """Why a rule is worth a look, and how bad it is."""

    level: str
    """`warning` or `critical`."""
    reasons: tuple[str, ...]
    """`failure_rate`, `volume_spike`, `went_quiet`."""


def verdict(settings: Mapping[str, Any], counts: Counts, matched_before: int) -> Verdict | None:
    """What a rule's alert settings (with every default) say of a window; `matched_before` is of those preceding it.

    None where nothing is alarming (C6, C7).
    """
    least, threshold = settings["min_matched_runs"], settings["failure_rate_threshold_pct"]
    reasons = []
    level = "warning"
    if counts.matched >= least and counts.settled > 0 and counts.failure_rate >= threshold:
        reasons.append("failure_rate")
        if counts.failure_rate >= max(settings["critical_threshold_pct"], threshold):
            level = "critical"
    if (
        matched_before > 0
        and counts.matched >= least
        and PRECEDING * counts.matched > _SPIKE * matched_before
    ):
        reasons.append("volume_spike")
    if counts.matched == 0 and matched_before >= PRECEDING * least:
        reasons.append("went_quiet")
    return Verdict(level, tuple(reasons)) if reasons else None
