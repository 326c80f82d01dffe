"""What people want to hear of: preferences, suppressions and unsubscribing, over HTTP."""

import email
import email.policy
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.web import client

SEND = {"type": "send_message", "template_id": "weekly"}
ADDRESS = "ana@example.com"


@pytest.fixture
def public_api(database_url: str) -> Iterator[client.Client]:
    """A client of an application that people reach at an address."""
    with client.Client(database_url, public_url="https://mail.example/") as made:
        yield made


def ready(api: client.Client, **whose: str) -> None:
    """Ana, a template, and a rule that sends it to her; by `key` she is a tenant's."""
    api.put("/profiles/ana", {"profile": {"email": ADDRESS}}, **whose)
    api.world.template("weekly", subject="News", text="Hello")
    api.make_rule(conditions=None, actions=[SEND])


def send(api: client.Client) -> tuple[int, dict[str, Any], dict[str, Any]]:
    """How many e-mails one event makes, the newest message, and the rule's run."""
    before = len(api.mailbox.received)
    event = api.happen(contact_id="ana")
    api.decide()
    (run,) = api.runs(event)
    return len(api.mailbox.received) - before, api.get("/messages").json()["results"][0], run


def test_preferences_are_said_read_and_taken_back(api: client.Client) -> None:
    """One topic or many are put, added, replaced and deleted; who said nothing has agreed."""
    answer = api.put("/users/ana/preferences/news", {"topic": {"status": "OPTED_OUT"}})
    assert (answer.status_code, answer.json()) == (200, {"message": "success"})
    fresh = api.get("/users/ana/preferences/other").json()["topic"]
    assert fresh == {
        "topic_id": "other",
        "topic_name": "other",
        "status": "OPTED_IN",
        "default_status": "OPTED_IN",
        "has_custom_routing": False,
        "custom_routing": [],
    }
    assert api.get("/users/ana/preferences/news").json()["topic"]["status"] == "OPTED_OUT"
    routed = {
        "topic_id": "tips/2026",
        "status": "OPTED_IN",
        "has_custom_routing": True,
        "custom_routing": ["push"],
    }
    added = api.post("/users/ana/preferences", {"topics": [routed]})
    assert (added.status_code, added.json()) == (200, {"items": [routed], "errors": []})
    listed = api.get("/users/ana/preferences").json()
    assert listed["paging"] == {"cursor": None, "more": False}
    assert [(one["topic_id"], one["status"], one["custom_routing"]) for one in listed["items"]] == [
        ("news", "OPTED_OUT", []),
        ("tips/2026", "OPTED_IN", ["push"]),
    ]
    replaced = api.put("/users/ana/preferences", {"topics": [{"topic_id": "a", "status": "OPTED_IN"}]}).json()
    assert (replaced["deleted"], [one["topic_id"] for one in replaced["items"]]) == (
        ["news", "tips/2026"],
        ["a"],
    )
    assert api.delete("/users/ana/preferences/a").status_code == 204
    assert api.get("/users/ana/preferences").json()["items"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "place"),
    [
        ("PUT", "", {}, "topics"),
        ("POST", "", {"topics": []}, "topics"),
        ("POST", "", {"topics": [{"topic_id": str(n), "status": "OPTED_IN"} for n in range(51)]}, "topics"),
        ("POST", "", {"topics": [{"status": "OPTED_IN"}]}, "topics[0].topic_id"),
        ("POST", "", {"topics": [{"topic_id": "a", "status": "NO"}]}, "topics[0].status"),
        (
            "PUT",
            "/news",
            {"topic": {"status": "OPTED_IN", "custom_routing": ["fax"]}},
            "topic.custom_routing",
        ),
        ("PUT", "/news", {}, "topic"),
    ],
)
def test_wrong_preferences_are_refused(
    lone_api: client.Client, method: str, path: str, body: Any, place: str
) -> None:
    """A fault is a 400 at its place, and nothing is said by it."""
    answer = lone_api.send(method, f"/users/ana/preferences{path}", json=body)
    assert (answer.status_code, list(client.faults(answer))) == (400, [place])
    assert lone_api.get("/users/ana/preferences").json()["items"] == []


