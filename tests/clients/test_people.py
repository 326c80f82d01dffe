"""Courier's official client of Python keeps people: profiles, lists, audiences, tenants, preferences.

Ids hold slashes, spaces and per cent signs: the client encodes them in the path, and they come back as they were.
"""

from __future__ import annotations

from typing import Any

import courier
import pytest

ANA = "people/ana 1%2F ü"
BEN = "people/ben"


def test_profiles_are_merged_replaced_patched_and_deleted(client: courier.Courier) -> None:
    """What a client writes to a profile is what it reads, whatever its id; a deleted one is not there."""
    client.profiles.create(ANA, profile={"email": "ana@people.example", "name": "Ana"})
    client.profiles.create(ANA, profile={"city": "Lisbon"})
    assert client.profiles.retrieve(ANA).profile == {
        "email": "ana@people.example",
        "name": "Ana",
        "city": "Lisbon",
    }
    patch: Any = [
        {"op": "replace", "path": "/city", "value": "Porto"},
        {"op": "add", "path": "/pet", "value": "cat"},
    ]
    client.profiles.update(ANA, patch=patch)
    assert client.profiles.retrieve(ANA).profile["city"] == "Porto"
    assert client.profiles.replace(ANA, profile={"email": "ana@people.example"}).status == "SUCCESS"
    assert client.profiles.retrieve(ANA).profile == {"email": "ana@people.example"}
    client.profiles.delete(ANA)
    with pytest.raises(courier.NotFoundError, match="there is no profile"):
        client.profiles.retrieve(ANA)


def test_lists_are_walked_by_cursor_and_come_back_when_restored(client: courier.Courier) -> None:
    """Subscribers are listed once each, page by page; a deleted list takes them with it and brings them back."""
    crowd = [f"people/reader {number}" for number in range(150)]
    client.lists.update("people.weekly", name="Weekly")
    client.lists.update("people.daily", name="Daily", preferences={"categories": {}})
    client.lists.subscriptions.add("people.weekly", recipients=[{"recipient_id": one} for one in crowd])
    assert subscribers(client) == sorted(crowd)
    client.lists.subscriptions.subscribe("people.weekly", recipients=[{"recipient_id": crowd[0]}])
    client.lists.subscriptions.subscribe_user(
        ANA, list_id="people.weekly", preferences={"notifications": {"n": {"status": "OPTED_OUT"}}}
    )
    assert subscribers(client) == [ANA, crowd[0]]
    client.lists.subscriptions.unsubscribe_user(crowd[0], list_id="people.weekly")

    assert [one.id for one in client.lists.list(pattern="people.*").items] == [
        "people.daily",
        "people.weekly",
    ]
    assert client.lists.retrieve("people.weekly").name == "Weekly"
    client.lists.delete("people.weekly")
    with pytest.raises(courier.NotFoundError):
        client.lists.retrieve("people.weekly")
    client.lists.restore("people.weekly")
    assert subscribers(client) == [ANA]

    client.profiles.lists.subscribe(ANA, lists=[{"list_id": "people.daily"}])
    mine = client.profiles.lists.retrieve(ANA)
    assert [one.id for one in mine.results] == ["people.daily", "people.weekly"]
    assert mine.paging.more is False
    assert client.profiles.lists.delete(ANA).status == "SUCCESS"
    assert client.profiles.lists.retrieve(ANA).results == []


def subscribers(client: courier.Courier) -> list[str]:
    """Who is on the weekly list, walked page by page."""
    found: list[str] = []
    page = client.lists.subscriptions.list("people.weekly")
    found += [one.recipient_id for one in page.items]
    while page.paging.more:
        page = client.lists.subscriptions.list("people.weekly", cursor=page.paging.cursor)
        found += [one.recipient_id for one in page.items]
    assert len(found) == len(set(found))
    return sorted(found)


