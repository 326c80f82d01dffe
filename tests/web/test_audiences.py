"""Audiences over HTTP, in Courier's shape."""

import threading
from typing import Any

import pytest
import sqlalchemy as sa

from heliograph.store import courier_audiences as audiences
from tests.web import client

PEOPLE: dict[str, dict[str, Any]] = {
    "ana": {
        "plan": "pro",
        "spent": 120,
        "address": {"city": "Lisbon"},
        "tags": ["a", "b"],
        "seen": "2026-01-03",
    },
    "ben": {"plan": "free", "spent": "99.5", "tags": ["b"], "seen": "2026-01-05T10:00:00Z"},
    "cleo": {"plan": "professional", "address": {"city": "lisbon"}},
}


def filtered(operator: str, path: str, value: Any = "") -> dict[str, Any]:
    """One filter."""
    return {"operator": operator, "path": path, "value": value}


AT_120 = filtered("EQ", "spent", "120")


def members(api: client.Client, filter_: Any, **more: Any) -> list[str]:
    """Who is in an audience with this filter."""
    assert api.put("/audiences/some", {"filter": filter_, **more}).status_code == 200
    answer = api.get("/audiences/some/members")
    assert answer.status_code == 200, answer.text
    return sorted(one["member_id"] for one in answer.json()["items"])


def test_an_audience_is_put_read_listed_and_deleted(api: client.Client) -> None:
    """PUT makes it, of nothing too, and changes what is given; texts and instants are always there."""
    empty = api.put("/audiences/a%2Fb", {})
    instant = "2026-01-05T12:00:00.000000Z"
    expected = {
        "id": "a/b",
        "name": "a/b",
        "description": "",
        "filter": None,
        "operator": None,
        "created_at": instant,
        "updated_at": instant,
    }
    assert (empty.status_code, empty.json()) == (200, {"audience": expected})
    assert api.get("/audiences/a%2Fb/members").json() == {
        "items": [],
        "paging": {"cursor": None, "more": False},
    }
    group = {"filters": [filtered("EQ", "plan", "pro")]}
    made = api.put("/audiences/a%2Fb", {"name": "Pro", "filter": group, "operator": "OR", "x": 1})
    assert made.headers["heliograph-ignored"] == "x"
    whole = {**expected, "name": "Pro", "filter": {**group, "operator": "OR"}, "operator": "OR"}
    assert api.get("/audiences/a%2Fb").json() == made.json()["audience"] == whole
    assert api.get("/audiences").json() == {"items": [whole], "paging": {"cursor": None, "more": False}}
    assert api.delete("/audiences/a%2Fb").status_code == 204
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/members")):
        assert api.send(method, f"/audiences/a%2Fb{path}").status_code == 404


def test_each_operator_finds_its_people(api: client.Client) -> None:
    """Filters and groups of them hold of profiles as they stand, letter by letter, numbers as numbers."""
    for name, profile in PEOPLE.items():
        api.put(f"/profiles/{name}", {"profile": profile})
    for filter_, expected in (
        (filtered("EQ", "plan", "pro"), ["ana"]),
        (filtered("EQ", "spent", "120"), ["ana"]),
        (filtered("EQ", "plan", ["pro", "free"]), ["ana", "ben"]),
        (filtered("NEQ", "plan", "pro"), ["ben", "cleo"]),
        (filtered("NEQ", "plan", ["pro", "free"]), ["cleo"]),
        (filtered("GT", "spent", "99.5"), ["ana"]),
        (filtered("GTE", "spent", "99.5"), ["ana", "ben"]),
        (filtered("LT", "spent", "120"), ["ben"]),
        (filtered("LTE", "spent", 120), ["ana", "ben"]),
        (filtered("EXISTS", "spent"), ["ana", "ben"]),
        (filtered("EXISTS", "spent", "false"), ["cleo"]),
        (filtered("INCLUDES", "tags", "a"), ["ana"]),
        (filtered("INCLUDES", "tags", ["a", "b"]), ["ana", "ben"]),
        (filtered("OMIT", "tags", "a"), ["ben", "cleo"]),
        (filtered("STARTS_WITH", "plan", "pro"), ["ana", "cleo"]),
        (filtered("ENDS_WITH", "address.city", "isbon"), ["ana", "cleo"]),
        (filtered("EQ", "address.city", "Lisbon"), ["ana"]),
        (filtered("IS_BEFORE", "seen", "2026-01-04"), ["ana"]),
        (filtered("IS_AFTER", "seen", "2026-01-05T09:00:00Z"), ["ben"]),
        (
            {"operator": "AND", "filters": [filtered("EXISTS", "spent"), filtered("EQ", "plan", "free")]},
            ["ben"],
        ),
        (
            {
                "operator": "OR",
                "filters": [
                    filtered("EQ", "plan", "free"),
                    {
                        "operator": "AND",
                        "filters": [filtered("INCLUDES", "plan", "pro"), filtered("EQ", "spent", "120")],
                    },
                ],
            },
            ["ana", "ben"],
        ),
    ):
        assert members(api, filter_) == expected, filter_
    first = api.get("/audiences/some/members").json()["items"][0]
    assert (first["audience_id"], first["audience_version"] > 20, first["reason"]) == (
        "some",
        True,
        "MATCHED",
    )
    assert first["added_at"] == "2026-01-05T12:00:00.000000Z"


