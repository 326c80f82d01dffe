"""Escalation over HTTP: a message of which nobody takes notice goes on by the channels that are left."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from heliograph import channels, testing
from heliograph.store import delivery_proof, schema
from tests import tables
from tests.web.client import Client, faults
from tests.web.test_journeys import invoke
from tests.web.test_requests import messages, send, sent
from tests.web.test_routing import ANA, HELLO, gone, routing

MINUTE = 60_000


def asked(criteria: str | None = "viewed", *ways: Any, after: int = MINUTE, **more: Any) -> dict[str, Any]:
    """A message that goes on after so many milliseconds where the criterion is not met."""
    timeout = {"escalation": after, **({} if criteria is None else {"criteria": criteria})}
    way = routing("single", *(ways or ("email", "sms")))
    return {**HELLO, "to": ANA, "routing": way, "timeout": timeout, **more}


def lost(_: channels.Outgoing) -> channels.Answer:
    """What a provider answers whose answer was lost."""
    return channels.Answer(channels.Outcome.UNCERTAIN, "", None, "lost", "no answer")


def history(api: Client, message_id: str, kind: str) -> list[dict[str, Any]]:
    """What the history of a message tells of one kind."""
    found: list[dict[str, Any]] = api.get(f"/messages/{message_id}/history", params={"type": kind}).json()[
        "results"
    ]
    return found


def proved(api: Client) -> list[str]:
    """What the proof of the ledger has to say against it."""
    world = api.world
    proof = delivery_proof.prove(world.app.store, world.workspace_id, lambda _: None)
    return [one.what for one in proof.faults]


@pytest.fixture(autouse=True)
def texts(api: Client) -> testing.Outbox:
    """A provider of text messages."""
    return api.world.provider("twilio", "texts")


def test_a_message_that_nobody_opens_goes_on_by_the_next_channel(api: Client) -> None:
    """After its time the rest of its channels get a new message, once; both tell of each other, and of why."""
    request_id, _ = sent(api, asked(metadata={"trace_id": "t", "tags": ["a"]}))
    api.world.pass_time(seconds=59)
    assert gone(api) == {"email": ["ana@example.com"], "texts": []}
    api.world.pass_time(seconds=1)
    assert gone(api) == {"email": ["ana@example.com"], "texts": ["+15005550001"]}
    api.world.pass_time(days=2)
    assert gone(api) == {"email": ["ana@example.com"], "texts": ["+15005550001"]}
    first, second = api.get(f"/messages/{request_id}").json(), None
    assert (first["status"], first["channel"], first["follows"]) == ("SENT", "email", None)
    second = api.get(f"/messages/{first['followed_by']}").json()
    assert (second["status"], second["channel"], second["recipient"]) == ("SENT", "sms", "ana")
    assert (second["follows"], second["followed_by"]) == (request_id, None)
    (told,) = history(api, request_id, "ESCALATED")
    assert (told["message_id"], told["criteria"], told["escalation"]) == (second["id"], "viewed", MINUTE)
    assert told["ts"] == second["enqueued"]
    (begun,) = history(api, second["id"], "ENQUEUED")
    assert begun["follows"] == request_id
    assert history(api, first["id"], "ROUTED")[0]["channel"] == {"id": "email"}
    # It is of the same request: found, and told, by what that says.
    assert {one["id"] for one in messages(api, request_id)} == {request_id, second["id"]}
    assert {one["id"] for one in api.get("/messages", params={"tags": "a"}).json()["results"]} == {
        request_id,
        second["id"],
    }
    assert proved(api) == []


@pytest.mark.parametrize(
    ("criteria", "report", "is_met"),
    [
        ("delivered", "delivered", True),
        ("delivered", "opened", True),
        ("delivered", "bounced", False),
        (None, "delivered", True),
        ("viewed", "delivered", False),
        ("viewed", "opened", True),
        ("viewed", "clicked", True),
        ("engaged", "opened", False),
        ("engaged", "clicked", True),
        ("engaged", "complained", True),
        ("no-escalation", "bounced", True),
    ],
)
def test_a_report_in_time_lets_it_rest(api: Client, criteria: str | None, report: str, is_met: bool) -> None:
    """What meets the criterion, or more, ends it; a complaint ends it too: nobody gets more of what they call spam."""
    request_id, _ = sent(api, asked(criteria))
    api.world.report(request_id, report)
    api.world.pass_time(minutes=5)
    assert gone(api)["texts"] == ([] if is_met else ["+15005550001"])
    assert (api.get(f"/messages/{request_id}").json()["followed_by"] is None) == is_met


def test_it_goes_through_all_channels_one_after_the_other(api: Client) -> None:
    """What goes on waits as the first did, and the last channel is followed by none; one that fails is passed by."""
    api.world.provider("apprise-push", "pushes")
    to = {**ANA, "firebaseToken": "t"}
    sent(api, asked("delivered", "push", "email", "sms", to=to))
    api.world.pass_time(minutes=1)
    assert gone(api) == {"email": ["ana@example.com"], "texts": [], "pushes": ["t"]}
    api.world.pass_time(minutes=1)
    assert gone(api) == {"email": ["ana@example.com"], "texts": ["+15005550001"], "pushes": ["t"]}
    api.world.pass_time(days=1)
    assert len(messages(api, api.get("/messages").json()["results"][-1]["id"])) == 3
    # Where the first is refused it goes on at once, as the same message; the time runs from the hand-over.
    api.mailbox.answer = testing.refusing
    request_id, _ = sent(api, asked("delivered", "email", "push", "sms", to=to))
    assert api.get(f"/messages/{request_id}").json()["channel"] == "push"
    api.world.pass_time(minutes=1)
    assert gone(api)["texts"] == ["+15005550001"] * 2
    assert proved(api) == []


def test_cancelling_ends_what_would_follow(api: Client) -> None:
    """Who cancels what was sent stops what would follow; what has followed already, and waits, is stopped as well."""
    request_id, _ = sent(api, asked())
    answer = api.post(f"/messages/{request_id}/cancel")
    assert (answer.status_code, answer.json()["status"]) == (200, "SENT")
    assert api.post(f"/messages/{request_id}/cancel").status_code == 409
    api.world.pass_time(days=1)
    assert gone(api)["texts"] == []
    (told,) = history(api, request_id, "CANCELED")
    assert "sms" in told["error"]
    # One that has gone on: its follower, which cannot go out now.
    api.world.outboxes["texts"].answer = testing.down
    request_id, _ = sent(api, asked())
    api.world.pass_time(minutes=2)
    assert api.post(f"/messages/{request_id}/cancel").status_code == 200
    followed_by = api.get(f"/messages/{request_id}").json()["followed_by"]
    assert api.get(f"/messages/{followed_by}").json()["status"] == "CANCELED"


def test_who_is_deleted_or_wants_no_more_hears_no_more(api: Client) -> None:
    """Consent is asked anew; a contact who was deleted, and a run that was canceled, end it."""
    api.world.contact("ben", email="ben@example.com", phone_number="+15005550002")
    send(api, asked(to={"user_id": "ben"}))
    send(api, asked(to={"user_id": "ana", "email": "ana@example.com", "phone_number": "+15005550003"}))
    api.world.run_until_idle()
    api.delete("/profiles/ben")
    api.post("/api/suppressions", {"address": "+15005550003"})
    api.world.contact("eve", email="eve@example.com", phone_number="+15005550004")
    step = {"action": "send", "message": asked(to={"user_id": "eve"})}
    run_id = invoke(api, step, {"action": "delay", "duration": "1 hour"})
    # One that says more than a step of its own may say, and so is a request.
    whole = {"action": "send", "message": asked(to={"user_id": "eve"}, metadata={"tags": ["a"]})}
    other = invoke(api, whole, {"action": "delay", "duration": "1 hour"})
    api.world.run_until_idle()
    for one in (run_id, other):
        api.post(f"/automations/runs/{one}/cancel")
    api.world.pass_time(minutes=2)
    assert gone(api)["texts"] == []
    assert len(gone(api)["email"]) == 4
    (ended,) = [one for one in api.get("/messages").json()["results"] if one["channel"] == "sms"]
    assert (ended["recipient"], ended["status"], ended["reason"]) == ("ana", "UNROUTABLE", "UNSUBSCRIBED")


def test_whoever_is_called_as_the_deleted_are_is_there(api: Client) -> None:
    """A contact whose own id begins as what stands for somebody deleted is written to as everybody else."""
    request_id, _ = sent(api, asked(to={**ANA, "user_id": "deleted-users@shop"}))
    api.world.pass_time(minutes=2)
    assert gone(api) == {"email": ["ana@example.com"], "texts": ["+15005550001"]}
    assert api.get(f"/messages/{request_id}").json()["followed_by"]


def test_journeys_lists_and_many_go_on_as_one_does(api: Client) -> None:
    """A step's message, each recipient of many, and each on a list go on by themselves; runs are told once."""
    for name, number in (("ben", "2"), ("eve", "4")):
        api.world.contact(name, email=f"{name}@example.com", phone_number=f"+1500555000{number}")
    body = {"recipients": [{"recipientId": "ben"}, {"recipientId": "eve"}]}
    api.put("/lists/l/subscriptions", body)
    request_id, _ = sent(api, asked(to={"list_id": "l"}))
    of_eve = next(one["id"] for one in messages(api, request_id) if one["recipient"] == "eve")
    api.world.report(of_eve, "opened")
    api.world.pass_time(minutes=1)
    assert gone(api)["texts"] == ["+15005550002"]
    many, _ = sent(api, asked(to=[{"user_id": "ben"}, {"user_id": "eve"}]))
    run_id = invoke(api, {"action": "send", "message": asked(to={"user_id": "eve"})})
    invoke(api, {"action": "send", "message": asked(to={"user_id": "eve"}, metadata={"tags": ["a"]})})
    api.world.pass_time(minutes=1)
    assert sorted(gone(api)["texts"]) == ["+15005550002"] * 2 + ["+15005550004"] * 3
    assert len(messages(api, many)) == 4
    assert proved(api) == []
    steps = api.get(f"/automations/runs/{run_id}/steps").json()["steps"]
    assert [one["status"] for one in steps] == ["PROCESSED"]
    assert [one["channel"] for one in messages(api, request_id)].count("sms") == 1


