"""Dry runs over HTTP: what a rule would make of an event, with nothing done."""

from typing import Any

import pytest
import sqlalchemy as sa

from heliograph.core import rules
from heliograph.store import schema
from tests.web import client

PATH = "/api/automation/rules/dry-run"
RULES = "/api/automation/rules"
REFUND = {"message": {"text": "a refund, please"}}
VIP = [{"field": "contact.plan", "operator": "equals", "value": "pro"}]


def dry_run(api: client.Client, payload: Any = None, **given: Any) -> dict[str, Any]:
    """The answer to a dry run."""
    answer = api.post(PATH, {"event_payload": {} if payload is None else payload, **given})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def gates(found: dict[str, Any]) -> dict[str, str]:
    """The state of each gate."""
    return {gate["gate"]: gate["state"] for gate in found["gates"]}


def everything(api: client.Client) -> dict[str, list[Any]]:
    """Every row of every table, but for what every request of any kind may touch."""
    with api.store.reading() as connection:
        return {
            name: sorted(map(repr, connection.execute(sa.select(table))))
            for name, table in schema.metadata.tables.items()
        }


# ── conditions ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S4-71", "S4-74", "S4-75", "S4-78", "S4-79")
def test_a_stored_rule_is_tried_on_a_payload(api: client.Client) -> None:
    """The payload decides whether the rule matches, and so whether it would act."""
    rule = api.make_rule()
    found = dry_run(api, REFUND, rule_id=rule["id"])
    assert (found["matched"], found["would_execute"], found["reasons"]) == (True, True, [])
    other = dry_run(api, {"message": {"text": "hello"}}, rule_id=rule["id"])
    assert (other["matched"], other["would_execute"], other["reasons"]) == (False, False, ["conditions"])
    assert other["actions"] == []


@pytest.mark.spec("S4-72")
def test_conditions_are_judged_and_told(api: client.Client) -> None:
    """Every leaf says what it saw, of the payload and of the contact as it is stored."""
    api.put("/profiles/ana", {"profile": {"plan": "pro"}})
    conditions = [*VIP, {"field": "total", "operator": "greater_than", "value": 20}]
    found = dry_run(api, {"total": 12}, trigger_type="custom.order", conditions=conditions, contact_id="ana")
    assert found["matched"] is False
    assert [(leaf["field"], leaf["observed"], leaf["result"]) for leaf in found["trace"]] == [
        ("contact.plan", "pro", True),
        ("total", 12, False),
    ]
    assert dry_run(api, {"total": 21}, trigger_type="custom.order", conditions=conditions, contact_id="ana")[
        "matched"
    ]
    assert not dry_run(api, {"total": 21}, trigger_type="custom.order", conditions=conditions)["matched"]


@pytest.mark.spec("S4-76", "S4-77")
def test_a_rule_that_is_not_stored_is_tried(api: client.Client) -> None:
    """A trigger type and conditions are enough; without conditions it always matches, and it sees its type."""
    assert dry_run(api, REFUND, trigger_type="message_received")["matched"] is True
    typed = [{"field": "event_type", "operator": "equals", "value": "message_received"}]
    assert dry_run(api, trigger_type="message_received", conditions=typed)["matched"] is True
    assert dry_run(api, trigger_type="message_sent", conditions=typed)["matched"] is False


@pytest.mark.spec("S4-76", "S4-77")
def test_what_is_given_goes_before_what_is_stored(api: client.Client) -> None:
    """With a stored rule, other conditions, actions and types can be tried without saving them."""
    rule = api.make_rule(conditions=[{"field": "event_type", "operator": "equals", "value": "custom.a"}])
    assert dry_run(api, rule_id=rule["id"])["matched"] is False
    assert dry_run(api, rule_id=rule["id"], trigger_type="custom.a")["matched"] is True
    tried = dry_run(
        api,
        {"tag": "new"},
        rule_id=rule["id"],
        conditions=[],
        actions=[{"type": "add_tags", "tags": ["{{ tag }}"]}],
    )
    assert tried["matched"] is True
    assert tried["actions"][0]["tags"] == ["new"]
    assert api.get(f"{RULES}/{rule['id']}").json()["version"] == 1


