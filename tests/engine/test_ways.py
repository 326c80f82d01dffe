"""By whom messages go out: providers of a workspace, one after the other, each in its own lane."""

from typing import Any

from heliograph import channels, testing
from heliograph.core import messages, schedule
from heliograph.testing import World
from tests.engine import acts

HOUR = 3_600_000_000


def greet(world: World, people: int = 1, name: str = "c") -> list[str]:
    """Events about so many people, of whom each is written to; gives the events' ids."""
    for number in range(people):
        world.contact(f"{name}{number}", email=f"{name}{number}@example.com")
    return world.events(
        [{"event_type": "custom.a", "contact_id": f"{name}{number}"} for number in range(people)]
    )


def mailing(world: World) -> None:
    """A rule that writes to whom an event is about."""
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])


def attempts(world: World, event_id: str) -> list[tuple[str, str]]:
    """Provider and outcome of the attempts of an event's one message."""
    (message,) = world.explain(event_id).messages
    return [(attempt.provider, attempt.outcome) for attempt in message.attempts]


def test_who_refuses_for_good_is_followed_by_the_next(world: World) -> None:
    """In their order: the first refuses, the second delivers at once; what names its recipient ends there."""
    second = world.provider("smtp", "second", position=2)
    first = world.provider("smtp", "first", position=1)
    mailing(world)
    first.answer = testing.refusing
    (event,) = greet(world)
    world.run_until_idle()
    assert attempts(world, event) == [("first", "permanent"), ("second", "accepted")]
    assert [one.address for one in second.received] == ["c0@example.com"]
    assert world.mailbox.received == []

    def unknown(_: channels.Outgoing) -> channels.Answer:
        return channels.Answer(channels.Outcome.PERMANENT, "", None, "550 5.1.1", "nobody of that name")

    first.answer = unknown
    (event,) = greet(world)
    world.run_until_idle()
    assert attempts(world, event) == [("first", "permanent")]
    assert world.explain(event).messages[0].state == "failed"


def test_when_all_refuse_it_has_failed(world: World) -> None:
    """The installation's own comes last; where nobody is left who has not refused, the message has failed."""
    world.provider("smtp", "first").answer = testing.refusing
    world.provider("smtp", "off", enabled=False)
    world.mailbox.answer = lambda outgoing: testing.refusing(outgoing)._replace(provider="world")
    mailing(world)
    (event,) = greet(world)
    world.run_until_idle()
    assert attempts(world, event) == [("first", "permanent"), ("world", "permanent")]
    assert world.explain(event).messages[0].state == "failed"
    assert world.outboxes["off"].asked == 0


def test_a_refusal_is_remembered_over_a_restart(database_url: str) -> None:
    """What follows stands in the ledger: another process asks the next provider, and the first not again."""
    with World(database_url) as world:
        world.provider("smtp", "first").answer = testing.refusing
        world.provider("smtp", "second", position=1)
        mailing(world)
        (event,) = greet(world)
        while world.turns.take().inputs:
            pass
        world._loop.run_until_complete(world.delivery.step())
        world.turns.take()
        assert attempts(world, event) == [("first", "permanent")]
        moment = world.clock.now()
    with World(database_url, start=moment) as world:
        world.app.claims(world._session).adopt_all()
        world.pass_time(minutes=2)
        assert attempts(world, event)[-1] == ("second", "accepted")
        assert world.outboxes["first"].asked == 0


def test_a_provider_that_is_down_is_passed_by_and_comes_back(world: World) -> None:
    """While it rests nobody asks it; after its rest one message does, and when that goes out, so do the others."""
    first = world.provider("smtp", "first")
    second = world.provider("smtp", "second", position=1)
    mailing(world)
    first.answer = testing.down
    greet(world, 50)
    world.run_until_idle()
    assert len(second.received) == 50
    assert first.asked < 50
    asked = first.asked
    (event,) = greet(world, 1, "d")
    world.run_until_idle()
    assert (first.asked, attempts(world, event)) == (asked, [("second", "accepted")])
    first.answer = testing.accepted
    world.pass_time(minutes=2)
    greet(world, 20, "e")
    world.run_until_idle()
    assert len(first.received) == 20


def test_who_rests_stands_in_the_attempts_by_name(world: World) -> None:
    """A message that comes to a provider while it rests has an attempt by that name, as one that it answered has."""
    world.app.deliveries.installed.pop("email")
    world.delivery = world.app.delivery(world._session)
    world.provider("smtp", "dead").answer = testing.down
    mailing(world)
    (first,) = greet(world)
    world.run_until_idle()
    (second,) = greet(world, 1, "d")
    world.run_until_idle()
    assert world.outboxes["dead"].asked == 1
    for event in (first, second):
        assert {provider for provider, _ in attempts(world, event)} == {"dead"}


