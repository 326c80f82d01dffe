"""Time: instants, windows on the clocks of a zone, and how long to wait before another try."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import schedule

MINUTE = 60 * schedule.SECOND
LAST = 253_402_300_799_999_999
TURNS = [
    ("Europe/London", "2026-03-29"),
    ("Europe/London", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Africa/Cairo", "2026-04-24"),  # midnight does not exist
    ("America/Havana", "2026-11-01"),  # midnight comes twice
    ("America/St_Johns", "2010-11-07"),  # the day before comes back for an hour
    ("Australia/Lord_Howe", "2026-04-05"),  # by half an hour
    ("Pacific/Apia", "2011-12-30"),  # a whole day does not exist
    ("Asia/Kathmandu", "2026-07-01"),
]


def at(text: str) -> int:
    """The instant of a text."""
    return schedule.parse_instant(text, "at")


def faults(settings: object) -> list[tuple[str, str]]:
    """What is wrong with these settings."""
    with pytest.raises(errors.InvalidInput) as refusal:
        schedule.parse(settings)
    return [tuple(fault) for fault in refusal.value.faults]  # type: ignore[misc]


# ── instants ────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, LAST), st.integers(0, LAST))
@example(0, LAST)
def test_instants_survive_being_written(one: int, other: int) -> None:
    """An instant is read back as it was written, and texts sort as instants do."""
    assert at(schedule.write_instant(one)) == one
    assert (schedule.write_instant(one) < schedule.write_instant(other)) == (one < other)


@given(st.integers(0, LAST // 2), st.integers(-23 * 60, 23 * 60))
def test_offsets_name_the_same_instant(instant: int, minutes: int) -> None:
    """An instant written with any offset is the same instant."""
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=2, microseconds=instant)
    there = moment + timedelta(minutes=minutes)
    sign = "-" if minutes < 0 else "+"
    text = f"{there:%Y-%m-%dT%H:%M:%S.%f}{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    assert at(text.zfill(32)) == instant + 2 * schedule.DAY


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T03:04Z", "2026-01-02T03:04:00.000000Z"),
        ("2026-01-02t03:04:05.5z", "2026-01-02T03:04:05.500000Z"),
        ("2026-01-02 03:04:05.123456789+05:30", "2026-01-01T21:34:05.123456Z"),
        ("20260102T030405-0800", "2026-01-02T11:04:05.000000Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_forms_of_an_instant(text: str, written: str) -> None:
    """The forms of ISO 8601 are read; an instant is always written in the same one."""
    assert schedule.write_instant(at(text)) == written


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("2026-01-02T03:04:05", "has no offset"),
        ("2026-01-02", "has no offset"),
        ("2026-01-02T03:04:05+01:00[Europe/Paris]", "without a zone's name"),
        ("1969-12-31T23:59:59Z", "from 1970 to 9999"),
        ("9999-12-31T23:59:59-01:00", "is no ISO 8601 instant"),
        ("2026-02-30T00:00:00Z", "is no ISO 8601 instant"),
        ("2026-01-02T25:00:00Z", "is no ISO 8601 instant"),
        ("tomorrow", "is no ISO 8601 instant"),
        ("", "is no ISO 8601 instant"),
        ("\ud800", "is no ISO 8601 instant"),
        (1767322800, "as text"),
        (None, "as text"),
    ],
)
def test_what_is_no_instant(text: object, hint: str) -> None:
    """A text without offset, or that is no instant, is refused with its path and a way to write it."""
    with pytest.raises(errors.InvalidInput) as refusal:
        schedule.parse_instant(text, "snoozed_until")
    [fault] = refusal.value.faults
    assert fault.path == "snoozed_until"
    assert hint in fault.message
    assert "2026-01-02T03:04:05Z" in fault.message


# ── settings ────────────────────────────────────────────────────────────────────────────────────────

OFFICE: dict[str, Any] = {
    "enabled": True,
    "timezone": "Asia/Jakarta",
    "windows": [{"days": ["mon", "tue", "wed", "thu", "fri"], "start": "09:00", "end": "17:00"}],
    "starts_at": None,
    "ends_at": "2026-12-31T12:00:00+07:00",
    "exclude_dates": ["2026-12-25"],
}


@pytest.mark.parametrize("settings", [None, {}, {**OFFICE, "enabled": False}, {"windows": []}])
def test_no_limits_means_always(settings: object) -> None:
    """No settings, none that limit, and settings switched off leave the rule active for ever."""
    always = schedule.parse(settings)
    assert schedule.is_active(always, 0)
    assert schedule.is_active(always, LAST)
    assert schedule.next_change(always, 0) is None
    assert schedule.windows(always, 5, 9) == [(5, 9)]


def test_all_faults_are_found_at_once() -> None:
    """Every fault in the settings is listed with its path and its mend."""
    assert faults(
        {
            "enabled": "yes",
            "timezone": "Europe/Pari",
            "time_zone": "UTC",
            "windows": [
                {"days": ["mon", "Tuesday", 3], "start": "9:00", "end": "24:00"},
                {"days": [], "start": "09:00", "until": "10:00"},
                "mon",
            ],
            "starts_at": "2026-05-01T00:00:00",
            "exclude_dates": ["2026-02-29", "2026-W01-1"],
        }
    ) == [
        ("schedule_settings.time_zone", 'unknown key "time_zone", did you mean "timezone"?'),
        ("schedule_settings.enabled", "is true or false"),
        ("schedule_settings.timezone", 'unknown time zone "Europe/Pari", did you mean "Europe/Paris"?'),
        ("schedule_settings.windows[0].days[1]", 'unknown day "Tuesday", did you mean "tue"?'),
        ("schedule_settings.windows[0].days[2]", "is one of mon, tue, wed, thu, fri, sat, sun"),
        (
            "schedule_settings.windows[0].start",
            'is a time of day from "00:00" to "23:59"; midnight is "00:00"',
        ),
        (
            "schedule_settings.windows[0].end",
            'is a time of day from "00:00" to "23:59"; midnight is "00:00"',
        ),
        ("schedule_settings.windows[1].until", 'unknown key "until": it is one of days, start, end'),
        (
            "schedule_settings.windows[1].days",
            "names at least one day, or is left out for every day",
        ),
        ("schedule_settings.windows[1].end", "is required"),
        ("schedule_settings.windows[2]", "is an object with the keys days, start, end"),
        (
            "schedule_settings.starts_at",
            'has no offset: write it in full, with Z or an offset such as +02:00, as in "2026-01-02T03:04:05Z"',
        ),
        ("schedule_settings.exclude_dates[0]", 'is a date such as "2026-12-25"'),
        ("schedule_settings.exclude_dates[1]", 'is a date such as "2026-12-25"'),
    ]


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ([], "schedule_settings"),
        ({"windows": {}}, "schedule_settings.windows"),
        ({"exclude_dates": ["2026-01-01"] * 1001}, "schedule_settings.exclude_dates"),
        ({"timezone": 1}, "schedule_settings.timezone"),
        ({"timezone": "../etc/passwd"}, "schedule_settings.timezone"),
        (
            {"starts_at": "2026-01-01T00:00:00Z", "ends_at": "2026-01-01T00:00:00Z"},
            "schedule_settings.ends_at",
        ),
    ],
)
def test_what_is_no_schedule(settings: object, path: str) -> None:
    """Settings of a wrong shape are refused at the place that is wrong."""
    assert [place for place, _ in faults(settings)] == [path]


# ── windows ─────────────────────────────────────────────────────────────────────────────────────────


def spans(
    zone: str, start: str, end: str, *windows: tuple[str, str], **others: object
) -> list[tuple[str, str]]:
    """The preview of a schedule with these windows on every day, as texts up to the minute."""
    settings = {"timezone": zone, "windows": [{"start": a, "end": b} for a, b in windows], **others}
    found = schedule.windows(schedule.parse(settings), at(start), at(end))
    return [(schedule.write_instant(a)[5:16], schedule.write_instant(b)[5:16]) for a, b in found]


@pytest.mark.parametrize(
    ("zone", "day", "minutes", "instant"),
    [
        ("Europe/London", date(2026, 3, 29), 60, "2026-03-29T01:00:00Z"),
        ("Europe/London", date(2026, 3, 29), 90, "2026-03-29T01:30:00Z"),
        ("Europe/London", date(2026, 10, 25), 90, "2026-10-25T00:30:00Z"),
        ("America/New_York", date(2026, 3, 8), 120, "2026-03-08T07:00:00Z"),
    ],
)
def test_golden_instants_where_clocks_change(zone: str, day: date, minutes: int, instant: str) -> None:
    """A time that is jumped over moves forward by the jump; one that comes twice is the first."""
    assert schedule.resolve(zone, day.toordinal(), minutes) == at(instant)


def test_a_window_that_the_jump_swallows_is_left_out() -> None:
    """Each end is resolved alone, so a window within the jump keeps its length and one up to its end is empty."""
    day = ("2026-03-29T00:00:00Z", "2026-03-29T12:00:00Z")
    assert spans("Europe/London", *day, ("01:15", "01:45")) == [("03-29T01:15", "03-29T01:45")]
    assert spans("Europe/London", *day, ("01:15", "02:00")) == []
    assert spans("Europe/London", *day, ("00:30", "01:30")) == [("03-29T00:30", "03-29T01:30")]


def test_both_ends_take_the_first_of_two() -> None:
    """A window that ends at a time that comes twice ends at the first of them."""
    day = ("2026-10-24T23:00:00Z", "2026-10-25T04:00:00Z")
    assert spans("Europe/London", *day, ("00:15", "01:30")) == [("10-24T23:15", "10-25T00:30")]
    assert spans("Europe/London", *day, ("01:30", "02:30")) == [("10-25T00:30", "10-25T02:30")]


def test_night_windows_belong_to_the_day_on_which_they_start() -> None:
    """A window over midnight is excluded by its first day, and open into an excluded second one."""
    week = ("2026-12-23T12:00:00Z", "2026-12-27T12:00:00Z")
    assert spans("UTC", *week, ("22:00", "06:00"), exclude_dates=["2026-12-25"]) == [
        ("12-23T22:00", "12-24T06:00"),
        ("12-24T22:00", "12-25T06:00"),
        ("12-26T22:00", "12-27T06:00"),
    ]


def test_touching_windows_are_one_span_and_the_range_cuts_it() -> None:
    """Windows that touch or overlap are one span, cut off at both ends of what was asked for."""
    day = ("2026-06-01T10:00:00Z", "2026-06-01T20:00:00Z")
    assert spans(
        "UTC", *day, ("09:00", "12:00"), ("12:00", "14:00"), ("13:00", "15:00"), ("19:00", "21:00")
    ) == [
        ("06-01T10:00", "06-01T15:00"),
        ("06-01T19:00", "06-01T20:00"),
    ]


def test_equal_ends_are_a_whole_day() -> None:
    """A window that ends when it starts lasts for a day; without windows every day but the excluded is open."""
    two = ("2026-06-01T00:00:00Z", "2026-06-04T00:00:00Z")
    assert spans("UTC", *two, ("08:00", "08:00"), exclude_dates=["2026-06-02"])[1:] == [
        ("06-03T08:00", "06-04T00:00")
    ]
    assert spans("UTC", *two, exclude_dates=["2026-06-02"]) == [
        ("06-01T00:00", "06-02T00:00"),
        ("06-03T00:00", "06-04T00:00"),
    ]


def test_starts_at_and_ends_at_bound_everything() -> None:
    """Before its start and from its end on a schedule is closed, windows or not."""
    settings = {"starts_at": "2026-06-02T00:00:00Z", "ends_at": "2026-06-03T00:00:00+02:00"}
    bound = schedule.parse(settings)
    start, end = at(settings["starts_at"]), at(settings["ends_at"])
    assert [schedule.is_active(bound, x) for x in (start - 1, start, end - 1, end)] == [
        False,
        True,
        True,
        False,
    ]
    assert schedule.windows(bound, 0, LAST) == [(start, end)]
    assert schedule.windows(bound, end, LAST) == []
    assert [schedule.next_change(bound, x) for x in (0, start, end)] == [start, end, None]


times = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.sampled_from([0, 1, 15, 30, 59]))
near_turns = st.builds("{:02}:{:02}".format, st.integers(0, 3), st.sampled_from([0, 1, 15, 30, 59]))
some_windows = st.lists(
    st.fixed_dictionaries(
        {"start": times | near_turns, "end": times | near_turns},
        optional={"days": st.lists(st.sampled_from(schedule.DAYS), min_size=1, max_size=5)},
    ),
    max_size=3,
)


@st.composite
def some_schedules(draw: st.DrawFn) -> tuple[dict[str, Any], int]:
    """Settings in a zone, and an instant a day and a half before that zone's clocks change."""
    zone, day = draw(st.sampled_from(TURNS))
    turn = at(f"{day}T00:00:00Z")
    days = st.integers(-2, 2).map(lambda n: (date.fromisoformat(day) + timedelta(n)).isoformat())
    moments = st.none() | st.integers(-2000, 2000).map(lambda n: schedule.write_instant(turn + n * MINUTE))
    starts_at, ends_at = draw(moments), draw(moments)
    if starts_at and ends_at and ends_at <= starts_at:
        ends_at = None
    settings = {
        "timezone": zone,
        "windows": draw(some_windows),
        "exclude_dates": draw(st.lists(days, max_size=2)),
        "starts_at": starts_at,
        "ends_at": ends_at,
    }
    return settings, turn - 36 * 60 * MINUTE


