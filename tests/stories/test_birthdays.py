"""Birthdays, as a shop would tell them: who hears what, when, by the clocks of the company."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from heliograph import testing
from heliograph.core import schedule


def at(text: str) -> int:
    """The instant of a text."""
    return schedule.parse_instant(text, "")


@pytest.fixture
def shop(database_url: str) -> Iterator[testing.World]:
    """A shop in London, on Monday the 1st of June 2026 at noon, with a birthday letter."""
    with testing.World(database_url, start=at("2026-06-01T11:00:00Z")) as world:
        world.company(timezone="Europe/London")
        world.template("birthday", subject="Happy birthday, {{ contact.given_name }}", text="Have a cake!")
        yield world


def until(world: testing.World, day: str) -> None:
    """Let time pass up to an instant."""
    world.pass_time(seconds=(at(day) - world.clock.now()) / schedule.SECOND)


def heard(world: testing.World) -> list[tuple[str | None, str]]:
    """Who was written to and when, in order, by London's clocks."""
    made = [(sent.created_at, sent.row.address) for sent in world.ledger()]
    assert len(made) == len(world.mailbox.received)
    return [(address, f"{_london(instant):%a %Y-%m-%d %H:%M}") for instant, address in sorted(made)]


def _london(instant: int) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)).astimezone(
        ZoneInfo("Europe/London")
    )


@pytest.mark.spec("S1-01", "S1-02", "S1-06", "S1-47", "S1-61")
def test_a_birthday_letter_at_nine(shop: testing.World) -> None:
    """Ana hears from the shop at nine in the morning of her birthday, by London's clocks, once every year."""
    shop.contact("ana", email="ana@example.com", given_name="Ana", birthdate="1990-06-03")
    shop.contact("bea", email="bea@example.com", birthdate="1985-11-30")
    shop.contact("cleo", email="cleo@example.com")
    shop.date_automation(template="birthday", actionhour="09:00:00")

    until(shop, "2026-06-03T07:59:59Z")
    assert shop.mailbox.received == []
    until(shop, "2026-06-03T08:00:01Z")
    (mail,) = shop.mailbox.to("ana@example.com")
    assert (mail.subject, mail.text) == ("Happy birthday, Ana", "Have a cake!")

    until(shop, "2027-12-01T00:00:00Z")
    assert heard(shop) == [
        ("ana@example.com", "Wed 2026-06-03 09:00"),
        ("bea@example.com", "Mon 2026-11-30 09:00"),
        ("ana@example.com", "Thu 2027-06-03 09:00"),
        ("bea@example.com", "Tue 2027-11-30 09:00"),
    ]


@pytest.mark.spec("S1-48")
def test_the_shops_people_are_told_the_day_before(shop: testing.World) -> None:
    """A notification tells the shop's own people whose birthday it is, a day before, and not at weekends."""
    shop.contact(
        "ana", email="ana@example.com", given_name="Ana", family_name="Lopes", birthdate="1990-06-05"
    )
    shop.contact("bea", birthdate="0000-06-15")
    shop.date_automation(
        name="Call them",
        actiontype="notify",
        actiontarget="sales@shop.example",
        actionhour="08:00:00",
        actiontimediff=-1440,
        actiononweekend=False,
    )
    until(shop, "2026-06-30T00:00:00Z")
    assert heard(shop) == [
        ("sales@shop.example", "Thu 2026-06-04 08:00"),
        # The 14th is a Sunday.
        ("sales@shop.example", "Mon 2026-06-15 08:00"),
    ]
    first, second = shop.mailbox.received
    told = first.text.splitlines()
    assert first.subject == "Call them: Ana"
    assert told[-3:] == ["Name: Ana Lopes", "E-mail: ana@example.com", "Birthday: 1990-06-05"]
    assert second.subject == "Call them: bea"


@pytest.mark.spec("S1-63", "S1-64", "S1-66")
def test_weekends_and_leap_days(shop: testing.World) -> None:
    """What falls on a weekend is sent on Monday; the 29th of February is the 28th in other years."""
    shop.contact("ana", email="ana@example.com", birthdate="1992-02-29")
    shop.contact("bea", email="bea@example.com", birthdate="1990-06-07")
    shop.date_automation(template="birthday", actionhour="09:00:00", actiononweekend=False)
    until(shop, "2028-03-10T00:00:00Z")
    assert heard(shop) == [
        ("bea@example.com", "Mon 2026-06-08 09:00"),
        ("ana@example.com", "Mon 2027-03-01 09:00"),
        ("bea@example.com", "Mon 2027-06-07 09:00"),
        ("ana@example.com", "Tue 2028-02-29 09:00"),
    ]


