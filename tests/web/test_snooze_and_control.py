"""What keeps rules from running for a while: snoozing one, pausing all, holding what they send."""

from typing import Any

import pytest

from heliograph.core import schedule
from tests import tables
from tests.web import client

HOUR = 3_600_000_000
CONTROL = "/api/automation/control"


def matched(api: client.Client) -> bool:
    """Whether the rules meet an event that happens now."""
    event = api.happen(contact_id="ana", payload={"message": {"text": "refund"}})
    api.decide()
    return bool(api.runs(event))


# ── snooze ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S4-96", "S4-97", "S4-98", "S4-99", "S4-100")
def test_a_rule_can_be_sent_to_sleep(api: client.Client) -> None:
    """A snooze answers with a message, the rule's id and the instant, and leaves the flag alone."""
    rule = api.make_rule()
    until = "2026-01-05T14:00:00+01:00"
    answer = api.post(f"/api/automation/rules/{rule['id']}/snooze", {"snoozed_until": until})
    assert answer.status_code == 200
    told = answer.json()
    assert told["id"] == rule["id"]
    assert told["snoozed_until"] == "2026-01-05T13:00:00.000000Z"
    assert "2026-01-05T13:00:00" in told["message"]
    read = api.get(f"/api/automation/rules/{rule['id']}").json()
    assert (read["snoozed_until"], read["is_active"]) == (told["snoozed_until"], True)


@pytest.mark.spec("S4-101", "S4-102")
def test_a_sleeping_rule_wakes_by_itself_or_when_told(api: client.Client) -> None:
    """While a rule sleeps events pass it by; at its instant, or when the snooze is lifted, it runs again."""
    path = f"/api/automation/rules/{api.make_rule()['id']}/snooze"
    api.post(path, {"snoozed_until": "2026-01-05T13:00:00Z"})
    assert not matched(api)
    api.clock.move(HOUR - 1)
    assert not matched(api)
    api.clock.move(1)
    assert matched(api)
    api.post(path, {"snoozed_until": "2026-01-06T00:00:00Z"})
    assert not matched(api)
    lifted = api.post(path, {"snoozed_until": None})
    assert (lifted.status_code, lifted.json()["snoozed_until"]) == (200, None)
    assert matched(api)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"snoozed_until": "2026-01-05T12:00:00Z"},
        {"snoozed_until": "2026-01-05T13:00:00"},
        {"snoozed_until": "2027-01-07T00:00:00Z"},
        {"snoozed_until": "tomorrow"},
        {"snoozed_until": 7},
        {"snoozed_until": None, "until": None},
    ],
)
def test_a_wrong_snooze_is_refused(lone_api: client.Client, body: dict[str, Any]) -> None:
    """A snooze takes one instant with an offset, in the future, at most 366 days from now."""
    rule = lone_api.make_rule()
    answer = lone_api.post(f"/api/automation/rules/{rule['id']}/snooze", body)
    assert answer.status_code == 422
    assert client.faults(answer).keys() & {"snoozed_until", "until"}
    assert lone_api.get(f"/api/automation/rules/{rule['id']}").json()["version"] == 1


def test_an_unknown_rule_cannot_sleep(api: client.Client) -> None:
    """A snooze of nothing is a 404."""
    path = "/api/automation/rules/00000000-0000-7000-8000-000000000000/snooze"
    assert api.post(path, {"snoozed_until": None}).status_code == 404


# ── control ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S4-139", "S4-140", "S4-141", "S4-144", "S4-142", "S4-145")
def test_the_control_record_is_one_and_can_be_read(api: client.Client) -> None:
    """Before anybody pauses anything the record says so; afterwards it tells since when, until when and by whom."""
    first = api.get(CONTROL).json()
    assert first["singleton"] is True
    assert first["is_paused"] is False
    assert (first["paused_until"], first["pause_reason"], first["updated_by"]) == (None, None, None)
    api.clock.move(1_000_000)
    api.patch(CONTROL, {"is_paused": True, "paused_until": "2026-01-06T00:00:00Z"})
    then = api.get(CONTROL).json()
    assert then["is_paused"] is True
    assert then["updated_at"] == "2026-01-05T12:00:01.000000Z"
    assert then["paused_until"] == "2026-01-06T00:00:00.000000Z"
    assert then["updated_by"] is not None


