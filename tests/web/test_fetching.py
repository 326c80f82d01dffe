"""`fetch-data` over HTTP: what is asked, what becomes of the answer, and what of a fetch that fails (J8)."""

from typing import Any

import pytest

from heliograph import channels, testing
from tests.engine import acts
from tests.web.client import Client
from tests.web.test_journeys import faults, invoke, put, status, steps_of

FETCH = {"action": "fetch-data", "webhook": {"url": "https://crm.example/people"}}
TELL = {
    "action": "send",
    "message": {"to": {"email": "ana@example.com"}, "content": {"title": "t", "body": "{a} {b} {c}"}},
}


def answers(api: Client, *given: Any) -> None:
    """The program that is asked answers with these, one after the other, and with the last for ever."""
    left = list(given)

    def answer(outgoing: channels.Outgoing) -> channels.Answer:
        said = left.pop(0) if len(left) > 1 else left[0]
        return said(outgoing) if callable(said) else testing.answering(said)(outgoing)

    api.world.calls.answer = answer


def told(api: Client, *steps: dict[str, Any], **context: Any) -> list[str]:
    """What is written to Ana by these steps and TELL."""
    before = len(api.mailbox.received)
    invoke(api, *steps, TELL, **context)
    api.world.run_until_idle()
    return [mail.text for mail in api.mailbox.received[before:]]


@pytest.mark.spec("S2-37", "S2-38", "S2-48", "S2-53", "S2-47")
def test_an_answer_becomes_the_runs_data(api: Client) -> None:
    """The address is asked once, by GET; what it answers is the data of the steps that follow."""
    answers(api, {"a": 1, "b": "two"})
    step = {**FETCH, "ref": "crm", "webhook": {"url": "https://crm.example/people/${data.id}?x=1"}}
    run_id = invoke(api, step, {**TELL, "if": "refs.crm.status === 'PROCESSED'"}, data={"id": "a/b", "c": 3})
    api.world.run_until_idle()
    ((address, request),) = api.world.calls.received
    assert (address, request.method, request.body) == ("https://crm.example/people/a%2Fb?x=1", "GET", b"")
    assert [mail.text for mail in api.mailbox.received] == ["1 two {c}"]
    first, second = steps_of(api, run_id)
    assert (first["action"], first["status"], second["status"]) == ("fetch-data", "PROCESSED", "PROCESSED")
    assert first["explain"]["keys"] == ["a", "b"]
    assert first["ref"] == "crm"
    assert first["explain"]["request"] == "GET https://crm.example/people/a%2Fb"


def test_all_of_a_request_may_be_taken_from_the_run(api: Client) -> None:
    """As it stands there, whichever way it is named; what is no request ends the run with its place."""
    answers(api, {"a": 1, "b": 2})
    api.world.contact("ana", email="ana@example.com")
    asked = {
        "url": "https://crm.example/x/y?${z}",
        "method": "post",
        "headers": {"X-A": "refs.data"},
        "body": [1],
    }
    for named in ({"$ref": "data.ask"}, "refs.data.ask", "${data.ask}"):
        assert told(api, {"action": "fetch-data", "webhook": named}, data={"ask": asked}) == ["1 2 {c}"]
    assert {(address, request.method, request.body) for address, request in api.world.calls.received} == {
        ("https://crm.example/x/y?${z}", "POST", b"[1]")
    }
    assert ("X-A", "refs.data") in api.world.calls.received[0][1].headers
    for said, place in (({"urls": "x"}, ".urls"), ({"url": "ftp://x"}, ".url"), ({}, ".url"), ("x", "")):
        run_id = invoke(api, {"action": "fetch-data", "webhook": "refs.data.ask"}, data={"ask": said})
        api.world.run_until_idle()
        assert status(api, run_id) == "ERROR"
        assert f"steps[0].webhook{place}: " in steps_of(api, run_id)[0]["error"]["message"]


def test_a_byte_order_mark_is_no_part_of_an_answer(api: Client) -> None:
    """Some programs begin with one; what follows it is the data."""
    answers(api, '\ufeff{"a": 1, "b": 2}')
    assert told(api, FETCH) == ["1 2 {c}"]


def test_an_answer_may_name_who_is_written_to(api: Client) -> None:
    """Whoever is named by it is looked up before they are written to."""
    api.world.contact("bob", email="bob@example.com", given_name="Bob")
    api.world.contact("7", email="seven@example.com")
    api.world.template("hi", subject="s", text="{{ profile.given_name }}{{ data.n }}")
    answers(api, {"owner": "bob", "friend": 7, "n": 1})
    send = {"action": "send", "recipient": "refs.data.owner", "template": "hi"}
    to = [{"user_id": "refs.data.friend"}, {"user_id": "nobody"}]
    run_id = invoke(api, FETCH, send, {"action": "send", "message": {"to": to, "template": "hi"}})
    api.world.run_until_idle()
    # Messages to different people have no order among them.
    assert {mail.recipient: mail.text for mail in api.mailbox.received} == {
        "bob@example.com": "Bob1",
        "seven@example.com": "1",
    }
    assert len(api.mailbox.received) == 2
    assert status(api, run_id) == "PROCESSED"