def test_an_event_says_where_it_comes_from(api: client.Client) -> None:
    """Source, channel and conversation are what conditions see; without them they are an event's defaults."""
    conditions = [
        {"field": "source", "operator": "equals", "value": "shop"},
        {"field": "channel_source", "operator": "equals", "value": "email"},
        {"field": "conversation.id", "operator": "equals", "value": "c1"},
    ]
    given: dict[str, Any] = {"trigger_type": "custom.a", "conditions": conditions}
    told = dry_run(api, **given, source="shop", channel_source="email", conversation_id="c1")
    assert told["matched"] is True
    assert [leaf["observed"] for leaf in dry_run(api, **given)["trace"]] == ["api", None, None]


# ── gates ───────────────────────────────────────────────────────────────────────────────────────────


def test_the_gate_that_would_stop_it_is_named(api: client.Client) -> None:
    """Each of the first four gates closes a dry run as it closes events, and all that are closed are told."""
    rule = api.make_rule(conditions=[])
    path = f"{RULES}/{rule['id']}"
    assert set(gates(dry_run(api, rule_id=rule["id"])).values()) == {"open"}
    api.patch("/api/automation/control", {"is_paused": True})
    api.post(f"{path}/snooze", {"snoozed_until": "2026-01-06T00:00:00Z"})
    closed = dry_run(api, rule_id=rule["id"])
    assert (closed["matched"], closed["would_execute"]) == (True, False)
    assert closed["reasons"] == ["paused", "snoozed"]
    night = {"windows": [{"start": "22:00", "end": "06:00"}]}
    api.patch(path, {"is_active": False, "schedule_settings": night})
    assert dry_run(api, rule_id=rule["id"])["reasons"] == ["paused", "inactive", "snoozed", "schedule"]
    assert list(gates(closed)) == [gate.value for gate in rules.Gate]


def test_a_rollout_is_that_of_the_subject(api: client.Client) -> None:
    """With a contact, the rollout answers as it would for an event of theirs; without anybody it is unknown."""
    rule = api.make_rule(conditions=[], rollout_percentage=50)
    for number in range(8):
        contact = f"c{number}"
        event = api.happen(contact_id=contact)
        api.decide()
        (run,) = api.runs(event)
        found = dry_run(api, rule_id=rule["id"], contact_id=contact)
        assert (gates(found)["rollout"] == "open") is run["matched"] is found["would_execute"]
    unknown = dry_run(api, rule_id=rule["id"])
    assert (gates(unknown)["rollout"], unknown["would_execute"]) == ("unknown", True)
    api.patch(f"{RULES}/{rule['id']}/rollout", {"rollout_percentage": 0})
    nobody = dry_run(api, rule_id=rule["id"])
    assert (gates(nobody)["rollout"], nobody["would_execute"]) == ("closed", False)


def test_a_cooldown_is_that_of_the_subject(api: client.Client) -> None:
    """A cooldown that runs for a contact closes the dry run for them alone, until it is over."""
    rule = api.make_rule(conditions=[], cooldown_secs=60)
    api.happen(contact_id="ana")
    api.decide()
    ana = dry_run(api, rule_id=rule["id"], contact_id="ana")
    assert (ana["would_execute"], ana["reasons"]) == (False, ["cooldown"])
    (gate,) = [gate for gate in ana["gates"] if gate["gate"] == "cooldown"]
    event = api.happen(contact_id="ana")
    api.decide()
    (run,) = api.get(f"/api/automation/runs/by-event/{event}").json()["data"]
    assert run["result"]["gates"] == [gate]
    assert gate["open_at"] == "2026-01-05T12:01:00.000000Z"
    assert dry_run(api, rule_id=rule["id"], contact_id="ben")["would_execute"] is True
    assert gates(dry_run(api, rule_id=rule["id"]))["cooldown"] == "unknown"
    api.clock.move(60_000_000)
    assert dry_run(api, rule_id=rule["id"], contact_id="ana")["would_execute"] is True


