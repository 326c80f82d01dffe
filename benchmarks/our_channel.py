"""Our engine's way out to the sink: a channel over one kept connection, many messages under way on it.

Law: a message counts as accepted when the sink's answer to it was read, as for every peer. What is asked for in
one pass of the loop goes out in one write; nobody waits for a timer.
"""

from __future__ import annotations

import asyncio
from typing import cast

from heliograph import channels


class SinkChannel:
    """Hands e-mails over to `benchmarks.sink`, in whose lines a message has no line breaks."""

    name = "email"
    concurrency = 200

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._opening = asyncio.Lock()
        self._line: _Line | None = None

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """Hand one over; returns when the sink has answered."""
        line = self._line or await self._opened()
        assert isinstance(outgoing.content, bytes)
        await line.handed_over(outgoing.message_id.encode(), outgoing.content.replace(b"\n", b" "))
        return channels.Answer(channels.Outcome.ACCEPTED, "sink", outgoing.message_id, "250")

    async def _opened(self) -> _Line:
        async with self._opening:
            if self._line is None:
                _, self._line = await asyncio.get_running_loop().create_connection(
                    _Line, self._host, self._port
                )
        return self._line

    async def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line.transport.close()


def ways(address: str) -> dict[str, SinkChannel]:
    """E-mail goes to the sink at this address, in whichever process delivers."""
    return {"email": SinkChannel(address)}


class _Line(asyncio.Protocol):
    """The connection."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[bytes, asyncio.Future[None]] = {}
        self._unsent: list[bytes] = []
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        for answer in self._waiting.values():
            answer.set_exception(exc or ConnectionError("the sink hung up"))
        self._waiting.clear()

    def handed_over(self, key: bytes, text: bytes) -> asyncio.Future[None]:
        """Ends when the sink has answered this key."""
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent += (key, b" ", text, b"\n")
        answer = self._waiting[key] = self._loop.create_future()
        return answer

    def _flush(self) -> None:
        self.transport.write(b"".join(self._unsent))
        self._unsent.clear()

    def data_received(self, data: bytes) -> None:
        *keys, self._rest = (self._rest + data).split(b"\n")
        for key in keys:
            self._waiting.pop(key).set_result(None)
