"""Every route that is served, asked with every role, with another tenant's key and with another workspace's (E14, E28).

A route that is added is asked here too: it fails until PLACES knows the parts of its path, and BODIES what it takes.
"""

import re
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from heliograph.web import auth, server
from tests.web import client
from tests.web.test_batches import STEP

WORD = "Zanzibar"
"""What stands in everything that the owner has, and in nothing that a stranger says."""
ANA, MAIL = "ana", "ana@example.com"
SOME: dict[str, Any] = {"name": "mine"}
RULE: dict[str, Any] = {
    **SOME,
    "trigger_type": "custom.a",
    "conditions": [],
    "actions": client.RULE["actions"],
}
CONDITIONS = [{"field": "user_id", "operator": "exists"}]
STEPS: dict[str, Any] = {"steps": [{"action": "delay", "duration": "1 hour"}]}
ELEMENTS: dict[str, Any] = {"elements": [{"type": "text", "content": "Hello", "id": "e1"}]}
NOTIFICATION: dict[str, Any] = {"notification": {**SOME, "content": {"version": "2022-01-01", **ELEMENTS}}}
STRATEGY: dict[str, Any] = {**SOME, "routing": {"method": "single", "channels": ["email"]}}
SCHEMA: dict[str, Any] = {
    "category": "custom_schema",
    "schema": {"type": "object", "properties": {}},
    "fields_to_expose": [],
}
TOPIC: dict[str, Any] = {**SOME, "default_status": "OPTED_IN"}
CHOICES = {"topics": [{"topic_id": "news", "status": "OPTED_IN"}]}
DEVICE = {"provider_key": "expo"}
PATCH: dict[str, Any] = {"patch": []}
DATE: dict[str, Any] = {**SOME, "actiontype": "notify", "actiontarget": MAIL, "summary": None}
SMTP = {"provider": "smtp", "settings": {"host": "x.example.com"}}
MESSAGE: dict[str, Any] = {"to": {"user_id": ANA}, "content": {"title": "t", "body": "b"}}
NOTHING: dict[str, Any] = {}

