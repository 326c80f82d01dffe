"""Schema definitions over HTTP: what a platform exposes, and what conditions and merge fields may name of it."""

from typing import Any

import pytest

from tests.web import client
from tests.web.campaigning import action, campaign, condition, data, group, person, read, segment, set_status

SCHEMA: dict[str, Any] = {
    "name": "customer",
    "plural_name": "customers",
    "description": "Who buys",
    "category": "contacts_schema",
    "external_id_field": "customerId",
    "schema": {
        "type": "object",
        "properties": {
            "loyalty": {"type": "object", "properties": {"points": {"type": "number"}}},
            "orders": {
                "type": "array",
                "items": {"type": "object", "properties": {"sku": {"type": "string"}}},
            },
        },
    },
    "fields_to_expose": [
        {
            "name": "loyalty_points",
            "description": "Current balance",
            "json_path": "$.loyalty.points",
            "exposure": ["segments", "merge_fields"],
        },
        {"name": "bought", "description": None, "json_path": "$.orders[*].sku", "exposure": ["segments"]},
        {"name": "tier", "description": None, "json_path": "loyalty.tier", "exposure": ["merge_fields"]},
        {"name": "city", "description": None, "json_path": "$.home.city", "exposure": ["segments"]},
    ],
    "expose_name_json_path": None,
}
ANA: dict[str, Any] = {
    "loyalty": {"points": "700", "tier": "gold"},
    "orders": [{"sku": "tea"}, {"sku": "mug"}],
    "home": {"city": "Rome"},
}
BOB: dict[str, Any] = {"loyalty": {"points": 12}, "orders": [{"sku": "tea"}], "home": {"city": "Oslo"}}
_PATH = "/partner/schema-definitions"


@pytest.fixture
def shop(api: client.Client) -> client.Client:
    """A platform with a schema, and two people."""
    data(api.post(_PATH, SCHEMA), 201)
    person(api, "ana", email="ana@example.com", given_name="Ana", **ANA)
    person(api, "bob", email="bob@example.com", given_name="Bob", **BOB)
    return api


def members(api: client.Client, *conditions: dict[str, Any]) -> list[str]:
    """The ids of who meets these conditions."""
    asked = {"include_segments": [segment(api, *conditions)]}
    return sorted(one["id"] for one in data(api.post("/api/segments/count", asked))["recipients"])


@pytest.mark.spec("S3-23", "S3-24", "S3-25", "S3-26")
def test_a_schema_is_made_read_listed_and_changed(api: client.Client) -> None:
    """What a schema is created with can be read back, each exposed field with all of its parts."""
    made = data(api.post(_PATH, SCHEMA), 201)
    assert {name: made[name] for name in SCHEMA} == SCHEMA
    assert (made["version_number"], made["reference_schemas"], made["deactivated_at"]) == (1, [], None)
    assert data(api.get(f"{_PATH}/customer")) == data(api.get(f"{_PATH}/{made['id']}")) == made
    assert data(api.get(_PATH))["results"] == [made]
    changed = data(api.post(f"{_PATH}/Customer", {"description": "Everybody"}))
    assert (changed["description"], changed["version_number"]) == ("Everybody", 2)
    assert changed["fields_to_expose"] == SCHEMA["fields_to_expose"]
    assert api.post(f"{_PATH}/customer", {"name": "other"}).status_code == 422
    assert api.get(f"{_PATH}/nobody").status_code == 404
    tenant = api.key("admin", tenant="biz")
    assert api.get(_PATH, key=tenant).status_code == 200
    assert api.post(_PATH, {**SCHEMA, "name": "mine"}, key=tenant).status_code == 403


def test_names_are_taken_once(shop: client.Client) -> None:
    """A schema's name, whatever its case, and a field's name belong to one schema."""
    assert shop.post(_PATH, {"name": "CUSTOMER"}).status_code == 409
    again = {"name": "other", "fields_to_expose": [SCHEMA["fields_to_expose"][0]]}
    assert shop.post(_PATH, again).status_code == 409


def test_a_faulty_schema_is_refused_with_every_fault(lone_api: client.Client) -> None:
    """Names, paths, exposures and categories that cannot be are told at their places, all at once."""
    field = {"name": "email", "json_path": "$[", "exposure": ["segment"], "jsonPath": "$"}
    filtered = {"name": "a", "json_path": "$.a[?@.b > 1]", "exposure": ["segments"]}
    given = {"name": "x y", "category": "people", "fields_to_expose": [field, filtered], "nmae": 1}
    refused = lone_api.post(_PATH, given)
    assert refused.status_code == 422
    assert sorted(client.faults(refused)) == [
        "category",
        "fields_to_expose[0].exposure",
        "fields_to_expose[0].jsonPath",
        "fields_to_expose[0].json_path",
        "fields_to_expose[0].name",
        "fields_to_expose[1].json_path",
        "name",
        "nmae",
    ]


