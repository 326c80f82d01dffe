"""Events over HTTP: in, read back, and tried again."""

import sys
from hashlib import sha256
from typing import Any

import pytest

from tests.web import client, histories

PATH = "/api/automation/events"


@pytest.mark.spec("S4-273", "S4-274", "S4-275", "S4-276", "S4-277", "S4-279")
def test_an_event_is_read_as_it_was_sent(api: client.Client) -> None:
    """An event is read by its id with what it was sent with; an unknown one is a 404."""
    sent: dict[str, Any] = {
        "event_type": "message_received",
        "contact_id": "ana",
        "conversation_id": "c-1",
        "source": "crm",
        "channel_source": "email",
        "payload": {"message": {"text": "naïve ☃"}, "n": 12345678901234567890},
        "occurred_at": "2026-01-05T11:00:00Z",
    }
    identity = api.happen(**sent)
    answer = api.get(f"{PATH}/{identity}")
    assert answer.status_code == 200
    read = answer.json()
    assert read["id"] == identity
    assert {**sent, "occurred_at": "2026-01-05T11:00:00.000000Z"}.items() <= read.items()
    assert api.get(f"{PATH}/00000000-0000-7000-8000-000000000000").status_code == 404
    assert api.get(f"{PATH}/not-an-id").status_code == 404


def test_what_went_before_is_kept_with_an_event(api: client.Client) -> None:
    """An event may bring the values that it changed; conditions look back at them."""
    api.make_rule(conditions=[{"field": "payload.status", "operator": "changed"}])
    events = [
        api.happen(payload={"status": "closed"}, previous={"status": status}) for status in ("open", "closed")
    ]
    api.decide()
    assert api.get(f"{PATH}/{events[0]}").json()["previous"] == {"status": "open"}
    assert [run["matched"] for event in events for run in api.runs(event)] == [True, False]


@pytest.mark.spec("S4-280", "S4-281", "S4-282", "S4-283", "S4-284", "S4-285")
def test_an_event_tells_how_it_stands(api: client.Client) -> None:
    """Before its decision an event is pending and was not tried; afterwards it is processed at an instant."""
    identity = api.happen(contact_id="ana")
    came = "2026-01-05T12:00:00.000000Z"
    before = api.get(f"{PATH}/{identity}").json()
    assert (before["status"], before["attempts"], before["processed_at"]) == ("pending", 0, None)
    assert (before["available_at"], before["created_at"], before["contact_id"]) == (came, came, "ana")
    api.clock.move(2_000_000)
    api.decide()
    after = api.get(f"{PATH}/{identity}").json()
    assert (after["status"], after["attempts"]) == ("processed", 1)
    assert after["processed_at"] == "2026-01-05T12:00:02.000000Z"
    assert (after["available_at"], after["created_at"]) == (came, came)


@pytest.mark.spec("S4-278", "S4-298")
def test_equal_payloads_have_one_fingerprint(api: client.Client) -> None:
    """The hash is that of the payload's canonical JSON: key order, spacing and 1.0 for 1 make no difference."""
    texts = ('{"a": [1, {"c": null, "b": "é"}]}', '{"a":[1.0,{"b":"\\u00e9","c":null}]}')
    hashes = []
    for text in texts:
        body = f'{{"event_type": "custom.x", "payload": {text}}}'.encode()
        (identity,) = api.send("POST", PATH, content=body).json()["ids"]
        hashes.append(api.get(f"{PATH}/{identity}").json()["payload_hash"])
    assert hashes == [sha256('{"a":[1,{"b":"é","c":null}]}'.encode()).hexdigest()] * 2


@pytest.mark.spec("S4-296")
def test_an_event_that_no_rule_waits_for_is_finished_too(api: client.Client) -> None:
    """An event without rules is processed, and says when."""
    identity = api.happen("custom.nobody")
    api.decide()
    read = api.get(f"{PATH}/{identity}").json()
    assert (read["status"], read["processed_at"]) == ("processed", "2026-01-05T12:00:00.000000Z")
    assert api.runs(identity) == []


@pytest.mark.spec("S4-286")
def test_a_failed_event_tells_its_error_and_can_be_tried_again(api: client.Client) -> None:
    """Retry answers 202 with the event, which is pending again; the next turn decides it as if nothing had been."""
    api.make_rule(conditions=[])
    identity = api.happen(contact_id="ana")
    histories.give_up(api, identity)
    failed = api.get(f"{PATH}/{identity}").json()
    assert (failed["status"], failed["attempts"]) == ("failed", 5)
    assert failed["error"] == "ZeroDivisionError: division by zero"
    api.clock.move(1_000_000)
    answer = api.post(f"{PATH}/{identity}/retry")
    assert answer.status_code == 202
    again = answer.json()
    assert (again["status"], again["available_at"]) == ("pending", "2026-01-05T12:00:01.000000Z")
    assert again["processed_at"] is None
    api.decide()
    after = api.get(f"{PATH}/{identity}").json()
    assert (after["status"], after["attempts"], after["error"]) == ("processed", 6, None)
    assert len(api.runs(identity)) == 1