BODIES: dict[str, Any] = {
    "PUT /api/agents/{agent_id}": SOME,
    "PATCH /api/automation/control": {"is_paused": False},
    "POST /api/automation/events": {"event_type": "custom.a", "contact_id": ANA},
    "POST /api/automation/events/{event_id}/retry": None,
    "POST /api/automation/rules": RULE,
    "POST /api/automation/rules/backtest": {"rule": RULE, "days": 1},
    "POST /api/automation/rules/dry-run": {
        "event_payload": {},
        "trigger_type": "custom.a",
        "conditions": [],
        "actions": [{"type": "send_message", "channel": "email", "text": "{{ contact.note }}"}],
        "contact_id": ANA,
    },
    "PATCH /api/automation/rules/{rule_id}": SOME,
    "PATCH /api/automation/rules/{rule_id}/alert-settings": {"preset": "off"},
    "PATCH /api/automation/rules/{rule_id}/rollout": {"rollout_percentage": 5},
    "PATCH /api/automation/rules/{rule_id}/schedule-settings": {"schedule_settings": None},
    "POST /api/automation/rules/{rule_id}/snooze": {"snoozed_until": None},
    "POST /api/automations": SOME,
    "PATCH /api/automations/{automation_id}": SOME,
    "POST /api/automations/{automation_id}/stop": None,
    "POST /api/communication-groups": SOME,
    "PATCH /api/communication-groups/{group_id}": SOME,
    "POST /api/contacts": {"id": ANA},
    "PATCH /api/contacts/{contact_id}": {"tags": ["x"]},
    "POST /api/conversations": {"id": "c1"},
    "PATCH /api/conversations/{conversation_id}": {"priority": "low"},
    "POST /api/conversations/{conversation_id}/notes": {"text": "x"},
    "PUT /api/divisions/{division_id}": SOME,
    "POST /api/preference-links": {"user_id": ANA},
    "POST /api/segments": {**SOME, "conditions": CONDITIONS},
    "POST /api/segments/count": {"include_segments": ["all_users"], "search": "a"},
    "PATCH /api/segments/{segment_id}": SOME,
    "PUT /api/sending-policy": NOTHING,
    "POST /api/suppressions": {"address": MAIL},
    "POST /api/suppressions/import": f"address\n{MAIL}\n".encode(),
    "POST /api/templates/{template_id}/preview": {"contact_id": ANA},
    "POST /api/templates/{template_id}/test": {"contact_id": ANA, "to": "me@example.com"},
    "PUT /audiences/{audience_id}": SOME,
    "POST /auth/issue-token": {"scope": f"user_id:{ANA} read:preferences", "expires_in": "1 hour"},
    "POST /automations/batches/{id}/release": None,
    "POST /automations/invoke": {"automation": STEPS},
    "POST /automations/runs/{run_id}/cancel": None,
    "PUT /automations/templates/{template_id}": {**SOME, **STEPS},
    "POST /automations/{template_id}/invoke": NOTHING,
    "POST /brands": {**SOME, "settings": {}},
    "PUT /brands/{brand_id}": SOME,
    "POST /bulk": {"message": {"event": "x", "content": MESSAGE["content"]}},
    "POST /bulk/{job_id}": {"users": [{"to": {"email": MAIL}}]},
    "POST /bulk/{job_id}/run": None,
    "POST /inbound/bounces": b"Subject: x\r\n\r\nx",
    "POST /inbound/courier": {"event": "x", "messageId": "1", "properties": {}, "type": "track"},
    "POST /inbound/providers/{name}": b"x",
    "POST /inbound/segment": {"type": "track", "event": "x", "messageId": "2", "userId": ANA},
    "PUT /lists/{list_id}": SOME,
    "PUT /lists/{list_id}/restore": None,
    "POST /lists/{list_id}/subscriptions": {"recipients": [{"recipientId": ANA}]},
    "PUT /lists/{list_id}/subscriptions": {"recipients": [{"recipientId": ANA}]},
    "PUT /lists/{list_id}/subscriptions/{user_id}": NOTHING,
    "POST /messages/{message_id}/cancel": None,
    "POST /messages/{message_id}/resend": None,
    "POST /notifications": NOTIFICATION,
    "PUT /notifications/{template_id}": NOTIFICATION,
    "PUT /notifications/{template_id}/content": {"content": {"version": "2022-01-01", **ELEMENTS}},
    "PUT /notifications/{template_id}/elements/{element_id}": {"type": "text", "data": {"content": "x"}},
    "PUT /notifications/{template_id}/locales/{locale_id}": {"elements": [{"id": "e1", "content": "x"}]},
    "POST /notifications/{template_id}/publish": NOTHING,
    "POST /partner/schema-definitions": {"name": "mine", **SCHEMA},
    "POST /partner/schema-definitions/{schema_name}": SCHEMA,
    "POST /preferences/publish": NOTHING,
    "POST /preferences/sections": SOME,
    "PUT /preferences/sections/{section_id}": SOME,
    "POST /preferences/sections/{section_id}/topics": TOPIC,
    "PUT /preferences/sections/{section_id}/topics/{topic_id}": TOPIC,
    "PATCH /profiles/{user_id}": {"patch": [{"op": "add", "path": "/n", "value": 1}]},
    "PUT /profiles/{user_id}": {"profile": {"n": 1}},
    "POST /profiles/{user_id}": {"profile": {"n": 1}},
    "POST /profiles/{user_id}/lists": {"lists": [{"listId": "fans"}]},
    "POST /providers": {
        "provider": "twilio",
        "settings": {"account_sid": "AC1", "auth_token": "x", "from": "+15005550001"},
    },
    "PUT /providers/{provider_id}": SMTP,
    "PATCH /providers/{provider_id}": {"title": "x"},
    "PUT /requests/{request_id}/archive": None,
    "POST /routing-strategies": STRATEGY,
    "PUT /routing-strategies/{strategy_id}": STRATEGY,
    "POST /send": {"message": MESSAGE},
    "PUT /tenants/{tenant_id}": SOME,
    "PUT /tenants/{tenant_id}/default_preferences/items/{topic_id}": {"status": "OPTED_IN"},
    "POST /unsubscribe/{token}": b"",
    "POST /unsubscribe/{token}/topics": b"",
    "POST /users/{user_id}/preferences": CHOICES,
    "PUT /users/{user_id}/preferences": CHOICES,
    "PUT /users/{user_id}/preferences/{topic_id}": {"topic": {"status": "OPTED_IN"}},
    "PUT /users/{user_id}/tenants": {"tenants": [{"tenant_id": "acme"}]},
    "PUT /users/{user_id}/tenants/{tenant_id}": NOTHING,
    "PUT /users/{user_id}/tokens": {"tokens": [{**DEVICE, "token": "t1"}]},
    "PATCH /users/{user_id}/tokens/{token}": PATCH,
    "PUT /users/{user_id}/tokens/{token}": DEVICE,
    "POST /v1/dateAutomation": DATE,
    "PUT /v1/dateAutomation": {**DATE, "id": 1},
    "PUT /v1/dateAutomation/{rule_id}": DATE,
}
"""What each route is asked that takes a body; None: it takes none."""


