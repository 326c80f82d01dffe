"""Sabotage between the client and the app: an ASGI layer that harms one endpoint's requests or answers."""

import json
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Route = tuple[str, str]
"""Method and path template."""


class Act(Enum):
    """What is done to an exchange."""

    FAIL = "the endpoint fails"
    FORGIVE = "a refusal becomes 200"
    HOLLOW = "objects in the answer keep nothing but their id"
    DROP = "is missing from the answer"
    IGNORE_QUERY = "is ignored in the query"
    IGNORE_BODY = "is ignored in the body"
    IGNORE_DEEP = "is ignored anywhere in the body"


class Wire(NamedTuple):
    """One act on every request of some routes, about one field where the act needs one."""

    act: Act
    routes: frozenset[Route]
    field: str = ""

    def __str__(self) -> str:
        return f"{self.field} {self.act.value}" if self.field else self.act.value


class _State:
    """What is broken now, and every route that is known (so that `/rules/snoozed` is not `/rules/{id}`)."""

    wire: Wire | None = None
    known: frozenset[Route] = frozenset()


def know(routes: frozenset[Route]) -> None:
    """Add routes to those told apart."""
    _State.known |= routes


@contextmanager
def broken(wire: Wire) -> Iterator[None]:
    """Do this act to every wrapped app for a while."""
    _State.wire = wire
    try:
        yield
    finally:
        _State.wire = None


def wrap(app: App) -> App:
    """The app as it is, but for the act that is on at the time of a request."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        wire = _State.wire
        if wire and scope["type"] == "http" and route(scope["method"], _sent_path(scope)) in wire.routes:
            await _harmed(app, wire, scope, receive, send)
        else:
            await app(scope, receive, send)

    return wrapped


async def _harmed(app: App, wire: Wire, scope: Scope, receive: Receive, send: Send) -> None:
    match wire.act:
        case Act.FAIL:
            await _answer(send, 503, {"error": {"code": "sabotage", "message": "broken on purpose"}})
        case Act.IGNORE_QUERY:
            await app(_without_query(scope, wire.field), receive, send)
        case Act.IGNORE_BODY | Act.IGNORE_DEEP:
            body = without(_loaded(await _whole(receive)), wire.field, deep=wire.act is Act.IGNORE_DEEP)
            await app(*_with_body(scope, body), send)
        case Act.FORGIVE | Act.HOLLOW | Act.DROP:
            await app(scope, receive, _Answer(send, wire))


def _sent_path(scope: Scope) -> str:
    """The path as it was sent: an id may hold a slash, which is no border between parts."""
    sent: bytes = scope.get("raw_path") or scope["path"].encode()
    return sent.decode("ascii", "replace")


def route(method: str, path: str) -> Route | None:
    """The known route of a request: of those that fit, the one with the fewest placeholders."""
    fitting = [known for known in _State.known if known[0] == method and _fits(known[1], path)]
    return min(fitting, key=lambda known: known[1].count("{"), default=None)


def _fits(template: str, path: str) -> bool:
    return re.fullmatch(re.sub(r"\{[a-z_]+\}", "[^/]+", template), path) is not None


# ── requests ────────────────────────────────────────────────────────────────────────────────────────


def _without_query(scope: Scope, field: str) -> Scope:
    pairs = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)
    return {**scope, "query_string": urlencode([pair for pair in pairs if pair[0] != field]).encode()}


async def _whole(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _with_body(scope: Scope, body: bytes) -> tuple[Scope, Receive]:
    headers = [pair for pair in scope["headers"] if pair[0].lower() != b"content-length"]
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return left.pop() if left else {"type": "http.disconnect"}

    return {**scope, "headers": [*headers, (b"content-length", b"%d" % len(body))]}, receive


# ── answers ─────────────────────────────────────────────────────────────────────────────────────────


class _Answer:
    """Holds an answer back until it is whole, then sends it harmed."""

    def __init__(self, send: Send, wire: Wire):
        self._send, self._wire = send, wire
        self._start: Message = {}
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._finish()

    async def _finish(self) -> None:
        status, body = self._start["status"], self._body
        if self._wire.act is Act.FORGIVE:
            status = 200 if 400 <= status < 500 else status
        elif self._wire.act is Act.DROP:
            body = without(_loaded(body), self._wire.field, deep=True)
        else:
            body = _written(hollow(_loaded(body)))
        headers = [pair for pair in self._start.get("headers", []) if pair[0].lower() != b"content-length"]
        headers.append((b"content-length", b"%d" % len(body)))
        await self._send({**self._start, "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


async def _answer(send: Send, status: int, value: object) -> None:
    body = _written(value)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


# ── values ──────────────────────────────────────────────────────────────────────────────────────────


def _loaded(body: bytes) -> object:
    """The JSON value, or the bytes as they are where they are none."""
    try:
        return json.loads(body)
    except ValueError:
        return body


def _written(value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def without(value: object, field: str, *, deep: bool) -> bytes:
    """The JSON of a value without the field, in its own object or anywhere in it; `createdAt` is `created_at`."""
    return _written(_dropped(value, _plain(field), deep=deep))


def _dropped(value: object, field: str, *, deep: bool) -> object:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if _plain(key) != field}
        return {key: _dropped(item, field, deep=deep) for key, item in kept.items()} if deep else kept
    if isinstance(value, list):
        return [_dropped(item, field, deep=deep) for item in value]
    return value


def hollow(value: object) -> object:
    """The value in which every object that has an id keeps nothing else."""
    if isinstance(value, dict):
        return {"id": value["id"]} if "id" in value else {key: hollow(item) for key, item in value.items()}
    if isinstance(value, list):
        return [hollow(item) for item in value]
    return value


def _plain(key: str) -> str:
    return key.replace("_", "").lower()