def test_a_message_that_may_have_arrived_goes_on_too(api: Client) -> None:
    """An answer that was lost is no notice that somebody took."""
    api.mailbox.answer = lost
    request_id, _ = sent(api, asked("delivered"))
    api.world.pass_time(days=2)
    assert api.get(f"/messages/{request_id}").json()["uncertain"]
    # One of which a report says, before it is sent again, that it was handed over.
    request_id, _ = sent(api, asked("viewed"))
    api.world.report(request_id, "delivered")
    api.world.pass_time(minutes=5)
    assert api.get(f"/messages/{request_id}").json()["status"] == "DELIVERED"
    assert gone(api)["texts"] == ["+15005550001"] * 2


def test_a_second_follower_is_found_out(api: Client) -> None:
    """The proof of the ledger tells of a message that follows one which another one follows."""
    sent(api, asked())
    api.world.pass_time(minutes=2)
    assert proved(api) == []
    world, messages_of = api.world, schema.messages
    (row,) = [one for one in tables.rows(world.app.store, "messages") if one["channel"] == "sms"]
    with world.app.store.writing() as connection:
        connection.execute(sa.insert(messages_of).values(**{**row, "id": row["id"][:-1] + b"\0"}))
    (told,) = proved(api)
    assert "was followed by another" in told


