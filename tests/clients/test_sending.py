"""Courier's official client of Python sends: to one, to many, in bulk, once more; and sets up the ways out."""

from __future__ import annotations

from typing import Any

import courier
import pytest

from tests.clients import house as houses

FAY = "sending/fay 1%2F ü"


def test_a_message_goes_to_whom_it_is_for(house: houses.House, client: courier.Courier) -> None:
    """To a person once however often it is asked with one key, to a list, a pattern, an audience; in their order."""
    client.profiles.create(FAY, profile={"email": "fay@sending.example", "team": "sending"})
    client.lists.subscriptions.subscribe_user(FAY, list_id="sending.daily")
    tree: Any = {"operator": "AND", "filters": [{"operator": "EQ", "path": "team", "value": "sending"}]}
    client.audiences.update("sending/team", filter=tree)
    content: Any = {"title": "{n}", "body": "Hello {n}"}

    def send(to: Any, n: str, **given: Any) -> str:
        message: Any = {"to": to, "content": content, "data": {"n": n}}
        return client.send.message(message=message, **given).request_id

    first = send({"user_id": FAY}, "one", idempotency_key="sending-1", x_idempotency_expiration="2 days")
    assert send({"user_id": FAY}, "one", idempotency_key="sending-1") == first
    assert houses.until(lambda: client.messages.retrieve(first), lambda one: one.status == "SENT").sent
    house.mails("fay@sending.example")
    for to, n in (
        ({"email": "fay@sending.example"}, "two"),
        ({"list_id": "sending.daily"}, "three"),
        ({"list_pattern": "sending.*"}, "four"),
        ({"audience_id": "sending/team"}, "five"),
    ):
        send(to, n)
        house.post.mails("fay@sending.example", ["one", "two", "three", "four", "five"].index(n) + 1)
    assert [subject for subject, _ in house.mails("fay@sending.example", 5)] == [
        *("one", "two", "three", "four", "five")
    ]
    client.requests.archive(first)
    assert first not in {one.id for one in client.messages.list(recipient=FAY).results}
    assert first in {one.id for one in client.messages.list(recipient=FAY, archived=True).results}
    with pytest.raises(courier.BadRequestError, match="template"):
        client.send.message(message={"to": {"user_id": FAY}, "template": "sending-nowhere"})


def test_a_tenant_says_who_hears_of_what(house: houses.House, client: courier.Courier) -> None:
    """Defaults, properties, profiles and brands come down to the tenants below; words of people go before."""
    client.profiles.create("sending/hal", profile={"email": "hal@sending.example"})
    of = client.workspace_preferences
    section = of.create(name="Sending", idempotency_key="sending-section")
    topic = of.topics.create(section.id, name="Offers", default_status="OPTED_IN").id
    colours: Any = {"colors": {"primary": "#aa1122", "secondary": "#334455"}, "email": {}}
    brand = client.brands.create(name="Sending", settings=colours).id
    items: Any = {"items": [{"id": topic, "status": "OPTED_OUT"}]}
    root = client.tenants.update(
        "sending/root",
        name="Root",
        brand_id=brand,
        properties={"plan": "pro"},
        user_profile={"city": "Lisbon"},
        default_preferences=items,
    )
    assert root.default_preferences
    assert [(one.id, one.status) for one in root.default_preferences.items or []] == [(topic, "OPTED_OUT")]
    client.tenants.update("sending/leaf", name="Leaf", parent_tenant_id="sending/root")
    notification: Any = {
        "name": "Offers",
        "tags": [],
        "brand": None,
        "routing": None,
        "subscription": {"topic_id": topic},
        "content": {
            "version": "2022-01-01",
            "elements": [
                {"type": "meta", "title": "{{n}}"},
                {
                    "type": "text",
                    "content": "{{tenant.name}} {{tenant.plan}} {{profile.city}} {{brand.colors.primary}}",
                },
            ],
        },
    }
    template = client.notifications.create(notification=notification, state="PUBLISHED").id

    def send(n: str, tenant_id: str | None) -> str:
        message: Any = {"to": {"user_id": "sending/hal"}, "template": template, "data": {"n": n}}
        if tenant_id is not None:
            message["context"] = {"tenant_id": tenant_id}
        sent = client.send.message(message=message).request_id
        listed = houses.until(
            lambda: client.messages.list(message_id=sent, status=["SENT", "UNROUTABLE"]).results,
            lambda found: found != [],
        )
        return listed[0].status

    assert send("not below", "sending/leaf") == "UNROUTABLE"
    assert send("outside", None) == "SENT"
    client.tenants.preferences.items.update(topic, tenant_id="sending/leaf", status="OPTED_IN")
    assert send("the leaf's", "sending/leaf") == "SENT"
    client.tenants.preferences.items.delete(topic, tenant_id="sending/leaf")
    client.users.preferences.update_or_create_topic(
        topic, user_id="sending/hal", tenant_id="sending/leaf", topic={"status": "OPTED_IN"}
    )
    assert send("asked for", "sending/leaf") == "SENT"
    there = "Leaf pro Lisbon #aa1122"
    assert house.mails("hal@sending.example", 3) == [
        ("outside", ""),
        ("the leaf's", there),
        ("asked for", there),
    ]


