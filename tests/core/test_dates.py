"""Date automations: the decision table of their fields, and when they are due."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import dates, schedule
from heliograph.core.dates import Company, LeapDay, Timing

BIRTHDAY: dict[str, Any] = {
    "actionhour": "01:00:00",
    "actiontimediff": -1440,
    "actiononweekend": True,
    "actiontype": "email_autoresponder",
    "actiontarget": 123455,
    "name": "Birthday Trigger",
    "summary": "At approximately 01:00, 1 day(s) before it's the subscriber's birthday",
}
"""The example of the source document."""

ZONES = sorted(schedule.zones())
zones = st.sampled_from(
    ["UTC", "Europe/London", "America/New_York", "America/Havana", "America/St_Johns", "Pacific/Apia"]
) | st.sampled_from(ZONES)
hours = st.none() | st.integers(0, 23)
offsets = st.integers(-3, 3).map(lambda days: days * 1440) | st.integers(-365, 365).map(lambda d: d * 1440)
minutes = offsets | st.integers(-5_000, 5_000) | st.integers(-525_600, 525_600)
policies = st.sampled_from(LeapDay)
years = st.integers(1975, 2100)
birthdays = st.just(229) | st.dates(date(2000, 1, 1), date(2000, 12, 31)).map(lambda d: d.month * 100 + d.day)


@st.composite
def timings(draw: st.DrawFn) -> Timing:
    """A timetable that the decision table lets through."""
    hour = draw(hours)
    offset = draw(minutes if hour is None else offsets)
    soon = hour is None and offset == 0
    return Timing(hour, offset, soon or draw(st.booleans()))


def faults(*refused: Any) -> dict[str, str]:
    """What is wrong with a new rule, or with a change of a stored one."""
    read: Callable[..., object] = dates.define if len(refused) == 1 else dates.change
    with pytest.raises(errors.InvalidInput) as refusal:
        read(*refused)
    return dict(refusal.value.faults)


def rule(**fields: Any) -> dict[str, Any]:
    """A rule that writes to somebody, with these fields."""
    return {"name": "n", "actiontype": "notify", "actiontarget": "a@b.example", "summary": None, **fields}


def at(text: str) -> int:
    """The instant of a text."""
    return schedule.parse_instant(text, "at")


def ordinal(text: str) -> int:
    """The day of a date."""
    return date.fromisoformat(text).toordinal()


def local(zone: str, instant: int) -> datetime:
    """What the clocks of a zone show, by another library."""
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)).astimezone(ZoneInfo(zone))


def due(timing: Timing, day: str, zone: str = "UTC", leap_day: LeapDay = LeapDay.FEBRUARY_28) -> str | None:
    """When a rule acts for who has their birthday on a day, by the clocks of the zone."""
    on = day.split("-")
    found = dates.occasion(timing, Company(zone, leap_day), int(on[1]) * 100 + int(on[2]), int(on[0]))
    return None if found is None else f"{local(zone, found.due_at):%Y-%m-%d %H:%M}"


# ── the decision table ──────────────────────────────────────────────────────────────────────────────


def test_the_documents_example_is_read_field_for_field() -> None:
    """The example of the source document is a rule; its target is kept as text."""
    made = dates.define(BIRTHDAY)
    assert made == dates.Definition(**{**BIRTHDAY, "actiontarget": "123455"}, paused=False)
    assert dates.timing(made) == Timing(1, -1440, True)


@pytest.mark.parametrize("hour", ["00:00:00", "09:00:00", "19:00:00", "23:00:00"])
@pytest.mark.spec("S1-62")
def test_whole_hours_are_taken(hour: str) -> None:
    """`actionhour` is any whole hour of the day."""
    assert dates.define(rule(actionhour=hour)).actionhour == hour


@pytest.mark.parametrize(
    "hour", ["24:00:00", "9:00:00", "09:30:00", "09:00:01", "09:00", "noon", 9, True, []]
)
@pytest.mark.spec("S1-62")
def test_other_hours_are_refused(hour: object) -> None:
    """What is no whole hour of the form HH:00:00 is refused."""
    assert faults(rule(actionhour=hour)).keys() == {"actionhour"}


@pytest.mark.parametrize("offset", [-1440, 0, 1440, 2880, -525_600])
@pytest.mark.spec("S1-59")
def test_whole_days_go_with_an_hour(offset: int) -> None:
    """With an hour, the offset is 0 or a multiple of 1440, before or after."""
    made = dates.define(rule(actionhour="09:00:00", actiontimediff=offset, actiononweekend=True))
    assert made.actiontimediff == offset


@pytest.mark.parametrize("offset", [1, -1, 1439, -1441, 60])
@pytest.mark.spec("S1-59")
def test_parts_of_days_go_without_an_hour(offset: int) -> None:
    """With an hour, any other offset is refused; without one it is taken."""
    fields = {"actiontimediff": offset, "actiononweekend": True}
    assert faults(rule(actionhour="09:00:00", **fields)).keys() == {"actiontimediff"}
    assert dates.define(rule(**fields)).actiontimediff == offset


@pytest.mark.parametrize("offset", ["x", 1.5, True, 525_601, -525_601, [], "1e3"])
def test_other_offsets_are_refused(offset: object) -> None:
    """An offset is a whole number of minutes, a year at most."""
    assert faults(rule(actiontimediff=offset)).keys() == {"actiontimediff"}


@pytest.mark.parametrize("hour", [None, "09:00:00"])
@pytest.mark.spec("S1-57", "S1-56")
def test_adding_to_a_list_takes_an_offset(hour: str | None) -> None:
    """`addtolist` is refused with an offset of 0, at an hour or as soon as possible."""
    told = faults(rule(actiontype="addtolist", actiontarget=7, actionhour=hour))
    assert told == {"actiontimediff": "cannot be 0 for addtolist: set a time before or after"}


@pytest.mark.parametrize("action", ["notify", "email_autoresponder"])
@pytest.mark.spec("S1-52", "S1-56")
def test_as_soon_as_possible_is_at_weekends_too(action: str) -> None:
    """Without hour and offset `actiononweekend` becomes true by itself, and may be said to be true."""
    target = "a@b.example" if action == "notify" else 4
    for said in ({}, {"actiononweekend": True}, {"actiononweekend": None}, {"actiontimediff": 0}):
        assert dates.define(rule(actiontype=action, actiontarget=target, **said)).actiononweekend is True


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"actiononweekend": False}, True),
        ({"actiononweekend": False, "actiontimediff": 0, "actionhour": None}, True),
        ({"actiononweekend": False, "actionhour": "09:00:00"}, False),
        ({"actiononweekend": False, "actiontimediff": 60}, False),
        ({"actiononweekend": False, "actiontimediff": -1440, "actionhour": "09:00:00"}, False),
    ],
)
@pytest.mark.spec("S1-54")
def test_no_weekend_goes_with_a_time(fields: dict[str, Any], wrong: bool) -> None:
    """`actiononweekend` false is refused as soon as possible, and taken with an hour, an offset or both."""
    if wrong:
        assert faults(rule(**fields)).keys() == {"actiononweekend"}
    else:
        assert dates.define(rule(**fields)).actiononweekend is False


@pytest.mark.parametrize("said", [{}, {"actiononweekend": None}])
@pytest.mark.parametrize("offset", [1, -1440])
@pytest.mark.spec("S1-51")
def test_an_offset_asks_for_the_weekend(said: dict[str, Any], offset: int) -> None:
    """Where the offset is not 0, `actiononweekend` has to be said; at an hour alone it is true unless it is said."""
    assert faults(rule(actiontimediff=offset, **said)) == {
        "actiononweekend": "is required where actiontimediff is not 0"
    }
    assert dates.define(rule(actionhour="09:00:00", **said)).actiononweekend is True


def test_every_fault_is_told_at_once() -> None:
    """A refusal names each field with what is wrong about it, and an unknown one with what was meant."""
    assert faults({"actiontype": "notfy", "actionhour": "9", "name": "", "acttarget": 1}) == {
        "acttarget": 'unknown key "acttarget", did you mean "actiontarget"?',
        "actiontarget": "is required",
        "summary": "is required, and may be null",
        "actiontype": 'unknown actiontype "notfy", did you mean "notify"?',
        "actionhour": 'is a whole hour from "00:00:00" to "23:00:00", or null',
        "name": "is a text of 1 to 255 characters",
    }


@pytest.mark.parametrize(
    ("action", "target", "is_right"),
    [
        ("notify", "ops@shop.example", True),
        ("notify", "12", False),
        ("notify", 12, False),
        ("addtolist", 12, True),
        ("addtolist", "news", False),
        ("email_autoresponder", "12", True),
        ("email_autoresponder", 12, True),
        ("email_autoresponder", "0", False),
        ("email_autoresponder", "-3", False),
        ("email_autoresponder", "a@b.example", False),
        ("email_autoresponder", True, False),
    ],
)
def test_a_target_fits_its_action(action: str, target: object, is_right: bool) -> None:
    """A notification goes to an address, an autoresponder has the number of a message."""
    given = rule(actiontype=action, actiontarget=target, actiontimediff=60, actiononweekend=True)
    if is_right:
        assert dates.define(given).actiontarget == str(target)
    else:
        assert faults(given).keys() == {"actiontarget"}


def test_forms_say_the_same_as_json() -> None:
    """A form has text alone: flags, numbers and an empty hour are read from it."""
    form = rule(actionhour="", actiontimediff="-60", actiononweekend="0", paused="true")
    assert dates.define(form) == dates.define(
        rule(actionhour=None, actiontimediff=-60, actiononweekend=False, paused=True)
    )


# ── changes ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_change_is_judged_by_what_it_makes() -> None:
    """A change is merged into what is stored, and the whole is checked by the same table."""
    stored = dates.define(rule(actionhour="09:00:00", actiononweekend=False))
    assert dates.change(stored, {"actiontimediff": 1440}).actiontimediff == 1440
    assert faults(stored, {"actiontimediff": 60}).keys() == {"actiontimediff"}
    assert faults(stored, {"actionhour": None, "actiononweekend": False}).keys() == {"actiononweekend"}
    assert faults(stored, {"actiontimediff": 1440, "actiononweekend": None}).keys() == {"actiononweekend"}
    assert faults(stored, {"actiontarget": "nobody"}).keys() == {"actiontarget"}
    assert faults(stored, {"actiontype": "email_autoresponder"}).keys() == {"actiontarget"}


def test_a_rule_that_becomes_as_soon_as_possible_is_at_weekends_too() -> None:
    """A stored `actiononweekend` of false is forgotten where hour and offset go."""
    stored = dates.define(rule(actionhour="09:00:00", actiononweekend=False))
    assert dates.change(stored, {"actionhour": None}).actiononweekend is True


def test_null_sets_no_rule_going() -> None:
    """`paused` is true or false: null, which clients send for what they leave out, does not unpause."""
    stored = dates.define(rule(paused=True))
    assert faults(stored, {"paused": None}) == {"paused": "is true or false"}


@pytest.mark.spec("S1-70", "S1-71")
def test_an_autoresponder_keeps_type_and_target() -> None:
    """Neither can be changed; saying the same again is no change, in either form."""
    stored = dates.define(BIRTHDAY)
    assert faults(stored, {"actiontarget": 9}).keys() == {"actiontarget"}
    assert faults(stored, {"actiontype": "notify"}).keys() == {"actiontype"}
    same = {"actiontype": "email_autoresponder", "actiontarget": "123455", "name": "New"}
    assert dates.change(stored, same).name == "New"
    notify = dates.define(rule())
    assert dates.change(notify, {"actiontype": "email_autoresponder", "actiontarget": 3}).actiontarget == "3"


@given(timings(), st.booleans())
def test_a_rule_can_be_said_again(timing: Timing, paused: bool) -> None:
    """What is stored, given back whole, changes nothing."""
    hour = None if timing.hour is None else f"{timing.hour:02}:00:00"
    made = dates.define(
        rule(actionhour=hour, actiontimediff=timing.offset, actiononweekend=timing.on_weekend, paused=paused)
    )
    assert dates.timing(made) == timing
    assert dates.change(made, {name: getattr(made, name) for name in dates.WRITABLE}) == made


# ── when it is due: what is written down ────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("timing", "day", "zone", "wanted"),
    [
        # The document's example: at about 01:00, one day before.
        (Timing(1, -1440, True), "2026-06-10", "Europe/London", "2026-06-09 01:00"),
        (Timing(None, 0, True), "2026-06-10", "Europe/London", "2026-06-10 00:00"),
        (Timing(None, 90, True), "2026-06-10", "Europe/London", "2026-06-10 01:30"),
        (Timing(None, -90, True), "2026-06-10", "Europe/London", "2026-06-09 22:30"),
        (Timing(9, 7 * 1440, True), "2026-12-28", "UTC", "2027-01-04 09:00"),
        (Timing(9, -7 * 1440, True), "2027-01-03", "UTC", "2026-12-27 09:00"),
        # An hour that does not exist, and one that comes twice.
        (Timing(1, 0, True), "2026-03-29", "Europe/London", "2026-03-29 02:00"),
        (Timing(2, 0, True), "2026-03-08", "America/New_York", "2026-03-08 03:00"),
        (Timing(0, 0, True), "2026-04-24", "Africa/Cairo", "2026-04-24 01:00"),
        (Timing(None, 0, True), "2026-04-24", "Africa/Cairo", "2026-04-24 01:00"),
        # A day that does not exist.
        (Timing(9, 0, True), "2011-12-30", "Pacific/Apia", "2011-12-31 09:00"),
        # Elapsed minutes, over a change of the clocks.
        (Timing(None, 180, True), "2026-03-29", "Europe/London", "2026-03-29 04:00"),
        (Timing(None, -1439, True), "2026-03-30", "Europe/London", "2026-03-29 00:01"),
        # Weekends: 2026-06-13 is a Saturday.
        (Timing(9, 0, False), "2026-06-12", "UTC", "2026-06-12 09:00"),
        (Timing(9, 0, False), "2026-06-13", "UTC", "2026-06-15 09:00"),
        (Timing(9, 0, False), "2026-06-14", "UTC", "2026-06-15 09:00"),
        (Timing(9, -1440, False), "2026-06-14", "UTC", "2026-06-15 09:00"),
        (Timing(9, 1440, False), "2026-06-12", "UTC", "2026-06-15 09:00"),
        (Timing(None, 1500, False), "2026-06-12", "UTC", "2026-06-15 01:00"),
        (Timing(2, 0, False), "2026-03-28", "Europe/London", "2026-03-30 02:00"),
    ],
)
@pytest.mark.spec("S1-58", "S1-60", "S1-61", "S1-63", "S1-64", "S1-65")
def test_when_a_rule_acts(timing: Timing, day: str, zone: str, wanted: str) -> None:
    """Hours are those of the company's clocks, offsets are minutes, and weekends move to the Monday."""
    assert due(timing, day, zone) == wanted


