"""The calendar at work: many people, once each, whatever is edited, missed or killed."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from heliograph import testing
from heliograph.core import runs, schedule
from heliograph.engine import calendar
from heliograph.store import dates, held, people
from tests import environment, tables
from tests.engine import kills

HOUR = 3_600 * schedule.SECOND
BIRTHDAY = "0000-01-02"
"""The day after a World begins."""
NOTIFY = {"actiontype": "notify", "actiontarget": "sales@shop.example"}


def crowd(world: testing.World, count: int, birthdate: str | None = BIRTHDAY) -> None:
    """So many people with a birthday, in one import."""
    from heliograph.store import imports

    profiles = {f"u{n:05}": {"email": f"u{n:05}@example.com", "birthdate": birthdate} for n in range(count)}
    imports.merge_profiles(world._session, world.workspace_id, profiles, world.clock.now())


def found(world: testing.World, *columns: str, table: str = "runs") -> list[Any]:
    """Columns of every row."""
    return [tuple(row[name] for name in columns) for row in tables.rows(world.app.store, table)]


def heard(world: testing.World) -> list[tuple[str | None, str]]:
    """Who was written to and when, in order."""
    made = sorted((sent.created_at, sent.row.address) for sent in world.ledger())
    return [(address, schedule.write_instant(at)[5:16]) for at, address in made]


@pytest.mark.torture
@pytest.mark.spec("S1-06")
def test_a_crowd_hears_once_each(
    world: testing.World,
    scale: Callable[[int, int], int],
    monkeypatch: pytest.MonkeyPatch,
    record_property: Any,
) -> None:
    """However many have their birthday on one day, everybody is written to once, a few at a step."""
    count = scale(300, 20_000)
    monkeypatch.setattr(calendar, "MOST_PEOPLE", scale(3, 100))
    world.template("birthday", text="Hooray!")
    world.date_automation(template="birthday", actionhour="06:00:00")
    crowd(world, count)
    world.pass_time(hours=29)
    assert found(world, "status", "outcome") == [(runs.Status.WAITING, runs.Outcome.PENDING)] * count
    world.pass_time(hours=2)
    assert len({mail.recipient for mail in world.mailbox.received}) == len(world.mailbox.received) == count
    assert found(world, "status", "outcome") == [(runs.Status.DONE, runs.Outcome.EXECUTED)] * count
    assert found(world, "id", table="calendar_walks") == []
    record_property("people", count)


def test_a_day_costs_little_where_nobody_has_their_birthday(
    world: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody celebrates no walk is laid out, however many people there are."""
    laid: list[object] = []
    monkeypatch.setattr(calendar, "_lay_out", lambda *asked: laid.append(asked))
    crowd(world, 200)
    world.date_automation(**NOTIFY, actionhour="09:00:00", actiontimediff=1440, actiononweekend=True)
    world.pass_time(hours=23)
    assert laid == []
    world.pass_time(days=30)
    assert len(laid) == 1


@pytest.mark.spec("S1-06")
def test_edits_do_not_repeat_a_birthday(world: testing.World) -> None:
    """Whatever is edited: one action for each automation, contact and year."""
    world.contact("ana", email="ana@example.com", birthdate=BIRTHDAY)
    number = world.date_automation(**NOTIFY, actionhour="06:00:00")
    world.pass_time(hours=31)
    for change in (
        {"actionhour": "08:00:00"},
        {"actionhour": None},
        {"paused": True},
        {"paused": False, "actiontarget": "ops@shop.example"},
    ):
        world.change_date_automation(number, **change)
        world.pass_time(minutes=5)
    world.contact("ana", email="ana@example.com", birthdate="0000-01-03")
    world.contact("ana", email="ana@example.com", birthdate=BIRTHDAY)
    world.pass_time(days=2)
    assert heard(world) == [("sales@shop.example", "01-02T06:00")]
    world.pass_time(days=365)
    assert [address for address, _ in heard(world)] == ["sales@shop.example", "ops@shop.example"]


@pytest.mark.parametrize(
    ("down", "wanted"),
    [(20, [("sales@shop.example", "01-02T20:00")]), (23, [("sales@shop.example", "01-02T23:00")]), (26, [])],
)
def test_what_was_missed_is_made_up_for(
    world: testing.World, down: int, wanted: list[tuple[str, str]]
) -> None:
    """Nothing ran from the evening before: what began no longer ago than a day is done, late; no more than that."""
    world.contact("ana", birthdate=BIRTHDAY)
    world.date_automation(**NOTIFY, actionhour="06:00:00")
    world.pass_time(hours=23)
    world.clock.move((1 + down) * HOUR)
    world.run_until_idle()
    assert heard(world) == wanted


