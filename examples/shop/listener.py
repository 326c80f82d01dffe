"""A server on loopback that a test or the demo opens and closes, and the ways in which it can misbehave.

Law: closing ends every connection at once; nothing outlives the `async with`.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import msgspec


class Switches(msgspec.Struct, forbid_unknown_fields=True):
    """How a sink misbehaves; all off at first, changed at any time."""

    delay: float = 0.0  # seconds between having received something and answering
    drop_next: int = 0  # so many are counted, and then the connection breaks instead of the answer
    lose_next: int = 0  # so many are not counted, and the connection breaks

    def breaks(self) -> str | None:
        """What shall become of the thing just received: "drop", "lose", or None where it is to be answered."""
        for name in ("drop", "lose"):
            left = getattr(self, f"{name}_next")
            if left > 0:
                setattr(self, f"{name}_next", left - 1)
                return name
        return None


class Session(asyncio.Protocol):
    """One connection: bytes gather in `buffer`, `take` eats one whole thing of them at a time."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._waiting = False
        self.buffer = bytearray()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Join the listener's open connections."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._listener.sessions.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave them."""
        self._listener.sessions.discard(self)

    def data_received(self, data: bytes) -> None:
        """Gather, and take what is whole."""
        self.buffer += data
        self._take_all()

    def take(self) -> bool:
        """Eat one whole thing from the buffer and answer it; False where there is none yet."""
        raise NotImplementedError

    def answer(self, reply: bytes, delay: float) -> None:
        """Write the reply, now or after `delay` seconds; until then nothing more is taken."""
        if delay <= 0:
            self.transport.write(reply)
            return
        self._waiting = True
        asyncio.get_running_loop().call_later(delay, self._answer_late, reply)

    def _answer_late(self, reply: bytes) -> None:
        self._waiting = False
        self.transport.write(reply)
        self._take_all()

    def _take_all(self) -> None:
        while not self._waiting and not self.transport.is_closing() and self.take():
            pass


class Listener:
    """A TCP server as an asynchronous context; port 0 takes a free one, told by `port` once it is open."""

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self.sessions: set[Session] = set()
        self.received = 0
        self._server: asyncio.Server | None = None
        self._expected: list[tuple[int, asyncio.Future[None]]] = []

    def session(self) -> Session:
        """The protocol of one new connection."""
        raise NotImplementedError

    def note(self) -> None:
        """Count one more thing received, and wake whoever waited for that many."""
        self.received += 1
        for number, future in self._expected:
            if number <= self.received and not future.done():
                future.set_result(None)
        self._expected = [expected for expected in self._expected if not expected[1].done()]

    async def until(self, number: int) -> None:
        """Return once `number` things have been received since the start."""
        if self.received < number:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._expected.append((number, future))
            await future

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(self.session, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for session in list(self.sessions):
            session.transport.abort()
        await self._server.wait_closed()
