"""Connections to `serve`: what comes of requests that are none, never end, or never come."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from typing import Any, cast
from unittest import mock
from urllib.parse import urlsplit

import pytest
import uvicorn
from uvicorn.server import ServerState

from heliograph.cli import web
from heliograph.store import database, keys, workspaces
from heliograph.web import server as doors
from tests.cli import program

Answer = Callable[..., bytes]


@pytest.fixture(scope="module")
def house_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An empty database."""
    return f"sqlite:///{tmp_path_factory.mktemp('connections') / 'house.db'}"


@pytest.fixture(scope="module")
def key(house_url: str) -> bytes:
    """An admin's key."""
    store = database.Database(house_url)
    store.migrate()
    with store.writing() as connection:
        owner = workspaces.ensure(connection, workspaces.DEFAULT, 0)
        made = keys.create(connection, owner, keys.Role.ADMIN, "a key", 0)[1]
    store.close()
    return made.encode()


@pytest.fixture(scope="module")
def answer(house_url: str, key: bytes) -> Iterator[Answer]:
    """Send a running server these bytes; gives all it says until it hangs up."""
    with program.served(house_url) as server:
        place = urlsplit(server.url)

        def ask(*said: bytes, is_all: bool = False) -> bytes:
            with socket.create_connection(
                (str(place.hostname), place.port or 0), program.ENDS_WITHIN
            ) as line:
                for part in said:
                    line.sendall(part)
                if is_all:
                    line.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: line.recv(65_536), b""))

        yield ask


@pytest.mark.parametrize(
    "said", [b"good morning\r\n\r\n", b"GET /healthz HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"]
)
def test_what_is_no_request(answer: Answer, said: bytes) -> None:
    """Whoever does not speak HTTP hears so with a 400, and is hung up on."""
    assert answer(said).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("rest", [b"}", b"good morning\r\n\r\n", b"GET /healthz HTTP/9.9\r\n\r\n"])
def test_what_is_no_request_behind_one(answer: Answer, key: bytes, rest: bytes) -> None:
    """Requests that came whole are answered, whatever stands behind them, and nothing that was taken in is refused."""
    body = b'{"event_type": "custom.a"}'
    asked = (
        b"POST /api/automation/events HTTP/1.1\r\nhost: here\r\nauthorization: Bearer " + key + b"\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    )
    told = answer(asked + asked + rest)
    assert [told.count(b"HTTP/1.1 %d " % status) for status in (202, 400)] == [2, 0]
    assert told.count(b"connection: close") == 1


@pytest.mark.parametrize(
    "asked", [b"GET /readyz HTTP/1.1\r\nhost: here\r\n\r\n", b"GET /readyz HTTP/1.0\r\n\r\n"]
)
@pytest.mark.parametrize("rest", [b"", b"GET /readyz HT"])
def test_who_sends_no_more_may_still_read(answer: Answer, asked: bytes, rest: bytes) -> None:
    """Whoever has closed their sending side, as `nc -N` does, hears the answers to all that came whole."""
    count = 3 if b"1.1" in asked else 1
    told = answer(asked * count + rest, is_all=True)
    assert told.count(b"HTTP/1.1 200 ") == count


@pytest.mark.parametrize(
    ("head", "end"),
    [(b"GET /?", b""), (b"GET /?", b" HTTP/1.1\r\n\r\n"), (b"GET /healthz HTTP/1.1\r\nx-long: ", b"")],
)
def test_a_head_that_does_not_end(answer: Answer, head: bytes, end: bytes) -> None:
    """A request's line and headers are read up to a bound, not until the memory is full."""
    told = answer(head + b"a" * web.MOST_HEAD + end)
    assert told.startswith(b"HTTP/1.1 431 ")
    assert str(web.MOST_HEAD).encode() in told


def test_requests_one_after_the_other(answer: Answer) -> None:
    """Requests that come at once on one connection are answered in order."""
    asked = b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n"
    last = b"GET /nowhere HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n"
    told = answer(asked * 3 + last)
    states = [line.split(b" ")[1] for line in told.split(b"\r\n") if b"HTTP/1.1 " in line]
    assert [state[:3] for state in states] == [b"200", b"200", b"200", b"404"]


def test_an_address_as_it_was_typed(answer: Answer, key: bytes) -> None:
    """Letters beyond ASCII in a path or a query are read as if they were encoded, as curl sends them."""
    head = (
        b" HTTP/1.1\r\nhost: here\r\nconnection: close\r\nx-name: \xc3\xbc\r\nauthorization: Bearer "
        + key
        + b"\r\n"
    )
    body = '{"profile": {"city": "Zürich"}}'.encode()
    length = b"content-length: %d\r\n\r\n" % len(body)
    path = "/profiles/jürgen".encode()
    assert b"SUCCESS" in answer(
        b"POST " + path + head + b"content-type: application/json\r\n" + length + body
    )
    for asked in (path, b"/profiles/j%C3%BCrgen?x=\xc3\xbc"):
        assert "Zürich".encode() in answer(b"GET " + asked + head + b"\r\n")


@pytest.mark.parametrize("cut", [0, 20, 160, 330])
def test_another_protocol_is_not_gone_on_in(answer: Answer, key: bytes, cut: int) -> None:
    """A request that would rather go on in HTTP/2, as those of Java's own client, is read whole and answered."""
    body = b'{"event_type": "custom.a", "contact_id": "ana"}'
    asked = (
        b"POST /api/automation/events HTTP/1.1\r\nhost: here\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n"
        b"http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\nauthorization: Bearer " + key + b"\r\n"
        b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    )
    last = b"GET /healthz HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n"
    told = answer(asked[:cut], asked[cut:] + asked + last)
    assert [told.count(b"HTTP/1.1 %d " % status) for status in (202, 200)] == [2, 1]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1\r\nhost: here\r\nconnection: Upgrade, close\r\n",
        b"HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nconnection: Close ,te\r\n",
        b"HTTP/1.0\r\nconnection: upgrade\r\n",
    ],
)
def test_who_would_go_on_in_another_protocol_may_want_to_end(answer: Answer, head: bytes) -> None:
    """A request with `Upgrade` is the last of its connection where it says so among other words, or is of HTTP/1.0."""
    told = answer(b"GET /healthz " + head + b"upgrade: h2c\r\n\r\n")
    assert (told.count(b"HTTP/1.1 200 "), told.count(b"connection: close")) == (1, 1)