# ── actions ─────────────────────────────────────────────────────────────────────────────────────────


def test_actions_are_shown_filled(api: client.Client) -> None:
    """Each action comes back with its texts filled, what would be handed over, and what was missing."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com", "given_name": "Ana"}})
    api.world.template("hello", subject="Hi", text="Dear {{ contact.given_name }}", html="<b>{{ who }}</b>")
    actions = [
        {"type": "send_message", "subject": "Order {{ number }}", "text": "{{ data.greeting }} {{ gone }}",
         "data": {"greeting": "Hello {{ contact.given_name }}", "n": "{{ number }}"}},
        {"type": "send_message", "template_id": "hello"},
        {"type": "update_contact", "fields": {"last": "{{ number }}"}},
        {"type": "call_webhook", "url": "https://example.com/{{ number }}", "body": {"n": "{{ number }}"}},
    ]  # fmt: skip
    found = dry_run(
        api, {"number": 7, "who": "<me>"}, trigger_type="custom.a", actions=actions, contact_id="ana"
    )
    text, template, update, call = found["actions"]
    assert (text["subject"], text["text"], text["data"]) == (
        "Order 7",
        "Hello Ana ",
        {"greeting": "Hello Ana", "n": 7},
    )
    assert text["outcome"]["missing"] == ["gone"]
    assert text["outcome"]["deliveries"] == [
        {
            "channel": "email",
            "contact_id": "ana",
            "address": "ana@example.com",
            "subject": "Order 7",
            "text": "Hello Ana ",
        }
    ]
    (letter,) = template["outcome"]["deliveries"]
    assert (letter["subject"], letter["text"], letter["html"]) == ("Hi", "Dear Ana", "<b>&lt;me&gt;</b>")
    assert (update["fields"], update["outcome"]["deliveries"]) == ({"last": 7}, [])
    (request,) = call["outcome"]["deliveries"]
    assert (request["method"], request["url"], request["body"]) == ("POST", "https://example.com/7", {"n": 7})
    assert {action["outcome"]["status"] for action in found["actions"]} == {"succeeded"}


def test_an_action_that_could_not_be_done_says_so(api: client.Client) -> None:
    """Nobody to send to, no address, no template, a text that cannot be filled: told at the action."""
    send = {"type": "send_message", "text": "hello"}
    actions = [send, {"type": "send_message", "template_id": "none"}, {"type": "add_tags", "tags": ["a"]}]
    nobody = dry_run(api, trigger_type="custom.a", actions=actions)
    assert [action["outcome"]["status"] for action in nobody["actions"]] == ["failed"] * 3
    assert "no contact_id" in nobody["actions"][0]["outcome"]["error"]
    stranger = dry_run(api, trigger_type="custom.a", actions=actions, contact_id="ana")
    assert [action["outcome"]["status"] for action in stranger["actions"]] == [
        "failed",
        "failed",
        "succeeded",
    ]
    assert "no e-mail address" in stranger["actions"][0]["outcome"]["error"]
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    stopping = [
        {"type": "send_message", "text": "{{ 1 | divided_by: 0 }}", "on_error": "stop"},
        {"type": "add_tags", "tags": ["a"]},
    ]
    stopped = dry_run(api, trigger_type="custom.a", actions=stopping, contact_id="ana")
    assert [action["outcome"]["status"] for action in stopped["actions"]] == ["failed", "not_attempted"]
    assert "text" in stopped["actions"][0]["outcome"]["error"]
    goes_on = dry_run(
        api, trigger_type="custom.a", actions=[{**send, "on_error": "stop"}, send], contact_id="ana"
    )
    assert [action["outcome"]["status"] for action in goes_on["actions"]] == ["succeeded", "succeeded"]


def test_a_call_that_cannot_be_made_is_no_success(api: client.Client) -> None:
    """A webhook whose texts come to no URL, or to a header that cannot be sent, fails in the dry run as in a run."""
    call = {
        "type": "call_webhook",
        "url": "{{ where }}",
        "headers": {"X-Note": "{{ note }}"},
        "on_error": "stop",
    }
    actions = [call, {"type": "add_tags", "tags": ["a"]}]

    def tried(where: str, note: str) -> tuple[list[str], str | None]:
        payload = {"where": where, "note": note}
        found = dry_run(api, payload, trigger_type="custom.a", actions=actions, contact_id="ana")["actions"]
        return [action["outcome"]["status"] for action in found], found[0]["outcome"]["error"]

    assert tried("https://example.com/", "one") == (["succeeded", "succeeded"], None)
    statuses, error = tried("nowhere", "one")
    assert (statuses, error) == (
        ["failed", "not_attempted"],
        "url: takes an http or https address, not 'nowhere'",
    )
    statuses, error = tried("https://example.com/a\nb", "one")
    assert statuses == ["failed", "not_attempted"]
    assert error == "url: holds a line break or another control character: 'https://example.com/a\\nb'"
    assert tried(" https://example.com/a b \n", "one") == (["succeeded", "succeeded"], None)
    statuses, error = tried("https://example.com/", "one\ntwo")
    assert statuses == ["failed", "not_attempted"]
    assert error == "headers: the header X-Note holds a line break or another control character"


def test_a_dry_run_says_as_the_run_does_that_a_message_is_not_wanted(api: client.Client) -> None:
    """Who opted out of everything or of its topic, and whose address is suppressed, would not be written to."""
    actions = [{"type": "send_message", "text": "hello"}, {"type": "add_tags", "tags": ["a"]}]
    rule = api.post(RULES, {"name": "Hello", "trigger_type": "custom.a", "actions": actions}).json()
    for user_id in ("ana", "bob", "eve"):
        api.put(f"/profiles/{user_id}", {"profile": {"email": f"{user_id}@example.com"}})
    api.put("/users/ana/preferences/*", {"topic": {"status": "OPTED_OUT"}})
    api.post("/api/suppressions", {"address": "bob@example.com"})
    wanted = {"ana": ("skipped", "opted_out"), "bob": ("skipped", "suppressed"), "eve": ("succeeded", None)}
    for user_id, expected in wanted.items():
        (tried, _) = dry_run(api, rule_id=rule["id"], contact_id=user_id)["actions"]
        assert (tried["outcome"]["status"], tried["outcome"]["error"]) == expected
        event = api.happen("custom.a", contact_id=user_id)
        api.world.run_until_idle()
        (run,) = api.get(f"/api/automation/runs/by-event/{event}").json()["data"]
        assert (run["result"]["actions"][0]["status"], run["result"]["actions"][0]["error"]) == expected


def test_what_is_anothers_is_not_changed(api: client.Client) -> None:
    """A tenant's dry run says of another's contact and conversation what the turn then says: there are none."""
    shop = api.key("admin", tenant="shop")
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    assert api.post("/api/conversations", {"id": "c-1"}).status_code == 201
    actions = [
        {"type": "update_contact", "fields": {"plan": "pro"}},
        {"type": "add_tags", "tags": ["a"], "target": "contact"},
        {"type": "add_tags", "tags": ["a"]},
        {"type": "set_status", "status": "closed"},
    ]
    about = {"contact_id": "ana", "conversation_id": "c-1"}
    tried = {"event_payload": {}, "trigger_type": "custom.a", "actions": actions, **about}
    told = [action["outcome"] for action in api.post(PATH, tried, key=shop).json()["actions"]]
    assert [(one["status"], one["error"]) for one in told] == [
        *[("failed", "there is no contact 'ana'")] * 2,
        *[("failed", "there is no conversation 'c-1'")] * 2,
    ]
    api.make_rule(trigger_type="custom.a", conditions=[], actions=actions, key=shop)
    event = api.happen("custom.a", key=shop, **about)
    api.decide()
    (run,) = api.runs(event)
    assert [one["error"] for one in run["result"]["actions"]] == [one["error"] for one in told]


def test_a_tenants_rule_is_tried_on_the_tenants_own_event(api: client.Client) -> None:
    """A workspace's key that tries a tenant's rule sees what the rule would: nobody but the tenant's people."""
    api.put("/profiles/ana", {"profile": {"plan": "pro"}})
    rule = api.make_rule(trigger_type="custom.a", conditions=VIP, key=api.key("admin", tenant="shop"))
    assert dry_run(api, rule_id=rule["id"], contact_id="ana")["matched"] is False
    assert dry_run(api, trigger_type="custom.a", conditions=VIP, contact_id="ana")["matched"] is True


