"""Delays: spans on the wall and of time, moments, periods and expiries."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import delays, schedule

SECOND, DAY = schedule.SECOND, schedule.DAY
HOUR = 3600 * SECOND


def at(text: str) -> int:
    """The instant of a text."""
    return schedule.parse_instant(text, "at")


def fault(parse: object, *given: object) -> str:
    """What a parser has against this."""
    assert callable(parse)
    with pytest.raises(errors.InvalidInput) as refusal:
        parse(*given)
    return str(refusal.value.faults[0])


# ── durations ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("5 minutes", (0, 0, 300 * SECOND)),
        ("1 hour", (0, 0, HOUR)),
        ("3 days", (0, 3, 0)),
        ("2 weeks", (0, 14, 0)),
        ("1 month", (1, 0, 0)),
        ("2 Years 1 MONTH", (25, 0, 0)),
        ("  1   day   2 hours ", (0, 1, 2 * HOUR)),
        ("1 day, 2 hours", (0, 1, 2 * HOUR)),
        ("2seconds", (0, 0, 2 * SECOND)),
        ("1.5 seconds", (0, 0, 1_500_000)),
        ("0.5 hours", (0, 0, HOUR // 2)),
        ("1.0 day", (0, 1, 0)),
        ("0 seconds", (0, 0, 0)),
        ("PT0S", (0, 0, 0)),
        ("PT1.5S", (0, 0, 1_500_000)),
        ("PT1,5S", (0, 0, 1_500_000)),
        ("P1DT2H", (0, 1, 2 * HOUR)),
        ("P1Y2M3W4DT5H6M7S", (14, 25, 5 * HOUR + 367 * SECOND)),
        ("pt5m", (0, 0, 300 * SECOND)),
        ("P1M", (1, 0, 0)),
        ("PT1M", (0, 0, 60 * SECOND)),
    ],
)
def test_durations_in_words_and_in_iso(text: str, duration: tuple[int, int, int]) -> None:
    """Both forms are read, in any case and with any spaces; zero is a duration too."""
    assert delays.parse_duration(text) == duration


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "is a duration such as"),
        (None, "is a duration such as"),
        (5, "is a duration such as"),
        ("soon", "is a duration such as"),
        ("5", "is a duration such as"),
        ("5 minutes or so", "is a duration such as"),
        ("5 minuets", 'unknown unit "minuets", did you mean "minute"?'),
        ("P", "is a duration such as"),
        ("PT", "is a duration such as"),
        ("P1DT", "is a duration such as"),
        ("-5 minutes", "may not be negative"),
        ("-PT5M", "may not be negative"),
        ("P-1D", "may not be negative"),
        ("1.5 days", "days are whole ones"),
        ("P0.5Y", "years are whole ones"),
        ("101 years", "longer than 100 years"),
        ("999999999999999999 hours", "longer than 100 years"),
        ("9" * 400 + " seconds", "is a duration such as"),
    ],
)
def test_what_is_no_duration(text: object, hint: str) -> None:
    """A span that cannot be read says what is wrong with it, and how it is written."""
    told = fault(delays.parse_duration, text, "steps[2].duration")
    assert told.startswith("steps[2].duration: ")
    assert hint in told


@pytest.mark.parametrize(
    ("start", "text", "zone", "end"),
    [
        ("2026-01-31T12:00:00Z", "1 month", "UTC", "2026-02-28T12:00:00Z"),
        ("2028-01-31T12:00:00Z", "1 month", "UTC", "2028-02-29T12:00:00Z"),
        ("2028-02-29T12:00:00Z", "1 year", "UTC", "2029-02-28T12:00:00Z"),
        # A day is on the wall, 24 hours are not.
        ("2026-03-28T10:00:00Z", "1 day", "Europe/London", "2026-03-29T09:00:00Z"),
        ("2026-03-28T10:00:00Z", "24 hours", "Europe/London", "2026-03-29T10:00:00Z"),
        # 01:30 does not exist on the 29th: it is the later side of the gap.
        ("2026-03-28T01:30:00Z", "1 day", "Europe/London", "2026-03-29T01:30:00Z"),
        # 01:30 comes twice on the 25th of October: the first of the two.
        ("2026-10-24T00:30:00Z", "1 day", "Europe/London", "2026-10-25T00:30:00Z"),
        # Samoa left out a day.
        ("2011-12-29T22:00:00Z", "1 day", "Pacific/Apia", "2011-12-30T22:00:00Z"),
        ("2026-01-31T23:30:00Z", "1 month 30 minutes", "Asia/Tokyo", "2026-03-01T00:00:00Z"),
        ("2026-01-31T12:00:00.123456Z", "0 seconds", "UTC", "2026-01-31T12:00:00.123456Z"),
    ],
)
def test_where_a_duration_ends(start: str, text: str, zone: str, end: str) -> None:
    """Days and longer keep the time of day of the run's zone, shorter ones pass as time does."""
    assert delays.after(at(start), delays.parse_duration(text), zone) == at(end)