QUERIES = {"DELETE /v1/dateAutomation": "?id=2"}
PLACES: dict[str, str] = {
    "address": "gone@example.com",
    "agent_id": "agent-1",
    "audience_id": "crowd",
    "automation_id": "",
    "brand_id": "look",
    "contact_id": ANA,
    "conversation_id": "talk",
    "division_id": "team",
    "element_id": "e1",
    "event_id": "",
    "external_id": ANA,
    "group_id": "",
    "id": "",
    "job_id": "",
    "list_id": "fans",
    "locale_id": "de",
    "message_id": "",
    "name": "smtp",
    "payload_hash": "",
    "provider_id": "",
    "request_id": "",
    "rule_id": "",
    "/v1 rule_id": "1",
    "run_id": "",
    "/automations run_id": "",
    "schema_name": "visits",
    "section_id": "reading",
    "segment_id": "",
    "strategy_id": "",
    "template_id": "letter",
    "/automations template_id": "welcome",
    "tenant_id": "acme",
    "token": "t1",
    "topic_id": "news",
    "user_id": ANA,
}
"""What stands at each part of a path, where people choose it; what is made up, the owner's world says."""


def routes() -> list[str]:
    """`METHOD /path` of all that is served: what changes nothing first, what ends something last."""
    order = ("GET", "POST", "PATCH", "PUT", "DELETE")
    found = [
        (order.index(method), route.path_format)
        for route in server.routes().routes
        if isinstance(route, HTTPRoute)
        for method in route.methods - {"OPTIONS"}
    ]
    found.sort(key=lambda one: (one[0], -one[1].count("/"), one[1]))
    return [f"{order[place]} {path}" for place, path in found]


def ask(api: client.Client, route: str, places: dict[str, str], key: str | None, **headers: str) -> Any:
    """Ask a route of what stands at these places."""
    method, template = route.split(" ")
    template += QUERIES.get(route, "")
    path = re.sub(r"{(\w+)}", lambda part: place(template, part[1], places), template)
    body = BODIES[route] if method in ("POST", "PATCH", "PUT") else None
    if isinstance(body, bytes):
        kind = "text/csv" if route.endswith("/import") else "message/rfc822"
        return api.send(method, path, key=key, content=body, headers={"Content-Type": kind, **headers})
    given = {} if body is None else {"json": body}
    return api.send(method, path, key=key, headers=headers, **given)


def place(template: str, part: str, places: dict[str, str]) -> str:
    """What stands for a part of a path: what is said of the longest beginning of the path, else of the part alone."""
    said = (name.rpartition(" ") for name in places)
    beginnings = [start for start, _, name in said if name == part and template.startswith(start)]
    assert beginnings, f"say in PLACES what stands for {part} of {template}"
    return places[f"{max(beginnings, key=len)} {part}".strip()]


