"""`get-profile` and `update-profile` over HTTP, and the tenants in which a profile says something else."""

from typing import Any

import pytest

from tests.web.client import Client
from tests.web.test_fetching import answers
from tests.web.test_journeys import faults, invoke, status, steps_of

GET = {"action": "get-profile", "user_id": "bob"}
UPDATE = {"action": "update-profile", "recipient_id": "bob"}
FULL = {"email": "bob@example.com", "plan": "pro"}


def tell(body: str) -> dict[str, Any]:
    """A message to Ana."""
    content = {"title": "t", "body": body}
    return {"action": "send", "message": {"to": {"email": "ana@example.com"}, "content": content}}


def told(api: Client, body: str, *steps: dict[str, Any], **context: Any) -> list[str]:
    """What is written to Ana after these steps."""
    before = len(api.mailbox.received)
    invoke(api, *steps, tell(body), **context)
    api.world.run_until_idle()
    return [mail.text for mail in api.mailbox.received[before:]]


def stored(api: Client, user_id: str = "bob") -> Any:
    """What is stored of somebody."""
    answer = api.get(f"/profiles/{user_id}")
    return answer.json().get("profile")


# ── get-profile ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S2-54", "S2-55")
def test_a_stored_profile_comes_into_scope(api: Client) -> None:
    """What follows reads it; nobody who is not stored is an error of the step, and the run goes on."""
    api.world.contact("bob", **FULL)
    run_id = invoke(api, {**GET, "user_id": "${data.who}"}, tell("${profile.plan}"), data={"who": "bob"})
    api.world.run_until_idle()
    assert [mail.text for mail in api.mailbox.received] == ["pro"]
    assert steps_of(api, run_id)[0]["explain"]["keys"] == ["email", "plan"]
    missing = invoke(api, {**GET, "user_id": "nobody"}, tell("on"))
    api.world.run_until_idle()
    first, second = steps_of(api, missing)
    assert (first["status"], first["error"]["message"]) == ("ERROR", "there is no profile 'nobody'")
    assert (second["status"], status(api, missing)) == ("PROCESSED", "PROCESSED")


@pytest.mark.spec("S2-56")
def test_a_profile_is_put_where_it_is_wanted(api: Client) -> None:
    """Into the profile if nothing is said, or into a field of the data."""
    api.world.contact("bob", **FULL)
    assert told(api, "${profile.plan}", GET) == ["pro"]
    assert told(api, "${data.friend.plan} ${profile.plan || '-'}", {**GET, "path": "data.friend"}) == [
        "pro -"
    ]
    answers(api, {"who": "bob"})
    fetch = {"action": "fetch-data", "webhook": {"url": "https://crm.example/"}}
    step = {**GET, "user_id": "refs.data.who", "path": "data.friend"}
    send = {"action": "send", "recipient": "refs.data.who", "template": "hi"}
    api.world.template("hi", subject="s", text="{{ data.friend.plan }}")
    invoke(api, fetch, step, send)
    api.world.run_until_idle()
    assert api.mailbox.to("bob@example.com")[0].text == "pro"


@pytest.mark.spec("S2-57")
def test_a_profile_is_merged_as_the_step_says(api: Client) -> None:
    """Added to what is there if nothing is said; whole, put over, or left where there is any."""
    api.world.contact("bob", a="new", b="new")
    shown = "${profile.a || '-'} ${profile.b || '-'} ${profile.c || '-'}"
    held = {"a": "old", "c": "old"}
    assert told(api, shown, GET, profile=held) == ["old new old"]
    for strategy, text in (
        ("soft-merge", "old new old"),
        ("replace", "new new -"),
        ("overwrite", "new new old"),
        ("none", "old - old"),
    ):
        assert told(api, shown, {**GET, "merge_strategy": strategy}, profile=held) == [text]
    into = {**GET, "path": "data.x", "merge_strategy": "none"}
    assert told(api, "${data.x}", into, data={"x": 5}) == ["5"]