def by_definition(settings: dict[str, Any], instant: int, around: int) -> bool:
    """Whether a schedule is active, from the words of the law and the standard library's clocks."""
    if settings["starts_at"] and instant < at(settings["starts_at"]):
        return False
    if settings["ends_at"] and instant >= at(settings["ends_at"]):
        return False
    windows = settings["windows"]
    if not windows and not settings["exclude_dates"]:
        return True
    return any(a <= instant < b for a, b in all_windows(settings["timezone"], windows, around, settings))


def all_windows(zone: str, windows: Any, around: int, settings: dict[str, Any]) -> list[tuple[int, int]]:
    """Every window that starts in the eleven days about an instant."""
    middle = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=around)).date()
    found = []
    for day in (middle + timedelta(n) for n in range(-5, 6)):
        for window in windows or [{"start": "00:00", "end": "00:00"}]:
            if schedule.DAYS[day.weekday()] in window.get("days", schedule.DAYS):
                next_day = day + timedelta(window["end"] <= window["start"])
                if day.isoformat() not in settings["exclude_dates"]:
                    found.append((wall(zone, day, window["start"]), wall(zone, next_day, window["end"])))
    return found


def wall(zone: str, day: date, time: str) -> int:
    """The instant of a wall-clock time, by the standard library: fold 0 is the law's choice."""
    moment = datetime.fromisoformat(f"{day}T{time}:00").replace(tzinfo=ZoneInfo(zone))
    return round(moment.timestamp()) * schedule.SECOND


