"""E-mail by SMTP: a few connections, kept open, each carrying one message after the other.

Law: one message, one recipient, one answer. `UNCERTAIN` is said only when the end of the data was being
written and no reply came. A fault of the server or of a setting is TEMPORARY for every message and makes the
channel rest, so that a refused login or a dead server is tried once at a time and ever more rarely; a
connection that the server closed between two messages is simply opened again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TypeAlias

import msgspec
import structlog

from heliograph import channels, errors, guard
from heliograph.channels.email import opening, session, signing
from heliograph.core import mime

Server: TypeAlias = opening.Server
server = opening.server
signer = signing.signer

SHORTEST_REST, LONGEST_REST = 1_000_000, 60_000_000
"""µs that the channel rests after a first, and at most after a repeated failure to open a connection."""

_log = structlog.get_logger(__name__)

_NEEDS_LOGIN = frozenset((530, 534, 535, 538))
_NO_SUCH_ADDRESS = frozenset(("5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10"))
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s|$)")
_REFERENCE = re.compile(
    r"\bqueued as <?([!-:=?-~]{1,200})|\bid=([!-:=?-~]{1,200})"
    # Amazon SES.
    r"|^ok:? ([0-9a-f]{16}(?:-[0-9a-f]{4,12}){5}-[0-9]{6})$",
    re.IGNORECASE,
)


class SmtpChannel:
    """Sends e-mail to one SMTP server."""

    name = "email"
    provider = "smtp"

    def __init__(
        self,
        to: opening.Server,
        now: Callable[[], int],
        signer: signing.Signer | None = None,
        guarded: guard.Guard | None = None,
    ):
        """`guarded` judges what the server's name leads to; without it every address is connected to."""
        self.concurrency = to.connections
        self._server, self._now, self._signer, self._guard = to, now, signer, guarded
        self._trusted = opening.trust(to)
        self._slots = asyncio.Semaphore(to.connections)
        self._idle: list[session.Session] = []
        self._is_closed = False
        # Until one connection was opened, and after one was not, they are opened one at a time.
        self._is_proven = False
        self._opening = asyncio.Lock()
        self._trouble: channels.Answer | None = None
        self._rest, self._rests_until = 0, 0

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """Hands one message to the server; takes a connection, or waits for one."""
        if self._signer is not None and isinstance(outgoing.content, bytes):
            signed = self._signer.signed(outgoing.content, outgoing.sender, self._now())
            outgoing = msgspec.structs.replace(outgoing, content=signed)
        try:
            envelope = _envelope(outgoing)
        except errors.InvalidInput as fault:
            return _answer(channels.Outcome.PERMANENT, "malformed", fault.message)
        async with self._slots:
            return await self._sent(envelope, outgoing.expires_at)

    async def close(self) -> None:
        """Says goodbye on every idle connection; those at work close when they are done."""
        self._is_closed = True
        idle, self._idle = self._idle, []
        for unused in idle:
            unused.quit()
        farewells = [asyncio.ensure_future(unused.gone.wait()) for unused in idle]
        if farewells:
            await asyncio.wait(farewells, timeout=2)
        for unused, farewell in zip(idle, farewells, strict=True):
            unused.end("closed")
            farewell.cancel()

    # ── one message ─────────────────────────────────────────────────────────────────────────────────

    async def _sent(self, envelope: session.Envelope, expires_at: int) -> channels.Answer:
        if self._now() >= expires_at:
            return _lease_over()
        on = self._reusable() or await self._opened()
        while isinstance(on, session.Session):
            if envelope.is_utf8 and "smtputf8" not in on.extensions:
                self._put_back(on)
                return _answer(
                    channels.Outcome.PERMANENT,
                    "malformed",
                    f"{self._server.host} takes no address with letters beyond ASCII before the @ (SMTPUTF8)",
                )
            verdict = await on.transact(envelope, lambda: self._now() < expires_at)
            self._put_back(on)
            if not _was_gone(on, verdict):
                return self._judged(on, verdict)
            on = await self._opened()
        return on

    def _judged(self, on: session.Session, verdict: session.Verdict) -> channels.Answer:
        if verdict.stage is session.Stage.LEASE:
            return _lease_over()
        if verdict.stage is session.Stage.SLOW:
            return _answer(channels.Outcome.TEMPORARY, "too_slow", channels.OUR_CODES["too_slow"])
        if verdict.reply is None:
            where = f"at {verdict.stage.value}: {on.fault}"
            if verdict.stage is session.Stage.END:
                return _answer(channels.Outcome.UNCERTAIN, "lost", where)
            return _answer(channels.Outcome.TEMPORARY, "unreachable", where)._replace(blames_provider=True)
        if verdict.reply.code in _NEEDS_LOGIN:
            on.end("login needed")
            said = f"{verdict.reply.code} {verdict.reply.text}"
            return self._troubled(
                "misconfigured", f"{self._server.host} wants a login ({said}): check {self._server.setting}"
            )
        return _of_reply(verdict.stage, verdict.reply)

    # ── the connections ─────────────────────────────────────────────────────────────────────────────

    def _reusable(self) -> session.Session | None:
        """An idle connection that still stands; the last used is the likeliest."""
        while self._idle:
            unused = self._idle.pop()
            if unused.is_usable:
                return unused
            unused.end("left by the server")
        return None

    def _put_back(self, used: session.Session) -> None:
        if used.fault is not None:
            return
        if self._is_closed or used.carried >= self._server.messages:
            used.quit()
        else:
            self._idle.append(used)

    async def _opened(self) -> session.Session | channels.Answer:
        if not self._is_proven:
            async with self._opening:
                if not self._is_proven:
                    return self._resting() or await self._tried()
        return await self._tried()

    async def _tried(self) -> session.Session | channels.Answer:
        fresh = await opening.opened(self._server, self._trusted, self._guard)
        if isinstance(fresh, opening.Failed):
            return self._troubled(fresh.code, fresh.text)
        self._is_proven, self._rest = True, 0
        return fresh

    def _resting(self) -> channels.Answer | None:
        left = self._rests_until - self._now()
        if self._trouble is None or not 0 < left <= LONGEST_REST:
            return None
        return self._trouble._replace(retry_after=left / 1_000_000)

    def _troubled(self, code: str, text: str) -> channels.Answer:
        """Begins a rest, twice as long as the last; many failures at one time are one."""
        self._is_proven = False
        if self._resting() is None:
            _log.warning("mail_server_rests", server=f"{self._server.host}:{self._server.port}", error=text)
            self._rest = min(max(2 * self._rest, SHORTEST_REST), LONGEST_REST)
            self._rests_until = self._now() + self._rest
        self._trouble = _answer(channels.Outcome.TEMPORARY, code, text)._replace(blames_provider=True)
        return self._resting() or self._trouble


