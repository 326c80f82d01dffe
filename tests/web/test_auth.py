"""Keys, roles and tenants: who gets in, what they may do, and what they can see."""

import re
from typing import Any

import pytest
import sqlalchemy as sa
from litestar.routes import HTTPRoute

from heliograph import errors
from heliograph.core import ids
from heliograph.store import keys, schema
from heliograph.web import auth, server
from tests.web import client

SOME = "00000000-0000-7000-8000-000000000000"
RULES = "/api/automation/rules"
EVENTS = "/api/automation/events"
EVERYTHING = [
    ("GET", RULES),
    ("POST", RULES),
    ("GET", f"{RULES}/{SOME}"),
    ("PATCH", f"{RULES}/{SOME}"),
    ("DELETE", f"{RULES}/{SOME}"),
    ("POST", f"{RULES}/{SOME}/snooze"),
    ("GET", f"{RULES}/snoozed"),
    ("PATCH", f"{RULES}/{SOME}/alert-settings"),
    ("PATCH", f"{RULES}/{SOME}/schedule-settings"),
    ("PATCH", f"{RULES}/{SOME}/rollout"),
    ("GET", f"{RULES}/{SOME}/effective-state"),
    ("POST", f"{RULES}/dry-run"),
    ("GET", f"{RULES}/{SOME}/schedule-preview"),
    ("GET", f"{RULES}/{SOME}/stats/timeseries"),
    ("GET", "/api/automation/stats/overview"),
    ("GET", "/api/automation/stats/timeseries"),
    ("GET", "/api/automation/stats/alerts"),
    ("GET", "/api/automation/control"),
    ("PATCH", "/api/automation/control"),
    ("POST", EVENTS),
    ("GET", f"{EVENTS}/{SOME}"),
    ("GET", f"{EVENTS}/{SOME}/explain"),
    ("POST", f"{EVENTS}/{SOME}/retry"),
    ("GET", f"/api/automation/runs/by-event/{SOME}"),
    ("GET", f"/api/automation/runs/{SOME}"),
    ("GET", "/profiles/ana"),
    ("POST", "/profiles/ana"),
    ("PUT", "/profiles/ana"),
    ("GET", "/messages"),
    ("GET", f"/messages/{SOME}"),
]
ALLOWED = {
    "admin": set(EVERYTHING),
    "supervisor": set(EVERYTHING),
    "agent": {
        ("GET", "/profiles/ana"),
        ("POST", "/profiles/ana"),
        ("PUT", "/profiles/ana"),
        ("GET", "/messages"),
        ("GET", f"/messages/{SOME}"),
    },
    "ingest": {("POST", EVENTS), ("POST", "/profiles/ana")},
}


@pytest.mark.parametrize("role", ALLOWED)
def test_each_role_may_do_what_it_may_and_nothing_else(lone_api: client.Client, role: str) -> None:
    """Every endpoint answers 403 to the roles that it is not for, and lets the others in."""
    key = lone_api.key(role)
    refused = {
        (method, path)
        for method, path in EVERYTHING
        if lone_api.send(method, path, key=key, content=b"{}").status_code == 403
    }
    assert refused == set(EVERYTHING) - ALLOWED[role]


def test_an_application_releases_no_batch(lone_api: client.Client) -> None:
    """The key of an application starts journeys; what waits in them is for who reads it."""
    key, path = lone_api.key("ingest"), f"/automations/batches/{SOME}/release"
    assert lone_api.post(path, key=key).status_code == 403
    assert lone_api.post(path).status_code == 404


@pytest.mark.parametrize(
    ("role", "method", "path"),
    [
        ("supervisor", "GET", "/providers"),
        ("supervisor", "POST", "/providers"),
        ("ingest", "POST", f"/automations/runs/{SOME}/cancel"),
        ("ingest", "POST", f"/automations/batches/{SOME}/release"),
        ("agent", "DELETE", "/api/agents/a"),
    ],
)
def test_a_role_is_the_same_however_a_path_is_written(
    lone_api: client.Client, role: str, method: str, path: str
) -> None:
    """Slashes that count for nothing open nothing; who may come in may write them."""
    key = lone_api.key(role)
    for spelled in (path, f"/{path}", f"{path}/", "/" + path[1:].replace("/", "//"), f"{path}//"):
        url = f"http://heliograph{spelled}"
        assert lone_api.send(method, url, key=key, content=b"{}").status_code == 403, spelled
        assert lone_api.send(method, url, content=b"{}").status_code != 403, spelled


