"""Schedules, instants and back-off: all reasoning about time.

Law: an instant is an int, microseconds since 1970 UTC, and comes in as an argument. A window is wall-clock time in
its schedule's zone, from its start up to but without its end, and belongs to the day on which it starts. A wall-clock
time that the clocks jump over is moved forward by the jump; one that they show twice is the first of the two. Each
end of a window is resolved by itself, and a window that comes out empty is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

import msgspec
import whenever

from heliograph import errors
from heliograph.core import documents, readers

SECOND = 1_000_000
"""A second in the unit of all instants and spans: microseconds."""

HOUR = 3_600 * SECOND
DAY = 24 * HOUR

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_EPOCH = date(1970, 1, 1).toordinal()
_LAST_DAY = date(9999, 12, 30).toordinal()

Span = tuple[int, int]
"""From an instant up to but without another."""

# ── instants ────────────────────────────────────────────────────────────────────────────────────────

_EXAMPLE = '"2026-01-02T03:04:05Z"'
_parse = whenever.Instant.parse_iso
_from_timestamp = whenever.Instant.from_timestamp


def parse_instant(text: object, path: str) -> int:
    """The instant of an ISO 8601 text with `Z` or an offset, years 1970 to 9999; what is finer than 1 µs is cut off.

    Raises InvalidInput with the path: no zone is ever guessed.
    """
    if isinstance(text, str) and "[" not in text:
        try:
            at = int(_parse(text).timestamp(unit="microsecond"))
        except ValueError:
            pass
        else:
            if at >= 0:
                return at
    raise errors.InvalidInput.at(path, _instant_fault(text))


def later(now: int, changed_at: int) -> int:
    """When (µs) somebody changes at `now` what was changed last at `changed_at`: not before that."""
    # Who waited for another writer looked at the clock before that one, and is the later one all the same.
    return now if now >= changed_at else changed_at + 1


def write_instant(at: int) -> str:
    """The instant as `2026-01-02T03:04:05.123456Z`: always six digits, so texts sort as instants do."""
    return _from_timestamp(at, unit="microsecond").format_iso(unit="microsecond")


def _instant_fault(text: object) -> str:
    if not isinstance(text, str):
        return f"is an instant such as {_EXAMPLE}, as text"
    for kind in (whenever.PlainDateTime, whenever.Date):
        try:
            kind.parse_iso(text)
        except ValueError:
            continue
        return f"has no offset: write it in full, with Z or an offset such as +02:00, as in {_EXAMPLE}"
    try:
        _parse(text)
    except ValueError:
        return f"is no ISO 8601 instant with Z or an offset such as +02:00: write it as in {_EXAMPLE}"
    return f"is an instant from 1970 to 9999, without a zone's name in brackets, such as {_EXAMPLE}"


# ── zones ───────────────────────────────────────────────────────────────────────────────────────────


@lru_cache(1)
def zones() -> frozenset[str]:
    """The names of all time zones (IANA)."""
    return frozenset(whenever.available_timezones())


def zone_fault(name: object) -> str | None:
    """Why this is not the name of a time zone, or None."""
    if isinstance(name, str) and name in zones():
        return None
    if not isinstance(name, str):
        return 'is the name of a time zone, such as "Europe/Paris"'
    return documents.unknown("time zone", name, zones())


def check_zone(name: object, path: str) -> str:
    """The name of a time zone, as it was given. Raises InvalidInput with the path where there is none of it."""
    fault = zone_fault(name)
    if fault:
        raise errors.InvalidInput.at(path, fault)
    return str(name)


def resolve(zone: str, day: int, minutes: int) -> int:
    """The instant at which the clocks of a zone show a time of day (minutes) on a day (ordinal of the date)."""
    on = date.fromordinal(day)
    wall = whenever.PlainDateTime(on.year, on.month, on.day, minutes // 60, minutes % 60)
    return int(wall.assume_tz(zone, disambiguation="compatible").timestamp(unit="microsecond"))


def local_day(zone: str, at: int) -> int:
    """The day (ordinal of the date) that the clocks of a zone show at an instant."""
    return _local(zone, at).date().to_stdlib().toordinal()


def same_time(zone: str, at: int, day: int) -> int:
    """The instant on another day at which the clocks of a zone show the time of day that they show at `at`."""
    wall = _local(zone, at).to_plain().replace_date(whenever.Date(date.fromordinal(day)))
    return int(wall.assume_tz(zone, disambiguation="compatible").timestamp(unit="microsecond"))


def _local(zone: str, at: int) -> whenever.ZonedDateTime:
    return _from_timestamp(at, unit="microsecond").to_tz(zone)


def days_begun(zone: str, after: int, until: int) -> list[tuple[int, int]]:
    """The days of a zone that began after an instant and not after another, in order: (day, its start).

    A day that the zone left out begins with the one after it; one that came twice began the first time.
    """
    days = range(local_day(zone, after) - 1, local_day(zone, until) + 3)
    starts = ((day, resolve(zone, day, 0)) for day in days)
    return [(day, start) for day, start in starts if after < start <= until]


def next_day(zone: str, now: int) -> int:
    """The first instant after `now` at which a day begins in a zone."""
    return min(start for _, start in days_begun(zone, now, now + 3 * DAY))


def parse_local(text: object, zone: str | None, path: str) -> int:
    """The instant of an ISO 8601 text: its own offset decides; without one it is wall-clock time in this zone.

    Raises InvalidInput with the path: without an offset and a zone nothing is guessed.
    """
    try:
        wall = whenever.PlainDateTime.parse_iso(text) if isinstance(text, str) else None
    except ValueError:
        wall = None
    if wall is None:
        return parse_instant(text, path)
    if zone is None:
        fix = "name the `timezone` whose clocks it is on, or add Z or an offset such as +02:00"
        raise errors.InvalidInput.at(path, f"has no offset: {fix}")
    try:
        at = int(wall.assume_tz(zone, disambiguation="compatible").timestamp(unit="microsecond"))
    except ValueError:  # it lies beyond the calendar's ends in this zone
        at = -1
    if at < 0:
        raise errors.InvalidInput.at(path, "is a moment from 1970 to 9999")
    return at


# ── schedules ───────────────────────────────────────────────────────────────────────────────────────


class Window(NamedTuple):
    """A time of day on some days of the week."""

    days: tuple[int, ...]
    """0 is Monday."""
    start: int
    """Minutes after midnight."""
    end: int
    """Minutes after midnight, of the next day where it is not after the start."""


WHOLE_DAY = Window(tuple(range(7)), 0, 0)


class Schedule(msgspec.Struct, frozen=True, cache_hash=True):
    """When a rule is active."""

    zone: str = "UTC"
    windows: tuple[Window, ...] = ()
    """Empty: active all the time from `starts_at` up to `ends_at`."""
    starts_at: int = 0
    ends_at: int | None = None
    excluded: frozenset[int] = frozenset()
    """Days (ordinals) on which no window starts."""


ALWAYS = Schedule()


def is_always(schedule: Schedule) -> bool:
    """Whether the schedule puts no limit."""
    return not schedule.windows and not schedule.starts_at and schedule.ends_at is None


def is_active(schedule: Schedule, now: int) -> bool:
    """Whether the schedule lets its rule run at this instant."""
    if now < schedule.starts_at or (schedule.ends_at is not None and now >= schedule.ends_at):
        return False
    return not schedule.windows or any(start <= now < end for start, end in _around(schedule, now // DAY))


def windows(schedule: Schedule, start: int, end: int) -> list[Span]:
    """When it is active between two instants: spans in order, merged where they touch, cut off at both."""
    start = max(start, schedule.starts_at)
    end = end if schedule.ends_at is None else min(end, schedule.ends_at)
    if start >= end:
        return []
    if not schedule.windows:
        return [(start, end)]
    spans = merged(_spans(schedule, start // DAY, end // DAY))
    return [(max(a, start), min(b, end)) for a, b in spans if a < end and b > start]


def next_change(schedule: Schedule, now: int) -> int | None:
    """The first instant after `now` at which being active turns, or None where it never will.

    Looks at the next 400 days, in which the clocks' rules repeat, and around each excluded date after them.
    """
    active = is_active(schedule, now)
    changes = (at for at in _edges(schedule, now) if is_active(schedule, at) != active)
    return next(changes, None)


def _edges(schedule: Schedule, now: int) -> Iterator[int]:
    """The instants after `now` at which being active may turn, in order."""
    first, last = max(now, schedule.starts_at), schedule.ends_at
    if first > now:
        yield first
    for day in _days_to_look_at(schedule, first // DAY) if schedule.windows else ():
        for edge in sorted(edge for span in _around(schedule, day) for edge in span):
            # A span that goes over midnight is seen from both days; each edge counts in its own.
            if edge > first and edge // DAY == day and (last is None or edge < last):
                yield edge
    if last is not None and last > now:
        yield last


def _days_to_look_at(schedule: Schedule, first: int) -> Iterator[int]:
    """Days of UTC on which a change may be found: each of the clocks' cycle, then those near an excluded date."""
    end = first + 400
    yield from range(first, end)
    near = {day - _EPOCH + offset for day in schedule.excluded for offset in range(-3, 17)}
    yield from sorted(day for day in near if day >= end)


