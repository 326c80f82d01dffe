"""Campaigns at work: from one definition to many people, each judged once."""

from collections import Counter
from typing import Any

import pytest

from heliograph import errors, testing
from heliograph.core import ids, messages, schedule
from heliograph.core.campaigns import State
from heliograph.engine import fanout
from heliograph.store import people
from tests import tables
from tests.engine import acts

TEXT = {
    "subject": "Sale, {{ first_name }}!",
    "text_body": "Dear {{ contact.given_name }}, {{ contact.plan }}.",
}


def crowd(world: testing.World, count: int, **profile: Any) -> None:
    """So many people with an address."""
    for number in range(count):
        world.contact(f"c{number}", email=f"c{number}@example.com", given_name=f"N{number}", **profile)


def received(world: testing.World) -> Counter[str]:
    """How often each address received something."""
    return Counter(mail.recipient for mail in world.mailbox.received)


def test_a_campaign_reaches_its_audience_at_its_time(world: testing.World) -> None:
    """Included minus excluded, at the instant it names, each once, filled from their profile; then it is completed."""
    crowd(world, 40, plan="free")
    world.contact("vip", email="vip@example.com", given_name="Vi", plan="pro")
    world.contact("staff", email="staff@example.com", plan="pro", staff=True)
    pro = world.segment({"field": "plan", "operator": "equals", "value": "pro"})
    staff = world.segment({"field": "staff", "operator": "equals", "value": True})
    campaign = world.campaign(
        group=world.communication_group(**TEXT),
        include_segments=[pro, pro],
        exclude_segments=[staff],
        scheduled_at="2026-01-01T12:00:00+02:00",
    )
    world.pass_time(hours=9, minutes=58)
    assert world.campaign_stands(campaign).state is State.ACTIVE
    world.pass_time(minutes=1, seconds=30)
    assert world.campaign_stands(campaign).state is State.SCHEDULED
    assert not world.mailbox.received
    world.pass_time(minutes=1)
    (mail,) = world.mailbox.received
    assert (mail.recipient, mail.subject, mail.text) == ("vip@example.com", "Sale, Vi!", "Dear Vi, pro.")
    standing = world.campaign_stands(campaign)
    assert standing.state is State.COMPLETED
    assert standing.started_at == standing.settled_at == schedule.parse_instant("2026-01-01T10:00:00Z", "")
    progress = world.progress(campaign)
    assert (progress.judged, progress.jobs, progress.sent, progress.pending) == (42, 1, 1, 0)


def test_everybody_is_judged_once_however_small_the_steps(world: testing.World) -> None:
    """A fan-out in steps of two people makes the same jobs as one in large steps."""
    crowd(world, 90)
    acts.sized(world.turns, 1)
    campaign = world.campaign(group=world.communication_group(**TEXT))
    world.run_until_idle()
    assert received(world) == Counter(f"c{number}@example.com" for number in range(90))
    assert world.campaign_stands(campaign).state is State.COMPLETED
    jobs = tables.rows(world.app.store, "messages")
    assert len({row["id"] for row in jobs}) == len({row["contact_id"] for row in jobs}) == 90
    assert all(row["run_id"] is None and row["state"] == messages.State.ACCEPTED for row in jobs)
    assert {row["partition"] for row in jobs} == {ids.partition_of(row["id"]) for row in jobs}


def test_who_has_no_address_is_skipped(world: testing.World) -> None:
    """A person without an address has a job that says so, and the campaign is completed."""
    world.contact("mute", plan="free")
    campaign = world.campaign(group=world.communication_group(**TEXT))
    world.run_until_idle()
    (job,) = tables.rows(world.app.store, "messages")
    assert (job["state"], job["error"]) == (messages.State.UNROUTABLE, "no_address")
    assert world.campaign_stands(campaign).state is State.COMPLETED
    assert world.progress(campaign).skipped == 1


def test_an_audience_of_nobody_is_completed(world: testing.World) -> None:
    """A campaign without people has run too."""
    campaign = world.campaign(group=world.communication_group(**TEXT))
    world.run_until_idle()
    assert world.campaign_stands(campaign).state is State.COMPLETED
    assert world.progress(campaign).partitions == ids.PARTITIONS


