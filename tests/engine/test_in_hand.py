"""What a delivery has in hand: it knows of it until it is answered, whatever comes between, and loses no answer."""

import asyncio
import threading
from typing import Any

import pytest

from heliograph import channels, clock, testing
from tests import tables
from tests.engine.test_deliveries import SECOND, greet, slow, step, until


def test_an_answer_that_is_not_stored_yet_is_not_lost(world: testing.World) -> None:
    """Where nothing could be stored for longer than a lease, what was answered meanwhile is not sent again."""
    (event,) = greet(world)
    assert step(world)
    world.clock.move(int(world.settings.lease_seconds * SECOND) + 1)
    step(world)
    world.pass_time(minutes=5)
    (message,) = world.explain(event).messages
    assert [attempt.outcome for attempt in message.attempts] == ["accepted"]
    assert len(world.mailbox.received) == 1
    assert tables.rows(world.app.store, "claims") == []


def test_what_is_still_in_hand_is_not_lost(world: testing.World) -> None:
    """A process that stood still for longer than a lease hears what becomes of what it was handing over."""
    asked: list[str] = []

    async def late(outgoing: channels.Outgoing) -> channels.Answer:
        asked.append(outgoing.address)
        for _ in range(20):
            await asyncio.sleep(0)
        if len(asked) == 2:
            world.clock.move(int(world.settings.lease_seconds * SECOND) + 1)
            world.delivery.wake()
        for _ in range(50):
            await asyncio.sleep(0)
        return testing.accepted(outgoing)

    made = greet(world, 2)
    slow(world, late)
    until(world, lambda: len(asked) >= 2 and not world.delivery.in_flight)
    world.pass_time(minutes=5)
    assert sorted(asked) == ["c0@example.com", "c1@example.com"]
    for event in made:
        (message,) = world.explain(event).messages
        assert [attempt.outcome for attempt in message.attempts] == ["accepted"]


def test_a_hand_over_begins_within_its_claim(world: testing.World) -> None:
    """What a delivery that stood still comes to late is handed over by nobody, however new its claim is to it."""
    begun: list[int] = []

    def noted(outgoing: channels.Outgoing) -> channels.Answer:
        begun.append(outgoing.expires_at)
        return testing.accepted(outgoing)

    world.mailbox.answer = noted
    step(world)
    greet(world)
    (claim,) = tables.rows(world.app.store, "claims")
    world.clock.move(int(world.settings.lease_seconds * SECOND) * 2)
    step(world)
    assert begun
    assert claim["claimed_at"] < begun[0] < claim["lease_until"]


def test_an_answer_that_cannot_be_written_down_ends_nobody(world: testing.World) -> None:
    """A provider that says what is no text is believed as to what became of the message, and heard on."""

    async def odd(outgoing: channels.Outgoing) -> channels.Answer:
        sent.append(outgoing.address)
        return testing.accepted(outgoing)._replace(reference="\ud800")

    sent: list[str] = []
    made = greet(world, 12)
    slow(world, odd)
    until(world, lambda: len(sent) == 12 and not world.delivery.in_flight)
    world.pass_time(minutes=5)
    assert len(sent) == 12
    assert {world.explain(event).messages[0].state for event in made} == {"accepted"}


def test_stopping_waits_for_what_a_turn_is_about_to_give(
    world: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a turn beside it has claimed for a delivery before that was stopped is handed over all the same."""
    hot = world._session.hot
    write, writes, goes_on = hot.write, threading.Event(), threading.Event()

    def slow_write(*given: Any) -> None:
        write(*given)
        writes.set()
        goes_on.wait(10)

    async def run() -> None:
        running = asyncio.create_task(world.delivery.run())
        for _ in range(20):
            await asyncio.sleep(0)
        monkeypatch.setattr(hot, "write", slow_write)
        turn = asyncio.create_task(asyncio.to_thread(world.turns.take))
        await asyncio.to_thread(writes.wait, 10)
        monkeypatch.undo()
        world.delivery.stop()
        for _ in range(20):
            await asyncio.sleep(0)
        goes_on.set()
        await turn
        while not running.done():
            world.turns.take()
            await asyncio.sleep(0)
        await running

    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    world.contact("ana", email="ana@example.com")
    world.event("custom.a", contact_id="ana")
    world.delivery._wall_seconds = clock.WallClock().wall_seconds
    world._loop.run_until_complete(run())
    assert len(world.mailbox.received) == 1
    assert {row["state"] for row in tables.rows(world.app.store, "messages")} == {3}
    assert tables.rows(world.app.store, "claims") == []
