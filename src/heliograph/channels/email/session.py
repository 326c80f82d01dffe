"""One SMTP connection that is ready for mail: an envelope and its content in two round trips.

Law: a session knows commands and replies, nothing of pools, settings or the ledger. With PIPELINING
(RFC 2920) MAIL, RCPT and DATA leave in one write. The end of the data is the hand-over: until the write that
holds it, a fault means that the server has nothing; from then on only a reply tells. What goes wrong with the
connection is a `fault` in words, never an exception.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple

import msgspec

LONGEST_REPLY = 65_536
"""Octets of a reply after which the server is taken for no SMTP server."""
CHUNK = 65_536
"""Octets written at once; all but the last chunk of a message have left before the last is written."""

_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class Envelope(msgspec.Struct, frozen=True):
    """What a transaction carries."""

    sender: bytes  # empty for a bounce
    recipient: bytes
    content: bytes  # as it is read, before dot-stuffing
    is_utf8: bool  # an address goes beyond ASCII


class Waits(NamedTuple):
    """How long, in seconds."""

    reply: float = 30  # for the reply to a command
    verdict: float = 120  # for the reply to a whole message, which servers look into first
    idle: float = 30  # unused, before the connection is closed


class Reply(msgspec.Struct, frozen=True):
    """What the server said to one command."""

    code: int
    octets: bytes

    @property
    def text(self) -> str:
        """The server's words."""
        return self.octets.decode("utf-8", "replace").strip()


class Stage(Enum):
    """How far a transaction came."""

    RSET = "RSET"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    LEASE = "lease"
    """Everything stood ready, but the time to begin was over."""
    SLOW = "slow"
    """The content was read so slowly that the time was over; its end was not written."""
    CONTENT = "content"
    """The content was being written; its end was not."""
    END = "end of data"
    """The hand-over was begun."""


class Verdict(msgspec.Struct, frozen=True):
    """How a transaction ended: at which stage, with what reply; without one the session's fault says why."""

    stage: Stage
    reply: Reply | None