@pytest.mark.spec("S4-73")
def test_a_dry_run_leaves_nothing(api: client.Client) -> None:
    """No message, run, event, tag, profile or cooldown comes of a dry run, and nobody is called."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    rule = api.make_rule(
        conditions=[],
        cooldown_secs=60,
        actions=[
            {"type": "send_message", "text": "hello"},
            {"type": "notify", "emails": ["desk@example.com"], "text": "hello"},
            {"type": "call_webhook", "url": "https://example.com/"},
            {"type": "add_tags", "tags": ["a"], "target": "contact"},
            {"type": "update_contact", "fields": {"plan": "pro"}},
            {"type": "emit_event", "event_type": "custom.b"},
        ],
    )
    before = everything(api)
    assert dry_run(api, rule_id=rule["id"], contact_id="ana")["would_execute"] is True
    api.decide()
    assert everything(api) == before
    assert (api.mailbox.received, api.world.calls.received) == ([], [])
    assert dry_run(api, rule_id=rule["id"], contact_id="ana")["would_execute"] is True


# ── what is refused ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"trigger_type": "custom.a"}, "event_payload"),
        ({"event_payload": {}}, "trigger_type"),
        ({"event_payload": {}, "rule_id": None}, "trigger_type"),
        ({"event_payload": [], "trigger_type": "custom.a"}, "event_payload"),
        ({"event_payload": {}, "trigger_type": "Bad"}, "trigger_type"),
        ({"event_payload": {}, "trigger_type": None}, "trigger_type"),
        ({"event_payload": {}, "rule_id": 7}, "rule_id"),
        ({"event_payload": {}, "rule_id": "x"}, "rule_id"),
        ({"event_payload": {}, "trigger_type": "custom.a", "contact_id": ""}, "contact_id"),
        ({"event_payload": {}, "trigger_type": "custom.a", "contact_id": 7}, "contact_id"),
        (
            {
                "event_payload": {},
                "trigger_type": "custom.a",
                "conditions": [{"field": "a", "operator": "is"}],
            },
            "conditions[0].operator",
        ),
        ({"event_payload": {}, "trigger_type": "custom.a", "actions": []}, "actions"),
        ({"event_payload": {}, "trigger_type": "custom.a", "actions": [{"type": "x"}]}, "actions[0].type"),
        ({"event_payload": {}, "trigger_type": "custom.a", "event_paylod": {}}, "event_paylod"),
    ],
)
def test_a_wrong_dry_run_is_refused(lone_api: client.Client, body: dict[str, Any], place: str) -> None:
    """The payload and one of rule and trigger type are required, and every fault is told with its place."""
    answer = lone_api.post(PATH, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "validation_failed")
    assert place in client.faults(answer)


def test_a_dry_run_of_nothing_is_a_404(api: client.Client) -> None:
    """An unknown rule is a 404, and so is another tenant's; a tenant's dry run sees that tenant's people alone."""
    unknown = {"event_payload": {}, "rule_id": "00000000-0000-7000-8000-000000000000"}
    assert api.post(PATH, unknown).status_code == 404
    rule, shop = api.make_rule(), api.key("admin", tenant="shop")
    assert api.post(PATH, {"event_payload": {}, "rule_id": rule["id"]}, key=shop).status_code == 404
    api.put("/profiles/ana", {"profile": {"plan": "pro"}})
    tried = {"event_payload": {}, "trigger_type": "custom.a", "conditions": VIP, "contact_id": "ana"}
    assert api.post(PATH, tried).json()["matched"] is True
    assert api.post(PATH, tried, key=shop).json()["matched"] is False
