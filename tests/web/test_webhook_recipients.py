"""Webhook recipients: the requests that they are asked with, and where what proves who asks is kept."""

import base64
import json
from typing import Any

import sqlalchemy as sa

from heliograph import testing
from heliograph.store import relocking, safe, schema
from tests.web.client import Client, faults
from tests.web.test_journeys import invoke, steps_of
from tests.web.test_requests import send, sent
from tests.web.test_routing import HELLO, routing

URL = "https://hooks.example/a"
TOKEN = "s3cret-t0ken"
BEARER = {"mode": "bearer", "token": TOKEN}


def hook(**said: Any) -> dict[str, Any]:
    """A recipient who is reached by a webhook."""
    return {"webhook": {"url": URL, **said}}


def asked(api: Client) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The last request that went out: its method, headers by small names, body."""
    _, request = api.world.calls.received[-1]
    headers = {name.lower(): value for name, value in request.headers}
    assert len(headers) == len(request.headers)
    return request.method, headers, json.loads(request.body)


def stored(api: Client) -> str:
    """Every row of every table, as text."""
    with api.world.app.store.reading() as connection:
        return " ".join(
            str(tuple(row))
            for table in schema.metadata.sorted_tables
            for row in connection.execute(sa.select(table))
        )


def test_a_webhook_is_asked_as_its_recipient_says(api: Client) -> None:
    """Method, headers and authentication are theirs, and the signature ours; what is expanded tells their profile."""
    basic = {"mode": "basic", "username": "ana", "password": "pä:ss"}
    pair = base64.b64encode("ana:pä:ss".encode()).decode()
    cases: list[tuple[dict[str, Any], str, dict[str, str]]] = [
        ({}, "POST", {}),
        ({"method": "PUT", "headers": {"X-Shop": "7"}}, "PUT", {"x-shop": "7"}),
        ({"authentication": BEARER}, "POST", {"authorization": f"Bearer {TOKEN}"}),
        (
            {"authentication": basic, "headers": {"authorization": "old"}},
            "POST",
            {"authorization": f"Basic {pair}"},
        ),
        ({"authentication": {"mode": "none"}, "method": "POST"}, "POST", {}),
    ]
    for said, method, headers in cases:
        request_id, _ = sent(api, {**HELLO, "to": hook(**said)})
        went, had, body = asked(api)
        assert (went, had.items() >= headers.items(), "authorization" in had) == (
            method,
            True,
            "authorization" in headers,
        )
        assert had["webhook-signature"].startswith("v1,")
        assert "profile" not in body["data"]
        assert api.get(f"/messages/{request_id}").json()["status"] == "SENT"
    api.world.contact("ana", email="ana@example.com", plan="gold")
    sent(
        api,
        {
            **HELLO,
            "to": {"user_id": "ana", **hook(profile="expanded")},
            "routing": routing("single", "webhook"),
        },
    )
    known = {"id": "ana", "tags": [], "email": "ana@example.com", "plan": "gold"}
    assert asked(api)[2]["data"]["profile"] == known
    sent(
        api,
        {
            **HELLO,
            "to": {"user_id": "ana", **hook(profile="limited")},
            "routing": routing("single", "webhook"),
        },
    )
    assert "profile" not in asked(api)[2]["data"]


def test_what_proves_who_asks_is_kept_locked(api: Client) -> None:
    """No row, answer or export holds a secret of a webhook; it goes along onto later channels, and once more."""
    box = api.world.provider("twilio", "texts")
    box.answer = testing.refusing
    to = {"phone_number": "+15005550001", **hook(authentication=BEARER, headers={"X-Key": "k3y-in-clear"})}
    message = {
        **HELLO,
        "to": to,
        "routing": routing("single", "sms", "webhook"),
        "delay": {"duration": 60_000},
    }
    request_id = send(api, message)
    job = api.post("/bulk", {"message": {"event": "e", "content": HELLO["content"]}}).json()["jobId"]
    users = [{"to": hook(authentication=BEARER)}, {"profile": hook(headers={"X-Key": "k3y-in-clear"})}]
    assert api.post(f"/bulk/{job}", {"users": users}).status_code == 200
    told = [api.get(f"/bulk/{job}/users").text, api.get(f"/messages/{request_id}").text, stored(api)]
    assert api.post(f"/bulk/{job}/run", {}).status_code == 202
    api.world.pass_time(hours=1)
    went = [dict(request.headers) for _, request in api.world.calls.received]
    assert sorted(one.get("Authorization", "") for one in went) == ["", f"Bearer {TOKEN}", f"Bearer {TOKEN}"]
    assert sum(one.get("X-Key") == "k3y-in-clear" for one in went) == 2
    again = api.post(f"/messages/{request_id}/resend", {}).json()["messageId"]
    api.world.run_until_idle()
    assert asked(api)[1]["authorization"] == f"Bearer {TOKEN}"
    paths = (f"{request_id}", f"{request_id}/history", f"{again}/history", f"{again}/output", "")
    told += [api.get(f"/messages/{path}".rstrip("/")).text for path in paths]
    told.append(stored(api))
    for text in told:
        assert TOKEN not in text
        assert "k3y-in-clear" not in text


def test_a_new_key_locks_what_webhooks_have(api: Client) -> None:
    """Relocking takes the secrets of requests that wait and of messages with it; the old key may go then."""
    to = hook(authentication=BEARER)
    sent(api, {**HELLO, "to": to})
    send(api, {**HELLO, "to": to, "delay": {"duration": 60_000}})
    store = api.world.app.store
    old, new = api.world.settings.secret_key, safe.drawn()
    with store.writing() as connection:
        assert relocking.relock(connection, safe.opened(f"{new},{old}", "")) >= 2
        assert relocking.relock(connection, safe.opened(f"{new},{old}", "")) == 0
    store.safe = safe.opened(new, "")
    assert TOKEN not in stored(api)
    api.world.pass_time(hours=1)
    assert [dict(one.headers)["Authorization"] for _, one in api.world.calls.received][
        -1
    ] == f"Bearer {TOKEN}"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"url": "ftp://x"}, "url"),
    ({"method": "DELETE"}, "method"),
    ({"profile": "all"}, "profile"),
    ({"headers": ["a"]}, "headers"),
    ({"headers": {"A b": "1"}}, 'headers["A b"]'),
    ({"headers": {"X": "a\r\nEvil: 1"}}, "headers.X"),
    ({"headers": {"Host": "evil"}}, "headers.Host"),
    ({"headers": {"webhook-signature": "v1,x"}}, "headers.webhook-signature"),
    ({"authentication": "Bearer x"}, "authentication"),
    ({"authentication": {"mode": "digest"}}, "authentication.mode"),
    ({"authentication": {"mode": "bearer"}}, "authentication.token"),
    ({"authentication": {"mode": "bearer", "token": "a\r\nb"}}, "authentication.token"),
    (
        {"authentication": {"mode": "basic", "username": "a:b", "password": "p"}},
        "authentication.username",
    ),
    ({"authentication": {"mode": "basic", "username": "a"}}, "authentication.password"),
]


def test_a_wrong_webhook_is_refused(api: Client) -> None:
    """Each fault has its place, and nothing is sent."""
    for said, place in WRONG:
        for to, path in ((hook(**said), "to"), ({"profile": hook(**said)}, "to.profile")):
            answer = api.post("/send", {"message": {**HELLO, "to": to}})
            found = (answer.status_code, [*faults(answer)])
            assert found == (400, [f"message.{path}.webhook.{place}"]), answer.text
    api.world.run_until_idle()
    assert api.world.calls.received == []


def test_secrets_are_refused_where_nothing_is_locked(api: Client) -> None:
    """A stored profile and a journey's step take method and headers, but nothing that proves who asks."""
    plain = hook(method="PUT", headers={"X-Shop": "7"})
    for said in ({"authentication": BEARER}, {"headers": {"Authorization": f"Bearer {TOKEN}"}}):
        answer = api.put("/profiles/ana", {"profile": hook(**said)})
        assert answer.status_code == 400
        assert {one.split(".")[1] for one in faults(answer)} == {"webhook"}
        step = {"action": "send", "message": {**HELLO, "to": {"user_id": "ana", **hook(**said)}}}
        answer = api.post("/automations/invoke", {"automation": {"steps": [step]}})
        assert answer.status_code == 400, answer.text
        assert TOKEN not in answer.text + stored(api)
    assert api.put("/profiles/ana", {"profile": plain}).status_code == 200
    by_hook = {**HELLO, "routing": routing("single", "webhook")}
    sent(api, {**by_hook, "to": {"user_id": "ana"}})
    assert asked(api)[0] == "PUT"
    run_id = invoke(api, {"action": "send", "message": {**by_hook, "to": {"user_id": "ben", **plain}}})
    api.world.run_until_idle()
    assert steps_of(api, run_id)[0]["status"] == "PROCESSED"
    assert (asked(api)[0], asked(api)[1]["x-shop"]) == ("PUT", "7")
    # The signature is still ours.
    assert asked(api)[1]["webhook-signature"].startswith("v1,")


def test_without_a_key_a_secret_is_refused(api: Client) -> None:
    """Where nothing can be locked a webhook's secret is a conflict that says how to make a key; one without goes."""
    api.world.app.store.safe = safe.Safe()
    answer = api.post("/send", {"message": {**HELLO, "to": hook(authentication=BEARER)}})
    assert (answer.status_code, "heliograph secret key" in answer.text) == (409, True)
    assert api.post("/send", {"message": {**HELLO, "to": hook(method="PUT")}}).status_code == 200