@pytest.mark.parametrize(
    ("topic", "said", "mails"),
    [
        ("weekly", {"status": "OPTED_OUT"}, 0),
        ("weekly", {"status": "OPTED_IN", "custom_routing": ["push"]}, 0),
        ("*", {"status": "OPTED_OUT"}, 0),
        ("daily", {"status": "OPTED_OUT"}, 1),
        ("weekly", {"status": "OPTED_IN", "custom_routing": ["email"]}, 1),
    ],
)
def test_who_opted_out_is_not_written_to(
    api: client.Client, topic: str, said: dict[str, Any], mails: int
) -> None:
    """A message that its recipient does not want ends UNROUTABLE, and its action is skipped, which is no failure."""
    ready(api)
    api.put(f"/users/ana/preferences/{topic}", {"topic": said})
    count, message, run = send(api)
    assert count == mails
    if mails:
        assert message["status"] == "SENT"
        return
    told = (message["status"], message["reason"], message["error"])
    assert told == ("UNROUTABLE", "UNSUBSCRIBED", "opted_out")
    assert (run["result"]["actions"][0]["status"], run["result"]["outcome"]) == ("skipped", "executed")
    api.delete(f"/users/ana/preferences/{topic}")
    assert send(api)[0] == 1


def test_a_tenants_people_say_it_to_their_tenant(api: client.Client) -> None:
    """What is said to a tenant counts for its messages alone, and another tenant's key neither sees nor says it."""
    acme = api.key("admin", tenant="acme")
    ready(api, key=acme)
    api.put("/users/ana/preferences/weekly?tenant_id=acme", {"topic": {"status": "OPTED_OUT"}})
    assert send(api)[0] == 1
    assert [one["topic_id"] for one in api.get("/users/ana/preferences", key=acme).json()["items"]] == [
        "weekly"
    ]
    assert api.get("/users/ana/preferences").json()["items"] == []
    assert api.get("/users/ana/preferences?tenant_id=other", key=acme).status_code == 404
    api.happen(contact_id="ana", key=acme)
    api.decide()
    assert api.get("/messages").json()["results"][0]["error"] == "opted_out"


# ── suppressions ────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_sent_to_a_suppressed_address(api: client.Client) -> None:
    """A message to it ends when it is planned, and one that is in line already when it is claimed."""
    ready(api)
    api.patch("/api/automation/control", {"hold_deliveries": True})
    in_line = api.happen(contact_id="ana")
    api.decide()
    made = api.post("/api/suppressions", {"address": " Ana@Example.com ", "reason": "complaint"})
    assert (made.status_code, made.json()["address"], made.json()["reason"]) == (201, ADDRESS, "complaint")
    planned = api.happen(contact_id="ana")
    api.decide()
    api.patch("/api/automation/control", {"hold_deliveries": False})
    api.decide()
    assert api.mailbox.received == []
    found = api.get("/messages").json()["results"]
    assert {(one["status"], one["reason"], one["error"]) for one in found} == {
        ("UNROUTABLE", "UNSUBSCRIBED", "suppressed")
    }
    for event in (in_line, planned):
        assert api.runs(event)[0]["result"]["actions"][0]["status"] == "skipped"
    assert api.delete(f"/api/suppressions/{quote(ADDRESS)}").status_code == 204
    assert api.delete(f"/api/suppressions/{quote(ADDRESS)}").status_code == 404
    assert send(api)[0] == 1