def test_a_filter_alone_is_told_as_a_group(api: client.Client) -> None:
    """A filter that was given in no group is answered as the group that it is, which Courier's clients can read."""
    alone = filtered("EQ", "plan", "pro")
    made = api.put("/audiences/some", {"filter": alone}).json()["audience"]
    assert (made["filter"], made["operator"]) == ({"operator": "AND", "filters": [alone]}, "AND")
    assert api.get("/audiences/some").json() == api.get("/audiences").json()["items"][0] == made


def test_who_is_with_a_tenant_is_a_member_of_it(api: client.Client) -> None:
    """`MEMBER_OF` means whoever is with the tenant or its own, in lists of members, in sends and in their filters."""
    people: dict[str, list[str]] = {"ana": ["acme"], "ben": ["bolt"], "cleo": []}
    for tenant_id in ("acme", "bolt"):
        api.put(f"/tenants/{tenant_id}", {"name": tenant_id})
    for name, joined in people.items():
        api.put(f"/profiles/{name}", {"profile": {"email": f"{name}@example.com", "plan": "pro"}})
        api.put(f"/users/{name}/tenants", {"tenants": [{"tenant_id": one} for one in joined]})
    acme = api.key("admin", tenant="acme")
    api.put("/profiles/own", {"profile": {"email": "own@example.com", "plan": "pro"}}, key=acme)
    of_acme = filtered("MEMBER_OF", "account_id", "acme")
    either = {"operator": "OR", "filters": [of_acme, filtered("MEMBER_OF", "account_id", "bolt")]}
    assert members(api, either) == ["ana", "ben", "own"]
    assert members(api, {"operator": "AND", "filters": [filtered("EQ", "plan", "pro"), of_acme]}) == [
        "ana",
        "own",
    ]
    assert members(api, filtered("MEMBER_OF", "account_id", "nobody")) == []

    def reached(to: dict[str, Any]) -> list[str]:
        before = len(api.mailbox.received)
        message = {"to": to, "content": {"title": "Hi", "body": "Hi"}}
        assert api.post("/send", {"message": message}).status_code == 200
        api.world.run_until_idle()
        return sorted(mail.recipient for mail in api.mailbox.received[before:])

    assert members(api, of_acme) == ["ana", "own"]
    assert reached({"audience_id": "some"}) == ["ana@example.com", "own@example.com"]
    members(api, filtered("EQ", "plan", "pro"))
    assert reached({"audience_id": "some", "filters": [of_acme]}) == ["ana@example.com", "own@example.com"]
    # To a tenant's key its people's being with others is not told.
    api.put("/users/own/tenants/bolt", {})
    api.put("/audiences/mine", {"filter": filtered("MEMBER_OF", "account_id", "bolt")}, key=acme)
    assert api.get("/audiences/mine/members", key=acme).json()["items"] == []


def test_members_come_in_pages_and_by_tenant(api: client.Client) -> None:
    """Following the cursor sees everybody once; a tenant's audience holds its own people alone."""
    acme = api.key("admin", tenant="acme")
    for number in range(130):
        api.world.contact(f"p{number}", plan="pro")
    api.put("/profiles/own", {"profile": {"plan": "pro"}}, key=acme)
    assert len(members(api, filtered("EQ", "plan", "pro"))) == 100
    seen: list[str] = []
    query: dict[str, str] = {}
    while True:
        page = api.get("/audiences/some/members", params=query).json()
        seen += [one["member_id"] for one in page["items"]]
        if not page["paging"]["more"]:
            break
        query = {"cursor": page["paging"]["cursor"]}
    assert len(seen) == len(set(seen)) == 131
    assert members(api, filtered("MEMBER_OF", "account_id", "acme")) == ["own"]
    api.put("/audiences/mine", {"filter": filtered("EQ", "plan", "pro")}, key=acme)
    theirs = api.get("/audiences/mine/members", key=acme).json()["items"]
    assert [one["member_id"] for one in theirs] == ["own"]
    assert api.get("/audiences/some", key=acme).status_code == 404
    assert api.put("/audiences/some", {}, key=acme).status_code == 404


