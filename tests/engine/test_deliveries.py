"""Handing over: tried again later and later, held when too late, uncertain when an answer was lost, lost by nobody."""

import asyncio
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from heliograph import channels, clock, errors, testing
from heliograph.channels import console
from heliograph.core import ids, schedule
from heliograph.store import held
from tests import tables
from tests.engine import acts

SECOND = 1_000_000
HOUR = 3_600 * SECOND


def greet(world: testing.World, people: int = 1) -> list[str]:
    """A rule that writes to whom an event is about, and so many such events; gives their ids."""
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    for number in range(people):
        world.contact(f"c{number}", email=f"c{number}@example.com")
    made = world.events([{"event_type": "custom.a", "contact_id": f"c{number}"} for number in range(people)])
    while world.turns.take().more:
        pass
    return made


def step(world: testing.World) -> bool:
    return world._loop.run_until_complete(world.delivery.step())


def until(world: testing.World, reached: Callable[[], object]) -> None:
    """Let the delivery run on its loop, and turns beside it, until something is so."""

    async def run() -> None:
        running = asyncio.create_task(world.delivery.run())
        async with asyncio.timeout(30):
            while not reached():
                world.turns.take()
                await asyncio.sleep(0)
            world.delivery.stop()
            while not running.done():
                world.turns.take()
                await asyncio.sleep(0)
        await running

    world._loop.run_until_complete(run())


def first(
    *answers: Callable[[channels.Outgoing], channels.Answer],
) -> Callable[[channels.Outgoing], channels.Answer]:
    """Answers one after the other, then accepts."""
    line = list(answers)

    def answer(outgoing: channels.Outgoing) -> channels.Answer:
        return line.pop(0)(outgoing) if line else testing.accepted(outgoing)

    return answer


# ── again, later ────────────────────────────────────────────────────────────────────────────────────


def test_a_message_that_fails_for_now_comes_back_later_and_later(world: testing.World) -> None:
    """Each try waits for its own instant, by the timetable of back-off, and a success ends it."""
    world.mailbox.answer = first(*[acts.busy] * 3)
    (event,) = greet(world)
    world.pass_time(hours=1)
    (message,) = world.explain(event).messages
    assert message.state == "accepted"
    assert [attempt.outcome for attempt in message.attempts] == ["temporary"] * 3 + ["accepted"]
    identity = ids.parse(message.id)
    assert identity is not None
    at = testing.START
    for number, attempt in enumerate(message.attempts):
        assert schedule.parse_instant(attempt.at, "at") == at
        at = schedule.delivery_retry_at(number + 1, at, identity)
    assert len(world.mailbox.received) == 1


def test_a_message_fails_after_its_last_try(world: testing.World) -> None:
    """After as many tries as are set the message has failed, and the run hears of it."""
    world.mailbox.answer = acts.busy
    (event,) = greet(world)
    world.pass_time(days=2)
    (message,) = world.explain(event).messages
    assert (message.state, len(message.attempts)) == ("failed", world.settings.delivery_attempts)
    assert acts.actions(world, event) == [[("send_message", "failed", "450: busy")]]
    assert tables.rows(world.app.store, "timers") == []


def test_a_provider_that_names_a_time_is_obeyed(world: testing.World) -> None:
    """A try that is told to wait an hour waits at least an hour."""
    asked = []

    def answer(outgoing: channels.Outgoing) -> channels.Answer:
        asked.append(world.clock.now())
        return (
            acts.busy(outgoing)._replace(retry_after=3_600) if len(asked) == 1 else testing.accepted(outgoing)
        )

    world.mailbox.answer = answer
    greet(world)
    world.pass_time(hours=2)
    assert len(asked) == 2
    assert asked[1] - asked[0] >= HOUR