def test_suppressions_come_and_go_as_csv(api: client.Client) -> None:
    """A file is taken whole or not at all; what was brought in is listed in pages and goes out again."""
    wrong = api.post("/api/suppressions/import", content=b"address\nana@example.com\nnobody\n")
    assert (wrong.status_code, list(client.faults(wrong))) == (422, ["line 3: address"])
    assert api.get("/api/suppressions").json() == {"data": [], "next_cursor": None}
    text = "address,reason\nBen@example.com,bounce\nana@example.com,\n+442079460123,unsubscribe\n"
    taken = api.post("/api/suppressions/import", content=text.encode())
    assert (taken.status_code, taken.json()) == (200, {"rows": 3})
    first = api.get("/api/suppressions?limit=2").json()
    second = api.get("/api/suppressions", params={"cursor": first["next_cursor"]}).json()
    assert [(one["address"], one["reason"]) for one in (*first["data"], *second["data"])] == [
        ("+442079460123", "unsubscribe"),
        ("ana@example.com", "manual"),
        ("ben@example.com", "bounce"),
    ]
    assert second["next_cursor"] is None
    lines = api.get("/api/suppressions/export").text.splitlines()
    assert lines[0] == "address,reason,created_at"
    assert [line.rpartition(",")[0] for line in lines[1:]] == [
        "'+442079460123,unsubscribe",
        "ana@example.com,manual",
        "ben@example.com,bounce",
    ]
    again = "\n".join(lines).encode()
    assert api.post("/api/suppressions/import", content=again).json() == {"rows": 3}


def test_suppressions_are_walked_whatever_their_addresses_are(api: client.Client) -> None:
    """Each is on one page, also where a bar stands in addresses and tenants; what is no cursor is refused."""
    keys = ["", api.key("admin", tenant="a|b"), api.key("admin", tenant="a")]
    for address in ("a|b@example.com", "a@example.com", "b|@example.com", "+12025550123"):
        for key in keys:
            assert api.post("/api/suppressions", {"address": address}, key=key).status_code == 201
    wanted = [(one["address"], one["tenant_id"]) for one in api.get("/api/suppressions").json()["data"]]
    seen: list[tuple[str, str | None]] = []
    query: dict[str, Any] = {"limit": 1}
    while len(seen) <= len(wanted):
        page = api.get("/api/suppressions", params=query).json()
        seen += [(one["address"], one["tenant_id"]) for one in page["data"]]
        query["cursor"] = page["next_cursor"]
        if query["cursor"] is None:
            break
    assert len(wanted) == 12
    assert seen == wanted
    for forged in ("a@example.com|", "13|a@example.com", "9|", "|", "٣|abc|"):
        refused = api.get("/api/suppressions", params={"cursor": forged})
        assert (refused.status_code, list(client.faults(refused))) == (400, ["cursor"])


def test_a_tenants_suppression_is_its_own(api: client.Client) -> None:
    """It holds for the tenant's messages alone; the workspace's holds for everybody's."""
    acme = api.key("admin", tenant="acme")
    ready(api, key=acme)
    api.post("/api/suppressions", {"address": ADDRESS}, key=acme)
    assert send(api)[0] == 1
    api.happen(contact_id="ana", key=acme)
    api.decide()
    assert api.get("/messages").json()["results"][0]["error"] == "suppressed"
    assert api.get("/api/suppressions", key=api.key("admin", tenant="other")).json()["data"] == []


# ── unsubscribing ───────────────────────────────────────────────────────────────────────────────────


def test_one_click_unsubscribes_and_a_look_does_not(public_api: client.Client) -> None:
    """The link shows a page and changes nothing; a POST to it unsubscribes, and the page's button undoes it."""
    api = public_api
    ready(api)
    assert send(api)[0] == 1
    (mail,) = api.mailbox.received
    headers = email.message_from_bytes(mail.raw, policy=email.policy.default)
    link = re.fullmatch(r"<https://mail\.example(/unsubscribe/[\w-]+)>", headers["List-Unsubscribe"])
    assert link is not None
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert api.send("HEAD", link[1], key=None).status_code == 200
    page = api.get(link[1], key=None)
    assert (page.status_code, page.headers["content-type"].split(";")[0]) == (200, "text/html")
    assert (ADDRESS in page.text, 'value="stop"' in page.text) == (True, True)
    assert send(api)[0] == 1
    form = {"content-type": "application/x-www-form-urlencoded"}
    done = api.send("POST", link[1], key=None, content=b"List-Unsubscribe=One-Click", headers=form)
    assert (done.status_code, "no e-mails from us any more" in done.text) == (200, True)
    count, message, _ = send(api)
    assert (count, message["error"]) == (0, "opted_out")
    said = api.get("/users/ana/preferences").json()["items"]
    assert [(one["topic_id"], "email" in one["custom_routing"]) for one in said] == [("*", False)]
    api.send("POST", link[1], key=None, content=b"choice=again", headers=form)
    assert send(api)[0] == 1