def test_a_bulk_job_writes_to_each_of_its_users(house: houses.House, client: courier.Courier) -> None:
    """Made, filled in several calls, run: everybody has their own message once, and the job says so page by page."""
    content: Any = {"title": "Seat {seat}", "body": "for you"}
    job = client.bulk.create_job(message={"event": "sending-seats", "content": content}).job_id
    crowd: Any = [
        {"profile": {"email": f"s{seat}@bulk.example"}, "data": {"seat": seat}} for seat in range(130)
    ]
    client.bulk.add_users(job, users=crowd[:100])
    client.bulk.add_users(job, users=[*crowd[100:], {"to": {"email": "nobody@bulk.example"}}])
    client.bulk.run_job(job)
    told = houses.until(lambda: client.bulk.retrieve_job(job).job, lambda one: one.status == "COMPLETED")
    assert (told.received, told.enqueued, told.failures) == (131, 130, 1)
    assert told.definition.event == "sending-seats"
    for seat in (0, 64, 129):
        assert house.mails(f"s{seat}@bulk.example") == [(f"Seat {seat}", "for you")]
    page = client.bulk.list_users(job)
    rest = client.bulk.list_users(job, cursor=page.paging.cursor)
    users = [*page.items, *rest.items]
    assert [one.status for one in users] == ["ENQUEUED"] * 130 + ["ERROR"]
    assert [one.data["seat"] for one in users[:130]] == list(range(130))  # type: ignore[index]
    assert client.messages.retrieve(users[7].message_id or "").event == "sending-seats"
    with pytest.raises(courier.ConflictError):
        client.bulk.add_users(job, users=crowd[:1])


def test_messages_are_sent_again_and_called_back(house: houses.House, client: courier.Courier) -> None:
    """What was sent can be sent again, and cannot be called back: the refusal holds the message's record."""
    content: Any = {"title": "Twice", "body": "and no more"}
    to: Any = {"email": "gil@sending.example"}
    message_id = client.send.message(message={"to": to, "content": content}).request_id
    house.mails("gil@sending.example")
    houses.until(lambda: client.messages.retrieve(message_id), lambda one: one.status == "SENT")
    assert client.messages.resend(message_id).message_id != message_id
    assert house.mails("gil@sending.example", 2) == [("Twice", "and no more")] * 2
    with pytest.raises(courier.ConflictError) as refused:
        client.messages.cancel(message_id)
    assert isinstance(refused.value.body, dict)
    assert (refused.value.body["id"], refused.value.body["status"]) == (message_id, "SENT")


def test_ways_out_are_set_up(client: courier.Courier) -> None:
    """A provider is made as the catalog says, changed, and taken away; its secrets are not told."""
    kinds = {one.provider: one for one in client.providers.catalog.list().results}
    assert {"smtp", "twilio"} <= kinds.keys()
    settings: dict[str, object] = {"account_sid": "AC1", "auth_token": "secret", "from": "+4915112345678"}
    made = client.providers.create(
        provider="twilio", alias="sending-sms", title="SMS", settings=settings, idempotency_key="sending-sms"
    )
    assert made.provider == "twilio"
    assert "secret" not in client.providers.retrieve(made.id).to_json()
    assert client.providers.patch(made.id, title="Text").title == "Text"
    settings["from"] = "+4915187654321"
    assert client.providers.update(made.id, provider="twilio", settings=settings).settings["from"]
    assert made.id in {one.id for one in client.providers.list().results}
    client.providers.delete(made.id)
    with pytest.raises(courier.NotFoundError):
        client.providers.retrieve(made.id)


