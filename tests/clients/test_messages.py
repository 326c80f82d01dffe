"""Courier's official client of Python makes things go out: automations, inbound events, stored templates, messages."""

from __future__ import annotations

from typing import Any

import courier
import pytest

from tests.clients import house as houses

BEA = "messages/bea 1%2F ü"


@pytest.fixture
def bea(client: courier.Courier) -> str:
    """Somebody with an address."""
    client.profiles.create(BEA, profile={"email": "bea@messages.example", "given_name": "Bea"})
    return BEA


def letter(to: str, title: str, body: str) -> Any:
    """A step that sends a text to a person."""
    return {"action": "send", "message": {"to": {"user_id": to}, "content": {"title": title, "body": body}}}


def ended(client: courier.Courier, run_id: str) -> list[tuple[str, str]]:
    """What became of each step of a run, once it has ended."""
    steps = houses.until(
        lambda: client.automations.runs.list_steps(run_id).steps,
        lambda found: all(one.status not in ("PROCESSING", "WAITING", "NOT PROCESSED") for one in found),
    )
    return [(one.action, one.status) for one in steps]


def test_an_automation_does_its_steps_in_order_once(
    house: houses.House, client: courier.Courier, bea: str
) -> None:
    """A run sends in the order of its steps; sent again with its key, the request starts no other."""
    steps = [
        {"action": "delay", "until": "20240408T080910.123"},
        letter(bea, "First", "of {{data.order}}"),
        {"action": "update-profile", "recipient_id": bea, "merge": "soft-merge", "profile": {"tier": "gold"}},
        {**letter(bea, "Never", "x"), "if": "data.order > 7"},
        letter(bea, "Second", "of {{data.order}}"),
        letter(bea, "Third", "of {{data.order}}"),
    ]
    automation: Any = {"steps": steps, "cancelation_token": "messages-1"}
    asked: Any = {"automation": automation, "data": {"order": 7}, "recipient": bea}
    kept: Any = {"idempotency_key": "messages-1", "x_idempotency_expiration": "2 days"}
    run_id = client.automations.invoke.invoke_ad_hoc(**asked, **kept).run_id
    assert client.automations.invoke.invoke_ad_hoc(**asked, **kept).run_id == run_id
    assert house.mails("bea@messages.example", 3) == [
        ("First", "of 7"),
        ("Second", "of 7"),
        ("Third", "of 7"),
    ]
    assert ended(client, run_id) == [
        ("delay", "PROCESSED"),
        ("send", "PROCESSED"),
        ("update-profile", "PROCESSED"),
        ("send", "SKIPPED"),
        ("send", "PROCESSED"),
        ("send", "PROCESSED"),
    ]
    assert client.profiles.retrieve(bea).profile["tier"] == "gold"
    listed = client.automations.runs.list(limit="50").runs
    assert [one.run_id for one in listed].count(run_id) == 1
    sent = client.automations.runs.list_steps(run_id).steps[1].message_id
    assert sent
    assert_told(client, sent, "First", "of 7")


def assert_told(client: courier.Courier, message_id: str, title: str, body: str) -> None:
    """A message that was sent is told of: in the list, by itself, step by step, and as it reads."""
    assert message_id in {
        one.id for one in client.messages.list(recipient=BEA, status=["SENT", "OPENED"]).results
    }
    assert client.messages.list(recipient=BEA, status=["UNDELIVERABLE", "CANCELED"]).results == []
    told = client.messages.retrieve(message_id)
    assert (told.status, told.recipient) == ("SENT", BEA)
    assert told.sent
    assert told.enqueued <= told.sent
    history = [one["type"] for one in client.messages.history(message_id).results]
    assert history == ["ENQUEUED", "ROUTED", "RENDERED", "SENT"]
    assert [one["type"] for one in client.messages.history(message_id, type="SENT").results] == ["SENT"]
    (shown,) = client.messages.content(message_id).results
    assert (shown.channel, shown.content.subject, shown.content.text) == ("email", title, body)