@pytest.mark.spec("S4-146", "S4-147", "S4-148", "S4-151", "S4-152", "S4-153")
def test_everything_is_paused_and_resumed(api: client.Client) -> None:
    """While all is paused events wait; when it is resumed they are decided, none is lost."""
    api.make_rule(conditions=[])
    paused = api.patch(CONTROL, {"is_paused": True})
    assert paused.status_code == 200
    assert (paused.json()["singleton"], paused.json()["is_paused"]) == (True, True)
    event = api.happen(contact_id="ana")
    api.decide()
    assert api.get(f"/api/automation/events/{event}").json()["status"] == "pending"
    api.clock.move(1_000_000)
    resumed = api.patch(CONTROL, {"is_paused": False}).json()
    assert resumed["is_paused"] is False
    assert resumed["updated_at"] == "2026-01-05T12:00:01.000000Z"
    api.decide()
    assert api.get(f"/api/automation/events/{event}").json()["status"] == "processed"
    assert len(api.runs(event)) == 1


@pytest.mark.spec("S4-143", "S4-149", "S4-150", "S4-154", "S4-155", "S4-156")
def test_a_pause_tells_its_reason_and_its_end(api: client.Client) -> None:
    """Reason and end are kept while all is paused, and cleared when it is resumed."""
    made = {"is_paused": True, "pause_reason": "a flood", "paused_until": "2026-01-06T00:00:00Z"}
    paused = api.patch(CONTROL, made).json()
    assert (paused["pause_reason"], paused["paused_until"]) == ("a flood", "2026-01-06T00:00:00.000000Z")
    assert paused["updated_by"] is not None
    assert api.get(CONTROL).json() == paused
    longer = api.patch(CONTROL, {"is_paused": True, "paused_until": None}).json()
    assert (longer["pause_reason"], longer["paused_until"]) == ("a flood", None)
    resumed = api.patch(CONTROL, {"is_paused": False}).json()
    assert (resumed["pause_reason"], resumed["paused_until"]) == (None, None)


@pytest.mark.spec("S4-157")
def test_a_pause_ends_by_itself(api: client.Client) -> None:
    """At its end a pause is over by the clock, for whoever reads it and for the events that waited."""
    api.make_rule(conditions=[])
    paused = api.patch(
        CONTROL, {"is_paused": True, "pause_reason": "a flood", "paused_until": "2026-01-05T13:00:00Z"}
    )
    event = api.happen(contact_id="ana")
    api.clock.move(HOUR - 1)
    api.decide()
    assert api.get(CONTROL).json()["is_paused"] is True
    assert api.runs(event) == []
    api.clock.move(1)
    api.decide()
    read = api.get(CONTROL).json()
    assert (read["is_paused"], read["pause_reason"], read["paused_until"]) == (False, None, None)
    assert (read["updated_by"], read["updated_at"]) == (
        paused.json()["updated_by"],
        paused.json()["updated_at"],
    )
    assert len(api.runs(event)) == 1


def test_the_newest_change_is_the_one_that_was_made_last(api: client.Client) -> None:
    """Who had to wait for another change looked at the clock before it: what holds is theirs all the same."""
    paused = api.patch(CONTROL, {"is_paused": True}).json()
    api.clock.move(-1_000)
    resumed = api.patch(CONTROL, {"is_paused": False}).json()
    assert resumed["updated_at"] > paused["updated_at"]
    newest = max(tables.rows(api.store, "control_versions"), key=lambda row: row["valid_from"])
    assert schedule.write_instant(newest["valid_from"]) == resumed["updated_at"]


