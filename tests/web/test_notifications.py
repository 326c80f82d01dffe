"""Stored templates over HTTP: drafts, versions, content in parts and aliases, as Courier's clients read them."""

from typing import Any

import pytest

from heliograph import errors
from tests.web.client import Client, faults

CONTENT: dict[str, Any] = {
    "version": "2022-01-01",
    "elements": [
        {
            "type": "channel",
            "channel": "email",
            "elements": [
                {"type": "meta", "title": "Hello {first_name}"},
                {
                    "type": "text",
                    "content": "Your order {{data.order}}",
                    "locales": {"fr": {"content": "Commande"}},
                },
                {"type": "action", "content": "See", "href": "https://shop.example/{{data.order}}"},
            ],
        }
    ],
}


def create(api: Client, state: str | None = "PUBLISHED", **fields: Any) -> dict[str, Any]:
    """A template; gives it as it is answered."""
    notification = {"name": "Order", "tags": ["shop"], "content": CONTENT, **fields}
    body = {"notification": notification, **({} if state is None else {"state": state})}
    answer = api.post("/notifications", body)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def text(elements: list[dict[str, Any]]) -> str:
    """What the first text element says."""
    return str(next(one["content"] for one in elements[0]["elements"] if one["type"] == "text"))


def test_a_template_is_made_read_listed_and_replaced(api: Client) -> None:
    """The wire's shape: fields at the top, instants in milliseconds, references as objects, ids on every element."""
    made = create(api, state="published", alias="order-placed", subscription={"topic_id": "orders"})
    assert (made["state"], made["alias"], made["name"], made["tags"]) == (
        "PUBLISHED",
        "order-placed",
        "Order",
        ["shop"],
    )
    assert made["created"] == made["updated"] == api.clock.now() // 1000
    assert (made["brand"], made["routing"], made["subscription"]) == (None, None, {"topic_id": "orders"})
    assert made["creator"] == made["updater"] != ""
    elements = made["content"]["elements"]
    assert [elements[0]["id"], *(one["id"] for one in elements[0]["elements"])] == ["e1", "e2", "e3", "e4"]
    path = f"/notifications/{made['id']}"
    assert api.get(path).json() == api.get("/notifications/order-placed").json() == made
    listed = api.get("/notifications").json()
    assert listed["paging"] == {"more": False, "cursor": None}
    (one,) = listed["results"]
    assert {
        name: made[name] for name in ("id", "name", "created", "creator", "state", "tags", "updated")
    } == {name: one[name] for name in ("id", "name", "created", "creator", "state", "tags", "updated")}
    assert one["subscription_topic_id"] == one["topic_id"] == "orders"
    replaced = api.put(path, {"notification": {"name": "Changed", "content": CONTENT, "tags": []}}).json()
    assert (replaced["name"], replaced["state"], replaced["alias"]) == ("Changed", "DRAFT", "order-placed")
    assert api.get(path).json()["name"] == "Order"
    assert api.get(path, params={"version": "draft"}).json()["name"] == "Changed"


def test_lists_are_chosen_by_tags_and_names(lone_api: Client) -> None:
    """`tags` wants all of them, in any case; `event_id` the template that is sent by this name."""
    first = create(lone_api, tags=["Shop", "mail"], alias="placed")["id"]
    create(lone_api, tags=["shop"])

    def ids(**query: str) -> list[str]:
        return [one["id"] for one in lone_api.get("/notifications", params=query).json()["results"]]

    assert ids(tags="SHOP,mail") == [first]
    assert len(ids(tags="shop")) == 2
    assert ids(event_id="placed") == [first]
    ignored = lone_api.get("/notifications", params={"color": "red"})
    assert ignored.headers["heliograph-ignored"] == "color"