@lru_cache(4096)
def _around(schedule: Schedule, day: int) -> tuple[Span, ...]:
    """The merged spans that touch a day of UTC (counted from 1970): what is asked again and again on that day."""
    return tuple(merged(_spans(schedule, day, day)))


def _spans(schedule: Schedule, first: int, last: int) -> Iterator[Span]:
    """The windows of all local days that may reach into these days of UTC, which are counted from 1970.

    Local dates are up to a day off, a window lasts into the next day, and where the clocks change they may repeat
    or leave out part of a day, or, where a country moves over the date line, the whole of it.
    """
    for day in range(max(_EPOCH + first - 3, 1), min(_EPOCH + last + 2, _LAST_DAY) + 1):
        if day in schedule.excluded:
            continue
        for window in schedule.windows:
            if (day - 1) % 7 in window.days:
                start = resolve(schedule.zone, day, window.start)
                end = resolve(schedule.zone, day + (window.end <= window.start), window.end)
                if start < end:
                    yield start, end


def merged(spans: Iterable[Span]) -> list[Span]:
    """These spans in order, as few as cover the same."""
    merged: list[Span] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


# ── settings of a schedule ──────────────────────────────────────────────────────────────────────────

MAX_WINDOWS, MAX_DATES = 100, 1_000

_KEYS = ("enabled", "timezone", "windows", "starts_at", "ends_at", "exclude_dates")
_WINDOW_KEYS = ("days", "start", "end")
_TIME = re.compile("([01][0-9]|2[0-3]):([0-5][0-9])")
_DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse(given: object, path: str = "schedule_settings") -> Schedule:
    """The schedule that these settings (decoded JSON) describe; null and `{}` put no limit.

    Without `timezone` the windows are in UTC, without `days` a window opens every day; null stands for absent.
    Raises InvalidInput with every fault found.
    """
    if given is None:
        return ALWAYS
    settings = readers.Reader(given, path, _KEYS)
    enabled = settings.take("enabled", readers.flag, True)
    zone = settings.take("timezone", check_zone, "UTC")
    windows: tuple[Window, ...] = settings.take("windows", read_windows, ())
    starts_at = settings.take("starts_at", parse_instant, 0)
    ends_at = settings.take("ends_at", parse_instant, None)
    excluded = frozenset(settings.take("exclude_dates", _dates, ()))
    if ends_at is not None and ends_at <= starts_at:
        settings.fault("ends_at", "is not after starts_at")
    settings.close()
    if not enabled:
        return Schedule(zone)
    if excluded and not windows:
        windows = (WHOLE_DAY,)
    return Schedule(zone, windows, starts_at, ends_at, excluded)