class Session(asyncio.Protocol):
    """A connection after greeting, TLS and login; one transaction at a time."""

    def __init__(self, transport: asyncio.Transport, extensions: Mapping[str, str], waits: Waits):
        self.fault: str | None = None  # why the session is over
        self.is_lost = False  # the connection was closed by the other side
        self.carried = 0  # transactions begun
        self.gone = asyncio.Event()  # the connection is closed on our side too
        self.extensions = extensions
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._is_pipelining = "pipelining" in extensions
        self._has_leftover = False  # a transaction was left half-way: RSET first
        self._is_writable = True
        self._replies: list[Reply] = []
        self._waiter: asyncio.Future[None] | None = None
        self._buffer = b""
        self._lines: list[bytes] = []
        self._waits, self._tick = waits, min(1.0, *waits)
        self._is_idle, self._ends_at = True, self._loop.time() + waits.idle
        transport.set_protocol(self)
        self._watch()

    @property
    def is_usable(self) -> bool:
        """Whether the next message may go this way: a server that spoke between two has said goodbye."""
        return self.fault is None and not self._replies and not self._transport.is_closing()

    async def transact(self, envelope: Envelope, may_begin: Callable[[], bool]) -> Verdict:
        """Carries one message; `may_begin` is asked before its content is written, and before the end of a long one."""
        self.carried += 1
        self._is_idle = False
        try:
            return await self._transacted(envelope, may_begin)
        except BaseException:
            self.end("given up")
            raise
        finally:
            self._is_idle, self._ends_at = True, self._loop.time() + self._waits.idle

    def end(self, fault: str) -> None:
        """Drops the connection at once: what was begun is not ended."""
        if self.fault is None:
            self.fault = fault
        self._transport.abort()
        self._wake()

    def quit(self) -> None:
        """Says goodbye and closes, without waiting for an answer."""
        if self.fault is None:
            self.fault = "closed"
            self._transport.write(b"QUIT\r\n")
        self._transport.close()

    # ── the conversation ────────────────────────────────────────────────────────────────────────────

    async def _transacted(self, envelope: Envelope, may_begin: Callable[[], bool]) -> Verdict:
        commands = self._commands(envelope)
        self._has_leftover = True
        replies = await self._asked([command for _, command in commands])
        for (stage, _), reply in zip(commands, replies, strict=False):
            if reply.code // 100 != (3 if stage is Stage.DATA else 2):
                self._leave(stage, replies[-1])
                return Verdict(stage, reply)
        if len(replies) < len(commands):
            return Verdict(commands[len(replies)][0], None)
        if not may_begin():
            self.end("the time to begin was over")
            return Verdict(Stage.LEASE, None)
        return await self._handed_over(_stuffed(envelope.content), may_begin)

    def _commands(self, envelope: Envelope) -> list[tuple[Stage, bytes]]:
        options = b" SIZE=%d" % len(envelope.content) if "size" in self.extensions else b""
        if envelope.is_utf8:
            options += b" BODY=8BITMIME SMTPUTF8"
        commands = [
            (Stage.MAIL, b"MAIL FROM:<%b>%b\r\n" % (envelope.sender, options)),
            (Stage.RCPT, b"RCPT TO:<%b>\r\n" % envelope.recipient),
            (Stage.DATA, b"DATA\r\n"),
        ]
        return [(Stage.RSET, b"RSET\r\n"), *commands] if self._has_leftover else commands

    async def _asked(self, commands: list[bytes]) -> list[Reply]:
        """A reply to each command, in order; fewer when one was refused, or the session is over."""
        if self._is_pipelining:
            return await self._told(b"".join(commands), len(commands), self._waits.reply)
        replies: list[Reply] = []
        for command in commands:
            replies += await self._told(command, 1, self._waits.reply)
            if self.fault is not None or replies[-1].code // 100 > 3:
                break
        return replies

    async def _told(self, words: bytes, count: int, patience: float) -> list[Reply]:
        if self.fault is None:
            self._transport.write(words)
            self._ends_at = self._loop.time() + patience
            while len(self._replies) < count and self.fault is None:
                await self._woken()
        replies, self._replies = self._replies[:count], self._replies[count:]
        return replies

    async def _handed_over(self, content: bytes, may_begin: Callable[[], bool]) -> Verdict:
        start = 0
        while len(content) - start > CHUNK and not self._is_interrupted:
            self._transport.write(content[start : start + CHUNK])
            await self._until(lambda: self._is_writable or bool(self._replies), self._waits.reply)
            start += CHUNK
        if self._is_interrupted:
            return self._broken_off()
        if start and not may_begin():
            # The answer to its end might come when the claim has run out and somebody else has begun.
            self.end("the server read too slowly")
            return Verdict(Stage.SLOW, None)
        replies = await self._told(content[start:], 1, self._waits.verdict)
        if not replies:
            return Verdict(Stage.END, None)
        self._has_leftover = False
        self._leave(Stage.END, replies[0])
        return Verdict(Stage.END, replies[0])

    @property
    def _is_interrupted(self) -> bool:
        return self.fault is not None or bool(self._replies) or self._transport.is_closing()

    def _broken_off(self) -> Verdict:
        """The server spoke or left before the end of the data: whatever it said, it has nothing."""
        reply = self._replies[0] if self._replies else None
        self.end("the server broke off the message")
        return Verdict(Stage.CONTENT, reply)

    def _leave(self, stage: Stage, last: Reply) -> None:
        """A server that is closing, wants data after a refusal or does not start anew is left."""
        if last.code == 421 or last.code // 100 == 3 or stage is Stage.RSET:
            self.end(f"{last.code} {last.text}")

    async def _until(self, is_done: Callable[[], bool], patience: float) -> None:
        """Returns when it is done, or the session is over; the session is over when patience is."""
        self._ends_at = self._loop.time() + patience
        while not is_done() and self.fault is None:
            await self._woken()

    def _woken(self) -> asyncio.Future[None]:
        """Ends when the transport has told something."""
        self._waiter = self._loop.create_future()
        return self._waiter

    def _watch(self) -> None:
        """Looks at the deadline now and then: a timer for each reply would cost more than the reply."""
        if self.fault is not None:
            return
        if self._loop.time() < self._ends_at:
            self._loop.call_later(self._tick, self._watch)
        elif self._is_idle:
            self.quit()
        else:
            self.end("the server was silent for too long")

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # ── what the transport tells ────────────────────────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        """Replies, a line at a time: `250-text` goes on, `250 text` ends one."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            mark = line[3:4]
            if not line[:3].isdigit() or mark not in (b" ", b"-", b"\r", b""):
                return self.end(f"the server speaks no SMTP: {Reply(0, line[:80]).text}")
            self._lines.append(line[4:])
            if mark != b"-":
                self._replies.append(Reply(int(line[:3]), b" ".join(self._lines)))
                self._lines = []
        unread = len(self._buffer) + 4 * len(self._replies)
        if unread + (sum(map(len, self._lines)) if self._lines else 0) > LONGEST_REPLY:
            return self.end("the server's reply does not end")
        self._wake()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever waits is told; who comes later finds the fault."""
        if self.fault is None:
            self.is_lost = True
            self.fault = f"the connection was lost ({exc})" if exc else "the server closed the connection"
        self.gone.set()
        self._wake()

    def pause_writing(self) -> None:
        """The transport has more than enough to write."""
        self._is_writable = False

    def resume_writing(self) -> None:
        """The transport has written."""
        self._is_writable = True
        self._wake()


def _stuffed(content: bytes) -> bytes:
    """The content as DATA carries it: CRLF ends, leading dots doubled, and the one dot that ends it.

    A bare CR or LF is made CRLF first: servers that differ about them could be led to see two messages.
    """
    if not content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r"):
        content = _BARE_LINE_END.sub(b"\r\n", content)
    if content.startswith(b"."):
        content = b"." + content
    end = b".\r\n" if content.endswith(b"\r\n") else b"\r\n.\r\n"
    return content.replace(b"\r\n.", b"\r\n..") + end