def test_a_link_that_was_changed_does_nothing(public_api: client.Client) -> None:
    """A link that nobody signed is a 404, for a look and for a click."""
    for method in ("GET", "POST"):
        assert public_api.send(method, "/unsubscribe/AAAA", key=None).status_code == 404


def test_people_choose_topic_by_topic(public_api: client.Client) -> None:
    """A signed page shows what somebody hears of; looking changes nothing, saving only what was shown."""
    api = public_api
    ready(api)
    section = api.post("/preferences/sections", {"id": "shop", "name": "<Shop>"}).json()["id"]
    for topic, status in (("offers", "OPTED_OUT"), ("orders", "REQUIRED"), ("weekly", "OPTED_IN")):
        body = {"id": topic, "name": topic.title(), "default_status": status}
        api.post(f"/preferences/sections/{section}/topics", body)
    assert api.post("/api/preference-links", {"user_id": "nobody"}).status_code == 404
    assert client.faults(api.post("/api/preference-links", {"user": "ana"})).keys() == {"user", "user_id"}
    url = api.post("/api/preference-links", {"user_id": "ana"}).json()["url"]
    assert url.startswith("https://mail.example/unsubscribe/")
    path = url.removeprefix("https://mail.example")
    page = api.get(path, key=None)
    boxes = re.findall(r'type="checkbox" name="topic" value="(\w+)"( checked)?( disabled)?>', page.text)
    assert sorted(boxes) == [
        ("offers", "", ""),
        ("orders", " checked", " disabled"),
        ("weekly", " checked", ""),
    ]
    assert "&lt;Shop&gt;" in page.text
    assert api.get("/users/ana/preferences/weekly").json()["topic"]["status"] == "OPTED_IN"
    form = {"content-type": "application/x-www-form-urlencoded"}
    saved = api.send("POST", path, key=None, headers=form, content="shown=offers&topic=offers&shown=orders")
    assert (saved.status_code, "Saved." in saved.text) == (200, True)
    said = {one["topic_id"]: one["status"] for one in api.get("/users/ana/preferences").json()["items"]}
    assert said == {"offers": "OPTED_IN", "orders": "REQUIRED", "weekly": "OPTED_IN"}
    api.send("POST", path, key=None, headers=form, content="shown=weekly&shown=offers&topic=offers")
    assert send(api)[0] == 0
    assert api.get(f"{path[: -len('/topics')]}x/topics", key=None).status_code == 404
    assert 'topics">Choose topic by topic</a>' in api.get(path.removesuffix("/topics"), key=None).text


def test_who_unsubscribes_is_in_the_log(public_api: client.Client) -> None:
    """What is said on the page behind a link is logged like what programs say, and is its deleted person's no more."""
    api = public_api
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    link = api.post("/api/preference-links", {"user_id": "ana"}).json()["url"].removesuffix("/topics")
    path = "/unsubscribe/" + link.rpartition("/")[2]
    assert api.post(path, key=None).status_code == 200
    (change,) = logged(api, "?user_id=ana")
    assert (change["topic_id"], change["status"]) == ("*", "OPTED_IN")
    assert "email" not in change["custom_routing"]
    api.delete("/profiles/ana")
    assert logged(api, "?user_id=ana") == []
    assert [one["topic_id"] for one in logged(api)] == ["*"]


def logged(api: client.Client, query: str = "") -> list[dict[str, Any]]:
    """The changes of preferences that a query finds."""
    found: list[dict[str, Any]] = api.get(f"/preferences/logs{query}").json()["items"]
    return found