def test_only_a_failed_event_is_tried_again(api: client.Client) -> None:
    """Retry of an event that waits or is done is a 409 and changes nothing; of an unknown one a 404."""
    identity = api.happen(contact_id="ana")
    assert api.post(f"{PATH}/{identity}/retry").status_code == 409
    api.decide()
    before = api.get(f"{PATH}/{identity}").json()
    refused = api.post(f"{PATH}/{identity}/retry")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "conflict")
    assert "processed" in refused.json()["error"]["message"]
    assert api.get(f"{PATH}/{identity}").json() == before
    assert api.post(f"{PATH}/00000000-0000-7000-8000-000000000000/retry").status_code == 404


def test_many_events_come_in_at_once(api: client.Client) -> None:
    """An array and lines of JSON are taken whole; the ids stand in the order of the events."""
    made = api.post(PATH, [{"event_type": "custom.n", "payload": {"n": n}} for n in range(20)])
    assert made.status_code == 202
    read = [api.get(f"{PATH}/{identity}").json()["payload"]["n"] for identity in made.json()["ids"]]
    assert read == list(range(20))
    lines = b'{"event_type": "custom.a"}\n\n{"event_type": "custom.b"}\n'
    streamed = api.send("POST", PATH, content=lines, headers={"Content-Type": "Application/X-NDJSON"})
    types = [api.get(f"{PATH}/{identity}").json()["event_type"] for identity in streamed.json()["ids"]]
    assert types == ["custom.a", "custom.b"]


def test_events_are_json_or_lines_of_it(lone_api: client.Client) -> None:
    """Whoever says that a body is a form, or a text, is told what is taken; who says nothing of it sends JSON."""
    body = b'{"event_type": "custom.a"}'
    for kind in (
        "application/x-www-form-urlencoded",
        "text/plain; charset=utf-8",
        "text/csv",
        "multipart/form-data",
    ):
        for extra in ({}, {"Idempotency-Key": kind}):
            answer = lone_api.send("POST", PATH, content=body, headers={"Content-Type": kind, **extra})
            told = answer.json()["error"]
            assert (answer.status_code, told["code"]) == (415, "unsupported_media_type"), kind
            assert kind.split(";")[0] in told["message"]
            assert "application/x-ndjson" in told["message"]
    said = ("", "application/json; charset=utf-8", "application/cloudevents+json", "application/jsonl")
    for headers in ({}, *({"Content-Type": kind} for kind in said)):
        assert lone_api.send("POST", PATH, content=body, headers=headers).status_code == 202, headers
    assert len(lone_api.get(PATH).json()["data"]) == 1 + len(said)


def test_null_says_of_a_field_that_it_is_not_given(api: client.Client) -> None:
    """A program that writes null for what it does not know is taken as one that leaves it out, by either key."""
    bare = {"event_type": "custom.a", "idempotency_key": "once"}
    (known,) = api.post(PATH, bare).json()["ids"]
    named = (
        "contact_id",
        "conversation_id",
        "source",
        "channel_source",
        "payload",
        "previous",
        "occurred_at",
    )
    answer = api.post(PATH, {**bare, **dict.fromkeys(named)})
    assert (answer.status_code, answer.json()) == (202, {"ids": [known]})
    (other,) = api.post(PATH, {**bare, **dict.fromkeys((*named, "idempotency_key"))}).json()["ids"]
    shown = api.get(f"{PATH}/{other}").json()
    assert other != known
    assert (shown["source"], shown["payload"], shown["previous"]) == ("api", {}, None)
    assert api.post(PATH, {"event_type": None}).status_code == 422


