"""An SMTP server that accepts what it is given and remembers what that was.

Law: a message is counted, and its Message-ID written to the log, before it is answered with 250. So a sender
may have handed over a message without knowing, but never believes so without it being counted here.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import msgspec

from examples.shop import listener

_LONGEST_LINE, _LARGEST_MESSAGE = 4096, 32 * 1024 * 1024
_MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(?:\r\n[ \t]+)?(\S+)", re.IGNORECASE | re.MULTILINE)
_END = b"\r\n.\r\n"


class Received(NamedTuple):
    """One message with its envelope; `content` is as written by the sender, dots unstuffed."""

    sender: str
    recipients: tuple[str, ...]
    message_id: str
    content: bytes


class Switches(listener.Switches):
    """How the SMTP sink misbehaves."""

    replies: dict[str, str] = msgspec.field(default_factory=dict)
    """Address, or `*` for all others → the reply to its RCPT, for instance `"451 4.3.0 later"` or `"550 5.1.1 no"`."""

    data_reply: str | None = None
    """The reply to every message instead of 250, which then is not counted: `"452 4.3.1 disk full"`."""


class SmtpSink(listener.Listener):
    """`async with SmtpSink() as sink`: then speak SMTP to `sink.port`."""

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, *, log: Path | None = None, keep: int = 20
    ) -> None:
        super().__init__(host, port)
        self.switches = Switches()
        self.message_ids: dict[str, int] = {}
        self.last: deque[Received] = deque(maxlen=keep)
        self.connections = self.refused = self.broken = 0
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644) if log else None

    def session(self) -> listener.Session:
        """The protocol of one new connection."""
        return _SmtpSession(self)

    def keep(self, received: Received) -> None:
        """Remember a message: in the log first, so that whoever reads the log sees all that was answered."""
        if self._log is not None:
            os.write(self._log, received.message_id.encode() + b"\n")
        self.message_ids[received.message_id] = self.message_ids.get(received.message_id, 0) + 1
        self.last.append(received)
        self.note()

    def counts(self) -> dict[str, int]:
        """Messages received, how many Message-IDs they bore, and how many copies were repeats."""
        return {
            "messages": self.received,
            "distinct": len(self.message_ids),
            "repeats": self.received - len(self.message_ids),
            "connections": self.connections,
            "refused_recipients": self.refused,
            "broken_connections": self.broken,
        }

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await super().__aexit__(kind, error, trace)
        if self._log is not None:
            os.close(self._log)
            self._log = None


class _SmtpSession(listener.Session):
    """One client's dialogue (RFC 5321, with pipelining): lines, and between DATA and the lonely dot a message."""

    def __init__(self, sink: SmtpSink) -> None:
        super().__init__(sink)
        self._sink = sink
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._in_data = False
        self._searched = 0
        self._commands: dict[bytes, Callable[[bytes], bytes]] = {
            b"EHLO": self._ehlo, b"HELO": self._helo, b"MAIL": self._mail, b"RCPT": self._rcpt,
            b"DATA": self._data, b"RSET": self._rset, b"NOOP": self._noop, b"QUIT": self._quit,
        }  # fmt: skip

    def connection_made(self, transport: Any) -> None:
        """Greet."""
        super().connection_made(transport)
        self._sink.connections += 1
        self.transport.write(b"220 sink.example.com ESMTP at your service\r\n")

    def take(self) -> bool:
        """One line or one message."""
        return self._take_message() if self._in_data else self._take_line()

    def _take_line(self) -> bool:
        end = self.buffer.find(b"\n")
        if end < 0:
            if len(self.buffer) > _LONGEST_LINE:
                self._break_off(b"500 5.5.2 Line too long\r\n")
            return False
        line = bytes(self.buffer[:end]).rstrip(b"\r")
        # The line break that ends DATA stays: so a message of nothing but the lonely dot is found like any other.
        begins_data = line[:4].upper() == b"DATA" and bool(self._recipients)
        del self.buffer[: end - 1 if begins_data else end + 1]
        command = self._commands.get(line[:4].upper())
        self.transport.write(command(line) if command else b"500 5.5.1 Command not known here\r\n")
        if command == self._quit:
            self.transport.close()
        return True

    def _take_message(self) -> bool:
        end = self.buffer.find(_END, max(0, self._searched - len(_END)))
        if end < 0:
            self._searched = len(self.buffer)
            if self._searched > _LARGEST_MESSAGE:
                self._break_off(b"552 5.3.4 Message too big\r\n")
            return False
        content = bytes(self.buffer[: end + 2]).replace(b"\r\n..", b"\r\n.")[2:]
        del self.buffer[: end + len(_END)]
        self._receive(content)
        return True

    def _receive(self, content: bytes) -> None:
        found = _MESSAGE_ID.search(content.partition(b"\r\n\r\n")[0])
        message_id = found[1].decode("utf-8", "replace") if found else ""
        received = Received(self._sender or "", tuple(self._recipients), message_id, content)
        self._forget()
        switches = self._sink.switches
        fate = switches.breaks()
        if fate != "lose" and switches.data_reply is None:
            self._sink.keep(received)
        if fate:
            self._sink.broken += 1
            self.transport.abort()
            return
        reply = switches.data_reply or "250 2.0.0 Received"
        self.answer(reply.encode() + b"\r\n", switches.delay)

    def _forget(self) -> None:
        self._sender, self._in_data, self._searched = None, False, 0
        self._recipients = []

    def _break_off(self, reply: bytes) -> None:
        self.transport.write(reply)
        self.transport.close()

    # ── commands ────────────────────────────────────────────────────────────────────────────────────

    def _ehlo(self, line: bytes) -> bytes:
        self._forget()
        return (
            b"250-sink.example.com\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
            b"250-SIZE %d\r\n250 ENHANCEDSTATUSCODES\r\n" % _LARGEST_MESSAGE
        )

    def _helo(self, line: bytes) -> bytes:
        self._forget()
        return b"250 sink.example.com\r\n"

    def _mail(self, line: bytes) -> bytes:
        if self._sender is not None:
            return b"503 5.5.1 One MAIL at a time\r\n"
        address = _address(line)
        if address is None:
            return b"501 5.5.4 Write MAIL FROM:<address>\r\n"
        self._sender = address
        return b"250 2.1.0 Sender ok\r\n"

    def _rcpt(self, line: bytes) -> bytes:
        if self._sender is None:
            return b"503 5.5.1 MAIL first\r\n"
        address = _address(line)
        if not address:
            return b"501 5.5.4 Write RCPT TO:<address>\r\n"
        replies = self._sink.switches.replies
        refusal = replies.get(address.lower(), replies.get("*"))
        if refusal is not None:
            self._sink.refused += 1
            return refusal.encode() + b"\r\n"
        self._recipients.append(address)
        return b"250 2.1.5 Recipient ok\r\n"

    def _data(self, line: bytes) -> bytes:
        if not self._recipients:
            return b"503 5.5.1 No valid recipient\r\n"
        self._in_data = True
        return b"354 End with a dot on a line by itself\r\n"

    def _rset(self, line: bytes) -> bytes:
        self._forget()
        return b"250 2.0.0 Forgotten\r\n"

    def _noop(self, line: bytes) -> bytes:
        return b"250 2.0.0 Nothing done\r\n"

    def _quit(self, line: bytes) -> bytes:
        return b"221 2.0.0 Goodbye\r\n"


def _address(line: bytes) -> str | None:
    """What stands between the angle brackets, or None where there are none."""
    start, end = line.find(b"<"), line.find(b">")
    return line[start + 1 : end].decode("utf-8", "replace") if 0 <= start < end else None
