"""Segments over HTTP."""

from typing import Any

import pytest

from tests.web import client
from tests.web.campaigning import campaign, condition, data, group, person, received, segment, set_status


def counted(api: client.Client, *include: str, exclude: tuple[str, ...] = ()) -> list[str]:
    """The ids of who is in these segments and not in those."""
    question = {"include_segments": list(include), "exclude_segments": list(exclude)}
    found = data(api.post("/api/segments/count", question))
    listed = [one["id"] for one in found["recipients"]]
    assert found["count"] == len(listed)
    return sorted(listed)


@pytest.mark.spec("S3-07", "S3-08", "S3-09", "S3-10", "S3-11", "S3-39")
def test_a_segment_is_made_read_listed_and_changed(api: client.Client) -> None:
    """What a segment is created with can be read back, and each field can be replaced."""
    given = {
        "name": "VIPs",
        "description": "Who buys most",
        "conditions": [condition("loyalty.points", "greater_than", 500)],
    }
    tenant = api.key("admin", tenant="shop")
    made = data(api.post("/api/segments", given, key=tenant), 201)
    assert {name: made[name] for name in given} == given
    assert (made["business_id"], made["status"], made["type"]) == ("shop", "active", "custom")
    assert made["id"]
    assert made["created_at"] == made["updated_at"]
    path = f"/api/segments/{made['id']}"
    assert data(api.get(path)) == made
    api.clock.move(1_000_000)
    changed = data(api.patch(path, {"name": "Best", "description": None}, key=tenant))
    assert (changed["name"], changed["description"]) == ("Best", None)
    assert changed["conditions"] == given["conditions"]
    assert changed["updated_at"] > made["updated_at"] == changed["created_at"]
    listed = data(api.get("/api/segments", key=tenant))["results"]
    assert [one["id"] for one in listed] == ["all_users", made["id"]]
    assert listed[1] == changed


@pytest.mark.spec("S3-05", "S3-06")
def test_a_segment_is_active_or_deactivated(api: client.Client) -> None:
    """A new segment is active, and can be deactivated and activated again."""
    made = segment(api, condition("plan", "equals", "pro"))
    assert data(api.get(f"/api/segments/{made}"))["status"] == "active"
    for status in ("deactivated", "active"):
        assert data(api.patch(f"/api/segments/{made}", {"status": status}))["status"] == status
    refused = api.patch(f"/api/segments/{made}", {"status": "off"})
    assert (refused.status_code, list(client.faults(refused))) == (422, ["status"])


@pytest.mark.spec("S3-12", "S3-13", "S3-14", "S3-15", "S3-16")
def test_built_in_fields(api: client.Client) -> None:
    """Conditions name user_id, email, phone, first_name and last_name, whoever wrote the profile."""
    person(
        api,
        "ana",
        email="ana@example.com",
        phone_number="+442079460123",
        given_name="Ana",
        family_name="Lund",
    )
    person(api, "bob", email="bob@example.com", first_name="Bob", last_name="Kay")
    for field, value, user_id in (
        ("user_id", "ana", "ana"),
        ("email", "ANA@example.com", "ana"),
        ("phone", "+44 20 7946 0123", "ana"),
        ("first_name", "Bob", "bob"),
        ("last_name", "Kay", "bob"),
        ("first_name", "Ana", "ana"),
        ("last_name", "Lund", "ana"),
    ):
        assert counted(api, segment(api, condition(field, "equals", value))) == [user_id]


@pytest.mark.spec("S3-29", "S3-30", "S3-31", "S3-32", "S3-35", "S3-36")
def test_operators(api: client.Client) -> None:
    """Equals and its inverse, greater and less, joined by AND; what is missing equals nothing."""
    person(api, "ana", points=12, plan="pro")
    person(api, "bob", points="501", plan="free")
    person(api, "cid", plan="Pro")
    assert counted(api, segment(api, condition("plan", "equals", "pro"))) == ["ana"]
    assert counted(api, segment(api, condition("plan", "not_equals", "pro"))) == ["bob", "cid"]
    assert counted(api, segment(api, condition("points", "greater_than", 12))) == ["bob"]
    assert counted(api, segment(api, condition("points", "less_than", "501"))) == ["ana"]
    assert counted(api, segment(api, condition("points", "equals", 12))) == ["ana"]
    assert counted(api, segment(api, condition("points", "not_equals", 12))) == ["bob", "cid"]
    both = segment(api, condition("points", "exists"), condition("plan", "equals", ["pro", "Pro"]))
    assert counted(api, both) == ["ana"]