@given(some_schedules())
def test_preview_agrees_with_is_active_minute_by_minute(drawn: tuple[dict[str, Any], int]) -> None:
    """Across changes of the clocks, preview and is_active say the same for every minute, as the law does."""
    settings, start = drawn
    rule = schedule.parse(settings)
    preview = schedule.windows(rule, start, start + 3 * schedule.DAY)
    for instant in range(start, start + 3 * schedule.DAY, MINUTE):
        shown = any(a <= instant < b for a, b in preview)
        assert shown == schedule.is_active(rule, instant), schedule.write_instant(instant)
    for instant in range(start, start + 3 * schedule.DAY, 15 * MINUTE):
        assert schedule.is_active(rule, instant) == by_definition(settings, instant, start), instant


@given(some_schedules())
def test_the_next_change_is_the_first(drawn: tuple[dict[str, Any], int]) -> None:
    """Up to the next change nothing changes, and there it does."""
    settings, start = drawn
    rule = schedule.parse(settings)
    active, change = schedule.is_active(rule, start), schedule.next_change(rule, start)
    end = start + 30 * schedule.DAY if change is None else change
    assert schedule.windows(rule, start, end) == ([(start, end)] if active else [])
    if change is not None:
        assert change > start
        assert schedule.is_active(rule, change) != active
        assert schedule.is_active(rule, change - 1) == active