@pytest.mark.spec("S2-49", "S2-50", "S2-51", "S2-52")
def test_what_is_asked_is_taken_from_the_run(api: Client) -> None:
    """Method, headers, body and the query have values of the run in them; an object goes as JSON, a text as text."""
    answers(api, {})
    webhook = {
        "url": "https://crm.example/p?x=1#there",
        "method": "post",
        "headers": {"Authorization": "Bearer ${data.token}", "X-None": {"$ref": "data.none"}},
        "params": {"q": "${data.q}", "many": [1, True], "none": None},
        "body": {"n": "refs.data.n"},
    }
    data = {"token": "t0", "q": "a&b", "n": [1]}
    invoke(api, {"action": "fetch-data", "webhook": webhook}, data=data)
    api.world.run_until_idle()
    invoke(api, {"action": "fetch-data", "webhook": {**webhook, "body": "n=${data.n}"}}, data=data)
    api.world.run_until_idle()
    (address, first), (_, second) = api.world.calls.received
    assert address == "https://crm.example/p?x=1&q=a%26b&many=1&many=true"
    headers = dict(first.headers)
    assert (first.method, first.body) == ("POST", b'{"n":[1]}')
    assert (headers["Authorization"], headers["Content-Type"]) == ("Bearer t0", "application/json")
    assert "X-None" not in headers
    assert first.fetches
    assert (second.body, dict(second.headers)["Content-Type"]) == (b"n=1", "text/plain; charset=utf-8")


@pytest.mark.spec("S2-42", "S2-43", "S2-44", "S2-45", "S2-46")
def test_an_answer_is_merged_as_the_step_says(api: Client) -> None:
    """Whole by default; else added to, put over, or left where there is any data."""
    answers(api, {"a": "new", "b": "new"})
    data = {"a": "old", "c": "old"}
    assert told(api, FETCH, data=data) == ["new new {c}"]
    assert told(api, {**FETCH, "merge_strategy": "replace"}, data=data) == ["new new {c}"]
    assert told(api, {**FETCH, "merge_strategy": "soft-merge"}, data=data) == ["old new old"]
    assert told(api, {**FETCH, "merge_strategy": "overwrite"}, data=data) == ["new new old"]
    assert told(api, {**FETCH, "merge_strategy": "none"}, data=data) == ["old {b} old"]
    assert told(api, {**FETCH, "merge_strategy": "none"}) == ["new new {c}"]


@pytest.mark.spec("S2-41")
def test_a_fetch_has_a_condition(api: Client) -> None:
    """One whose `if` does not hold asks nobody; it may look at what an earlier one came to."""
    answers(api, {"a": 1})
    invoke(
        api,
        {**FETCH, "ref": "first"},
        {**FETCH, "if": "refs.first.status !== 'PROCESSED'"},
        {**FETCH, "if": "data.a === 1"},
    )
    api.world.run_until_idle()
    assert len(api.world.calls.received) == 2


def test_a_fetch_that_fails_is_tried_again(api: Client) -> None:
    """Three times in all where the other side has trouble, a second or two apart; the run waits, and goes on."""
    answers(api, testing.answering("busy", 503), acts.lost, {"a": 1})
    run_id = invoke(api, FETCH, TELL, data={"b": 2})
    api.world.run_until_idle()
    assert (status(api, run_id), steps_of(api, run_id)[0]["status"]) == ("PROCESSING", "PROCESSING")
    api.world.pass_time(seconds=3)
    assert [mail.text for mail in api.mailbox.received] == ["1 {b} {c}"]
    assert len(api.world.calls.received) == 3


@pytest.mark.parametrize(
    ("answer", "calls", "reason"),
    [
        (testing.answering("gone", 404), 1, "Fetch failed: GET https://crm.example/people: answered 404"),
        (testing.answering("busy", 503), 3, "Fetch failed: GET https://crm.example/people: answered 503"),
        (acts.lost, 3, "Fetch failed: GET https://crm.example/people: the connection broke"),
        (testing.answering([1]), 1, "is JSON, but no object"),
        (testing.answering("<html>"), 1, "no object in JSON"),
    ],
)
def test_a_fetch_that_fails_is_told_of_its_step(api: Client, answer: Any, calls: int, reason: str) -> None:
    """The step is an error with its reason, and the run goes on with the data that it had."""
    answers(api, answer)
    run_id = invoke(api, FETCH, TELL, data={"b": 2})
    api.world.pass_time(minutes=1)
    first, second = steps_of(api, run_id)
    assert (first["status"], second["status"], status(api, run_id)) == ("ERROR", "PROCESSED", "PROCESSED")
    assert reason in first["error"]["message"]
    assert [mail.text for mail in api.mailbox.received] == ["{a} 2 {c}"]
    assert len(api.world.calls.received) == calls