def automation_endpoints() -> list[tuple[str, str]]:
    """(method, path) of everything that is served under /api/automation, with ids that nothing has."""
    return [
        (method, re.sub(r"{\w+}", SOME, route.path_format))
        for route in server.routes().routes
        if isinstance(route, HTTPRoute) and route.path.startswith("/api/automation/")
        for method in sorted(route.methods - {"OPTIONS"})
    ]


@pytest.mark.spec("S4-01")
def test_the_automation_api_is_for_supervisors_and_admins(api: client.Client) -> None:
    """Every endpoint that is served under /api/automation answers 403 to an agent and 401 to nobody in particular."""
    endpoints = automation_endpoints()
    assert len(endpoints) > 30
    agent, supervisor = api.key("agent"), api.key("supervisor")
    for method, path in endpoints:
        assert api.send(method, path, key=agent, content=b"{}").status_code == 403, (method, path)
        assert api.send(method, path, key=None, content=b"{}").status_code == 401, (method, path)
        assert api.send(method, path, key=supervisor, content=b"{}").status_code not in (401, 403), path


def test_a_refusal_names_the_roles_that_pass(lone_api: client.Client) -> None:
    """A 403 tells which roles the request takes, in the shape of the path's family."""
    refused = lone_api.get(RULES, key=lone_api.key("agent")).json()["error"]
    assert refused["code"] == "forbidden"
    assert "admin or supervisor" in refused["message"]
    assert lone_api.get("/messages", key=lone_api.key("ingest")).json()["type"] == "permission_error"


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
def test_nothing_answers_without_a_key(lone_api: client.Client, method: str, path: str) -> None:
    """Without a key everything but health, metrics and the description is a 401 that says how to send one."""
    answer = lone_api.send(method, path, key=None)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert "X-API-Key" in answer.text


def test_a_key_comes_in_either_header(lone_api: client.Client) -> None:
    """`Authorization: Bearer` and `X-API-Key` both carry a key; another scheme carries none."""
    for headers in ({"Authorization": f"bearer {lone_api.admin}"}, {"X-API-Key": lone_api.admin}):
        assert lone_api.get(RULES, key=None, headers=headers).status_code == 200
    basic = {"Authorization": "Basic YTpi"}
    assert lone_api.get(RULES, key=None, headers=basic).status_code == 401
    assert lone_api.get(RULES, key=None, headers={**basic, "X-API-Key": lone_api.admin}).status_code == 200


def test_a_wrong_key_opens_nothing(api: client.Client) -> None:
    """A key that differs in one character, is cut, or is no key at all is unknown."""
    good = api.admin
    other = good[:-1] + ("A" if good[-1] != "A" else "B")
    for wrong in (other, good[:-1], good + "A", good.upper(), "hg_", "x", f"hg_{'!' * 64}", f"hg_{'A' * 64}"):
        assert api.get(RULES, key=wrong).status_code == 401


def test_a_key_is_shown_once(api: client.Client) -> None:
    """What is stored of a key does not hold its text, but finds it."""
    with api.store.reading() as connection:
        stored = connection.execute(sa.select(schema.api_keys)).all()
        assert keys.find(connection, api.admin) is not None
    assert api.admin.removeprefix(keys.PREFIX)[22:] not in repr(stored)
    assert stored[0].digest == keys.digest(api.admin)


def test_keys_are_listed_by_number(api: client.Client) -> None:
    """Keys have names, roles and growing numbers, and a revoked one tells when."""
    api.key("ingest")
    with api.store.writing() as connection:
        first, second = keys.listed(connection, api.world.workspace_id)
        assert keys.revoke(connection, second.id, client.START + 7)
        assert not keys.revoke(connection, second.id, client.START + 8)
        assert [key.revoked_at for key in keys.listed(connection, api.world.workspace_id)] == [
            None,
            client.START + 7,
        ]
    assert [(key.number, key.role) for key in (first, second)] == [
        (1, keys.Role.ADMIN),
        (2, keys.Role.INGEST),
    ]


def test_a_revoked_key_counts_no_longer_than_it_is_remembered(api: client.Client) -> None:
    """A key is looked up anew after two seconds, so a revoked one opens nothing from then on."""
    passed = [0.0]
    known = auth.Keys(api.store, lambda: passed[0])
    headers = [(b"x-api-key", api.admin.encode())]
    principal = api.run(known.principal(headers))
    with api.store.writing() as connection:
        identity = ids.parse(principal.key_id)
        assert identity is not None
        keys.revoke(connection, identity, api.clock.now())
    assert api.run(known.principal(headers)) == principal
    passed[0] = 2.1
    with pytest.raises(errors.Unauthenticated):
        api.run(known.principal(headers))