def test_a_stored_automation_is_invoked_and_canceled_by_token(
    house: houses.House, client: courier.Courier, bea: str
) -> None:
    """Runs of a template wait until a token cancels them; one with another token goes on alone."""
    steps = [
        {"action": "delay", "duration": "1 hour", "if": "data.waits"},
        letter("messages/cy", "Cart", "{{data.cart}}"),
    ]
    body = {"name": "Cart", "steps": steps, "cancelation_token": "${data.cart}"}
    client.put("/automations/templates/messages%2Fcart", cast_to=object, body=body)
    assert "messages/cart" in {one.id for one in client.automations.list().templates or []}
    client.profiles.create("messages/cy", profile={"email": "cy@messages.example"})

    def invoke(cart: str, *, waits: bool) -> str:
        data = {"cart": cart, "waits": waits}
        return client.automations.invoke.invoke_by_template("messages/cart", recipient=bea, data=data).run_id

    runs = [invoke("cart-1", waits=True), invoke("cart-1", waits=True), invoke("cart-2", waits=True)]
    cancel: Any = {"steps": [{"action": "cancel", "cancelation_token": "cart-1"}]}
    client.automations.invoke.invoke_ad_hoc(automation=cancel)
    houses.until(
        lambda: listed(client, status="CANCELED"), lambda found: {run for run, _ in found} == set(runs[:2])
    )
    assert listed(client, status="WAITING,PROCESSING") == [(runs[2], "WAITING")]
    invoke("cart-3", waits=False)
    assert house.mails("cy@messages.example") == [("Cart", "cart-3")]
    first = client.automations.runs.list(template_id="messages/cart", limit="3")
    rest = client.automations.runs.list(
        template_id="messages/cart", limit="3", cursor=first.next_cursor or ""
    )
    assert [one.run_id for one in [*first.runs, *rest.runs]][1:] == runs[::-1]


def listed(client: courier.Courier, status: str) -> list[tuple[str, str | None]]:
    """The runs of the stored automation that stand so."""
    found = client.automations.runs.list(template_id="messages/cart", status=status, limit="50")
    return [(one.run_id, one.status) for one in found.runs]


def test_tracked_events_start_runs_in_their_order(
    house: houses.House, client: courier.Courier, bea: str
) -> None:
    """What is tracked, Segment's too, starts the automation that waits for it, in order; a repeat starts none."""
    who = {"type": "identify", "userId": "messages/dee", "traits": {"email": "dee@messages.example"}}
    client.post("/inbound/segment", cast_to=object, body=who)
    body = {
        "name": "Thanks",
        "steps": [letter("messages/dee", "Thanks", "for {{data.order}}")],
        "trigger": {"event_type": "custom.order_placed"},
    }
    client.put("/automations/templates/messages-thanks", cast_to=object, body=body)

    def track(number: int) -> str:
        made = client.inbound.track_event(
            event="Order Placed",
            message_id=f"messages/{number}",
            properties={"order": number},
            type="track",
            user_id="messages/dee",
        )
        return made.message_id

    assert [track(number) for number in (1, 2, 3)] == ["messages/1", "messages/2", "messages/3"]
    with pytest.raises(courier.ConflictError):
        track(2)
    segment = {"type": "track", "userId": "messages/dee", "event": "orderPlaced", "properties": {"order": 4}}
    client.post("/inbound/segment", cast_to=object, body=segment)
    assert house.mails("dee@messages.example", 4) == [("Thanks", f"for {number}") for number in (1, 2, 3, 4)]


