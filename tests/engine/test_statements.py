"""The law of bulk: what a stage asks of the database does not grow with what it works on."""

import re
from typing import Any

import pytest

from heliograph import testing
from tests.engine import acts

FEW, MANY = 25, 240


class Tally:
    """How many statements were asked; one that comes in portions of a few sizes is one."""

    asked = 0
    last = ""


class Counting:
    """A driver's connection that counts what is asked of it."""

    def __init__(self, connection: Any, tally: Tally):
        self._connection, self._tally = connection, tally

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, *given: Any, **options: Any) -> Any:
        """One statement."""
        self._tally.asked += 1
        self._tally.last = ""
        return self._connection.execute(*given, **options)

    def executemany(self, *given: Any) -> Any:
        """One statement for many rows."""
        statement = re.sub(r"[\d?,() ]+", " ", given[0])
        self._tally.asked += statement != self._tally.last
        self._tally.last = statement
        return self._connection.executemany(*given)


@pytest.fixture
def counting(world: testing.World) -> Tally:
    """What the world's engine asks on all its connections."""
    tally = Tally()
    for session in {world._session, world.app.ingest._session}:
        session._connection = Counting(session.connection, tally)
    return tally


def everything(world: testing.World) -> None:
    """Rules that let a turn write into every table there is."""
    world.rule(
        trigger_type="custom.a",
        cooldown_secs=60,
        conditions=[{"field": "contact.plan", "operator": "not_exists"}],
        actions=[
            {"type": "send_message", "text": "Hello", "on_error": "stop"},
            {"type": "update_contact", "fields": {"plan": "pro"}},
        ],
    )
    world.rule(
        trigger_type="custom.a",
        actions=[
            {"type": "add_tags", "tags": ["seen"], "target": "contact"},
            {"type": "add_tags", "tags": ["seen"], "target": "conversation"},
            {"type": "set_status", "status": "pending"},
            {"type": "add_note", "text": "Seen"},
            {"type": "emit_event", "event_type": "custom.b"},
            {"type": "notify", "emails": ["staff@example.com"], "text": "Look"},
        ],
    )
    # What the engine tells of all this is written, and decided, with the rest.
    for event_type in ("contact_updated", "conversation_tagged", "conversation_status_changed"):
        world.rule(trigger_type=event_type, actions=[{"type": "add_note", "text": "Told"}])
    world.rule(
        trigger_type="custom.a", rollout_percentage=0, actions=[{"type": "add_tags", "tags": ["never"]}]
    )


def crowd(world: testing.World, count: int, name: str) -> None:
    for number in range(count):
        world.contact(f"{name}{number}", email=f"{name}{number}@example.com")
    world.events(
        [
            {
                "event_type": "custom.a",
                "contact_id": f"{name}{number}",
                "conversation_id": f"k{name}{number}",
                "idempotency_key": f"{name}{number}",
            }
            for number in range(count)
        ]
    )


def turn(world: testing.World, counting: Tally) -> tuple[int, int]:
    """One turn: how many inputs it took, and how many statements that was."""
    before = counting.asked
    report = world.turns.take()
    return report.inputs, counting.asked - before


def test_a_turn_asks_as_much_for_many_as_for_few(world: testing.World, counting: Tally) -> None:
    """A turn of 240 events and one of 25 send the same number of statements; so do those of their answers."""
    everything(world)
    acts.sized(world.turns, 10_000)
    crowd(world, 3, "first")
    world.run_until_idle()
    asked = []
    for count, name in ((FEW, "few"), (MANY, "many")):
        crowd(world, count, name)
        sizes = []
        counts = []
        while (took := turn(world, counting))[0]:
            sizes.append(took[0])
            counts.append(took[1])
        while world._loop.run_until_complete(world.delivery.step()):
            pass
        while (took := turn(world, counting))[0]:
            sizes.append(took[0])
            counts.append(took[1])
        assert sizes[0] == count
        asked.append(counts)
    few, many = asked
    assert len(many) <= len(few) + 1
    assert max(many) <= max(few) + 2, "keys come in portions of 256, so a portion more may be asked for"


def test_delivery_asks_as_much_for_many_as_for_few(world: testing.World, counting: Tally) -> None:
    """Claiming and settling 240 messages are as many statements as claiming and settling 25."""
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    asked = []
    for count, name in ((3, "first"), (FEW, "few"), (MANY, "many")):
        crowd(world, count, name)
        while world.turns.take().inputs:
            pass
        before, received = counting.asked, len(world.mailbox.received)
        steps = 0
        while world._loop.run_until_complete(world.delivery.step()):
            steps += 1
        assert len(world.mailbox.received) - received == count
        asked.append((counting.asked - before) / steps)
        world.run_until_idle()
    assert asked[2] <= asked[1] + 2


def test_ingest_asks_as_much_for_many_as_for_few(world: testing.World, counting: Tally) -> None:
    """A request of 240 events with keys is stored with as many statements as one of 25."""
    asked = []
    for count, name in ((3, "first"), (FEW, "few"), (MANY, "many")):
        given = [{"event_type": "custom.a", "idempotency_key": f"{name}{number}"} for number in range(count)]
        before = counting.asked
        world.events(given)
        asked.append(counting.asked - before)
    assert asked[2] <= asked[1] + 1


def test_what_waits_costs_nothing(world: testing.World, counting: Tally) -> None:
    """A turn beside thousands of runs that wait, of timers that are not due and of finished events is an idle one's."""
    everything(world)
    world.turns.take()
    before = counting.asked
    world.turns.take()
    idle = counting.asked - before
    world.mailbox.answer = acts.busy
    crowd(world, 500, "waiting")
    world.run_until_idle()
    before = counting.asked
    report = world.turns.take()
    assert report.inputs == 0
    assert counting.asked - before == idle


def test_a_fan_out_asks_as_much_for_many_as_for_few(world: testing.World, counting: Tally) -> None:
    """A step of a campaign over 60 people of a partition is as many statements as one over 5."""
    acts.sized(world.turns, 10_000)
    group = world.communication_group(subject="Hello", text_body="Hello {{ first_name }}")
    asked = []
    for count in (5, 60):
        place, names = 0, 0
        while names < count:
            place += 1
            if acts.partition(world, f"{count}-{place}") == 0:
                world.contact(f"{count}-{place}", email=f"c{place}@example.com")
                names += 1
        world.campaign(group=group)
        counts = []
        while (took := turn(world, counting))[0]:
            counts.append(took[1])
        asked.append(counts)
        world.run_until_idle()
    few, many = asked
    assert len(many) == len(few)
    assert max(many) <= max(few)
