"""What holds for the API as a whole: what is served is described, and somebody may use it."""

import re
from typing import Any

from litestar.routes import HTTPRoute

from heliograph.web import auth, documentation, server

ROUTES = server.routes()
DOCUMENT = documentation.document(ROUTES)


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """(path, method, operation) of everything that is described."""
    return [
        (path, method, told)
        for path, methods in DOCUMENT["paths"].items()
        for method, told in methods.items()
    ]


def test_paths_served_are_paths_described() -> None:
    """Every path and method that answers is in the document, and nothing else is."""
    served = {
        (route.path_format, method.lower())
        for route in ROUTES.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods
        if method != "OPTIONS"
    }
    assert {(path, method) for path, method, _ in operations()} == served
    assert ("/api/automation/events", "post") in served


def test_every_operation_is_told_in_words() -> None:
    """An operation has a name of its own, a sentence, a tag, and says what it answers and how it refuses."""
    names = [told["operationId"] for _, _, told in operations()]
    assert len(set(names)) == len(names)
    for path, method, told in operations():
        assert told["summary"], (path, method)
        assert told["tags"], (path, method)
        assert "default" in told["responses"], (path, method)
        assert sum(status.startswith("2") for status in told["responses"]) == 1, (path, method)
        assert ("requestBody" in told) == (
            method in ("post", "put", "patch")
            and not path.endswith(
                ("/retry", "/stop", "/cancel", "/resend", "/release", "/restore", "/archive", "/run")
            )
        )


def test_every_part_of_a_path_is_a_parameter() -> None:
    """The names in a path's braces are its path parameters."""
    for path, method, told in operations():
        named = [one["name"] for one in told["parameters"] if one["in"] == "path"]
        assert named == re.findall(r"{(\w+)}", path), (path, method)


def test_every_reference_leads_somewhere() -> None:
    """Every $ref of the document names a schema in it, and every schema is reached by one."""
    text = repr(DOCUMENT)
    named = set(re.findall(r"#/components/schemas/(\w+)", text))
    assert named == DOCUMENT["components"]["schemas"].keys()


def test_every_operation_is_for_somebody() -> None:
    """What takes a key has roles that pass, and what takes none says so."""
    for path, method, told in operations():
        if auth.is_open(path):
            assert told["security"] == [], path
        else:
            assert auth.roles_for(method.upper(), path), (path, method)
            assert "Roles: admin" in told["description"], (path, method)


def test_what_else_a_route_takes_and_gives_is_described() -> None:
    """Lines of events, forms of date automations, a backtest's progress and where a link leads are described."""
    paths = DOCUMENT["paths"]
    events = paths["/api/automation/events"]["post"]["requestBody"]["content"]
    assert events.keys() == {"application/json", "application/x-ndjson"}
    one, all_of_them = "/v1/dateAutomation/{rule_id}", "/v1/dateAutomation"
    for path, method in ((all_of_them, "post"), (all_of_them, "put"), (one, "put")):
        taken = paths[path][method]["requestBody"]["content"]
        assert taken.keys() == {"application/json", "application/x-www-form-urlencoded"}
    told = paths["/api/automation/rules/backtest"]["post"]["responses"]["200"]["content"]
    assert told.keys() == {"application/json", "application/x-ndjson"}
    assert paths["/t/{token}"]["get"]["responses"].keys() == {"200", "302", "default"}


def test_a_change_of_a_provider_is_described_as_it_is_taken() -> None:
    """`provider`, `position` and `enabled` of a provider may be left out of a change, and are refused as null."""
    change = DOCUMENT["components"]["schemas"]["ProviderPatch"]["properties"]
    assert [change[name].get("type") for name in ("provider", "position", "enabled")] == [
        "string",
        "integer",
        "boolean",
    ]
