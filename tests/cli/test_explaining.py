"""`explain`: the whole story of an event, for people."""

import msgspec
import pytest

from heliograph import channels
from heliograph import testing as helpers
from heliograph.core import ids
from heliograph.core import requests as core_requests
from heliograph.store import request_rows, requests
from heliograph.testing import mailbox
from tests.cli import program

RULE = {
    "name": "Thank you",
    "trigger_type": "custom.order_placed",
    "conditions": {
        "all": [
            {"field": "payload.total", "operator": "greater_than", "value": 100},
            {"field": "contact.plan", "operator": "equals", "value": "gold"},
        ],
        "none": [{"field": "payload.coupon", "operator": "exists"}],
    },
    "actions": [{"type": "send_message", "subject": "Thank you", "text": "It is in good hands."}],
}
ORDER = {"contact_id": "ana", "payload": {"total": 250, "order_id": "SH-1"}}


def world(url: str) -> helpers.World:
    """One gold member and one rule."""
    made = helpers.World(url)
    made.contact("ana", email="ana@example.com", plan="gold")
    made.rule(**RULE)
    return made


def asked(play: helpers.World, to: object) -> bytes:
    """A request to send to them that nobody has taken up yet; gives its id."""
    said = core_requests.read({"message": {"to": to, "content": {"title": "t", "body": "b"}}})[0]
    now, partition = play.clock.now(), ids.partition_of_subject(play.workspace_id, "ana")
    identity, body = ids.mint(now, 0, partition, 1), msgspec.json.encode(said)
    row = request_rows.Request(
        play.workspace_id, identity, partition, None, body, now, None, None, None, None
    )
    with play.app.store.writing() as connection:
        requests.put(connection, row)
    return identity


def test_a_message_is_told_from_event_to_delivery(house: str, tell: program.Tell) -> None:
    """What was seen in each condition, what was done, and what the mail server said, in order."""
    with world(house) as play:
        event = play.event("custom.order_placed", **ORDER)
        play.run_until_idle()
    told = tell("explain", event)
    assert told.code == 0
    story = [
        f"event custom.order_placed {event}: processed",
        "from api, contact ana",
        'payload {"total":250,"order_id":"SH-1"}',
        "rule Thank you (version 1): executed",
        "yes  payload.total greater_than 100  saw 250  all[0]",
        'yes  contact.plan equals "gold"  saw "gold"  all[1]',
        "no   payload.coupon exists",
        "action 1 send_message: succeeded",
        "email to ana@example.com: accepted",
        "attempt 1",
        "accepted by world: 250 ok",
    ]
    places = [told.out.find(words) for words in story]
    assert -1 not in places, told.out
    assert places == sorted(places)


def test_a_message_is_found_by_what_its_provider_calls_it(house: str, tell: program.Tell) -> None:
    """By its own id too, each time with its event; a name that is none is refused."""
    with world(house) as play:
        play.mailbox.answer = lambda outgoing: mailbox.accepted(outgoing)._replace(reference="queue-7")
        event = play.event("custom.order_placed", **ORDER)
        play.run_until_idle()
        (message,) = play.explain(event).messages
    for name in (message.id, "queue-7"):
        told = tell("explain", name)
        assert told.code == 0
        assert f"event custom.order_placed {event}" in told.out
        assert "by world as queue-7: 250 ok" in told.out
    assert tell("explain", "queue-8").code == 1


def test_a_message_that_speaks_of_no_event_is_told_alone(house: str, tell: program.Tell) -> None:
    """A request to send: how it stands before it is taken up, and to whom it went by whom."""
    with world(house) as play:
        identity = asked(play, {"user_id": "ana"})
        waiting = tell("explain", ids.wire(identity))
        play.run_until_idle()
    assert (waiting.code, "ENQUEUED" in waiting.out) == (0, True)
    told = tell("explain", ids.wire(identity))
    for words in (f"message {ids.text(identity)}", "SENT", "email to ana@example.com: accepted", "by world"):
        assert words in told.out


