"""Moments in queries: an ISO 8601 date, or a moment, which without a zone is UTC (journeys.md J6, 1.1)."""

from __future__ import annotations

from datetime import date

from heliograph import errors
from heliograph.core import delays, schedule


def read(given: str | None, name: str, *, last: bool = False) -> int | None:
    """The first microsecond of a date (UTC) or moment, or its last one; None where nothing is given.

    Raises errors.InvalidQuery.
    """
    if given is None:
        return None
    try:
        at = delays.parse_until(given, name)
    except errors.InvalidInput:
        raise errors.InvalidQuery(
            faults=[errors.Fault(name, "is an ISO 8601 date or timestamp, such as 2026-04-08")]
        ) from None
    return at + schedule.DAY - 1 if last and _is_date(given) else at


def _is_date(given: str) -> bool:
    try:
        date.fromisoformat(given.strip())
    except ValueError:
        return False
    return True