def test_it_is_no_proxy(answer: Answer) -> None:
    """Whoever wants to be led elsewhere is refused."""
    assert answer(b"CONNECT elsewhere:443 HTTP/1.1\r\nhost: elsewhere\r\n\r\n").endswith(b"this is no proxy")


# ── time ────────────────────────────────────────────────────────────────────────────────────────────


class Timers:
    """A loop's timers, which run when the test says so."""

    def __init__(self) -> None:
        self.set: list[tuple[float, asyncio.TimerHandle]] = []

    def call_later(self, seconds: float, call: Callable[..., Any], *given: Any) -> asyncio.TimerHandle:
        """Note it."""
        loop = cast(asyncio.AbstractEventLoop, self)
        handle = asyncio.TimerHandle(seconds, call, given, loop)
        self.set.append((seconds, handle))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def get_debug(self) -> bool:
        """It is none."""
        return False

    def create_task(self, work: Any, **_: Any) -> Any:
        """Nobody answers here."""
        work.close()
        return mock.Mock()

    def run_out(self) -> None:
        """Let every timer that is still set run."""
        for _, handle in [*self.set]:
            if not handle.cancelled():
                handle._run()


class Line(asyncio.Transport):
    """A connection's other side."""

    def __init__(self) -> None:
        super().__init__()
        self.told, self.closed = b"", False

    def write(self, data: Any) -> None:
        """Keep it."""
        self.told += bytes(data)

    def close(self) -> None:
        """Hang up."""
        self.closed = True

    def pause_reading(self) -> None:
        """Nothing is handed on any more."""

    def resume_reading(self) -> None:
        """What comes is handed on again."""


def connected() -> tuple[web._Connection, Timers, Line]:
    """A connection to nobody who answers."""
    timers, line = Timers(), Line()
    config = uvicorn.Config(lambda: None, lifespan="off", ws="none", log_config=None)
    made = web._Connection(config, ServerState(), {}, cast(asyncio.AbstractEventLoop, timers))
    made.connection_made(line)
    return made, timers, line