def test_a_campaign_whose_jobs_all_fail_has_failed(world: testing.World) -> None:
    """One that was refused by every server failed; where one was taken it is completed."""
    crowd(world, 5)
    group = world.communication_group(**TEXT)
    world.mailbox.answer = acts.refused
    failing = world.campaign(group=group)
    world.run_until_idle()
    assert world.campaign_stands(failing).error == "every job failed"
    world.mailbox.answer = lambda out: (
        acts.refused(out) if out.address != "c1@example.com" else testing.accepted(out)
    )
    mixed = world.campaign(group=group)
    world.run_until_idle()
    assert world.campaign_stands(mixed).state is State.COMPLETED
    assert (world.progress(mixed).failed, world.progress(mixed).sent) == (4, 1)


def test_actions_follow_each_other(world: testing.World) -> None:
    """Several actions go to the same people, the second when the jobs of the first are all made."""
    crowd(world, 7)
    first, second = world.communication_group(**TEXT), world.communication_group(subject="2", text_body="Two")
    campaign = world.campaign(groups=[first, second])
    world.run_until_idle()
    subjects = [mail.subject for mail in world.mailbox.received]
    assert len(subjects) == 14
    assert subjects[7:] == ["2"] * 7
    assert world.campaign_stands(campaign).state is State.COMPLETED
    assert world.progress(campaign).jobs == 14


def test_a_campaign_keeps_the_version_with_which_it_began(world: testing.World) -> None:
    """Messages that wait are filled from the group as it was, whatever it says since."""
    world.contact("ana", email="ana@example.com")
    group = world.communication_group(subject="Old", text_body="Old")
    acts.steer(world, hold_deliveries=True)
    world.campaign(group=group)
    world.run_until_idle()
    acts.edit_group(world, group, email={"subject": "New"})
    acts.steer(world, hold_deliveries=False)
    world.run_until_idle()
    assert [mail.subject for mail in world.mailbox.received] == ["Old"]


def test_a_campaign_held_in_the_middle_goes_on_where_it_was(world: testing.World) -> None:
    """Who stops all deliveries, and again, while a campaign is sent lets nobody be left out or written to twice."""
    crowd(world, 40)
    acts.sized(world.turns, 2)
    campaign = world.campaign(group=world.communication_group(**TEXT))
    for _ in range(3):
        for _ in range(4):
            world.turns.take()
            world.delivery.wake()
            world._loop.run_until_complete(world.delivery.step())
        acts.steer(world, hold_deliveries=True)
        world.run_until_idle()
        stood = len(world.mailbox.received)
        world.pass_time(hours=1)
        assert len(world.mailbox.received) == stood
        acts.steer(world, hold_deliveries=False)
    world.run_until_idle()
    assert received(world) == {f"c{number}@example.com": 1 for number in range(40)}
    assert world.campaign_stands(campaign).state is State.COMPLETED


def test_a_stopped_campaign_sends_nothing_more(world: testing.World) -> None:
    """What nobody has claimed is skipped as stopped, and what was sent stays sent."""
    crowd(world, 30)
    acts.steer(world, hold_deliveries=True)
    campaign = world.campaign(group=world.communication_group(**TEXT))
    world.run_until_idle()
    assert world.progress(campaign).pending == 30
    world.stop_campaign(campaign)
    acts.steer(world, hold_deliveries=False)
    world.run_until_idle()
    assert not world.mailbox.received
    standing = world.campaign_stands(campaign)
    assert (standing.state, standing.error, standing.is_stopping) == (State.FAILED, "stopped", False)
    assert {(row["state"], row["error"]) for row in tables.rows(world.app.store, "messages")} == {
        (messages.State.CANCELED, "stopped")
    }


def test_a_campaign_stopped_in_the_middle_makes_no_more_jobs(world: testing.World) -> None:
    """From the moment of the stop no further person gets a job."""
    crowd(world, 60)
    acts.sized(world.turns, 2)
    campaign = world.campaign(group=world.communication_group(**TEXT))
    while world.progress(campaign).jobs < 10:
        world.turns.take()
    made = world.progress(campaign).jobs
    world.stop_campaign(campaign)
    world.run_until_idle()
    assert world.progress(campaign).jobs == made < 60
    assert world.campaign_stands(campaign).is_stopping is False
    with pytest.raises(errors.Conflict):
        world.stop_campaign(campaign)


