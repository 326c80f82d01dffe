"""Moments in queries: an ISO 8601 date, or a moment."""

from __future__ import annotations

from datetime import date

from heliograph import errors
from heliograph.core import schedule

_DAY = 86_400_000_000


def read(given: str | None, name: str, *, last: bool = False) -> int | None:
    """The first microsecond of a date (UTC) or moment, or its last one; None where nothing is given.

    Raises errors.InvalidQuery.
    """
    if given is None:
        return None
    try:
        day = date.fromisoformat(given) if len(given) == 10 else None
        written = given if day is None else f"{day.isoformat()}T00:00:00Z"
        at = schedule.parse_instant(written, name)
    except (ValueError, errors.InvalidInput):
        raise errors.InvalidQuery(
            faults=[errors.Fault(name, "is an ISO 8601 date or timestamp, such as 2026-04-08")]
        ) from None
    return at + _DAY - 1 if last and day is not None else at
