"""`explain` over HTTP: why every rule of an event's type ran or did not, by the rules of that moment."""

from typing import Any

import pytest

from heliograph.core import ids, rules, schedule
from tests.web import client, histories

EVENTS = "/api/automation/events"
RULES = "/api/automation/rules"
CONTROL = "/api/automation/control"
HOUR = 3_600_000_000


def explained(api: client.Client, event_id: str) -> dict[str, Any]:
    """What is told of an event."""
    answer = api.get(f"{EVENTS}/{event_id}/explain")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def told(api: client.Client, event_id: str) -> list[tuple[str, str, str | None]]:
    """(rule, decision, reason) in the order of evaluation."""
    return [(one["rule_name"], one["decision"], one["reason"]) for one in explained(api, event_id)["rules"]]


def why(api: client.Client, event_id: str) -> dict[str, str]:
    """The sentence for each rule."""
    return {one["rule_name"]: one["why"] for one in explained(api, event_id)["rules"]}


def make(api: client.Client, name: str, **fields: Any) -> str:
    """A rule of this name for custom.a; gives its id."""
    made = api.make_rule(**{"name": name, "trigger_type": "custom.a", "conditions": [], **fields})
    return str(made["id"])


def furnish(api: client.Client) -> dict[str, str]:
    """One rule for each reason, in the order of priority; gives their ids."""
    until = schedule.write_instant(api.clock.now() + HOUR)
    made = {
        "off": make(api, "off", priority=1, is_active=False),
        "asleep": make(api, "asleep", priority=2),
        "closed": make(
            api,
            "closed",
            priority=3,
            schedule_settings={
                "timezone": "Asia/Jakarta",
                "windows": [{"days": ["sun"], "start": "09:00", "end": "10:00"}],
            },
        ),
        "nobody": make(api, "nobody", priority=4, rollout_percentage=0),
        "once": make(api, "once", priority=5, cooldown_secs=3600),
        "picky": make(
            api, "picky", priority=6, conditions=[{"field": "n", "operator": "greater_than", "value": 5}]
        ),
        "broken": make(api, "broken", priority=7, actions=[{"type": "send_message", "text": "Hello"}]),
        "stops": make(api, "stops", priority=8, stop_on_match=True),
        "late": make(api, "late", priority=9),
    }
    assert api.post(f"{RULES}/{made['asleep']}/snooze", {"snoozed_until": until}).status_code == 200
    return made


def test_every_rule_says_why_it_ran_or_did_not(api: client.Client) -> None:
    """Each rule of the event's type is told in the order of evaluation, with the reason that kept it from acting."""
    made = furnish(api)
    make(api, "elsewhere", trigger_type="custom.b")
    first = api.happen("custom.a", contact_id="ana", payload={"n": 1})
    api.decide()
    began = schedule.write_instant(api.clock.now())
    api.clock.move(60_000_000)
    event = api.happen("custom.a", contact_id="ana", payload={"n": 2})
    api.decide()
    assert told(api, event) == [
        ("off", "not_considered", "inactive"),
        ("asleep", "not_considered", "snoozed"),
        ("closed", "not_considered", "schedule"),
        ("nobody", "skipped", "rollout"),
        ("once", "skipped", "cooldown"),
        ("picky", "not_matched", None),
        ("broken", "failed", None),
        ("stops", "executed", None),
        ("late", "not_considered", "stopped_by_rule"),
    ]
    assert told(api, first)[4] == ("once", "executed", None)
    words = why(api, event)
    assert "Asia/Jakarta" in words["closed"]
    assert words["picky"] == "n greater_than 5 does not hold: saw 2"
    assert "'stops' before it matched" in words["late"]
    assert began in words["once"]
    assert "contact 'ana' has no e-mail address" in words["broken"]
    late = explained(api, event)["rules"][-1]
    assert (late["stopped_by"], late["run_id"], late["run"]) == (made["stops"], None, None)


