"""Profiles over HTTP, in Courier's shape."""

from typing import Any
from urllib.parse import quote

import pytest

from heliograph import app
from tests.web import client


def test_a_profile_is_merged_replaced_and_read(api: client.Client) -> None:
    """POST sets what it names and makes the person, PUT replaces the whole, GET gives it back."""
    made = api.post("/profiles/ana", {"profile": {"email": " Ana@Example.COM ", "plan": "free"}})
    assert (made.status_code, made.json()) == (200, {"status": "SUCCESS"})
    merged = api.post("/profiles/ana", {"profile": {"plan": "pro", "cart": {"items": [1]}}})
    assert merged.status_code == 200
    read = api.get("/profiles/ana")
    assert read.status_code == 200
    assert read.json() == {"profile": {"email": "ana@example.com", "plan": "pro", "cart": {"items": [1]}}}
    replaced = api.put("/profiles/ana", {"profile": {"email": "ana@new.example"}})
    assert (replaced.status_code, replaced.json()) == (200, {"status": "SUCCESS"})
    assert api.get("/profiles/ana").json() == {"profile": {"email": "ana@new.example"}}


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_birthday_in_parts_is_one_date(api: client.Client, method: str) -> None:
    """What another wire writes as day, month and year of birth is stored, and read, as `birthdate`."""
    parts = {"daybirth": 17, "monthbirth": 5, "yearbirth": 1990}
    assert api.send(method, "/profiles/ana", json={"profile": {**parts, "plan": "pro"}}).status_code == 200
    assert api.get("/profiles/ana").json() == {"profile": {"birthdate": "1990-05-17", "plan": "pro"}}
    refused = api.send(method, "/profiles/ana", json={"profile": {"daybirth": 31, "monthbirth": 4}})
    assert (refused.status_code, list(client.faults(refused))) == (400, ["profile.daybirth"])
    emptied = {"daybirth": None, "monthbirth": None}
    assert api.send(method, "/profiles/ana", json={"profile": emptied}).status_code == 200
    assert api.get("/profiles/ana").json()["profile"]["birthdate"] is None


def test_an_unknown_person_is_a_404_in_couriers_shape(api: client.Client) -> None:
    """GET of nobody answers with message, type and errors."""
    answer = api.get("/profiles/nobody")
    assert answer.status_code == 404
    assert answer.json() == {
        "message": "there is no profile 'nobody'",
        "type": "not_found_error",
        "errors": [],
    }


@pytest.mark.parametrize("user_id", ["a/b", "a%b", "a%2Fb", "ä ö", "a?b#c", "..;x", "sch/2026/x"])
def test_any_id_is_one_part_of_the_path(lone_api: client.Client, user_id: str) -> None:
    """Whatever is encoded in a path part is the id: nothing is cut, decoded twice or taken for another path."""
    path = f"/profiles/{quote(user_id, safe='')}"
    assert lone_api.put(path, {"profile": {"who": user_id}}).status_code == 200
    assert lone_api.get(path).json() == {"profile": {"who": user_id}}
    event = lone_api.happen("custom.seen", contact_id=user_id)
    lone_api.make_rule(
        trigger_type="custom.seen",
        conditions=[{"field": "contact.who", "operator": "equals", "value": user_id}],
    )
    lone_api.decide()
    assert [run["matched"] for run in lone_api.runs(event)] == [True]


def test_the_next_event_sees_the_profile(api: client.Client) -> None:
    """A write has happened when it is answered: rules see it and messages go where it says."""
    api.make_rule(
        conditions=[{"field": "contact.plan", "operator": "equals", "value": "pro"}],
        actions=[{"type": "send_message", "text": "Hello {{ contact.given_name }}"}],
    )
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com", "given_name": "Ana", "plan": "free"}})
    api.happen(contact_id="ana")
    api.decide()
    api.post("/profiles/ana", {"profile": {"plan": "pro"}})
    api.happen(contact_id="ana")
    api.decide()
    assert [mail.text for mail in api.mailbox.to("ana@example.com")] == ["Hello Ana"]


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "profile"),
        ({"profile": []}, "profile"),
        ({"profile": None}, "profile"),
        ({"profile": {"email": "nobody"}}, "profile.email"),
        ({"profile": {"phone_number": "12"}}, "profile.phone_number"),
        ({"profile": {"birthdate": "31.12.1990"}}, "profile.birthdate"),
        ({"profile": {"timezone": "Mars/Base"}}, "profile.timezone"),
    ],
)
def test_a_wrong_profile_is_refused(lone_api: client.Client, body: dict[str, Any], place: str) -> None:
    """What every door knows of a person is checked: 400 in Courier's family, with the place, and nobody is made."""
    answer = lone_api.post("/profiles/ana", body)
    assert (answer.status_code, answer.json()["type"]) == (400, "invalid_request_error")
    assert list(client.faults(answer)) == [place]
    assert lone_api.get("/profiles/ana").status_code == 404


