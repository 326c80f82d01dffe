"""Runs in lists over HTTP: all of them, and those of a rule."""

import re
from typing import Any

import pytest

from heliograph.store import listings
from tests.web import client, histories

PATH = "/api/automation/runs"


@pytest.fixture
def history(api: client.Client) -> histories.History:
    """A history, of which four events came to two runs each."""
    return histories.made(api)


def by_event(api: client.Client, history: histories.History) -> list[str]:
    """Every run, newest first."""
    return [run["id"] for event in reversed(history.events) for run in api.runs(event)]


@pytest.mark.spec("S4-158", "S4-162", "S4-164", "S4-167", "S4-166", "S4-169")
def test_all_runs_are_listed_and_walked_through(api: client.Client, history: histories.History) -> None:
    """Following next_cursor shows every run that was there once, in either direction, though more are made."""
    wanted = by_event(api, history)
    assert len(wanted) == 8
    histories.check_walk(api, PATH, wanted)
    first = histories.page(api, PATH, per_page=3)
    api.happen("custom.a", payload={"n": 2})
    api.decide()
    rest = histories.walked(api, PATH, per_page=3, cursor=first["next_cursor"])
    assert [row["id"] for row in first["data"]] + rest == wanted
    assert len(histories.shown(api, PATH)) == 10


@pytest.mark.spec("S4-159", "S4-163", "S4-168")
def test_pages_of_runs_show_the_same_as_the_whole(api: client.Client, history: histories.History) -> None:
    """Pages go through the runs, and tell how many there are in all."""
    histories.check_pages(api, PATH, by_event(api, history))


@pytest.mark.spec("S4-160", "S4-161", "S4-165")
def test_runs_are_chosen_and_sorted(api: client.Client, history: histories.History) -> None:
    """By rule, by event, by what came of them and when; other orders need something that keeps the list short."""
    wanted = by_event(api, history)
    of_rule = histories.page(api, PATH, rule_id=history.other)
    assert [row["id"] for row in of_rule["data"]] == wanted[::2]
    assert of_rule["total"] == 4
    of_event = histories.shown(api, PATH, event_id=history.events[1])
    assert of_event == [run["id"] for run in api.runs(history.events[1])]
    assert histories.shown(api, PATH, event_id=history.events[1], rule_id=history.rule) == of_event[1:]
    twos = histories.shown(api, PATH, rule_id=history.other, sort_by="matched")
    assert [wanted[::2].index(run) for run in twos] == [1, 2, 0, 3]
    since = {"created_from": "2026-01-05", "sort_by": "executed", "sort_order": "asc"}
    assert [wanted.index(run) for run in histories.shown(api, PATH, **since)] == [6, 0, 7, 5, 4, 3, 2, 1]
    assert histories.shown(api, PATH, matched="false") == [wanted[0], wanted[6]]
    assert histories.shown(api, PATH, executed="true", created_from="2026-01-05T12:00:05Z") == wanted[1:2]
    assert histories.shown(api, PATH, created_to="2026-01-05T12:00:02+00:00") == wanted[6:]


@pytest.mark.spec("S4-180", "S4-182", "S4-184", "S4-186", "S4-187")
def test_the_runs_of_a_rule_are_walked_through(api: client.Client, history: histories.History) -> None:
    """The runs of a rule, those alone, newest first or oldest first."""
    path = f"{PATH}/by-rule/{history.rule}"
    histories.check_walk(api, path, by_event(api, history)[1::2])


@pytest.mark.spec("S4-181", "S4-183", "S4-185", "S4-188")
def test_the_runs_of_a_rule_are_chosen_and_sorted(api: client.Client, history: histories.History) -> None:
    """Pages, an event of its own, and the orders that a list of a rule allows."""
    path, wanted = f"{PATH}/by-rule/{history.other}", by_event(api, history)[::2]
    histories.check_pages(api, path, wanted)
    assert histories.shown(api, path, event_id=history.events[2]) == [wanted[1]]
    sorted_by = histories.shown(api, path, sort_by="matched", sort_order="asc")
    assert [wanted.index(run) for run in sorted_by] == [3, 0, 2, 1]


def test_the_runs_of_a_rule_that_was_deleted_stay(api: client.Client, history: histories.History) -> None:
    """A deleted rule's runs are listed with its name; an unknown rule has none."""
    assert api.delete(f"/api/automation/rules/{history.rule}").status_code == 204
    kept = histories.page(api, f"{PATH}/by-rule/{history.rule}")
    assert (kept["total"], {run["rule_name"] for run in kept["data"]}) == (4, {"every"})
    for unknown in ("00000000-0000-7000-8000-000000000000", "nothing"):
        assert histories.page(api, f"{PATH}/by-rule/{unknown}") == {
            "data": [],
            "next_cursor": None,
            "total": 0,
        }