def test_what_is_published_is_a_version(api: Client) -> None:
    """A draft becomes the next version, one without changes does not, and an old one can be published again."""
    path = f"/notifications/{create(api, state=None)['id']}"
    assert api.get(path).json()["state"] == "DRAFT"
    for where in (path, f"{path}/content"):
        assert api.get(where, params={"version": "published"}).status_code == 404

    def versions() -> list[str]:
        return [one["version"] for one in api.get(f"{path}/versions").json()["versions"]]

    assert versions() == ["draft"]
    for _ in range(2):
        assert api.post(f"{path}/publish").status_code == 204
        assert versions() == ["draft", "published:v001"]
        assert api.get(path, params={"version": "published"}).json()["state"] == "PUBLISHED"
    changed = api.put(
        f"{path}/elements/e3", {"type": "text", "data": {"content": "New"}, "state": "PUBLISHED"}
    )
    assert changed.json()["state"] == "PUBLISHED"
    assert versions() == ["draft", "published:v002", "v001"]
    assert api.post(f"{path}/publish", {"version": "v001"}).status_code == 204
    listed = api.get(f"{path}/versions").json()["versions"]
    assert [one["version"] for one in listed] == ["draft", "v002", "published:v001"]
    assert (listed[0]["has_changes"], "has_changes" in listed[1]) == (True, False)
    assert text(api.get(path).json()["content"]["elements"]) == "Your order {{data.order}}"
    assert text(api.get(path, params={"version": "v002"}).json()["content"]["elements"]) == "New"
    assert api.get(path, params={"version": "v009"}).status_code == 404
    assert api.post(f"{path}/publish", {"version": "v009"}).status_code == 404
    paged = api.get(f"{path}/versions", params={"limit": 2}).json()
    assert paged["paging"] == {"more": True, "cursor": "v002"}
    rest = api.get(f"{path}/versions?cursor=v002").json()["versions"]
    assert [one["version"] for one in rest] == ["published:v001"]
    assert api.post(f"{path}/publish", {"version": "v002"}).status_code == 204
    # Another version is published now: the place of a page is the same.
    assert len(api.get(f"{path}/versions?cursor=v002").json()["versions"]) == 1


def test_content_is_changed_in_parts(api: Client) -> None:
    """Content, one element, and one locale are replaced in the draft; answers name every element's checksum."""
    path = f"/notifications/{create(api)['id']}"
    first = api.get(f"{path}/content").json()
    assert first["version"] == "2022-01-01"
    element = first["elements"][0]["elements"][1]
    assert set(element["locales"]["fr"]) == {"checksum"}
    changed = api.put(f"{path}/locales/de", {"elements": [{"id": "e3", "content": "Bestellung"}]}).json()
    assert [one["id"] for one in changed["elements"]] == ["e1", "e2", "e3", "e4"]
    assert changed["elements"][2]["checksum"] == element["checksum"]
    draft = api.get(path, params={"version": "draft"}).json()["content"]["elements"][0]["elements"][1]
    assert draft["locales"] == {"fr": {"content": "Commande"}, "de": {"content": "Bestellung"}}
    replaced = api.put(
        f"{path}/elements/e3", {"type": "text", "data": {"content": "New"}, "if": "data.vip"}
    ).json()
    assert replaced["elements"][2]["checksum"] != element["checksum"]
    assert api.put(f"{path}/elements/e9", {"type": "text", "data": {"content": "x"}}).status_code == 404
    assert list(faults(api.put(f"{path}/locales/de", {"elements": [{"id": "e9"}]}))) == ["elements[0].id"]
    whole = {"content": {"elements": [{"type": "text", "content": "Only this"}]}, "state": "PUBLISHED"}
    assert api.put(f"{path}/content", whole).json()["version"] == "2022-01-01"
    assert api.get(path).json()["content"]["elements"] == [
        {"type": "text", "content": "Only this", "id": "e1"}
    ]


def test_what_nobody_knows_of_a_part_is_named(lone_api: Client) -> None:
    """A field of one element, or of what elements say in one locale, that shows nothing is kept and named."""
    path = f"/notifications/{create(lone_api)['id']}"
    inner = {"type": "text", "content": "a", "locales": {"de": {"content": "b", "x": 1}}, "imgSrc": "c"}
    element = {"type": "group", "data": {"elements": [inner], "width": "1px", "tall": True}, "mood": "good"}
    told = lone_api.put(f"{path}/elements/e3", element)
    assert told.status_code == 200, told.text
    assert sorted(told.headers["heliograph-ignored"].split(", ")) == [
        "data.elements[0].imgSrc",
        "data.elements[0].locales.de.x",
        "data.tall",
        "mood",
    ]
    told = lone_api.put(f"{path}/locales/fr", {"elements": [{"id": "e3", "content": "d", "colour": "red"}]})
    assert (told.status_code, told.headers["heliograph-ignored"]) == (200, "elements[0].colour")
    # It is drawn before it is named: what is refused names its fault alone.
    wrong = lone_api.put(f"{path}/locales/fr", {"elements": [{"id": "e9", "colour": "red"}]})
    assert list(faults(wrong)) == ["elements[0].id"]