def test_what_courier_sends_and_we_do_not_know_is_named(lone_api: client.Client) -> None:
    """Unknown keys of a body and a query are passed over and named in a header, in ASCII."""
    answer = lone_api.post("/profiles/ana?trace=1", {"profile": {"a": 1}, "prefs": {}, "ä,b": 1})
    assert answer.status_code == 200
    assert answer.headers["heliograph-ignored"] == "prefs, trace, %C3%A4%2Cb"
    assert "heliograph-ignored" not in lone_api.post("/profiles/ana", {"profile": {}}).headers
    patched = lone_api.patch("/profiles/ana", {"patch": [{"op": "add", "path": "/b", "value": 1, "x": 2}]})
    assert (patched.status_code, patched.headers["heliograph-ignored"]) == (200, "patch[0].x")


def test_a_profile_has_bounds(lone_api: client.Client) -> None:
    """An id of more than 255 characters and a profile of more than 256 KiB are refused."""
    long = lone_api.put(f"/profiles/{'x' * 256}", {"profile": {}})
    assert (long.status_code, list(client.faults(long))) == (400, ["user_id"])
    assert lone_api.put("/profiles/ana", {"profile": {"a": "x" * 300_000}}).status_code == 413


@pytest.mark.parametrize("door", ["/profiles/ana", "/api/contacts/ana", "/inbound/segment"])
def test_a_profile_that_is_merged_stays_within_its_bounds(api: client.Client, door: str) -> None:
    """What is added again and again comes to an end at 256 KiB, whichever way it comes in; less is always taken."""
    api.put("/profiles/ana", {"profile": {"kept": 1}})

    def add(**profile: Any) -> int:
        if door == "/inbound/segment":
            return api.post(door, {"type": "identify", "userId": "ana", "traits": profile}).status_code
        if door == "/api/contacts/ana":
            return api.patch(door, {"profile": profile}).status_code
        return api.post(door, {"profile": profile}).status_code

    assert add(a="x" * 100_000) < 300
    assert add(b="x" * 100_000) < 300
    assert add(c="x" * 100_000) == 413
    assert add(a="", c="x" * 100_000) < 300
    read = api.get("/profiles/ana").json()["profile"]
    assert {name: len(str(value)) for name, value in read.items()} == {
        "kept": 1,
        "a": 0,
        "b": 100_000,
        "c": 100_000,
    }


