"""Time: pauses that end by themselves, clocks that jump back, work that comes too late."""

import pytest

from heliograph import testing
from heliograph.core import ids
from heliograph.engine import match
from heliograph.store import departures, held, history
from tests import tables
from tests.engine import acts

SECOND = 1_000_000
HOUR = 3_600 * SECOND


@pytest.fixture(autouse=True)
def tagging(world: testing.World) -> None:
    """A rule that tags."""
    world.rule(trigger_type="custom.a", actions=[{"type": "add_tags", "tags": ["seen"]}])


def happen(world: testing.World, count: int = 1) -> list[str]:
    return world.events(
        [{"event_type": "custom.a", "contact_id": "ana", "payload": {"n": n}} for n in range(count)]
    )


# ── pause ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_paused_workspace_waits_and_then_decides_all(world: testing.World) -> None:
    """While rules stand still events are kept; afterwards each is decided, once, in the order of arrival."""
    acts.steer(world, is_paused=True)
    made = happen(world, 5)
    world.pass_time(hours=2)
    assert acts.decided(world) == set()
    acts.steer(world, is_paused=False)
    world.run_until_idle()
    assert acts.decided(world) == set(made)
    assert all(acts.outcomes(world, one) == ["executed"] for one in made)
    assert {acts.decision(world, one)["decided_at"] for one in made} == {world.clock.now()}


def test_a_pause_ends_by_the_clock(world: testing.World) -> None:
    """At `paused_until` the events are decided without anybody's doing, and the worker slept until then."""
    until = world.clock.now() + HOUR
    acts.steer(world, is_paused=True, paused_until=until)
    (event,) = happen(world)
    assert world._session.hot.next_due(world._session.connection, world.clock.now()) == until
    world.pass_time(hours=2)
    assert acts.decision(world, event)["decided_at"] == until


def test_a_pause_that_is_over_lets_the_worker_sleep(world: testing.World) -> None:
    """After a pause has run out nothing is due any more: an idle engine is idle."""
    acts.steer(world, is_paused=True, paused_until=world.clock.now() + HOUR)
    world.pass_time(hours=2)
    assert world._session.hot.next_due(world._session.connection, world.clock.now()) is None
    assert not world.pace.step()
    assert world.pace.rest() == 5.0


def test_runs_go_on_through_a_pause(world: testing.World) -> None:
    """A pause stops rules, not what they have begun: answers are taken in and the next step is taken."""
    world.contact("ana", email="ana@example.com")
    world.rule(
        trigger_type="custom.b",
        actions=[
            {"type": "send_message", "text": "Hello", "on_error": "stop"},
            {"type": "add_tags", "tags": ["after"]},
        ],
    )
    event = world.event("custom.b", contact_id="ana")
    world.turns.take()
    acts.steer(world, is_paused=True)
    world.run_until_idle()
    assert acts.outcomes(world, event) == ["executed"]
    assert acts.contact(world, "ana")["tags"] == '["after"]'


def test_what_is_too_old_after_a_pause_is_let_go(world: testing.World) -> None:
    """After a pause of more than a day, events from its beginning start nothing, and say why."""
    acts.steer(world, is_paused=True)
    (old,) = happen(world)
    world.pass_time(hours=25)
    (young,) = happen(world)
    acts.steer(world, is_paused=False)
    world.run_until_idle()
    found = world.explain(old)
    assert (found.event.status, found.event.error, found.runs) == ("processed", "expired_while_paused", [])
    assert acts.outcomes(world, young) == ["executed"]


def test_a_pause_that_ends_by_itself_lets_go_of_what_is_too_old(world: testing.World) -> None:
    """After a pause of more than a day that its `paused_until` ended, events from its beginning are done with too."""
    acts.steer(world, is_paused=True, paused_until=world.clock.now() + 30 * HOUR)
    world.clock.move(SECOND)
    (old,) = happen(world)
    world.pass_time(hours=29)
    (young,) = happen(world)
    world.pass_time(hours=2)
    found = world.explain(old)
    assert (found.event.status, found.event.error, found.runs) == ("processed", "expired_while_paused", [])
    assert acts.outcomes(world, young) == ["executed"]


