"""The web server's process: listens, answers until it is told to stop, and lets what is under way come to its end."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple

from granian.constants import Interfaces
from granian.server.embed import Server

from heliograph import errors
from heliograph.cli import terminal

if TYPE_CHECKING:
    from heliograph.app import App

_BACKLOG = 2048
"""Connections that may wait to be taken, and requests that may be under way."""
_GRACE = 5.0
"""Seconds for which requests under way are waited for once the server stops: some never end by themselves."""


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """How to reach it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104 it is what was asked
        return f"http://{f'[{host}]' if ':' in host and host[0] != '[' else host}:{self.port}"


def free_address(host: str, port: int) -> Address:
    """Where to listen, with a free port where 0 is asked for. Raises errors.BadSetting where nobody can listen."""
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as fault:
        raise errors.BadSetting(f"cannot listen on {host!r}: {fault.strerror}") from None
    # The server shares its port with whoever asks; this probe does not, and so finds out who is there already.
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(place)
            probe.listen()
        except OSError as fault:
            option = "--host" if fault.errno == errno.EADDRNOTAVAIL else "--port"
            raise errors.BadSetting(
                f"cannot listen on {host}:{port}: {fault.strerror}; {option} takes another"
            ) from None
        return Address(*probe.getsockname()[:2])


async def serve(
    application: App,
    address: Address,
    engine: contextlib.AbstractAsyncContextManager[None],
    stop: asyncio.Event,
) -> None:
    """Answer requests while the engine runs, until `stop` is set; what is under way comes to its end."""
    async with engine:
        doors = _Doors(application.asgi())
        server = Server(
            doors,
            address=address.host,
            port=address.port,
            interface=Interfaces.ASGI,
            backlog=_BACKLOG,
            backpressure=_BACKLOG,
            websockets=False,
            log_enabled=False,
            log_access=False,
        )
        serving = asyncio.create_task(server.serve())
        await _listening(address, serving)
        terminal.say(f"ready: {address.url}/api/automation, described at {address.url}/schema")
        await asyncio.wait((serving, asyncio.create_task(stop.wait())), return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            raise errors.Unavailable("the web server ended by itself")
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait((serving,), timeout=_GRACE)
        doors.cut_off()
        await serving


async def _listening(address: Address, serving: asyncio.Task[None]) -> None:
    """Return once a connection is taken. Raises errors.Unavailable where the server ended instead."""
    while not serving.done():
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(address.host, address.port)
            writer.close()
            return
        await asyncio.sleep(0.01)
    raise errors.Unavailable(f"the web server did not start: {serving.exception() or 'no reason was given'}")


Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answering = Callable[[Message, Receive, Send], Awaitable[None]]


class _Doors:
    """An application that knows which requests it is answering."""

    def __init__(self, application: Answering):
        self._application = application
        self._answering: set[asyncio.Task[Any]] = set()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            await self._application(scope, receive, send)
        finally:
            self._answering.discard(task)

    def cut_off(self) -> None:
        """Give up what is still being answered: clients that neither send on nor hang up."""
        for task in self._answering:
            task.cancel()
