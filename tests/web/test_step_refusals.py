"""Steps that name what is not ready: a draft, a brand that is not there, a header or address that cannot be."""

from typing import Any

import pytest

from heliograph import errors
from tests.web.client import Client
from tests.web.client import faults as web_faults
from tests.web.test_batches import STEP as BATCH
from tests.web.test_journeys import WELCOME, faults, invoke, put, status, steps_of
from tests.web.test_requests import crowd

ELEMENTS = {"version": "2022-01-01", "elements": [{"type": "text", "content": "Hello"}]}


def template(api: Client, state: str) -> str:
    """A template in Courier's shape; its id."""
    nothing: dict[str, Any] = {"brand": None, "subscription": None, "routing": None, "tags": []}
    body = {"notification": {"name": "n", "content": ELEMENTS, **nothing}, "state": state}
    return str(api.post("/notifications", body).json()["id"])


@pytest.mark.parametrize("more", [None, {}, {"metadata": {"tags": ["t"]}}])
def test_a_draft_makes_a_message_that_says_so(api: Client, more: dict[str, Any] | None) -> None:
    """UNROUTABLE with the reason UNPUBLISHED, and the run goes on: in every form of the step (A68)."""
    api.world.contact("ana", email="ana@example.com")
    draft = template(api, "DRAFT")
    step: dict[str, Any] = {"action": "send", "recipient": "ana", "template": draft}
    if more is not None:
        step = {"action": "send", "message": {"to": {"user_id": "ana"}, "template": draft, **more}}
    run_id = invoke(api, step, WELCOME, data={"name": "Ana"})
    api.world.run_until_idle()
    first, second = steps_of(api, run_id)
    assert (first["status"], second["status"], status(api, run_id)) == ("ERROR", "PROCESSED", "PROCESSED")
    message = api.get(f"/messages/{first['message_id']}").json()
    assert (message["status"], message["reason"], message["notification"]) == (
        "UNROUTABLE",
        "UNPUBLISHED",
        draft,
    )


@pytest.mark.parametrize(
    ("more", "told"), [({}, "is a draft: publish it first"), ({"brand": "gone"}, "no brand 'gone'")]
)
def test_nobody_on_a_list_is_written_to_in_vain(api: Client, more: dict[str, Any], told: str) -> None:
    """A draft, or a brand that is not there, fails the step once and not each of its messages."""
    crowd(api, "news", "ana", "ben")
    step = {
        "action": "send-list",
        "list": "news",
        "template": template(api, "PUBLISHED" if more else "DRAFT"),
    }
    run_id = invoke(api, {**step, **more})
    api.world.run_until_idle()
    (one,) = steps_of(api, run_id)
    assert one["status"] == "ERROR"
    assert told in one["error"]["message"]
    assert api.get("/messages").json()["results"] == []


@pytest.mark.parametrize(
    ("webhook", "place"),
    [
        ({"headers": {"a b": "x"}}, "headers"),
        ({"headers": {"a": "x\ny", "b": "${data.x}"}}, "headers"),
        ({"headers": {"Host": "${data.x}"}}, "headers"),
        ({"url": "https://user:secret@example.com/"}, "url"),
        ({"url": "https://exa mple/"}, "url"),
    ],
)
def test_a_request_that_cannot_be_made_is_refused_beforehand(
    api: Client, webhook: dict[str, Any], place: str
) -> None:
    """What is plainly wrong with an address or a header is told before a run starts."""
    step = {"action": "fetch-data", "webhook": {"url": "https://example.com/", **webhook}}
    assert faults(api, step).keys() == {f"steps[0].webhook.{place}"}


SEND = {"action": "send", "recipient": "ana", "template": "t"}
TO = {"to": {"user_id": "ana"}, "template": "t"}
FETCH = {"action": "fetch-data", "webhook": {"url": "https://example.com/"}}
JOIN = {"action": "subscribe", "list_id": "l", "recipient_id": "ana"}
THROTTLE = {"action": "throttle", "max_allowed": 1, "period": "PT1H", "scope": "global"}


