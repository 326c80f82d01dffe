"""Lists and subscriptions over HTTP, in Courier's shape."""

from typing import Any
from urllib.parse import quote

import pytest

from tests.web import client

PREFERS = {"notifications": {"weekly": {"status": "OPTED_OUT"}}}


def subscribers(api: client.Client, list_id: str) -> dict[str, Any]:
    """Who is on a list, with what they prefer."""
    answer = api.get(f"/lists/{quote(list_id, safe='')}/subscriptions")
    assert answer.status_code == 200, answer.text
    return {one["recipientId"]: one["preferences"] for one in answer.json()["items"]}


def people(*names: str) -> dict[str, Any]:
    """A body that names these."""
    return {"recipients": [{"recipientId": name} for name in names]}


def test_a_list_is_put_read_listed_and_renamed(api: client.Client) -> None:
    """PUT makes a list or replaces what it says; GET gives it with instants; all lists come in order of their ids."""
    for list_id in ("news.weekly", "news.daily", "alerts"):
        assert api.put(f"/lists/{list_id}", {"name": list_id.upper()}).status_code == 204
    api.world.pass_time(seconds=5)
    put = api.put("/lists/alerts", {"name": "Alerts", "preferences": PREFERS})
    assert (put.status_code, put.content) == (204, b"")
    assert api.get("/lists/alerts").json() == {
        "id": "alerts",
        "name": "Alerts",
        "created": "2026-01-05T12:00:00.000000Z",
        "updated": "2026-01-05T12:00:05.000000Z",
        "number": 3,
        "preferences": PREFERS,
    }
    listed = api.get("/lists").json()
    assert [one["id"] for one in listed["items"]] == ["alerts", "news.daily", "news.weekly"]
    assert listed["paging"] == {"cursor": None, "more": False}
    found = api.get("/lists", params={"pattern": "news.*"}).json()["items"]
    assert [one["id"] for one in found] == ["news.daily", "news.weekly"]
    refused = api.get("/lists", params={"pattern": "**"})
    assert (refused.status_code, list(client.faults(refused))) == (400, ["pattern"])


def test_a_deleted_list_comes_back_with_its_subscribers(api: client.Client) -> None:
    """DELETE hides a list and who is on it; restore brings both back; PUT instead begins it anew."""
    api.post("/lists/news/subscriptions", people("ana", "ben"))
    assert api.delete("/lists/news").status_code == 204
    for method, path in (
        ("GET", ""),
        ("DELETE", ""),
        ("GET", "/subscriptions"),
        ("DELETE", "/subscriptions/ana"),
    ):
        assert api.send(method, f"/lists/news{path}").status_code == 404, (method, path)
    assert api.get("/lists").json()["items"] == []
    assert api.get("/profiles/ana/lists").json()["results"] == []
    assert api.put("/lists/news/restore").status_code == 204
    assert subscribers(api, "news") == {"ana": None, "ben": None}
    assert api.put("/lists/other/restore").status_code == 404
    api.delete("/lists/news")
    assert api.put("/lists/news", {"name": "News"}).status_code == 204
    assert (subscribers(api, "news"), api.get("/lists/news").json()["number"]) == ({}, 1)


def test_people_are_added_replaced_and_taken_off(api: client.Client) -> None:
    """POST adds, PUT lets exactly those stay, and each makes the list; preferences stay where none are given."""
    added = api.post(
        "/lists/a.b/subscriptions",
        {"recipients": [{"recipientId": "ana", "preferences": PREFERS}, {"recipientId": "ben"}]},
    )
    assert (added.status_code, added.content) == (204, b"")
    assert api.post("/lists/a.b/subscriptions", people("ana", "cleo")).status_code == 204
    assert subscribers(api, "a.b") == {"ana": PREFERS, "ben": None, "cleo": None}
    assert api.put("/lists/a.b/subscriptions", people("ana", "dan")).status_code == 204
    assert subscribers(api, "a.b") == {"ana": PREFERS, "dan": None}
    assert api.put("/lists/a.b/subscriptions/eve", {"preferences": PREFERS}).status_code == 204
    assert api.put("/lists/a.b/subscriptions/dan").status_code == 204
    assert api.delete("/lists/a.b/subscriptions/ana").status_code == 204
    assert api.delete("/lists/a.b/subscriptions/ana").status_code == 404
    assert subscribers(api, "a.b") == {"dan": None, "eve": PREFERS}
    assert api.get("/lists/a").status_code == 404
    assert api.put("/lists/a.b/subscriptions", people()).status_code == 204
    assert subscribers(api, "a.b") == {}