def test_an_outage_of_an_hour_costs_no_message_and_slows_nobody(world: World) -> None:
    """A workspace's only server is dead for an hour: all arrive once, and another workspace's go out at once."""
    world.app.deliveries.installed.pop("email")
    world.delivery = world.app.delivery(world._session)
    dead = world.provider("smtp", "dead")
    dead.answer = testing.down
    mailing(world)
    mine, theirs = world.workspace_id, acts.workspace(world, "theirs")
    greet(world, 12)
    world.run_until_idle()
    began = world.clock.now()
    world.workspace_id = theirs
    well = world.provider("smtp", "well")
    mailing(world)
    for number in range(6):
        world.pass_time(minutes=10)
        greet(world, 10, f"w{number}-")
        world.run_until_idle()
        assert len(well.received) == 10 * (number + 1)
    assert dead.received == []
    # It was asked now and then, not for every message.
    assert dead.asked < 100
    dead.answer = testing.accepted
    world.pass_time(hours=2)
    world.workspace_id = mine
    ledger = world.ledger(1000)
    assert {one.row.state for one in ledger} == {messages.State.ACCEPTED}
    assert len({one.message_id for one in dead.received}) == len(dead.received) == len(ledger) == 12
    assert world.clock.now() - began == 3 * HOUR


def test_a_changed_provider_is_asked_as_it_is_now(world: World) -> None:
    """A change, a new order and a deletion hold for the next message; a channel without a provider is told as such."""
    first, second = world.provider("smtp", "first"), world.provider("smtp", "second", position=1)
    mailing(world)
    greet(world)
    world.run_until_idle()
    assert (len(first.received), len(second.received)) == (1, 0)
    world.provider("smtp", "first", position=2)
    greet(world)
    world.run_until_idle()
    assert (len(first.received), len(second.received)) == (1, 1)
    world.provider(
        "smtp", "second", position=1, enabled=False, settings={"host": "h", "from": "x@shop.example"}
    )
    world.provider("smtp", "first", position=2, settings={"host": "h", "from": "Shop <x@shop.example>"})
    greet(world)
    world.run_until_idle()
    assert [one.sender for one in first.received] == ["heliograph@localhost", "x@shop.example"]


# ── what follows from an answer ─────────────────────────────────────────────────────────────────────


def follows(*told: tuple[str, str, str], others: dict[str, bool] | None = None) -> Any:
    """What follows from attempts of (provider, outcome, code) at the instant 0."""
    made = [messages.Attempt(0, outcome, provider, code) for provider, outcome, code in told]
    return messages.following(b"\0" * 16, made, messages.Policy(8, True), 0, others=others)


def test_what_follows_where_there_are_other_providers() -> None:
    """Another that is up takes over at once; one that refused never; two that fail in turns rest between."""
    refused, broke = ("a", "permanent", "554"), ("a", "temporary", "unreachable")
    state = messages.State
    assert follows(refused)[:2] == (state.FAILED, None)
    assert follows(refused, others={"b": True})[:2] == (state.PLANNED, 0)
    later = schedule.delivery_retry_at(1, 0, b"\0" * 16)
    assert follows(refused, others={"b": False})[:2] == (state.PLANNED, later)
    assert follows(refused, ("b", "permanent", "554"), others={"a": True}).state is state.FAILED
    assert follows(broke, others={"b": True}).retry_at == 0
    assert follows(broke, others={"b": False}).retry_at == later
    assert follows(broke, ("b", "temporary", "unreachable"), others={"a": True}).retry_at > later
    assert follows(refused, ("b", "temporary", "unreachable"), others={"a": True}).retry_at > later
    lost = ("a", "uncertain", "lost")
    assert follows(lost, others={"b": True}).retry_at == later


# ── a sandbox ───────────────────────────────────────────────────────────────────────────────────────


def test_what_a_sandbox_sends_is_simulated(world: World) -> None:
    """Messages of every channel and calls are rendered and reach nobody; runs go on, and it can end."""
    box = world.provider("smtp", "ours")
    world.provider("twilio", "texts")
    acts.steer(world, sandbox=True)
    world.rule(
        trigger_type="custom.a",
        actions=[
            {"type": "send_message", "text": "Hello", "on_error": "stop"},
            {"type": "send_message", "text": "Hello", "channel": "sms", "on_error": "stop"},
            {"type": "call_webhook", "url": "https://crm.example/hook", "on_error": "stop"},
            {"type": "add_tags", "tags": ["done"], "target": "contact"},
            {"type": "send_message", "text": "{{ contact.name | truncate: 'x' }}", "on_error": "stop"},
        ],
    )
    world.contact("ana", email="ana@example.com", phone_number="+442079460100")
    event = world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    found = world.explain(event).messages
    assert [one.state for one in found] == ["simulated", "simulated", "simulated", "failed"]
    assert found[0].attempts[0].provider == "sandbox"
    assert (box.asked, world.mailbox.received, world.calls.received) == (0, [], [])
    acts.steer(world, sandbox=False)
    world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    assert len(box.received) == 1
    assert len(world.calls.received) == 1
