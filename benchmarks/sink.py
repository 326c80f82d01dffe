"""Where every side hands its messages over: a TCP server that answers each key and counts it.

Law: one protocol for all sides, a process of its own, and no knowledge of who is calling. A line
`<key> <text>` is answered by `<key>`; a line `?` by a JSON object: how many came and under how many keys. The
sender has handed a message over when it has read the answer.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, cast

import msgspec


class Seen(msgspec.Struct, frozen=True):
    """What the sink saw so far: `lines` messages under `keys` different keys, `size` bytes of text."""

    lines: int
    keys: int
    size: int


class _Counter(asyncio.Protocol):
    """One connection; the counts are shared by all of them."""

    keys: ClassVar[set[bytes]] = set()
    lines = 0
    size = 0

    def __init__(self) -> None:
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Answer every whole line, all that came together in one write."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if lines:
            self._transport.write(b"".join([self._answer(line) for line in lines]))

    def _answer(self, line: bytes) -> bytes:
        if line == b"?":
            return msgspec.json.encode(Seen(_Counter.lines, len(_Counter.keys), _Counter.size)) + b"\n"
        key, _, text = line.partition(b" ")
        _Counter.keys.add(key)
        _Counter.lines += 1
        _Counter.size += len(text)
        return key + b"\n"


class Line:
    """A connection to the sink for code that waits for its answers."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answers = self._socket.makefile("rb")

    def send(self, key: str, text: str) -> None:
        """Hand one message over; returns when it was answered."""
        self.send_all([(key, text)])

    def send_all(self, messages: Sequence[tuple[str, str]]) -> None:
        """Hand many over in one go (thousands at most: the answers must fit in the socket's buffers)."""
        self._socket.sendall("".join([f"{key} {text}\n" for key, text in messages]).encode())
        for key, _ in messages:
            if self._answers.readline() != b"%b\n" % key.encode():
                raise ConnectionError(f"the sink did not take {key}")

    def seen(self) -> Seen:
        """What the sink saw so far, from everybody."""
        self._socket.sendall(b"?\n")
        return msgspec.json.decode(self._answers.readline(), type=Seen)

    def close(self) -> None:
        """Hang up."""
        self._answers.close()
        self._socket.close()


@contextmanager
def running() -> Iterator[str]:
    """A sink in a process of its own, with its counts at zero; gives its address."""
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdin is not None
        assert started.stdout is not None
        try:
            yield started.stdout.readline().strip()
        finally:
            started.stdin.close()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Counter, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    print(f"{host}:{port}", flush=True)
    # Its caller's end, however it comes, closes this pipe: no sink outlives the benchmark.
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve())
    else:
        uvloop.run(_serve())