def test_a_message_that_is_tried_again_is_stopped_too(world: testing.World) -> None:
    """A job that waits for another try ends as stopped when its time comes."""
    world.contact("ana", email="ana@example.com")
    world.mailbox.answer = acts.busy
    campaign = world.campaign(group=world.communication_group(**TEXT))
    world.run_until_idle()
    world.stop_campaign(campaign)
    world.mailbox.answer = testing.accepted
    world.pass_time(hours=2)
    assert not world.mailbox.received
    assert world.progress(campaign).skipped == 1
    assert world.campaign_stands(campaign).is_stopping is False


def test_a_campaign_called_off_does_not_run(world: testing.World) -> None:
    """Deactivated or a draft again, its time comes and nothing happens; activated anew it runs at its new time."""
    crowd(world, 3)
    campaign = world.campaign(group=world.communication_group(**TEXT), scheduled_at="2026-01-01T10:00:00Z")
    world.change_campaign(campaign, status="deactivated")
    world.pass_time(hours=11)
    assert not world.mailbox.received
    again = {"scheduled_at": "2026-01-01T20:00:00", "timezone": "Europe/Berlin"}
    world.change_campaign(campaign, status="active", trigger_metadata=again)
    world.pass_time(hours=7, minutes=30)
    assert not world.mailbox.received
    world.pass_time(minutes=31)
    assert len(world.mailbox.received) == 3


def test_what_was_moved_to_later_does_not_run_at_its_first_time(world: testing.World) -> None:
    """A campaign that is active may be changed, and runs at the new time alone."""
    crowd(world, 2)
    campaign = world.campaign(group=world.communication_group(**TEXT), scheduled_at="2026-01-01T10:00:00Z")
    world.change_campaign(campaign, trigger_metadata={"scheduled_at": "2026-01-02T10:00:00Z"})
    world.pass_time(hours=11)
    assert world.campaign_stands(campaign).state is State.ACTIVE
    world.pass_time(days=1)
    assert received(world) == Counter({"c0@example.com": 1, "c1@example.com": 1})


def test_a_campaign_runs_though_it_is_locked_later_than_was_set(world: testing.World) -> None:
    """One that was activated under a longer lock is looked at again when the shorter one begins."""
    crowd(world, 1)
    campaign = world.campaign(group=world.communication_group(**TEXT), scheduled_at="2026-01-01T10:00:00Z")
    world.turns._walks._limits = world.turns._walks._limits._replace(lock_window=schedule.SECOND)
    world.pass_time(hours=11)
    assert world.campaign_stands(campaign).state is State.COMPLETED
    assert len(world.mailbox.received) == 1


def test_a_campaign_whose_time_is_taken_away_runs_at_once(world: testing.World) -> None:
    """An active campaign that is to run at once now, and not tomorrow, does."""
    crowd(world, 1)
    campaign = world.campaign(group=world.communication_group(**TEXT), scheduled_at="2026-01-02T10:00:00Z")
    world.run_until_idle()
    world.change_campaign(campaign, trigger_metadata={"scheduled_at": None})
    world.run_until_idle()
    assert world.campaign_stands(campaign).state is State.COMPLETED
    assert len(world.mailbox.received) == 1


def test_a_scheduled_campaign_can_not_be_changed(world: testing.World) -> None:
    """Within the lock's time it goes its way."""
    campaign = world.campaign(group=world.communication_group(**TEXT), scheduled_at="2026-01-01T00:00:30Z")
    world.run_until_idle()
    assert world.campaign_stands(campaign).state is State.SCHEDULED
    for change in ({"status": "deactivated"}, {"name": "New"}):
        with pytest.raises(errors.Conflict):
            world.change_campaign(campaign, **change)


def test_a_campaign_that_comes_a_day_late_does_not_run(world: testing.World) -> None:
    """A server that was down for a while runs it late, one that was down for longer lets it fail (A5)."""
    crowd(world, 1)
    group = world.communication_group(**TEXT)
    late = world.campaign(group=group, scheduled_at="2026-01-01T10:00:00Z")
    world.clock.move(33 * 3_600_000_000)
    world.run_until_idle()
    assert world.campaign_stands(late).state is State.COMPLETED
    missed = world.campaign(group=group, scheduled_at="2026-01-02T10:00:00Z")
    world.clock.move(26 * 3_600_000_000)
    world.run_until_idle()
    standing = world.campaign_stands(missed)
    assert (standing.state, standing.error) == (State.FAILED, "missed_window")
    assert len(world.mailbox.received) == 1