_COMMA = 17 if sys.version_info >= (3, 13) else 18
"""Where Python says that a comma is trailing: at it, or behind it."""


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (b'{"event_type": "custom.a"}\n\n{"event_type": 7,}\n', f"line 3, column {_COMMA}: "),
        (b'\n{"event_type": oops}', "line 2, column 16: "),
        (b'{"event_type": "custom.a"}\n\n[1]\n', "line 3 is not a JSON object"),
        (b'{"event_type": "custom.a"}\n{"event_type": "b"},{"event_type": "c"}', "line 2, column 20: "),
        (b'{"event_type": "custom.a", "payload": {"a": [{}\n{}]}}', "line 1, column "),
    ],
)
def test_a_line_that_is_no_json_is_told_by_its_number(
    lone_api: client.Client, lines: bytes, told: str
) -> None:
    """What cannot be read of lines of JSON has the line and column at which it was sent, blank lines counted."""
    answer = lone_api.send("POST", PATH, content=lines, headers={"Content-Type": "application/x-ndjson"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "malformed_json")
    assert answer.json()["error"]["message"].startswith(told)


def test_one_bad_event_keeps_all_out(api: client.Client) -> None:
    """Where one item of an array is wrong nothing is stored, and the place of every fault is told."""
    late = {"event_type": "custom.a", "occurred_at": "tomorrow"}
    answer = api.post(PATH, [{"event_type": "custom.a"}, {"event_type": "Bad"}, {"contact_id": 7}, late])
    assert answer.status_code == 422
    assert {"[1].event_type", "[3].occurred_at"} < client.faults(answer).keys()
    metrics = api.get("/metrics").text
    assert "heliograph_events_waiting 0.0" in metrics
    assert "heliograph_events_accepted_total 0.0" in metrics


@pytest.mark.parametrize("name", ["payload", "previous"])
def test_an_event_is_not_endless(lone_api: client.Client, name: str) -> None:
    """What an event brings, and what went before, have 256 KiB at most."""
    most = 256 * 1024 - len('{"a":""}')
    told = [lone_api.post(PATH, {"event_type": "custom.a", name: {"a": "x" * n}}) for n in (most, most + 1)]
    assert [answer.status_code for answer in told] == [202, 422]
    assert list(client.faults(told[1])) == [name]


def test_an_idempotency_key_is_kept(api: client.Client) -> None:
    """The same key and payload give the first id again; another payload is a 409 that names the item."""
    first = api.happen("custom.a", idempotency_key="k", payload={"n": 1})
    assert api.happen("custom.a", idempotency_key="k", payload={"n": 1.0}) == first
    other = api.post(PATH, [{"event_type": "custom.a", "idempotency_key": "k", "payload": {"n": 2}}])
    assert other.status_code == 409
    assert list(client.faults(other)) == ["[0].idempotency_key"]


def test_idempotency_keys_of_tenants_do_not_meet(api: client.Client) -> None:
    """Tenants and the workspace may use the same key for events of their own: each is taken in, and once."""
    keys = [api.key("ingest", tenant="t"), api.key("ingest", tenant="t2"), api.key("ingest")]
    events = [{"event_type": "custom.a", "idempotency_key": "order-1", "payload": {"n": n}} for n in range(3)]
    first = [api.post(PATH, event, key=key) for event, key in zip(events, keys, strict=True)]
    assert [answer.status_code for answer in first] == [202] * 3
    assert len({answer.json()["ids"][0] for answer in first}) == 3
    again = [api.post(PATH, event, key=key) for event, key in zip(events, keys, strict=True)]
    assert [answer.json() for answer in again] == [answer.json() for answer in first]
    assert api.post(PATH, events[1], key=keys[0]).status_code == 409


def test_a_request_of_events_with_a_key_is_worked_once(api: client.Client) -> None:
    """The header holds for events as for all that is posted, also where the worker died before it could answer."""
    events = [{"event_type": "custom.a", "payload": {"n": n}} for n in range(3)]
    events[1]["idempotency_key"] = "k"
    once = {"Idempotency-Key": "r"}
    first = api.post(PATH, events, headers=once)
    assert (first.status_code, len(set(first.json()["ids"]))) == (202, 3)
    again = api.post(PATH, events, headers=once)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert api.post(PATH, events[:1], headers=once).json()["error"]["code"] == "idempotency_key_reused"
    with api.store.writing() as connection:
        connection.exec_driver_sql("UPDATE request_keys SET status = NULL")
    api.clock.move(60_000_001)
    assert api.post(PATH, events, headers=once).json() == first.json()
    assert api.get(PATH).json()["total"] == 3
    assert list(client.faults(api.post(PATH, events, headers={"Idempotency-Key": "r" * 256}))) == [
        "Idempotency-Key"
    ]


def test_a_full_backlog_is_told_with_an_instant_to_come_back(database_url: str) -> None:
    """When more events wait than the setting allows, ingest answers 429 with Retry-After and takes nothing in."""
    with client.Client(database_url, backlog_limit=2) as api:
        api.post(PATH, [{"event_type": "custom.a"}] * 3)
        refused = api.post(PATH, {"event_type": "custom.a"})
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "backlog_full")
        assert int(refused.headers["retry-after"]) >= 1
        api.clock.move(5_000_000)
        assert api.post(PATH, {"event_type": "custom.a"}).status_code == 429
        assert api.get(PATH).json()["total"] == 3


def test_a_backlog_that_was_worked_off_is_full_no_more(database_url: str) -> None:
    """Whoever was told that the backlog is full and comes back when it is not is taken in."""
    with client.Client(database_url, backlog_limit=2) as api:
        api.post(PATH, [{"event_type": "custom.a"}] * 3)
        assert api.post(PATH, {"event_type": "custom.a"}).status_code == 429
        api.decide()
        api.clock.move(5_000_000)
        assert api.post(PATH, {"event_type": "custom.a"}).status_code == 202
