"""What a dry run foretells of messages that would wait, or that are one too many: the same as then becomes of them."""

from typing import Any

from tests.web.client import Client
from tests.web.test_dry_runs import RULES, dry_run
from tests.web.test_routing import routing

HELLO = {"type": "send_message", "text": "hello"}
NOON = {"quiet_hours": [{"start": "11:00", "end": "14:00"}]}
"""Quiet when a test begins, at 12:00, where clocks show UTC."""


def rule(api: Client, *actions: dict[str, Any], key: str = "") -> str:
    """The id of a rule on `custom.a` that does this."""
    body = {"name": "Hello", "trigger_type": "custom.a", "actions": list(actions)}
    answer = api.post(RULES, body, key=key)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def policy(api: Client, said: dict[str, Any], **query: str) -> None:
    """Quiet hours and caps."""
    answer = api.put("/api/sending-policy", said, params=query)
    assert answer.status_code == 200, answer.text


def told(api: Client, rule_id: str, contact_id: str = "ana", **given: Any) -> list[dict[str, Any]]:
    """The outcomes that a dry run tells of."""
    return [
        one["outcome"] for one in dry_run(api, rule_id=rule_id, contact_id=contact_id, **given)["actions"]
    ]


def became(api: Client, contact_id: str = "ana", key: str = "") -> list[tuple[str, str | None]]:
    """The actions of an event that was sent."""
    event = api.happen("custom.a", contact_id=contact_id, key=key)
    api.decide()
    (run,) = api.runs(event)
    return [(one["status"], one["error"]) for one in run["result"]["actions"]]


def person(api: Client, user_id: str = "ana", **profile: str) -> None:
    """Somebody who can be written to."""
    said = {"email": f"{user_id}@example.com", **profile}
    assert api.put(f"/profiles/{user_id}", {"profile": said}).status_code == 200


def test_a_message_that_would_wait_says_until_when(api: Client) -> None:
    """In quiet hours on the recipient's own clock the delivery tells when they end; elsewhere it goes at once."""
    policy(api, NOON)
    person(api, "ana")
    person(api, "ben", zoneinfo="America/New_York")
    person(api, "eve", zoneinfo="Europe/Berlin")
    rule_id = rule(api, HELLO)
    untils = {"ana": "2026-01-05T14:00:00.000000Z", "eve": "2026-01-05T13:00:00.000000Z", "ben": None}
    for user_id, until in untils.items():
        (outcome,) = told(api, rule_id, user_id)
        (delivery,) = outcome["deliveries"]
        assert (delivery.get("until"), delivery.get("waits")) == (until, until and "quiet_hours")
        assert (outcome["status"], outcome["error"]) == ("succeeded", None)
    assert [became(api, one)[0][0] for one in untils] == ["pending", "pending", "succeeded"]


def test_the_zone_of_the_workspace_holds_for_who_has_none(api: Client) -> None:
    """A workspace's own zone decides where neither the recipient nor their tenant has one."""
    policy(api, NOON)
    person(api)
    api.world.company(timezone="America/New_York")
    (outcome,) = told(api, rule(api, HELLO))
    assert "until" not in outcome["deliveries"][0]
    assert became(api) == [("succeeded", None)]


def test_a_message_that_is_one_too_many_would_be_skipped(api: Client) -> None:
    """A cap counts what went before, and what the same dry run lets go; a dry run itself counts for nothing."""
    policy(api, {"caps": [{"limit": 2, "period": "P1D", "name": "two a day"}]})
    person(api)
    rule_id = rule(api, HELLO, HELLO, HELLO)
    capped = ("skipped", "capped: two a day (2 in P1D)")
    foretold = [[(one["status"], one["error"]) for one in told(api, rule_id)] for _ in range(2)]
    assert foretold == [[("succeeded", None), ("succeeded", None), capped]] * 2
    assert became(api) == foretold[0]
    assert [(one["status"], one["error"]) for one in told(api, rule_id)] == [capped] * 3
    assert became(api) == [capped] * 3
    api.clock.move(86_400_000_000)
    assert [one["status"] for one in told(api, rule_id)] == ["succeeded", "succeeded", "skipped"]