def read_windows(given: object, path: str) -> tuple[Window, ...]:
    """Windows as people write them. Raises InvalidInput with every fault."""
    return readers.each(given, path, _window, "windows", MAX_WINDOWS)


def _window(given: object, path: str) -> Window:
    settings = readers.Reader(given, path, _WINDOW_KEYS)
    days = settings.take("days", _days, WHOLE_DAY.days)
    window = Window(days, settings.need("start", _minutes, 0), settings.need("end", _minutes, 0))
    settings.close()
    return window


def _days(given: object, path: str) -> tuple[int, ...]:
    if given == []:
        raise errors.InvalidInput.at(path, "names at least one day, or is left out for every day")
    return readers.each(given, path, _day, "days", 50)


def _day(given: object, path: str) -> int:
    if isinstance(given, str) and given in DAYS:
        return DAYS.index(given)
    if not isinstance(given, str):
        raise errors.InvalidInput.at(path, f"is one of {', '.join(DAYS)}")
    raise errors.InvalidInput.at(path, documents.unknown("day", given, DAYS))


def _minutes(given: object, path: str) -> int:
    time = _TIME.fullmatch(given) if isinstance(given, str) else None
    if time is None:
        raise errors.InvalidInput.at(path, 'is a time of day from "00:00" to "23:59"; midnight is "00:00"')
    return int(time[1]) * 60 + int(time[2])


def _dates(given: object, path: str) -> tuple[int, ...]:
    return readers.each(given, path, _ordinal, "dates", MAX_DATES)


def _ordinal(given: object, path: str) -> int:
    # The pattern comes first, because fromisoformat takes weeks and other forms too.
    if isinstance(given, str) and _DATE.fullmatch(given):
        try:
            return date.fromisoformat(given).toordinal()
        except ValueError:
            pass
    raise errors.InvalidInput.at(path, 'is a date such as "2026-12-25"')


# ── back-off ────────────────────────────────────────────────────────────────────────────────────────

LONGEST_WAIT = 3_600 * SECOND
"""No try is put off for longer than an hour."""


def event_retry_at(attempts: int, now: int) -> int:
    """When an event that raised at its n-th attempt is tried again: 2^n · 5 s later, at most an hour (C30)."""
    return now + min((5 * SECOND) << min(attempts, 30), LONGEST_WAIT)


def delivery_retry_at(attempts: int, now: int, message_id: bytes) -> int:
    """When a message that failed for now at its n-th attempt (1, 2, …) is sent again.

    The wait is between a half and the whole of 2^n · 10 s, which is at most an hour. Where in that half follows from
    the message and the attempt, so that what failed together does not come back together, and asking twice gives the
    same instant.
    """
    whole = min((10 * SECOND) << min(attempts, 30), LONGEST_WAIT)
    share = crc32(message_id + attempts.to_bytes(4, "big"))
    return now + whole // 2 + (whole // 2 * share >> 32)