@pytest.mark.spec("S3-17", "S3-18", "S3-19", "S3-27")
def test_conditions_name_exposed_fields(shop: client.Client) -> None:
    """A condition reads a field where its path leads, as its declared type; of several values any will do."""
    assert members(shop, condition("loyalty_points", "greater_than", 500)) == ["ana"]
    # A number, as the schema says: a text in the profile and a text in the condition mean the same.
    assert members(shop, condition("loyalty_points", "equals", "700.0")) == ["ana"]
    assert members(shop, condition("bought", "equals", "mug")) == ["ana"]
    assert members(shop, condition("bought", "not_equals", "mug")) == ["bob"]
    assert members(shop, condition("bought", "equals", "tea"), condition("city", "equals", "Oslo")) == ["bob"]
    known = {one["field"]: one["type"] for one in data(shop.get("/api/segments/conditions"))["conditions"]}
    assert (known["loyalty_points"], known["city"], "tier" in known) == ("number", "string", False)
    made = segment(shop, condition("bought", "exists"))
    assert data(shop.get(f"/api/segments/{made}"))["conditions"] == [condition("bought", "exists")]


@pytest.mark.spec("S3-18")
@pytest.mark.parametrize("written", ["+49 30 1234567", "+49301234567", "+49 (0)30 / 123-45-67"])
def test_telephone_numbers_are_compared_as_such(api: client.Client, written: str) -> None:
    """A field of the type PHONE is the number that it holds, however either side writes it (A15)."""
    field = {"name": "desk", "description": None, "json_path": "$.desks[*].phone", "exposure": ["segments"]}
    phone = {"type": "string", "x-pii-type": "PHONE"}
    desks = {"type": "array", "items": {"type": "object", "properties": {"phone": phone}}}
    schema = {"type": "object", "properties": {"desks": desks, "mobile": phone}}
    fields = [field, {**field, "name": "mobile", "json_path": "$.mobile"}]
    data(api.post(_PATH, {**SCHEMA, "schema": schema, "fields_to_expose": fields}), 201)
    person(api, "ana", mobile="+49 30 1234567", desks=[{"phone": "+4930 1234567"}])
    person(api, "ben", mobile="+49-30-1234568", desks=[{"phone": "none"}, {}])
    for name in ("desk", "mobile"):
        assert members(api, condition(name, "equals", written)) == ["ana"]
        assert members(api, condition(name, "not_equals", [written])) == ["ben"]
        refused = {"name": "s", "conditions": [condition(name, "equals", "12")]}
        assert api.post("/api/segments", refused).status_code == 422
    listed = {one["field"]: one["type"] for one in data(api.get("/api/segments/conditions"))["conditions"]}
    assert listed["mobile"] == "phone"


def test_a_schema_may_say_its_types_in_any_way_of_json_schema(api: client.Client) -> None:
    """A type that may be null is that type; what says none, several or nonsense leaves the field to its value."""
    properties: dict[str, Any] = {
        "points": {"type": ["number", "null"]},
        "code": {"type": ["string", "number"]},
        "odd": {"type": {"is": "number"}},
        "home": {"properties": ["city"]},
        "pair": {"items": [{"type": "string"}, {"type": "number"}]},
        "any": True,
    }
    paths = ("$.points", "$.code", "$.odd", "$.home.city", "$.pair[1]", "$.any")
    exposed = [
        {"name": f"field{number}", "json_path": path, "exposure": ["segments", "merge_fields"]}
        for number, path in enumerate(paths)
    ]
    data(
        api.post(_PATH, {"name": "c", "schema": {"properties": properties}, "fields_to_expose": exposed}), 201
    )
    person(
        api, "ana", email="ana@example.com", points="5.0", code=5, odd=5, home={"city": "Rome"}, pair=["a", 5]
    )
    known = {one["field"]: one["type"] for one in data(api.get("/api/segments/conditions"))["conditions"]}
    assert (known["field0"], known["field1"]) == ("number", "string")
    assert members(api, condition("field0", "equals", "5")) == ["ana"]
    wanted = {"field1": 5, "field2": 5, "field3": "Rome", "field4": 5}
    assert members(api, *(condition(name, "equals", value) for name, value in wanted.items())) == ["ana"]
    made = campaign(api, action_data=[action(group(api, text_body="{{ field0 }}"))])
    set_status(api, made["id"], "active")
    api.world.run_until_idle()
    assert read(api, made["id"])["status"] == "completed"