def test_a_request_to_several_is_told_by_its_messages(house: str, tell: program.Tell) -> None:
    """While it waits a request is told of as one; once it was taken up, each message that it became."""
    with world(house) as play:
        identity = asked(play, [{"email": f"{name}@example.com"} for name in ("ana", "ben")])
        waiting = tell("explain", ids.wire(identity))
        play.run_until_idle()
    assert (waiting.code, "ENQUEUED" in waiting.out) == (0, True)
    told = tell("explain", ids.wire(identity))
    assert told.code == 0, told
    for words in ("email to ana@example.com: accepted", "email to ben@example.com: accepted"):
        assert words in told.out


def test_why_nothing_was_sent(house: str, tell: program.Tell) -> None:
    """A rule that did not match shows the condition that failed, with what stood there."""
    with world(house) as play:
        event = play.event("custom.order_placed", contact_id="ana", payload={"total": 20})
        other = play.event("custom.nobody_listens")
        play.run_until_idle()
    told = tell("explain", event)
    assert "rule Thank you (version 1): did not match" in told.out
    assert "no   payload.total greater_than 100  saw 20  all[0]" in told.out
    assert "action" not in told.out
    assert "no rule listened to it" in tell("explain", other).out


def test_what_was_tried_again_is_told_attempt_by_attempt(house: str, tell: program.Tell) -> None:
    """A message that went out at the second attempt shows the first one and its reason."""
    with world(house) as play:
        play.mailbox.answer = lambda _outgoing: channels.Answer(
            channels.Outcome.TEMPORARY, "world", None, "451", "come later"
        )
        event = play.event("custom.order_placed", **ORDER)
        play.run_until_idle()
        assert "pending" in tell("explain", event).out
        play.mailbox.answer = helpers.accepted
        play.pass_time(hours=1)
    told = tell("explain", event)
    assert "temporary by world: 451 come later" in told.out
    assert "accepted by world: 250 ok" in told.out


def test_a_gate_is_told(lone_house: str, tell: program.Tell) -> None:
    """A rule that held itself back says by which gate, and what that means."""
    with helpers.World(lone_house) as play:
        play.rule(trigger_type="custom.a", cooldown_secs=60, actions=[{"type": "add_tags", "tags": ["x"]}])
        first, second = (play.event("custom.a", contact_id="ana") for _ in range(2))
        play.run_until_idle()
    assert "executed" in tell("explain", first).out
    told = tell("explain", second)
    assert "skipped" in told.out
    assert "cooldown: matched for contact:ana at 2026-01-01T00:00:00" in told.out


def test_a_journey_that_an_event_started_is_told_as_one(lone_house: str, tell: program.Tell) -> None:
    """A journey that listens to an event is called a journey where it was started, and where it was not considered."""
    with helpers.World(lone_house) as play:
        trigger = {"event_type": "custom.a"}
        play.journey("wait", {"action": "delay", "duration": "1 hour"}, name="Wait", trigger=trigger)
        event = play.event("custom.a", contact_id="ana")
        play.run_until_idle()
    told = tell("explain", event)
    assert "journey Wait (version 1): executed" in told.out
    assert "rule" not in told.out


def test_nothing_in_a_story_is_taken_for_markup(lone_house: str, tell: program.Tell) -> None:
    """Brackets, control characters and long payloads of strangers stay what they are, within bounds."""
    payload = {"text": "[bold red]you won[/] :smile: \x1b[2J", "long": "x" * 10_000}
    with helpers.World(lone_house) as play:
        event = play.event("custom.a", payload=payload)
        play.run_until_idle()
    told = tell("explain", event)
    assert "[bold red]you won[/] :smile:" in told.out
    assert "\\u001b[2J" in told.out
    assert "\x1b[2J" not in told.out
    assert len(told.out) < 2_000


@pytest.mark.parametrize("workspace", ["default", "north"])
def test_an_event_is_looked_for_in_one_workspace(workspace: str, lone_house: str, tell: program.Tell) -> None:
    """Another workspace's event is not there, and the complaint says where it was looked for."""
    tell("workspace", "create", "north")
    with helpers.World(lone_house) as play:
        event = play.event("custom.a")
    told = tell("explain", event, "--workspace", workspace)
    assert told.code == (0 if workspace == "default" else 1)
    if told.code:
        assert told.err == f"heliograph: there is no event and no message {event} in the workspace north\n"
