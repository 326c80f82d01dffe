"""A small SMTP server for tests: takes everything, pipelines, and misbehaves where a script says so.

A script is asked at each step (`GREETING`, `EHLO`, `MAIL`, `RCPT`, `DATA`, `CONTENT`, `END`, `RSET`, `QUIT`)
and answers with a reply, with an Act, or with None for the usual.
"""

import asyncio
import enum
from collections.abc import Callable
from typing import NamedTuple, Self, cast


class Act(enum.Enum):
    """What a server may do instead of replying."""

    DROP = "close the connection without a word"
    SILENCE = "say nothing, for ever"


class Step(NamedTuple):
    """Where a script is asked."""

    name: str
    argument: str
    connection: int  # which connection of the sink, from 1
    message: int  # which transaction of the connection, from 1


class Mail(NamedTuple):
    """What was taken."""

    sender: str
    recipient: str
    content: bytes
    connection: int


Script = Callable[[Step], bytes | Act | None]
USUAL = {"GREETING": b"220 sink", "RCPT": b"250 OK", "DATA": b"354 go on", "QUIT": b"221 bye"}
EXTENSIONS = (b"PIPELINING", b"SIZE 10000000", b"8BITMIME", b"SMTPUTF8")


class Sink:
    """Listens on a port of its own; `mails` is what arrived to the last dot, answered or not."""

    def __init__(self, script: Script | None = None, extensions: tuple[bytes, ...] = EXTENSIONS):
        self.script = script or (lambda _: None)
        self.extensions = extensions
        self.mails: list[Mail] = []
        self.steps: list[Step] = []
        self.connections = 0
        self.open: set[Conversation] = set()
        self.is_deserted = asyncio.Event()  # no connection stands
        self.port = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Conversation(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.drop_all()
        if self.open:
            await self.is_deserted.wait()

    def drop_all(self) -> None:
        """Closes every connection without a word."""
        for conversation in self.open:
            conversation.transport.close()


class Conversation(asyncio.Protocol):
    """One connection to the sink."""

    def __init__(self, sink: Sink):
        self.sink = sink
        self.buffer = b""
        self.message = 0
        self.in_content = self.is_mute = False
        self.sender = self.recipient = ""
        *lines, last = (b"sink", *sink.extensions)
        self.usual = USUAL | {"EHLO": b"".join(b"250-%b\r\n" % line for line in lines) + b"250 " + last}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.sink.open.add(self)
        self.sink.is_deserted.clear()
        self.sink.connections += 1
        self.number = self.sink.connections
        self.step("GREETING")

    def connection_lost(self, exc: Exception | None) -> None:
        self.sink.open.discard(self)
        if not self.sink.open:
            self.sink.is_deserted.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while not self.transport.is_closing():
            if self.in_content:
                if not self.take_content():
                    return
            else:
                line, found, rest = self.buffer.partition(b"\r\n")
                if not found:
                    return
                self.buffer = rest
                self.command(line)

    def take_content(self) -> bool:
        if self.step("CONTENT", reply=False) is Act.DROP:
            return False
        if self.buffer.startswith(b".\r\n"):
            end, skip = 0, 3
        else:
            end, skip = self.buffer.find(b"\r\n.\r\n") + 2, 3
            if end == 1:
                return False
        content = self.buffer[:end].replace(b"\r\n..", b"\r\n.")
        content = content[1:] if content.startswith(b"..") else content
        self.buffer = self.buffer[end + skip :]
        self.in_content = False
        self.sink.mails.append(Mail(self.sender, self.recipient, content, self.number))
        self.step("END")
        return True

    def command(self, line: bytes) -> None:
        verb, _, argument = line.decode().partition(" ")
        if verb == "MAIL":
            self.message += 1
            self.sender = argument[6:].partition(">")[0]
        elif verb == "RCPT":
            self.recipient = argument[4:].strip("<>")
        reply = self.step(verb, argument)
        self.in_content = isinstance(reply, bytes) and reply.startswith(b"354")
        if verb == "QUIT":
            self.transport.close()

    def step(self, name: str, argument: str = "", *, reply: bool = True) -> bytes | Act:
        step = Step(name, argument, self.number, self.message)
        if name != "CONTENT":
            self.sink.steps.append(step)
        said = self.sink.script(step)
        if said is None:
            said = self.usual.get(name, b"250 OK")
        if said is Act.DROP:
            self.transport.close()
        self.is_mute |= said is Act.SILENCE
        if isinstance(said, bytes) and reply and not self.is_mute:
            self.transport.write(said + b"\r\n")
        return said
