"""Pacing: who is written to when, and how often, as turns decide it."""

from collections.abc import Collection
from typing import Any

import pytest

from heliograph import channels, testing
from heliograph.core import messages
from heliograph.store import people

NIGHT = [{"start": "21:00", "end": "08:00"}]
"""A World begins at midnight UTC."""
HOUR = 3_600_000_000


def crowd(world: testing.World, name: str, count: int) -> None:
    """So many people, each of whom a rule writes to, in one request."""
    for number in range(count):
        world.contact(f"{name}{number}", email=f"{name}{number}@example.com")
    world.events([{"event_type": "custom.a", "contact_id": f"{name}{number}"} for number in range(count)])


def states(world: testing.World) -> list[messages.State]:
    return [messages.State(one.row.state) for one in reversed(world.ledger())]


def test_recipients_are_looked_at_together(world: testing.World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read where nobody set anything; then one statement for a turn, however many it writes to."""
    asked: list[int] = []
    original = world.app.store.hot.read_recipients

    def counted(connection: Any, keys: Collection[Any]) -> Any:
        asked.append(len(keys))
        return original(connection, keys)

    monkeypatch.setattr(world.app.store.hot, "read_recipients", counted)
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    crowd(world, "first", 5)
    world.run_until_idle()
    assert (len(world.mailbox.received), asked) == (5, [])
    world.sending_policy(caps=[{"limit": 1, "period": "P1D"}])
    crowd(world, "then", 40)
    taken = world.turns.take().inputs
    # A slow machine makes smaller turns.
    assert taken > 1
    assert asked == [taken]
    world.run_until_idle()
    assert len(world.mailbox.received) == 5 + 40


def test_what_is_tried_again_waits_too_and_counts_once(world: testing.World) -> None:
    """A message whose server was down all evening is not handed over at night, and is one message to the cap."""
    world.clock.move(20 * HOUR)
    world.sending_policy(quiet_hours=NIGHT, caps=[{"limit": 1, "period": "P1D"}])
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    asked: list[int] = []

    def down(_: channels.Outgoing) -> channels.Answer:
        asked.append(world.clock.now())
        return channels.Answer(channels.Outcome.TEMPORARY, "down", None, "unreachable", "no connection")

    world.mailbox.answer = down
    world.event("custom.a", contact_id="ana")
    world.pass_time(hours=10)
    assert len(asked) > 1
    assert max(asked) < testing.START + 21 * HOUR
    world.mailbox.answer = testing.accepted
    world.pass_time(hours=3)
    assert (len(world.mailbox.received), states(world)) == (1, [messages.State.ACCEPTED])
    (letter,) = world.ledger()
    assert [one.code for one in letter.attempts].count(messages.QUIET_HOURS) == 1
    world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    assert states(world) == [messages.State.ACCEPTED, messages.State.CAPPED]


def test_what_waits_is_called_back_with_what_asked_for_it(world: testing.World) -> None:
    """Whose journey is canceled at night, or who is deleted, hears nothing in the morning."""
    world.sending_policy(quiet_hours=NIGHT)
    for name in ("ana", "ben", "cleo"):
        world.contact(name, email=f"{name}@example.com")
    world.template("hello", subject="Hello", text="Hello")
    step = {"action": "send", "recipient": "${data.who}", "template": "hello"}
    world.journey("night", step, cancelation_token="${data.who}")
    for name in ("ana", "ben", "cleo"):
        world.invoke("night", data={"who": name}, recipient=name)
    world.run_until_idle()
    assert states(world) == [messages.State.DELAYED] * 3
    world.rule(
        trigger_type="custom.stop", actions=[{"type": "cancel_automation", "cancelation_token": "ben"}]
    )
    world.event("custom.stop")
    people.delete_contact(world.app.store, world.workspace_id, None, "cleo", world.clock.now())
    world.pass_time(hours=9)
    assert [mail.recipient for mail in world.mailbox.received] == ["ana@example.com"]
    assert sorted(states(world)) == [
        messages.State.ACCEPTED,
        messages.State.CANCELED,
        messages.State.CANCELED,
    ]


def test_a_campaign_waits_for_its_people_and_counts_whom_it_spares(world: testing.World) -> None:
    """Jobs wait for the morning of each person; who had enough is skipped; then the campaign comes to its end."""
    world.sending_policy(quiet_hours=NIGHT, caps=[{"limit": 1, "period": "P1D", "name": "daily"}])
    for name, zone in (("ana", "Pacific/Auckland"), ("ben", "Europe/Lisbon"), ("cleo", "Pacific/Auckland")):
        world.contact(name, email=f"{name}@example.com", zoneinfo=zone)
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    world.event("custom.a", contact_id="cleo")
    world.run_until_idle()
    campaign = world.campaign(group=world.communication_group(subject="Sale", text_body="Now"))
    world.run_until_idle()
    progress = world.progress(campaign)
    assert (progress.sent, progress.skipped, progress.pending) == (1, 1, 1)
    world.pass_time(hours=8)
    progress = world.progress(campaign)
    assert (progress.sent, progress.skipped, progress.pending) == (2, 1, 0)
    assert world.campaign_stands(campaign).state.name == "COMPLETED"


def test_a_zone_comes_from_the_profile_the_tenant_and_the_workspace(lone_world: testing.World) -> None:
    """Where a profile says none it is the workspace's, else UTC; a zone that is none is passed over."""
    world = lone_world
    world.sending_policy(quiet_hours=NIGHT)
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    world.contact("ana", email="ana@example.com")
    world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    world.company(timezone="Asia/Tokyo")
    world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    assert states(world) == [messages.State.DELAYED, messages.State.ACCEPTED]