def test_a_strategy_says_by_which_channels(house: houses.House, client: courier.Courier) -> None:
    """A template goes by its strategy; strategies are made once, walked, replaced, and go when nobody uses them."""
    of = client.routing_strategies
    routing: Any = {"method": "single", "channels": ["push", {"method": "single", "channels": ["email"]}]}
    channels: Any = {"email": {"override": {"subject": "By strategy"}}}
    said: Any = {"name": "Usual", "routing": routing, "channels": channels, "tags": ["a"]}
    made = of.create(**said, idempotency_key="sending-strategy")
    assert of.create(**said, idempotency_key="sending-strategy").id == made.id
    assert (made.tags, made.routing.method, made.creator != "") == (["a"], "single", True)
    other = of.create(name="Other", routing=routing)
    page = of.list(limit=1)
    walked = [one.id for one in page.results]
    while page.paging.more:
        page = of.list(limit=1, cursor=page.paging.cursor)
        walked += [one.id for one in page.results]
    assert walked.index(made.id) < walked.index(other.id)
    changed = of.replace(made.id, **{**said, "name": "Changed", "providers": {"smtp": {"timeouts": 1000}}})
    assert (changed.name, of.retrieve(made.id).providers["smtp"].timeouts) == ("Changed", 1000)
    elements: Any = [{"type": "text", "content": "Hello"}]
    notification: Any = {
        "name": "Routed",
        "tags": [],
        "brand": None,
        "subscription": None,
        "routing": {"strategy_id": made.id},
        "content": {"version": "2022-01-01", "elements": elements},
    }
    template = client.notifications.create(notification=notification, state="PUBLISHED")
    assert template.routing
    assert template.routing.strategy_id == made.id
    assert [one.id for one in of.list_notifications(made.id).results] == [template.id]
    client.send.message(message={"to": {"email": "ina@sending.example"}, "template": template.id})
    assert house.mails("ina@sending.example") == [("By strategy", "Hello")]
    with pytest.raises(courier.ConflictError, match="is used by"):
        of.archive(made.id)
    client.notifications.archive(template.id)
    for one in (made.id, other.id):
        of.archive(one)
    with pytest.raises(courier.NotFoundError):
        of.retrieve(made.id)


def test_a_journey_sends_what_a_request_may_say(house: houses.House, client: courier.Courier) -> None:
    """To a list and a person, in a tenant's name, found by its tag, and taken back with its run as long as it waits."""
    client.tenants.update("whole-acme", name="Acme", user_profile={"given_name": "Member"})
    client.profiles.create("whole-uma", profile={"email": "uma@whole.example"})
    client.lists.subscriptions.subscribe_user("whole-uma", list_id="whole.uma")
    message: dict[str, Any] = {
        "to": [{"list_id": "whole.uma"}, {"email": "guest@whole.example"}],
        "content": {"title": "For {who}", "body": "{{profile.given_name}}"},
        "context": {"tenant_id": "whole-acme"},
        "metadata": {"tags": ["whole-uma"]},
        "data": {"who": "${data.who}"},
    }

    def invoke(**more: Any) -> str:
        automation: Any = {
            "cancelation_token": "whole-uma",
            "steps": [{"action": "send", "message": {**message, **more}}],
        }
        return client.automations.invoke.invoke_ad_hoc(automation=automation, data={"who": "all"}).run_id

    def standing(run_id: str) -> str | None:
        found = client.automations.runs.list(limit="50").runs
        return next(one.status for one in found if one.run_id == run_id)

    run_id = invoke()
    assert house.mails("uma@whole.example") == [("For all", "Member")]
    assert house.mails("guest@whole.example") == [("For all", "Member")]
    assert houses.until(lambda: standing(run_id), lambda status: status == "PROCESSED")
    assert len(client.messages.list(tags="whole-uma").results) == 2
    late = invoke(delay={"duration": 3_600_000})
    houses.until(lambda: client.messages.list(status=["DELAYED"], tags="whole-uma").results, bool)
    stop: Any = {"steps": [{"action": "cancel", "cancelation_token": "whole-uma"}]}
    client.automations.invoke.invoke_ad_hoc(automation=stop)
    assert houses.until(lambda: standing(late), lambda status: status == "CANCELED")
    (step,) = client.automations.runs.list_steps(late).steps
    assert step.message_id is not None
    assert houses.until(
        lambda: client.messages.retrieve(str(step.message_id)).status, lambda told: told == "CANCELED"
    )