def test_what_a_run_carries(api: client.Client) -> None:
    """A run tells its rule's version, its rollout's bucket, and of a cooldown when it began and when it is over."""
    rule = make(api, "r", cooldown_secs=3600, rollout_percentage=99)
    matched_at = schedule.write_instant(api.clock.now())
    places = {name: rules.bucket(ids.parse(rule) or b"", f"contact:{name}") for name in ("ana", "bob", "cid")}
    who, bucket = min(places.items(), key=lambda place: place[1])
    first, second = (api.happen("custom.a", contact_id=who) for _ in range(2))
    api.decide()
    (done,), (skipped,) = api.runs(first), api.runs(second)
    assert api.get(f"/api/automation/runs/{skipped['id']}").json() == skipped
    rollout = {
        "gate": "rollout",
        "state": "open",
        "note": f"contact:{who} has bucket {bucket}, on below 9900",
        "bucket": bucket,
    }
    assert done["result"]["gates"] == [rollout, {"gate": "cooldown", "state": "open"}]
    over = schedule.write_instant(api.clock.now() + HOUR)
    assert skipped["result"]["reason"] == "cooldown"
    assert skipped["result"]["gates"] == [
        rollout,
        {
            "gate": "cooldown",
            "state": "closed",
            "note": f"matched for contact:{who} at {matched_at}, over at {over}",
            "matched_at": matched_at,
            "open_at": over,
        },
    ]
    assert (done["rule_version"], done["result"]["actions"][0]["status"]) == (1, "succeeded")


def test_it_speaks_by_the_rules_of_that_moment(api: client.Client) -> None:
    """Changed, renamed, deleted or made since: an event is explained by the rules that it met, all in one instant."""
    kept, gone = make(api, "kept", is_active=False, priority=1), make(api, "gone", priority=200)
    moved = make(api, "moved", priority=300, trigger_type="custom.b")
    event = api.happen("custom.a", contact_id="ana")
    api.decide()
    assert api.patch(f"{RULES}/{kept}", {"name": "renamed", "is_active": True}).status_code == 200
    assert api.patch(f"{RULES}/{moved}", {"trigger_type": "custom.a"}).status_code == 200
    assert api.delete(f"{RULES}/{gone}").status_code == 204
    make(api, "new")
    later = api.happen("custom.a", contact_id="ana")
    api.decide()
    assert told(api, event) == [("kept", "not_considered", "inactive"), ("gone", "executed", None)]
    now = [("renamed", "executed", None), ("new", "executed", None), ("moved", "executed", None)]
    assert told(api, later) == now
    assert [one["rule_version"] for one in explained(api, event)["rules"]] == [1, 1]


def test_the_history_of_a_rule_outlives_it(api: client.Client) -> None:
    """Runs of a deleted rule stay, in every list, with the name that it had when it ran; the rule itself is gone."""
    rule = make(api, "old name")
    event = api.happen("custom.a", contact_id="ana")
    api.decide()
    assert api.patch(f"{RULES}/{rule}", {"name": "new name"}).status_code == 200
    later = api.happen("custom.a", contact_id="ana")
    api.decide()
    assert api.delete(f"{RULES}/{rule}").status_code == 204
    assert api.get(f"{RULES}/{rule}").status_code == 404
    of_rule = api.get(f"/api/automation/runs/by-rule/{rule}").json()
    assert ([run["rule_name"] for run in of_rule["data"]], of_rule["total"]) == (["new name", "old name"], 2)
    assert [api.runs(one)[0]["rule_name"] for one in (event, later)] == ["old name", "new name"]
    assert api.get("/api/automation/runs").json()["total"] == 2
    assert "old name" in api.get("/api/automation/runs/export").text
    assert api.get("/api/automation/stats/timeseries").json()["data"][-1]["matched_runs"] == 2


