"""Delays: how long a step waits, until when, and how periods and expiries are written.

Law: days and longer are kept on the wall of the run's zone, hours and shorter as time that passes (J5). A day that a
month does not have is its last one; a time that the clocks jump over is moved forward by the jump, and one that they
show twice is the first of the two.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, NamedTuple

import whenever

from heliograph import errors
from heliograph.core import schedule

# ── durations ───────────────────────────────────────────────────────────────────────────────────────


class Duration(NamedTuple):
    """A span on the wall and of time, to be added in this order: months, days, microseconds."""

    months: int = 0
    days: int = 0
    elapsed: int = 0


LONGEST: Final = Duration(1_200, 36_525, 36_525 * schedule.DAY)
"""A hundred years, in each unit."""

_MINUTE = 60 * schedule.SECOND
_UNITS: Final[Mapping[str, Duration]] = {
    "second": Duration(elapsed=schedule.SECOND),
    "minute": Duration(elapsed=_MINUTE),
    "hour": Duration(elapsed=schedule.HOUR),
    "day": Duration(days=1),
    "week": Duration(days=7),
    "month": Duration(months=1),
    "year": Duration(months=12),
}
_NUMBER = r"\d{1,18}(?:[.,]\d{1,18})?"
_PAIR = re.compile(rf"({_NUMBER})\s*([a-z]+)(?:\s*,)?\s*", re.ASCII)
_WORDS = re.compile(rf"(?:{_PAIR.pattern})+", re.ASCII)
_ISO = re.compile(
    rf"P(?:({_NUMBER})Y)?(?:({_NUMBER})M)?(?:({_NUMBER})W)?(?:({_NUMBER})D)?"
    rf"(?:T(?=\d)(?:({_NUMBER})H)?(?:({_NUMBER})M)?(?:({_NUMBER})S)?)?",
    re.ASCII,
)
_ISO_UNITS: Final = ("year", "month", "week", "day", "hour", "minute", "second")
_EXAMPLES: Final = '"5 minutes", "1 day 2 hours" or "P1DT2H"'


def parse_duration(given: object, path: str = "duration") -> Duration:
    """The span that `5 minutes` or `PT5M` names; zero is one too (A12, A14). Raises InvalidInput with the path."""
    return _duration(given.strip() if isinstance(given, str) else "", path)


@functools.lru_cache(maxsize=1_024)
def _duration(text: str, path: str) -> Duration:
    """The span, remembered: steps of plans say the same one for every run."""
    if text.startswith("-") or text[1:].startswith("-"):
        raise errors.InvalidInput.at(path, f"may not be negative: write it as {_EXAMPLES}")
    iso = _ISO.fullmatch(text.upper())
    if iso and iso.lastindex:
        pairs = [(unit, count) for unit, count in zip(_ISO_UNITS, iso.groups(), strict=True) if count]
    elif _WORDS.fullmatch(text.lower()):
        pairs = [(unit, count) for count, unit in _PAIR.findall(text.lower())]
    else:
        raise errors.InvalidInput.at(path, f"is a duration such as {_EXAMPLES}")
    total = Duration()
    for unit, count in pairs:
        total = _added(total, _in_units(unit, count, path))
    if any(part > most for part, most in zip(total, LONGEST, strict=True)):
        raise errors.InvalidInput.at(path, "is longer than 100 years")
    return total


def _in_units(unit: str, count: str, path: str) -> Duration:
    name = unit if unit in _UNITS else unit.removesuffix("s")
    one = _UNITS.get(name)
    if one is None:
        raise errors.InvalidInput.at(path, errors.unknown("unit", unit, tuple(_UNITS)))
    number = Decimal(count.replace(",", "."))
    if not one.elapsed and number != number.to_integral_value():
        raise errors.InvalidInput.at(path, f"{name}s are whole ones: {count} of them is none")
    return Duration(int(one.months * number), int(one.days * number), int(one.elapsed * number))


def _added(one: Duration, other: Duration) -> Duration:
    return Duration(one.months + other.months, one.days + other.days, one.elapsed + other.elapsed)


def after(now: int, duration: Duration, zone: str) -> int:
    """The instant that lies a duration after `now`, on the clocks of a zone; never before `now`."""
    at = now
    if duration.months or duration.days:
        there = whenever.Instant.from_timestamp(now, unit="microsecond").to_tz(zone)
        moved = there.to_plain().add(months=duration.months, days=duration.days)
        at = int(moved.assume_tz(zone, disambiguation="compatible").timestamp(unit="microsecond"))
    return max(at, now) + duration.elapsed


def zone_of(*names: object) -> str:
    """The first of these that is a time zone's name, else UTC: profile, tenant, workspace (E32)."""
    return next((str(name) for name in names if schedule.zone_fault(name) is None), "UTC")