def test_a_topic_of_its_own_goes_before_everything(api: Client) -> None:
    """Quiet hours are asked as they hold for the message's template, where those say something of their own."""
    api.world.template("receipt", subject="Receipt", text="Paid")
    policy(api, {**NOON, "topics": {"receipt": {"quiet_hours": []}}})
    person(api)
    outcomes = told(api, rule(api, HELLO, {"type": "send_message", "template_id": "receipt"}))
    assert ["until" in one["deliveries"][0] for one in outcomes] == [True, False]
    assert [status for status, _ in became(api)] == ["pending", "succeeded"]


def test_a_tenants_own_policy_and_zone_are_asked(api: Client) -> None:
    """A tenant's rule is tried by the tenant's quiet hours, on the clock that the tenant says."""
    assert (
        api.put("/tenants/shop", {"name": "Shop", "properties": {"timezone": "Asia/Tokyo"}}).status_code
        == 200
    )
    shop = api.key("admin", tenant="shop")
    late = {"quiet_hours": [{"start": "20:00", "end": "22:00"}]}
    policy(api, late, tenant_id="shop")
    assert (
        api.post(
            "/api/contacts", {"id": "ana", "profile": {"email": "ana@example.com"}}, key=shop
        ).status_code
        == 201
    )
    (outcome,) = told(api, rule(api, HELLO, key=shop))
    assert outcome["deliveries"][0]["until"] == "2026-01-05T13:00:00.000000Z"
    assert became(api, key=shop) == [("pending", None)]


def test_what_is_refused_on_one_way_is_tried_on_the_next(api: Client) -> None:
    """A cap of one channel, or an opt-out of it, leads on to the next way, which the delivery names."""
    api.world.provider("twilio", "texts")
    assert api.put(
        "/routing-strategies/default", {"name": "Usual", "routing": routing("single", "sms", "email")}
    ).status_code in (200, 201)
    policy(api, {"caps": [{"limit": 1, "period": "P1D", "channel": "sms"}]})
    person(api, phone_number="+15005550001")
    outcomes = told(api, rule(api, HELLO, HELLO))
    ways = [(one["deliveries"][0]["channel"], one["deliveries"][0]["address"]) for one in outcomes]
    assert ways == [("sms", "+15005550001"), ("email", "ana@example.com")]
    assert became(api) == [(one["status"], one["error"]) for one in outcomes] == [("succeeded", None)] * 2
    sent = api.get("/messages").json()["results"]
    assert sorted(one["channel"] for one in sent) == ["email", "sms"]


def test_a_message_that_nobody_takes_would_fail(api: Client) -> None:
    """Where no provider is set for its channel a dry run tells so in the run's words, unless a way is left."""
    person(api, phone_number="+15005550001")
    text = {**HELLO, "channel": "sms"}
    rule_id = rule(api, {**text, "on_error": "stop"}, HELLO)
    nobody = [("failed", "no provider is set for the channel 'sms'"), ("not_attempted", None)]
    assert [(one["status"], one["error"]) for one in told(api, rule_id)] == nobody
    assert became(api) == nobody
    api.patch("/api/automation/control", {"sandbox": True})
    assert [one["status"] for one in told(api, rule_id)] == ["succeeded", "succeeded"]
    api.patch("/api/automation/control", {"sandbox": False})
    api.put("/routing-strategies/default", {"name": "Usual", "routing": routing("single", "sms", "email")})
    (outcome,) = told(api, rule(api, HELLO))
    assert (outcome["status"], outcome["deliveries"][0]["channel"]) == ("succeeded", "email")
    api.world.provider("twilio", "texts")
    assert [one["status"] for one in told(api, rule_id)] == ["succeeded", "succeeded"]
