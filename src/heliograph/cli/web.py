"""The web server's process: listens, answers until it is told to stop, and lets what is under way come to its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from heliograph import errors
from heliograph.cli import terminal
from heliograph.web import server as doors

if TYPE_CHECKING:
    from heliograph.app import App

_BACKLOG = 2048
"""Connections that may wait to be taken."""
_GRACE = 5
"""Seconds for which requests under way are waited for once the server stops: some never end by themselves."""
_KEEP_ALIVE = 75
"""Seconds for which a connection is kept that no request comes on: longer than most clients keep theirs."""
MOST_HEAD = 65_536
"""Bytes of a request's line and headers, and what one read brings: who never ends them would fill the memory.

So would who never ends what may follow a body that comes in pieces.
"""
HEAD_SECONDS = 30.0
"""Seconds within which a head has to be whole."""
BODY_SECONDS = 60.0
"""Seconds within which the next piece of a body has to come, however many there are."""
_REFUSAL = "HTTP/1.1 {}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{}\n"


def _refusal(status: str, why: str) -> bytes:
    return _REFUSAL.format(status, len(why) + 1, why).encode()


_TOO_LARGE = _refusal(
    "431 Request Header Fields Too Large", f"a request's line and headers take at most {MOST_HEAD} bytes"
)
_TOO_SLOW = _refusal(
    "408 Request Timeout", f"a request's headers have to come within {HEAD_SECONDS:.0f} seconds"
)


_STALLED = _refusal(
    "408 Request Timeout", f"the next piece of a body has to come within {BODY_SECONDS:.0f} seconds"
)


class Address(NamedTuple):
    """Where it listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """How to reach it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 it is what was asked
        return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{self.port}"


def bound(host: str, port: int) -> socket.socket:
    """A socket with this address (port 0: a free one), on which nobody listens yet.

    Raises errors.BadSetting where nobody can listen.
    """
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as fault:
        raise errors.BadSetting(f"cannot listen on {host!r}: {fault.strerror}") from None
    made = socket.socket(family, kind)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind(place)
    except OSError as fault:
        made.close()
        option = "--host" if fault.errno == errno.EADDRNOTAVAIL else "--port"
        raise errors.BadSetting(
            f"cannot listen on {host}:{port}: {fault.strerror}; {option} takes another"
        ) from None
    return made


async def serve(
    application: App,
    place: socket.socket,
    engine: Callable[[asyncio.Event], contextlib.AbstractAsyncContextManager[None]],
    stop: asyncio.Event,
) -> None:
    """Answer requests on this socket while the engine runs, until `stop` is set; what is under way comes to its end."""
    async with engine(stop):
        url = Address(*place.getsockname()[:2]).url
        server = _Server(
            uvicorn.Config(
                application.asgi(),
                http=_Connection,
                ws="none",
                lifespan="off",
                interface="asgi3",
                backlog=_BACKLOG,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=_GRACE,
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                log_level="critical",
            ),
            lambda: terminal.say(f"ready: {url}/api/automation, described at {url}/schema"),
        )
        serving = asyncio.create_task(server.serve([place]))
        await asyncio.wait((serving, asyncio.create_task(stop.wait())), return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            why = serving.exception() if not serving.cancelled() else None
            raise errors.Unavailable(f"the web server ended by itself: {why or 'no reason was given'}")
        server.should_exit = True
        await serving


class _Server(uvicorn.Server):
    """One that tells when it is ready, and leaves signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]):
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class _Connection(HttpToolsProtocol):
    """One whose requests have heads that end soon and are not endless, and bodies that go on."""

    _patience: asyncio.TimerHandle
    _is_in_head = True
    _goes_on = False
    """Whether what is read has a piece of a body in it, or its end."""
    _is_between = True
    """Whether a request is next."""
    _is_deaf = False
    """Whether what still comes is not read."""
    _answered: RequestResponseCycle | None = None
    """The request that is being answered; others that came behind it wait."""
    _head = _begun = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a request."""
        super().connection_made(transport)
        self._expect(HEAD_SECONDS, self._give_up, _TOO_SLOW)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing more; the library tells the last request alone that nobody hears its answer."""
        self._patience.cancel()
        super().connection_lost(exc)
        answered = self._answered
        if answered is not None and not answered.response_complete:
            answered.disconnected = True
            answered.message_event.set()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answered = cycle
        super()._start_asgi_task(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Read on; the parser keeps what it has of a head, however long that becomes."""
        if self._is_deaf:
            return
        if self._is_between and not data.isascii():
            data = _with_plain_line(data)
        begun, was_in_head, self._goes_on = self._begun, self._is_in_head, False
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._stay(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refuse()
            return
        if self._is_in_head:
            # What one read brings of a later request is not counted: before it there may be others' bodies.
            is_counted = self._begun in (begun, 1)
        else:
            # Beside the pieces of a body, and behind them, may stand what is none of it.
            is_counted = not (was_in_head or self._goes_on) and self._begun == begun
            if not self._is_between:
                self._expect(BODY_SECONDS, self._stalled)
        if is_counted:
            self._head += len(data)
            if self._head > MOST_HEAD:
                self._give_up(_TOO_LARGE)

    def _refuse(self) -> None:
        """What is no request is refused, but behind the answers to those that came whole before it."""
        if self._begun and len(self.url) >= MOST_HEAD:
            self._give_up(_TOO_LARGE)
        elif not self._read_no_more():
            self.send_400_response("this is no HTTP request")

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whoever sends no more may still read (`nc -N`); gives whether there is an answer that they wait for."""
        last: RequestResponseCycle | None = self.cycle
        # They are taken to have left where the answer is one that nobody works on for whoever has.
        is_watched = last is not None and doors.WATCHED in last.scope["state"]
        return not is_watched and self._read_no_more()

    def _read_no_more(self) -> bool:
        """Hang up behind the answers to requests that came whole; gives whether there are any."""
        last: RequestResponseCycle | None = self.cycle
        if last is None or last.response_complete or last.more_body:
            return False
        self._patience.cancel()
        self._is_deaf, last.keep_alive = True, False
        return True

    def _stay(self, rest: bytes) -> None:
        """Read a request that would rather go on in another protocol as one that would not; `rest` follows its head."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self.send_400_response("this is no proxy")
            return
        left_out = (b"upgrade", b"http2-settings", b"connection")
        kept = [(name, value) for name, value in self.headers if name not in left_out]
        wishes = b",".join(value.lower() for name, value in self.headers if name == b"connection")
        if b"close" in (wish.strip() for wish in wishes.split(b",")):
            kept.append((b"connection", b"close"))
        lines = [
            method + b" " + self.url + b" HTTP/" + version,
            *(name + b": " + value for name, value in kept),
        ]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as the library's own
        self.data_received(b"\r\n".join((*lines, b"", rest)))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; those that follow a body in pieces, which nobody asked for, are left out."""
        if self._is_in_head:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._head, self._goes_on = 0, True
        super().on_body(body)

    def on_message_begin(self) -> None:
        """Another request begins."""
        self._begun += 1
        self._is_between = False
        self._head, self._is_in_head = 0, True
        self._expect(HEAD_SECONDS, self._give_up, _TOO_SLOW)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._is_in_head = False
        self._patience.cancel()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole."""
        self._goes_on = self._is_between = True
        self._patience.cancel()
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _expect(self, seconds: float, run_out: Callable[..., None], *said: bytes) -> None:
        """Wait so long for what comes next, and for nothing else any more."""
        if self._begun:
            self._patience.cancel()
        self._patience = self.loop.call_later(seconds, run_out, *said)

    def _stalled(self) -> None:
        if self.flow.read_paused:
            # It is we who do not read on yet.
            self._expect(BODY_SECONDS, self._stalled)
        elif self.cycle.response_started:
            self.transport.close()
        else:
            self._give_up(_STALLED)

    def _give_up(self, answer: bytes) -> None:
        self.transport.write(answer)
        self.transport.close()


def _with_plain_line(data: bytes) -> bytes:
    """What begins a request, its line in ASCII: some programs, as curl, send an address as it was typed."""
    line, end, rest = data.partition(b"\r\n")
    if line.isascii():
        return data
    return b"".join(b"%c" % sign if sign < 0x80 else b"%%%02X" % sign for sign in line) + end + rest
