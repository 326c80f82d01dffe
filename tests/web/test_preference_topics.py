"""Topics: what people may choose from, what holds for whoever said nothing, and what a template is about."""

from typing import Any

import pytest

from tests.web import client

SECTIONS = "/preferences/sections"


def shop(api: client.Client) -> None:
    """A section with three topics, a template of each, and a rule for each template."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    assert api.post(SECTIONS, {"id": "shop", "name": "From the shop"}).status_code == 200
    for topic, status in (("offers", "OPTED_OUT"), ("orders", "REQUIRED"), ("news", "OPTED_IN")):
        api.clock.move(1)
        body = {"id": topic, "name": topic.title(), "default_status": status}
        assert api.post(f"{SECTIONS}/shop/topics", body).status_code == 200
        notification: dict[str, Any] = {
            "name": topic,
            "tags": [],
            "brand": None,
            "routing": None,
            "subscription": {"topic_id": topic},
            "content": {"version": "2022-01-01", "elements": [{"type": "text", "content": topic}]},
        }
        answer = api.post("/notifications", {"notification": notification, "state": "PUBLISHED"})
        assert answer.status_code == 200, answer.text
        action = {"type": "send_message", "template_id": answer.json()["id"]}
        api.make_rule(trigger_type=f"custom.{topic}", conditions=None, actions=[action])


def comes(api: client.Client, topic: str, key: str = "", who: str = "ana") -> bool:
    """Whether an event of a topic makes an e-mail to somebody."""
    before = len(api.mailbox.received)
    api.happen(f"custom.{topic}", contact_id=who, key=key)
    api.decide()
    return len(api.mailbox.received) > before


def say(api: client.Client, topic: str, status: str, query: str = "", who: str = "ana") -> int:
    answer = api.put(f"/users/{who}/preferences/{topic}{query}", {"topic": {"status": status}})
    return int(answer.status_code)


def tess(api: client.Client, tenant: str) -> str:
    """A key of a tenant, whose contact Tess is."""
    key = api.key("admin", tenant=tenant)
    api.put("/profiles/tess", {"profile": {"email": "tess@example.com"}}, key=key)
    return key


def test_a_topics_default_holds_until_somebody_speaks(api: client.Client) -> None:
    """OPTED_OUT is sent on request, OPTED_IN until it is refused, and REQUIRED whatever anybody says."""
    shop(api)
    assert [comes(api, topic) for topic in ("offers", "orders", "news")] == [False, True, True]
    assert say(api, "*", "OPTED_IN") == 200
    assert not comes(api, "offers"), "who wants everything has not asked for it"
    assert say(api, "offers", "OPTED_IN") == 200
    assert say(api, "*", "OPTED_OUT") == 200
    assert [comes(api, topic) for topic in ("offers", "orders", "news")] == [True, True, False]
    assert say(api, "orders", "OPTED_OUT") == 400
    both = [{"topic_id": topic, "status": "OPTED_OUT"} for topic in ("orders", "offers")]
    answer = api.post("/users/ana/preferences", {"topics": both}).json()
    assert [one["topic_id"] for one in answer["errors"]] == ["orders"]
    assert (comes(api, "orders"), comes(api, "offers")) == (True, False)
    listed = {one["topic_id"]: one for one in api.get("/users/ana/preferences").json()["items"]}
    assert {name: (one["status"], one["default_status"]) for name, one in listed.items()} == {
        "*": ("OPTED_OUT", "OPTED_IN"),
        "news": ("OPTED_IN", "OPTED_IN"),
        "offers": ("OPTED_OUT", "OPTED_OUT"),
        "orders": ("REQUIRED", "REQUIRED"),
    }
    assert (listed["news"]["topic_name"], listed["news"]["section_name"]) == ("News", "From the shop")


def test_a_step_of_a_journey_names_its_topic(api: client.Client) -> None:
    """A send with words of its own goes to who wants its topic, which may come from the run's data."""
    shop(api)
    message: dict[str, Any] = {
        "to": {"user_id": "ana"},
        "content": {"title": "${data.topic}", "body": "x"},
        "preferences": {"subscription_topic_id": "${data.topic}"},
    }

    def sent(topic: str) -> tuple[str, str | None]:
        steps = [{"action": "send", "message": message}]
        api.clock.move(1000)
        api.post("/automations/invoke", {"automation": {"steps": steps}, "data": {"topic": topic}})
        api.decide()
        newest = api.get("/messages").json()["results"][0]
        return newest["status"], newest.get("reason")

    assert sent("offers") == ("UNROUTABLE", "UNSUBSCRIBED")
    assert sent("news") == ("SENT", None)
    say(api, "news", "OPTED_OUT")
    say(api, "offers", "OPTED_IN")
    assert [sent(topic)[0] for topic in ("offers", "news", "orders")] == ["SENT", "UNROUTABLE", "SENT"]
    assert [mail.subject for mail in api.mailbox.received] == ["news", "offers", "orders"]
    for preferences, place in (("news", ""), ({}, ".subscription_topic_id"), ({"topic": "x"}, ".topic")):
        wrong = {**message, "preferences": preferences}
        answer = api.post(
            "/automations/invoke", {"automation": {"steps": [{"action": "send", "message": wrong}]}}
        )
        assert f"steps[0].message.preferences{place}" in client.faults(answer)