def test_a_timer_of_a_message_that_is_in_line_changes_nothing(world: testing.World) -> None:
    """A message that is due already is not put in line a second time, and nobody is held up by it."""
    greet(world)
    (message,) = tables.rows(world.app.store, "messages")
    with world.app.store.writing() as connection:
        connection.exec_driver_sql(
            "INSERT INTO timers (partition, wake_at, workspace_id, kind, id)"
            " SELECT partition, 0, workspace_id, 2, message_id FROM send_due"
        )
    world.event("custom.b")
    world.run_until_idle()
    assert len(world.mailbox.received) == 1
    assert ids.text(message["id"]) == world.mailbox.received[0].message_id
    assert tables.rows(world.app.store, "due") == tables.rows(world.app.store, "send_due") == []


# ── answers that were lost ──────────────────────────────────────────────────────────────────────────


def test_a_lost_answer_is_sent_again_and_named_for_ever(world: testing.World) -> None:
    """`at_least_once`: the same Message-ID goes out again, and the ledger says that it may have arrived twice."""
    world.mailbox.answer = first(acts.lost)
    (event,) = greet(world)
    world.pass_time(hours=1)
    (message,) = world.explain(event).messages
    assert (message.state, message.possibly_repeated) == ("accepted", True)
    assert [attempt.outcome for attempt in message.attempts] == ["uncertain", "accepted"]
    assert len({mail.message_id for mail in world.mailbox.received}) == 1
    copies = len(world.mailbox.received)
    assert 1 <= copies <= 1 + sum(attempt.outcome == "uncertain" for attempt in message.attempts)


def test_at_most_once_never_repeats(database_url: str) -> None:
    """`at_most_once`: a lost answer ends the message as uncertain; the run waits for whoever resolves it."""
    with testing.World(database_url, uncertain_policy="at_most_once") as world:
        world.mailbox.answer = acts.lost
        (event,) = greet(world)
        world.pass_time(days=3)
        (message,) = world.explain(event).messages
        assert (message.state, message.possibly_repeated) == ("uncertain", False)
        assert len(world.mailbox.received) == 1
        assert acts.actions(world, event) == [[("send_message", "pending", None)]]


def die_holding(world: testing.World, *, handed_over: bool) -> None:
    """A delivery claims what is due and dies, before or after it handed it over."""
    now = world.clock.now()
    lease_until = now + int(world.settings.lease_seconds * SECOND)
    with world._session.transaction() as connection:
        claimed, _ = world._session.hot.claim(connection, now, 100, "gone", lease_until, 0)
    assert claimed
    if handed_over:
        for one in claimed:
            world.mailbox.send_now(world.delivery._writer.write(one, lease_until, now))


@pytest.mark.parametrize("handed_over", [False, True], ids=["between claim and act", "between act and mark"])
def test_a_delivery_that_died_is_noticed_by_its_lease(world: testing.World, *, handed_over: bool) -> None:
    """What a dead delivery held is sent when its lease is over, and the possible repeat has a name."""
    (event,) = greet(world)
    die_holding(world, handed_over=handed_over)
    world.run_until_idle()
    assert len(world.mailbox.received) == handed_over, "before the lease is over nobody touches it"
    world.clock.move(int(world.settings.lease_seconds * SECOND) + 1)
    world.pass_time(minutes=5)
    (message,) = world.explain(event).messages
    assert [attempt.outcome for attempt in message.attempts] == ["uncertain", "accepted"]
    assert message.possibly_repeated
    assert schedule.parse_instant(message.attempts[0].at, "at") == testing.START, "when it was claimed"
    assert len(world.mailbox.received) == 1 + handed_over
    assert acts.outcomes(world, event) == ["executed"]


def test_a_process_that_is_alone_need_not_wait(ready_sqlite_url: str) -> None:
    """On SQLite the next process knows that its predecessor is gone and takes over all it held at once."""
    with testing.World(ready_sqlite_url) as world:
        greet(world, 5)
        die_holding(world, handed_over=False)
    with testing.World(ready_sqlite_url) as world:
        world.app.claims(world._session).adopt_all()
        world.pass_time(minutes=1)
        assert len(world.mailbox.received) == 5


