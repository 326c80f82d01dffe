"""Admission: what a turn asks about the recipients of what it plans."""

from collections.abc import Collection
from typing import Any

import pytest

from heliograph import testing
from heliograph.core import consent
from heliograph.store import consent as stored
from heliograph.store import suppressions


def crowd(world: testing.World, name: str, count: int) -> None:
    """So many people, each of whom a rule writes to, in one request."""
    for number in range(count):
        world.contact(f"{name}{number}", email=f"{name}{number}@example.com")
    world.events([{"event_type": "custom.a", "contact_id": f"{name}{number}"} for number in range(count)])


def test_recipients_are_asked_about_together(world: testing.World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read where nobody ever said anything; then two statements for a turn, however many it writes to."""
    asked: list[int] = []
    hot = world.app.store.hot
    for name in ("read_consents", "read_suppressions"):
        original = getattr(hot, name)

        def counted(connection: Any, keys: Collection[Any], original: Any = original) -> Any:
            asked.append(len(keys))
            return original(connection, keys)

        monkeypatch.setattr(hot, name, counted)
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    crowd(world, "first", 5)
    world.run_until_idle()
    assert (len(world.mailbox.received), asked) == (5, [])
    out = consent.Consent({"*": consent.Topic("OPTED_OUT")})
    stored.change(world.app.store, world.workspace_id, None, "then3", lambda _: out, world.clock.now())
    with world.app.store.writing() as connection:
        suppressions.put(
            connection, world.workspace_id, None, [("then4@example.com", "bounce")], world.clock.now()
        )
    crowd(world, "then", 40)
    taken = world.turns.take().inputs
    # A slow machine makes smaller turns.
    assert taken > 1
    assert asked == [taken, taken]
    world.run_until_idle()
    assert len(world.mailbox.received) == 5 + 38


def test_a_campaign_counts_whom_it_passes_over(world: testing.World) -> None:
    """A job that its person does not want is skipped, and the campaign comes to its end all the same."""
    for name in ("ana", "ben", "cleo"):
        world.contact(name, email=f"{name}@example.com")
    out = consent.Consent({"*": consent.Topic("OPTED_OUT")})
    stored.change(world.app.store, world.workspace_id, None, "ben", lambda _: out, world.clock.now())
    campaign = world.campaign(group=world.communication_group(subject="Sale", text_body="Now"))
    world.run_until_idle()
    progress = world.progress(campaign)
    assert (progress.sent, progress.skipped, progress.pending) == (2, 1, 0)
    assert world.campaign_stands(campaign).state.name == "COMPLETED"
