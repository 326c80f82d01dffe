"""Bounces that come as e-mails: status notifications (RFC 3464), complaints (RFC 5965), and what only looks so.

Law: a bounce leads back to its message by the Message-ID of what it returns, by what it answers, or by the address to
which it was sent. What is no bounce tells nothing.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message

from flufl import bounce as heuristics

from heliograph.core import ids, mime, provider_reports
from heliograph.core.provider_reports import Found, Told, is_hard
from heliograph.core.reports import HARD, SOFT, What

_RETURNED = frozenset({"message/rfc822", "message/rfc822-headers", "text/rfc822-headers", "message/global"})
_TO = ("To", "Delivered-To", "X-Original-To", "Envelope-To")
_VERP = re.compile(r"\+([0-9a-f]{32})@", re.IGNORECASE)
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")


def read(raw: bytes, now: int) -> list[Found]:
    """What an e-mail tells of messages of ours; nothing where it is no bounce, or none of a message of ours."""
    try:
        mail = email.message_from_bytes(raw, policy=email.policy.compat32)
        told = [*_told(mail, _date(mail, now))]
        return list(provider_reports.found_in(_message_of(mail), "e-mail", told)) if told else []
    except RecursionError:
        # Mails within mails within mails: who sends such a thing means no bounce.
        return []


def _told(mail: Message, at: int) -> Iterator[Told]:
    if any(part.get_content_type() == "message/feedback-report" for part in mail.walk()):
        if any("abuse" in one.lower() for one in _feedback(mail)):
            yield Told(What.COMPLAINED, at)
        return
    blocks = [*_recipients(mail)]
    if blocks:
        for block in blocks:
            yield from _of_recipient(block, at)
        return
    try:
        temporary, permanent = heuristics.all_failures(mail)
    except Exception:  # noqa: BLE001 - guesses at what anybody may write: what they stumble over is no bounce they know
        return
    if permanent or temporary:
        subject = str(mail.get("Subject", ""))
        yield Told(What.BOUNCED, at, subject, HARD if permanent else SOFT)


def _of_recipient(block: Mapping[str, str], at: int) -> Iterator[Told]:
    """What a notification says of one recipient; a delay is none of our business."""
    action = block.get("action", "").lower().strip()
    if action.startswith("delivered"):
        yield Told(What.DELIVERED, at)
    elif action.startswith(("fail", "error")):
        words = block.get("diagnostic-code", "") or block.get("status", "")
        found = _STATUS.search(block.get("status", "")) or _STATUS.search(words)
        status = "" if found is None else found[0]
        yield Told(What.BOUNCED, at, words, HARD if is_hard(status) else SOFT)


def _recipients(mail: Message) -> Iterator[dict[str, str]]:
    """The blocks about recipients in a delivery status notification; the first one is about the whole."""
    for part in mail.walk():
        if part.get_content_type() == "message/delivery-status" and part.is_multipart():
            for block in part.get_payload():
                if isinstance(block, Message) and "action" in block:
                    yield {name.lower(): " ".join(str(value).split()) for name, value in block.items()}


def _feedback(mail: Message) -> Iterator[str]:
    for part in mail.walk():
        if part.get_content_type() == "message/feedback-report":
            content = part.get_payload()
            parts = content if isinstance(content, list) else [email.message_from_string(str(content))]
            for one in parts:
                yield str(one.get("Feedback-Type", "")) if isinstance(one, Message) else ""


# ── of which message ────────────────────────────────────────────────────────────────────────────────


def _message_of(mail: Message) -> bytes | None:
    for written in _named(mail):
        found = provider_reports.message_of(written)
        if found is not None:
            return found
    for name in _TO:
        for address in mail.get_all(name, ()):
            match = _VERP.search(str(address))
            if match is not None:
                return ids.parse_digits(match[1])
    return None


def _named(mail: Message) -> Iterable[str]:
    """Every Message-ID that may be the one: of what is returned first."""
    for part in mail.walk():
        if part.get_content_type() not in _RETURNED:
            continue
        content = part.get_payload()
        inner = content[0] if isinstance(content, list) and content else None
        if not isinstance(inner, Message):
            text = part.get_payload(decode=True)
            inner = email.message_from_bytes(text if isinstance(text, bytes) else b"")
        yield str(inner.get("Message-ID", ""))
    for name in ("X-Failed-Message-ID", "In-Reply-To", "References", "Original-Message-ID"):
        yield from (str(value) for value in mail.get_all(name, ()))


def _date(mail: Message, now: int) -> int:
    """When it was written (µs), if it says so."""
    at = mime.instant_of(str(mail.get("Date", "")))
    return now if at is None else at
