"""Steps of journeys over HTTP: what one step sees of another, and what a child is handed."""

from typing import Any

import pytest

from heliograph import testing
from tests.engine import acts
from tests.web.client import Client
from tests.web.test_journeys import WELCOME as HELLO
from tests.web.test_journeys import faults, invoke, put, status, statuses, steps_of

HOUR = {"action": "delay", "duration": "1 hour"}


@pytest.mark.spec("S2-28", "S2-29")
def test_a_cancel_looks_at_what_became_of_an_earlier_step(api: Client) -> None:
    """`if` of a cancel reads a step by its `ref`: another run ends where the mail did not arrive, and only there."""
    for answer, wanted in ((acts.refused, "CANCELED"), (testing.accepted, "WAITING")):
        api.mailbox.answer = answer
        other = invoke(api, {"action": "delay", "duration": "1 day"}, cancelation_token="order-7")
        api.world.run_until_idle()
        step = {
            "action": "cancel",
            "cancelation_token": "order-7",
            "if": "refs.mail.status === 'UNDELIVERABLE'",
            "ref": "stop",
        }
        after = {**HELLO, "if": "refs.stop.status === 'PROCESSED'"}
        run_id = invoke(api, {**HELLO, "ref": "mail"}, HOUR, step, after)
        api.world.pass_time(hours=2)
        assert status(api, other) == wanted
        told = "PROCESSED" if wanted == "CANCELED" else "SKIPPED"
        assert statuses(api, run_id)[2] == told


@pytest.mark.spec("S2-34")
def test_a_delay_says_how_long(api: Client) -> None:
    """Neither `duration` nor `until` is refused with the step's place; either will do."""
    for nothing in ({}, {"duration": ""}, {"until": None, "duration": ""}):
        assert faults(api, HELLO, {"action": "delay", **nothing}) == {
            "steps[1]": "needs `duration` or `until`"
        }
    for enough in ({"duration": "1 minute"}, {"until": "2026-01-05T12:01:00Z"}):
        run_id = invoke(api, {"action": "delay", **enough})
        api.world.run_until_idle()
        assert status(api, run_id) == "WAITING"


def told(api: Client) -> list[tuple[str, str]]:
    """(subject, text) of every mail."""
    return [(mail.subject, mail.text) for mail in api.mailbox.received]


@pytest.mark.spec("S2-61", "S2-62", "S2-64", "S2-65", "S2-66", "S2-68")
def test_a_child_holds_what_its_context_names(api: Client) -> None:
    """Brand, profile, template and recipient are handed over one by one; a later step sees that it was started."""
    api.world.template("other", subject="Other", text="for {{ profile.city }}, {{ contact.id }}")
    api.world.template("own", subject="Own", text="for {{ profile.city }}, {{ contact.id }}")
    say: dict[str, Any] = {
        "action": "send",
        "message": {"to": {"email": "x@example.com"}, "content": {"title": "${brand}", "body": "b"}},
    }
    put(api, "child", {"action": "send"}, say)
    mail = {"email": "ana@example.com", "city": "Rome"}
    context: dict[str, Any] = {
        "brand": "acme",
        "template": "other",
        "recipient": "bob",
        "profile": {"email": "bob@example.com", "city": "Oslo"},
    }
    step = {"action": "invoke", "template": "child", "ref": "kid"}
    held = {"brand": "house", "template": "own", "recipient": "ana", "profile": mail}
    for name in (None, *context):
        given = {} if name is None else {"context": {name: context[name]}}
        api.mailbox.received.clear()
        after = {"action": "delay", "until": "2020-01-01", "if": "refs.kid.status === 'PROCESSED'"}
        run_id = invoke(api, {**step, **given}, after, **held)
        api.world.run_until_idle()
        seen = {**held, **given.get("context", {})}
        subject, text = told(api)[0]
        assert subject == ("Other" if seen["template"] == "other" else "Own")
        assert text.startswith(f"for {seen['profile']['city']}, {seen['recipient']}")
        assert told(api)[1][0] == seen["brand"]
        assert api.mailbox.received[0].recipient == seen["profile"]["email"]
        assert statuses(api, run_id) == ["PROCESSED", "PROCESSED"]