@pytest.mark.spec("S2-58")
def test_a_profile_is_read_as_it_is_in_a_tenant(api: Client) -> None:
    """What the root says, then each level down to the tenant, then what is stored, then what is stored there."""
    for tenant, parent in (("root", None), ("mid", "root"), ("leaf", "mid")):
        said = {
            "a": tenant,
            **({"b": tenant} if tenant != "leaf" else {}),
            tenant: 1,
            "c": tenant,
            "d": tenant,
        }
        body = {"name": tenant, "parent_tenant_id": parent, "user_profile": said}
        assert api.put(f"/tenants/{tenant}", body).status_code == 200
    api.world.contact("bob", c="stored", d="stored")
    assert api.put("/users/bob/tenants/leaf", {"profile": {"d": "there"}}).status_code == 204
    shown = "${profile.a} ${profile.b} ${profile.c} ${profile.d} ${profile.root}${profile.mid}${profile.leaf}"
    assert told(api, shown, {**GET, "tenant_id": "leaf"}) == ["leaf mid stored there 111"]
    assert told(api, "${profile.a} ${profile.d}", {**GET, "tenant_id": "root"}) == ["root stored"]
    run_id = invoke(api, {**GET, "tenant_id": "nowhere"})
    api.world.run_until_idle()
    assert steps_of(api, run_id)[0]["error"]["message"] == "there is no tenant 'nowhere'"


# ── update-profile ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.spec("S2-107", "S2-108", "S2-115", "S2-116", "S2-117")
def test_a_profile_is_written(api: Client) -> None:
    """Whoever it is, made where there is none; the run goes on when it stands there."""
    for user_id in ("ana", "bob", "cid"):
        run_id = invoke(
            api,
            {
                **UPDATE,
                "recipient_id": user_id,
                "profile": {"email": " X@Example.com", "n": "refs.data.n"},
                "ref": "u",
            },
            {"action": "send", "recipient": user_id, "template": "hi", "if": "refs.u.status === 'PROCESSED'"},
            recipient="ana",
            data={"n": 3},
        )
        api.world.template("hi", subject="s", text="{{ profile.n }}")
        api.world.run_until_idle()
        assert stored(api, user_id) == {"email": "x@example.com", "n": 3}
        assert [step["status"] for step in steps_of(api, run_id)] == ["PROCESSED", "PROCESSED"]
    assert [mail.text for mail in api.mailbox.to("x@example.com")] == ["3", "3", "3"]


@pytest.mark.spec("S2-110", "S2-111", "S2-112", "S2-113", "S2-114")
def test_a_profile_is_written_as_the_step_says(api: Client) -> None:
    """Whole if nothing is said; else added to, put over, or left where there is any."""
    new = {"a": "new", "b": "new"}
    for strategy, wanted in (
        (None, new),
        ("replace", new),
        ("soft-merge", {"a": "old", "b": "new", "c": "old"}),
        ("overwrite", {"a": "new", "b": "new", "c": "old"}),
        ("none", {"a": "old", "c": "old"}),
    ):
        api.put("/profiles/bob", {"profile": {"a": "old", "c": "old"}})
        invoke(api, {**UPDATE, "profile": new, **({} if strategy is None else {"merge": strategy})})
        api.world.run_until_idle()
        assert stored(api) == wanted
    invoke(api, {**UPDATE, "recipient_id": "new", "profile": new, "merge": "none"})
    api.world.run_until_idle()
    assert stored(api, "new") == new


def test_a_profile_that_runs_add_to_stays_within_its_bounds(api: Client) -> None:
    """A write that makes more than 256 KiB of a profile is an ERROR, changes nothing, and the run goes on."""
    add = {**UPDATE, "profile": "refs.data.more", "merge": "overwrite"}
    for name in "ab":
        invoke(api, add, data={"more": {name: "x" * 120_000}})
    api.world.run_until_idle()
    run_id = invoke(api, add, tell("on"), data={"more": {"c": "x" * 120_000}})
    api.world.run_until_idle()
    first, last = steps_of(api, run_id)
    assert (first["status"], first["error"]) == ("ERROR", {"message": "a profile takes at most 256 KiB"})
    assert (last["status"], sorted(stored(api))) == ("PROCESSED", ["a", "b"])


@pytest.mark.spec("S2-109")
def test_a_write_has_a_condition(api: Client) -> None:
    """One whose `if` does not hold writes nothing."""
    invoke(api, {**UPDATE, "profile": {"n": 1}, "if": "data.n > 1", "ref": "u"}, data={"n": 1})
    api.world.run_until_idle()
    assert stored(api) is None


def test_what_a_write_leaves_out_the_run_says(api: Client) -> None:
    """The run's recipient and profile; where there is no profile either, nothing is emptied."""
    assert set(faults(api, {"action": "update-profile", "profile": {}})) == {"steps[0].recipient_id"}
    api.world.contact("ana", **FULL)
    invoke(api, {"action": "update-profile", "merge": "overwrite"}, recipient="ana", profile={"n": 1})
    run_id = invoke(api, {"action": "update-profile"}, recipient="ana")
    api.world.run_until_idle()
    assert stored(api, "ana") == {**FULL, "n": 1}
    assert steps_of(api, run_id)[0]["status"] == "ERROR"