def test_audiences_tell_who_is_in_them_now(client: courier.Courier) -> None:
    """Members follow the profiles; an audience of which nothing was said has all fields that the client requires."""
    client.profiles.create("people/rich", profile={"tier": "gold", "spent": 100})
    client.profiles.create("people/poor", profile={"tier": "gold", "spent": 1})
    both: Any = [
        {"operator": "EQ", "path": "tier", "value": "gold"},
        {"operator": "GTE", "path": "spent", "value": "50"},
    ]
    made = client.audiences.update(
        "people/gold", name="Gold", description="Who pays", filter={"operator": "AND", "filters": both}
    ).audience
    assert (made.name, made.description, made.operator) == ("Gold", "Who pays", "AND")
    assert members(client) == ["people/rich"]
    client.profiles.create("people/poor", profile={"spent": 60})
    assert members(client) == ["people/poor", "people/rich"]

    empty = client.audiences.update("people/empty").audience
    assert (empty.description, empty.filter) == ("", None)
    assert {"people/gold", "people/empty"} <= {one.id for one in client.audiences.list().items}
    client.audiences.delete("people/empty")
    with pytest.raises(courier.NotFoundError):
        client.audiences.retrieve("people/empty")
    assert client.audiences.retrieve("people/gold").id == "people/gold"


def members(client: courier.Courier) -> list[str]:
    """Who is in the audience."""
    return sorted(one.member_id for one in client.audiences.list_members("people/gold").items)


def test_tenants_and_the_people_in_them(client: courier.Courier) -> None:
    """Tenants stand one below the other and are walked by cursor; somebody is with several, and leaves them."""
    root = client.tenants.update(
        "people/acme", name="Acme", properties={"plan": "pro"}, user_profile={"a": 1}
    )
    assert (root.properties, root.user_profile) == ({"plan": "pro"}, {"a": 1})
    for number in (1, 2, 3):
        client.tenants.update(f"people/acme/{number}", name="Branch", parent_tenant_id="people/acme")
    page = client.tenants.list(parent_tenant_id="people/acme", limit=2)
    further = client.tenants.list(parent_tenant_id="people/acme", limit=2, cursor=page.cursor)
    assert [page.has_more, further.has_more] == [True, False]
    assert [one.id for one in [*page.items, *further.items]] == [f"people/acme/{n}" for n in (1, 2, 3)]

    client.users.tenants.add_single("people/acme/1", user_id=ANA, profile={"desk": 4})
    client.users.tenants.add_multiple(ANA, tenants=[{"tenant_id": "people/acme/2", "profile": {"desk": 5}}])
    mine = client.users.tenants.list(ANA).items or []
    assert [(one.tenant_id, one.profile) for one in mine] == [
        ("people/acme/1", {"desk": 4}),
        ("people/acme/2", {"desk": 5}),
    ]
    there = client.tenants.list_users("people/acme/1").items or []
    assert [one.user_id for one in there] == [ANA]
    client.users.tenants.remove_single("people/acme/1", user_id=ANA)
    client.users.tenants.remove_all(ANA)
    assert client.users.tenants.list(ANA).items == []

    client.tenants.delete("people/acme/3")
    with pytest.raises(courier.NotFoundError):
        client.tenants.retrieve("people/acme/3")


def test_preferences_of_a_person(client: courier.Courier) -> None:
    """What somebody says of topics is kept one by one or many at once, for a tenant apart from the rest."""
    client.tenants.update("people/club", name="Club")
    of = client.users.preferences
    said = of.update_or_create_topic("news", user_id=ANA, topic={"status": "OPTED_OUT"})
    assert said.message
    of.update_or_create_topic(
        "news",
        user_id=ANA,
        tenant_id="people/club",
        topic={"status": "OPTED_IN", "has_custom_routing": True, "custom_routing": ["email", "push"]},
    )
    assert of.retrieve_topic("news", user_id=ANA).topic.status == "OPTED_OUT"
    there = of.retrieve_topic("news", user_id=ANA, tenant_id="people/club").topic
    assert (there.status, there.custom_routing) == ("OPTED_IN", ["email", "push"])

    added = of.bulk_update(
        ANA, topics=[{"topic_id": "tips", "status": "OPTED_OUT"}, {"topic_id": "deals", "status": "OPTED_IN"}]
    )
    assert (added.errors, [one.topic_id for one in added.items]) == ([], ["tips", "deals"])
    replaced = of.bulk_replace(ANA, topics=[{"topic_id": "tips", "status": "OPTED_IN"}])
    assert sorted(replaced.deleted) == ["deals", "news"]
    of.delete_topic("tips", user_id=ANA)
    mine = {"news", "tips", "deals"}
    assert [one for one in of.retrieve(ANA).items if one.topic_id in mine] == []
    kept = of.retrieve(ANA, tenant_id="people/club").items
    assert [one.topic_id for one in kept if one.topic_id in mine] == ["news"]

    logs = client.workspace_preferences
    page = logs.list_logs(user_id=ANA, limit=4)
    rest = logs.list_logs(user_id=ANA, limit=4, cursor=page.paging.cursor or "")
    told = [
        (one.topic_id, one.status, one.previous and one.previous.status) for one in page.items + rest.items
    ]
    assert (told[0], told[-1]) == (("tips", "OPTED_IN", "OPTED_IN"), ("news", "OPTED_OUT", None))
    assert sorted(told[1:4]) == [
        ("deals", "OPTED_IN", "OPTED_IN"),
        ("news", "OPTED_IN", "OPTED_OUT"),
        ("tips", "OPTED_IN", "OPTED_OUT"),
    ]
    in_club = logs.list_logs(user_id=ANA, tenant_id="people/club").items
    assert [one.custom_routing for one in in_club] == [["email", "push"]]


