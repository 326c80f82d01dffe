"""Contacts over HTTP, in our own shape."""

from typing import Any

import pytest

from heliograph.store import conversations, people
from tests.web import campaigning, client

PATH = "/api/contacts"


def listed(api: client.Client, **query: Any) -> list[str]:
    answer = api.get(PATH, params=query)
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()["data"]]


def test_a_contact_is_made_changed_and_read(api: client.Client) -> None:
    """POST makes it, PATCH sets attributes and keeps the others, and `/profiles` speaks of the same person."""
    said = {"profile": {"email": " Ana@Example.com", "plan": "free"}, "tags": ["vip", "vip"]}
    made = api.post(PATH, {"id": "ana/1", **said})
    assert (made.status_code, made.json()) == (
        201,
        {
            "id": "ana/1",
            "number": made.json()["number"],
            "profile": {"email": "ana@example.com", "plan": "free"},
            "tags": ["vip"],
            "created_at": "2026-01-05T12:00:00.000000Z",
            "updated_at": "2026-01-05T12:00:00.000000Z",
        },
    )
    api.clock.move(1_000_000)
    changed = api.patch(f"{PATH}/ana%2F1", {"profile": {"plan": "pro"}}).json()
    assert (changed["profile"], changed["tags"]) == ({"email": "ana@example.com", "plan": "pro"}, ["vip"])
    assert changed["updated_at"] == "2026-01-05T12:00:01.000000Z"
    assert api.patch(f"{PATH}/ana%2F1", {"tags": []}).json()["tags"] == []
    assert api.get(f"{PATH}/ana%2F1").json()["profile"] == changed["profile"]
    assert api.get("/profiles/ana%2F1").json() == {"profile": changed["profile"]}


def test_contacts_are_listed_by_what_is_known_of_them(api: client.Client) -> None:
    """By tag, address and number, however they are written, and page by page in the order of their ids."""
    for name in ("dot", "ana", "bob", "cid"):
        api.post(
            PATH, {"id": name, "profile": {"email": f"{name}@example.com"}, "tags": ["vip"] * (name < "bob")}
        )
    api.patch(f"{PATH}/cid", {"profile": {"phone_number": "+49 30 123456"}})
    assert listed(api) == ["ana", "bob", "cid", "dot"]
    assert listed(api, tag="vip") == ["ana"]
    assert listed(api, email="BOB@example.com") == ["bob"]
    assert listed(api, phone_number="+4930123456") == ["cid"]
    page = api.get(PATH, params={"per_page": 3}).json()
    assert (page["next_cursor"], page["total"]) == ("cid", 4)
    assert listed(api, cursor="cid") == ["dot"]
    for query in ({"email": "nobody"}, {"phone_number": "12"}, {"mail": "x"}):
        answer = api.get(PATH, params=query)
        assert (answer.status_code, list(client.faults(answer))) == (400, [next(iter(query))])


@pytest.mark.parametrize(
    ("body", "places"),
    [
        ({"profile": {"email": "x"}, "tags": [1]}, ["profile.email", "tags"]),
        ({"profile": [], "name": "Ana"}, ["name", "profile"]),
    ],
)
def test_a_wrong_contact_is_refused_whole(
    lone_api: client.Client, body: dict[str, Any], places: list[str]
) -> None:
    """All faults with their places, and nothing is written; an id is required, and unknown or taken ones are told."""
    answer = lone_api.post(PATH, {"id": "ana", **body})
    assert (answer.status_code, sorted(client.faults(answer))) == (422, sorted(places))
    assert list(client.faults(lone_api.post(PATH, {}))) == ["id"]
    assert lone_api.patch(f"{PATH}/ana", {"tags": []}).status_code == 404
    assert lone_api.get(f"{PATH}/ana").status_code == 404
    assert lone_api.post(PATH, {"id": "ana"}).status_code == 201
    assert lone_api.post(PATH, {"id": "ana"}).status_code == 409
    assert list(client.faults(lone_api.patch(f"{PATH}/ana", body))) == list(client.faults(answer))
    assert lone_api.post(PATH, {"id": "big", "profile": {"a": "x" * 300_000}}).status_code == 413


def test_changes_are_told_in_the_order_in_which_they_were_made(api: client.Client) -> None:
    """Who had to wait for another writer looked at the clock before them, and is told of after them all the same."""
    campaigning.segment(api, campaigning.condition("flip", "equals", 1))
    for trigger, action in (("segment_entered", "add_tags"), ("segment_left", "remove_tags")):
        action_of = {"type": action, "tags": ["in"], "target": "contact"}
        api.make_rule(trigger_type=trigger, conditions=None, actions=[action_of])
    api.make_rule(
        trigger_type="conversation_status_changed",
        actions=[{"type": "add_tags", "tags": ["{{ conversation.status }}"], "target": "contact"}],
        conditions=None,
    )
    api.post("/api/conversations", {"id": "k", "contact_id": "ana", "status": "open"})
    now, owner = api.clock.now(), api.world.workspace_id
    for ago, flip in enumerate((1, 0, 1, 0)):
        at = now - 1_000 * ago
        people.save_profile(api.store, owner, None, "ana", {"flip": flip}, at, strategy="overwrite")
        conversations.change(api.store, owner, None, "k", {"status": ("closed", "open")[ago % 2]}, at)
    api.decide()
    answer = api.get("/api/automation/events", params={"sort_order": "asc", "per_page": 100})
    told = [(one["event_type"], one["payload"].get("status")) for one in answer.json()["data"]]
    moves = [name for name, _ in told if name.startswith("segment_")]
    assert moves == ["segment_entered", "segment_left"] * 2
    assert [status for name, status in told if name == "conversation_status_changed"] == [
        "closed",
        "open",
    ] * 2
    assert "in" not in api.get(f"{PATH}/ana").json()["tags"]
