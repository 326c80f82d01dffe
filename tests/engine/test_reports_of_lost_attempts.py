"""Messages of which an answer was lost and a report came: they stand as reported, wherever the next attempt was."""

from typing import Any

import pytest

from heliograph import channels, testing
from heliograph.core import ids, messages
from tests.engine import acts

LOST = channels.Answer(channels.Outcome.UNCERTAIN, "world", None, None, "cut")
Report = tuple[str, dict[str, Any]]
REPORTS: list[tuple[list[Report], str]] = [
    ([("delivered", {})], "DELIVERED"),
    ([("delivered", {}), ("complained", {})], "DELIVERED"),
    ([("bounced", {"bounce": "hard"})], "BOUNCED"),
]


def told(world: testing.World, message_id: str, reports: list[Report]) -> None:
    """A provider tells this of a message, and a turn takes it in."""
    for what, said in reports:
        world.report(message_id, what, **said)
    while world.turns.take().inputs:
        pass


def stand(world: testing.World) -> list[str]:
    """How the messages stand."""
    return sorted({messages.State(one.row.state).name for one in world.ledger()})


@pytest.mark.parametrize(("reports", "state"), REPORTS)
def test_what_is_reported_while_it_stands_in_line_again(
    world: testing.World, reports: list[Report], state: str
) -> None:
    """It is not sent again, nor called suppressed: it stands as reported, and who waits for it goes on."""
    world.mailbox.answer = lambda _: LOST
    event, campaign = acts.written_to(world)
    world.run_until_idle()
    acts.steer(world, hold_deliveries=True)
    world.mailbox.answer = testing.accepted
    world.pass_time(minutes=5)
    assert stand(world) == ["PLANNED"]
    for one in world.ledger():
        told(world, ids.text(one.row.id), reports)
    world.run_until_idle()
    acts.steer(world, hold_deliveries=False)
    world.pass_time(minutes=5)
    assert stand(world) == [state]
    assert len(world.mailbox.received) == 2
    assert world.explain(event).runs[0].result.outcome == "executed"
    progress = world.progress(campaign)
    assert (progress.sent + progress.failed, progress.pending, progress.skipped) == (1, 0, 0)


@pytest.mark.parametrize(("reports", "state"), REPORTS)
def test_what_is_reported_before_a_later_attempt_is_refused(
    world: testing.World, reports: list[Report], state: str
) -> None:
    """An attempt that fails for good takes nothing back: it stands as reported, and nobody hears of a failure."""
    world.rule(trigger_type="message_failed", actions=[{"type": "send_message", "text": "Failed"}])
    world.mailbox.answer = lambda _: LOST
    event, campaign = acts.written_to(world)
    world.run_until_idle()

    def refuse(outgoing: channels.Outgoing) -> channels.Answer:
        told(world, outgoing.message_id, reports)
        return testing.refusing(outgoing)._replace(blames_provider=False)

    world.mailbox.answer = refuse
    world.pass_time(minutes=5)
    assert stand(world) == [state]
    assert {len(one.attempts) for one in world.ledger()} == {2}
    assert world.explain(event).runs[0].result.outcome == "executed"
    assert (world.progress(campaign).pending, world.progress(campaign).skipped) == (0, 0)


def test_what_is_reported_goes_on_by_no_other_channel(world: testing.World) -> None:
    """A channel that refuses what it had delivered before is followed by none."""
    box = world.provider("twilio", "texts")
    world.contact("ana", email="ana@example.com", phone_number="+15005550001")
    world.mailbox.answer = lambda _: LOST
    step = {
        "action": "send",
        "message": {
            "to": {"user_id": "ana"},
            "content": {"title": "Hello", "body": "There"},
            "routing": {"method": "single", "channels": ["email", "sms"]},
        },
    }
    world.invoke(None, step)
    world.run_until_idle()

    def refuse(outgoing: channels.Outgoing) -> channels.Answer:
        told(world, outgoing.message_id, [("delivered", {})])
        return testing.refusing(outgoing)

    world.mailbox.answer = refuse
    world.pass_time(hours=2)
    assert (stand(world), box.received) == (["DELIVERED"], [])


def test_a_report_of_what_has_failed_since(world: testing.World) -> None:
    """It stands as reported, and its campaign counts it as sent; a run that was told of the failure stays as it is."""
    world.mailbox.answer = lambda _: LOST
    event, campaign = acts.written_to(world)
    world.run_until_idle()
    world.mailbox.answer = testing.refusing
    world.pass_time(minutes=5)
    assert stand(world) == ["FAILED"]
    assert (world.progress(campaign).failed, world.progress(campaign).sent) == (1, 0)
    for one in world.ledger():
        for _ in range(2):
            told(world, ids.text(one.row.id), [("delivered", {})])
    world.run_until_idle()
    assert stand(world) == ["DELIVERED"]
    assert (world.progress(campaign).failed, world.progress(campaign).sent) == (0, 1)
    assert world.explain(event).runs[0].result.outcome == "failed"


def test_a_report_of_what_was_never_handed_over(world: testing.World) -> None:
    """Where no answer was lost, a report changes nothing of a message that has failed."""
    world.mailbox.answer = testing.refusing
    acts.written_to(world)
    world.run_until_idle()
    for one in world.ledger():
        told(world, ids.text(one.row.id), [("delivered", {})])
    world.run_until_idle()
    assert stand(world) == ["FAILED"]