def test_an_archived_template_is_read_and_not_sent(api: Client) -> None:
    """It is listed no more, changed no more and found by no send; who asks for it can still read it."""
    made = create(api, alias="order")
    path = f"/notifications/{made['id']}"
    assert api.delete(path).status_code == 204
    assert api.get("/notifications").json()["results"] == []
    assert api.get(path).json() == made | {"updated": api.get(path).json()["updated"]}
    assert api.put(path, {"notification": {"name": "x", "content": CONTENT}}).status_code == 409
    assert api.post(f"{path}/publish").status_code == 409
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    api.make_rule(actions=[{"type": "send_message", "template_id": "order"}])
    event = api.happen(contact_id="ana", payload={"message": {"text": "refund"}})
    api.decide()
    (action,) = api.runs(event)[0]["result"]["actions"]
    assert (action["status"], action["error"]) == ("failed", "there is no template 'order'")


def test_an_alias_belongs_to_one_template(lone_api: Client) -> None:
    """Another template's alias or id is refused with 409; null lets it go, leaving it out keeps it."""
    first, second = create(lone_api, alias="a"), create(lone_api)
    wanted = {"name": "x", "content": CONTENT, "alias": "a"}
    assert lone_api.put(f"/notifications/{second['id']}", {"notification": wanted}).status_code == 409
    assert (
        lone_api.post("/notifications", {"notification": {**wanted, "alias": first["id"]}}).status_code == 409
    )
    kept = {"notification": {"name": "x", "content": CONTENT}}
    assert lone_api.put(f"/notifications/{first['id']}", kept).json()["alias"] == "a"
    dropped = {"notification": {"name": "x", "content": CONTENT, "alias": None}}
    assert "alias" not in lone_api.put(f"/notifications/{first['id']}", dropped).json()
    assert lone_api.put(f"/notifications/{second['id']}", {"notification": wanted}).status_code == 200


def test_an_archived_template_lets_its_alias_go(api: Client) -> None:
    """Whoever takes its alias is sent by that name from then on; it keeps its id, by which it is read."""
    first = create(api, alias="order")
    assert api.delete("/notifications/order").status_code == 204
    assert api.get("/notifications/order").json()["id"] == first["id"]
    second, third = create(api, alias="order"), create(api)
    assert api.get("/notifications/order").json()["id"] == second["id"]
    assert "alias" not in api.get(f"/notifications/{first['id']}").json()
    api.delete(f"/notifications/{second['id']}")
    renamed = {"notification": {"name": "x", "content": CONTENT, "alias": "order"}}
    assert api.put(f"/notifications/{third['id']}", renamed).status_code == 200
    assert api.get("/notifications/order").json()["id"] == third["id"]


def test_an_alias_is_nobody_elses_id(lone_api: Client) -> None:
    """A template that comes from a file under an id which is another's alias is refused: sends would change hands."""
    create(lone_api, alias="order")
    with pytest.raises(errors.Conflict):
        lone_api.world.template("order", subject="Other", text="Other")


def test_a_repeated_request_makes_one_template(lone_api: Client) -> None:
    """An Idempotency-Key finds what it made; with another body it is refused."""
    body = {"notification": {"name": "Order", "content": CONTENT}}
    headers = {"Idempotency-Key": "first"}
    made = [lone_api.post("/notifications", body, headers=headers).json()["id"] for _ in range(2)]
    assert made[0] == made[1]
    other = {"notification": {"name": "Other", "content": CONTENT}}
    assert lone_api.post("/notifications", other, headers=headers).status_code == 422