def test_a_run_that_is_a_day_late_is_held(world: testing.World) -> None:
    """What was queued and is due for longer than the misfire grace waits for an operator."""
    world.contact("ana", birthdate=BIRTHDAY)
    world.date_automation(**NOTIFY, actionhour="06:00:00")
    world.pass_time(hours=25)
    world.clock.move(48 * HOUR)
    world.run_until_idle()
    assert world.mailbox.received == []
    assert found(world, "id", table="messages") == []
    assert found(world, "status") == [(runs.Status.HELD,)]
    with world.app.store.writing() as connection:
        (one,) = held.listed(connection, world.workspace_id, 10)
        assert (one.what, one.about, one.contact_id) == ("run", "date", "ana")
        assert held.release(connection, world.workspace_id, [one.id], world.clock.now()) == 1
        assert held.release(connection, world.workspace_id, [one.id], world.clock.now()) == 0
    world.run_until_idle()
    assert [address for address, _ in heard(world)] == ["sales@shop.example"]


def test_a_held_run_can_be_dropped(world: testing.World) -> None:
    """An operator who does not want a birthday a day late lets it end."""
    world.contact("ana", birthdate=BIRTHDAY)
    world.date_automation(**NOTIFY, actionhour="06:00:00")
    world.pass_time(hours=25)
    world.clock.move(48 * HOUR)
    world.run_until_idle()
    with world.app.store.writing() as connection:
        (one,) = held.listed(connection, world.workspace_id, 10)
        assert held.drop(connection, world.workspace_id, [one.id], world.clock.now()) == 1
        assert held.listed(connection, world.workspace_id, 10) == []
    world.pass_time(days=1)
    assert found(world, "status", "reason") == [(runs.Status.CANCELED, "dropped by an operator")]
    assert world.mailbox.received == []


@pytest.mark.spec("S1-04")
def test_a_deleted_automation_aborts_what_it_queued(world: testing.World) -> None:
    """Its run ends aborted when its time comes."""
    world.contact("ana", birthdate=BIRTHDAY)
    number = world.date_automation(**NOTIFY, actionhour="06:00:00")
    world.pass_time(hours=25)
    assert found(world, "status") == [(runs.Status.WAITING,)]
    world.delete_date_automation(number)
    world.pass_time(days=1)
    ((status, state),) = found(world, "status", "state")
    assert status == runs.Status.CANCELED
    assert runs.read(state)[0].error == "aborted: the automation was deleted"
    assert found(world, "kind", table="timers") == []


def test_one_that_comes_back_leaves_what_was_aborted(world: testing.World) -> None:
    """An automation that was deleted and is applied again does not send what it had queued before."""
    world.contact("ana", birthdate=BIRTHDAY)
    number = world.date_automation(**NOTIFY, actionhour="06:00:00")
    world.pass_time(hours=25)
    with world.app.store.writing() as connection:
        (stored,) = dates.listed(connection, world.workspace_id, None)
    world.delete_date_automation(number)
    with world.app.store.writing() as connection:
        dates.put(connection, world.workspace_id, stored.id, stored.definition, world.clock.now())
    world.pass_time(days=2)
    assert (world.mailbox.received, found(world, "status")) == ([], [(runs.Status.CANCELED,)])
    world.pass_time(days=364)
    assert len(world.mailbox.received) == 1


def test_whoever_has_no_address_is_passed_over(world: testing.World) -> None:
    """A birthday letter to somebody without an address is no failure: the run says why nothing was sent."""
    world.template("birthday", text="Hooray!")
    world.contact("ana", birthdate=BIRTHDAY)
    world.date_automation(template="birthday", actionhour="06:00:00")
    world.pass_time(days=2)
    assert found(world, "address", table="messages") == []
    ((outcome, state),) = found(world, "outcome", "state")
    assert outcome == runs.Outcome.EXECUTED
    (record,) = runs.read(state)
    assert record.error == "contact 'ana' has no e-mail address"


def test_a_message_is_in_its_newest_version(world: testing.World) -> None:
    """The template is looked at when the time has come, not when the birthday was queued."""
    world.template("birthday", text="Old")
    world.contact("ana", email="ana@example.com", birthdate=BIRTHDAY)
    world.date_automation(template="birthday", actionhour="06:00:00")
    world.pass_time(hours=25)
    world.template("birthday", text="New")
    world.pass_time(hours=6)
    assert [mail.text for mail in world.mailbox.received] == ["New"]


