"""The delay of a message: so long, until a moment, or until opening hours (courier-wire 2.1).

Law: a span is rounded up to the next minute; hours begin with their first minute and end before their last; what names
no zone is on the clock of the zone that is handed in. Nothing is delayed by more than 90 days.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from heliograph import errors
from heliograph.core import delays, schedule

_MINUTE: Final = 60 * schedule.SECOND
LONGEST: Final = 90 * schedule.DAY
_DAYS: Final = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_TIME = r"([01]?\d|2[0-4]):([0-5]\d)"
_SPAN = re.compile(rf"{_TIME}\s*-\s*{_TIME}")
_RULE = re.compile(rf"(?:([A-Za-z][A-Za-z,\s-]*?)\s+)?({_SPAN.pattern}(?:\s*,\s*{_SPAN.pattern})*)")
EXAMPLES: Final = 'is an ISO 8601 moment, or opening hours such as "Mo-Fr 09:00-17:00; Sa 10:00-14:00"'


class Delay(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a message is delayed."""

    duration: int | None = None
    """Milliseconds."""
    until: str | None = None
    zone: str | None = None


def due_at(delay: Delay, zone: str, now: int) -> int:
    """When (µs) a message is due that was asked for now. Raises InvalidInput where `until` is none."""
    if delay.until is None:
        return now if not delay.duration else -(-(now + delay.duration * 1000) // _MINUTE) * _MINUTE
    path, text = "message.delay.until", delay.until.strip()
    hours = _hours(text)
    if hours:
        opening = schedule.Schedule(zone, hours)
        at = now if schedule.is_active(opening, now) else schedule.next_change(opening, now)
    else:
        at = delays.moment(text, zone)
    if at is None:
        raise errors.InvalidInput.at(path, EXAMPLES)
    if at > now + LONGEST:
        raise errors.InvalidInput.at(path, "is more than 90 days away")
    return max(at, now)


def is_moment(until: str | None) -> bool:
    """Whether this is a moment or opening hours, if it is anything."""
    text = (until or "").strip()
    return until is None or bool(_hours(text)) or delays.moment(text) is not None


_EAST, _WEST = "Etc/GMT-14", "Etc/GMT+12"
"""Where a day begins first, and where last."""


def first_due_at(delay: Delay, now: int) -> int | None:
    """When (µs) the first of many is due who each have a clock of their own; None: all are at the same instant.

    Raises InvalidInput where `until` is none.
    """
    if delay.until is None or delay.zone is not None:
        return None
    ends = due_at(delay, _EAST, now), due_at(delay, _WEST, now)
    if _hours(delay.until.strip()):
        return now
    return None if ends[0] == ends[1] else min(ends)


class Waits(msgspec.Struct, frozen=True, array_like=True):
    """How long each of many waits, by a clock of their own."""

    delay: Delay
    asked_at: int
    due_at: int
    """When (µs) the first of them is due."""

    def until(self, zone: str) -> int:
        """When (µs) somebody is due who lives by the clocks of a zone."""
        return max(due_at(self.delay, zone, self.asked_at), self.due_at)


def _hours(text: str) -> tuple[schedule.Window, ...]:
    """The windows of opening hours; none where the text is no such."""
    if text == "24/7":
        return (schedule.WHOLE_DAY,)
    found: list[schedule.Window] = []
    for rule in text.split(";"):
        read = _RULE.fullmatch(" ".join(rule.split()))
        days = () if read is None else _days(read[1])
        if read is None or not days:
            return ()
        for begin_hour, begin_minute, end_hour, end_minute in _SPAN.findall(read[2]):
            begin, end = int(begin_hour) * 60 + int(begin_minute), int(end_hour) * 60 + int(end_minute)
            if max(begin, end) > 24 * 60:
                return ()
            found.append(schedule.Window(days, begin % (24 * 60), end % (24 * 60)))
    return tuple(found)


def _days(written: str | None) -> tuple[int, ...]:
    """The days of `Mo-Fr,Su`, 0 being Monday; all where nothing is written, none where it is unknown."""
    if written is None:
        return tuple(range(7))
    found: set[int] = set()
    for part in written.split(","):
        ends = [one.strip().title() for one in part.split("-")]
        if len(ends) > 2 or any(one not in _DAYS for one in ends):
            return ()
        first, last = _DAYS.index(ends[0]), _DAYS.index(ends[-1])
        found.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return tuple(sorted(found))
