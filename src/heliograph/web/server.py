"""The web application: a small door in front of Litestar's routes.

Law: the door does what no route should have to: it finds the path whatever is encoded in it, asks for the key before
it reads a body, bounds the body, answers HEAD, and gives every fault the shape of its family. Events come in by a
short way past the framework; everything else is a route.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Litestar, Request, Response
from litestar.exceptions import HTTPException
from litestar.utils import normalize_path

from heliograph import errors
from heliograph.core import access_tokens
from heliograph.store import request_keys
from heliograph.web import auth, calls, idempotency, metrics, resources, services
from heliograph.web import errors as wire
from heliograph.web.routes import events

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BYTES = 8 * 1024 * 1024
"""The largest body; an endpoint may take less."""
WATCHED = "heliograph.watched"
"""In the state of a request whose answer is made only as long as its client is there."""
_MOST_DISCARDED = 64 * 1024 * 1024
"""How much of a refused body is waited for, and forgotten piece by piece."""
_STOPPED = "the server stopped before this was finished: look whether it was done, or send it again with the same key"
_NO_ROUTE = "(none)"


def asgi(given: services.Services) -> App:
    """The application that a server runs."""
    return Door(given)


@functools.cache
def routes() -> Litestar:
    """The routes alone, made once: what they need to answer comes with each request."""
    return Litestar(
        resources.HANDLERS,
        request_class=calls.Call,
        exception_handlers={Exception: _refused},
        openapi_config=None,
        logging_config=None,
    )


def _refused(request: Request[Any, Any, Any], fault: Exception) -> Response[bytes]:
    answer = wire.answer(fault, request.scope["path"])
    return Response(
        answer.body, status_code=answer.status, headers=answer.headers, media_type="application/json"
    )


class Door:
    """One request after the other, from the outside to a route."""

    def __init__(self, given: services.Services):
        self._services = given
        self._keys = auth.Keys(
            given.database,
            given.stopwatch,
            lambda text: access_tokens.read(text, given.link_secret(), given.now()),
        )
        self._metrics = metrics.Metrics(given)
        self._working = idempotency.Working(given)
        self.routes = routes()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI callable."""
        if scope["type"] != "http":
            await self.routes(scope, receive, send)  # type: ignore[arg-type]
            return
        self._services.called()
        began = self._services.stopwatch()
        exchange = _Exchange(scope, receive, send)
        with contextlib.suppress(_GoneError):
            route = await self._answered(exchange)
            seconds = self._services.stopwatch() - began
            self._metrics.answered(exchange.method, route, exchange.status, seconds)

    async def _answered(self, exchange: _Exchange) -> str:
        """Answer, whatever happens; gives the template of the path."""
        route = _NO_ROUTE
        try:
            route = self._route(exchange)
            await self._answer(exchange)
        except _GoneError:
            raise
        except asyncio.CancelledError:
            # The server stops, and has waited for this one for long enough.
            if not exchange.status:
                await exchange.send_answer(wire.answer(errors.Unavailable(_STOPPED), exchange.path))
        except Exception as fault:  # noqa: BLE001 every request is answered; `wire` logs what nobody foresaw
            answer = wire.answer(fault, exchange.path)
            if exchange.status:
                return route  # what was begun cannot be taken back: it ends short, and the client sees that
            await exchange.discard()
            if exchange.method == "OPTIONS" and answer.status == 405:
                answer = wire.Answer(200, {"allow": answer.headers["allow"]}, b"")
            await exchange.send_answer(answer)
        return route

    def _route(self, exchange: _Exchange) -> str:
        """The template of the path. Raises Litestar's NotFound and MethodNotAllowed: those need no key."""
        # What is asked for is what is answered: roles know no other spelling of a path than routes do.
        exchange.path = _folded(normalize_path(_routable(exchange.scope)))
        if exchange.is_ingest:
            return events.PATH
        # The framework answers OPTIONS by one of a path's handlers, which knows of no other: its refusal knows all.
        method = {"HEAD": "GET", "OPTIONS": "TRACE"}.get(exchange.method, exchange.method)
        *_, template = self.routes.asgi_router.handle_routing(path=exchange.path, method=method)
        return str(template)

    async def _answer(self, exchange: _Exchange) -> None:
        scope = exchange.scope
        principal = None
        if not auth.is_open(exchange.path):
            principal = await self._keys.principal(scope["headers"])
            auth.authorize(principal, "GET" if exchange.method == "HEAD" else exchange.method, exchange.path)
        body = await exchange.body()
        if principal is not None and exchange.is_ingest:
            kind = _header(scope["headers"], b"content-type").decode("latin-1")
            made = await events.accept(self._services, principal, body, kind)
            await exchange.send_answer(wire.Answer(202, {"content-type": "application/json"}, made))
            return
        content = calls.Content(self._services, self._metrics, principal, body, set())
        if principal is not None and exchange.method == "POST":
            given = idempotency.wanted(
                scope["headers"], principal, exchange.path, scope["query_string"], body
            )
            if given is not None:
                await self._once(exchange, content, given)
                return
        await self._routed(exchange, content)

    async def _routed(self, exchange: _Exchange, content: calls.Content) -> None:
        await self.routes(exchange.for_route(content), exchange.no_body, exchange.send)  # type: ignore[arg-type]
        if "wake" in content.told:
            self._services.wake()

    async def _once(self, exchange: _Exchange, content: calls.Content, given: request_keys.Wanted) -> None:
        """Answer a request with an idempotency key: what it was answered before, or else what the route says."""
        now = self._services.now()
        until = idempotency.expires_at(exchange.scope["headers"], now)
        once = await self._working.take(given, now, until)
        if isinstance(once, request_keys.Answer):
            replayed = {**once.headers, idempotency.REPLAYED: "true"}
            await exchange.send_answer(wire.Answer(once.status, replayed, once.body))
            return

        async def settle(answer: request_keys.Answer) -> None:
            if "kept" not in content.told:
                await self._working.settle(once, answer)

        exchange.keep(settle)
        try:
            async with self._working.holding(once):
                await self._routed(exchange, content._replace(once=once))
        finally:
            exchange.keep(None)