def test_another_zone_moves_what_is_not_queued_yet(world: testing.World) -> None:
    """A company that sets its zone is served by the new clocks at once."""
    world.contact("ana", birthdate=BIRTHDAY)
    world.contact("bea", birthdate="0000-01-03")
    world.date_automation(**NOTIFY, actionhour="06:00:00")
    world.pass_time(hours=25)
    world.company(timezone="America/New_York")
    world.pass_time(days=5)
    assert heard(world) == [("sales@shop.example", "01-02T06:00"), ("sales@shop.example", "01-03T11:00")]
    # One timer for the next midnight, whatever was set in between.
    assert len(found(world, "wake_at", table="timers")) == 1


def test_a_tenants_automation_is_for_its_own_people(world: testing.World) -> None:
    """A tenant's automation acts for that tenant's contacts alone, the workspace's for all."""
    store, now = world.app.store, world.clock.now()
    for tenant, user_id in (("t1", "one"), ("t2", "two"), (None, "all")):
        given = {"birthdate": BIRTHDAY, "given_name": user_id}
        people.save_profile(store, world.workspace_id, tenant, user_id, given, now, strategy="replace")
    from heliograph.core import dates as core_dates

    rule = core_dates.define({"name": "n", "summary": None, **NOTIFY, "actionhour": "06:00:00"})
    with store.writing() as connection:
        dates.create(connection, world.workspace_id, "t1", rule, now, 0)
    world.pass_time(days=2)
    assert [mail.subject for mail in world.mailbox.received] == ["n: one"]
    world.date_automation(**NOTIFY)
    world.pass_time(days=365)
    assert Counter(mail.subject for mail in world.mailbox.received)["A birthday: two"] == 1


def test_what_cannot_be_decided_holds_up_nobody(
    world: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that raises is tried again later, and everything else goes on."""
    world.contact("ana", email="ana@example.com", birthdate=BIRTHDAY)
    world.date_automation(**NOTIFY, actionhour="06:00:00")
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    world.pass_time(hours=23)

    def broken(*_: object) -> Any:
        raise ValueError("no such day")

    with monkeypatch.context() as patched:
        patched.setattr(calendar, "_lay_out", broken)
        world.pass_time(hours=2)
        world.event("custom.a", contact_id="ana")
        world.run_until_idle()
    assert [mail.text for mail in world.mailbox.received] == ["Hello"]
    world.pass_time(hours=6)
    assert len(world.mailbox.to("sales@shop.example")) == 1


def test_a_birthday_that_could_not_be_looked_at_is_looked_at_later(
    world: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody whose birthday turns out to be today hears of it, though the first look at it failed."""
    world.date_automation(**NOTIFY, actionhour="06:00:00")
    world.pass_time(hours=25)

    def broken(*_: object) -> Any:
        raise ValueError("no such day")

    with monkeypatch.context() as patched:
        patched.setattr(calendar.Calendar, "_go_on", broken)
        world.contact("ana", email="ana@example.com", birthdate=BIRTHDAY)
        world.pass_time(seconds=2)
    world.pass_time(hours=8)
    assert len(world.mailbox.to("sales@shop.example")) == 1


# ── killed ──────────────────────────────────────────────────────────────────────────────────────────

EXAMPLES = 200 if environment.is_torture() else 6
PEOPLE = 40


class Birthday(kills.House):
    """Two days, of which one is everybody's birthday."""

    def begin(self) -> None:
        """People, and two automations for their birthdays."""
        self.empty()
        self.world.template("birthday", text="Hooray!")
        self.world.date_automation(template="birthday", actionhour="01:00:00")
        crowd(self.world, PEOPLE)
        self.world.date_automation(template="birthday", actiontimediff=30, actiononweekend=True)

    def pass_time(self) -> None:
        """The day and the night after it."""
        self.world.pass_time(seconds=(testing.START + 30 * HOUR - self.world.clock.now()) / schedule.SECOND)


@pytest.mark.torture
def test_a_calendar_that_is_killed_goes_on_where_it_was(world: testing.World) -> None:
    """Wherever a process is killed: every birthday is celebrated once by each automation, or its repeat has a name."""
    house = Birthday(world)

    def check() -> None:
        assert tables.waiting(world.app.store) == {"timers"}
        made = tables.content(world.app.store)
        assert made["calendar_walks"] == []
        assert len(made["timers"]) == 2, "the next midnight of each"
        assert len(made["runs"]) == len({(r["automation_id"], r["start_key"]) for r in made["runs"]})
        assert len(made["runs"]) == len(made["messages"]) == 2 * PEOPLE
        assert {row["outcome"] for row in made["runs"]} == {runs.Outcome.EXECUTED}
        house.lost(made["messages"])

    house.outlives(check, least=EXAMPLES, examples=EXAMPLES)