@pytest.mark.spec("S2-28")
def test_a_message_that_goes_nowhere_is_known_at_once(api: Client) -> None:
    """The step right after a send sees that its message is UNROUTABLE, of several one too, and may see to it."""
    api.world.template("hello", subject="Hello", text="Hello!")
    api.world.contact("mute", locale="de")
    api.world.contact("ana", email="ana@example.com")
    both = {"to": [{"user_id": "ana"}, {"user_id": "mute"}], "template": "hello"}
    cases: list[tuple[dict[str, Any], dict[str, int]]] = [
        ({"recipient": "mute", "template": "hello"}, {"UNROUTABLE": 1}),
        ({"message": {"to": {"user_id": "mute"}, "template": "hello"}}, {"UNROUTABLE": 1}),
        ({"message": both}, {"ENQUEUED": 1, "UNROUTABLE": 1}),
        ({"recipient": "ana", "template": "hello"}, {"ENQUEUED": 1}),
    ]
    for send, counts in cases:
        is_lost = "UNROUTABLE" in counts
        instead = {**HELLO, "if": f"refs.mail.status {'===' if is_lost else '!=='} MessageStatus.Unroutable"}
        run_id = invoke(api, {"action": "send", **send, "ref": "mail"}, instead)
        api.world.run_until_idle()
        step = steps_of(api, run_id)[1]
        assert (step["status"], step["explain"]["read"]["mail"]["counts"]) == ("PROCESSED", counts), send


@pytest.mark.parametrize("form", ["legacy", "message"])
def test_a_step_whose_key_was_used_reads_as_the_first_ones_message(api: Client, form: str) -> None:
    """What it says of its message it says of its status too: live, and whichever run sent it."""
    api.world.template("hello", subject="Hello", text="Hello!")
    api.world.contact("ana", email="ana@example.com")
    said: dict[str, Any] = {"recipient": "ana", "template": "hello"}
    if form == "message":
        said = {"message": {"to": {"user_id": "ana"}, "template": "hello"}}
    send = {"action": "send", **said, "idempotency_key": "k", "ref": "mail"}
    first = invoke(api, send)
    api.world.run_until_idle()
    after = {**HELLO, "if": "refs.mail.status === MessageStatus.Opened"}
    second = invoke(api, send, {**HELLO, "if": "refs.mail.status === MessageStatus.Sent"}, HOUR, after)
    api.world.run_until_idle()
    message_id = steps_of(api, first)[0]["message_id"]
    api.world.report(message_id, "opened")
    api.world.pass_time(hours=2)
    assert statuses(api, second) == ["PROCESSED"] * 4
    repeated = steps_of(api, second)[0]
    assert (repeated["message_id"], repeated["explain"]["repeats"]) == (message_id, first)


WITH_COPY: list[dict[str, Any]] = [
    {"recipient": "ana", "template": "hello", "override": {"email": {"cc": "boss@example.com"}}},
    {
        "message": {
            "to": {"user_id": "ana"},
            "template": "hello",
            "channels": {"email": {"override": {"bcc": "boss@example.com"}}},
        }
    },
    {
        "message": {
            "to": [{"user_id": "ana"}],
            "template": "hello",
            "routing": {"method": "all", "channels": ["email", "sms"]},
        }
    },
]


@pytest.mark.parametrize("said", WITH_COPY)
def test_a_step_to_one_person_tells_which_message_is_theirs(api: Client, said: dict[str, Any]) -> None:
    """Copies and further channels have messages of their own: `message_id` is the person's, and a key repeats it."""
    api.world.template("hello", subject="Hello", text="Hello!")
    api.world.contact("ana", email="ana@example.com", phone_number="+12025550123")
    send = {"action": "send", **said, "idempotency_key": "k"}
    told = []
    for _ in range(2):
        run_id = invoke(api, send)
        api.world.run_until_idle()
        told += steps_of(api, run_id)
    first, again = told
    assert len(first["explain"]["recipients"]) == 2
    assert api.get(f"/messages/{first['message_id']}").json()["recipient"] == "ana"
    assert again["message_id"] == first["message_id"]