def test_runs_of_a_journeys_trigger_are_found_by_their_rule_id(api: client.Client) -> None:
    """What is listed under a journey's id is found by that id in every list, without the journey's own runs."""
    journey = {
        "name": "Welcome",
        "status": "published",
        "trigger": {
            "event_type": "custom.a",
            "conditions": [{"field": "n", "operator": "equals", "value": 1}],
        },
        "steps": [{"action": "delay", "duration": "1 hour"}],
    }
    assert api.put("/automations/templates/welcome", journey).status_code == 200
    events = [api.happen("custom.a", contact_id="ana", payload={"n": n}) for n in (1, 2, 1)]
    assert api.post("/automations/welcome/invoke", {"recipient": "ben"}).status_code == 200
    api.decide()
    every = histories.shown(api, PATH)
    assert len(every) == 3
    trigger = api.runs(events[0])[0]["rule_id"]
    assert histories.shown(api, PATH, rule_id=trigger) == every
    assert histories.shown(api, f"{PATH}/by-rule/{trigger}") == every
    assert histories.shown(api, f"{PATH}/by-rule/{trigger}", matched="false") == every[1:2]
    assert histories.shown(api, f"{PATH}/by-rule/{trigger}", event_id=events[1]) == every[1:2]
    assert histories.page(api, f"{PATH}/by-rule/{trigger}", sort_by="matched", per_page=2)["total"] == 3
    histories.check_walk(api, f"{PATH}/by-rule/{trigger}", every)
    exported = api.get(f"{PATH}/export", params={"rule_id": trigger}).text.splitlines()
    assert [line.split(",")[0] for line in exported[1:]] == every
    met = "/api/automation/events/by-rule"
    assert histories.shown(api, f"{met}/{trigger}") == events[::-1]


def test_a_tenant_sees_its_own_runs(api: client.Client) -> None:
    """The runs of a tenant's events, and no others, on every list."""
    mine, others = api.key("admin", tenant="shop"), api.key("admin", tenant="bank")
    rule = api.make_rule(conditions=[])["id"]
    api.happen(key=mine)
    api.happen(key=others)
    api.happen()
    api.decide()
    assert len(histories.shown(api, PATH)) == 3
    for path in (PATH, f"{PATH}/by-rule/{rule}", "/api/automation/events"):
        answer = api.get(path, key=mine).json()
        assert (len(answer["data"]), answer["total"]) == (1, 1), path


@pytest.mark.parametrize("path", [PATH, "/api/automation/events", "/automations/runs"])
def test_a_tenants_walk_tells_of_no_rows_of_others(
    api: client.Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A page that ends on a row of somebody else goes on behind it, without its id or instant."""
    for name in ("LOOK", "COUNTED"):
        monkeypatch.setattr(listings, name, 4)
    mine, others = api.key("admin", tenant="shop"), api.key("admin", tenant="bank")
    api.make_rule(conditions=[])
    step = {"automation": {"steps": [{"action": "cancel", "cancelation_token": "t"}]}}
    for key in (mine, *[others] * 24, mine):
        api.clock.move(1_000_000)
        api.happen(key=key)
        api.post("/automations/invoke", step, key=key)
    api.decide()
    size, field = ("limit", "runs") if path == "/automations/runs" else ("per_page", "data")
    shown, given, cursors = list[Any](), {size: "1"}, list[str]()
    while True:
        answer = api.get(path, params=given, key=mine).json()
        shown += answer[field]
        if not answer.get("next_cursor"):
            break
        given["cursor"] = answer["next_cursor"]
        cursors.append(given["cursor"])
    assert len(shown) == 2
    hidden = [one for one in cursors if re.fullmatch(r"(-\|)?[0-9a-f]{48}", one)]
    assert len(hidden) >= 3
    kept = {word for one in shown for word in map(str, one.values())}
    for one in set(cursors) - set(hidden):
        assert one.split("|")[-1] in kept
    for key, status in ((mine, 200), (others, 400), ("", 400)):
        assert api.get(path, params={size: "1", "cursor": hidden[0]}, key=key).status_code == status
    assert api.get(path, params={size: "1", "cursor": hidden[0][:-1] + "x"}, key=mine).status_code == 400


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"sort_by": "matched"}, "sort_by"),
        ({"sort_by": "matched", "created_from": "2025-01-01"}, "sort_by"),
        ({"sort_by": "matched", "created_from": "2025-01-01", "created_to": "2025-03-01"}, "sort_by"),
        ({"created_from": "yesterday"}, "created_from"),
        ({"created_to": "2026-01-05T12:00:00"}, "created_to"),
        ({"matched": "perhaps"}, "matched"),
        ({"event_id": "x"}, "event_id"),
        ({"page": 201}, "page"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_what_a_list_cannot_do_is_refused(lone_api: client.Client, query: dict[str, Any], place: str) -> None:
    """A query that would have to look at everything, or says what nobody knows, is a 400 with its place."""
    answer = lone_api.get(PATH, params=query)
    assert answer.status_code == 400, answer.text
    assert list(client.faults(answer)) == [place]