@pytest.mark.spec("S1-65")
def test_the_night_on_which_the_clocks_change(shop: testing.World) -> None:
    """An hour that is jumped over comes after the jump, one that comes twice is used once."""
    shop.contact("ana", email="ana@example.com", birthdate="1990-03-28")
    shop.contact("bea", email="bea@example.com", birthdate="1990-10-25")
    shop.date_automation(template="birthday", actionhour="01:00:00")
    until(shop, "2027-04-01T00:00:00Z")
    assert heard(shop) == [
        ("bea@example.com", "Sun 2026-10-25 01:00"),
        # At one in the morning of the 28th the clocks go on to two.
        ("ana@example.com", "Sun 2027-03-28 02:00"),
    ]


@pytest.mark.spec("S1-03", "S1-05")
def test_pausing(shop: testing.World) -> None:
    """What was queued is sent though the automation is paused; nothing new is queued until it is unpaused."""
    for name, day in (("ana", "06-03"), ("bea", "06-04"), ("cleo", "06-06"), ("dora", "06-07")):
        shop.contact(name, email=f"{name}@example.com", birthdate=f"1990-{day}")
    number = shop.date_automation(template="birthday", actionhour="09:00:00")
    until(shop, "2026-06-03T05:00:00Z")
    shop.change_date_automation(number, paused=True)
    until(shop, "2026-06-06T10:00:00Z")
    assert heard(shop) == [("ana@example.com", "Wed 2026-06-03 09:00")]
    # Cleo's hour has passed; it is not made up for.
    shop.change_date_automation(number, paused=False)
    until(shop, "2026-06-10T00:00:00Z")
    assert heard(shop)[1:] == [("dora@example.com", "Sun 2026-06-07 09:00")]


@pytest.mark.spec("S1-04")
def test_deleting(shop: testing.World) -> None:
    """What a deleted automation has queued is aborted: nobody hears of it any more."""
    shop.contact("ana", email="ana@example.com", birthdate="1990-06-03")
    number = shop.date_automation(template="birthday", actionhour="09:00:00")
    until(shop, "2026-06-03T05:00:00Z")
    shop.delete_date_automation(number)
    until(shop, "2027-06-10T00:00:00Z")
    assert heard(shop) == []


@pytest.mark.spec("S1-55")
def test_as_soon_as_possible(shop: testing.World) -> None:
    """Without an hour it is sent when the birthday begins, or as soon as it is known on the day."""
    shop.contact("ana", email="ana@example.com", birthdate="1990-06-03")
    shop.contact("today", email="today@example.com", birthdate="1990-06-01")
    shop.date_automation(template="birthday")
    until(shop, "2026-06-03T13:30:00Z")
    shop.contact("late", email="late@example.com", birthdate="1990-06-03")
    shop.contact("past", email="past@example.com", birthdate="1990-06-02")
    until(shop, "2026-06-10T00:00:00Z")
    assert heard(shop) == [
        ("today@example.com", "Mon 2026-06-01 12:00"),
        ("ana@example.com", "Wed 2026-06-03 00:00"),
        ("late@example.com", "Wed 2026-06-03 14:30"),
    ]


@pytest.mark.spec("S1-80")
def test_the_documents_example(shop: testing.World) -> None:
    """The example of the source document sends its campaign at about one, a day before the birthday."""
    shop.contact("ana", email="ana@example.com", birthdate="1990-06-10")
    shop.date_automation(
        name="Birthday Trigger",
        template="birthday",
        actiononweekend=True,
        actionhour="01:00:00",
        actiontimediff=-1440,
        paused=False,
        summary="At approximately 01:00, 1 day(s) before it's the subscriber's birthday, send the subscriber the"
        " email campaign 'Happy Birthday'",
    )
    until(shop, "2026-06-20T00:00:00Z")
    assert heard(shop) == [("ana@example.com", "Tue 2026-06-09 01:00")]
