"""Runs over HTTP: those of an event, page by page, and one in full."""

from typing import Any

import pytest

from tests.web import client

PATH = "/api/automation/runs"


@pytest.fixture
def event(api: client.Client) -> str:
    """An event with three runs: one executed, one failed, one that did not match."""
    api.make_rule(name="tags", priority=1, conditions=[])
    api.make_rule(
        name="writes", priority=2, conditions=[], actions=[{"type": "send_message", "text": "hello"}]
    )
    api.make_rule(name="waits", priority=3)
    identity = api.happen(
        contact_id="ana", conversation_id="c-1", channel_source="sms", payload={"message": {"text": "hi"}}
    )
    api.decide()
    return identity


def names(answer: Any) -> list[str]:
    """The rules of the runs of a list."""
    assert answer.status_code == 200, answer.text
    return [run["rule_name"] for run in answer.json()["data"]]


@pytest.mark.spec("S4-189", "S4-190", "S4-195", "S4-197")
def test_the_runs_of_an_event_are_listed(api: client.Client, event: str) -> None:
    """Newest first unless asked otherwise, of all rules or of one, with the total of what passes the filter."""
    other = api.happen(contact_id="ana")
    api.decide()
    answer = api.get(f"{PATH}/by-event/{event}")
    assert names(answer) == ["waits", "writes", "tags"]
    assert (answer.json()["total"], answer.json()["next_cursor"]) == (3, None)
    assert names(api.get(f"{PATH}/by-event/{event}", params={"sort_order": "asc"})) == [
        "tags",
        "writes",
        "waits",
    ]
    rule_id = answer.json()["data"][0]["rule_id"]
    one = api.get(f"{PATH}/by-event/{event}", params={"rule_id": rule_id})
    assert (names(one), one.json()["total"]) == (["waits"], 1)
    assert {run["event_id"] for run in answer.json()["data"]} == {event} != {other}


@pytest.mark.spec("S4-191", "S4-193", "S4-196")
def test_a_cursor_walks_through_all_runs_once(api: client.Client, event: str) -> None:
    """Following next_cursor shows every run once, in either direction, and ends with null."""
    for order, wanted in (("desc", ["waits", "writes", "tags"]), ("asc", ["tags", "writes", "waits"])):
        query: dict[str, Any] = {"per_page": 1, "sort_order": order}
        seen: list[str] = []
        cursor: str | None = ""
        while cursor is not None and len(seen) <= len(wanted):
            page = api.get(f"{PATH}/by-event/{event}", params=query)
            assert len(names(page)) == 1
            seen += names(page)
            assert page.json()["total"] == 3
            cursor = page.json()["next_cursor"]
            if cursor is not None:
                at, _, identity = cursor.partition("|")
                assert (at, identity) == (
                    page.json()["data"][-1]["created_at"],
                    page.json()["data"][-1]["id"],
                )
                query["cursor"] = cursor
        assert seen == wanted


@pytest.mark.spec("S4-192", "S4-194")
def test_pages_follow_the_order_that_was_asked_for(api: client.Client, event: str) -> None:
    """Pages go through any of the orders; ties are broken by creation in the same direction."""
    path = f"{PATH}/by-event/{event}"
    assert names(api.get(path, params={"sort_by": "matched"})) == ["writes", "tags", "waits"]
    assert names(api.get(path, params={"sort_by": "executed"})) == ["tags", "waits", "writes"]
    assert names(api.get(path, params={"sort_by": "executed", "sort_order": "asc"})) == [
        "writes",
        "waits",
        "tags",
    ]
    second = api.get(path, params={"sort_by": "matched", "page": 2, "per_page": 1})
    assert (names(second), second.json()["next_cursor"]) == (["tags"], None)
    assert names(api.get(path, params={"page": 4, "per_page": 1})) == []


@pytest.mark.spec("S4-198", "S4-199", "S4-200", "S4-201", "S4-202", "S4-205")
def test_a_run_is_read_in_full(api: client.Client, event: str) -> None:
    """A run tells whose it is, and why it ended as it did: conditions and actions with what each came to."""
    listed = {run["rule_name"]: run for run in api.runs(event)}
    answer = api.get(f"{PATH}/{listed['tags']['id']}")
    assert (answer.status_code, answer.json()) == (200, listed["tags"])
    run = answer.json()
    assert run["id"] == listed["tags"]["id"]
    assert (run["event_id"], run["conversation_id"]) == (event, "c-1")
    rule = api.get(f"/api/automation/rules/{run['rule_id']}").json()
    assert rule["name"] == "tags"
    done = {"target": "conversation", "tags": ["refund"]}
    assert run["result"] == {
        "outcome": "executed",
        "reason": None,
        "gates": [],
        "conditions": [],
        "actions": [
            {
                "index": 0,
                "type": "add_tags",
                "status": "succeeded",
                "output": done,
                "error": None,
                "duration_ms": 0.0,
            }
        ],
    }
    assert api.get(f"{PATH}/00000000-0000-7000-8000-000000000000").status_code == 404