def test_what_waits_is_said_to_wait(api: client.Client) -> None:
    """Of an event in line, paused, put off or given up, every rule that listens now says so, and why."""
    make(api, "one")
    event = api.happen("custom.a", contact_id="ana")
    assert told(api, event) == [("one", "waiting", "in_line")]
    until = schedule.write_instant(api.clock.now() + HOUR)
    pause = {"is_paused": True, "pause_reason": "stocktaking", "paused_until": until}
    assert api.patch(CONTROL, pause).status_code == 200
    assert told(api, event) == [("one", "waiting", "paused")]
    assert why(api, event)["one"] == f"the workspace is paused until {until}: stocktaking"
    api.clock.move(HOUR)
    assert told(api, event) == [("one", "waiting", "in_line")]
    histories.put_off(api, event)
    assert told(api, event) == [("one", "waiting", "retry")]
    failed = api.happen("custom.a", contact_id="ana")
    histories.give_up(api, failed)
    assert told(api, failed) == [("one", "not_decided", "event_failed")]
    assert "division by zero" in why(api, failed)["one"]


def test_an_event_that_waited_too_long_met_no_rule(api: client.Client) -> None:
    """An event that expired in a pause says so for each rule."""
    make(api, "one")
    api.patch(CONTROL, {"is_paused": True})
    event = api.happen("custom.a", contact_id="ana")
    api.clock.move(25 * HOUR)
    api.patch(CONTROL, {"is_paused": False})
    api.decide()
    assert told(api, event) == [("one", "not_considered", "expired_while_paused")]


def test_a_journeys_trigger_is_told_too(api: client.Client) -> None:
    """A journey that listens to the event's type stands among the rules, by its kind."""
    steps = [{"action": "delay", "duration": "1 hour"}]
    journey = {
        "name": "Welcome",
        "steps": steps,
        "trigger": {"event_type": "custom.a"},
        "status": "published",
    }
    assert api.put("/automations/templates/welcome", journey).status_code == 200
    make(api, "one", priority=500)
    event = api.happen("custom.a", contact_id="ana")
    api.decide()
    kinds = [(one["kind"], one["decision"]) for one in explained(api, event)["rules"]]
    assert kinds == [("journey", "executed"), ("rule", "executed")]


def test_messages_and_strangers(lone_api: client.Client) -> None:
    """The explanation has every message with its attempts; another workspace's event, or no id at all, is a 404."""
    make(
        lone_api, "n", actions=[{"type": "notify", "emails": ["a@example.com", "b@example.com"], "text": "x"}]
    )
    event = lone_api.happen("custom.a", contact_id="ana")
    lone_api.decide()
    found = explained(lone_api, event)
    assert {one["address"]: one["state"] for one in found["messages"]} == {
        "a@example.com": "accepted",
        "b@example.com": "accepted",
    }
    assert found["event"] == lone_api.get(f"{EVENTS}/{event}").json()
    stranger = lone_api.key("admin", workspace="other")
    assert lone_api.get(f"{EVENTS}/{event}/explain", key=stranger).status_code == 404
    assert lone_api.get(f"{EVENTS}/x/explain").status_code == 404
    assert lone_api.get(f"{EVENTS}/{event}/explain", params={"x": "1"}).status_code == 400


@pytest.mark.parametrize("tenant", ["shop", None])
def test_a_tenants_rules_meet_its_events_alone(lone_api: client.Client, tenant: str | None) -> None:
    """Rules of a tenant are told of that tenant's events, the workspace's of all."""
    shop = lone_api.key("admin", tenant="shop")
    make(lone_api, "everybody's", priority=1)
    make(lone_api, "shop's", key=shop)
    event = lone_api.happen("custom.a", key=shop if tenant else "", contact_id="ana")
    lone_api.decide()
    names = [one["rule_name"] for one in explained(lone_api, event)["rules"]]
    assert names == (["everybody's", "shop's"] if tenant else ["everybody's"])