def test_turns_hear_of_every_write(ready_sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever made, changes or deletes a person, what follows from it starts at once."""
    told: list[int] = []
    monkeypatch.setattr(app.App, "_wake_from_thread", lambda _: told.append(1))
    with client.Client(ready_sqlite_url) as api:
        replace = {"patch": [{"op": "add", "path": "/plan", "value": "pro"}]}
        for method, path, body in (
            ("POST", "/inbound/segment", {"type": "identify", "userId": "ana", "traits": {"plan": "free"}}),
            ("PATCH", "/profiles/ana", replace),
            ("DELETE", "/profiles/ana", None),
        ):
            told.clear()
            assert api.send(method, path, json=body).status_code < 300
            assert told, (method, path)


def test_a_profile_is_patched(api: client.Client) -> None:
    """PATCH does the operations of a JSON Patch in order, all or none, and checks what they leave."""
    api.put(
        "/profiles/ana", {"profile": {"email": "ana@example.com", "cart": {"items": [1, 2]}, "plan": "free"}}
    )
    patch = [
        {"op": "test", "path": "/plan", "value": "free"},
        {"op": "replace", "path": "/email", "value": " Ana@New.example "},
        {"op": "add", "path": "/cart/items/-", "value": 3},
        {"op": "move", "from": "/plan", "path": "/tier"},
    ]
    answer = api.patch("/profiles/ana", {"patch": patch})
    assert (answer.status_code, answer.json()) == (200, {"status": "SUCCESS"})
    expected = {"email": "ana@new.example", "cart": {"items": [1, 2, 3]}, "tier": "free"}
    assert api.get("/profiles/ana").json() == {"profile": expected}
    late = [{"op": "add", "path": "/x", "value": 1}, {"op": "remove", "path": "/nothing"}]
    refused = api.patch("/profiles/ana", {"patch": late})
    assert (refused.status_code, list(client.faults(refused))) == (400, ["patch[1].path"])
    tested = api.patch("/profiles/ana", {"patch": patch[:1]})
    assert (tested.status_code, tested.headers["x-should-retry"]) == (409, "false")
    assert api.get("/profiles/ana").json() == {"profile": expected}
    assert api.patch("/profiles/ben", {"patch": []}).status_code == 404


@pytest.mark.parametrize(
    ("patch", "place"),
    [
        (None, "patch"),
        ([1], "patch[0]"),
        ([{"op": "set", "path": "/a", "value": 1}], "patch[0].op"),
        ([{"op": "add", "path": "a", "value": 1}], "patch[0].path"),
        ([{"op": "add", "path": "/a"}], "patch[0].value"),
        ([{"op": "copy", "path": "/a"}], "patch[0].from"),
        ([{"op": "add", "path": "/email", "value": "nobody"}], "profile.email"),
        ([{"op": "replace", "path": "", "value": 7}], "profile"),
    ],
)
def test_a_wrong_patch_is_refused(lone_api: client.Client, patch: Any, place: str) -> None:
    """What is no patch, or leaves no profile, is a 400 with its place, and changes nothing."""
    lone_api.put("/profiles/ana", {"profile": {"plan": "free"}})
    answer = lone_api.patch("/profiles/ana", {"patch": patch})
    assert (answer.status_code, list(client.faults(answer))) == (400, [place])
    assert lone_api.get("/profiles/ana").json() == {"profile": {"plan": "free"}}


def test_a_deleted_person_leaves_their_lists_behind(api: client.Client) -> None:
    """DELETE takes the profile, its birthday and what is planned; lists and preferences stay."""
    api.put("/profiles/ana", {"profile": {"email": "ana@example.com", "birthdate": "1990-01-06"}})
    api.put("/lists/news/subscriptions/ana")
    api.patch("/api/automation/control", {"hold_deliveries": True})
    api.make_rule(actions=[{"type": "send_message", "text": "Hello"}], conditions=None)
    api.happen(contact_id="ana")
    api.decide()
    gone = api.delete("/profiles/ana")
    assert (gone.status_code, gone.content) == (204, b"")
    assert api.get("/profiles/ana").status_code == api.delete("/profiles/ana").status_code == 404
    assert [one["id"] for one in api.get("/profiles/ana/lists").json()["results"]] == ["news"]
    assert [one["status"] for one in api.get("/messages").json()["results"]] == ["CANCELED"]
    api.patch("/api/automation/control", {"hold_deliveries": False})
    api.decide()
    assert api.mailbox.to("ana@example.com") == []


def test_a_patch_takes_true_for_no_number(api: client.Client) -> None:
    """A test of 1 fails where true stands, at any depth."""
    api.put("/profiles/ana", {"profile": {"vip": True, "seen": [1]}})
    for path, value in (("/vip", 1), ("/seen", [True]), ("/seen/0", True)):
        tested = api.patch("/profiles/ana", {"patch": [{"op": "test", "path": path, "value": value}]})
        assert tested.status_code == 409
    alike = [{"op": "test", "path": "/seen/0", "value": 1.0}, {"op": "test", "path": "/vip", "value": True}]
    assert api.patch("/profiles/ana", {"patch": alike}).status_code == 200


def test_a_patch_makes_no_endless_profile(api: client.Client) -> None:
    """Copies of copies, and what comes to stand too deep, are refused, and nothing changes."""
    before = {"profile": {"a": "x" * 10_000}}
    api.put("/profiles/ana", before)
    copies = [{"op": "copy", "from": "", "path": f"/{count}"} for count in range(40)]
    refused = api.patch("/profiles/ana", {"patch": copies})
    assert (refused.status_code, list(client.faults(refused))) == (400, ["patch[4]"])
    tall: dict[str, Any] = {"a": 1}
    for _ in range(50):
        tall = {"a": tall}
    for times, last in ((2, []), (30, []), (30, [{"op": "copy", "from": "", "path": "/b"}])):
        adds = [{"op": "add", "path": "/a" * (50 * count + 1), "value": tall} for count in range(times)]
        refused = api.patch("/profiles/ana", {"patch": [*adds, *last]})
        assert (refused.status_code, "deeper" in refused.json()["message"]) == (400, True)
    assert api.get("/profiles/ana").json() == before


def test_true_is_another_value_than_1(api: client.Client) -> None:
    """A profile in which 1 becomes true is told of as changed."""
    api.make_rule(trigger_type="contact_updated", conditions=[{"field": "vip", "operator": "changed"}])
    api.put("/profiles/ana", {"profile": {"vip": 1}})
    api.decide()
    api.put("/profiles/ana", {"profile": {"vip": True}})
    api.decide()
    # The rule's tag is told of too, and is no change of this field.
    assert [run["matched"] for run in api.get("/api/automation/runs").json()["data"]] == [False, True]
