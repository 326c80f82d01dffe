"""The API's own description: OpenAPI 3.1, made of the routes that are served.

Law: nothing is described by hand that a type or a route says already. A route's options name what its signature
cannot: the types of its query and its body. Whoever adds a route has documented it.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, get_args, get_origin

import msgspec
from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.response import Stream
from litestar.routes import HTTPRoute

import heliograph
from heliograph.store import keys
from heliograph.web import auth, idempotency
from heliograph.web import errors as wire

_INTRODUCTION = """\
Heliograph takes events, people and dates, decides who hears what and when, and proves why.

Send an API key as `Authorization: Bearer <key>` or as `X-API-Key: <key>`; `heliograph key create` makes one. Instants
are ISO 8601 with `Z` or an offset. What a request says and nobody knows is refused, with the word that was probably
meant; in Courier's family (`/send`, `/profiles` …) it is passed over and named in `Heliograph-Ignored`.
"""


class Fault(msgspec.Struct):
    """One thing that is wrong."""

    path: str
    """The place in the body or the query, such as `actions[0].tags`."""
    message: str


class ErrorInside(msgspec.Struct):
    """What went wrong."""

    code: str
    message: str
    details: list[Fault]


class Error(msgspec.Struct):
    """A refusal."""

    error: ErrorInside


class CourierError(msgspec.Struct):
    """A refusal in Courier's family."""

    message: str
    type: str
    errors: list[Fault]


class SignUpResponse(msgspec.Struct):
    """What went wrong."""

    code: int
    """The status."""
    subcode: int | None
    message: str
    resource_id: int | None


class SignUpError(msgspec.Struct):
    """A refusal in Sign-Up.to's family."""

    status: str
    response: SignUpResponse


class ReachError(msgspec.Struct):
    """A refusal in Reach's family."""

    success: Literal[False]
    message: str
    errors: list[Fault]


_ERRORS: Mapping[wire.Family, type[msgspec.Struct]] = {
    wire.Family.OURS: Error,
    wire.Family.COURIER: CourierError,
    wire.Family.SIGN_UP: SignUpError,
    wire.Family.REACH: ReachError,
}


def encoded(app: Litestar) -> bytes:
    """The document as JSON; made once for an application."""
    if "document" not in app.state:
        app.state["document"] = msgspec.json.encode(document(app))
    found: bytes = app.state["document"]
    return found


