"""Campaigns: what may be written, when they run, and their states."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import campaigns, schedule
from heliograph.core.campaigns import State

NOW = schedule.parse_instant("2026-03-01T12:00:00Z", "")
MINUTE = 60_000_000
HOUR = 60 * MINUTE
KNOWN = campaigns.Known(
    {"all_users": "active", "s1": "active", "s2": "deactivated"}, {"g1": None, "g2": "has no e-mail"}
)


def action(group: str = "g1") -> dict[str, Any]:
    """An action that sends a group."""
    return {"action_type": "send_communication", "action_metadata": {"communication_group_id": group}}


def made(**given: Any) -> campaigns.Definition:
    """A campaign that can be activated, with these fields."""
    whole = {"name": "Sale", "action_data": [action()], "include_segments": ["s1"], **given}
    return campaigns.define(whole)


def at(written: object, zone: object = None) -> campaigns.Definition:
    """One that runs then."""
    return made(trigger_metadata={"scheduled_at": written, "timezone": zone})


def places(refusal: pytest.ExceptionInfo[errors.InvalidInput]) -> set[str]:
    """Where the faults are."""
    return {fault.path for fault in refusal.value.faults}


# ── what may be written ─────────────────────────────────────────────────────────────────────────────


def test_every_fault_is_told_at_once() -> None:
    """A wrong campaign is refused with the place of each fault."""
    with pytest.raises(errors.InvalidInput) as refusal:
        campaigns.define(
            {
                "description": 1,
                "trigger_type": "segment_entry",
                "trigger_metadata": {"timezone": "Mars/Base", "scheduled_at": "2026-01-01T10:00:00"},
                "action_data": [{"action_type": "send_sms", "action_metadata": {}}, {}],
                "include_segments": "s1",
                "exclude_segments": [3],
                "segmnts": [],
            }
        )
    assert places(refusal) == {
        "name",
        "description",
        "trigger_type",
        "trigger_metadata.timezone",
        "action_data[0].action_type",
        "action_data[0].action_metadata.communication_group_id",
        "action_data[1].action_type",
        "action_data[1].action_metadata",
        "include_segments",
        "exclude_segments[0]",
        "segmnts",
    }


@pytest.mark.parametrize(
    ("written", "zone", "instant"),
    [
        ("2026-11-27T09:00:00-05:00", None, "2026-11-27T14:00:00Z"),
        ("2026-11-27T09:00:00-05:00", "Asia/Tokyo", "2026-11-27T14:00:00Z"),
        ("2026-11-27T09:00:00", "America/New_York", "2026-11-27T14:00:00Z"),
        ("2026-07-01T09:00:00", "America/New_York", "2026-07-01T13:00:00Z"),
        # Clocks that jump over the time move it forward; of a time that they show twice the first counts.
        ("2026-03-29T02:30:00", "Europe/Berlin", "2026-03-29T01:30:00Z"),
        ("2026-10-25T02:30:00", "Europe/Berlin", "2026-10-25T00:30:00Z"),
    ],
)
def test_an_offset_decides_then_the_zone(written: str, zone: str | None, instant: str) -> None:
    """An offset fixes the instant whatever the zone says; without one it is wall-clock time there (A6)."""
    assert campaigns.due_at(at(written, zone)) == schedule.parse_instant(instant, "")


def test_a_time_without_offset_and_zone_is_refused() -> None:
    """No zone is ever guessed; no time at all is at once."""
    with pytest.raises(errors.InvalidInput) as refusal:
        at("2026-11-27T09:00:00")
    assert places(refusal) == {"trigger_metadata.scheduled_at"}
    assert campaigns.due_at(at(None)) is campaigns.due_at(made()) is None


def test_what_is_referred_to_must_be_there() -> None:
    """Unknown segments and groups are faults, and so is a deactivated segment that was not referred to before."""
    wanted = made(include_segments=["s1", "s2", "s3"], exclude_segments=["s9"], action_data=[action("g9")])
    assert {fault.path for fault in campaigns.dangling(wanted, KNOWN)} == {
        "include_segments[1]",
        "include_segments[2]",
        "exclude_segments[0]",
        "action_data[0].action_metadata.communication_group_id",
    }
    kept = made(include_segments=["s2"])
    assert campaigns.dangling(kept, KNOWN, kept) == []


def test_what_a_campaign_needs_to_be_activated() -> None:
    """A segment, an action, a group that can be sent and a time to come (A5, A8, A11)."""
    bare = campaigns.define({"name": "Sale"})
    assert {fault.path for fault in campaigns.unready(bare, KNOWN, NOW)} == {
        "include_segments",
        "action_data",
    }
    late = at("2026-03-01T11:59:59Z")
    assert [fault.path for fault in campaigns.unready(late, KNOWN, NOW)] == ["trigger_metadata.scheduled_at"]
    unwritten = made(action_data=[action("g2")])
    (fault,) = campaigns.unready(unwritten, KNOWN, NOW)
    assert fault.path == "action_data[0].action_metadata.communication_group_id"
    assert campaigns.unready(made(), KNOWN, NOW) == []


# ── states ──────────────────────────────────────────────────────────────────────────────────────────


@given(st.sampled_from(State), st.sampled_from(State))
def test_people_go_where_the_table_lets_them(start: State, wanted: State) -> None:
    """A client sets draft, active and deactivated where the table allows it, and nothing else."""
    standing = campaigns.Standing(start, NOW if start is not State.DRAFT else None)
    allowed = wanted in campaigns.BY_PEOPLE and (wanted is start or wanted in campaigns.TRANSITIONS[start])
    if allowed:
        assert campaigns.set_by_people(standing, wanted, None, NOW).state is wanted
    else:
        with pytest.raises(errors.Conflict):
            campaigns.set_by_people(standing, wanted, None, NOW)


def test_a_campaign_without_a_time_runs_at_once() -> None:
    """Null is now, and stays the instant of activation when an active campaign is changed."""
    active = campaigns.set_by_people(campaigns.Standing(State.DRAFT), State.ACTIVE, None, NOW)
    assert active.due_at == NOW
    assert campaigns.set_by_people(active, State.ACTIVE, None, NOW + HOUR).due_at == NOW


@given(st.integers(0, 48 * 60), st.lists(st.integers(0, 48 * 60), min_size=1, max_size=6))
def test_time_moves_a_campaign_forward_alone(due: int, looks: list[int]) -> None:
    """However often and when the clock is looked at: scheduled from a minute before, running once due, once."""
    standing = campaigns.Standing(State.ACTIVE, NOW + due * MINUTE)
    for look in sorted(looks):
        now = NOW + look * MINUTE
        before, standing = standing.state, campaigns.at_time(standing, now, MINUTE, 24 * HOUR)
        assert standing.state is before or standing.state in (State.SCHEDULED, State.RUNNING, State.FAILED)
        if before in (State.RUNNING, State.FAILED):
            assert standing.state is before
        elif now < NOW + (due - 1) * MINUTE:
            assert standing.state is State.ACTIVE
        elif now < NOW + due * MINUTE:
            assert standing.state is State.SCHEDULED
        else:
            late = now - (NOW + due * MINUTE) > 24 * HOUR
            assert standing.state is (State.FAILED if late else State.RUNNING)
            assert standing.error == ("missed_window" if late else None)


def test_it_says_when_it_is_to_be_looked_at() -> None:
    """First when it is to be locked, then when it is due, then no more."""
    active = campaigns.Standing(State.ACTIVE, NOW + HOUR)
    assert campaigns.next_look(active, MINUTE) == NOW + HOUR - MINUTE
    assert campaigns.next_look(active._replace(state=State.SCHEDULED), MINUTE) == NOW + HOUR
    assert campaigns.next_look(active._replace(state=State.RUNNING), MINUTE) is None
    assert campaigns.next_look(campaigns.Standing(State.DRAFT), MINUTE) is None


def progress(**counts: Any) -> campaigns.Progress:
    """Of a campaign whose people were all judged."""
    return campaigns.Progress(**{"partitions": 64, **counts})


def moved(part: campaigns.Progress, *, actions: int = 1, **changed: Any) -> campaigns.Standing:
    """A running campaign after this progress."""
    running = campaigns.Standing(State.RUNNING, NOW, NOW)._replace(**changed)
    return campaigns.progressed(running, part, part, 64, actions, NOW + HOUR)


def test_it_is_completed_when_every_job_has_ended() -> None:
    """Sent, skipped and failed are ends, and an audience of nobody is completed too (A4)."""
    assert moved(progress()).state is State.COMPLETED
    assert moved(progress(jobs=3, sent=1, failed=1, skipped=1)).state is State.COMPLETED
    assert moved(progress(jobs=3, skipped=3)).state is State.COMPLETED
    assert moved(progress(jobs=3, sent=2)).state is State.RUNNING
    assert moved(progress(jobs=3, sent=3, partitions=63)).state is State.RUNNING


def test_it_has_failed_when_every_job_failed() -> None:
    """Single failures do not fail a campaign, all of them do, and so does an audience that cannot be judged (A3)."""
    assert moved(progress(jobs=2, failed=2)).error == "every job failed"
    assert moved(progress(jobs=3, failed=2, skipped=1)).state is State.FAILED
    broken = moved(progress(jobs=3, sent=1, error="it broke"))
    assert (broken.state, broken.error, broken.is_stopping) == (State.FAILED, "it broke", True)


def test_actions_follow_each_other() -> None:
    """The next action starts when the jobs of the one before are all made, sent or not (A11)."""
    assert moved(progress(jobs=3, partitions=63), actions=2).action == 0
    assert moved(progress(jobs=3), actions=2).action == 1
    assert moved(progress(jobs=3, sent=3), actions=2, action=1).state is State.COMPLETED


def test_a_stopped_campaign_winds_up() -> None:
    """Only a running one can be stopped; it is over when nothing is open any more, and stays failed."""
    with pytest.raises(errors.Conflict):
        campaigns.stopped(campaigns.Standing(State.SCHEDULED, NOW), NOW)
    stopped = campaigns.stopped(campaigns.Standing(State.RUNNING, NOW, NOW), NOW)
    assert (stopped.state, stopped.error, stopped.is_stopping) == (State.FAILED, "stopped", True)
    part = progress(jobs=3, sent=1)
    assert campaigns.progressed(stopped, part, part, 64, 1, NOW) == stopped
    part = progress(jobs=3, sent=1, skipped=2)
    assert campaigns.progressed(stopped, part, part, 64, 1, NOW) == stopped._replace(is_stopping=False)


@given(st.lists(st.tuples(*[st.integers(0, 9)] * 7), max_size=5))
def test_progress_is_a_sum(parts: list[tuple[int, ...]]) -> None:
    """Progress is added up column by column, and what is pending is what has no end."""
    whole = campaigns.added([campaigns.Progress._make((*part, None)) for part in parts])
    assert whole.jobs == sum(part[2] for part in parts)
    assert whole.pending == sum(part[2] - sum(part[3:]) for part in parts)