@pytest.mark.parametrize(
    ("zone", "day", "hour", "wanted"),
    [
        ("Europe/London", "2026-03-29", 1, "2026-03-29T01:00:00Z"),
        ("America/New_York", "2026-03-08", 2, "2026-03-08T07:00:00Z"),
        ("America/New_York", "2026-11-01", 1, "2026-11-01T05:00:00Z"),
    ],
)
@pytest.mark.spec("S1-65")
def test_instants_where_the_clocks_change(zone: str, day: str, hour: int, wanted: str) -> None:
    """An hour that is jumped over runs after the jump; one that comes twice runs the first time."""
    month_day = int(day[5:7]) * 100 + int(day[8:])
    found = dates.occasion(Timing(hour, 0, True), Company(zone), month_day, int(day[:4]))
    assert found is not None
    assert found.due_at == at(wanted)


@pytest.mark.parametrize(
    ("policy", "common", "leap"),
    [
        (LeapDay.FEBRUARY_28, "2026-02-28 09:00", "2028-02-29 09:00"),
        (LeapDay.MARCH_1, "2026-03-01 09:00", "2028-02-29 09:00"),
        (LeapDay.SKIP, None, "2028-02-29 09:00"),
    ],
)
@pytest.mark.spec("S1-66")
def test_a_birthday_on_a_leap_day(policy: LeapDay, common: str | None, leap: str) -> None:
    """In other years the 29th of February is the 28th, the 1st of March or no day, as the company has set."""
    assert due(Timing(9, 0, True), "2026-02-29", leap_day=policy) == common
    assert due(Timing(9, 0, True), "2028-02-29", leap_day=policy) == leap


