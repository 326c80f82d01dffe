"""Events in lists over HTTP: all of them, those of a conversation, of a rule, of a payload."""

from typing import Any
from urllib.parse import quote

import pytest

from heliograph.core import events
from heliograph.store import places
from tests.web import client, histories

PATH = "/api/automation/events"


@pytest.fixture(params=["beyond the mark", "placed", "half placed"])
def history(api: client.Client, request: pytest.FixtureRequest) -> histories.History:
    """A history, of which places know nothing, everything, or what is older than the fifth event."""
    made = histories.made(api)
    if request.param != "beyond the mark":
        ago = -1 if request.param == "placed" else 2
        now = api.clock.now() + places.SETTLED_AFTER - ago * histories.SECOND
        assert places.fill_events(api.store, now, 100) == (4 if ago > 0 else 7)
        assert places.fill_rules(api.store, now, 100) == (6 if ago > 0 else 8)
    return made


def newest(history: histories.History, *chosen: int) -> list[str]:
    """These events, newest first."""
    return [history.events[place] for place in sorted(chosen, reverse=True)]


ALL = range(7)


@pytest.mark.spec("S4-213", "S4-218", "S4-220", "S4-222", "S4-223")
def test_all_events_are_walked_through(api: client.Client, history: histories.History) -> None:
    """Every event, newest first or oldest first, page by page."""
    histories.check_walk(api, PATH, newest(history, *ALL))


@pytest.mark.spec("S4-214", "S4-215", "S4-216", "S4-217", "S4-219", "S4-224")
def test_events_are_chosen(api: client.Client, history: histories.History) -> None:
    """By how they stand, by type, source and payload; pages tell how many pass."""
    histories.check_pages(api, PATH, newest(history, *ALL))
    assert histories.shown(api, PATH, status="failed") == newest(history, 3)
    assert histories.shown(api, PATH, status="pending") == newest(history, 5)
    assert histories.shown(api, PATH, status="processing") == []
    assert histories.shown(api, PATH, status="processed") == newest(history, 0, 1, 2, 4, 6)
    assert histories.shown(api, PATH, event_type="custom.b") == newest(history, 6)
    assert histories.shown(api, PATH, source="crm") == newest(history, 1, 2)
    same = histories.page(api, PATH, payload_hash=events.fingerprint({"n": 2}))
    assert [row["id"] for row in same["data"]] == newest(history, 1, 2)
    assert same["total"] == 2
    waiting = api.happen("custom.c")
    assert histories.shown(api, PATH, status="pending") == [waiting, history.events[5]]


@pytest.mark.spec("S4-221")
def test_events_are_sorted(api: client.Client, history: histories.History) -> None:
    """By when they are taken up, are done with, how often they were tried and how they stand; ties by creation."""
    since = {"created_from": "2026-01-05T00:00:00Z"}

    def order(sort_by: str, way: str) -> list[int]:
        found = histories.shown(api, PATH, **since, sort_by=sort_by, sort_order=way)
        return [history.events.index(identity) for identity in found]

    assert order("created_at", "asc") == [0, 1, 2, 3, 4, 5, 6]
    assert order("available_at", "asc") == [0, 1, 2, 3, 4, 6, 5]
    assert order("available_at", "desc") == [5, 6, 4, 3, 2, 1, 0]
    assert order("processed_at", "desc") == [5, 6, 4, 3, 2, 1, 0]
    assert order("attempts", "desc") == [3, 6, 5, 4, 2, 1, 0]
    assert order("status", "asc") == [5, 0, 1, 2, 4, 6, 3]
    second = histories.shown(api, PATH, **since, sort_by="status", sort_order="asc", page=2, per_page=2)
    assert second == [history.events[1], history.events[2]]


def conversation() -> str:
    """The list of the conversation `c/1`."""
    return f"{PATH}/by-conversation/{quote('c/1', safe='')}"


@pytest.mark.spec("S4-235", "S4-239", "S4-241", "S4-243", "S4-244")
def test_the_events_of_a_conversation_are_walked_through(
    api: client.Client, history: histories.History
) -> None:
    """The events of a conversation, those alone; an unknown one has none."""
    histories.check_walk(api, conversation(), newest(history, 0, 2, 4, 6))
    assert histories.page(api, f"{PATH}/by-conversation/c")["data"] == []


@pytest.mark.spec("S4-236", "S4-237", "S4-238", "S4-240", "S4-242", "S4-245")
def test_the_events_of_a_conversation_are_chosen_and_sorted(
    api: client.Client, history: histories.History
) -> None:
    """By status, type and source; in any order, because a conversation is short."""
    histories.check_pages(api, conversation(), newest(history, 0, 2, 4, 6))
    other = f"{PATH}/by-conversation/c-2"
    assert histories.shown(api, other, status="failed") == newest(history, 3)
    assert histories.shown(api, conversation(), event_type="custom.b") == newest(history, 6)
    assert histories.shown(api, conversation(), source="crm") == newest(history, 2)
    found = histories.shown(api, other, sort_by="attempts", sort_order="asc")
    assert [history.events.index(one) for one in found] == [1, 5, 3]


@pytest.mark.spec("S4-246", "S4-251", "S4-253", "S4-255", "S4-256")
def test_the_events_of_a_rule_are_walked_through(api: client.Client, history: histories.History) -> None:
    """The events for which a rule has a run, though it did not match; an unknown rule has none."""
    histories.check_walk(api, f"{PATH}/by-rule/{history.other}", newest(history, 0, 1, 2, 4))
    for unknown in ("00000000-0000-7000-8000-000000000000", "nothing"):
        assert histories.page(api, f"{PATH}/by-rule/{unknown}") == {
            "data": [],
            "next_cursor": None,
            "total": 0,
        }