def test_a_pause_is_judged_by_its_end_not_by_when_its_events_are_reached(world: testing.World) -> None:
    """Events that were young when a pause ended, and then waited through a standstill, are held, not done with."""
    acts.steer(world, is_paused=True)
    (event,) = happen(world)
    world.clock.move(HOUR)
    acts.steer(world, is_paused=False)
    world.clock.move(24 * HOUR + SECOND)
    world.run_until_idle()
    assert not acts.outcomes(world, event)
    assert world.explain(event).event.error == "held: it waited longer than the misfire grace"


def test_a_standstill_is_no_pause(world: testing.World) -> None:
    """Events that wait while nothing works are held for an operator, whatever else of the control record changes."""
    (event,) = happen(world)
    world.clock.move(24 * HOUR)
    acts.steer(world, hold_deliveries=True)
    world.clock.move(SECOND)
    acts.steer(world, hold_deliveries=False)
    world.run_until_idle()
    assert world.explain(event).event.error == "held: it waited longer than the misfire grace"
    identity = ids.parse(event)
    assert identity is not None
    with world.app.store.writing() as connection:
        assert held.release(connection, world.workspace_id, [identity], world.clock.now()) == 1
    world.pass_time(minutes=1)
    assert acts.outcomes(world, event) == ["executed"]


def test_a_pause_may_last_as_long_as_events_may_wait_through_it(database_url: str) -> None:
    """Where events may grow older than the misfire grace in a pause, they are decided after it, not held."""
    with testing.World(database_url, max_event_age_hours=72) as world:
        acts.steer(world, is_paused=True)
        (event,) = happen(world)
        world.clock.move(60 * HOUR)
        acts.steer(world, is_paused=False)
        world.run_until_idle()
        assert acts.outcomes(world, event) == ["executed"]


def raising(*_: object) -> None:
    """A decision that does."""
    raise RuntimeError("a fault of the program")


@pytest.fixture
def failing(world: testing.World, monkeypatch: pytest.MonkeyPatch) -> str:
    """An event whose decision has raised once, and would not do so again."""
    with monkeypatch.context() as faulty:
        faulty.setattr(match, "match", raising)
        (event,) = happen(world)
        world.run_until_idle()
    return event


def test_what_is_tried_again_waits_for_the_end_of_a_pause(world: testing.World, failing: str) -> None:
    """While rules stand still none acts on an event that has failed before; afterwards it is decided, once."""
    world.clock.move(SECOND)
    acts.steer(world, is_paused=True, paused_until=world.clock.now() + HOUR)
    world.pass_time(minutes=50)
    assert not acts.outcomes(world, failing)
    assert world.explain(failing).event.status == "pending"
    acts.steer(world, is_paused=True, paused_until=None)
    world.pass_time(hours=2)
    assert not acts.outcomes(world, failing)
    acts.steer(world, is_paused=False)
    world.pass_time(minutes=1)
    assert acts.outcomes(world, failing) == ["executed"]
    assert tables.rows(world.app.store, "timers") == []


def test_a_pause_keeps_nobody_in_line_who_was_deleted(world: testing.World, failing: str) -> None:
    """An event that is tried again, and waits for a pause's end, is done with when whom it is about is deleted."""
    acts.steer(world, is_paused=True)
    world.pass_time(minutes=5)
    identity = ids.parse(failing)
    assert identity is not None
    with world.app.store.writing() as connection:
        departures.end_events(connection, world.workspace_id, [identity], world.clock.now())
    assert tables.rows(world.app.store, "timers") == []
    acts.steer(world, is_paused=False)
    world.pass_time(minutes=5)
    assert not acts.outcomes(world, failing)


