"""The whole API beside its own description: whatever is asked, the answer is one that the document tells of."""

from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from heliograph.web import documentation, server
from tests import environment
from tests.web import client

EXAMPLES = 100 if environment.is_torture() else 2
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]
THERE: list[tuple[str, str, dict[str, Any], str]] = [
    ("PUT", "/profiles/ana", {"profile": {"email": "ana@example.com"}}, "user_id"),
    ("PUT", "/lists/news.weekly", {"name": "News"}, "list_id"),
    (
        "PUT",
        "/audiences/all-of-them",
        {
            "filter": {
                "operator": "AND",
                "filters": [{"operator": "EXISTS", "path": "email", "value": "true"}],
            }
        },
        "audience_id",
    ),
    ("PUT", "/tenants/shop", {"name": "Shop"}, "tenant_id"),
    ("PUT", "/api/agents/mia", {"name": "Mia"}, "agent_id"),
    ("PUT", "/api/divisions/care", {"name": "Care"}, "division_id"),
    (
        "PUT",
        "/automations/templates/wait",
        {"name": "Wait", "steps": [{"action": "delay", "duration": "1 day"}]},
        "template_id",
    ),
    ("POST", "/brands", {"name": "Plain", "settings": {}}, "brand_id"),
    (
        "POST",
        "/notifications",
        {"notification": {"name": "Hi", "content": {"version": "2022-01-01", "elements": []}}},
        "template_id",
    ),
    (
        "POST",
        "/api/segments",
        {"name": "Rich", "conditions": [{"field": "email", "operator": "equals", "value": "a@example.com"}]},
        "segment_id",
    ),
]
"""Some of much that a request may name: how it is made, and the part of a path that it fills."""


@schemathesis.serializer("message/rfc822")
def as_it_is(_: object, value: object) -> bytes:
    """An e-mail that came back is a body like any other text."""
    return str(value).encode()


def things(api: client.Client) -> dict[str, list[str]]:
    """What there is, by the name of the part of a path that it fills: else nearly every answer would be 404."""
    found: dict[str, list[str]] = {}
    for method, path, body, part in THERE:
        answer = api.send(method, path, json=body)
        assert answer.status_code < 300, (path, answer.text)
        made = answer.json() if method == "POST" else {"id": path.rsplit("/", 1)[1]}
        found.setdefault(part, []).append(str(made.get("data", made)["id"]))
    rule = api.make_rule(actions=[{"type": "notify", "emails": ["a@example.com"], "text": "x"}])
    event = api.happen(payload={"message": {"text": "refund"}}, contact_id="ana", conversation_id="c1")
    api.decide()
    return found | {
        "rule_id": [rule["id"]],
        "event_id": [event],
        "contact_id": ["ana"],
        "conversation_id": ["c1"],
        "run_id": [one["id"] for one in api.runs(event)],
        "message_id": [one["id"] for one in api.get("/messages").json()["results"]],
    }


def asked(api: client.Client, case: schemathesis.Case[Any], key: str | None) -> schemathesis.Response:
    """The answer of the application to a request that was made up, by whoever has this key."""
    told = case.as_transport_kwargs(base_url="http://heliograph")
    headers = {
        name: value
        for name, value in (told.pop("headers", None) or {}).items()
        if name.lower() not in ("authorization", "x-api-key")
    }
    request = requests.Request(headers=headers, **told).prepare()
    assert request.method
    assert request.url
    content = request.body.encode() if isinstance(request.body, str) else request.body
    answer = api.send(request.method, request.url, key=key, headers=dict(request.headers), content=content)
    given = {name: [value] for name, value in answer.headers.items()}
    return schemathesis.Response(answer.status_code, given, answer.content, request, 0.0, verify=False)


NULLS: list[tuple[str, dict[str, Any], str]] = [
    ("/api/automations", {"name": "a"}, "include_segments"),
    ("/api/automations", {"name": "a"}, "exclude_segments"),
    ("/api/automation/rules/backtest", {}, "rule"),
    ("/api/communication-groups", {}, "name"),
    ("/api/conversations", {}, "id"),
    ("/api/suppressions", {"address": "ana@example.com"}, "reason"),
]
"""Fields of bodies that may be null, where one would not think so."""


@pytest.mark.parametrize(("path", "body", "name"), NULLS, ids=lambda one: one if isinstance(one, str) else "")
def test_what_may_be_null_is_described_so(
    api: client.Client, path: str, body: dict[str, Any], name: str
) -> None:
    """A null that is taken as if nothing were said is one that the document allows."""
    if name == "rule":
        body = {"rule_id": api.make_rule(conditions=[])["id"]}
    assert api.post(path, {**body, name: None}).is_success
    document = documentation.document(server.routes())
    said = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    field = document["components"]["schemas"][said["$ref"].rpartition("/")[2]]["properties"][name]
    assert {"type": "null"} in field["anyOf"]


@pytest.mark.torture
def test_every_answer_is_one_that_the_document_tells_of(api: client.Client) -> None:
    """Whoever asks for whatever is answered with no fault of ours, no media type and no body that is not in OpenAPI."""
    document = schemathesis.openapi.from_dict(documentation.document(server.routes()))
    there = things(api)
    statuses: set[int] = set()
    roles = [
        api.key("supervisor"),
        api.key("agent"),
        api.key("ingest"),
        api.key("admin", tenant="shop"),
        None,
    ]

    def holds(case: schemathesis.Case[Any], data: st.DataObject) -> None:
        for part in case.path_parameters or {}:
            if part in there and data.draw(st.integers(0, 3)):
                case.path_parameters[part] = data.draw(st.sampled_from(there[part]))
        # A key would have most requests refused that come with another body than the one before.
        case.headers.pop("Idempotency-Key", None)
        answer = asked(api, case, data.draw(st.just(api.admin) | st.sampled_from(roles)))
        statuses.add(answer.status_code)
        case.validate_response(answer, checks=CHECKS)

    settings = hypothesis.settings(
        max_examples=EXAMPLES,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    for number, found in enumerate(document.get_all_operations()):
        # Each database answers half of the document; `make torture` asks both for all of it.
        if environment.is_torture() or number % 2 == api.store.is_sqlite:
            assert isinstance(found, Ok)
            settings(hypothesis.given(found.ok().as_strategy(), st.data())(holds))()
    assert {200, 204, 400, 401, 403, 404, 422} <= statuses, (
        "what is asked gets as far as the handlers, and past them"
    )
