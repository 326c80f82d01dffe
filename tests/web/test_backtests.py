"""Backtests over HTTP: what a rule would have made of the events of the last days, with nothing done."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest

from heliograph.core import backtests as core
from heliograph.engine import backtest, backtests
from tests.web import client
from tests.web.test_dry_runs import everything

PATH = "/api/automation/rules/backtest"
DAY = 86_400_000_000
LARGE = [{"field": "total", "operator": "greater_than", "value": 100}]
PRO = {"field": "contact.plan", "operator": "equals", "value": "pro"}
NEW: dict[str, Any] = {"trigger_type": "custom.order", "conditions": LARGE}


def tried(api: client.Client, key: str = "", **given: Any) -> dict[str, Any]:
    """The answer to a backtest."""
    answer = api.post(PATH, given, key=key)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def orders(api: client.Client, *totals: int, **fields: Any) -> list[str]:
    """An order of each total, of contacts ana and ben in turn."""
    return [
        api.happen("custom.order", payload={"total": total}, contact_id=("ana", "ben")[n % 2], **fields)
        for n, total in enumerate(totals)
    ]


def test_a_rule_that_is_not_stored_is_tried_on_what_came_in(api: client.Client) -> None:
    """Events of its type in the days that are asked for, day by day, and the newest matches with what they saw."""
    orders(api, 500)
    api.clock.move(2 * DAY)
    newest = orders(api, 50, 120, 200)
    api.happen("custom.other", payload={"total": 900})
    found = tried(api, rule=NEW, days=3)
    assert [found[name] for name in ("events", "matched", "executed", "contacts")] == [4, 3, 3, 2]
    assert found["daily"] == [
        {"date": "2026-01-05", "events": 1, "matched": 1, "executed": 1},
        {"date": "2026-01-06", "events": 0, "matched": 0, "executed": 0},
        {"date": "2026-01-07", "events": 3, "matched": 2, "executed": 2},
    ]
    assert [sample["event_id"] for sample in found["sample"]][:2] == newest[:0:-1]
    assert found["sample"][0]["trace"] == [
        {
            "path": "[0]",
            "field": "total",
            "operator": "greater_than",
            "value": 100,
            "observed": 200,
            "result": True,
        }
    ]
    assert (found["rule_id"], found["days"]) == (None, 3)
    assert found["present_state"] == {"reads": [], "matches": 0}
    assert tried(api, rule=NEW, days=2)["events"] == 3
    nothing = tried(api, rule={**NEW, "conditions": [{**LARGE[0], "value": 10_000}]})
    assert (nothing["matched"], [sample["matched"] for sample in nothing["sample"]]) == (0, [False] * 4)
    assert nothing["sample"][0]["trace"][0]["observed"] == 200


def test_a_stored_rule_is_tried_with_other_fields(api: client.Client) -> None:
    """What is given goes before what is stored, and nothing is saved; that it sleeps or rests now is no matter."""
    rule = api.make_rule(**NEW, is_active=False, cooldown_secs=3600)
    api.post(f"/api/automation/rules/{rule['id']}/snooze", {"snoozed_until": "2026-02-01T00:00:00Z"})
    api.patch("/api/automation/control", {"is_paused": True})
    orders(api, 150, 150, 150, 150, 90)
    stored = tried(api, rule_id=rule["id"])
    assert (stored["matched"], stored["executed"], stored["held_back"]["cooldown"]) == (4, 2, 2)
    assert stored["rule_id"] == rule["id"]
    changed = tried(api, rule_id=rule["id"], rule={"cooldown_secs": 0, "conditions": []})
    assert (changed["matched"], changed["executed"]) == (5, 5)
    assert tried(api, rule_id=rule["id"], rule={"rollout_percentage": 0})["held_back"]["rollout"] == 4
    assert api.get(f"/api/automation/rules/{rule['id']}").json()["version"] == 2


def test_matches_that_depend_on_the_present_state_are_counted(api: client.Client) -> None:
    """A match counts where another record could have made it none, and not where the event alone decides."""
    api.put("/profiles/ana", {"profile": {"plan": "pro"}})
    orders(api, 50, 50, 150, 150)
    either = {**NEW, "conditions": {"any": [LARGE[0], PRO]}}
    found = tried(api, rule=either)
    assert (found["matched"], found["present_state"]) == (3, {"reads": ["contact"], "matches": 1})
    both = tried(api, rule={**NEW, "conditions": [*LARGE, PRO]})
    assert (both["matched"], both["present_state"]["matches"]) == (1, 1)
    theirs = [{"field": "contact.id", "operator": "equals", "value": "ana"}]
    named = tried(api, rule={**NEW, "conditions": theirs})
    assert (named["matched"], named["present_state"]) == (2, {"reads": [], "matches": 0})


def test_a_channel_that_only_the_conversation_says_is_of_now(api: client.Client) -> None:
    """An event that names no channel has its conversation's, as it is stored now; one that names it has its own."""
    made = api.post("/api/conversations", {"id": "k1", "channel": "whatsapp"})
    assert made.status_code == 201, made.text
    channel = {"field": "channel_source", "operator": "equals", "value": "whatsapp"}
    orders(api, 1, conversation_id="k1")
    orders(api, 2, conversation_id="k1", channel_source="whatsapp")
    orders(api, 3, conversation_id="k1", channel_source="email")
    orders(api, 4)
    found = tried(api, rule={**NEW, "conditions": [channel]})
    assert (found["matched"], found["present_state"]) == (2, {"reads": ["conversation"], "matches": 1})
    talk = [{"field": "conversation.status", "operator": "exists"}]
    assert tried(api, rule={**NEW, "conditions": talk})["matched"] == 3