def test_profile_steps_are_checked_beforehand(api: Client) -> None:
    """Every field with its place."""
    found = faults(
        api,
        {"action": "get-profile", "path": "data.a.b", "merge_strategy": "deep", "who": 1},
        {**UPDATE, "profile": {"email": "nonsense"}, "merge": "deep"},
        {**UPDATE, "profile": [1]},
    )
    assert set(found) == {
        *(f"steps[0].{name}" for name in ("user_id", "path", "merge_strategy", "who")),
        "steps[1].profile.email",
        "steps[1].merge",
        "steps[2].profile",
    }
    run_id = invoke(api, {**UPDATE, "profile": {"email": "refs.data.mail"}}, data={"mail": "nonsense"})
    api.world.run_until_idle()
    assert (status(api, run_id), stored(api)) == ("ERROR", None)


def test_a_tenants_runs_see_its_own_people(api: Client) -> None:
    """A profile of another tenant is neither read nor written."""
    shop = api.key("admin", tenant="shop")
    api.world.contact("bob", **FULL)
    body: dict[str, Any] = {"automation": {"steps": [GET, {**UPDATE, "profile": {"n": 1}}]}}
    run_id = api.post("/automations/invoke", body, key=shop).json()["runId"]
    api.world.run_until_idle()
    assert [step["error"]["message"] for step in steps_of(api, run_id)] == ["there is no profile 'bob'"] * 2
    assert stored(api) == FULL


# ── tenants ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_tenant_is_made_changed_listed_and_deleted(api: Client) -> None:
    """PUT makes it or replaces it; one below which others stand stays."""
    api.post("/brands", {"id": "b", "name": "B", "settings": {}})
    body = {"name": "Shop", "user_profile": {"plan": "pro"}, "properties": {"n": 1}, "brand_id": "b"}
    answer = api.put("/tenants/shop", {**body, "default_preferences": {"mood": 1}, "colour": "red"})
    whole = {**body, "id": "shop", "parent_tenant_id": None, "default_preferences": None}
    assert (answer.status_code, answer.json()) == (200, whole)
    assert answer.headers["heliograph-ignored"] == "colour, default_preferences.mood"
    assert api.get("/tenants/shop").json() == whole
    for number in range(3):
        api.put(f"/tenants/t{number}", {"name": "T", "parent_tenant_id": "shop"})
    first = api.get("/tenants?parent_tenant_id=shop&limit=2").json()
    assert ([one["id"] for one in first["items"]], first["has_more"], first["type"]) == (
        ["t0", "t1"],
        True,
        "list",
    )
    second = api.get(first["next_url"]).json()
    assert ([one["id"] for one in second["items"]], second["has_more"]) == (["t2"], False)
    third = api.get(api.get("/tenants?parent_tenant_id=shop&limit=1").json()["next_url"]).json()
    assert ([one["id"] for one in third["items"]], third["has_more"]) == (["t1"], True)
    assert "cursor" not in second
    assert len(api.get("/tenants").json()["items"]) == 4
    assert api.delete("/tenants/shop").status_code == 409
    assert api.delete("/tenants/t0").status_code == 204
    assert api.get("/tenants/t0").status_code == 404
    assert api.delete("/tenants/t0").status_code == 404


def test_a_tenants_key_does_not_move_it(api: Client) -> None:
    """Nobody takes what another tenant says by standing below it; where it stands, a tenant says what it likes."""
    api.put("/tenants/rival", {"name": "Rival", "user_profile": {"secret": 1}})
    shop = api.key("admin", tenant="shop")
    below = {"name": "Shop", "parent_tenant_id": "rival"}
    assert api.put("/tenants/shop", below, key=shop).status_code == 403
    assert api.put("/tenants/shop", {"name": "Shop"}, key=shop).status_code == 200
    assert api.put("/tenants/shop", below, key=shop).status_code == 403
    assert api.get("/tenants/shop").json()["parent_tenant_id"] is None
    assert api.put("/tenants/shop", below).status_code == 200
    assert api.put("/tenants/shop", {**below, "name": "My shop"}, key=shop).json()["name"] == "My shop"
    assert api.put("/tenants/shop", {"name": "Shop"}, key=shop).status_code == 403