@pytest.mark.spec("S4-203", "S4-204", "S4-206", "S4-207", "S4-208", "S4-209")
def test_a_run_says_what_came_of_it_and_when(api: client.Client, event: str) -> None:
    """Matched and executed are told apart: a rule that met the event may still have failed to act."""
    found = {run["rule_name"]: api.get(f"{PATH}/{run['id']}").json() for run in api.runs(event)}
    told = {name: (run["matched"], run["executed"], run["result"]["outcome"]) for name, run in found.items()}
    assert told == {
        "tags": (True, True, "executed"),
        "writes": (True, False, "failed"),
        "waits": (False, False, "not_matched"),
    }
    assert "no e-mail address" in found["writes"]["result"]["actions"][0]["error"]
    for name, run in found.items():
        assert (run["created_at"], run["rule_name"]) == ("2026-01-05T12:00:00.000000Z", name)
        assert (run["event_type"], run["event_source"]) == ("message_received", "api")


@pytest.mark.spec("S4-210", "S4-211", "S4-212")
def test_a_run_shows_its_event(api: client.Client, event: str) -> None:
    """A run carries how its event stands, and whom and which channel it is about."""
    (run, *_) = api.runs(event)
    read = api.get(f"{PATH}/{run['id']}").json()
    assert (read["event_status"], read["contact_id"], read["channel_source"]) == ("processed", "ana", "sms")


def test_a_run_that_did_not_match_tells_what_it_saw(api: client.Client, event: str) -> None:
    """The first failing leaf stands in the result, with what was looked for and what was found."""
    waits = next(run for run in api.runs(event) if run["rule_name"] == "waits")
    assert waits["result"]["conditions"] == [
        {
            "path": "[0]",
            "field": "message.text",
            "operator": "contains",
            "value": "refund",
            "observed": "hi",
            "result": False,
        }
    ]
    assert waits["result"]["actions"] == []


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ({"sort_by": "name"}, "sort_by"),
        ({"sort_order": "up"}, "sort_order"),
        ({"page": 0}, "page"),
        ({"page": 51, "per_page": 200}, "page"),
        ({"per_page": 201}, "per_page"),
        ({"per_page": "many"}, "per_page"),
        ({"rule_id": "x"}, "rule_id"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "2026-01-05T12:00:00Z|x"}, "cursor"),
        ({"cursor": "yesterday|019b8e07-4600-7000-833c-b229ff302823"}, "cursor"),
        ({"cursor": "2026-01-05T12:00:00Z|019b8e07-4600-7000-833c-b229ff302823", "page": 1}, "cursor"),
        (
            {"cursor": "2026-01-05T12:00:00Z|019b8e07-4600-7000-833c-b229ff302823", "sort_by": "matched"},
            "cursor",
        ),
        ({"limit": 5}, "limit"),
    ],
)
def test_a_wrong_query_is_refused(lone_api: client.Client, query: dict[str, Any], place: str) -> None:
    """What a list cannot do is a 400 that names the parameter."""
    event = "00000000-0000-7000-8000-000000000000"
    answer = lone_api.get(f"{PATH}/by-event/{event}", params=query)
    assert answer.status_code == 400
    assert list(client.faults(answer)) == [place]


def test_a_cursor_is_a_place_in_time(api: client.Client, event: str) -> None:
    """A cursor of another instant goes on from there, though no run is of that instant."""
    path, identity = f"{PATH}/by-event/{event}", api.runs(event)[0]["id"]
    earlier, later = f"2026-01-05T11:00:00Z|{identity}", f"2026-01-05T14:00:00+01:00|{identity}"
    assert names(api.get(path, params={"cursor": earlier})) == []
    assert names(api.get(path, params={"cursor": later})) == ["waits", "writes", "tags"]
    assert names(api.get(path, params={"cursor": earlier, "sort_order": "asc"})) == [
        "tags",
        "writes",
        "waits",
    ]


def test_an_unknown_event_has_no_runs(api: client.Client) -> None:
    """The list of an unknown event is empty, not a 404."""
    for event in ("00000000-0000-7000-8000-000000000000", "nothing"):
        answer = api.get(f"{PATH}/by-event/{event}")
        assert (answer.status_code, answer.json()) == (200, {"data": [], "next_cursor": None, "total": 0})