# ── roles ───────────────────────────────────────────────────────────────────────────────────────────

INGEST = {
    "POST /api/automation/events",
    "POST /automations/invoke",
    "POST /automations/{template_id}/invoke",
    "POST /inbound/bounces",
    "POST /inbound/courier",
    "POST /inbound/segment",
    "POST /profiles/{user_id}",
    "POST /profiles/{user_id}/lists",
    "POST /send",
}
AGENT = re.compile(
    r"\w+ /(profiles|api/contacts|api/conversations)\b.*|GET /(messages\b.*|api/agents|api/divisions)"
)
ADMIN = re.compile(r"\w+ /providers(/{provider_id})?")


def may(role: str, route: str) -> bool:
    """Whether a role opens a route (E28)."""
    if role in ("admin", "supervisor"):
        return role == "admin" or not ADMIN.fullmatch(route)
    return route in INGEST if role == "ingest" else bool(AGENT.fullmatch(route))


@pytest.mark.parametrize("role", ["admin", "supervisor", "agent", "ingest"])
def test_a_role_opens_what_is_its_own(lone_api: client.Client, role: str) -> None:
    """A role is let in where E28 says so, and answered 403 everywhere else; nobody is let in without a key."""
    places = dict.fromkeys(PLACES, "00000000-0000-7000-8000-000000000000")
    key = lone_api.key(role)
    for route in routes():
        if auth.is_open(route.split(" ")[1]):
            continue
        answer = ask(lone_api, route, places, key)
        assert (answer.status_code != 403) is may(role, route), (route, answer.text)
        assert answer.status_code < 500, (route, answer.text)
        assert ask(lone_api, route, places, None).status_code == 401, route


# ── strangers ───────────────────────────────────────────────────────────────────────────────────────


NAMED = {"name": WORD}
WRITTEN = {"to": {"email": MAIL}, "content": {"title": WORD, "body": WORD}}
TEXT = {"version": "2022-01-01", "elements": [{"type": "text", "content": WORD, "id": "e1"}]}
SAYS = {**RULE, **NAMED, "actions": [{"type": "send_message", "channel": "email", "text": WORD}]}
MADE: tuple[tuple[str, str, dict[str, Any], str, str], ...] = (
    ("PUT", "/tenants/acme", NAMED, "", ""),
    ("PUT", "/profiles/ana", {"profile": {"email": MAIL, "note": WORD}}, "", ""),
    ("PUT", "/users/ana/tenants/acme", {"profile": {"note": WORD}}, "", ""),
    ("PUT", "/users/ana/tokens/t1", {**DEVICE, "properties": {"note": WORD}}, "", ""),
    ("POST", "/api/suppressions", {"address": "gone@example.com"}, "", ""),
    ("PUT", "/api/agents/agent-1", NAMED, "", ""),
    ("PUT", "/api/divisions/team", NAMED, "", ""),
    ("PUT", "/audiences/crowd", {"description": WORD, **NAMED}, "", ""),
    ("POST", "/brands", {"id": "look", **NAMED, "settings": {}}, "", ""),
    ("POST", "/api/conversations", {"id": "talk", "contact_id": ANA, "attributes": {"note": WORD}}, "", ""),
    ("POST", "/api/conversations/talk/notes", {"text": WORD}, "", ""),
    ("PUT", "/lists/fans", NAMED, "", ""),
    ("PUT", "/lists/fans/subscriptions/ana", {}, "", ""),
    ("POST", "/api/automations", NAMED, "automation_id", "data.id"),
    ("POST", "/api/communication-groups", NAMED, "group_id", "data.id"),
    ("POST", "/api/segments", {**NAMED, "conditions": CONDITIONS}, "segment_id", "data.id"),
    ("POST", "/providers", {**SMTP, "title": WORD}, "provider_id", "id"),
    ("POST", "/routing-strategies", {**STRATEGY, **NAMED}, "strategy_id", "id"),
    ("POST", "/partner/schema-definitions", {**SCHEMA, "name": "visits", "description": WORD}, "", ""),
    ("POST", "/preferences/sections", {"id": "reading", **NAMED}, "", ""),
    ("POST", "/preferences/sections/reading/topics", {**TOPIC, "id": "news", **NAMED}, "", ""),
    ("PUT", "/users/ana/preferences/news", {"topic": {"status": "OPTED_IN"}}, "", ""),
    (
        "POST",
        "/notifications",
        {"notification": {**NAMED, "content": TEXT}, "state": "PUBLISHED"},
        "template_id",
        "id",
    ),
    ("PUT", "/automations/templates/welcome", {**NAMED, **STEPS, "status": "published"}, "", ""),
    ("POST", "/bulk", {"message": {"event": WORD, "content": WRITTEN["content"]}}, "job_id", "jobId"),
    ("POST", "/v1/dateAutomation", {**DATE, **NAMED}, "/v1 rule_id", "response.data.id"),
    ("POST", "/api/automation/rules", SAYS, "rule_id", "id"),
    (
        "POST",
        "/api/automation/events",
        {"event_type": "custom.a", "contact_id": ANA, "conversation_id": "talk", "payload": {"note": WORD}},
        "event_id",
        "ids.0",
    ),
    (
        "POST",
        "/automations/invoke",
        {"automation": {"steps": [{**STEP, "batch_id": WORD}]}},
        "/automations run_id",
        "runId",
    ),
    ("POST", "/send", {"message": WRITTEN}, "message_id", "requestId"),
)
"""One of each thing, in which WORD stands, and where its id is told, if it has one that is made up."""


