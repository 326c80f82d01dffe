"""What the official client of Python can do: each of its methods, and the request that it makes."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import courier
import httpx
from courier._resource import SyncAPIResource


def requests() -> dict[str, str]:
    """Each method of the client to what it asks for, such as `lists.retrieve` to `GET /lists/{list_id}`."""
    asked: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(400)

    transport = httpx.Client(transport=httpx.MockTransport(refuse))
    client = courier.Courier(api_key="k", base_url="http://client", max_retries=0, http_client=transport)
    found = {}
    with client:
        for name, method in _methods(client, ""):
            with contextlib.suppress(courier.BadRequestError):
                method(**_names(method))
            found[name] = _told(asked.pop())
    return found


def _methods(resource: object, prefix: str) -> Iterator[tuple[str, Any]]:
    """The methods of a resource, and of those below it, by their dotted names."""
    for name in dir(resource):
        if name.startswith(("_", "with_")):
            continue
        value = getattr(resource, name)
        if isinstance(value, SyncAPIResource):
            yield from _methods(value, f"{prefix}{name}.")
        elif prefix and inspect.ismethod(value):
            yield f"{prefix}{name}", value


def _names(method: Any) -> dict[str, str]:
    """For each argument that must be given its own name, which is seen where it stands in the path."""
    named = inspect.signature(method).parameters
    # One method takes either of two arguments: which of them matters nowhere in a path.
    wanted = [name for name, one in named.items() if one.default is one.empty or name == "run_id"]
    return {name: f"~{name}~" for name in wanted}


def _told(request: httpx.Request) -> str:
    path = re.sub("~([a-z_]+)~", r"{\1}", request.url.path)
    return f"{request.method} {path}"
