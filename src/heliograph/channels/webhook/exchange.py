"""One request on its way, and what is known of it at any moment.

Law: whatever breaks, and whenever, `broken` tells the truth from what happened so far. Redirects are judged
here: credentials do not follow to another host, and a request that was once taken stays taken.
"""

from __future__ import annotations

import contextlib
import enum
import re
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

import httpcore2
import httpx2

import heliograph
from heliograph import channels
from heliograph.core import destinations, mime

LONGEST_RETRY = 86_400
"""Seconds of a Retry-After that are believed."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HOST = re.compile(rb"[a-z0-9._-]+|[0-9a-f:.]+")  # a name in its ASCII form, or digits
_GOES_ANYWHERE = frozenset(("accept", "accept-language", "content-type", "user-agent", "idempotency-key"))
_DEFAULTS = (("Accept", "*/*"), ("User-Agent", f"Heliograph/{heliograph.__version__}"))


class Fate(enum.Enum):
    """What became of a request."""

    ANSWERED = "answered"
    """There is a status; the body may be cut short."""
    MALFORMED = "malformed"
    """The URL or a header cannot be sent."""
    FORBIDDEN = "forbidden"
    """The address is one that we do not reach."""
    UNSENT = "unreachable"
    """Nothing was written."""
    LEASE_OVER = "lease_over"
    """Nothing was written, as the time to begin was over."""
    LOST = "lost"
    """The request was begun to be written, and no status came back."""


class HttpAnswer(NamedTuple):
    """A request's end."""

    fate: Fate
    url: str  # where it ended, after redirects
    text: str  # the status line, or why there is none
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()  # names in lower case, in the order of arrival
    body: bytes = b""
    is_whole: bool = False  # the body was read to its end
    retry_after: float | None = None  # seconds, where the server said so
    lack: str = ""  # why the body is not whole, unless it is only larger than was asked for


def fault_of(request: channels.HttpRequest) -> str | None:
    """Why a request cannot be written, or None."""
    if not _TOKEN.fullmatch(request.method):
        return f"{request.method!r} is not a method"
    faults = (destinations.header_fault(name, value) for name, value in request.headers)
    return next((fault for fault in faults if fault is not None), None)


def parsed(url: str) -> httpx2.URL | str:
    """The URL, or why it is none that we call."""
    url = url.strip()  # as its fault is looked for where it is saved: what surrounds it is no part of it
    try:
        read = httpx2.URL(url)
        if read.scheme not in ("http", "https"):
            return f"{url!r} is not a URL with http or https"
        if not _HOST.fullmatch(read.raw_host) or (read.port is not None and not 0 < read.port < 65_536):
            return f"{url!r} names no host"
    except (httpx2.InvalidURL, ValueError) as fault:
        return f"{url!r} is not a URL: {fault}"
    return "a URL cannot carry a user or password: use a header" if read.userinfo else read