def owned(api: client.Client, mine: str) -> dict[str, str]:
    """Let the holder of this key have one of each thing; gives where they are."""
    places = dict(PLACES)
    for method, path, body, name, where in MADE:
        answer = api.send(method, path, key=mine, json=body)
        if answer.status_code == 403:  # what is the whole workspace's
            answer = api.send(method, path, json=body)
        assert answer.status_code < 300, (method, path, answer.text)
        if name:
            found = answer.json()
            for step in where.split("."):
                found = found[int(step) if step.isdigit() else step]
            places[name] = str(found)
    bulk = api.post(f"/bulk/{places['job_id']}", {"users": [{"to": {"email": MAIL}}]}, key=mine)
    assert bulk.status_code == 200
    api.decide()
    places["request_id"] = places["message_id"]
    (run,) = api.get(f"/api/automation/runs/by-event/{places['event_id']}").json()["data"]
    places["run_id"] = run["id"]
    (waiting,) = api.get("/automations/batches").json()["batches"]
    places["id"] = waiting["id"]
    event = api.get(f"/api/automation/events/{places['event_id']}").json()
    places["payload_hash"] = event["payload_hash"]
    assert all(places.values())
    return places


def test_the_owner_is_let_in(lone_api: client.Client) -> None:
    """What strangers are asked to be refused is there: its owner is answered on every route."""
    places = owned(lone_api, lone_api.admin)
    for route in routes():
        if not auth.is_open(route.split(" ")[1]):
            answer = ask(lone_api, route, places, lone_api.admin)
            assert answer.status_code < 300 or answer.status_code == 409, (route, answer.text)