def test_whom_mails_are_from(api: Client) -> None:
    """`email` names sender and reply-to, filled when sent; kept where left out, cleared by null; copies are refused."""
    email = {"from": "{{ data.shop }} <a@example.com>", "reply_to": "b@example.com"}
    path = f"/notifications/{create(api, email=email)['id']}"
    assert api.get(path).json()["email"]["reply_to"] == "b@example.com"
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}})
    step = {"action": "send", "recipient": "ana", "template": path.rsplit("/", 1)[1], "data": {"shop": "Tea"}}
    assert api.post("/automations/invoke", {"automation": {"steps": [step]}}).status_code == 200
    api.decide()
    assert b"From: Tea <a@example.com>\r\nReply-To: b@example.com\r\n" in api.mailbox.received[0].raw
    kept = api.put(path, {"notification": {"name": "x", "content": CONTENT}}).json()
    assert kept["email"]["from"] == "{{ data.shop }} <a@example.com>"
    assert (
        "email"
        not in api.put(path, {"notification": {"name": "x", "content": CONTENT, "email": None}}).json()
    )
    copied = api.put(
        path, {"notification": {"name": "x", "content": CONTENT, "email": {"cc": ["c@example.com"]}}}
    )
    assert list(faults(copied)) == ["notification.email.cc"]


def test_every_fault_of_a_template_is_told(lone_api: Client) -> None:
    """A type that there is not, Liquid and conditions that cannot be read, dangerous addresses: each at its place."""
    elements = [
        {"type": "tex"},
        {"type": "text", "content": "{{ a | nope }}"},
        {"type": "action", "content": "x", "href": "javascript:alert(1)", "if": "a ==="},
        {"type": "image", "src": "https://x", "width": "1;} x{", "align": "middle"},
        {"type": "text", "content": "x", "if": "refs.later.visible", "loop": "data.items | sort"},
        {"type": "jsonnet", "template": "{}"},
        {"type": "group", "elements": [{"type": "channel", "channel": "email", "elements": []}]},
    ]
    refused = lone_api.post(
        "/notifications", {"notification": {"content": {"elements": elements}}, "state": "DRAFT"}
    )
    assert refused.status_code == 400
    at = "notification.content.elements"
    assert set(faults(refused)) == {
        "notification.name",
        f"{at}[0].type",
        f"{at}[1].content",
        f"{at}[2].href",
        f"{at}[2].if",
        f"{at}[3].width",
        f"{at}[3].align",
        f"{at}[4].if",
        f"{at}[4].loop",
        f"{at}[5].type",
        f"{at}[6].elements[0].type",
    }
    assert lone_api.get("/notifications").json()["results"] == []


def test_a_tenants_key_reads_templates_and_changes_none(lone_api: Client) -> None:
    """Templates belong to the workspace."""
    path, key = f"/notifications/{create(lone_api)['id']}", lone_api.key("admin", tenant="biz")
    assert lone_api.get(path, key=key).status_code == 200
    assert lone_api.post(f"{path}/publish", key=key).status_code == 403
    assert lone_api.delete(path, key=key).status_code == 403


@pytest.mark.parametrize(
    "asked",
    [
        {"if": True},
        {"if": 1},
        {"if": "{{" + " " * 50_000},
        {"if": "refs.of_email.visible"},
        {"if": "refs.noted.visible"},
        {"loop": "{{" + " " * 50_000},
        {"loop": "$"},
        {"content": "{{" * 50_000},
        {"content": "one\x0btwo"},
    ],
)
def test_an_element_that_cannot_be_drawn_is_refused(lone_api: Client, asked: dict[str, Any]) -> None:
    """A condition or text that is none is told at its place, in templates and in sends, at once."""
    text = {"type": "text", "content": "x"}
    noted = {"type": "group", "if": "data.a // why", "elements": [{**text, "ref": "noted"}]}
    elements = [
        {"type": "channel", "channel": "email", "elements": [{**text, "ref": "of_email"}]},
        {"type": "channel", "channel": "sms", "elements": [noted, {**text, **asked}]},
    ]
    place = f"content.elements[1].elements[1].{next(iter(asked))}"
    body = {"notification": {"name": "n", "content": {"elements": elements}}, "state": "DRAFT"}
    refused = lone_api.post("/notifications", body)
    assert (refused.status_code, set(faults(refused))) == (400, {f"notification.{place}"})
    content = {"version": "2022-01-01", "elements": elements}
    sent = lone_api.post("/send", {"message": {"to": {"email": "a@example.com"}, "content": content}})
    assert (sent.status_code, set(faults(sent))) == (400, {f"message.{place}"})


def test_an_id_of_null_is_none(lone_api: Client) -> None:
    """Every element has an id."""
    content = {"elements": [{"type": "text", "content": "x", "id": None}]}
    assert [one["id"] for one in create(lone_api, content=content)["content"]["elements"]] == ["e1"]