def test_a_person_sees_and_leaves_their_lists(api: client.Client) -> None:
    """A person's lists are subscribed to, read with what they prefer on each, and left together."""
    wishes = {"lists": [{"listId": "news", "preferences": PREFERS}, {"listId": "alerts"}]}
    made = api.post("/profiles/ana/lists", wishes)
    assert (made.status_code, made.json()) == (200, {"status": "SUCCESS"})
    api.post("/lists/news/subscriptions", people("ben"))
    read = api.get("/profiles/ana/lists").json()
    assert read["paging"] == {"cursor": None, "more": False}
    assert [(one["id"], one["name"], one["preferences"]) for one in read["results"]] == [
        ("alerts", "alerts", None),
        ("news", "news", PREFERS),
    ]
    assert read["results"][0]["created"] == read["results"][0]["updated"] == "2026-01-05T12:00:00.000000Z"
    left = api.delete("/profiles/ana/lists")
    assert (left.status_code, left.json()) == (200, {"status": "SUCCESS"})
    assert api.get("/profiles/ana/lists").json()["results"] == []
    assert subscribers(api, "news") == {"ben": None}


def test_long_lists_come_in_pages(api: client.Client) -> None:
    """A hundred a page: following the cursor sees everybody once, and every list."""
    names = [f"user {number}" for number in range(230)]
    api.put("/lists/all/subscriptions", people(*names))
    api.post("/profiles/ana/lists", {"lists": [{"listId": f"l{number}"} for number in range(120)]})
    for path, query, key, name, count in (
        ("/lists/all/subscriptions", {}, "items", "recipientId", 230),
        ("/lists", {"pattern": "*"}, "items", "id", 121),
        ("/profiles/ana/lists", {}, "results", "id", 120),
    ):
        seen: list[str] = []
        cursor = None
        while True:
            page = api.get(path, params={**query, **({"cursor": cursor} if cursor else {})}).json()
            seen += [one[name] for one in page[key]]
            cursor = page["paging"]["cursor"]
            assert page["paging"]["more"] == (cursor is not None)
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == count
    refused = api.get("/lists/all/subscriptions", params={"cursor": "x"})
    assert (refused.status_code, list(client.faults(refused))) == (400, ["cursor"])


@pytest.mark.parametrize("list_id", ["sch/2026", "a%2Fb", "käse.ö"])
def test_any_id_is_one_part_of_the_path(lone_api: client.Client, list_id: str) -> None:
    """Whatever is encoded in a path part is the list's id, and the subscriber's."""
    path = f"/lists/{quote(list_id, safe='')}"
    assert lone_api.put(path, {"name": "x"}).status_code == 204
    assert lone_api.get(path).json()["id"] == list_id
    assert lone_api.put(f"{path}/subscriptions/{quote('a/b c', safe='')}").status_code == 204
    assert subscribers(lone_api, list_id) == {"a/b c": None}
    assert lone_api.delete(f"{path}/subscriptions/{quote('a/b c', safe='')}").status_code == 204
    assert lone_api.put(f"{path}/restore").status_code == 204


@pytest.mark.parametrize(
    ("method", "path", "body", "place"),
    [
        ("PUT", "/lists/a..b", {"name": "x"}, "list_id"),
        ("PUT", "/lists/a%20b/subscriptions", {"recipients": []}, "list_id"),
        ("PUT", "/lists/a", {}, "name"),
        ("PUT", "/lists/a", {"name": 7}, "name"),
        ("PUT", "/lists/a", {"name": "x", "preferences": []}, "preferences"),
        ("POST", "/lists/a/subscriptions", {}, "recipients"),
        ("POST", "/lists/a/subscriptions", {"recipients": [{}]}, "recipients[0].recipientId"),
        (
            "POST",
            "/lists/a/subscriptions",
            {"recipients": [{"recipientId": "x", "preferences": {"categories": {"c": {"status": 1}}}}]},
            "recipients[0].preferences.categories.c.status",
        ),
        ("POST", "/profiles/ana/lists", {"lists": [{"listId": "a*"}]}, "lists[0].listId"),
        ("PUT", f"/lists/a/subscriptions/{'x' * 256}", {}, "user_id"),
    ],
)
def test_what_is_wrong_is_refused_whole(
    lone_api: client.Client, method: str, path: str, body: Any, place: str
) -> None:
    """A request with a fault is a 400 that names its place, and makes no list."""
    answer = lone_api.send(method, path, json=body)
    assert (answer.status_code, answer.json()["type"]) == (400, "invalid_request_error")
    assert list(client.faults(answer)) == [place]
    assert lone_api.get("/lists").json()["items"] == []


