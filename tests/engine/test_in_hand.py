"""What a delivery has in hand: it knows of it until it is answered, whatever comes between, and loses no answer."""

import asyncio
from typing import Any

from heliograph import channels, testing
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
