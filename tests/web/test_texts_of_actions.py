"""What actions name by texts is known when the rule acts; a text that cannot be filled fails its action alone."""

import hashlib
from typing import Any

import pytest

from tests.web import client

UNFILLABLE = "{{ payload.n | divided_by: payload.zero }}"


def acted(api: client.Client, event: str) -> list[list[dict[str, Any]]]:
    """The actions of each run of an event, in the order of the rules."""
    return [run["result"]["actions"] for run in api.runs(event, sort_order="asc")]


def published(api: client.Client, text: str) -> str:
    """The id of a template that says this."""
    content = {"version": "2022-01-01", "elements": [{"type": "text", "content": text}]}
    body = {"notification": {"name": text, "content": content}, "state": "PUBLISHED"}
    answer = api.post("/notifications", body)
    assert answer.status_code in (200, 201), answer.text
    return str(answer.json()["id"])


def test_an_emitted_event_is_about_whom_a_text_names(api: client.Client) -> None:
    """`emit_event` fills its type, contact and conversation, and a text that names nobody fails the action."""
    emit = {
        "type": "emit_event",
        "event_type": "custom.{{ payload.what }}",
        "contact_id": "{{ payload.friend }}",
        "conversation_id": "about-{{ contact.id }}",
    }
    api.make_rule(trigger_type="custom.a", conditions=[], actions=[emit])
    happened = api.happen("custom.a", contact_id="ana", payload={"what": "met", "friend": "bob"})
    nobody = api.happen("custom.a", contact_id="ana", payload={"what": "met"})
    no_type = api.happen("custom.a", contact_id="ana", payload={"what": "A b", "friend": "bob"})
    api.decide()
    assert [one["status"] for (one,) in acted(api, happened)] == ["succeeded"]
    (made,) = api.get("/api/automation/events", params={"event_type": "custom.met"}).json()["data"]
    assert (made["contact_id"], made["conversation_id"]) == ("bob", "about-ana")
    (((failed,),), ((refused,),)) = acted(api, nobody), acted(api, no_type)
    assert (failed["status"], failed["error"]) == ("failed", "contact_id: it is empty")
    assert refused["error"].startswith("event_type: is a small letter")