def test_a_template_is_written_published_and_sent_in_its_brand(
    house: houses.House, client: courier.Courier, bea: str
) -> None:
    """A draft changes nothing that goes out until it is published; versions are walked; what is sent has its brand."""
    client.profiles.create("messages/eve", profile={"email": "eve@messages.example", "given_name": "Eve"})
    settings: Any = {"colors": {"primary": "#102030", "secondary": "#405060"}, "email": {}}
    brand = client.brands.create(name="Shop", settings=settings, idempotency_key="messages-brand")
    assert (
        client.brands.create(name="Shop", settings=settings, idempotency_key="messages-brand").id == brand.id
    )
    assert client.brands.update(brand.id, name="The shop", settings=settings).name == "The shop"
    assert client.brands.retrieve(brand.id).id in {one.id for one in client.brands.list().results}

    def content(text: str) -> Any:
        elements = [
            {"type": "meta", "title": "Dear {{profile.given_name}}"},
            {"type": "text", "content": text, "id": "t"},
        ]
        return {"version": "2022-01-01", "elements": elements}

    said: Any = {
        "name": "Dear",
        "tags": ["mail"],
        "brand": {"id": brand.id},
        "subscription": None,
        "routing": None,
    }
    of = client.notifications
    made = of.create(notification=said | {"content": content("One {{n}}")}, state="PUBLISHED")
    assert (made.state, made.tags, made.brand and made.brand.id) == ("PUBLISHED", ["mail"], brand.id)
    send = {"action": "send", "recipient": "messages/eve", "template": made.id, "data": {"n": 1}}
    automation: Any = {"steps": [send]}
    ended(client, client.automations.invoke.invoke_ad_hoc(automation=automation).run_id)
    of.replace(made.id, notification=said | {"content": content("Two {{n}}")}, state="DRAFT")
    ended(client, client.automations.invoke.invoke_ad_hoc(automation=automation).run_id)
    of.put_content(made.id, content={"elements": content("")["elements"]}, state="DRAFT")
    of.put_element("t", id=made.id, type="text", data={"content": "Three {{n}}"})
    in_german: Any = [{"id": "t", "content": "Drei {{n}}"}]
    of.put_locale("de", id=made.id, elements=in_german)
    # The client's own type for this answer is not finished: what it says is read as it is.
    written = of.with_raw_response.retrieve_content(made.id, version="draft").http_response.json()
    assert [one["id"] for one in written["elements"]][1:] == ["t"]
    of.publish(made.id)
    ended(client, client.automations.invoke.invoke_ad_hoc(automation=automation).run_id)
    client.profiles.create("messages/eve", profile={"locale": "de"})
    client.automations.invoke.invoke_ad_hoc(automation=automation)
    assert house.mails("eve@messages.example", 4) == [
        ("Dear Eve", "One 1"),
        ("Dear Eve", "One 1"),
        ("Dear Eve", "Three 1"),
        ("Dear Eve", "Drei 1"),
    ]
    assert of.retrieve(made.id, version="v001").content.elements != of.retrieve(made.id).content.elements
    page = of.list_versions(made.id, limit=1)
    versions = [one.version for one in page.versions]
    while page.paging.more:
        page = of.list_versions(made.id, limit=1, cursor=page.paging.cursor or "")
        versions += [one.version for one in page.versions]
    assert versions == ["draft", "published:v002", "v001"]
    assert made.id in {one.id for one in of.list().results}
    with pytest.raises(courier.ConflictError):
        client.brands.delete(brand.id)
    of.archive(made.id)
    assert made.id not in {one.id for one in of.list().results}


def test_refusals_are_the_clients_own_errors(house: houses.House, client: courier.Courier) -> None:
    """Each refusal arrives as the class that the client has for it, with words that name the place."""
    steps: Any = [{"action": "dance"}]
    with pytest.raises(courier.BadRequestError, match=r"steps\[0\].action"):
        client.automations.invoke.invoke_ad_hoc(automation={"steps": steps})
    with pytest.raises(courier.AuthenticationError):
        client.with_options(api_key="nobody").messages.list()
    with pytest.raises(courier.NotFoundError):
        client.messages.retrieve("messages-nowhere")
    client.brands.create(id="messages-once", name="Once", settings={}, idempotency_key="messages-once")
    with pytest.raises(courier.UnprocessableEntityError):
        client.brands.create(id="messages-twice", name="Twice", settings={}, idempotency_key="messages-once")
    insisting = client.with_options(max_retries=2)
    with pytest.raises(courier.ConflictError) as told:
        insisting.brands.create(id="messages-once", name="Again", settings={})
    assert told.value.response.request.headers["x-stainless-retry-count"] == "0"
