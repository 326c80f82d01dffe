"""A designed letter: from the designer's draft to what two customers read, and to what the designer changes next."""

from typing import Any

import httpx2
import pytest

from heliograph import testing
from tests.web.client import Client

BRAND: dict[str, Any] = {
    "id": "default",
    "name": "Shop",
    "settings": {
        "colors": {"primary": "#2f5d50"},
        "email": {"footer": {"markdown": "**Shop**, 4 Lantern Row"}},
    },
}
ELEMENTS: list[dict[str, Any]] = [
    {"type": "meta", "title": "Thank you, {{profile.given_name}}"},
    {
        "type": "text",
        "content": "Your order",
        "text_style": "h1",
        "locales": {"de": {"content": "Ihre Bestellung"}},
    },
    {"type": "text", "content": "{{$.item.name}}: {{$.item.price}}", "loop": "data.items"},
    {"type": "text", "content": "Wrapped as a gift.", "if": "data.gift === true"},
    {"type": "action", "content": "See it", "href": "https://shop.example/{{data.order}}"},
]


@pytest.fixture
def api(lone_client: Client) -> Client:
    """The shop's program."""
    return lone_client


@pytest.fixture
def lone_client(database_url: str) -> Any:
    """A client of an empty application."""
    with Client(database_url) as made:
        yield made


def bought(api: Client, who: str, **data: Any) -> None:
    """Somebody buys, and a journey thanks them."""
    step = {"action": "send", "message": {"to": {"user_id": who}, "template": "thanks", "data": data}}
    assert api.post("/automations/invoke", {"automation": {"steps": [step]}}).status_code == 200
    api.decide()


def plain(mail: testing.Mail) -> str:
    """The text of a mail, its line ends as they were before it travelled."""
    return mail.text.replace("\r\n", "\n")


def answered(answer: httpx2.Response) -> Any:
    """What was answered to a request that went well."""
    assert answer.status_code in (200, 202, 204), answer.text
    return answer.json() if answer.content else None


def test_a_letter_is_designed_tried_published_and_changed(api: Client) -> None:
    """Nobody gets a draft; who buys gets what is published, in their language; the next change is for the next ones."""
    answered(api.post("/brands", BRAND))
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com", "given_name": "Ana"}})
    api.put(
        "/profiles/jan", {"profile": {"email": "jan@example.com", "given_name": "Jan", "locale": "de-AT"}}
    )
    notification = {"name": "Thanks", "alias": "thanks", "content": {"elements": ELEMENTS}}
    made = answered(api.post("/notifications", {"notification": notification}))["id"]
    items = [{"name": "Lamp", "price": "30"}, {"name": "Fern & pot", "price": "12"}]

    # A draft is read by its designer, and sent by nobody.
    tried = answered(
        api.post("/api/templates/thanks/preview", {"contact_id": "ana", "data": {"items": items}})
    )
    assert tried["text"] == "Your order\n\nLamp: 30\n\nFern & pot: 12\n\nSee it: https://shop.example/\n"
    assert (tried["subject"], tried["missing"]) == ("Thank you, Ana", ["data.order"])
    bought(api, "ana", items=items)
    assert api.mailbox.received == []
    answered(api.post("/api/templates/thanks/test", {"to": "designer@example.com", "contact_id": "ana"}))
    api.decide()
    assert [mail.recipient for mail in api.mailbox.received] == ["designer@example.com"]

    # Published, it is what people get: each in their language, in the shop's look, the same as text.
    answered(api.post(f"/notifications/{made}/publish"))
    bought(api, "ana", order="A-1", items=items, gift=True)
    bought(api, "jan", order="A-2", items=items[:1])
    (ana,), (jan,) = api.mailbox.to("ana@example.com"), api.mailbox.to("jan@example.com")
    assert ana.subject == "Thank you, Ana"
    assert plain(ana) == (
        "Your order\n\nLamp: 30\n\nFern & pot: 12\n\nWrapped as a gift.\n\nSee it: https://shop.example/A-1"
    )
    assert plain(jan) == "Ihre Bestellung\n\nLamp: 30\n\nSee it: https://shop.example/A-2"
    for part in (
        "Fern &amp; pot: 12",
        "#2f5d50",
        "<strong>Shop</strong>, 4 Lantern Row",
        "https://shop.example/A-1",
    ):
        assert part in (ana.html or "")

    # What is changed is for those who buy next; what was sent can still be read as it was.
    listed = answered(api.get("/messages"))["results"]
    (sent,) = [one for one in listed if one["recipient"] == "ana" and one["status"] == "SENT"]
    element = {"type": "text", "data": {"content": "You bought"}, "state": "PUBLISHED"}
    answered(api.put(f"/notifications/{made}/elements/e2", element))
    bought(api, "ana", order="A-3", items=items[:1])
    assert api.mailbox.to("ana@example.com")[-1].text.startswith("You bought\r\n")
    content = answered(api.get(f"/messages/{sent['id']}/output"))["results"][0]["content"]
    assert content["text"].rstrip() == plain(ana)
    assert content["html"].rstrip() == (ana.html or "").replace("\r\n", "\n").rstrip()