def test_a_page_of_members_looks_at_so_many_people(
    api: client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where few are in an audience a page may hold fewer, even nobody, and go on; in the end all were seen once."""
    monkeypatch.setattr(audiences, "LOOKED_AT", 5)
    for number in range(40):
        api.world.contact(f"p{number}", plan="pro" if number % 13 == 0 else "free")
    api.put("/audiences/some", {"filter": filtered("EQ", "plan", "pro")})
    sizes, seen = [], []
    query: dict[str, str] = {}
    while True:
        page = api.get("/audiences/some/members", params=query).json()
        sizes.append(len(page["items"]))
        seen += [one["member_id"] for one in page["items"]]
        if not page["paging"]["more"]:
            break
        query = {"cursor": page["paging"]["cursor"]}
    assert 0 in sizes
    assert sorted(seen) == ["p0", "p13", "p26", "p39"]


def test_a_tenants_audience_is_written_to_alone(api: client.Client) -> None:
    """Whoever sends to a tenant's audience, those who pass its filter and are others' customers hear nothing."""
    tenant = api.key("admin", tenant="acme")
    for name, key in (("ana", tenant), ("ben", ""), ("cleo", api.key("admin", tenant="zoo"))):
        profile = {"email": f"{name}@example.com", "plan": "pro"}
        api.put(f"/profiles/{name}", {"profile": profile}, key=key)
    api.put("/audiences/pros", {"filter": filtered("EQ", "plan", "pro")}, key=tenant)
    message = {"to": {"audience_id": "pros"}, "content": {"title": "Hi", "body": "Hello"}}
    assert api.post("/send", {"message": message}).status_code == 200
    api.decide()
    assert [mail.recipient for mail in api.mailbox.received] == ["ana@example.com"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"filter": []}, "filter"),
        ({"filter": {}}, "filter.operator"),
        ({"filter": filtered("LIKE", "plan", "x")}, "filter.operator"),
        ({"filter": filtered("EQ", "a..b", "x")}, "filter.path"),
        ({"filter": filtered("EQ", "plan", None)}, "filter.value"),
        ({"filter": filtered("GT", "spent", "much")}, "filter.value"),
        ({"filter": filtered("IS_AFTER", "seen", "soon")}, "filter.value"),
        ({"filter": filtered("MEMBER_OF", "plan", "x")}, "filter.path"),
        ({"filter": {"operator": "XOR", "filters": [filtered("EXISTS", "a")]}}, "filter.operator"),
        ({"filter": {"operator": "AND", "filters": []}}, "filter.filters"),
        ({"filter": {"filters": [filtered("EQ", "", "x")]}}, "filter.filters[0].path"),
        ({"filter": {"filters": [filtered("EXISTS", "a")]}, "operator": "XOR"}, "operator"),
        ({"name": 7}, "name"),
    ],
)
def test_a_wrong_audience_is_refused(lone_api: client.Client, body: Any, place: str) -> None:
    """A fault is a 400 at its place, and no audience is made."""
    answer = lone_api.put("/audiences/some", body)
    assert (answer.status_code, list(client.faults(answer))) == (400, [place])
    assert lone_api.get("/audiences/some").status_code == 404


def test_two_who_put_an_audience_stand_in_line(api: client.Client) -> None:
    """What one says of it and what another says at once are both kept."""

    def put(connection: sa.Connection, **given: str) -> None:
        audiences.put(connection, 1, None, "news", given, api.clock.now())

    def describe() -> None:
        with api.store.writing() as connection:
            put(connection, description="Readers")

    second = threading.Thread(target=describe)
    with api.store.writing() as connection:
        put(connection, name="News")
        second.start()
        second.join(0.2)
    second.join()
    shown = api.get("/audiences/news").json()
    assert (shown["name"], shown["description"]) == ("News", "Readers")