# ── held ────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_due_for_too_long_is_held(world: testing.World) -> None:
    """After a standstill of more than a day nothing goes out by itself; what is released then does, once."""
    (event,) = greet(world)
    world.clock.move(24 * HOUR + SECOND)
    world.run_until_idle()
    (message,) = world.explain(event).messages
    assert message.state == "held"
    assert world.mailbox.received == []
    world.pass_time(days=3)
    assert world.mailbox.received == []
    release(world, message.id)
    assert len(world.mailbox.received) == 1
    assert acts.outcomes(world, event) == ["executed"]


@pytest.mark.parametrize("handed_over", [False, True], ids=["between claim and act", "between act and mark"])
def test_what_died_in_somebodys_hands_too_long_ago_is_held(
    world: testing.World, *, handed_over: bool
) -> None:
    """What a process had in hand that died more than a day ago is not sent again before an operator's word."""
    (event,) = greet(world)
    die_holding(world, handed_over=handed_over)
    world.clock.move(25 * HOUR)
    world.run_until_idle()
    world.pass_time(days=3)
    assert len(world.mailbox.received) == handed_over
    (message,) = world.explain(event).messages
    assert message.state == "held"
    assert [attempt.outcome for attempt in message.attempts] == ["uncertain"]
    release(world, message.id)
    assert len(world.mailbox.received) == 1 + handed_over
    (message,) = world.explain(event).messages
    assert ([attempt.outcome for attempt in message.attempts], message.possibly_repeated) == (
        ["uncertain", "accepted"],
        True,
    )
    assert acts.outcomes(world, event) == ["executed"]


def test_what_is_reported_while_it_is_held_is_not_sent_again(world: testing.World) -> None:
    """A report may say of a held message, whose answer was lost, that it arrived: then a release sends nothing."""
    (event,) = greet(world)
    die_holding(world, handed_over=True)
    world.clock.move(25 * HOUR)
    world.run_until_idle()
    (message,) = world.explain(event).messages
    world.report(message.id, "delivered")
    world.run_until_idle()
    release(world, message.id)
    assert len(world.mailbox.received) == 1
    assert world.explain(event).messages[0].state == "delivered"
    assert acts.outcomes(world, event) == ["executed"]


def release(world: testing.World, message_id: str) -> None:
    """An operator lets this one go."""
    identity = ids.parse(message_id)
    assert identity is not None
    with world.app.store.writing() as connection:
        assert held.release(connection, world.workspace_id, [identity], world.clock.now()) == 1
    world.run_until_idle()


def test_within_the_grace_it_goes_out(world: testing.World) -> None:
    """A standstill of exactly the grace is not too long."""
    greet(world)
    world.clock.move(24 * HOUR)
    world.run_until_idle()
    assert len(world.mailbox.received) == 1


def test_deliveries_on_hold_wait_and_then_all_go(world: testing.World) -> None:
    """While deliveries are held events are decided and nothing goes out; afterwards everything does, once."""
    acts.steer(world, hold_deliveries=True)
    made = greet(world, 7)
    world.pass_time(hours=5)
    assert acts.decided(world) == set(made)
    assert world.mailbox.received == []
    acts.steer(world, hold_deliveries=False)
    world.run_until_idle()
    assert sorted(mail.recipient for mail in world.mailbox.received) == [
        f"c{number}@example.com" for number in range(7)
    ]


# ── one stops no other ──────────────────────────────────────────────────────────────────────────────


def test_a_text_that_cannot_be_filled_fails_its_message_alone(world: testing.World) -> None:
    """Of five messages one has a text that fails: four go out, the one says where and why."""
    world.rule(
        trigger_type="custom.a",
        actions=[{"type": "send_message", "text": "{% for x in (1..payload.n) %}{{ x }}{% endfor %}"}],
    )
    world.contact("ana", email="ana@example.com")
    sizes: list[Any] = [1, 2, 10**9, 3, 4]
    made = world.events([{"event_type": "custom.a", "contact_id": "ana", "payload": {"n": n}} for n in sizes])
    world.run_until_idle()
    states = [world.explain(event).messages[0].state for event in made]
    assert states == ["accepted", "accepted", "failed", "accepted", "accepted"]
    assert "unrenderable" in str(world.explain(made[2]).messages[0].error)