def test_the_next_change_is_found_far_away() -> None:
    """A far start, a far excluded date and a year of excluded days are looked past; no change to come is None."""
    now = at("2026-01-01T12:00:00Z")

    def change(**settings: object) -> str | None:
        found = schedule.next_change(schedule.parse(settings), now)
        return found and schedule.write_instant(found)[:16]  # type: ignore[return-value]

    monday = [{"days": ["mon"], "start": "09:00", "end": "10:00"}]
    mondays = [(date(2026, 1, 5) + timedelta(weeks=n)).isoformat() for n in range(200)]
    assert change(starts_at="2099-01-01T00:00:00Z") == "2099-01-01T00:00"
    assert change(exclude_dates=["9000-05-01"]) == "9000-05-01T00:00"
    assert change(windows=monday, exclude_dates=mondays) == "2029-11-05T09:00"
    assert change(windows=[{"start": "00:00", "end": "00:00"}]) is None
    assert change(windows=monday, ends_at="2026-01-05T09:30:00Z") == "2026-01-05T09:00"
    assert change(windows=monday, ends_at="2026-01-02T00:00:00Z") is None


# ── back-off ────────────────────────────────────────────────────────────────────────────────────────


def test_events_wait_longer_each_time() -> None:
    """An event that raised waits 10, 20, 40, 80 seconds, and never more than an hour."""
    waits = [schedule.event_retry_at(n, 7 * MINUTE) - 7 * MINUTE for n in (1, 2, 3, 4, 10, 1000)]
    assert [wait // schedule.SECOND for wait in waits] == [10, 20, 40, 80, 3600, 3600]


@given(st.integers(1, 200), st.binary(min_size=16, max_size=16), st.integers(0, LAST // 2))
def test_deliveries_wait_within_their_half(attempts: int, message_id: bytes, now: int) -> None:
    """A message waits between a half and the whole of its doubled wait, the same each time it is asked."""
    wait = schedule.delivery_retry_at(attempts, now, message_id) - now
    whole = min(2**attempts * 10 * schedule.SECOND, 3600 * schedule.SECOND)
    assert whole // 2 <= wait <= whole
    assert schedule.delivery_retry_at(attempts, now, message_id) == now + wait


def test_deliveries_that_failed_together_come_back_apart() -> None:
    """A thousand messages that failed at one instant are spread over their wait."""
    tries = {schedule.delivery_retry_at(1, 0, n.to_bytes(16, "big")) // schedule.SECOND for n in range(1000)}
    assert tries == set(range(10, 20))