def test_a_tenants_default_goes_before_the_workspaces(api: client.Client) -> None:
    """What a tenant sets holds for its own messages, and is over when it is deleted, or the tenant is."""
    shop(api)
    key = tess(api, "acme")
    item = "/tenants/acme/default_preferences/items/news"
    assert api.put(item, {"status": "OPTED_OUT"}).status_code == 404
    api.put("/tenants/acme", {"name": "Acme"})
    assert api.put(item, {"status": "OPTED_OUT"}).status_code == 204
    assert api.get("/tenants/acme/default_preferences").json()["items"] == [
        {"id": "news", "status": "OPTED_OUT", "has_custom_routing": False, "custom_routing": []}
    ]
    assert (comes(api, "news", key, "tess"), comes(api, "news", who="tess")) == (False, True)
    assert say(api, "news", "OPTED_IN", "?tenant_id=acme", "tess") == 200
    assert comes(api, "news", key, "tess")
    api.delete("/users/tess/preferences/news?tenant_id=acme")
    assert client.faults(api.put(item, {"status": "MAYBE"})).keys() == {"status"}
    assert api.delete(item).status_code == 204
    assert api.delete(item).status_code == 404
    assert comes(api, "news", key, "tess")


def test_what_stands_above_a_tenant_holds_where_it_says_nothing(api: client.Client) -> None:
    """Defaults come down four levels, the nearest word first; what is REQUIRED anywhere above cannot be refused."""
    shop(api)

    def put(tenant: str, parent: str | None, **items: str) -> None:
        listed = [{"id": topic, "status": status} for topic, status in items.items()]
        body = {"name": tenant, "parent_tenant_id": parent, "default_preferences": {"items": listed}}
        assert api.put(f"/tenants/{tenant}", body).status_code == 200

    put("root", None, news="OPTED_OUT", offers="OPTED_IN")
    put("land", "root")
    put("town", "land", offers="OPTED_OUT")
    put("store", "town")
    key = tess(api, "store")
    topics = ("news", "offers", "orders")
    assert [comes(api, topic, key, "tess") for topic in topics] == [False, False, True]
    put("town", "land", news="OPTED_IN")
    assert [comes(api, topic, key, "tess") for topic in topics] == [True, True, True]
    put("root", None, news="REQUIRED")
    assert say(api, "news", "OPTED_OUT", "?tenant_id=store", "tess") == 400
    assert say(api, "offers", "OPTED_IN", "?tenant_id=store", "tess") == 200
    shown = {
        one["topic_id"]: one for one in api.get("/users/tess/preferences?tenant_id=store").json()["items"]
    }
    assert [shown[topic]["default_status"] for topic in topics] == ["OPTED_IN", "OPTED_OUT", "REQUIRED"]
    put("root", None, news="OPTED_OUT")
    put("town", None)
    assert comes(api, "news", key, "tess"), "it stands below nobody any more"
    assert api.put("/tenants/town", {"name": "town", "parent_tenant_id": "root"}).status_code == 200
    assert not comes(api, "news", key, "tess"), "a tenant that is moved takes what holds there"
    assert comes(api, "news", who="tess"), "outside of tenants the workspace's own holds"


def test_a_tenants_defaults_are_told_with_it(api: client.Client) -> None:
    """A tenant is put with all of its defaults, keeps them where they are left out, and is listed with them."""
    news = {"id": "news", "status": "OPTED_IN", "has_custom_routing": True, "custom_routing": ["push"]}
    body = {"name": "Acme", "default_preferences": {"items": [{"id": "news", **news}]}}
    assert api.put("/tenants/acme", body).json()["default_preferences"] == {"items": [news]}
    assert api.put("/tenants/acme", {"name": "Acme"}).json()["default_preferences"] == {"items": [news]}
    assert api.get("/tenants").json()["items"][0]["default_preferences"] == {"items": [news]}
    api.put("/tenants/acme/default_preferences/items/offers", {"status": "OPTED_OUT"})
    assert [one["id"] for one in api.get("/tenants/acme").json()["default_preferences"]["items"]] == [
        "news",
        "offers",
    ]
    nothings: tuple[Any, ...] = (None, {}, {"items": None}, {"items": []})
    for nothing in nothings:
        api.put("/tenants/acme", body)
        assert api.put("/tenants/acme", {"name": "A", "default_preferences": nothing}).status_code == 200
        assert api.get("/tenants/acme").json()["default_preferences"] is None
    wrong = {
        "name": 1,
        "default_preferences": {"items": [{"id": "a", "status": "MAYBE"}, {"status": "OPTED_IN"}]},
    }
    assert client.faults(api.put("/tenants/acme", wrong)).keys() == {
        "name",
        "default_preferences.items[0].status",
        "default_preferences.items[1].id",
    }
    assert client.faults(api.put("/tenants/acme", {"name": "A", "default_preferences": []})).keys() == {
        "default_preferences"
    }


