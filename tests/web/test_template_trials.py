"""Trying templates over HTTP, and what a message said and came to."""

from typing import Any

import pytest

from heliograph import channels
from tests.web.client import Client, faults

ELEMENTS = [
    {"type": "meta", "title": "Order {{data.order}}"},
    {
        "type": "text",
        "content": "Dear {{profile.given_name}}, {{data.order}} {{contact.nope}}",
        "locales": {"fr": {"content": "Chère {{profile.given_name}}"}},
    },
]


@pytest.fixture
def shop(api: Client) -> Client:
    """A published template, and Ana."""
    notification = {"name": "Order", "alias": "order", "content": {"elements": ELEMENTS}}
    assert api.post("/notifications", {"notification": notification, "state": "PUBLISHED"}).status_code == 200
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com", "given_name": "Ana"}})
    return api


def preview(api: Client, **given: Any) -> dict[str, Any]:
    """What a person would read."""
    answer = api.post("/api/templates/order/preview", given)
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


def test_a_template_is_previewed_for_a_contact(shop: Client) -> None:
    """As they would read it, with what is missing, in another locale or version if wanted; nothing is sent."""
    made = preview(shop, contact_id="ana", data={"order": 7})
    assert (made["subject"], made["text"]) == ("Order 7", "Dear Ana, 7\n")
    assert "Dear Ana, 7" in made["html"]
    assert made["missing"] == ["contact.nope"]
    assert preview(shop, contact_id="ana", locale="fr-CA")["text"] == "Chère Ana\n"
    assert preview(shop, data={"order": 7})["text"] == "Dear , 7\n"
    shop.world.template("rule", text="{{ order_id }} {{ event.payload.order_id }} {{ payload.total }}")
    tried = {"payload": {"order_id": "A-7", "total": 9, "contact": "no root"}, "contact_id": "ana"}
    assert shop.post("/api/templates/rule/preview", tried).json()["text"] == "A-7 A-7 9"
    template = next(one for one in shop.get("/notifications").json()["results"] if one["name"] == "Order")
    shop.put(f"/notifications/{template['id']}/elements/e2", {"type": "text", "data": {"content": "Draft"}})
    assert preview(shop, version="draft")["text"] == "Draft\n"
    assert preview(shop, version="v001", contact_id="ana")["text"] == "Dear Ana,\n"
    shop.decide()
    assert shop.mailbox.received == []


def test_a_trial_of_nobody_is_refused(shop: Client) -> None:
    """Contacts, brands, versions and templates that there are not, and misspelled fields, are told."""
    path = "/api/templates/order/preview"
    assert list(faults(shop.post(path, {"contact_id": "bob"}))) == ["contact_id"]
    assert list(faults(shop.post(path, {"brand_id": "bob"}))) == ["brand_id"]
    assert list(faults(shop.post(path, {"contact": "ana"}))) == ["contact"]
    assert shop.post(path, {"version": "v009"}).status_code == 404
    assert shop.post("/api/templates/nope/preview", {}).status_code == 404
    assert list(faults(shop.post("/api/templates/order/test", {"to": "nobody"}))) == ["to"]
    assert shop.post(path, {}, key=shop.key("agent")).status_code == 403


def test_a_template_is_sent_to_oneself(shop: Client) -> None:
    """One message to the address, filled as for the contact, which stands in the ledger like any other."""
    given = {"to": "Me@Example.com", "contact_id": "ana", "data": {"order": 7}, "locale": "fr"}
    answer = shop.post("/api/templates/order/test", given)
    assert answer.status_code == 202
    shop.decide()
    (mail,) = shop.mailbox.received
    assert (mail.recipient, mail.subject, mail.text) == ("me@example.com", "Order 7", "Chère Ana")
    message = shop.get(f"/messages/{answer.json()['message_id']}").json()
    assert (message["status"], message["recipient"]) == ("SENT", "me@example.com")
    draft = shop.post("/api/templates/order/test", {"to": "me@example.com", "version": "draft"})
    shop.decide()
    assert shop.get(f"/messages/{draft.json()['message_id']}").json()["status"] == "SENT"


