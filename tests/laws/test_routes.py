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