def test_tenants_stand_in_no_circle(api: Client) -> None:
    """Four levels are the most, whoever is moved; a parent is there."""
    parent = None
    for name in "abcd":
        assert api.put(f"/tenants/{name}", {"name": name, "parent_tenant_id": parent}).status_code == 200
        parent = name
    for name, above in (("e", "d"), ("a", "c"), ("a", "a"), ("x", "nowhere")):
        answer = api.put(f"/tenants/{name}", {"name": name, "parent_tenant_id": above})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "parent_tenant_id")
    api.put("/tenants/top", {"name": "top"})
    assert api.put("/tenants/a", {"name": "a", "parent_tenant_id": "top"}).status_code == 400
    answer = api.put("/tenants/x", {"user_profile": {"email": 5}, "brand_id": 5, "properties": []})
    assert {one["path"] for one in answer.json()["errors"]} == {
        "name",
        "brand_id",
        "properties",
        "user_profile.email",
    }
    nothings: tuple[object, ...] = ([], "", False)
    for nothing in nothings:
        answer = api.put("/tenants/x", {"name": "x", "user_profile": nothing})
        assert (answer.status_code, answer.json()["errors"][0]["path"]) == (400, "user_profile")


def test_people_are_with_tenants(api: Client) -> None:
    """Added one by one or together, listed from both sides, and taken out again; deleting a tenant forgets them."""
    for tenant in ("a", "b", "c"):
        api.put(f"/tenants/{tenant}", {"name": tenant})
    assert api.put("/users/bob/tenants/a", {"profile": {"email": "B@x.de"}}).status_code == 204
    assert (
        api.put("/users/bob/tenants", {"tenants": [{"tenant_id": "b"}, {"tenant_id": "c"}]}).status_code
        == 204
    )
    assert api.put("/users/cid/tenants/a").status_code == 204
    listed = api.get("/users/bob/tenants").json()
    assert [one["tenant_id"] for one in listed["items"]] == ["a", "b", "c"]
    member = {"user_id": "bob", "tenant_id": "a", "type": "user", "profile": {"email": "b@x.de"}}
    assert listed["items"][0] == member
    assert [one["user_id"] for one in api.get("/tenants/a/users?limit=1").json()["items"]] == ["bob"]
    refused: tuple[list[dict[str, str]], ...] = ([], [{}], [{"tenant_id": "nowhere"}])
    for wrong in refused:
        assert api.put("/users/bob/tenants", {"tenants": wrong}).status_code == 400
    assert api.delete("/users/bob/tenants/a").status_code == 204
    assert api.delete("/users/bob/tenants/a").status_code == 404
    api.delete("/tenants/b")
    assert [one["tenant_id"] for one in api.get("/users/bob/tenants").json()["items"]] == ["c"]
    assert api.delete("/users/bob/tenants").status_code == 204
    assert api.get("/users/bob/tenants").json()["items"] == []


def test_a_tenants_key_sees_that_tenant_alone(api: Client) -> None:
    """Others are not there for it, and nobody is with them."""
    for tenant in ("a", "shop"):
        api.put(f"/tenants/{tenant}", {"name": tenant})
        api.put(f"/users/bob/tenants/{tenant}", {})
    shop = api.key("admin", tenant="shop")
    assert [one["id"] for one in api.get("/tenants", key=shop).json()["items"]] == ["shop"]
    assert api.get("/tenants/a", key=shop).status_code == 404
    assert api.put("/tenants/a", {"name": "x"}, key=shop).status_code == 404
    assert [one["tenant_id"] for one in api.get("/users/bob/tenants", key=shop).json()["items"]] == ["shop"]
    assert api.put("/users/bob/tenants/a", {}, key=shop).status_code == 400
    assert api.delete("/users/bob/tenants", key=shop).status_code == 204
    assert [one["tenant_id"] for one in api.get("/users/bob/tenants").json()["items"]] == ["a"]


def test_a_turn_looks_at_levels_in_bulk(api: Client) -> None:
    """Runs of many people in many tenants are as right together as alone."""
    for tenant in ("a", "b"):
        api.put(f"/tenants/{tenant}", {"name": tenant, "user_profile": {"t": tenant}})
    for number in range(6):
        api.world.contact(f"c{number}", email=f"c{number}@example.com")
        step = {"action": "get-profile", "user_id": f"c{number}", "tenant_id": "ab"[number % 2]}
        invoke(api, step, tell(f"{number}${{profile.t}}"))
    api.world.run_until_idle()
    assert sorted(mail.text for mail in api.mailbox.received) == ["0a", "1b", "2a", "3b", "4a", "5b"]
