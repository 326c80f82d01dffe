"""Quiet hours: by the clock on somebody's own wall."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import quiet_hours, schedule

MINUTE = 60 * schedule.SECOND
NIGHT = [{"start": "21:00", "end": "08:00"}]
ZONES = (
    "Europe/Lisbon",
    "Pacific/Auckland",
    "America/New_York",
    "America/Havana",  # midnight comes twice
    "Africa/Cairo",  # midnight does not exist
    "Australia/Lord_Howe",  # by half an hour
    "Pacific/Apia",
    "Asia/Kathmandu",
)
TURNS = ("2026-03-29", "2026-10-25", "2026-03-08", "2026-11-01", "2026-04-24", "2026-04-05", "2011-12-30")
_times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from((0, 15, 30, 59)))
_windows = st.lists(
    st.fixed_dictionaries(
        {"start": _times, "end": _times},
        optional={"days": st.lists(st.sampled_from(schedule.DAYS), min_size=1, max_size=3)},
    ),
    min_size=1,
    max_size=2,
)


def at(text: str) -> int:
    return schedule.parse_instant(text, "at")


def is_quiet(written: list[dict[str, Any]], zone: str, instant: int) -> bool:
    """Whether the clock on a wall of the zone shows a time within a window, told by another library."""
    wall = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)).astimezone(ZoneInfo(zone))
    shown = f"{wall:%H:%M}"
    for window in written:
        start, end = window["start"], window["end"]
        days = [schedule.DAYS.index(day) for day in window.get("days", schedule.DAYS)]
        if start < end:
            quiet = wall.weekday() in days and start <= shown < end
        else:
            today = wall.weekday() in days and shown >= start
            quiet = today or ((wall.weekday() - 1) % 7 in days and shown < end)
        if quiet:
            return True
    return False


@given(_windows, st.sampled_from(ZONES), st.sampled_from(TURNS), st.integers(-24 * 60, 24 * 60))
@example(NIGHT, "Europe/Lisbon", "2026-03-29", 0)
@example([{"start": "01:30", "end": "02:30"}], "America/New_York", "2026-03-08", 6 * 60 + 40)
@example([{"start": "01:15", "end": "01:30"}], "America/New_York", "2026-11-01", 6 * 60 + 20)
def test_what_waits_goes_out_at_the_first_minute_that_is_not_quiet(
    written: list[dict[str, Any]], zone: str, day: str, minutes: int
) -> None:
    """Around every change of the clocks: the instant is never within the hours, and every minute before it is."""
    try:
        windows = quiet_hours.check(written, "quiet_hours")
    except errors.InvalidInput:
        return
    now = at(f"{day}T00:00:00Z") + minutes * MINUTE
    ends = quiet_hours.ends(windows, zone, now)
    assert ends is not None
    assert not is_quiet(written, zone, ends)
    step = max(MINUTE, (ends - now) // 400 // MINUTE * MINUTE)
    assert all(is_quiet(written, zone, instant) for instant in range(now, ends, step))
    assert ends == now or is_quiet(written, zone, ends - 1)


def test_hours_that_never_end_are_refused() -> None:
    """Windows that cover the whole week are refused with the reason; those that leave a minute are not."""
    whole = [{"start": "08:00", "end": "21:00"}, *NIGHT]
    with pytest.raises(errors.InvalidInput, match="never goes out"):
        quiet_hours.check(whole, "quiet_hours")
    left = [{"start": "08:00", "end": "20:59"}, *NIGHT]
    windows = quiet_hours.check(left, "quiet_hours")
    assert quiet_hours.ends(windows, "UTC", at("2026-01-05T21:00:00Z")) == at("2026-01-06T20:59:00Z")