@pytest.mark.spec("S4-248", "S4-249", "S4-250", "S4-252", "S4-254", "S4-257")
def test_the_events_of_a_rule_are_chosen_and_sorted(api: client.Client, history: histories.History) -> None:
    """By type, source and payload; in any order."""
    path = f"{PATH}/by-rule/{history.rule}"
    histories.check_pages(api, path, newest(history, 0, 1, 2, 4))
    assert histories.shown(api, path, source="crm") == newest(history, 1, 2)
    assert histories.shown(api, path, payload_hash=events.fingerprint({"n": 1})) == newest(history, 0, 4)
    again = api.happen("custom.b", payload={"n": 1})
    api.patch(f"/api/automation/rules/{history.rule}", {"trigger_type": "custom.b"})
    met = api.happen("custom.b", payload={"n": 1})
    api.decide()
    assert histories.shown(api, path, event_type="custom.b") == [met, again]
    found = histories.shown(api, path, sort_by="processed_at", sort_order="asc", event_type="custom.a")
    assert found == newest(history, 0, 1, 2, 4)[::-1]
    refused = api.get(path, params={"sort_by": "colour"})
    assert (refused.status_code, list(client.faults(refused))) == (400, ["sort_by"])
    refused = api.get(path, params={"status": "done"})
    assert client.faults(refused)["status"] == (
        'unknown status "done" (known: pending, processing, processed, failed)'
    )


@pytest.mark.spec("S4-247")
def test_the_events_of_a_rule_are_chosen_by_how_they_stand(
    api: client.Client, history: histories.History
) -> None:
    """An event that has a run was decided; one that was not has none, whatever rules there are."""
    path = f"{PATH}/by-rule/{history.rule}"
    assert histories.shown(api, path, status="processed") == newest(history, 0, 1, 2, 4)
    assert histories.shown(api, path, status="failed") == []


HASH = f"{PATH}/by-hash/{events.fingerprint({'n': 2})}"


@pytest.mark.spec("S4-258", "S4-259")
def test_events_are_found_by_their_payload(api: client.Client, history: histories.History) -> None:
    """Equal payloads have one fingerprint, in either case of its letters; what can be none is refused."""
    histories.check_walk(api, HASH, newest(history, 1, 2))
    histories.check_pages(api, HASH, newest(history, 1, 2))
    digits = HASH.rpartition("/")[2]
    assert histories.shown(api, f"{PATH}/by-hash/{digits.upper()}") == newest(history, 1, 2)
    assert histories.page(api, f"{PATH}/by-hash/{'0' * 64}") == {"data": [], "next_cursor": None, "total": 0}
    for wrong in (digits[:-1], digits + "0", "g" * 64):
        answer = api.get(f"{PATH}/by-hash/{wrong}")
        assert (answer.status_code, list(client.faults(answer))) == (400, ["payload_hash"])


@pytest.mark.spec("S4-260", "S4-261", "S4-262", "S4-263", "S4-264", "S4-265")
def test_an_event_that_is_found_tells_what_came_in(api: client.Client) -> None:
    """A row shows what was sent, and the fingerprint by which it was found."""
    sent: dict[str, Any] = {
        "event_type": "custom.a",
        "conversation_id": "c-1",
        "payload": {"n": 2, "deep": {"text": "☃"}},
        "source": "crm",
    }
    identity = api.happen(**sent)
    payload_hash = events.fingerprint(sent["payload"])
    (row,) = histories.page(api, f"{PATH}/by-hash/{payload_hash}")["data"]
    wanted = {"id": identity, "payload_hash": payload_hash, **sent}
    assert {name: row.get(name) for name in wanted} == wanted


@pytest.mark.spec("S4-266", "S4-267", "S4-268", "S4-269", "S4-270", "S4-271")
def test_an_event_that_is_found_tells_how_it_stands(api: client.Client) -> None:
    """A row shows whom it is about, how it stands, how often it was tried and when."""
    api.happen("custom.a", contact_id="ana", payload={"n": 1})
    path = f"{PATH}/by-hash/{events.fingerprint({'n': 1})}"
    came, done = "2026-01-05T12:00:00.000000Z", "2026-01-05T12:00:01.000000Z"
    wanted = {
        "contact_id": "ana",
        "status": "pending",
        "attempts": 0,
        "available_at": came,
        "created_at": came,
        "processed_at": None,
    }
    (row,) = histories.page(api, path)["data"]
    assert {name: row.get(name, "missing") for name in wanted} == wanted
    api.clock.move(histories.SECOND)
    api.decide()
    (row,) = histories.page(api, path)["data"]
    after = {**wanted, "status": "processed", "attempts": 1, "processed_at": done}
    assert {name: row.get(name, "missing") for name in wanted} == after


@pytest.mark.spec("S4-272")
def test_an_event_that_is_found_tells_what_went_wrong(api: client.Client) -> None:
    """A row shows the error of an event that was given up, and null for others."""
    failed = api.happen("custom.a", payload={"n": 1})
    histories.give_up(api, failed)
    other = api.happen("custom.a", payload={"n": 1})
    rows = histories.page(api, f"{PATH}/by-hash/{events.fingerprint({'n': 1})}")["data"]
    assert {row["id"]: row["error"] for row in rows} == {
        failed: "ZeroDivisionError: division by zero",
        other: None,
    }
