"""The log of preferences: who changed what they want to hear of, from what to what, and when."""

from collections.abc import Callable
from typing import Any

import pytest

from heliograph.core import consent as core_consent
from heliograph.store import consent
from tests.web import client

LOGS = "/preferences/logs"
ALL = {"has_custom_routing": False, "custom_routing": []}
MINUTE = 60_000_000


def say(api: client.Client, user_id: str, topic: str, status: str, query: str = "", **more: Any) -> None:
    """Somebody says something of a topic, a minute after whatever was said before."""
    api.clock.move(MINUTE)
    body = {"topic": {"status": status, **more}}
    assert api.put(f"/users/{user_id}/preferences/{topic}{query}", body).status_code == 200


def listed(api: client.Client, query: str = "", key: str = "") -> list[dict[str, Any]]:
    """The changes that a query finds."""
    answer = api.get(f"{LOGS}{query}", key=key)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


def saying(status: str) -> Callable[[core_consent.Consent], core_consent.Consent]:
    """What lets somebody's words be this, of the offers."""
    return lambda _: core_consent.Consent(topics={"offers": core_consent.Topic(status)})


def test_each_change_is_told_with_what_was_before(api: client.Client) -> None:
    """A change has its topic's name of then, its values and those before; the same said again is no change."""
    api.post("/preferences/sections", {"id": "shop", "name": "Shop"})
    topic = {"id": "offers", "name": "Offers", "default_status": "OPTED_OUT", "routing_options": ["sms"]}
    api.post("/preferences/sections/shop/topics", topic)
    say(api, "ana", "offers", "OPTED_IN", custom_routing=["email", "push"])
    say(api, "ana", "offers", "OPTED_IN", custom_routing=["email", "push"])
    api.put("/preferences/sections/shop/topics/offers", {**topic, "name": "Deals"})
    say(api, "ana", "offers", "OPTED_OUT")
    api.clock.move(MINUTE)
    api.delete("/users/ana/preferences/offers")
    reset, out, first = listed(api)
    some = {"has_custom_routing": True, "custom_routing": ["email", "push"]}
    of = {"user_id": "ana", "topic_id": "offers"}
    assert first.pop("id") != out.pop("id") != reset.pop("id")
    assert first == {
        **of,
        **some,
        "topic_name": "Offers",
        "status": "OPTED_IN",
        "timestamp": "2026-01-05T12:01:00.000000Z",
    }
    assert out == {
        **of,
        **ALL,
        "topic_name": "Deals",
        "status": "OPTED_OUT",
        "timestamp": "2026-01-05T12:03:00.000000Z",
        "previous": {"status": "OPTED_IN", **some},
    }
    assert reset == {
        **of,
        "topic_name": "Deals",
        "status": "OPTED_OUT",
        "has_custom_routing": True,
        "custom_routing": ["sms"],
        "timestamp": "2026-01-05T12:04:00.000000Z",
        "previous": {"status": "OPTED_OUT", **ALL},
    }


def test_changes_stand_in_the_order_in_which_they_were_made(api: client.Client) -> None:
    """Who had to wait for another writer looked at the clock before them, and stands after them all the same."""
    statuses = ["OPTED_IN", "OPTED_OUT"] * 2
    for ago, status in enumerate(statuses):
        at = api.clock.now() - 1_000 * ago
        consent.change(api.store, api.world.workspace_id, None, "ana", saying(status), at)
    assert [one["status"] for one in listed(api)] == statuses[::-1]


def test_changes_are_walked_and_narrowed(api: client.Client) -> None:
    """By person, by tenant of a person, since a moment, and page by page; a tenant's key sees its own alone."""
    for number in range(4):
        say(api, "ana", f"t{number}", "OPTED_OUT")
    say(api, "ana", "t0", "OPTED_IN", "?tenant_id=acme")
    api.clock.move(MINUTE)
    topics = [{"topic_id": name, "status": "OPTED_OUT"} for name in ("t0", "t1")]
    api.post("/users/ben/preferences", {"topics": topics})
    page = api.get(f"{LOGS}?user_id=ana&limit=3").json()
    rest = api.get(f"{LOGS}?user_id=ana&limit=3&cursor={page['paging']['cursor']}").json()
    assert [one["topic_id"] for one in [*page["items"], *rest["items"]]] == ["t0", "t3", "t2", "t1", "t0"]
    assert (page["paging"]["more"], rest["paging"]) == (True, {"cursor": None, "more": False})
    assert len(listed(api)) == 7
    assert [one["tenant_id"] for one in listed(api, "?user_id=ana&tenant_id=acme")] == ["acme"]
    assert {one["topic_id"] for one in listed(api, "?since=2026-01-05T12:06:00Z")} == {"t0", "t1"}
    assert len(listed(api, "?since=2026-01-05")) == 7
    assert listed(api, "?since=2026-01-06") == []
    mine = api.key("admin", tenant="acme")
    assert [one["user_id"] for one in listed(api, key=mine)] == ["ana"]
    assert api.get(f"{LOGS}?user_id=ana&tenant_id=other", key=mine).status_code == 404
    api.clock.move(MINUTE)
    replaced = [{"topic_id": "t1", "status": "OPTED_IN"}]
    api.put("/users/ben/preferences", {"topics": replaced})
    newest = listed(api, "?user_id=ben&limit=2")
    assert {(one["topic_id"], one["status"], one["previous"]["status"]) for one in newest} == {
        ("t0", "OPTED_IN", "OPTED_OUT"),
        ("t1", "OPTED_IN", "OPTED_OUT"),
    }


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("?tenant_id=acme", "tenant_id"),
        ("?since=yesterday", "since"),
        ("?cursor=x", "cursor"),
        ("?limit=many", "limit"),
    ],
)
def test_a_query_that_cannot_be_is_refused(lone_api: client.Client, query: str, place: str) -> None:
    """A fault is a 400 with its place."""
    answer = lone_api.get(f"{LOGS}{query}")
    assert (answer.status_code, set(client.faults(answer))) == (400, {place})
