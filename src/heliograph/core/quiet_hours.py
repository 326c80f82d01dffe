"""Quiet hours: when somebody is not to be disturbed, by the clock on their own wall.

Law: an instant is quiet where the clocks of the zone show a time within a window; one that they show twice is quiet
both times, one that they jump over never comes. A window belongs to the day on which it starts. What waits for the end
goes out at the first instant that is not quiet.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import whenever

from heliograph import errors
from heliograph.core import schedule

Windows = tuple[schedule.Window, ...]

_MINUTE = 60 * schedule.SECOND
_THURSDAY = 3
"""The day of the week on which 1970 began; 0 is Monday."""
_DAYS = 15
"""Windows leave a time in every week; one week's may fall into an hour that the clocks jump over."""


def check(given: object, path: str) -> Windows:
    """Windows as people write them. Raises errors.InvalidInput with every fault, also where they never end."""
    windows = schedule.read_windows(given, path)
    if windows and ends(windows, "UTC", 0) is None:
        raise errors.InvalidInput.at(path, "covers the whole week: what waits for its end never goes out")
    return windows


def ends(windows: Windows, zone: str, now: int) -> int | None:
    """The first instant from `now` on that is not quiet: `now` itself where nobody sleeps. None: there is none."""
    at, first = now, now // schedule.DAY
    for day in range(first, first + _DAYS):
        for start, end in _of_day(windows, zone, day):
            if start <= at < end:
                at = end
        if at < (day + 1) * schedule.DAY:
            return at
    return None


@lru_cache(4096)
def _of_day(windows: Windows, zone: str, day: int) -> tuple[schedule.Span, ...]:
    """The quiet spans of a day of UTC (counted from 1970), in order: what is asked again and again on that day."""
    spans: list[schedule.Span] = []
    for start, end, offset in _steady(zone, day * schedule.DAY, (day + 1) * schedule.DAY):
        for shown, over in _on_the_wall(windows, (start + offset) // schedule.DAY):
            span = max(shown - offset, start), min(over - offset, end)
            if span[0] < span[1]:
                spans.append(span)
    return tuple(schedule.merged(spans))


def _on_the_wall(windows: Windows, day: int) -> Iterator[schedule.Span]:
    """The windows near a day, as the clocks show them: from one instant to another as if the zone were UTC."""
    for near in range(day - 1, day + 3):
        for window in windows:
            if (near + _THURSDAY) % 7 in window.days:
                start = near * schedule.DAY + window.start * _MINUTE
                over = near + (window.end <= window.start)
                yield start, over * schedule.DAY + window.end * _MINUTE


def _steady(zone: str, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """The parts of a span in which the clocks of a zone run steadily: from, up to, and how far they are ahead."""
    while start < end:
        offset, low, high = _offset(zone, start), start, end
        if _offset(zone, end - 1) != offset:
            # Clocks change once in a day: where they do is looked for by halves.
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(zone, middle) == offset else (low, middle)
        yield start, high, offset
        start = high


def _offset(zone: str, at: int) -> int:
    """How far the clocks of a zone are ahead of UTC at an instant (µs)."""
    there = whenever.Instant.from_timestamp(at, unit="microsecond").to_tz(zone)
    return int(there.offset.total("seconds")) * schedule.SECOND
