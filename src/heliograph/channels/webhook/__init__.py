"""The one HTTP door, and the calls of rules that go through it.

Law: nothing of one request is left for the next (no cookies, no environment, no stored login), and nothing
behind our own walls is reached unless the operator named it. A call is UNCERTAIN exactly when it was begun to
be written and no status came back.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import httpcore2
import httpx2

from heliograph import channels, errors, guard
from heliograph.channels.webhook import exchange, network

Fate: TypeAlias = exchange.Fate
HttpAnswer: TypeAlias = exchange.HttpAnswer

MOST_REDIRECTS, MOST_OF_FETCHES = 3, 5
LARGEST_BODY = 1 << 20
KEPT_BODY = 1 << 16
"""Octets of an answer's body that the ledger keeps."""
KEPT_FOR = 4
"""Seconds that an unused connection is kept: less than servers keep theirs, so that few break when used again."""
_PATIENCE = 10.0
KEPT_HEADERS = frozenset(
    ("content-type", "content-length", "date", "location", "retry-after", "server", "x-request-id")
)

_BROKEN = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError)
_LATER = frozenset((408, 425, 429))
_OUTCOMES = {
    Fate.MALFORMED: channels.Outcome.PERMANENT,
    Fate.FORBIDDEN: channels.Outcome.PERMANENT,
    Fate.UNSENT: channels.Outcome.TEMPORARY,
    Fate.LEASE_OVER: channels.Outcome.TEMPORARY,
    Fate.LOST: channels.Outcome.UNCERTAIN,
}


@functools.cache
def _of_the_system() -> ssl.SSLContext:
    """The certificates that the system trusts: reading them takes 20 ms, so once for a process."""
    return ssl.create_default_context()


class HttpDoor:
    """Makes requests; one for the whole process, opened on its event loop."""

    def __init__(
        self,
        now: Callable[[], int],
        allowed_hosts: Iterable[str] = (),
        resolver: guard.Resolver = guard.resolve,
        trusted: ssl.SSLContext | None = None,
        connections: int = 64,
    ):
        self._now = now
        self._guard = guard.Guard(allowed_hosts, resolver)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=trusted or _of_the_system(),
            max_connections=connections,
            keepalive_expiry=KEPT_FOR,
            network_backend=network.GuardedNetwork(self._guard),
        )

    async def request(
        self,
        url: str,
        request: channels.HttpRequest,
        *,
        max_body: int = LARGEST_BODY,
        expires_at: int | None = None,
    ) -> exchange.HttpAnswer:
        """Sends a request and reads the answer, all within `request.timeout` seconds.

        At most `max_body` octets of the unpacked body are read. At or after the instant `expires_at` (µs)
        nothing is begun. Never raises for what the other side does.
        """
        target, fault = exchange.parsed(url), exchange.fault_of(request)
        if isinstance(target, str) or fault is not None:
            return HttpAnswer(Fate.MALFORMED, url, fault or str(target))
        going = exchange.Exchange(target, request)
        try:
            async with asyncio.timeout(request.timeout):
                return await self._walked(going, request.timeout, max_body, expires_at)
        except network.Forbidden as refused:
            return HttpAnswer(Fate.FORBIDDEN, str(going.url), str(refused))
        except TimeoutError:
            return going.broken(f"no answer within {request.timeout:g} s", self._now())
        except _BROKEN as broken:
            why = str(broken) or _unsaid(broken)
            named = why if why.startswith(going.url.host) else f"{going.url.host}: {why}"
            return going.broken(named, self._now())
        except _LeaseOverError:
            return HttpAnswer(Fate.LEASE_OVER, str(going.url), channels.OUR_CODES["lease_over"])

    async def close(self) -> None:
        """Closes all connections."""
        await self._pool.aclose()

    async def _walked(
        self, going: exchange.Exchange, patience: float, max_body: int, expires_at: int | None
    ) -> exchange.HttpAnswer:
        async def watch(stage: str, _: dict[str, Any]) -> None:
            if stage == "http11.send_request_headers.started" and not going.is_begun:
                if expires_at is not None and self._now() >= expires_at:
                    raise _LeaseOverError
                going.is_begun = True

        steps, most = 0, MOST_OF_FETCHES if going.fetches else MOST_REDIRECTS
        while True:
            if going.is_private and not self._is_safe(going.url):
                raise network.Forbidden(
                    f"{going.url.host} would be asked over plain http: to allow it, name it in {guard.SETTING}"
                )
            response = await self._pool.handle_async_request(going.outgoing(watch, patience))
            going.take(response)
            onward = going.onward()
            if onward is None or steps == most:
                if onward is not None:
                    going.too_far(steps)
                await going.read(response, max_body)
                return going.answered(self._now())
            await response.aclose()
            steps += 1
            fault = going.turn(onward)
            if fault is not None:
                return HttpAnswer(Fate.FORBIDDEN, str(going.url), fault)

    def _is_safe(self, url: httpx2.URL) -> bool:
        return url.scheme == "https" or self._guard.is_allowed(url.host, url.port or 80)