@given(
    st.integers(at("1975-01-01T00:00:00Z"), at("2035-01-01T00:00:00Z")),
    st.integers(1, 400),
    st.sampled_from(sorted(schedule.zones())),
)
def test_days_keep_the_time_of_day(now: int, days: int, zone: str) -> None:
    """In every zone a number of days later the clocks show the same time, unless they jump over it that day."""
    clocks = ZoneInfo(zone)
    start = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=now)).astimezone(clocks)
    end = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        microseconds=delays.after(now, delays.Duration(days=days), zone)
    )
    wanted = start.replace(tzinfo=None) + timedelta(days=days)
    there = wanted.replace(tzinfo=clocks)
    exists = there.astimezone(UTC).astimezone(clocks).replace(tzinfo=None) == wanted
    if exists:
        assert end.astimezone(clocks).replace(tzinfo=None) == wanted
    else:
        assert end == there.astimezone(UTC)


@pytest.mark.torture
def test_the_time_of_day_is_kept(scale: Callable[[int, int], int], record_property: Any) -> None:
    """Over every zone and sixty years a day later is the same time of day, by another library's reckoning."""
    looked = 0
    for index, zone in enumerate(sorted(schedule.zones())):
        clocks = ZoneInfo(zone)
        for day in range(index * scale(37, 0) % 400, 60 * 365, scale(1_601, 1)):
            now = at("1990-01-01T00:00:00Z") + day * DAY + (day * 7 + index) % 24 * HOUR
            start = datetime.fromtimestamp(now // SECOND, clocks)
            wanted = (start.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=clocks)
            found = delays.after(now, delays.Duration(days=1), zone)
            assert found == int(wanted.timestamp()) * SECOND, (zone, start)
            looked += 1
    record_property("delays", looked)


@given(
    st.integers(0, at("2090-01-01T00:00:00Z")),
    st.builds(delays.Duration, st.integers(0, 600), st.integers(0, 9_000), st.integers(0, 90 * DAY)),
    st.sampled_from(sorted(schedule.zones())),
)
def test_time_does_not_run_backwards(now: int, duration: delays.Duration, zone: str) -> None:
    """A delay never ends before it began."""
    assert delays.after(now, duration, zone) >= now + duration.elapsed


def test_the_zone_is_the_first_that_there_is() -> None:
    """The profile's zone, else the tenant's, else the workspace's, else UTC; what is no zone is passed over."""
    assert delays.zone_of(None, "Nowhere/Else", 5, "Asia/Tokyo", "Europe/Paris") == "Asia/Tokyo"
    assert delays.zone_of() == "UTC"


# ── until ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2021-02-18T18:40:05.960Z", "2021-02-18T18:40:05.960Z"),
        ("20240408T080910.123", "2024-04-08T08:09:10.123Z"),
        ("20240408T080910Z", "2024-04-08T08:09:10Z"),
        ("2024-04-08T08:09", "2024-04-08T08:09:00Z"),
        ("2024-04-08 08:09:10+02:00", "2024-04-08T06:09:10Z"),
        (" 2024-04-08 ", "2024-04-08T00:00:00Z"),
        ("20240408", "2024-04-08T00:00:00Z"),
        ("1900-01-01T00:00:00", "1970-01-01T00:00:00Z"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    """ISO 8601 in its extended and its basic form; without a zone it is UTC."""
    assert delays.parse_until(text) == at(moment)


@pytest.mark.parametrize(
    "text", ["", "soon", None, 5, "2024-13-01", "2024-04-08T08:09[Europe/Paris]", "08:09"]
)
def test_what_is_no_moment(text: object) -> None:
    """A text that is no moment is refused with an example of one."""
    assert "until: is an ISO 8601 moment such as" in fault(delays.parse_until, text)


# ── periods and expiries ────────────────────────────────────────────────────────────────────────────


def test_periods() -> None:
    """A batch's period is ISO 8601, of weeks and shorter, above zero and 60 days at most."""
    assert delays.parse_period("PT10M", "wait_period") == 600 * SECOND
    assert delays.parse_period("P60D", "wait_period") == 60 * DAY
    assert delays.parse_period("P1WT1H", "wait_period") == 7 * DAY + HOUR
    assert "months and years vary" in fault(delays.parse_period, "P1M", "wait_period")
    assert "60 days at most" in fault(delays.parse_period, "P60DT1S", "wait_period")
    assert "longer than zero" in fault(delays.parse_period, "PT0S", "wait_period")
    assert "is an ISO 8601 duration" in fault(delays.parse_period, "5 minutes", "wait_period")


def test_expiries() -> None:
    """Seconds, milliseconds, ISO 8601 and days are told apart, and moved to between a day and a year from now."""
    now = at("2026-07-01T00:00:00Z")
    for same in ("1785312000", 1785312000, "1785312000000", 1785312000000.0, "2026-07-29T08:00:00Z"):
        assert delays.parse_expiry(same, now, "x") == at("2026-07-29T08:00:00Z")
    assert delays.parse_expiry("1 Day", now, "x") == now + DAY
    assert delays.parse_expiry("2 days", now, "x") == now + 2 * DAY
    assert delays.parse_expiry("0", now, "x") == now + DAY
    assert delays.parse_expiry("9999-01-01", now, "x") == now + 365 * DAY
    for wrong in ("soon", "", None, True, "1 week", "-1"):
        assert "is a moment: epoch seconds" in fault(delays.parse_expiry, wrong, now, "x")