def test_a_server_that_asks_for_time_is_given_it(api: Client) -> None:
    """Up to ten seconds; longer ones are not waited for."""
    busy = testing.answering("busy", 429)
    answers(api, lambda outgoing: busy(outgoing)._replace(retry_after=9), {"a": 1})
    invoke(api, FETCH)
    api.world.pass_time(seconds=8)
    assert len(api.world.calls.received) == 1
    api.world.pass_time(seconds=2)
    assert len(api.world.calls.received) == 2
    answers(api, lambda outgoing: busy(outgoing)._replace(retry_after=900), {"a": 1})
    invoke(api, FETCH)
    api.world.pass_time(seconds=2)
    assert len(api.world.calls.received) == 4


def test_what_is_asked_in_vain_ends_the_run(api: Client) -> None:
    """A method or address that a run makes and nobody can ask is an error of the run (A50)."""
    for webhook in ({"url": "${data.url}"}, {"url": "https://crm.example", "method": "${data.url}"}):
        run_id = invoke(api, {"action": "fetch-data", "webhook": webhook}, TELL, data={"url": "nonsense"})
        api.world.run_until_idle()
        assert status(api, run_id) == "ERROR"
        assert "steps[0].webhook" in steps_of(api, run_id)[0]["error"]["message"]
    assert api.world.calls.received == []


def test_a_password_in_an_address_is_not_told(api: Client) -> None:
    """One that a run makes is refused, and stands in nothing that is told of the step."""
    url = "https://shop:hunter2@api.example/data?key=hunter2"
    run_id = invoke(api, {"action": "fetch-data", "webhook": {"url": "refs.data.url"}}, data={"url": url})
    api.world.run_until_idle()
    (step,) = steps_of(api, run_id)
    assert (step["status"], step["explain"]["request"]) == ("ERROR", "GET https://api.example/data")
    assert "hunter2" not in str(step)


def test_an_answer_that_no_database_takes_ends_the_run(api: Client) -> None:
    """What cannot be written down is told with its place, and holds up nobody else."""
    answers(api, {"owner": "a\0b"})
    run_id = invoke(api, FETCH, {"action": "send", "recipient": "refs.data.owner", "template": "t"})
    other = invoke(api, TELL)
    api.world.run_until_idle()
    assert (status(api, run_id), status(api, other)) == ("ERROR", "PROCESSED")
    assert "steps[1].recipient: holds a NUL" in steps_of(api, run_id)[1]["error"]["message"]


def test_a_fetch_is_checked_beforehand(api: Client) -> None:
    """Every field with its place; an address that is plainly not to be reached is refused at once (A48)."""
    found = faults(
        api,
        {"action": "fetch-data"},
        {"action": "fetch-data", "webhook": {"method": "FETCH", "headers": [], "params": "x", "verb": 1}},
        {"action": "fetch-data", "webhook": {"url": "ftp://crm.example"}, "merge_strategy": "deep"},
    )
    assert set(found) == {
        "steps[0].webhook",
        *(f"steps[1].webhook.{name}" for name in ("url", "method", "headers", "params", "verb")),
        "steps[2].webhook.url",
        "steps[2].merge_strategy",
    }
    for url in ("http://crm.example/", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/"):
        assert set(faults(api, {"action": "fetch-data", "webhook": {"url": url}})) == {"steps[0].webhook.url"}
    body = {"name": "n", "steps": [{"action": "fetch-data", "webhook": {"url": "http://crm.example/"}}]}
    assert api.put("/automations/templates/t", body).status_code == 400


def test_a_canceled_run_does_not_ask_again(api: Client) -> None:
    """What is to be tried again is not, an answer that comes late changes nothing, and no step is under way."""
    answers(api, testing.answering("busy", 503))
    put(api, "j", FETCH, TELL)
    run_id = api.post("/automations/j/invoke", {"recipient": None}).json()["runId"]
    api.world.run_until_idle()
    api.post(f"/automations/runs/{run_id}/cancel")
    api.world.pass_time(minutes=1)
    assert len(api.world.calls.received) == 1
    assert (status(api, run_id), len(api.mailbox.received)) == ("CANCELED", 0)
    assert [step["status"] for step in steps_of(api, run_id)] == ["CANCELED", "CANCELED"]