def _unsaid(broken: Exception) -> str:
    """What the library leaves without words: connections that are hung up, or never stand."""
    is_late = isinstance(broken, httpcore2.TimeoutException)
    return "no connection in time" if is_late else "the server hung up"


class _LeaseOverError(Exception):
    """Stops a request at the instant before its first octet; goes no further than the door."""


class WebhookChannel:
    """Carries the calls of rules."""

    name = "webhook"
    provider = "http"

    def __init__(self, door: HttpDoor, concurrency: int = 32):
        self.concurrency = concurrency
        self._door = door

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """Makes one call; the Idempotency-Key is the ledger's id, the same in every attempt, or a fetch's own."""
        if not isinstance(outgoing.content, channels.HttpRequest):
            return channels.Answer(channels.Outcome.PERMANENT, "http", None, "malformed", "is no request")
        request = outgoing.content
        keys = [field for field in request.headers if field[0].lower() == "idempotency-key"]
        if not (keys and request.fetches):
            fields = [field for field in request.headers if field not in keys]
            fields.append(("Idempotency-Key", outgoing.message_id))
            request = request._replace(headers=tuple(fields))
        largest = LARGEST_BODY if request.fetches else KEPT_BODY
        answer = await self._door.request(
            outgoing.address, request, max_body=largest, expires_at=outgoing.expires_at
        )
        judged = _judged(answer)
        if not request.fetches or judged.outcome is not channels.Outcome.ACCEPTED:
            return judged
        if not answer.is_whole:
            is_full = len(answer.body) >= largest
            text = f"the answer has more than {largest >> 20} MiB" if is_full else answer.lack
            outcome = channels.Outcome.PERMANENT if is_full else channels.Outcome.TEMPORARY
            return judged._replace(outcome=outcome, code="too_large" if is_full else "lost", text=text)
        try:
            answer.body.decode()
        except UnicodeDecodeError:
            # Read in other letters it would be data that nobody has sent.
            text = "the answer is no object in JSON: it is not in UTF-8"
            return judged._replace(outcome=channels.Outcome.PERMANENT, code="no_data", text=text)
        return judged

    async def close(self) -> None:
        """The door is closed by whoever opened it."""


def _judged(answer: exchange.HttpAnswer) -> channels.Answer:
    if answer.status is None:
        text = answer.text[: channels.LONGEST_TEXT]
        return channels.Answer(_OUTCOMES[answer.fate], "http", None, answer.fate.value, text)
    headers = dict(answer.headers)
    body = answer.body.decode("utf-8", "replace").replace("\0", "�")  # no database takes a NUL in a text
    words = "".join(c if c.isprintable() else " " for c in f"{answer.text} {body[: channels.LONGEST_TEXT]}")
    return channels.Answer(
        _outcome_of(answer.status),
        "http",
        headers.get("x-request-id", "")[:200] or None,
        str(answer.status),
        words[: channels.LONGEST_TEXT].strip(),
        {
            "status": answer.status,
            "headers": {name: headers[name][:1000] for name in sorted(KEPT_HEADERS & headers.keys())},
            "body": body,
        },
        answer.retry_after,
    )


def _outcome_of(status: int) -> channels.Outcome:
    if 200 <= status < 300:
        return channels.Outcome.ACCEPTED
    if status >= 500 or status in _LATER:
        return channels.Outcome.TEMPORARY
    return channels.Outcome.PERMANENT


async def fetched(now: Callable[[], int], url: str) -> bytes:
    """What is at an address on the public internet, a mebibyte at most. Raises errors.Unavailable."""
    door = HttpDoor(now)
    try:
        answer = await door.request(url, channels.HttpRequest("GET", (), b"", _PATIENCE))
    finally:
        await door.close()
    if answer.status != 200 or not answer.is_whole:
        raise errors.Unavailable(f"{url} cannot be read: {answer.text}")
    return answer.body