class Exchange:
    """A request and its redirects."""

    def __init__(self, url: httpx2.URL, request: channels.HttpRequest):
        self.url, self.method, self.content = url, request.method.upper(), request.body
        given = {name.lower() for name, _ in request.headers}
        defaults = tuple(field for field in _DEFAULTS if field[0].lower() not in given)
        self.fields, self.fetches = defaults + request.headers, request.fetches
        self.is_private = request.fetches or url.scheme == "https"
        """What is asked for over https, and every fetch, goes over plain http nowhere."""
        self.is_begun = False
        self._status: int | None = None
        self._text = ""
        self._headers: tuple[tuple[str, str], ...] = ()
        self._body = bytearray()
        self._is_whole, self._lack = False, ""

    def outgoing(self, watch: Callable[[str, dict[str, Any]], Any], patience: float) -> httpcore2.Request:
        """The request as the pool takes it; `watch` is told each stage, `patience` is for connecting."""
        # Spaces around a value are no part of it, and the library refuses to write them.
        fields = [(name.encode(), value.strip().encode()) for name, value in self.fields]
        fields.append((b"Accept-Encoding", b"gzip, deflate"))
        written = httpx2.Request(self.method, self.url, headers=fields, content=self.content)
        return httpcore2.Request(
            self.method,
            httpcore2.URL(
                scheme=self.url.raw_scheme,
                host=self.url.raw_host,
                port=self.url.port,
                target=self.url.raw_path,
            ),
            headers=written.headers.raw,
            content=self.content or None,
            extensions={"trace": watch, "timeout": {"connect": patience}},
        )

    def take(self, response: httpcore2.Response) -> None:
        """The status and the headers are here."""
        reason = response.extensions.get("reason_phrase", b"").decode("ascii", "replace")
        self._status, self._text = response.status, f"{response.status} {reason}".strip()
        self._headers = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in response.headers
        )

    async def read(self, response: httpcore2.Response, largest: int) -> None:
        """Reads the body, unpacked, up to `largest` octets; what breaks leaves what was read."""
        unpacked = httpx2.Response(response.status, headers=response.headers, stream=_Stream(response))
        try:
            async with contextlib.aclosing(unpacked.aiter_bytes()) as parts:
                async for part in parts:
                    room = largest - len(self._body)
                    self._body += part[:room]
                    if len(part) > room:
                        return
                self._is_whole = True
        except httpx2.DecodingError:
            self._is_whole, self._lack = False, "the answer cannot be unpacked"
        finally:
            if _says_more(response):
                # The next request on this connection would take it for its own answer.
                await response.extensions["network_stream"].aclose()
            await response.aclose()

    # ── redirects ───────────────────────────────────────────────────────────────────────────────────

    def onward(self) -> str | None:
        """Where the answer sends us, where it does."""
        if self._status not in (301, 302, 303, 307, 308):
            return None
        return next((value for name, value in self._headers if name == "location"), None)

    def turn(self, location: str) -> str | None:
        """Goes to where an answer sent us; says why not where that is no place to go.

        A 303 asks for a GET of the result: the request itself was taken, and stays taken. After any other
        the same request is made again, body and all: a call that became a GET would be no call. A fetch is asked for
        its result by a 301 or 302 too, as browsers do it (A71).
        """
        try:
            target = parsed(str(self.url.join(location)))
        except (httpx2.InvalidURL, ValueError):
            target = f"redirected to {location!r}, which is no URL"
        if isinstance(target, str):
            return target
        if not _is_same_place(self.url, target):
            self.fields = tuple(field for field in self.fields if field[0].lower() in _GOES_ANYWHERE)
        is_get = self._status == 303 or (
            self.fetches and self._status in (301, 302) and self.method == "POST"
        )
        if is_get and self.method not in ("GET", "HEAD"):
            self.method, self.content = "GET", b""
            self.fields = tuple(field for field in self.fields if not field[0].lower().startswith("content-"))
        else:
            self.is_begun = False
        self.url, self._status, self._headers = target, None, ()
        return None

    # ── the end ─────────────────────────────────────────────────────────────────────────────────────

    def too_far(self, steps: int) -> None:
        """It was sent on for so many steps, and is not followed any further."""
        self._text = f"{self._text}, and was sent on {steps} times before"

    def answered(self, now: int) -> HttpAnswer:
        """The answer to a request that has a status."""
        return HttpAnswer(
            Fate.ANSWERED, str(self.url), self._text, self._status, self._headers, bytes(self._body), self._is_whole,
            _retry_after(dict(self._headers).get("retry-after"), now), self._lack,
        )  # fmt: skip

    def broken(self, why: str, now: int) -> HttpAnswer:
        """The answer to a request that was cut short."""
        if self._status is not None:
            self._lack = f"not all of the answer came: {why}"
            return self.answered(now)
        return HttpAnswer(Fate.LOST if self.is_begun else Fate.UNSENT, str(self.url), why)


class _Stream(httpx2.AsyncByteStream):
    """A response's octets, for unpacking."""

    def __init__(self, response: httpcore2.Response):
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._response.aiter_stream():
            yield part


def _says_more(response: httpcore2.Response) -> bool:
    """Whether the server said more than its answer; the library keeps that, and shows it to nobody."""
    found: Any = response.stream
    for name in ("_stream", "_connection", "_h11_state"):
        found = getattr(found, name, None)
    return found is not None and bool(found.trailing_data[0])


def _is_same_place(here: httpx2.URL, there: httpx2.URL) -> bool:
    """The same origin, or its secured form."""
    if here.host != there.host:
        return False
    if (here.scheme, here.port) == (there.scheme, there.port):
        return True
    return (here.scheme, here.port, there.scheme, there.port) == ("http", None, "https", None)


def _retry_after(written: str | None, now: int) -> float | None:
    """Seconds from now: a Retry-After is a number of them, or a date."""
    if written is None:
        return None
    if written.strip().isdecimal():
        return float(min(int(written.strip()[:9]), LONGEST_RETRY))
    at = mime.instant_of(written)
    return None if at is None else min(max((at - now) / 1_000_000, 0.0), float(LONGEST_RETRY))