def _envelope(outgoing: channels.Outgoing) -> session.Envelope:
    if not isinstance(outgoing.content, bytes):
        raise errors.InvalidInput.at("content", "is no e-mail")
    sender = _sender(outgoing.sender)
    recipient = mime.routed(outgoing.address, "address")
    is_utf8 = not (sender.isascii() and recipient.isascii())
    return session.Envelope(sender.encode(), recipient.encode(), outgoing.content, is_utf8)


@lru_cache(maxsize=1024)
def _sender(written: str) -> str:
    """Whom messages are from, as it travels: one sends thousands."""
    return mime.routed(written, "sender") if written else ""


def _was_gone(on: session.Session, verdict: session.Verdict) -> bool:
    """Whether the server had left between two messages, so that this one was never looked at."""
    if on.carried < 2 or verdict.stage not in (session.Stage.RSET, session.Stage.MAIL):
        return False
    return on.is_lost if verdict.reply is None else verdict.reply.code == 421


def _of_reply(stage: session.Stage, reply: session.Reply) -> channels.Answer:
    kind, text = reply.code // 100, reply.text
    said = f"{reply.code} {text}"
    if stage is session.Stage.END and kind == 2:
        return _answer(channels.Outcome.ACCEPTED, str(reply.code), said, _reference(text))
    enhanced = _ENHANCED.match(text)
    code = f"{reply.code} {enhanced[1]}" if enhanced else str(reply.code)
    if kind == 5 and stage is not session.Stage.RSET:
        refused = _answer(channels.Outcome.PERMANENT, code, f"{stage.value}: {said}")
        return refused._replace(
            blames_provider=not _is_recipients(stage, reply.code, enhanced and enhanced[1])
        )
    if stage is session.Stage.END and kind != 4:
        return _answer(channels.Outcome.UNCERTAIN, code, f"{stage.value}: {said}")
    return _answer(channels.Outcome.TEMPORARY, code, f"{stage.value}: {said}")


def _is_recipients(stage: session.Stage, code: int, enhanced: str | None) -> bool:
    """Whether a refusal is of the recipient, who would be refused everywhere (RFC 3463), and not of us or our words."""
    if enhanced is not None:
        return enhanced.startswith("5.2.") or enhanced in _NO_SUCH_ADDRESS
    return stage is session.Stage.RCPT and code in (550, 551, 553)


def _lease_over() -> channels.Answer:
    return _answer(channels.Outcome.TEMPORARY, "lease_over", channels.OUR_CODES["lease_over"])


def _reference(text: str) -> str | None:
    """What a server that took a message calls it, where its words say so."""
    words = text.lower()
    # Most servers say nothing of the kind, and the search asks three questions at each character.
    if "queued as" not in words and "id=" not in words and not words.startswith("ok"):
        return None
    found = _REFERENCE.search(text)
    return found[found.lastindex or 0] if found else None


def _answer(outcome: channels.Outcome, code: str, text: str, reference: str | None = None) -> channels.Answer:
    """An answer in one line of text that any log and database can take, whatever the server wrote."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))
    return channels.Answer(outcome, "smtp", reference, code, text[: channels.LONGEST_TEXT])
