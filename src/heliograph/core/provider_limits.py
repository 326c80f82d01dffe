"""Limits of a provider: how often it may be asked, and how slowly a new sender begins.

Law: pure; instants are arguments, and what is left of a bucket is one instant.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final, NamedTuple

PERIODS: Final = {"second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000}
"""µs of the periods in which a rate is said."""

_SHORTEST, _LONGEST = 1_000, 12 * PERIODS["hour"]
"""µs between two sends that a rate may come to."""
_APART = 60_000_000
"""µs by which the clocks of workers may differ."""
_EPOCH = date(1970, 1, 1).toordinal()
_DAY = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])")


class Rate(NamedTuple):
    """How often a provider may be asked."""

    interval: int
    """µs between two sends."""
    burst: int
    """How many may go at once after a rest."""

    def take(self, full_at: int, wanted: int, now: int) -> tuple[int, int]:
        """How many of so many may go now, and when the bucket is full again then.

        A bucket that is full at an instant lacks one token for each interval that is left until then. One that would
        lack more than it holds was written down by another rate, or before a clock was set back: it is empty.
        """
        empty = now + self.burst * self.interval
        full_at = max(full_at, now) if full_at <= empty + _APART else empty
        granted = max(0, min(wanted, (now - full_at) // self.interval + self.burst))
        return granted, full_at + granted * self.interval

    def next_at(self, full_at: int) -> int:
        """When the next one may go."""
        return full_at - (self.burst - 1) * self.interval


_ENDLESS = 10**12


class WarmUp(NamedTuple):
    """How many e-mails a day a new sender may send to one domain."""

    started_on: str
    """The first day, such as 2026-11-01 (UTC)."""
    first: int
    """How many on that day."""
    growth: float
    """What each day's number is multiplied by for the next."""
    days: int
    """After how many days there is no limit any more."""

    def limit(self, day: int) -> int | None:
        """How many may go to a domain on a day (days since 1970); None: any number."""
        days_since = day - date.fromisoformat(self.started_on).toordinal() + _EPOCH
        if days_since >= self.days:
            return None
        # What grows for a year may be more than a number can be.
        return int(min(self.first * self.growth ** min(max(days_since, 0), 300), _ENDLESS))


class Limits(NamedTuple):
    """How fast a provider may be asked; without either it has none."""

    rate: Rate | None
    warm_up: WarmUp | None


# ── reading what people write ───────────────────────────────────────────────────────────────────────


def rate_fault(given: Mapping[str, Any]) -> str | None:
    """What is wrong with a `rate_limit`, or None."""
    rate: Any = given.get("rate")
    period: Any = given.get("period")
    if given.keys() != {"rate", "period"} or not _is_number(rate) or period not in tuple(PERIODS):
        return 'takes {"rate": a number, "period": "second", "minute" or "hour"}, or null'
    if rate <= 0 or not _SHORTEST <= PERIODS[period] / rate <= _LONGEST:
        return "InvalidRateLimit: between two sends lie 1 millisecond to 12 hours"
    return None


def warm_up_fault(given: Mapping[str, Any]) -> str | None:
    """What is wrong with a `warm_up`, or None."""
    strangers = given.keys() - {"started_on", "first", "growth", "days"}
    if strangers:
        return f"knows started_on, first, growth and days, not {min(strangers)!r}"
    started = given.get("started_on")
    if not isinstance(started, str) or not _DAY.fullmatch(started) or not _is_day(started):
        return "started_on is required: a day such as 2026-11-01"
    for name, least, most in (("first", 1, 1_000_000), ("growth", 1, 10), ("days", 1, 365)):
        value = given.get(name, _WARM_UP.get(name))
        if not _is_number(value) or not least <= value <= most or (name != "growth" and value != int(value)):
            return f"{name} takes {least} to {most}"
    return None


def _is_day(written: str) -> bool:
    try:
        date.fromisoformat(written)
    except ValueError:
        return False
    return True


_WARM_UP: Mapping[str, float] = {"growth": 1.5, "days": 30}


def _is_number(given: object) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


def rate_of(settings: Mapping[str, Any]) -> Rate | None:
    """How often it may be asked; None: any number of times."""
    said = settings.get("rate_limit")
    if said is None:
        return None
    interval = int(PERIODS[said["period"]] / said["rate"])
    # A second's worth at once: a rate of a hundred a second need not be asked for each message.
    return Rate(interval, max(1, PERIODS["second"] // interval))


def warm_up_of(settings: Mapping[str, Any]) -> WarmUp | None:
    """How it is warmed up; None: not at all."""
    said = settings.get("warm_up")
    if said is None:
        return None
    whole = {**_WARM_UP, **said}
    return WarmUp(whole["started_on"], int(whole["first"]), float(whole["growth"]), int(whole["days"]))


def limits_of(settings: Mapping[str, Any]) -> Limits | None:
    """How fast it may be asked; None: as fast as it takes."""
    rate, warm_up = rate_of(settings), warm_up_of(settings)
    return Limits(rate, warm_up) if rate or warm_up else None