def test_a_message_goes_by_what_its_texts_name(api: client.Client) -> None:
    """`send_message` fills its template and its channel; what they come to has to be there."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    template = published(api, "Good morning")
    send = {
        "type": "send_message",
        "template_id": "{{ payload.template }}",
        "channel": "{{ payload.channel }}",
    }
    api.make_rule(trigger_type="custom.a", conditions=[], actions=[send])
    sent = api.happen("custom.a", contact_id="ana", payload={"template": template, "channel": "email"})
    routed = api.happen("custom.a", contact_id="ana", payload={"template": template})
    unknown = api.happen("custom.a", contact_id="ana", payload={"template": "none"})
    unsaid = api.happen("custom.a", contact_id="ana")
    astray = api.happen("custom.a", contact_id="ana", payload={"template": template, "channel": "pigeon"})
    api.decide()
    assert [mail.text.strip() for mail in api.mailbox.to("ana@example.com")] == ["Good morning"] * 2
    assert [acted(api, one)[0][0]["status"] for one in (sent, routed)] == ["succeeded"] * 2
    errors = [acted(api, one)[0][0]["error"] for one in (unknown, unsaid, astray)]
    assert errors[:2] == ["there is no template 'none'", "template_id: it is empty"]
    assert errors[2].startswith('channel: unknown channel "pigeon"')


def test_a_contact_comes_on_the_list_that_a_text_names(api: client.Client) -> None:
    """`add_to_list` fills its list with the contact as they are then, also as an event before has just made them."""
    for city in ("oslo", "bergen"):
        assert api.put(f"/lists/city.{city}", {"name": city}).status_code < 300
    api.put("/profiles/ana", {"profile": {"city": "oslo"}})
    move = {"type": "update_contact", "fields": {"city": "{{ payload.to }}"}}
    join = {"type": "add_to_list", "list_id": "city.{{ contact.city }}"}
    api.make_rule(trigger_type="custom.moved", conditions=[], actions=[move])
    api.make_rule(trigger_type="custom.came", conditions=[], actions=[join])
    before = api.happen("custom.came", contact_id="ana")
    api.happen("custom.moved", contact_id="ana", payload={"to": "bergen"})
    after = api.happen("custom.came", contact_id="ana")
    api.happen("custom.moved", contact_id="ana", payload={"to": "nowhere"})
    lost = api.happen("custom.came", contact_id="ana")
    api.decide()
    joined = [acted(api, one)[0][0] for one in (before, after, lost)]
    assert [one["output"] for one in joined] == [{"list_id": "city.oslo"}, {"list_id": "city.bergen"}, None]
    assert joined[2]["error"] == "there is no list 'city.nowhere'"
    on = [one["id"] for one in api.get("/profiles/ana/lists").json()["results"]]
    assert sorted(on) == ["city.bergen", "city.oslo"]


def test_a_call_and_a_journey_are_named_by_texts(api: client.Client) -> None:
    """`call_webhook` fills its method, and `invoke_automation` the journey that it starts."""
    journey = {"name": "Wait", "steps": [{"action": "delay", "duration": "1 day"}]}
    assert api.put("/automations/templates/wait", journey).status_code < 300
    actions = [
        {"type": "call_webhook", "url": "https://example.com/", "method": "{{ payload.method }}"},
        {"type": "invoke_automation", "template": "{{ payload.journey }}"},
    ]
    api.make_rule(trigger_type="custom.a", conditions=[], actions=actions)
    known = api.happen("custom.a", contact_id="ana", payload={"method": "put", "journey": "wait"})
    unknown = api.happen("custom.a", contact_id="ana", payload={"method": "shout"})
    api.decide()
    assert [one["status"] for one in acted(api, known)[0]] == ["succeeded", "succeeded"]
    assert [request.method for _, request in api.world.calls.received] == ["PUT"]
    refused = [one["error"] for one in acted(api, unknown)[0]]
    assert refused[0].startswith('method: unknown method "SHOUT"')
    assert refused[1] == "template: it is empty"


def test_a_text_that_cannot_be_filled_fails_its_action_alone(api: client.Client) -> None:
    """Whatever an action says that cannot be filled: the other actions, the other rules and the event go on."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    tag = {"type": "add_tags", "tags": ["seen"]}
    unfillable = [
        {"type": "send_message", "text": "hello", "data": {"n": UNFILLABLE}},
        {"type": "notify", "emails": [UNFILLABLE], "text": "hello"},
        {"type": "send_message", "template_id": UNFILLABLE},
        {"type": "emit_event", "event_type": "custom.b", "payload": {"n": UNFILLABLE}},
        {"type": "add_to_list", "list_id": UNFILLABLE},
        {"type": "invoke_automation", "template": UNFILLABLE},
        {"type": "call_webhook", "url": "https://example.com/", "method": UNFILLABLE},
    ]
    api.make_rule(trigger_type="custom.a", conditions=[], actions=[*unfillable, tag])
    api.make_rule(trigger_type="custom.a", conditions=[], actions=[tag], priority=200)
    event = api.happen("custom.a", contact_id="ana", payload={"n": 1, "zero": 0})
    api.decide()
    assert api.get(f"/api/automation/events/{event}").json()["status"] == "processed"
    first, second = acted(api, event)
    assert [one["status"] for one in first] == [*["failed"] * len(unfillable), "succeeded"]
    assert {one["error"].split(": line 1: ")[1] for one in first[:-1]} == {"divided_by: can't divide by 0"}
    assert first[0]["error"].startswith("data.n: ")
    assert [one["status"] for one in second] == ["succeeded"]


def test_what_no_database_finds_fails_its_action_alone(api: client.Client) -> None:
    """A name with a NUL character, or a key longer than an index bears, comes of a text and keeps nobody else out."""
    journey = {"name": "Wait", "steps": [{"action": "delay", "duration": "1 day"}]}
    assert api.put("/automations/templates/wait", journey).status_code < 300
    named = "{{ payload.name }}"
    keyed = {"type": "invoke_automation", "template": "wait", "entry_key": named}
    actions = [
        {"type": "add_to_list", "list_id": named},
        {"type": "cancel_automation", "cancelation_token": named},
        {"type": "send_message", "template_id": named},
        {"type": "emit_event", "event_type": "custom.b", "conversation_id": named},
        keyed,
    ]
    api.make_rule(trigger_type="custom.a", conditions=[], actions=actions)
    api.make_rule(trigger_type="custom.b", conditions=[], actions=[keyed])
    tried = {
        "event_payload": {"name": "a\x00b"},
        "trigger_type": "custom.a",
        "actions": actions,
        "contact_id": "ana",
    }
    dry_run = api.post("/api/automation/rules/dry-run", tried)
    assert {one["outcome"]["status"] for one in dry_run.json()["actions"]} == {"failed"}
    torn = api.happen("custom.a", contact_id="ana", payload={"name": "a\x00b"})
    # What repeats itself is small in an index: this does not.
    long = "".join(hashlib.sha512(bytes([number])).hexdigest() for number in range(100))
    endless = api.happen("custom.b", contact_id="ana", payload={"name": long})
    api.decide()
    assert {one["status"] for one in acted(api, torn)[0]} == {"failed"}
    ((refused,),) = acted(api, endless)
    assert (refused["status"], refused["error"]) == ("failed", "entry_key: takes at most 255 characters")