SHARED = {
    "GET /api/agents",
    "GET /api/divisions",
    "GET /brands",
    "GET /brands/{brand_id}",
    "GET /notifications",
    "GET /notifications/{template_id}",
    "GET /notifications/{template_id}/content",
    "GET /notifications/{template_id}/versions",
    "GET /partner/schema-definitions",
    "GET /partner/schema-definitions/{schema_name}",
    "GET /preferences/sections",
    "GET /preferences/sections/{section_id}",
    "GET /preferences/sections/{section_id}/topics",
    "GET /preferences/sections/{section_id}/topics/{topic_id}",
    "GET /routing-strategies",
    "GET /routing-strategies/{strategy_id}",
    "GET /routing-strategies/{strategy_id}/notifications",
    "GET /users/{user_id}/preferences",
    "GET /users/{user_id}/preferences/{topic_id}",
}
"""What tenants read of the workspace's own: what it says, and who says it."""
EMPTY = {
    "GET /api/automation/events/by-conversation/{conversation_id}",
    "GET /api/automation/events/by-hash/{payload_hash}",
    "GET /api/automation/events/by-rule/{rule_id}",
    "GET /api/automation/runs/by-event/{event_id}",
    "GET /api/automation/runs/by-rule/{rule_id}",
}
"""What is listed of something that a stranger does not see."""
THEIRS = {
    "DELETE /profiles/{user_id}/lists",
    "DELETE /users/{user_id}/preferences/{topic_id}",
    "DELETE /users/{user_id}/tenants",
    "GET /profiles/{user_id}/lists",
    "GET /users/{user_id}/tenants",
    "POST /users/{user_id}/preferences",
    "PUT /users/{user_id}/preferences",
    "PUT /users/{user_id}/preferences/{topic_id}",
}
"""What somebody is to the tenant that asks, who may be somebody else to others."""
REFUSED = {
    "POST /api/templates/{template_id}/preview": 422,  # the template is the workspace's, the contact is not there
    "POST /api/templates/{template_id}/test": 422,
    "PUT /api/agents/{agent_id}": 409,  # ids are the workspace's
    "PUT /api/divisions/{division_id}": 409,
    "PUT /automations/templates/{template_id}": 409,
    "PUT /users/{user_id}/tenants": 400,  # there is no such tenant
    "PUT /users/{user_id}/tenants/{tenant_id}": 400,
}
_MADE_UP = {name for name, said in PLACES.items() if not said}


def has_made_up(template: str) -> bool:
    """Whether a path has an id that nobody else can have."""
    return any(
        place(template, part, {n: n for n in PLACES}) in _MADE_UP for part in re.findall(r"{(\w+)}", template)
    )


def expected(route: str, stranger: dict[str, str], status: int) -> bool:
    """Whether this answers somebody who asks for what is another's."""
    template = route.split(" ")[1]
    if "{" not in template or (route in EMPTY and status == 200):
        return status < 500
    if "workspace" in stranger and not has_made_up(template):
        return status < 500  # what is called so in their own workspace
    if "tenant" in stranger and (route in SHARED or route in THEIRS):
        return status < 300
    return status in (403, 404) or ("tenant" in stranger and status == REFUSED.get(route))


def seen(api: client.Client, places: dict[str, str], key: str) -> dict[str, str]:
    """What the holder of a key reads of each thing of their own."""
    passed = {"GET /api/segments/user/{external_id}", "GET /api/automation/rules/{rule_id}/stats/timeseries"}
    named = {route for route in routes() if route.startswith("GET") and "{" in route} - EMPTY - passed
    return {
        route: ask(api, route, places, key).text for route in named if not auth.is_open(route.split(" ")[1])
    }


@pytest.mark.parametrize("stranger", [{"tenant": "bank"}, {"workspace": "other"}])
@pytest.mark.parametrize("owner", [{"tenant": "acme"}, {}])
def test_a_stranger_finds_and_changes_nothing(
    api: client.Client, owner: dict[str, str], stranger: dict[str, str]
) -> None:
    """What is another tenant's or workspace's is answered with 403 or 404, is told nowhere, and stays as it was."""
    mine, other = api.key("admin", **owner), api.key("admin", **stranger)
    places = owned(api, mine)
    before = seen(api, places, mine)
    for route in routes():
        if auth.is_open(route.split(" ")[1]):
            continue
        answer = ask(api, route, places, other)
        assert expected(route, stranger, answer.status_code), (route, answer.status_code, answer.text)
        assert WORD not in answer.text or ("tenant" in stranger and route in SHARED), (route, answer.text)
    api.decide()
    assert seen(api, places, mine) == before