def zone_told(told: Iterable[Mapping[str, Any]], of_workspace: object) -> str:
    """The zone that the first of these profiles and properties names, else the workspace's, else UTC."""
    return zone_of(*(one.get(name) for one in told for name in _ZONE), of_workspace)


_ZONE = ("zoneinfo", "timezone")


# ── until ───────────────────────────────────────────────────────────────────────────────────────────

_MOMENTS: Final = '"2026-04-08T09:10:00Z" or "20260408T091000.123"'


def parse_until(given: object, path: str = "until") -> int:
    """The instant of an ISO 8601 text, extended or basic; without a zone it is UTC (J6), and before 1970 it is 1970.

    Raises InvalidInput with the path.
    """
    text = given.strip() if isinstance(given, str) else ""
    at = _instant(text)
    if at is None:
        raise errors.InvalidInput.at(path, f"is an ISO 8601 moment such as {_MOMENTS}")
    return max(at, 0)


def moment(text: str, zone: str = "UTC") -> int | None:
    """The instant (µs) of an ISO 8601 date and time, read in `zone` where it names none; None where it is none."""
    if "[" in text:
        return None
    try:
        return int(whenever.Instant.parse_iso(text).timestamp(unit="microsecond"))
    except ValueError:
        pass
    try:
        local = whenever.PlainDateTime.parse_iso(text).assume_tz(zone, disambiguation="compatible")
    except ValueError:  # no date and time, or one that lies beyond the calendar's ends in this zone
        return None
    return int(local.timestamp(unit="microsecond"))


def _instant(text: str) -> int | None:
    at = moment(text)
    if at is not None:
        return at
    try:
        midnight = whenever.Date.parse_iso(text).at(whenever.Time())
    except ValueError:
        return None
    return int(midnight.assume_utc().timestamp(unit="microsecond"))


# ── periods and expiries ────────────────────────────────────────────────────────────────────────────

LONGEST_PERIOD: Final = 60 * schedule.DAY


def parse_period(given: object, path: str) -> int:
    """The microseconds of an ISO 8601 duration of weeks and shorter, above zero and 60 days at most (J2, A53).

    Raises InvalidInput with the path.
    """
    text = given.strip() if isinstance(given, str) else ""
    if not _ISO.fullmatch(text.upper()):
        raise errors.InvalidInput.at(path, 'is an ISO 8601 duration such as "PT10M" or "P1D"')
    duration = parse_duration(text, path)
    if duration.months:
        raise errors.InvalidInput.at(
            path, "is told in weeks, days and shorter: months and years vary in length"
        )
    period = duration.days * schedule.DAY + duration.elapsed
    if not 0 < period <= LONGEST_PERIOD:
        raise errors.InvalidInput.at(path, "is longer than zero and 60 days at most")
    return period


_DAYS = re.compile(r"(\d{1,4})\s*days?", re.ASCII | re.IGNORECASE)
_EPOCH = re.compile(r"\d{1,18}(?:\.\d{1,9})?", re.ASCII)
_MILLISECONDS_FROM: Final = 100_000_000_000
SHORTEST_KEPT, LONGEST_KEPT = schedule.DAY, 365 * schedule.DAY


def parse_expiry(given: object, now: int, path: str) -> int:
    """When an idempotency key is forgotten, between a day and a year from now, into which it is moved (J16, A61).

    Epoch seconds or milliseconds, ISO 8601, or `1 Day`. Raises InvalidInput with the path where it is none of them.
    """
    text = str(given).strip() if isinstance(given, str | int | float) and not isinstance(given, bool) else ""
    days = _DAYS.fullmatch(text)
    if days:
        at: int | None = now + int(days[1]) * schedule.DAY
    elif _EPOCH.fullmatch(text):
        number = Decimal(text)
        at = int(number * (schedule.SECOND if number < _MILLISECONDS_FROM else 1_000))
    else:
        at = _instant(text)
    if at is None:
        raise errors.InvalidInput.at(
            path,
            'is a moment: epoch seconds, epoch milliseconds, ISO 8601, or a number of days such as "2 days"',
        )
    return min(max(at, now + SHORTEST_KEPT), now + LONGEST_KEPT)