# ── tenants and workspaces ──────────────────────────────────────────────────────────────────────────


def things(api: client.Client, key: str) -> list[str]:
    """The paths of one thing of each kind, made with this key."""
    rule = api.make_rule(
        key=key, trigger_type="custom.x", conditions=[], actions=[{"type": "send_message", "text": "hello"}]
    )
    assert api.put("/profiles/ana", {"profile": {"email": "ana@example.com"}}, key=key).status_code == 200
    event = api.happen("custom.x", key=key, contact_id="ana")
    api.decide()
    (run,) = api.get(f"/api/automation/runs/by-event/{event}", key=key).json()["data"]
    (message,) = api.get("/messages", key=key).json()["results"]
    return [
        f"{RULES}/{rule['id']}",
        f"{EVENTS}/{event}",
        f"/api/automation/runs/{run['id']}",
        "/profiles/ana",
        f"/messages/{message['id']}",
    ]


@pytest.mark.parametrize(
    ("owner", "stranger"),
    [
        ({"tenant": "shop"}, {"tenant": "bank"}),
        ({}, {"tenant": "bank"}),
        ({}, {"workspace": "other"}),
    ],
)
def test_what_belongs_to_somebody_else_does_not_exist(
    api: client.Client, owner: dict[str, Any], stranger: dict[str, Any]
) -> None:
    """Another tenant's or workspace's rules, events, runs, profiles and messages are 404s, and in no list."""
    mine, other = api.key("admin", **owner), api.key("admin", **stranger)
    paths = things(api, mine)
    assert [api.get(path, key=mine).status_code for path in paths] == [200] * 5
    assert [api.get(path, key=other).status_code for path in paths] == [404] * 5
    assert api.patch(paths[0], {"name": "mine"}, key=other).status_code == 404
    assert api.delete(paths[0], key=other).status_code == 404
    assert api.post(f"{paths[0]}/snooze", {"snoozed_until": None}, key=other).status_code == 404
    assert api.patch(f"{paths[0]}/rollout", {"rollout_percentage": 1}, key=other).status_code == 404
    for state in ("effective-state", "schedule-preview"):
        assert api.get(f"{paths[0]}/{state}", key=other).status_code == 404
    assert api.post(f"{paths[1]}/retry", key=other).status_code == 404
    event = paths[1].rsplit("/", 1)[1]
    assert api.get(f"/api/automation/runs/by-event/{event}", key=other).json()["total"] == 0
    assert api.get(RULES, key=other).json()["total"] == 0
    assert api.get("/messages", key=other).json()["results"] == []


def test_a_tenants_person_is_its_own(api: client.Client) -> None:
    """A person that one tenant made cannot be written by another; the whole workspace's key sees and writes both."""
    shop, bank = api.key("ingest", tenant="shop"), api.key("admin", tenant="bank")
    assert api.post("/profiles/ana", {"profile": {"a": 1}}, key=shop).status_code == 200
    assert api.post("/profiles/ana", {"profile": {"b": 1}}, key=bank).status_code == 404
    assert api.put("/profiles/ana", {"profile": {"b": 1}}, key=bank).status_code == 404
    assert api.post("/profiles/ana", {"profile": {"c": 1}}).status_code == 200
    assert api.get("/profiles/ana").json() == {"profile": {"a": 1, "c": 1}}


def test_a_tenants_rules_see_that_tenants_events_alone(api: client.Client) -> None:
    """A rule made with a tenant's key meets the tenant's events; the workspace's own rules meet every event."""
    shop = api.key("admin", tenant="shop")
    api.make_rule(key=shop, name="shop's", conditions=[])
    api.make_rule(name="everybody's", conditions=[])
    event, other = api.happen(contact_id="ana", key=shop), api.happen(contact_id="ben")
    api.decide()
    assert sorted(run["rule_name"] for run in api.runs(event)) == ["everybody's", "shop's"]
    assert [run["rule_name"] for run in api.runs(other)] == ["everybody's"]


def test_a_tenant_cannot_pause_the_workspace(api: client.Client) -> None:
    """The control record is the whole workspace's: a tenant's key is refused."""
    shop = api.key("admin", tenant="shop")
    assert api.get("/api/automation/control", key=shop).status_code == 403
    assert api.patch("/api/automation/control", {"is_paused": True}, key=shop).status_code == 403
    assert api.get("/api/automation/control").json()["is_paused"] is False