def test_what_failed_before_a_pause_did_not_wait_through_it(
    world: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed event that an operator has tried again is decided, however old it is and whatever was paused since."""
    with monkeypatch.context() as faulty:
        faulty.setattr(match, "match", raising)
        (event,) = happen(world)
        world.pass_time(hours=1)
    assert world.explain(event).event.status == "failed"
    world.pass_time(hours=48)
    acts.steer(world, is_paused=True)
    acts.steer(world, is_paused=False)
    identity = ids.parse(event)
    assert identity is not None
    with world.app.store.writing() as connection:
        assert history.retry_event(connection, world.workspace_id, None, identity, world.clock.now())
    world.run_until_idle()
    assert acts.outcomes(world, event) == ["executed"]


# ── too late ────────────────────────────────────────────────────────────────────────────────────────


def test_an_event_that_waited_too_long_is_held(world: testing.World) -> None:
    """After a standstill of more than a day old events start nothing by themselves; what is released does."""
    world.clock.move(SECOND)
    (event,) = happen(world)
    world.clock.move(24 * HOUR + SECOND)
    (fresh,) = happen(world)
    world.run_until_idle()
    assert acts.outcomes(world, fresh) == ["executed"]
    assert acts.outcomes(world, event) == []
    identity = ids.parse(event)
    assert identity is not None
    with world.app.store.writing() as connection:
        assert [one.id for one in held.listed(connection, world.workspace_id, 10)] == [identity]
        assert held.release(connection, world.workspace_id, [identity], world.clock.now()) == 1
    world.pass_time(minutes=1)
    assert acts.outcomes(world, event) == ["executed"]


# ── a clock that jumps back ─────────────────────────────────────────────────────────────────────────


def test_a_clock_that_jumps_back_does_not_turn_time_back(world: testing.World) -> None:
    """Decisions never carry an earlier instant than those before them, and nothing is decided twice or left."""
    first = happen(world)
    world.run_until_idle()
    was = world.clock.now()
    world.clock.at = was - 3 * HOUR
    second = happen(world, 3)
    world.run_until_idle()
    assert acts.decided(world) == {*first, *second}
    assert {acts.decision(world, one)["decided_at"] for one in second} == {was}


def test_a_cooldown_holds_through_a_jump_back(world: testing.World) -> None:
    """A rule that rests for an hour does not act again because the clock was set back."""
    world.rule(trigger_type="custom.c", cooldown_secs=3_600, actions=[{"type": "add_tags", "tags": ["c"]}])
    first = world.event("custom.c", contact_id="ana")
    world.run_until_idle()
    world.clock.at -= 2 * HOUR
    second = world.event("custom.c", contact_id="ana")
    world.run_until_idle()
    assert (acts.outcomes(world, first), acts.outcomes(world, second)) == (["executed"], ["skipped"])
    world.clock.at = testing.START + HOUR
    third = world.event("custom.c", contact_id="ana")
    world.run_until_idle()
    assert acts.outcomes(world, third) == ["executed"]


def test_a_message_waits_out_a_jump_back(world: testing.World) -> None:
    """A try that was put off is made once, when its instant comes, whatever the clock did before."""
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.b", actions=[{"type": "send_message", "text": "Hello"}])
    world.mailbox.answer = acts.busy
    event = world.event("custom.b", contact_id="ana")
    world.run_until_idle()
    world.mailbox.answer = testing.accepted
    world.clock.at -= 3 * HOUR
    world.run_until_idle()
    assert world.mailbox.received == []
    world.pass_time(hours=4)
    assert [message.state for message in world.explain(event).messages] == ["accepted"]
    assert len(world.mailbox.received) == 1


def test_leases_are_seen_to_after_a_jump_back(world: testing.World) -> None:
    """A delivery that looked for dead claims before the jump looks again after it."""
    world.run_until_idle()
    world.clock.at -= 5 * 24 * HOUR
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.b", actions=[{"type": "send_message", "text": "Hello"}])
    event = world.event("custom.b", contact_id="ana")
    acts.steer(world, hold_deliveries=True)  # it goes in line, for somebody else to claim
    while world.turns.take().inputs:
        pass
    acts.steer(world, hold_deliveries=False)
    now = world.clock.now()
    with world._session.transaction() as connection:
        assert world._session.hot.claim(connection, now, 10, "gone", now + SECOND, 0)[0]
    world.pass_time(hours=1)
    world.pass_time(hours=1)
    assert [message.state for message in world.explain(event).messages] == ["accepted"]
    assert tables.rows(world.app.store, "claims") == []