def within(step: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    """The step with this value at a place such as `message.to.email`."""
    first, _, rest = place.partition(".")
    return {**step, first: within(step.get(first, {}), rest, value) if rest else value}


@pytest.mark.parametrize(
    ("step", "place", "value"),
    [
        (SEND, "recipient", ["ana"]),
        (SEND, "recipient", "a" * 256),
        (SEND, "template", {}),
        (SEND, "brand", {"id": "${data.x}"}),
        (SEND, "data", ["${data.x}"]),
        ({"action": "send", "message": TO}, "message.template", []),
        ({"action": "send", "message": TO}, "message.brand_id", {}),
        ({"action": "send", "message": TO}, "message.data", "x ${data.x}"),
        ({"action": "send", "message": TO}, "message.to.user_id", ["ana"]),
        ({"action": "send", "message": TO}, "message.to.email", "nobody"),
        ({"action": "send", "message": TO}, "message.to.data", 5),
        ({"action": "send-list", "list": "l", "template": "t"}, "template", {}),
        ({"action": "send-list", "list": "l", "template": "t"}, "brand", ["b"]),
        ({"action": "send-list", "list": "l", "template": "t"}, "override.email.from", "x"),
        ({"action": "cancel"}, "cancelation_token", ["t"]),
        ({"action": "invoke"}, "template", {}),
        ({"action": "invoke", "template": "w"}, "context.data", 5),
        ({"action": "invoke", "template": "w"}, "context.profile", "x ${data.x}"),
        ({"action": "invoke", "template": "w"}, "context.recipient", {}),
        ({"action": "get-profile"}, "user_id", {"a": "${data.x}"}),
        ({"action": "get-profile", "user_id": "ana"}, "tenant_id", ["t"]),
        ({"action": "update-profile", "profile": {"a": 1}}, "recipient_id", {}),
        (JOIN, "recipient_id", {}),
        (JOIN, "subscription", "x"),
        (JOIN, "subscription.preferences", 5),
        (JOIN, "subscription.prefer", {}),
        (THROTTLE, "throttle_key", ["k"]),
        (FETCH, "webhook.params.a", {"b": 1}),
        (FETCH, "webhook.headers.a", {"b": 1}),
        (FETCH, "webhook.params", ["${data.x}"]),
    ],
)
def test_what_can_never_be_what_a_field_takes_is_refused_beforehand(
    lone_api: Client, step: dict[str, Any], place: str, value: Any
) -> None:
    """A list where an id is wanted, a text where an object is: told with its place, not when the step is reached."""
    given = within(step, place, value)
    assert faults(lone_api, given, recipient="ana").keys() == {f"steps[0].{place}"}
    if place != "subscription.prefer":
        dynamic = within(step, place, "${data.x}")
        answer = lone_api.post(
            "/automations/invoke", {"automation": {"steps": [dynamic]}, "recipient": "ana"}
        )
        assert answer.status_code == 200, answer.json()


@pytest.mark.parametrize("url", ["http://shop.example/x", "https://10.0.0.1/x", "http://inside:8080/x"])
@pytest.mark.parametrize("listed", [False, True])
def test_steps_of_a_rule_ask_what_steps_of_a_journey_may(database_url: str, url: str, listed: bool) -> None:
    """An address that plainly may not be reached is refused wherever a rule is saved or tried out (A48)."""
    webhook = {"url": url}
    step = {"action": "fetch-data", "webhook": webhook}
    place = "actions[0].steps[0].webhook.url"
    if listed:
        step = {"action": "send-list", "list": "l", "template": "t", "data_source": {"webhook": webhook}}
        place = "actions[0].steps[0].data_source.webhook.url"
    rule = {"trigger_type": "custom.a", "actions": [{"type": "invoke_automation", "steps": [step]}]}
    with Client(database_url, allowed_hosts=("inside:8080",)) as api:
        path = "/api/automation/rules"
        made = api.post(path, {"name": "r", **rule, "actions": [{"type": "add_note", "text": "x"}]}).json()
        answers = [
            api.post(path, {"name": "r", **rule}),
            api.patch(f"{path}/{made['id']}", {"actions": rule["actions"]}),
            api.post(f"{path}/dry-run", {**rule, "event_payload": {}}),
        ]
        if "inside" in url:
            assert [one.status_code for one in answers] == [201, 200, 200]
            api.world.rule(**rule)
            return
        assert [(one.status_code, [*web_faults(one)]) for one in answers] == [(422, [place])] * 3
        with pytest.raises(errors.InvalidInput) as refused:
            api.world.rule(**rule)
        assert [one.path for one in refused.value.faults] == [place]


EMPTY = "${data.nothing}"
FULL: dict[str, Any] = {"recipient": "ana", "template": "hi"}


@pytest.mark.parametrize(
    ("step", "place"),
    [
        ({"action": "send", **FULL, "recipient": EMPTY}, "recipient"),
        ({"action": "send", **FULL, "template": EMPTY}, "template"),
        ({"action": "send", "message": {"to": {"user_id": EMPTY}, "template": "hi"}}, "message.to"),
        ({"action": "send", "message": {"to": {"user_id": "ana"}, "template": EMPTY}}, "message.template"),
        ({"action": "send-list", "list": EMPTY, "template": "hi"}, "list"),
        ({"action": "subscribe", "list_id": EMPTY, "recipient_id": "ana"}, "list_id"),
        ({"action": "subscribe", "list_id": "news", "recipient_id": EMPTY}, "recipient_id"),
        ({"action": "get-profile", "user_id": EMPTY}, "user_id"),
        ({"action": "invoke", "template": EMPTY}, "template"),
    ],
)
def test_an_empty_text_is_nobodys_name(lone_api: Client, step: dict[str, Any], place: str) -> None:
    """Taken from the run for a field that is required, it is a fault as it is beforehand (A02): nothing comes of it."""
    crowd(lone_api, "news", "ana")
    lone_api.world.template("hi", subject="Hi", text="Hello")
    run_id = invoke(lone_api, step, WELCOME, data={"nothing": ""})
    lone_api.world.run_until_idle()
    first, second = steps_of(lone_api, run_id)
    assert (first["status"], second["status"], status(lone_api, run_id)) == (
        "ERROR",
        "NOT PROCESSED",
        "ERROR",
    )
    assert first["error"]["message"].startswith(f"steps[0].{place}")
    assert lone_api.get("/messages").json()["results"] == []
    assert len(lone_api.get("/lists/news/subscriptions").json()["items"]) == 1


@pytest.mark.parametrize(
    "step",
    [
        {"action": "send", **FULL, "brand": EMPTY},
        {"action": "send", "message": {"to": {"user_id": "ana"}, "template": "hi", "brand_id": EMPTY}},
        {"action": "send", "message": {"to": {"user_id": EMPTY, "email": "x@example.com"}, "template": "hi"}},
        {"action": "send-list", "list": "news", "template": "hi", "brand": EMPTY},
        {
            "action": "get-profile",
            "user_id": "ana",
            "tenant_id": EMPTY,
            "path": EMPTY,
            "merge_strategy": EMPTY,
        },
        {"action": "invoke", "template": "child", "context": {"recipient": EMPTY, "brand": EMPTY}},
        {"action": "delay", "duration": "0 seconds", "until": EMPTY},
        {**BATCH, "max_items": EMPTY, "scope": EMPTY, "category_key": EMPTY},
        {"action": "throttle", "max_allowed": 1, "period": "PT1H", "scope": "user", "throttle_key": EMPTY},
    ],
)
def test_an_empty_text_says_nothing(lone_api: Client, step: dict[str, Any]) -> None:
    """Taken from the run for a field that need not be there, it is as though the field was not there (A02)."""
    crowd(lone_api, "news", "ana")
    lone_api.world.template("hi", subject="Hi", text="Hello")
    put(lone_api, "child", {"action": "send", "template": "hi"})
    run_id = invoke(lone_api, step, WELCOME, data={"nothing": ""}, recipient="ana")
    lone_api.world.pass_time(hours=2)
    assert (status(lone_api, run_id), steps_of(lone_api, run_id)[0]["status"]) == ("PROCESSED",) * 2
    assert {one["status"] for one in lone_api.get("/messages").json()["results"]} <= {"SENT"}
    assert "" not in {one["recipient"] for one in lone_api.get("/messages").json()["results"]}