Keeper = Callable[[request_keys.Answer], Awaitable[None]]
"""Stores a whole answer."""


class _GoneError(Exception):
    """The client has gone."""


class _Exchange:
    """One request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send):
        self.scope, self._receive, self._send = scope, receive, send
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.status = 0
        self._is_told = False
        self._keeper: Keeper | None = None
        self._kept: request_keys.Answer | None = None
        """What was sent of an answer that is to be kept."""
        self._read, self._more = 0, self.method not in ("GET", "HEAD", "DELETE", "OPTIONS")
        announced = _header(scope["headers"], b"content-length")
        self._announced = int(announced) if announced.isdigit() else 0

    @property
    def is_ingest(self) -> bool:
        """Whether it takes the short way."""
        return (
            self.method == "POST"
            and self.path == events.PATH
            and not self.scope["query_string"]
            and not idempotency.is_keyed(self.scope["headers"])
        )

    async def body(self) -> bytes:
        """The body, whole. Raises errors.TooLarge before it is all read, UnsupportedMedia where it is packed."""
        packed = _header(self.scope["headers"], b"content-encoding") if self._more else b""
        if packed.lower() not in (b"", b"identity"):
            name = packed[:50].decode("latin-1")
            raise errors.UnsupportedMedia(
                f"bodies are taken as they are, not as {name}: send no Content-Encoding"
            )
        if self._announced > MOST_BYTES:
            raise _too_large()
        parts = []
        while self._more:
            parts.append(await self._next())
            if self._read > MOST_BYTES:
                raise _too_large()
        return b"".join(parts)

    async def discard(self) -> None:
        """Read on what nobody will look at: who is still sending does not hear an answer."""
        while self._more and max(self._read, self._announced) <= _MOST_DISCARDED:
            await self._next()

    async def _next(self) -> bytes:
        message = await self._receive()
        if message["type"] != "http.request":
            raise _GoneError
        part: bytes = message.get("body", b"")
        self._read += len(part)
        self._more = message.get("more_body", False)
        return part

    async def no_body(self) -> Message:
        """What a route receives: it finds the body in its content. One that streams waits for the client to leave."""
        if self._is_told:
            self.scope.setdefault("state", {})[WATCHED] = True
            return await self._receive()
        self._is_told = True
        return {"type": "http.request", "body": b"", "more_body": False}

    def for_route(self, content: calls.Content) -> Scope:
        """The scope in which a route answers."""
        method = "GET" if self.method == "HEAD" else self.method
        told = {calls.SCOPE_KEY: content, calls.METHOD_KEY: self.method}
        return {**self.scope, "method": method, "path": self.path, **told}

    def keep(self, keeper: Keeper | None) -> None:
        """Give what is answered from here on to be kept; None: it is kept no more."""
        self._keeper = keeper

    async def send(self, message: Message) -> None:
        """Pass on what a route answers; HEAD leaves out the body."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif self.method == "HEAD":
            message = {**message, "body": b""}
        if self._keeper is not None:
            await self._keep(self._keeper, message)
        await self._send(message)

    async def _keep(self, keeper: Keeper, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = {name.decode().lower(): value.decode("latin-1") for name, value in message["headers"]}
            self._kept = request_keys.Answer(message["status"], headers, b"")
        elif self._kept is not None:
            self._kept = self._kept._replace(body=self._kept.body + message.get("body", b""))
            if not message.get("more_body", False):
                # Before its end goes out: whoever has it may ask again at once.
                await keeper(self._kept)

    async def send_answer(self, answer: wire.Answer) -> None:
        """Send a whole answer."""
        headers = {**answer.headers, "content-length": str(len(answer.body))}
        if self._more:
            # The rest of the body would be read to its end, however long it is, before another request is.
            headers["connection"] = "close"
        listed = [
            (name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in headers.items()
        ]
        await self.send({"type": "http.response.start", "status": answer.status, "headers": listed})
        await self.send({"type": "http.response.body", "body": answer.body})


def _too_large() -> errors.TooLarge:
    return errors.TooLarge(f"the body is larger than {MOST_BYTES // 1024**2} MiB: send less at a time")


def _header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    return next((value for name, value in headers if name == wanted), b"")


def _routable(scope: Scope) -> str:
    """The path to route by: decoded, but for segments in which a `/` or `%` was encoded; routes decode those.

    Raises Litestar's NotFound for what is no UTF-8, and for a NUL, which stands in no name.
    """
    raw: bytes = scope.get("raw_path") or b""
    if b"%" not in raw:
        return str(scope["path"])
    try:
        path = "/".join(map(_segment, raw.split(b"?")[0].split(b"/")))
    except UnicodeDecodeError:
        raise HTTPException(status_code=404) from None
    if "\x00" in path:
        raise HTTPException(status_code=404)
    return path


def _folded(path: str) -> str:
    """The path with the name of a `/v1` endpoint, which may be written in any case, as it is in the routes."""
    if not path.startswith("/v1/"):
        return path
    name, slash, rest = path[4:].partition("/")
    return f"/v1/{_V1_NAMES.get(name.lower(), name)}{slash}{rest}"


_V1_NAMES = {name.lower(): name for name in ("dateAutomation",)}


def _segment(raw: bytes) -> str:
    decoded = unquote_to_bytes(raw).decode()
    return raw.decode("ascii") if "/" in decoded or "%" in decoded else decoded