def send(api: Client) -> str:
    """Send Ana the template; gives the message's id."""
    step = {"action": "send", "recipient": "ana", "template": "order", "data": {"order": 7}}
    assert api.post("/automations/invoke", {"automation": {"steps": [step]}}).status_code == 200
    api.decide()
    return str(api.get("/messages").json()["results"][0]["id"])


def test_what_a_message_said(shop: Client) -> None:
    """`/output` has all six strings that Courier's clients read, as they were sent, whatever the profile says now."""
    message = send(shop)
    shop.put("/profiles/ana", {"profile": {"email": "ana@example.com", "given_name": "Anna"}})
    (output,) = shop.get(f"/messages/{message}/output").json()["results"]
    assert (output["channel"], output["channel_id"]) == ("email", "email")
    content = output["content"]
    assert content["subject"] == content["title"] == "Order 7"
    assert content["text"] == content["body"] == f"{shop.mailbox.received[0].text}\n" == "Dear Ana, 7\n"
    assert content["blocks"] == [{"type": "text", "text": "Dear Ana, 7"}]
    assert content["html"].startswith("<!doctype html>")
    assert shop.get("/messages/00000000-0000-7000-8000-000000000000/output").status_code == 404


def test_what_became_of_a_message(shop: Client) -> None:
    """`/history` tells each step with its time; `type` chooses."""
    answers = iter([channels.Outcome.TEMPORARY, channels.Outcome.ACCEPTED])
    shop.mailbox.answer = lambda _: channels.Answer(
        next(answers), "world", reference="ref", code="451", text="later"
    )
    message = send(shop)
    shop.clock.move(60_000_000)
    shop.decide()
    path = f"/messages/{message}/history"
    told = shop.get(path).json()["results"]
    assert [one["type"] for one in told] == [
        "ENQUEUED",
        "MAPPED",
        "ROUTED",
        "RENDERED",
        "DELAYED",
        "RENDERED",
        "SENT",
    ]
    assert (told[0]["recipient"], told[0]["data"]) == ("ana", {"order": 7})
    assert told[1]["notification_id"] == shop.get(f"/messages/{message}").json()["notification"]
    assert told[4]["error"] == "451: later"
    assert (told[6]["integration"]["provider"], told[6]["reference"]) == ("world", {"id": "ref"})
    assert told[0]["ts"] <= told[4]["ts"] < told[6]["ts"]
    assert [one["type"] for one in shop.get(path, params={"type": "sent"}).json()["results"]] == ["SENT"]


def test_a_broken_text_stops_its_own_message_alone(shop: Client) -> None:
    """What cannot be filled for one person fails for them, with the reason in the ledger; the others hear."""
    broken = [{"type": "text", "content": "{% for i in (1..data.n) %}x{% endfor %}"}]
    shop.world.template("loops", elements=broken)
    shop.put("/profiles/bob", {"profile": {"email": "bob@example.com"}})
    for person, number in (("ana", 10_000_000), ("bob", 3)):
        step = {"action": "send", "recipient": person, "template": "loops", "data": {"n": number}}
        shop.post("/automations/invoke", {"automation": {"steps": [step]}})
    shop.decide()
    assert [mail.text for mail in shop.mailbox.to("bob@example.com")] == ["xxx"]
    (failed,) = [one for one in shop.get("/messages").json()["results"] if one["recipient"] == "ana"]
    assert failed["status"] == "UNDELIVERABLE"
    assert "text: line 1: a range may have 50,000 numbers" in failed["error"]
    assert shop.get(f"/messages/{failed['id']}/output").json() == {"results": []}
    history = shop.get(f"/messages/{failed['id']}/history").json()["results"]
    assert history[-1]["type"] == "UNDELIVERABLE"