@pytest.mark.spec("S3-01", "S3-03", "S3-04")
def test_segments_are_dynamic(api: client.Client) -> None:
    """A person is in as soon as the profile meets the conditions, and out as soon as it does not."""
    made = segment(api, condition("plan", "equals", "pro"))
    person(api, "ana", plan="free")
    person(api, "bob", plan="pro")
    assert counted(api, made) == ["bob"]
    person(api, "ana", plan="pro")
    person(api, "bob", plan="free")
    assert counted(api, made) == ["ana"]
    of_ana = data(api.get("/api/segments/user/ana"))["results"]
    assert [one["id"] for one in of_ana] == ["all_users", made]
    assert [one["id"] for one in data(api.get("/api/segments/user/bob"))["results"]] == ["all_users"]
    assert api.get("/api/segments/user/eve").status_code == 404


@pytest.mark.spec("S3-34")
def test_the_structure_of_a_condition_is_described(api: client.Client) -> None:
    """/conditions lists the built-in fields with their types and operators, and OpenAPI has the structure."""
    found = {one["field"]: one for one in data(api.get("/api/segments/conditions"))["conditions"]}
    assert {"user_id", "email", "phone", "first_name", "last_name"} <= found.keys()
    assert found["first_name"]["operators"][:4] == ["equals", "not_equals", "greater_than", "less_than"]
    described = api.get("/schema/openapi.json").json()["components"]["schemas"]["SegmentCondition"]
    assert described["properties"].keys() == {"field", "operator", "value"}


@pytest.mark.spec("S3-33")
@pytest.mark.parametrize(
    ("change", "places"),
    [
        ({"conditions": [condition("a", "contains", 1)]}, ["conditions[0].operator"]),
        ({"conditions": []}, ["conditions"]),
        ({"conditions": [condition("points", "greater_than", "many")]}, ["conditions[0].value"]),
        ({"name": " "}, ["name"]),
        ({"type": "sql"}, ["type"]),
        ({"nmae": "x"}, ["nmae"]),
    ],
)
def test_a_wrong_segment_is_refused(api: client.Client, change: dict[str, Any], places: list[str]) -> None:
    """An unknown operator and every other fault is a 422 in Reach's shape, with its place."""
    given = {"name": "Some", "conditions": [condition("plan", "equals", "pro")], **change}
    refused = api.post("/api/segments", given)
    assert (refused.status_code, list(client.faults(refused))) == (422, places)
    assert refused.json()["success"] is False
    assert data(api.get("/api/segments"))["pagination"]["total"] == 1


@pytest.mark.spec("S3-40")
def test_an_audience_is_counted(api: client.Client) -> None:
    """The count is of the included minus the excluded, searched and filtered, a page at a time."""
    for number in range(7):
        person(api, f"c{number}", email=f"c{number}@example.com", given_name=f"N{number}", n=number)
    person(api, "mute", n=1)
    small = segment(api, condition("n", "less_than", 3))
    assert counted(api, "all_users", exclude=(small,)) == ["c3", "c4", "c5", "c6"]
    assert counted(api, small) == ["c0", "c1", "c2", "mute"]
    question: dict[str, Any] = {"include_segments": [small], "filter": "email", "limit": 2}
    first = data(api.post("/api/segments/count", question))
    assert (first["count"], len(first["recipients"])) == (3, 2)
    assert first["pagination"] == {"has_next_page": True, "total": 3, "cursor": first["recipients"][1]["id"]}
    rest = data(api.post("/api/segments/count", {**question, "cursor": first["pagination"]["cursor"]}))
    assert len({one["id"] for one in first["recipients"] + rest["recipients"]}) == 3
    assert rest["pagination"] == {"has_next_page": False, "total": 3, "cursor": None}
    (found,) = data(api.post("/api/segments/count", {**question, "search": "C2@"}))["recipients"]
    assert found == {
        "id": "c2",
        "external_id": "c2",
        "first_name": "N2",
        "last_name": None,
        "email": "c2@example.com",
        "phone": None,
    }
    assert data(api.post("/api/segments/count", {"include_segments": ["all_users"]}))["count"] == 8


@pytest.mark.parametrize(
    ("question", "place"),
    [
        ({}, "include_segments"),
        ({"include_segments": []}, "include_segments"),
        ({"include_segments": ["nobody"]}, "include_segments[0]"),
        ({"include_segments": ["all_users"], "exclude_segments": ["x"]}, "exclude_segments[0]"),
        ({"include_segments": ["all_users"], "limit": 0}, "limit"),
        ({"include_segments": ["all_users"], "filter": "fax"}, "filter"),
        ({"include": ["all_users"]}, "include"),
    ],
)
def test_a_wrong_question_is_refused(lone_api: client.Client, question: dict[str, Any], place: str) -> None:
    """What cannot be counted is a 422 with its place."""
    refused = lone_api.post("/api/segments/count", question)
    assert (refused.status_code, list(client.faults(refused))) == (422, [place])


