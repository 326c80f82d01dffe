"""Exports over HTTP: runs and events as CSV."""

import csv
import io
import json
from typing import Any

import pytest

from heliograph.core import events
from heliograph.web import exports
from tests.web import client, histories

RUNS, EVENTS = "/api/automation/runs/export", "/api/automation/events/export"


@pytest.fixture
def history(api: client.Client) -> histories.History:
    """A history of seven events and eight runs."""
    return histories.made(api)


def rows(api: client.Client, path: str, **query: Any) -> list[dict[str, str]]:
    """The lines of an export."""
    answer = api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode(), newline="")))


def ids(api: client.Client, path: str, **query: Any) -> list[str]:
    """The ids in an export."""
    return [row["id"] for row in rows(api, path, **query)]


@pytest.mark.spec("S4-170", "S4-171", "S4-176", "S4-177")
def test_runs_are_exported(api: client.Client, history: histories.History) -> None:
    """A line for each run, newest first unless asked otherwise, as many as are wanted."""
    wanted = histories.shown(api, "/api/automation/runs")
    assert ids(api, RUNS) == wanted
    assert ids(api, RUNS, sort_order="asc") == wanted[::-1]
    assert ids(api, RUNS, limit=3) == wanted[:3]
    since = {"created_from": "2026-01-05", "sort_by": "matched"}
    assert [wanted.index(one) for one in ids(api, RUNS, **since)] == [1, 2, 3, 4, 5, 7, 0, 6]
    answer = api.get(RUNS)
    assert answer.headers["content-disposition"] == 'attachment; filename="runs.csv"'
    assert answer.text.startswith(
        "id,event_id,rule_id,rule_name,conversation_id,contact_id,channel_source,event_type,event_source,"
        "event_status,matched,executed,result,created_at\r\n"
    )
    assert answer.text.endswith("Z\r\n")


@pytest.mark.spec("S4-172", "S4-173", "S4-174", "S4-175", "S4-178", "S4-179")
def test_runs_are_chosen_for_an_export(api: client.Client, history: histories.History) -> None:
    """By rule and event, by what came of them, and by when: from an instant on, and before another."""
    wanted = histories.shown(api, "/api/automation/runs")
    assert ids(api, RUNS, rule_id=history.other) == wanted[::2]
    assert ids(api, RUNS, event_id=history.events[1]) == wanted[4:6]
    assert ids(api, RUNS, matched="false") == [wanted[0], wanted[6]]
    assert ids(api, RUNS, executed="true", matched="true") == wanted[1:6] + wanted[7:]
    assert ids(api, RUNS, executed="false") == [wanted[0], wanted[6]]
    assert ids(api, RUNS, created_from="2026-01-05T12:00:03Z") == wanted[:4]
    assert ids(api, RUNS, created_to="2026-01-05T12:00:03Z") == wanted[4:]
    assert ids(api, RUNS, created_from="2026-01-06") == []


def test_a_line_tells_what_the_list_tells(api: client.Client, history: histories.History) -> None:
    """Each cell is what the list shows: null is empty, truth is a word, what is deeper is JSON."""
    shown = histories.page(api, "/api/automation/runs")["data"]
    for row, run in zip(rows(api, RUNS), shown, strict=True):
        assert json.loads(row["result"]) == run["result"]
        told = {name: "" if run[name] is None else str(run[name]) for name in row if name != "result"}
        told |= {name: str(run[name]).lower() for name in ("matched", "executed")}
        assert {name: text for name, text in row.items() if name != "result"} == told


@pytest.mark.spec("S4-225", "S4-226", "S4-231", "S4-232")
def test_events_are_exported(api: client.Client, history: histories.History) -> None:
    """A line for each event, in the order that was asked for, as many as are wanted."""
    wanted = history.events[::-1]
    assert ids(api, EVENTS) == wanted
    assert ids(api, EVENTS, sort_order="asc") == wanted[::-1]
    assert ids(api, EVENTS, limit=2) == wanted[:2]
    found = ids(api, EVENTS, sort_by="attempts", created_from="2026-01-05")
    assert [history.events.index(one) for one in found] == [3, 6, 5, 4, 2, 1, 0]
    answer = api.get(EVENTS)
    assert answer.headers["content-disposition"] == 'attachment; filename="events.csv"'
    assert answer.text.startswith(
        "id,event_type,conversation_id,contact_id,source,status,attempts,payload_hash,available_at,created_at,"
        "processed_at,error,payload\r\n"
    )
    row = rows(api, EVENTS)[0]
    assert json.loads(row["payload"]) == {"n": 1}
    assert (row["contact_id"], row["attempts"], row["error"]) == ("person 6", "1", "")


@pytest.mark.spec("S4-227", "S4-228", "S4-229", "S4-230", "S4-233", "S4-234")
def test_events_are_chosen_for_an_export(api: client.Client, history: histories.History) -> None:
    """By how they stand, type, source and payload, and by when they came in."""

    def places(**query: Any) -> list[int]:
        return [history.events.index(one) for one in ids(api, EVENTS, **query)]

    assert places(status="failed") == [3]
    assert places(event_type="custom.b") == [6]
    assert places(source="crm") == [2, 1]
    assert places(payload_hash=events.fingerprint({"n": 2})) == [2, 1]
    assert places(created_from="2026-01-05T12:00:05Z") == [6, 5, 4]
    assert places(created_to="2026-01-05T12:00:05Z") == [3, 2, 1, 0]


def test_an_export_is_streamed_in_parts(api: client.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows there are, as many are in memory as a part has, and all are sent once."""
    monkeypatch.setattr(exports, "BATCH", 3)
    made = histories.made(api)
    assert ids(api, EVENTS) == made.events[::-1]
    assert ids(api, EVENTS, limit=4) == made.events[:2:-1]
    assert ids(api, EVENTS, sort_by="processed_at", created_from="2026-01-05", limit=5)[1:] == [
        made.events[place] for place in (6, 4, 3, 2)
    ]
    assert len(ids(api, RUNS, matched="true")) == 6


def test_cells_are_no_formulas(api: client.Client) -> None:
    """Text that a spreadsheet would calculate begins with an apostrophe; quotes and lines stay in their cell."""
    for text in ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", 'a "b", c\nd', "naïve ☃"):
        api.happen("custom.a", contact_id=text, source="import")
    wanted = ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\rx", 'a "b", c\nd', "naïve ☃"]
    assert [row["contact_id"] for row in rows(api, EVENTS, sort_order="asc")] == wanted
    assert exports.line([-1, -1.5, None, False, {"a": [1, 2]}]) == b'-1,-1.5,,false,"{""a"":[1,2]}"\r\n'


@pytest.mark.parametrize(
    ("path", "query", "place"),
    [
        (RUNS, {"limit": 0}, "limit"),
        (RUNS, {"limit": 50_001}, "limit"),
        (RUNS, {"sort_by": "matched"}, "sort_by"),
        (RUNS, {"cursor": "x"}, "cursor"),
        (EVENTS, {"status": "done"}, "status"),
        (EVENTS, {"payload_hash": "x"}, "payload_hash"),
        (EVENTS, {"sort_by": "status"}, "sort_by"),
        (EVENTS, {"created_from": "soon"}, "created_from"),
    ],
)
def test_a_wrong_export_is_refused(
    lone_api: client.Client, path: str, query: dict[str, Any], place: str
) -> None:
    """What is wrong with the query is a 400 with its place, before a line is sent."""
    answer = lone_api.get(path, params=query)
    assert answer.status_code == 400, answer.text
    assert list(client.faults(answer)) == [place]