def test_other_rules_on_the_same_events_are_told(api: client.Client) -> None:
    """Active rules that match what it matches, those with most first; one that stops before it holds events back."""
    api.put("/profiles/ana", {"profile": {"plan": "pro"}})
    stop = api.make_rule(name="stop", **NEW, priority=1, stop_on_match=True, cooldown_secs=3600)
    pros = api.make_rule(name="pros", trigger_type="custom.order", conditions=[PRO])
    api.make_rule(name="rests", trigger_type="custom.order", conditions=[], is_active=False)
    api.make_rule(name="elsewhere", trigger_type="custom.other", conditions=[])
    orders(api, 150, 10, 150)
    found = tried(api, rule={**NEW, "conditions": []})
    assert [(one["rule_name"], one["rule_id"], one["events"]) for one in found["overlaps"]] == [
        *sorted([("stop", stop["id"], 2), ("pros", pros["id"], 2)], key=lambda one: one[1])
    ]
    assert (found["executed"], found["held_back"]["stopped_by_rule"]) == (2, 1)
    assert [sample["held_back"] for sample in found["sample"]] == [None, None, "stopped_by_rule"]


def test_a_tenant_tries_rules_on_its_own_events(api: client.Client) -> None:
    """A tenant's backtest sees that tenant's events, people and rules; others' rules are not there."""
    shop = api.key("admin", tenant="shop")
    api.put("/profiles/ana", {"profile": {"plan": "pro"}})
    of_all = api.make_rule(name="of all", trigger_type="custom.order", conditions=[])
    orders(api, 150, 150)
    orders(api, 150, key=shop)
    assert tried(api, rule=NEW)["events"] == 3
    mine = tried(api, shop, rule={**NEW, "conditions": []})
    assert (mine["events"], mine["overlaps"]) == (1, [])
    assert tried(api, shop, rule={**NEW, "conditions": [PRO]})["matched"] == 0
    assert api.post(PATH, {"rule_id": of_all["id"]}, key=shop).status_code == 404


def test_a_backtest_leaves_nothing(api: client.Client) -> None:
    """No row of any table changes, and nobody is called."""
    rule = api.make_rule(**NEW, cooldown_secs=60, actions=[{"type": "send_message", "text": "hello"}])
    orders(api, 150, 150)
    before = everything(api)
    assert tried(api, rule_id=rule["id"])["matched"] == 2
    assert everything(api) == before
    assert (api.mailbox.received, api.world.calls.received) == ([], [])


def test_progress_is_told_line_by_line(lone_api: client.Client) -> None:
    """Whoever asks for lines hears how far it is, and at last the result."""
    orders(lone_api, 150)
    answer = lone_api.post(PATH, {"rule": NEW}, headers={"Accept": "application/x-ndjson"})
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    first, *_, last = map(msgspec.json.decode, answer.content.splitlines())
    assert first == {"progress": {"looked_at": 0, "of": 1}}
    assert last["result"] == tried(lone_api, rule=NEW)


def test_one_backtest_at_a_time(lone_api: client.Client) -> None:
    """While one runs another is refused; when its client leaves it ends, and the next one may run."""
    running = asyncio.Event()
    left = []

    async def forever(_: backtests.Job) -> AsyncGenerator[backtests.Told, None]:
        try:
            running.set()
            await asyncio.Event().wait()
            yield backtests.Told()
        finally:
            left.append("ended")

    some = backtests.Backtests("", 1, forever)
    with lone_api.store.reading() as connection:
        asked = backtest.order(connection, 1, None, {"rule": NEW}, lone_api.clock.now())

    async def hang_up() -> None:
        waiting = asyncio.create_task(anext(some.run(asked)))
        await running.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)

    lone_api.run(hang_up())
    assert left == ["ended"]
    some.refuse_more()


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "rule_id"),
        ({"rule_id": "x"}, "rule_id"),
        ({"rule_id": 7}, "rule_id"),
        ({"rule": {}}, "rule.trigger_type"),
        ({"rule": []}, "rule"),
        (
            {"rule": {**NEW, "conditions": [{"field": "a", "operator": "is_big"}]}},
            "rule.conditions[0].operator",
        ),
        ({"rule": {**NEW, "rollout_percentage": 101}}, "rule.rollout_percentage"),
        ({"rule": {**NEW, "snoozed_until": None}}, "rule.snoozed_until"),
        ({"rule": NEW, "days": 0}, "days"),
        ({"rule": NEW, "days": core.MOST_DAYS + 1}, "days"),
        ({"rule": NEW, "days": "7"}, "days"),
        ({"rule": NEW, "dayz": 7}, "dayz"),
    ],
)
def test_a_wrong_backtest_is_refused(lone_api: client.Client, body: dict[str, Any], place: str) -> None:
    """A rule or its id is required, and every fault is told with its place before anything runs."""
    answer = lone_api.post(PATH, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "validation_failed")
    assert place in client.faults(answer)


def test_a_backtest_of_nothing_is_a_404(lone_api: client.Client) -> None:
    """An unknown rule is a 404; a query is a 400; whoever may not manage rules is refused."""
    unknown = {"rule_id": "00000000-0000-7000-8000-000000000000"}
    assert lone_api.post(PATH, unknown).status_code == 404
    assert lone_api.post(PATH, {"rule": NEW}, params={"days": 3}).status_code == 400
    assert lone_api.post(PATH, {"rule": NEW}, key=lone_api.key("agent")).status_code == 403