def test_what_nobody_knows_is_named(lone_api: client.Client) -> None:
    """Unknown keys, at any depth, are passed over and named in a header."""
    answer = lone_api.post(
        "/lists/a/subscriptions?trace=1",
        {"recipients": [{"recipientId": "ana", "rank": 1, "preferences": {"x": 1}}], "more": 1},
    )
    assert answer.status_code == 204
    assert (
        answer.headers["heliograph-ignored"] == "more, recipients[0].preferences.x, recipients[0].rank, trace"
    )


def test_a_list_belongs_to_its_tenant(api: client.Client) -> None:
    """What a tenant's key made is that tenant's: to another one it is not there, and neither are its people."""
    acme, other = api.key("admin", tenant="acme"), api.key("admin", tenant="other")
    api.put("/profiles/ana", {"profile": {}}, key=acme)
    assert api.post("/lists/news/subscriptions", people("ana"), key=acme).status_code == 204
    for method, path, body in (
        ("GET", "/lists/news", None),
        ("PUT", "/lists/news", {"name": "mine"}),
        ("DELETE", "/lists/news", None),
        ("PUT", "/lists/news/restore", None),
        ("GET", "/lists/news/subscriptions", None),
        ("POST", "/lists/news/subscriptions", people("ben")),
        ("POST", "/lists/mine/subscriptions", people("ana")),
        ("DELETE", "/lists/news/subscriptions/ana", None),
    ):
        assert api.send(method, path, json=body, key=other).status_code == 404, (method, path)
    assert api.get("/lists", key=other).json()["items"] == []
    assert [one["id"] for one in api.get("/lists").json()["items"]] == ["news"]
    assert subscribers(api, "news") == {"ana": None}


# ── rules ───────────────────────────────────────────────────────────────────────────────────────────

ENLIST = {"type": "add_to_list", "list_id": "refunds.open"}


def test_a_rule_puts_its_contact_on_a_list(api: client.Client) -> None:
    """`add_to_list` succeeds in the turn, twice like once, and keeps what a subscriber prefers."""
    api.make_rule(conditions=None, actions=[ENLIST])
    api.put("/lists/refunds.open", {"name": "Refunds"})
    api.put("/lists/refunds.open/subscriptions/ben", {"preferences": PREFERS})
    events = [api.happen(contact_id=name) for name in ("ana", "ben", "ana")]
    api.decide()
    assert subscribers(api, "refunds.open") == {"ana": None, "ben": PREFERS}
    assert [api.runs(event)[0]["result"]["outcome"] for event in events] == ["executed"] * 3


def test_a_rule_tells_why_nobody_was_put_on_a_list(api: client.Client) -> None:
    """Without a contact, or where the list is not there, was deleted or is another tenant's, the action fails."""
    api.make_rule(conditions=None, actions=[ENLIST])
    nowhere, nobody = api.happen(contact_id="ana"), api.happen()
    api.decide()
    api.put("/lists/refunds.open", {"name": "Refunds"}, key=api.key("admin", tenant="acme"))
    others = api.happen(contact_id="ana")
    api.decide()
    own = api.happen(contact_id="ben", key=api.key("admin", tenant="acme"))
    api.decide()
    api.delete("/lists/refunds.open")
    deleted = api.happen(contact_id="ana")
    api.decide()
    events = (nowhere, nobody, others, own, deleted)
    told = [api.runs(event)[0]["result"]["actions"][0]["error"] for event in events]
    missing = "there is no list 'refunds.open'"
    no_contact = "the event has no contact_id, so there is nobody to put on the list"
    assert told == [missing, no_contact, missing, None, missing]


def test_a_rule_names_a_list(lone_api: client.Client) -> None:
    """An action whose `list_id` is none is refused at its place."""
    answer = lone_api.post(
        "/api/automation/rules", {**client.RULE, "actions": [{"type": "add_to_list", "list_id": "a..b"}]}
    )
    assert (answer.status_code, list(client.faults(answer))) == (422, ["actions[0].list_id"])


def test_a_dry_run_says_whether_the_list_is_there(api: client.Client) -> None:
    """The dry run of a rule looks for its list, and puts nobody on it."""
    asked = {"trigger_type": "order_placed", "actions": [ENLIST], "event_payload": {}, "contact_id": "ana"}
    for status in ("failed", "succeeded"):
        answer = api.post("/api/automation/rules/dry-run", asked)
        assert answer.status_code == 200, answer.text
        assert [one["outcome"]["status"] for one in answer.json()["actions"]] == [status]
        api.put("/lists/refunds.open", {"name": "Refunds"})
    assert subscribers(api, "refunds.open") == {}
