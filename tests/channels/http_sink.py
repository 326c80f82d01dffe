"""A small HTTP server for tests: answers as a script says, byte for byte, or not at all."""

import asyncio
import enum
import ssl
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple, Self


class Act(enum.Enum):
    """What a server may do instead of answering."""

    DROP = "close the connection without a word"
    SILENCE = "say nothing, for ever"


class Call(NamedTuple):
    """What was asked."""

    method: str
    target: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    connection: int


Said = bytes | Act | AsyncIterator[bytes]
Script = Callable[[Call], Said]


def reply(status: str = "200 OK", body: bytes = b"", *fields: str) -> bytes:
    """A whole answer."""
    head = "\r\n".join((f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}"))
    return head.encode() + b"\r\n\r\n" + body


class HttpSink:
    """Listens on a port of its own; `calls` is every request that arrived whole."""

    def __init__(
        self, script: Script = lambda _: reply(), host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
    ):
        self.script, self.host, self.tls = script, host, tls
        self.calls: list[Call] = []
        self.connections = 0
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self.host, 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        number = self.connections
        try:
            while (call := await _read(reader, number)) is not None:
                self.calls.append(call)
                if not await self._answer(call, writer):
                    break
        except (OSError, asyncio.CancelledError):
            pass  # the client left, or the test is over
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def _answer(self, call: Call, writer: asyncio.StreamWriter) -> bool:
        said = self.script(call)
        if said is Act.SILENCE:
            await asyncio.Event().wait()
        if isinstance(said, bytes):
            writer.write(said)
            await writer.drain()
        elif isinstance(said, AsyncIterator):
            async for part in said:
                writer.write(part)
                await writer.drain()
        return said is not Act.DROP


async def _read(reader: asyncio.StreamReader, connection: int) -> Call | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Call(method, target, headers, body, connection)