def document(app: Litestar) -> dict[str, Any]:
    """The document of everything that this application serves."""
    served = list(_served(app))
    kinds = [kind for *_, handler in served for kind in _kinds(handler)]
    schemas, components = msgspec.json.schema_components(
        [*dict.fromkeys(kinds), *_ERRORS.values()], ref_template="#/components/schemas/{name}"
    )
    schema_of = dict(zip([*dict.fromkeys(kinds), *_ERRORS.values()], schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for path, method, handler in served:
        paths.setdefault(path, {})[method.lower()] = _operation(path, method, handler, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Heliograph", "version": heliograph.__version__, "description": _INTRODUCTION},
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
        "security": [{"bearer": []}, {"key": []}],
    }


def _served(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """(path, method, handler) of everything that is served; OPTIONS, which every path answers, is left out."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for method, (found, _) in route.route_handler_map.items():
                if method != "OPTIONS":
                    yield route.path_format, method, found


def _kinds(handler: HTTPRouteHandler) -> Iterator[Any]:
    """The types of a route's body and answer."""
    if "body" in handler.opt:
        yield handler.opt["body"]
    answer = _answer_of(handler)
    if answer is not None:
        yield answer


def _answer_of(handler: HTTPRouteHandler) -> Any:
    """The type that a route answers with; None where it is no JSON of ours."""
    if "answer" in handler.opt:
        return handler.opt["answer"]
    found = handler.parsed_fn_signature.return_type.annotation
    if get_origin(found) is Response:
        (found,) = get_args(found)
    return None if found in (None, type(None), bytes, Stream) else found


def _operation(
    path: str, method: str, handler: HTTPRouteHandler, schema_of: Mapping[Any, Any]
) -> dict[str, Any]:
    function = _function(handler)
    summary, _, more = inspect.cleandoc(function.__doc__ or "").partition("\n")
    made: dict[str, Any] = {
        "operationId": function.__name__,
        "tags": [handler.opt["tag"]],
        "summary": summary.rstrip("."),
        "description": f"{more.strip()}\n\n{_roles(path, method)}".strip(),
        "parameters": [
            *_path_parameters(path),
            *_query_parameters(handler.opt.get("query")),
            *_header_parameters(path, method),
        ],
        "responses": _responses(path, handler, schema_of),
    }
    if "body" in handler.opt:
        content = {"application/json": {"schema": schema_of[handler.opt["body"]]}}
        if "lines" in handler.opt:
            content[_LINES] = {"schema": {"type": "string"}}
        if "form" in handler.opt:
            content[handler.opt["form"]] = content["application/json"]
        made["requestBody"] = {"required": True, "content": content}
    elif "takes" in handler.opt:
        made["requestBody"] = {"content": {handler.opt["takes"]: {"schema": {"type": "string"}}}}
    if auth.is_open(path):
        made["security"] = []
    return made


def _function(handler: HTTPRouteHandler) -> Any:
    """The function as it was written: one that runs in a thread is wrapped."""
    return inspect.unwrap(handler.fn)


def _roles(path: str, method: str) -> str:
    if auth.is_open(path):
        return "Takes no key."
    names = [role.value for role in keys.Role if role in auth.roles_for(method, path)]
    return f"Roles: {', '.join(names)}."


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(kind: type[msgspec.Struct] | None) -> Iterator[dict[str, Any]]:
    if kind is None:
        return
    for field in msgspec.structs.fields(kind):
        schema = msgspec.json.schema(field.type)
        options = [one for one in schema.get("anyOf", [schema]) if one != {"type": "null"}]
        yield {
            "name": field.encode_name,
            "in": "query",
            "required": field.required,
            "schema": {
                **options[0],
                **({"default": field.default} if field.default not in (None, msgspec.NODEFAULT) else {}),
            },
        }


def _header_parameters(path: str, method: str) -> Iterator[dict[str, Any]]:
    """The headers that mean something beside the key and the media types, which OpenAPI has places of its own for."""
    names = []
    if method == "POST" and not auth.is_open(path) and path not in idempotency.SIGNS:
        names += [_KEY, _EXPIRATION]
    # Schemas are the workspace's, whoever asks.
    if wire.family_of(path) is wire.Family.REACH and not path.startswith("/partner/"):
        names.append(idempotency.TENANT_HEADER)
    for name in names:
        said = _HEADERS[name]
        yield {
            "name": name,
            "in": "header",
            "required": False,
            "description": said,
            "schema": {"type": "string"},
        }


def _responses(path: str, handler: HTTPRouteHandler, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    answer, status = _answer_of(handler), str(handler.status_code)
    good: dict[str, Any] = {"description": _STATUS[status]}
    if answer is not None:
        good["content"] = {"application/json": {"schema": schema_of[answer]}}
    elif "media" in handler.opt:
        kind = "object" if handler.opt["media"] == "application/json" else "string"
        good["content"] = {handler.opt["media"]: {"schema": {"type": kind}}}
    if "told_in_lines" in handler.opt:
        good["content"][_LINES] = {"schema": {"type": "string"}}
    refused = schema_of[_ERRORS[wire.family_of(path)]]
    bad = {"description": "Refused", "content": {"application/json": {"schema": refused}}}
    made = {status: good, "default": bad}
    if "or" in handler.opt:
        # Another status with the same answer.
        made[str(handler.opt["or"])] = {**good, "description": "Not done"}
    if "leads_on" in handler.opt:
        made["302"] = {"description": "Goes on to where it leads"}
    return made


_KEY, _EXPIRATION = "Idempotency-Key", "X-Idempotency-Expiration"
_HEADERS: Mapping[str, str] = {
    _KEY: f"1 to {idempotency.MAX_KEY} characters: a request that came with it before gets the first answer again.",
    _EXPIRATION: "Until when the key holds: seconds or milliseconds since 1970, ISO 8601, `2 days`; a day if left out.",
    idempotency.TENANT_HEADER: "The business that is spoken for; the whole workspace if left out.",
}
_LINES = "application/x-ndjson"
_STATUS = {"200": "Done", "201": "Created", "202": "Accepted", "204": "Done"}