def test_everybodys_segment_stays_as_it_is(lone_api: client.Client) -> None:
    """all_users can be read, and not changed."""
    assert data(lone_api.get("/api/segments/all_users"))["type"] == "all_users"
    assert lone_api.patch("/api/segments/all_users", {"name": "x"}).status_code == 409


def test_a_business_sees_its_own_segments(api: client.Client) -> None:
    """A key of a tenant, and one that names a business, see that business's segments and people alone."""
    shop, club = (api.key("admin", tenant=name) for name in ("shop", "club"))
    made = segment(api, condition("plan", "equals", "pro"), key=shop)
    person(api, "shop:1", key=shop, plan="pro")
    person(api, "club:1", key=club, plan="pro")
    path = f"/api/segments/{made}"
    assert api.get(path, key=club).status_code == 404
    assert api.patch(path, {"name": "x"}, key=club).status_code == 404
    assert [one["id"] for one in data(api.get("/api/segments", key=club))["results"]] == ["all_users"]
    found = data(api.post("/api/segments/count", {"include_segments": [made]}, key=shop))
    assert [one["external_id"] for one in found["recipients"]] == ["1"]
    assert len(data(api.get("/api/segments/user/1", key=shop))["results"]) == 2
    assert api.post("/api/segments/count", {"include_segments": [made]}, key=club).status_code == 422
    as_shop = {"reach-tenant-id": "shop"}
    assert data(api.get(path, headers=as_shop))["business_id"] == "shop"
    assert api.get(path, headers={"reach-tenant-id": "club"}).status_code == 404
    assert api.get("/api/segments", key=club, headers=as_shop).status_code == 404
    for nobody in ("", "x" * 256):
        said = {"name": "Nobody's", "conditions": [condition("plan", "exists")]}
        answer = api.post("/api/segments", said, headers={"reach-tenant-id": nobody})
        assert (answer.status_code, *client.faults(answer)) == (400, "reach-tenant-id")


def test_segments_are_listed_in_pages(lone_api: client.Client) -> None:
    """A list goes on after its cursor, and a search finds names."""
    for name in ("One", "Two", "Three"):
        segment(lone_api, condition("a", "exists"), name=name)
    first = data(lone_api.get("/api/segments", params={"limit": 2}))
    assert [one["name"] for one in first["results"]] == ["All users", "One"]
    cursor = first["pagination"]["cursor"]
    rest = data(lone_api.get("/api/segments", params={"limit": 2, "cursor": cursor}))
    assert [one["name"] for one in rest["results"]] == ["Two", "Three"]
    assert rest["pagination"] == {"has_next_page": False, "total": 4, "cursor": None}
    found = data(lone_api.get("/api/segments", params={"search": "tHR"}))
    assert [one["name"] for one in found["results"]] == ["Three"]
    for query in ({"cursor": "x"}, {"limit": 0}, {"pgae": 1}):
        assert lone_api.get("/api/segments", params=query).status_code == 400


def test_a_search_goes_on_where_it_was_whatever_is_renamed(lone_api: client.Client) -> None:
    """What was last on a page of a search, or of groups, may be called something else by now."""
    made = [segment(lone_api, condition("a", "exists"), name=f"Keen {number}") for number in (1, 2)]
    groups = [group(lone_api), group(lone_api)]
    for path, (first, second), word in (
        ("/api/segments", made, "keen"),
        ("/api/communication-groups", groups, "news"),
    ):
        query = {"search": word, "limit": 1}
        page = data(lone_api.get(path, params=query))
        assert page["pagination"] == {"has_next_page": True, "total": 2, "cursor": first}
        data(lone_api.patch(f"{path}/{first}", {"name": "Another"}))
        rest = data(lone_api.get(path, params={**query, "cursor": first}))
        assert [one["id"] for one in rest["results"]] == [second]


def moves(api: client.Client) -> list[tuple[str, str, str]]:
    """Who entered and left which segment, as it was told."""
    found = api.get("/api/automation/events", params={"source": "engine"}).json()["data"]
    return sorted((one["contact_id"], one["event_type"], one["payload"]["segment_name"]) for one in found)