def test_it_ends_with_the_message(api: Client) -> None:
    """Nothing follows after `timeout.message`; a time-out of another kind, or a wrong word, is a 400 with its place."""
    wrong: list[tuple[dict[str, Any], set[str]]] = [
        ({"criteria": "viewed"}, {"message.timeout.escalation"}),
        ({"escalation": 0, "criteria": "seen"}, {"message.timeout.escalation", "message.timeout.criteria"}),
        ({"escalation": MINUTE, "message": MINUTE}, {"message.timeout.escalation"}),
        ({"escalation": 4 * 86_400_000}, {"message.timeout.escalation"}),
    ]
    for given, places in wrong:
        answer = api.post("/send", {"message": {**asked(), "timeout": given}})
        assert (answer.status_code, set(faults(answer))) == (400, places), answer.text
    for fine in ({"criteria": "no-escalation"}, {"criteria": "no-escalation", "escalation": 5}):
        send(api, {**asked(), "timeout": fine})
    # The last minute of a message that began late.
    api.mailbox.answer = testing.down
    send(api, {**asked(), "timeout": {"escalation": 55 * MINUTE, "message": 60 * MINUTE}})
    api.world.pass_time(minutes=10)
    api.mailbox.answer = testing.accepted
    api.world.pass_time(days=1)
    assert gone(api)["texts"] == []


@pytest.mark.parametrize("criteria", ["delivered", "viewed", "engaged"])
def test_a_hard_bounce_is_not_waited_after(api: Client, criteria: str) -> None:
    """It goes on at once, one time, and says why; a soft bounce waits, and so does what was met before it bounced."""
    request_id, _ = sent(api, asked(criteria))
    for _ in range(2):
        api.world.report(request_id, "bounced", bounce="hard")
    api.world.run_until_idle()
    assert gone(api)["texts"] == ["+15005550001"]
    (told,) = history(api, request_id, "ESCALATED")
    assert told["error"] == "it bounced for good"
    assert api.get(f"/messages/{request_id}").json()["reason"] == "BOUNCED"
    api.world.pass_time(days=1)
    assert gone(api)["texts"] == ["+15005550001"]
    assert proved(api) == []
    other = {**ANA, "email": "other@example.com"}
    for told_before in (
        [("bounced", {"bounce": "soft"})],
        [("clicked", {}), ("bounced", {"bounce": "hard"})],
    ):
        request_id, _ = sent(api, {**asked(criteria), "to": other})
        for what, said in told_before:
            api.world.report(request_id, what, **said)
        api.world.run_until_idle()
        assert len(gone(api)["texts"]) == 1
    api.world.pass_time(minutes=1)
    assert len(gone(api)["texts"]) == 2


def test_a_hard_bounce_that_overtakes_the_hand_over(api: Client) -> None:
    """What bounced before its provider's answer was stored, or whose answer was lost, goes on at once too."""
    for answer in (testing.accepted, lost):

        def bouncing(
            outgoing: channels.Outgoing, answer: Callable[[channels.Outgoing], channels.Answer] = answer
        ) -> channels.Answer:
            api.world.report(outgoing.message_id, "bounced", bounce="hard")
            while api.world.turns.take().inputs:
                pass
            return answer(outgoing)

        api.mailbox.answer = bouncing
        before = len(gone(api)["texts"])
        request_id, _ = sent(api, {**asked(), "to": {**ANA, "email": f"{before}@example.com"}})
        assert len(gone(api)["texts"]) == before + 1
        assert len(history(api, request_id, "ESCALATED")) == 1