def test_quiet_hours_and_caps_know_topics(api: client.Client) -> None:
    """A policy for a topic holds for every template of it, and one for the template goes before it."""
    shop(api)
    api.put("/api/sending-policy", {"topics": {"news": {"caps": [{"limit": 1, "period": "P1D"}]}}})
    assert [comes(api, "news") for _ in range(2)] == [True, False]
    (capped, *_) = api.get("/messages?status=THROTTLED").json()["results"]
    api.put(
        "/api/sending-policy",
        {"topics": {"news": {"caps": [{"limit": 1, "period": "P1D"}]}, capped["notification"]: {"caps": []}}},
    )
    assert comes(api, "news")


def test_sections_and_topics_are_kept(api: client.Client) -> None:
    """They are made, read, replaced, listed and deleted; a section goes when its last topic has gone."""
    shop(api)
    topic = f"{SECTIONS}/shop/topics/news"
    whole: dict[str, Any] = {
        "name": "The news",
        "default_status": "OPTED_IN",
        "description": "Once a week",
        "routing_options": ["email", "push"],
        "allowed_preferences": ["channel_preferences"],
        "include_unsubscribe_header": True,
        "topic_data": {"colour": "red"},
    }
    put = api.put(topic, {**whole, "mood": 1})
    assert (put.status_code, put.headers["Heliograph-Ignored"]) == (200, "mood")
    read = api.get(topic).json()
    assert {name: read[name] for name in whole} == whole
    assert api.put(topic, {"name": "News", "default_status": "OPTED_IN"}).json()["routing_options"] == []
    section = api.put(
        f"{SECTIONS}/shop", {"name": "Shop", "has_custom_routing": True, "routing_options": ["sms"]}
    ).json()
    assert (section["name"], section["has_custom_routing"], section["routing_options"]) == (
        "Shop",
        True,
        ["sms"],
    )
    assert [one["id"] for one in section["topics"]] == ["offers", "orders", "news"]
    assert api.get(SECTIONS).json()["results"] == [api.get(f"{SECTIONS}/shop").json()]
    assert api.get(f"{SECTIONS}/shop/topics").json()["results"] == section["topics"]
    other = api.post(SECTIONS, {"name": "Other"}).json()["id"]
    assert api.get(f"{SECTIONS}/{other}/topics/news").status_code == 404
    assert api.post(f"{SECTIONS}/{other}/topics", {"id": "news", **whole}).status_code == 409
    assert api.delete(f"{SECTIONS}/shop").status_code == 409
    for name in ("offers", "orders", "news"):
        assert api.delete(f"{SECTIONS}/shop/topics/{name}").status_code == 204
    assert api.delete(f"{SECTIONS}/shop").status_code == 204
    assert api.get(f"{SECTIONS}/shop").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "places"),
    [
        ("", {}, {"name"}),
        ("", {"id": "a b", "name": "A"}, {"id"}),
        ("", {"name": "A", "routing_options": ["fax"]}, {"routing_options"}),
        ("/shop/topics", {"name": "A"}, {"default_status"}),
        ("/shop/topics", {"name": 1, "default_status": "MAYBE"}, {"name", "default_status"}),
        ("/shop/topics", {"name": "A", "default_status": "OPTED_IN", "digest": {}}, {"digest"}),
        (
            "/shop/topics",
            {"name": "A", "default_status": "OPTED_IN", "allowed_preferences": ["x"], "topic_data": []},
            {"allowed_preferences", "topic_data"},
        ),
    ],
)
def test_faults_of_topics_have_their_places(
    lone_api: client.Client, path: str, body: dict[str, Any], places: set[str]
) -> None:
    """A body that cannot be is refused with every fault, and a tenant's key makes none."""
    lone_api.post(SECTIONS, {"id": "shop", "name": "Shop"})
    answer = lone_api.post(f"{SECTIONS}{path}", body)
    assert (answer.status_code, set(client.faults(answer))) == (400, places)
    assert lone_api.post(SECTIONS, {"name": "A"}, key=lone_api.key("admin", tenant="acme")).status_code == 403


def test_a_profile_shows_what_somebody_said(api: client.Client) -> None:
    """`preferences` stands beside the profile once its person said anything."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    assert api.get("/profiles/ana").json() == {"profile": {"email": "ana@example.com"}}
    api.put(
        "/users/ana/preferences/news", {"topic": {"status": "OPTED_IN", "custom_routing": ["email", "push"]}}
    )
    shown = api.get("/profiles/ana").json()["preferences"]["notifications"]["news"]
    assert shown["status"] == "OPTED_IN"
    assert shown["channel_preferences"] == [{"channel": "email"}, {"channel": "push"}]