def test_a_step_that_fails_is_tried_again(world: testing.World, told: list[Any]) -> None:
    """A partition that the database refuses comes again later, and goes on where it was, nobody twice."""
    crowd(world, 20)
    campaign = world.campaign(group=world.communication_group(**TEXT))
    acts.refuse(world, "messages", "contact_id", "c7")
    world.run_until_idle()
    assert "c7@example.com" not in received(world)
    assert world.campaign_stands(campaign).state is State.RUNNING
    acts.relent(world, "messages")
    world.pass_time(minutes=1)
    assert received(world) == Counter(f"c{number}@example.com" for number in range(20))
    assert world.campaign_stands(campaign).state is State.COMPLETED


def test_a_step_that_fails_for_good_fails_its_campaign(world: testing.World, told: list[Any]) -> None:
    """After the last try the campaign says why, and the others have their messages."""
    crowd(world, 20)
    campaign = world.campaign(group=world.communication_group(**TEXT))
    acts.refuse(world, "messages", "contact_id", "c7")
    world.pass_time(hours=2)
    standing = world.campaign_stands(campaign)
    assert standing.state is State.FAILED
    assert "refuse" in str(standing.error)
    assert len(world.mailbox.received) == 20 - len(
        [n for n in range(20) if acts.partition(world, f"c{n}") == acts.partition(world, "c7")]
    )


def test_who_changes_in_the_same_turn_is_judged_as_changed(world: testing.World) -> None:
    """A profile that an earlier input of the turn wrote is the one that is judged."""
    world.contact("ana", email="ana@example.com", plan="free")
    pro = world.segment({"field": "tagged", "operator": "exists"})
    world.rule(
        trigger_type="custom.up",
        actions=[{"type": "update_contact", "fields": {"tagged": "yes"}}],
    )
    world.event("custom.up", contact_id="ana")
    world.run_until_idle()
    world.campaign(group=world.communication_group(**TEXT), include_segments=[pro])
    world.run_until_idle()
    assert len(world.mailbox.received) == 1


def test_a_tenants_campaign_reaches_its_own_people(world: testing.World) -> None:
    """People of another business and of none are left out, and ids are those that the business knows."""
    for tenant, name in (("shop", "shop:1"), ("club", "club:1"), (None, "2")):
        people.save_profile(
            world.app.store,
            world.workspace_id,
            tenant,
            name,
            {"email": f"{name.replace(':', '-')}@example.com"},
            world.clock.now(),
            strategy="replace",
        )
    campaign = acts.campaign_of(world, "shop", {"subject": "Hi", "text_body": "{{ user_id }}"})
    world.run_until_idle()
    (mail,) = world.mailbox.received
    assert (mail.recipient, mail.text) == ("shop-1@example.com", "1")
    assert world.campaign_stands(campaign).state is State.COMPLETED


def test_a_held_message_that_is_dropped_counts_as_skipped(world: testing.World) -> None:
    """What was due for too long and an operator drops is an end too, and the campaign is completed."""
    crowd(world, 2)
    acts.steer(world, hold_deliveries=True)
    campaign = world.campaign(group=world.communication_group(**TEXT))
    world.run_until_idle()
    world.clock.move(30 * 3_600_000_000)
    acts.steer(world, hold_deliveries=False)
    world.run_until_idle()
    assert world.campaign_stands(campaign).state is State.RUNNING
    assert acts.drop_held(world) == 2
    world.run_until_idle()
    assert world.campaign_stands(campaign).state is State.COMPLETED
    assert world.progress(campaign).skipped == 2


def test_few_partitions_are_in_line_at_a_time(world: testing.World) -> None:
    """A fan-out leaves room in a turn for what else is due."""
    crowd(world, 3)
    world.campaign(group=world.communication_group(**TEXT))
    world.turns.take()
    waiting = tables.rows(world.app.store, "timers")
    assert len(waiting) == fanout.AT_ONCE < ids.PARTITIONS