def test_topics_that_people_choose_from(client: courier.Courier) -> None:
    """Sections and topics are made and found again, and a tenant sets what holds for its people who said nothing."""
    of = client.workspace_preferences
    section = of.create(name="From the shop")
    topic = of.topics.create(section.id, name="Offers", default_status="OPTED_OUT")
    assert of.topics.retrieve(topic.id, section_id=section.id).default_status == "OPTED_OUT"
    of.topics.replace(topic.id, section_id=section.id, name="Deals", default_status="REQUIRED")
    assert [one.name for one in of.topics.list(section.id).results] == ["Deals"]
    assert of.replace(section.id, name="Shop").name == "Shop"
    assert [one.name for one in of.retrieve(section.id).topics] == ["Deals"]
    assert section.id in [one.id for one in of.list().results]
    pages = [of.publish(heading="Yours", brand_id="none", idempotency_key="people-page") for _ in range(2)]
    assert pages[0].page_id == pages[1].page_id
    assert of.publish().published_version > pages[0].published_version
    client.tenants.update("people/topics", name="Topics")
    client.tenants.preferences.items.update(topic.id, tenant_id="people/topics", status="OPTED_OUT")
    said = client.users.preferences.retrieve_topic(topic.id, user_id=ANA, tenant_id="people/topics").topic
    assert (said.topic_name, said.section_name) == ("Deals", "Shop")
    client.tenants.preferences.items.delete(topic.id, tenant_id="people/topics")
    of.topics.archive(topic.id, section_id=section.id)
    of.archive(section.id)


def test_devices_of_a_person(client: courier.Courier) -> None:
    """Devices are registered, read, changed and forgotten, whatever their tokens hold."""
    of = client.users.tokens
    token = "dev/1:%2F+ü"
    of.add_single(token, user_id=ANA, provider_key="expo", device={"platform": "ios"}, expiry_date=False)
    of.add_multiple(ANA, extra_body={"tokens": [{"token": "second", "provider_key": "apn"}]})
    assert {one.token for one in of.list(ANA).tokens} == {token, "second"}
    found = of.retrieve(token, user_id=ANA)
    assert (found.provider_key, found.expiry_date, found.status) == ("expo", False, "active")
    of.update(token, user_id=ANA, patch=[{"op": "replace", "path": "/status", "value": "revoked"}])
    assert of.retrieve(token, user_id=ANA).status == "revoked"
    assert client.profiles.retrieve(ANA).profile["push_token"] == "second"
    of.delete(token, user_id=ANA)
    with pytest.raises(courier.NotFoundError):
        of.retrieve(token, user_id=ANA)


def test_a_persons_own_device_asks_with_a_token(client: courier.Courier) -> None:
    """With what a key issued it reads and writes what is its person's, and is refused everything else."""
    issued = client.auth.issue_token(scope=f"user_id:{BEN} write:preferences", expires_in="2 hours").token
    own = client.with_options(api_key=issued)
    own.users.preferences.update_or_create_topic("news", user_id=BEN, topic={"status": "OPTED_OUT"})
    assert own.users.preferences.retrieve_topic("news", user_id=BEN).topic.status == "OPTED_OUT"
    with pytest.raises(courier.PermissionDeniedError):
        own.users.preferences.retrieve(ANA)
    with pytest.raises(courier.PermissionDeniedError):
        own.profiles.retrieve(BEN)