@pytest.mark.spec("S3-20", "S3-21", "S3-28")
def test_what_is_not_exposed_is_refused(shop: client.Client) -> None:
    """A field for merge fields alone is no field of conditions, one for segments alone none of texts."""
    refused = shop.post("/api/segments", {"name": "S", "conditions": [condition("tier", "equals", "gold")]})
    assert refused.status_code == 422
    assert client.faults(refused) == {"conditions[0].field": "the field 'tier' is not exposed to segments"}
    strange = shop.post("/api/segments", {"name": "S", "conditions": [condition("loyalty.points", "exists")]})
    assert "loyalty_points" in client.faults(strange)["conditions[0].field"]
    text = "{{ contact.bought }} {{ loyalty_points }} {{ tier }} {{ nope }}"
    refused = shop.post("/api/communication-groups", {"email": {"text_body": text}})
    assert refused.status_code == 422
    assert [one["path"] for one in refused.json()["errors"]] == ["email.text_body"] * 2
    assert "bought" in refused.json()["errors"][0]["message"]
    notification = {"name": "N", "content": {"elements": [{"type": "text", "content": "{{contact.bought}}"}]}}
    assert shop.post("/notifications", {"notification": notification}).status_code == 400


@pytest.mark.spec("S3-22")
def test_a_field_can_be_exposed_to_both(shop: client.Client) -> None:
    """A field that is exposed to segments and merge fields chooses people and fills what they read."""
    rich = segment(shop, condition("loyalty_points", "greater_than", 500))
    news = group(
        shop, subject="{{ loyalty_points }} points", text_body="{{ contact.tier }}, {{ first_name }}"
    )
    listed = data(shop.get(f"/api/communication-groups/{news}/merge-fields"))["merge_fields"]
    assert {"loyalty_points", "tier", "email"} <= {one["name"] for one in listed}
    assert "bought" not in {one["name"] for one in listed}
    action = {"action_type": "send_communication", "action_metadata": {"communication_group_id": news}}
    made = campaign(shop, include_segments=[rich], action_data=[action], trigger_metadata=_SOON)
    set_status(shop, made["id"], "active")
    shop.clock.move(7_200_000_000)
    shop.decide()
    assert [(one.recipient, one.subject, one.text) for one in shop.mailbox.received] == [
        ("ana@example.com", "700 points", "gold, Ana")
    ]


@pytest.mark.spec("S3-19", "S3-25")
def test_a_merge_field_is_what_stands_at_its_path_alone(api: client.Client) -> None:
    """A field may be called as a key of the profile that is something else: what has no value there is empty."""
    paths = {"home": "$.home.city", "street": "$.home.street", "city": "$.work.city"}
    exposed = [
        {"name": name, "json_path": path, "exposure": ["merge_fields"]} for name, path in paths.items()
    ]
    data(api.post(_PATH, {"name": "customer", "fields_to_expose": exposed}), 201)
    person(api, "ana", email="ana@example.com", city="Oslo", home={"city": "Rome", "street": "Via Appia"})
    text = "{{ home }}|{{ street }}|{{ city }}|{{ contact.home }}|{{ contact.city }}|"
    made = campaign(api, action_data=[action(group(api, text_body=text))])
    set_status(api, made["id"], "active")
    api.decide()
    assert [one.text for one in api.mailbox.received] == ["Rome|Via Appia||Rome||"]


_SOON = {"trigger_type": "one_time", "scheduled_at": "2026-01-05T13:00:00Z", "timezone": "UTC"}


def test_what_is_used_stays_exposed(shop: client.Client) -> None:
    """A field that a segment or a group uses can be neither hidden from it nor moved: who hears would change."""
    segment(shop, condition("loyalty_points", "greater_than", 500))
    group(shop, text_body="{{ tier }}")
    fields = SCHEMA["fields_to_expose"]
    hidden = [{**fields[0], "exposure": ["merge_fields"]}, *fields[1:]]
    moved = [{**fields[0], "json_path": "$.points"}, *fields[1:]]
    without_tier = [fields[0], fields[1], fields[3]]
    for changed in (hidden, moved, without_tier):
        refused = shop.post(f"{_PATH}/customer", {"fields_to_expose": changed})
        assert refused.status_code == 409, refused.text
    free = [fields[0], fields[2]]
    assert shop.post(f"{_PATH}/customer", {"fields_to_expose": free}).status_code == 200