def test_deliveries_are_held_and_released(api: client.Client) -> None:
    """A hold is set and lifted without touching the pause."""
    held = api.patch(CONTROL, {"hold_deliveries": True}).json()
    assert (held["hold_deliveries"], held["is_paused"]) == (True, False)
    paused = api.patch(CONTROL, {"is_paused": True}).json()
    assert (paused["hold_deliveries"], paused["is_paused"]) == (True, True)
    released = api.patch(CONTROL, {"hold_deliveries": False}).json()
    assert (released["hold_deliveries"], released["is_paused"]) == (False, True)


def test_the_end_of_a_hold_is_told_to_the_delivery(api: client.Client) -> None:
    """What stood in line goes when it may, and not only at the next look that a delivery takes by itself."""
    api.make_rule(actions=[{"type": "send_message", "text": "hello"}], conditions=None)
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    api.patch(CONTROL, {"hold_deliveries": True})
    api.happen(contact_id="ana")
    api.decide()
    assert api.mailbox.received == []
    for change in ({"sandbox": False}, {"hold_deliveries": True}):
        api.patch(CONTROL, change)
        assert not api.world.turns.take().may_go
    api.patch(CONTROL, {"hold_deliveries": False})
    assert api.world.turns.take().may_go
    api.decide()
    assert len(api.mailbox.received) == 1
    assert tables.waiting(api.store) == set()


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "is_paused"),
        ({"pause_reason": "x"}, "is_paused"),
        ({"hold_deliveries": True, "paused_until": None}, "is_paused"),
        ({"is_paused": "yes"}, "is_paused"),
        ({"is_paused": None}, "is_paused"),
        ({"hold_deliveries": 1}, "hold_deliveries"),
        ({"is_paused": True, "pause_reason": 7}, "pause_reason"),
        ({"is_paused": True, "pause_reason": "x" * 1001}, "pause_reason"),
        ({"is_paused": True, "pause_reason": "a\x00b"}, "pause_reason"),
        ({"is_paused": True, "paused_until": "2026-01-05T12:00:00Z"}, "paused_until"),
        ({"is_paused": True, "paused_until": "2026-01-06T00:00:00"}, "paused_until"),
        ({"is_paused": False, "paused_until": "2026-01-06T00:00:00Z"}, "paused_until"),
        ({"is_paused": True, "singleton": True}, "singleton"),
    ],
)
def test_a_wrong_pause_is_refused(lone_api: client.Client, body: dict[str, Any], place: str) -> None:
    """The record is left as it was by a body that breaks a rule, and the place is named."""
    before = lone_api.get(CONTROL).json()
    answer = lone_api.patch(CONTROL, body)
    assert answer.status_code == 422
    assert place in client.faults(answer)
    assert lone_api.get(CONTROL).json() == before


def test_a_sandbox_simulates_what_is_sent(api: client.Client) -> None:
    """The control record says it, and the ledger in Courier's words; a message is rendered as ever."""
    assert api.patch(CONTROL, {"sandbox": True}).json()["sandbox"] is True
    assert api.get(CONTROL).json()["sandbox"] is True
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com", "given_name": "Ana"}})
    api.make_rule(actions=[{"type": "send_message", "text": "Dear {{ contact.given_name }}"}])
    api.happen(contact_id="ana", payload={"message": {"text": "refund"}})
    api.decide()
    (message,) = api.get("/messages").json()["results"]
    assert message["status"] == "SIMULATED"
    assert api.mailbox.received == []
    output = api.get(f"/messages/{message['id']}/output").json()["results"][0]
    assert output["content"]["text"].strip() == "Dear Ana"
    assert api.get("/messages", params={"status": "SIMULATED"}).json()["results"]
    assert api.patch(CONTROL, {"sandbox": "yes"}).status_code == 422