def test_entering_and_leaving_are_events(api: client.Client) -> None:
    """A write that lets a contact enter or leave active segments is told, whoever writes, where a rule waits for it."""
    rich = segment(api, condition("points", "greater_than", 500), name="Rich")
    segment(api, condition("points", "exists"), name="Counted")
    closed = segment(api, condition("points", "exists"), name="Closed")
    api.patch(f"/api/segments/{closed}", {"status": "deactivated"})
    api.put("/profiles/ana", {"profile": {"points": 501}})
    assert moves(api) == [], "nobody waits for it yet"
    welcome = {"type": "add_tags", "target": "contact", "tags": ["welcomed"]}
    is_rich = [{"field": "payload.segment_id", "operator": "equals", "value": rich}]
    api.make_rule(trigger_type="segment_entered", conditions=is_rich, actions=[welcome])
    api.make_rule(trigger_type="segment_left", conditions=[], actions=[welcome])
    api.put("/profiles/ana", {"profile": {"points": 600}})
    assert moves(api) == [], "she was in and stays in"
    api.put("/profiles/ana", {"profile": {}})
    assert moves(api) == [("ana", "segment_left", "Counted"), ("ana", "segment_left", "Rich")]
    api.make_rule(
        trigger_type="custom.won",
        conditions=[],
        actions=[{"type": "update_contact", "fields": {"points": 900}}],
    )
    api.happen("custom.won", contact_id="bo")
    api.decide()
    assert moves(api)[2:] == [("bo", "segment_entered", "Counted"), ("bo", "segment_entered", "Rich")]
    assert api.get("/api/contacts/bo").json()["tags"] == ["welcomed"]


def test_who_leaves_a_segment_keeps_what_waits(api: client.Client) -> None:
    """A run that began when somebody entered goes on though they leave, and come back, while it waits."""
    segment(api, condition("points", "greater_than", 500), name="Rich")
    steps = [
        {"action": "delay", "duration": "1 hour"},
        {
            "action": "update-profile",
            "recipient_id": "ana",
            "profile": {"waited": True},
            "merge": "soft-merge",
        },
    ]
    trigger = {"event_type": "segment_entered"}
    made = api.put("/automations/templates/welcome", {"name": "welcome", "steps": steps, "trigger": trigger})
    assert made.status_code == 200, made.json()
    for points in (600, 100, 700, 200):
        api.put("/profiles/ana", {"profile": {"points": points}})
        api.decide()
    found = api.get("/automations/runs").json()["runs"]
    assert [run["status"] for run in found] == ["WAITING"] * 2
    api.clock.move(2 * 3_600_000_000)
    api.decide()
    found = api.get("/automations/runs").json()["runs"]
    assert [run["status"] for run in found] == ["PROCESSED"] * 2
    assert api.get("/profiles/ana").json()["profile"]["waited"] is True


def test_a_tenants_segment_is_entered_by_its_customers_alone(api: client.Client) -> None:
    """What a tenant's rule hears of are its own customers; others who would pass its conditions enter nothing."""
    tenant = api.key("admin", tenant="shop")
    data(
        api.post("/api/segments", {"name": "All", "conditions": [condition("points", "exists")]}, key=tenant),
        201,
    )
    api.make_rule(key=tenant, trigger_type="segment_entered", conditions=[])
    api.put("/profiles/ana", {"profile": {"points": 1}})
    api.put("/profiles/bo", {"profile": {"points": 1}}, key=tenant)
    assert [who for who, *_ in moves(api)] == ["bo"]


def test_a_tenants_segment_holds_its_customers_alone_whoever_asks(api: client.Client) -> None:
    """To the whole workspace too, and in its campaigns, a tenant's segment is those of its own customers who pass."""
    tenant = api.key("admin", tenant="shop")
    person(api, "bo", key=tenant, email="bo@example.com", points=1)
    person(api, "cy", email="cy@example.com", points=1)
    person(api, "di", key=api.key("admin", tenant="club"), email="di@example.com", points=1)
    theirs = segment(api, condition("points", "exists"), key=tenant)
    assert counted(api, theirs) == ["bo"]
    assert counted(api, "all_users", exclude=(theirs,)) == ["cy", "di"]
    held = {
        name: [one["id"] for one in data(api.get(f"/api/segments/user/{name}"))["results"]]
        for name in ("bo", "cy")
    }
    assert held == {"bo": ["all_users", theirs], "cy": ["all_users"]}
    campaigns: list[tuple[dict[str, Any], list[str]]] = [
        ({"include_segments": [theirs]}, ["bo@example.com"]),
        ({"exclude_segments": [theirs]}, ["bo@example.com", "cy@example.com", "di@example.com"]),
    ]
    for said, wanted in campaigns:
        made = campaign(api, **said)
        set_status(api, made["id"], "active")
        api.world.run_until_idle()
        assert received(api) == wanted


def test_an_automation_of_nothing_is_counted_for_nobody(api: client.Client) -> None:
    """An automation that is named and not there is told of, whatever segments stand beside it."""
    for named in ({}, {"include_segments": ["all_users"]}):
        for unknown in ("nothing", "0190a8b0-0000-7000-8000-000000000001"):
            answer = api.post("/api/segments/count", {**named, "automation_id": unknown})
            assert answer.status_code == 404
            assert unknown in answer.text