def test_what_a_text_names_is_tried_as_it_will_act(api: client.Client) -> None:
    """A dry run shows what the texts come to, and says of each action what the run then says."""
    assert api.put("/lists/city.oslo", {"name": "Oslo"}).status_code < 300
    api.put("/profiles/ana", {"profile": {"city": "oslo"}})
    actions = [
        {"type": "add_to_list", "list_id": "city.{{ contact.city }}"},
        {"type": "emit_event", "event_type": "custom.b", "contact_id": "{{ payload.friend }}"},
        {"type": "send_message", "template_id": "{{ payload.template }}"},
        {"type": "notify", "emails": [UNFILLABLE], "text": "hello"},
    ]
    rule = api.make_rule(trigger_type="custom.a", conditions=[], actions=actions)
    payload = {"friend": "bob", "template": "none", "n": 1, "zero": 0}
    tried = {"event_payload": payload, "rule_id": rule["id"], "contact_id": "ana"}
    answer = api.post("/api/automation/rules/dry-run", tried).json()["actions"]
    assert [answer[0]["list_id"], answer[1]["contact_id"], answer[2]["template_id"]] == [
        "city.oslo",
        "bob",
        "none",
    ]
    event = api.happen("custom.a", contact_id="ana", payload=payload)
    api.decide()
    told = [(one["outcome"]["status"], one["outcome"]["error"]) for one in answer]
    assert told == [(one["status"], one["error"]) for one in acted(api, event)[0]]


def test_a_header_that_is_no_text_is_named(api: client.Client) -> None:
    """Every header at fault has its own place, written as its field is."""
    headers = {"X-Good": "a", "X-Id": 5, "X Odd": None}
    call = {"type": "call_webhook", "url": "https://example.com/", "headers": headers}
    answer = api.post("/api/automation/rules", {**client.RULE, "actions": [call]})
    assert client.faults(answer) == {
        "actions[0].headers.X-Id": "takes a text, not a whole number",
        'actions[0].headers["X Odd"]': "takes a text, not null",
    }


def test_what_is_no_text_is_checked_when_the_rule_is_saved(api: client.Client) -> None:
    """A name without braces is refused where it can be none, and a text where it is none; each at its place."""
    long = "x" * 256
    actions = [
        {"type": "emit_event", "event_type": "Bad", "contact_id": long},
        {"type": "emit_event", "event_type": "custom.{{ a", "conversation_id": "{{ b"},
        {"type": "send_message", "template_id": "{{ a", "channel": "pigeon"},
        {"type": "add_to_list", "list_id": "{{ a"},
        {"type": "call_webhook", "url": "https://example.com/", "method": "{% if %}"},
        {"type": "invoke_automation", "template": "{{ a"},
    ]
    answer = api.post("/api/automation/rules", {**client.RULE, "actions": actions})
    assert answer.status_code == 422
    assert {place.replace("actions", "") for place in client.faults(answer)} == {
        "[0].event_type",
        "[0].contact_id",
        "[1].event_type",
        "[1].conversation_id",
        "[2].template_id",
        "[2].channel",
        "[3].list_id",
        "[4].method",
        "[5].template",
    }


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "true"),
        (5, "5"),
        (1.5, "1.5"),
        (["a", True, None], "atrue"),
        ({"k": [1]}, '{"k":[1]}'),
    ],
)
def test_what_stands_alone_in_a_text_is_written_as_in_any_text(
    api: client.Client, value: object, text: str
) -> None:
    """A tag, a header and a key that are one output alone are texts: of null nothing is left, and no tag is put on."""
    output = "{{ payload.value }}"
    journey = {"type": "invoke_automation", "steps": [{"action": "delay", "duration": "PT1S"}]}
    actions = [
        {"type": "add_tags", "tags": [output, f"also {output}"], "target": "contact"},
        {"type": "call_webhook", "url": "https://example.com/", "headers": {"X-Value": output}},
        {**journey, "entry_key": output},
    ]
    api.make_rule(trigger_type="custom.a", conditions=[], actions=actions)
    given = {"event_payload": {"value": value}, "trigger_type": "custom.a", "actions": actions}
    tried = api.post("/api/automation/rules/dry-run", {**given, "contact_id": "ana"}).json()["actions"]
    api.happen("custom.a", contact_id="ana", payload={"value": value})
    api.decide()
    also = f"also {text}".strip()
    assert api.get("/api/contacts/ana").json()["tags"] == ([text, also] if text else [also])
    ((_, request),) = api.world.calls.received
    assert dict(request.headers)["X-Value"] == text
    assert (tried[0]["tags"][0], tried[1]["headers"], tried[2]["entry_key"]) == (
        text,
        {"X-Value": text},
        text,
    )
    assert tried[1]["outcome"]["deliveries"][0]["headers"] == {"X-Value": text}
    assert tried[2]["outcome"]["error"] == (None if text else "entry_key: it is empty")