IN_PIECES = b"POST /send HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n"


@pytest.mark.parametrize(
    ("begun", "more"),
    [(b"0\r\nx-long: ", b"a" * 1_000), (b"0\r\n", b"x-a: b\r\n" * 100), (b"2;", b"a" * 1_000)],
    ids=["a trailer", "trailers", "an extension"],
)
def test_what_stands_beside_a_body_does_not_end(begun: bytes, more: bytes) -> None:
    """What is no part of a body that comes in pieces is read up to the bound of a head too, by whomever it is sent."""
    made, _, line = connected()
    made.data_received(IN_PIECES + begun)
    for _ in range(web.MOST_HEAD // len(more)):
        made.data_received(more)
    assert not line.told
    made.data_received(more)
    assert line.told.startswith(b"HTTP/1.1 431 ")
    assert line.closed


def test_a_body_in_pieces() -> None:
    """Pieces may come in any number; what follows the last one is no header of the request, and another may follow."""
    made, _, line = connected()
    made.data_received(IN_PIECES)
    for _ in range(web.MOST_HEAD // 4):
        for part in (b"1\r\n", b" ", b"\r\n"):
            made.data_received(part)
    asked = made.cycle
    made.data_received(b"0\r\nidempotency-key: k\r\nx-b: c\r\n\r\n")
    assert not asked.more_body
    assert [name for name, _ in asked.scope["headers"]] == [b"host", b"transfer-encoding"]
    asked.response_complete = True
    made.data_received(b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n")
    assert made.scope["path"] == "/healthz"
    assert not line.closed


@pytest.mark.parametrize(
    "said",
    [b"", b"POST /send HTTP/1.1\r\nhost: he", b"POST /send HTTP/1.1\r\ncontent-length: 2\r\n\r\n12POST /se"],
)
def test_a_head_that_does_not_come(said: bytes) -> None:
    """A connection whose request's head is not whole in time is ended with a 408."""
    made, timers, line = connected()
    if said:
        made.data_received(said)
    assert {seconds for seconds, _ in timers.set} == {web.HEAD_SECONDS}
    timers.run_out()
    assert line.closed
    assert line.told.startswith(b"HTTP/1.1 408 ")


def test_a_body_that_stands_still() -> None:
    """A body may take its time, but its next piece comes within a minute, or the connection is ended with a 408."""
    made, timers, line = connected()
    made.data_received(b"POST /send HTTP/1.1\r\ncontent-length: 4\r\n\r\n1")
    made.data_received(b"2")
    made.flow.pause_reading()
    timers.run_out()
    ends = [line.closed]
    made.flow.resume_reading()
    timers.run_out()
    ends.append(line.closed)
    assert ends == [False, True], "it is not the client's fault that nobody reads on"
    assert line.told.startswith(b"HTTP/1.1 408 ")
    assert {seconds for seconds, _ in timers.set} == {web.HEAD_SECONDS, web.BODY_SECONDS}


def test_a_body_that_ends_is_waited_for_no_more() -> None:
    """Once a body is whole its request may take as long as it needs."""
    made, timers, line = connected()
    made.data_received(b"POST /send HTTP/1.1\r\ncontent-length: 2\r\n\r\n1")
    made.data_received(b"2")
    timers.run_out()
    assert not line.closed


def test_all_requests_hear_that_their_client_has_gone() -> None:
    """Of requests that came at once each is told, the one that is being answered too, and writes to nobody."""
    made, _, _ = connected()
    asked = []
    for _ in range(2):
        made.data_received(b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n")
        asked.append(made.cycle)
    made.connection_lost(ConnectionResetError())
    assert [request.disconnected for request in asked] == [True, True]


@pytest.mark.parametrize("is_watched", [False, True])
def test_whoever_is_waited_for_is_taken_to_have_left(is_watched: bool) -> None:
    """Who closes their side is waited for, but where an answer is made only as long as somebody is there."""
    made, _, _ = connected()
    made.data_received(b"GET /healthz HTTP/1.1\r\nhost: here\r\n\r\n")
    if is_watched:
        made.cycle.scope["state"][doors.WATCHED] = True
    assert made.eof_received() is not is_watched
