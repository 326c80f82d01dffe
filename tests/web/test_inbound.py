"""What other programs tell in their own words: Courier's track, and Segment's identify and track."""

from typing import Any

import pytest

from tests import tables
from tests.web.client import Client
from tests.web.test_journeys import TO_ANA, invoke, put

TRACK: dict[str, Any] = {
    "type": "track",
    "event": "Order Completed",
    "messageId": "m-1",
    "properties": {"name": "Ana"},
    "userId": "ana",
}


def test_an_event_of_couriers_client_starts_a_journey(api: Client) -> None:
    """It is an event by its name in our spelling; its properties are what the run holds, and its name is with them."""
    content = {"title": "{event}", "body": "{name}"}
    send = {"action": "send", "message": {**TO_ANA, "content": content}}
    put(api, "thanks", send, trigger={"event_type": "custom.order_completed"})
    answer = api.post("/inbound/courier", {**TRACK, "more": 1}, key=api.key("ingest"))
    assert (answer.status_code, answer.json()) == (200, {"messageId": "m-1"})
    assert answer.headers["heliograph-ignored"] == "more"
    api.world.run_until_idle()
    (mail,) = api.mailbox.received
    assert (mail.subject, mail.text) == ("Order Completed", "Ana")
    (event,) = tables.rows(api.store, "events")
    assert (event["event_type"], event["contact_id"]) == ("custom.order_completed", "ana")


def test_a_repeat_is_refused(api: Client) -> None:
    """By its messageId, whatever it says, for a day; Courier's client is told that it will not go away."""
    assert api.post("/inbound/courier", TRACK).status_code == 200
    for again in (TRACK, {**TRACK, "event": "Other"}):
        answer = api.post("/inbound/courier", again)
        assert (answer.status_code, answer.headers["x-should-retry"]) == (409, "false")
        assert "messageId" in answer.json()["message"]
    assert api.post("/inbound/courier", {**TRACK, "messageId": "m" * 300}).status_code == 200
    assert api.post("/inbound/courier", {**TRACK, "messageId": "m" * 300}).status_code == 409
    api.clock.move(86_400_000_001)
    assert api.post("/inbound/courier", TRACK).status_code == 200
    assert len(tables.rows(api.store, "events")) == 3


def test_what_is_told_is_checked(lone_api: Client) -> None:
    """Every fault with its place; nothing is kept."""
    for path, body, places in (
        ("courier", {}, {"type"}),
        ("courier", {"type": "track"}, {"messageId", "properties"}),
        ("courier", {**TRACK, "event": "", "userId": 5, "properties": []}, {"event", "userId", "properties"}),
        ("courier", {**TRACK, "event": "äöü"}, {"event"}),
        ("courier", {**TRACK, "event": "x" * 99}, {"event"}),
        ("segment", {"type": "page"}, {"type"}),
        ("segment", {"type": "identify", "traits": []}, {"userId", "traits"}),
        ("segment", {"type": "identify", "userId": "a", "traits": {"email": "x"}}, {"traits.email"}),
        ("segment", {"type": "track"}, {"event"}),
    ):
        answer = lone_api.post(f"/inbound/{path}", body)
        assert answer.status_code == 400, (path, body)
        assert {one["path"] for one in answer.json()["errors"]} == places
    assert tables.rows(lone_api.store, "events") == tables.rows(lone_api.store, "contacts") == []


@pytest.mark.spec("S2-118")
def test_segment_tells_who_somebody_is(api: Client) -> None:
    """An identify makes a profile, a second one and the steps of journeys write it by the same rules of merging."""
    traits = {
        "firstName": "Ana",
        "email": "Ana@Example.com",
        "birthday": "1990-05-17T00:00:00Z",
        "plan": "free",
    }
    answer = api.post(
        "/inbound/segment", {"type": "identify", "userId": "ana", "traits": traits, "messageId": "i"}
    )
    assert (answer.status_code, answer.json()) == (202, {"messageId": "i"})
    first = {"given_name": "Ana", "email": "ana@example.com", "birthdate": "1990-05-17", "plan": "free"}
    assert api.get("/profiles/ana").json()["profile"] == first
    api.post("/inbound/segment", {"type": "identify", "userId": "ana", "traits": {"plan": "pro"}})
    assert api.get("/profiles/ana").json()["profile"] == {**first, "plan": "pro"}
    update = {"action": "update-profile", "recipient_id": "ana", "profile": {"plan": "max", "n": 1}}
    for merge, wanted in (
        ("none", {**first, "plan": "pro"}),
        ("soft-merge", {**first, "plan": "pro", "n": 1}),
        ("overwrite", {**first, "plan": "max", "n": 1}),
        ("replace", {"plan": "max", "n": 1}),
    ):
        invoke(api, {**update, "merge": merge})
        api.world.run_until_idle()
        assert api.get("/profiles/ana").json()["profile"] == wanted


def test_segment_tells_what_somebody_did(api: Client) -> None:
    """A track is an event; one that comes again is the same."""
    track = {**TRACK, "event": "orderCompleted", "properties": None}
    assert [api.post("/inbound/segment", track).status_code for _ in range(2)] == [202, 202]
    (event,) = tables.rows(api.store, "events")
    assert (event["event_type"], event["source"]) == ("custom.order_completed", "segment")


def test_a_track_with_a_key_is_taken_once(api: Client) -> None:
    """What Segment tells without an id of its own is known by the request's key, also where its worker died."""
    track = {**TRACK, "event": "orderCompleted", "messageId": None}
    for _ in range(2):
        answer = api.post("/inbound/segment", track, headers={"Idempotency-Key": "k"})
        assert answer.status_code == 202
        with api.store.writing() as connection:
            connection.exec_driver_sql("UPDATE request_keys SET status = NULL")
        api.clock.move(60_000_001)
    assert len(tables.rows(api.store, "events")) == 1
