"""A client of our HTTP API that costs little: kept connections, one request at a time on each.

Law: it reads a status and a body's length, nothing more; it is no judge of HTTP.
"""

from __future__ import annotations

import asyncio
from typing import cast

from benchmarks import sides

PATH = "/api/automation/events"


def request(key: str, body: bytes) -> bytes:
    """The whole request that posts events."""
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: benchmark\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def opened(address: tuple[str, int]) -> Connection:
    """A connection to the server."""
    _, made = await asyncio.get_running_loop().create_connection(Connection, *address)
    return made


class Connection(asyncio.Protocol):
    """One kept connection."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[None] | None = None
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast(asyncio.Transport, transport)

    async def accepted(self, whole: bytes) -> None:
        """Send a request and return when its events were accepted. Raises sides.Failed where they were not."""
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(whole)
        await self._answer

    def data_received(self, data: bytes) -> None:
        """Take an answer, once it is whole."""
        self._read += data
        head, found, body = self._read.partition(b"\r\n\r\n")
        if not found or self._answer is None:
            return
        _, _, after = head.lower().partition(b"content-length:")
        if len(body) < int(after.split(b"\r\n", 1)[0]):
            return
        self._read = b""
        if head.split(b" ", 2)[1] == b"202":
            self._answer.set_result(None)
        else:
            self._answer.set_exception(sides.Failed(f"{head.splitlines()[0]!r} {body[:500]!r}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits hears that there will be no answer."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(sides.Failed("the server hung up"))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()