def test_a_channel_that_raises_is_taken_for_uncertain(world: testing.World) -> None:
    """A fault inside a channel may have come after the hand-over: it is named as such and ends nothing else."""

    async def broken(outgoing: channels.Outgoing) -> channels.Answer:
        if outgoing.address == "c1@example.com" and not seen:
            seen.append(outgoing)
            raise RuntimeError("a fault of the channel")
        return testing.accepted(outgoing)

    seen: list[channels.Outgoing] = []
    made = greet(world, 3)
    slow(world, broken)
    until(world, lambda: sum(world.delivery.counts.values()) == 3 and not world.delivery.in_flight)
    (message,) = world.explain(made[1]).messages
    assert [attempt.outcome for attempt in message.attempts] == ["uncertain"]
    assert "a fault of the channel" in message.attempts[0].text
    assert [world.explain(made[n]).messages[0].state for n in (0, 2)] == ["accepted", "accepted"]


def slow(world: testing.World, send: Any) -> None:
    """Let e-mails go out through a channel that answers in its own time."""

    class Way(console.ConsoleChannel):
        concurrency = 5

    way = Way(world.clock.now)
    way.send = send  # type: ignore[method-assign]
    del Way
    world.app.deliveries.installed = {**world.app.deliveries.installed, "email": way}
    world.delivery = world.app.delivery(world._session)
    # What is in flight is waited for by the wall, which the clock of a world knows nothing of.
    world.delivery._wall_seconds = clock.WallClock().wall_seconds


def test_stopping_lets_what_is_in_flight_end(world: testing.World) -> None:
    """A delivery that is stopped claims nothing more, and stores the answers that it waits for."""
    begun: list[channels.Outgoing] = []

    async def late(outgoing: channels.Outgoing) -> channels.Answer:
        begun.append(outgoing)
        world.delivery.stop()
        for _ in range(20):
            await asyncio.sleep(0)
        return testing.accepted(outgoing)

    greet(world, 5)
    slow(world, late)
    until(world, lambda: begun)
    assert len(begun) == 5
    assert {row["state"] for row in tables.rows(world.app.store, "messages")} == {3}
    assert tables.rows(world.app.store, "claims") == []


# ── the database refuses ────────────────────────────────────────────────────────────────────────────


def test_an_answer_survives_a_database_that_is_busy(lone_world: testing.World) -> None:
    """An answer that cannot be stored just now is kept and stored later; nothing is sent twice for it."""
    world = lone_world
    greet(world)
    assert step(world)
    world._session.connection.execute("PRAGMA busy_timeout = 0")
    other = sqlite3.connect(str(world.app.store.path), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.DatabaseLocked):
        world.turns.take()
    other.execute("COMMIT")
    other.close()
    world.pass_time(minutes=5)
    assert len(world.mailbox.received) == 1
    assert {row["state"] for row in tables.rows(world.app.store, "messages")} == {3}


def test_a_ledger_row_that_is_refused_stops_itself_alone(world: testing.World) -> None:
    """The database takes the answers of all messages but one: those are stored, and the delivery goes on."""

    def answer(outgoing: channels.Outgoing) -> channels.Answer:
        if outgoing.address == "c1@example.com":
            return acts.refused(outgoing)._replace(text="poison")
        return testing.accepted(outgoing)

    acts.refuse(world, "messages", "error", "550: poison")
    world.mailbox.answer = answer
    made = greet(world, 3)
    world.run_until_idle()
    states = [world.explain(event).messages[0].state for event in made]
    assert (states[0], states[2]) == ("accepted", "accepted")
    assert states[1] != "accepted"
    greet(world, 1)
    world.run_until_idle()
    assert len(world.mailbox.received) > 2