@pytest.mark.parametrize("birthday", [431, 230, 1332, 0, 100])
def test_impossible_birthdays_have_no_occasion(birthday: int) -> None:
    """A birthday that is no date is never celebrated."""
    assert dates.occasion(Timing(9, 0, True), Company(), birthday, 2026) is None


# ── when it is due: laws ────────────────────────────────────────────────────────────────────────────


@given(timings(), zones, policies, birthdays, years)
@example(Timing(None, -1, True), "America/St_Johns", LeapDay.SKIP, 1107, 2010)
@example(Timing(9, 0, False), "Pacific/Apia", LeapDay.SKIP, 1230, 2011)
@example(Timing(9, -1440, False), "Pacific/Apia", LeapDay.SKIP, 1230, 2011)
def test_days_and_birthdays_agree(
    timing: Timing, zone: str, policy: LeapDay, birthday: int, year: int
) -> None:
    """Whoever has an occasion is found on the day on which it begins, once, and on no other day."""
    company = Company(zone, policy)
    wanted = dates.occasion(timing, company, birthday, year)
    birth = date(year, birthday // 100, min(birthday % 100, 28)).toordinal()
    first = birth + min(0, timing.offset // 1440) - 6
    found = [
        one
        for day in range(first, birth + 8)
        for one in dates.beginning(timing, company, day)
        if one.year == year and birthday in one.birthdays
    ]
    assert found == ([] if wanted is None else [wanted])


@given(timings(), zones, birthdays, years)
def test_an_occasion_begins_before_it_is_due(timing: Timing, zone: str, birthday: int, year: int) -> None:
    """It is queued at the beginning of a local day: of the birthday, or of the earlier day on which it is due."""
    found = dates.occasion(timing, Company(zone), birthday, year)
    assert found is not None
    assert found.begins_at <= found.due_at
    assert found.begins_at < found.ends_at
    assert dict(schedule.days_begun(zone, found.begins_at - 1, found.begins_at))
    if timing.is_soon:
        assert found.begins_at == found.due_at


@given(timings(), zones, birthdays, years)
def test_weekends_move_to_mondays(timing: Timing, zone: str, birthday: int, year: int) -> None:
    """Without weekends nothing is due on one: it is due on the next Monday at the same time of day."""
    company = Company(zone)
    kept = dates.occasion(timing._replace(on_weekend=True), company, birthday, year)
    moved = dates.occasion(timing._replace(on_weekend=False), company, birthday, year)
    assert kept is not None
    assert moved is not None
    was, now = local(zone, kept.due_at), local(zone, moved.due_at)
    if was.weekday() < 5:
        assert moved.due_at == kept.due_at
    else:
        wanted = datetime.combine(was.date() + timedelta(days=7 - was.weekday()), was.time(), ZoneInfo(zone))
        assert now.timestamp() == wanted.replace(fold=0).timestamp()
        assert now.weekday() == 0


@given(timings(), zones, birthdays, years, st.integers(-90_000, 90_000))
def test_nothing_is_done_for_a_time_before_it_was_known(
    timing: Timing, zone: str, birthday: int, year: int, seconds: int
) -> None:
    """What was due earlier is left out; as soon as possible is at once, as long as the birthday lasts."""
    found = dates.occasion(timing, Company(zone), birthday, year)
    assert found is not None
    since = found.due_at + seconds * schedule.SECOND
    acts_at = dates.queued_at(timing, found, since)
    if acts_at is None:
        assert since > found.due_at
        assert since >= found.ends_at or not timing.is_soon
    else:
        assert acts_at >= since
        assert acts_at == (max(since, found.due_at) if timing.is_soon else found.due_at)


@pytest.mark.parametrize(("later", "is_done"), [(-1, True), (0, True), (1, False)])
def test_a_birthday_on_a_day_that_a_zone_left_out_is_kept(later: int, is_done: bool) -> None:
    """As soon as possible on a day that does not exist is when the day after it begins, as with an hour."""
    found = dates.occasion(Timing(None, 0, True), Company("Pacific/Apia"), 1230, 2011)
    assert found is not None
    assert found.due_at == at("2011-12-30T10:00:00Z")
    wanted = found.due_at if is_done else None
    assert dates.queued_at(Timing(None, 0, True), found, found.due_at + later) == wanted


@given(zones, st.integers(0, 4_000_000_000), st.integers(0, 3 * 86_400))
def test_every_day_begins_once(zone: str, seconds: int, later: int) -> None:
    """Days of a zone begin in order, none twice, and the next one begins after now."""
    now = seconds * schedule.SECOND
    until = now + later * schedule.SECOND
    begun = schedule.days_begun(zone, now, until)
    middle = now + (until - now) // 2
    assert begun == schedule.days_begun(zone, now, middle) + schedule.days_begun(zone, middle, until)
    assert [start for _, start in begun] == sorted(start for _, start in begun)
    assert all(now < start <= until for _, start in begun)
    following = schedule.next_day(zone, now)
    assert now < following <= now + 50 * 3_600 * schedule.SECOND
    assert schedule.days_begun(zone, now, following - 1) == []


@pytest.mark.torture
def test_the_time_of_day_is_kept(scale: Callable[[int, int], int], record_property: Any) -> None:
    """Over every zone and sixty years a rule acts when the clocks show its hour, by another library's reckoning."""
    looked = 0
    for index, zone in enumerate(ZONES):
        clocks, company = ZoneInfo(zone), Company(zone)
        first, last = date(1990, 1, 1).toordinal(), date(2049, 12, 31).toordinal()
        start = first if scale(0, 1) else first + index * 37 % 400
        for day in range(start, last + 1, scale(1_601, 1)):
            hour = (day * 7 + index) % 24
            on = date.fromordinal(day)
            found = dates.occasion(Timing(hour, 0, True), company, on.month * 100 + on.day, on.year)
            assert found is not None
            wanted = datetime(on.year, on.month, on.day, hour, tzinfo=clocks)
            assert found.due_at == int(wanted.timestamp()) * schedule.SECOND, (zone, on, hour)
            looked += 1
    record_property("occasions", looked)
