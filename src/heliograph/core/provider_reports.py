"""What providers report in their own words, read as reports: Amazon SES, SendGrid, Mailgun, Twilio.

Law: a message is known by its own id, which stands in its Message-ID, or in the address of a callback; else by what its
provider called it when it took it. What says nothing that we keep (queued, deferred, unsubscribed at the provider) is
passed over, as is what a machine opened. A temporary failure after which the provider tries again is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import ids, reports, schedule
from heliograph.core.reports import HARD, SOFT, Report, What

_decode = msgspec.json.Decoder().decode
_ID = re.compile(r"<?\s*([0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})@")
Found = tuple[bytes | tuple[str, ...], Report]
"""(message_id, or by what its provider may have called it; what is told of it)"""


class Told(NamedTuple):
    """One thing that is told, before it is known of which message."""

    what: What
    at: int
    words: str = ""
    bounce: str | None = None
    link: str | None = None


LONGEST_REFERENCE = 255


def message_of(message_id: object) -> bytes | None:
    """The message of ours that has this Message-ID; None where it is none of ours."""
    found = _ID.search(message_id) if isinstance(message_id, str) else None
    return None if found is None else ids.parse(found[1])


def found_in(
    message_id: bytes | None, provider: str, told: Iterable[Told], references: Sequence[object] = ()
) -> Iterator[Found]:
    """What is told of a message, as reports; nothing where it is none of ours.

    `references` is what its provider may have called it, which counts where its own id is not told.
    """
    named = tuple(one for one in references if isinstance(one, str) and 0 < len(one) <= LONGEST_REFERENCE)
    known = message_id or named
    if not known:
        return
    for one in told:
        link = None if one.link is None else _clean(one.link)[: reports.LONGEST_LINK]
        words = " ".join(_clean(one.words).split())[: reports.LONGEST_WORDS]
        yield known, Report(one.what, one.at, one.bounce, words, link, provider)


def _clean(text: str) -> str:
    """Text that every database takes."""
    return text.encode("utf-8", "replace").decode().replace("\0", "�")


def _mapping(given: object) -> Mapping[str, Any]:
    return given if isinstance(given, Mapping) else {}


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""


def _instant(given: object, otherwise: int) -> int:
    """An instant (µs) from seconds since 1970 or ISO 8601."""
    if isinstance(given, int | float) and not isinstance(given, bool) and 0 < given < 1e11:
        return int(given * 1_000_000)
    try:
        return schedule.parse_instant(_text(given), "timestamp")
    except errors.InvalidInput:
        return otherwise


# ── Amazon SES ──────────────────────────────────────────────────────────────────────────────────────


def of_ses(message: object, now: int) -> list[Found]:
    """The reports in the `Message` of an SNS notification, of either of SES's kinds."""
    try:
        given = _mapping(_decode(_text(message)))
    except msgspec.DecodeError:
        return []
    mail = _mapping(given.get("mail"))
    known = message_of(_mapping(mail.get("commonHeaders")).get("messageId"))
    if known is None:
        headers = [_mapping(one) for one in mail.get("headers") or () if isinstance(one, Mapping)]
        named = (one.get("value") for one in headers if _text(one.get("name")).lower() == "message-id")
        known = message_of(next(named, None))
    kind = _text(given.get("eventType") or given.get("notificationType")).lower()
    told = _told_by_ses(kind, _mapping(given.get(kind)), now)
    return list(found_in(known, "ses", [] if told is None else [told], [mail.get("messageId")]))


def _told_by_ses(kind: str, detail: Mapping[str, Any], now: int) -> Told | None:
    at = _instant(detail.get("timestamp"), now)
    if kind == "bounce":
        bounced = [_mapping(one) for one in detail.get("bouncedRecipients") or ()]
        words = next((_text(one.get("diagnosticCode")) for one in bounced), "")
        hard = _text(detail.get("bounceType")).lower() == "permanent"
        return Told(What.BOUNCED, at, words or _text(detail.get("bounceSubType")), HARD if hard else SOFT)
    if kind == "reject":
        return Told(What.BOUNCED, at, f"rejected: {_text(detail.get('reason'))}", SOFT)
    what = {
        "delivery": What.DELIVERED,
        "open": What.OPENED,
        "click": What.CLICKED,
        "complaint": What.COMPLAINED,
    }.get(kind)
    if what is None:
        return None
    words = _text(detail.get("smtpResponse") or detail.get("complaintFeedbackType"))
    return Told(what, at, words, link=_text(detail.get("link")) or None)


# ── SendGrid ────────────────────────────────────────────────────────────────────────────────────────

_OF_SENDGRID: Mapping[str, What] = {
    "delivered": What.DELIVERED,
    "open": What.OPENED,
    "click": What.CLICKED,
    "bounce": What.BOUNCED,
    "dropped": What.BOUNCED,
    "spamreport": What.COMPLAINED,
}


def of_sendgrid(given: Sequence[Any], now: int) -> list[Found]:
    """The reports in one call of SendGrid's event webhook."""
    found: list[Found] = []
    for one in map(_mapping, given):
        what = _OF_SENDGRID.get(_text(one.get("event")))
        if what is None or one.get("sg_machine_open") is True:
            continue
        bounce = None
        if what is What.BOUNCED:
            # A blocked message may go through another day; a dropped one was never tried.
            hard = one.get("event") == "bounce" and one.get("type", "bounce") == "bounce"
            bounce = HARD if hard and is_hard(_text(one.get("status"))) else SOFT
        words = _text(one.get("reason") or one.get("response"))
        told = Told(what, _instant(one.get("timestamp"), now), words, bounce, _text(one.get("url")) or None)
        named = _text(one.get("sg_message_id"))
        # What it answered with comes first in it, and where it went on within SendGrid last.
        references = [named, *(named.partition(mark)[0] for mark in (".filter", ".recv", "."))]
        known = message_of(one.get("smtp-id"))
        found += found_in(known, "sendgrid", [told], list(dict.fromkeys(references)))
    return found


# ── Mailgun ─────────────────────────────────────────────────────────────────────────────────────────

_OF_MAILGUN: Mapping[str, What] = {
    "delivered": What.DELIVERED,
    "opened": What.OPENED,
    "clicked": What.CLICKED,
    "failed": What.BOUNCED,
    "complained": What.COMPLAINED,
}


def of_mailgun(given: Mapping[str, Any], now: int) -> list[Found]:
    """The report in one call of a Mailgun webhook."""
    one = _mapping(given.get("event-data"))
    what = _OF_MAILGUN.get(_text(one.get("event")))
    is_tried_again = what is What.BOUNCED and one.get("severity") != "permanent"
    if what is None or is_tried_again or _mapping(one.get("client-info")).get("bot"):
        return []
    status = _mapping(one.get("delivery-status"))
    bounce = None
    words = _text(status.get("message")) or _text(status.get("description"))
    if what is What.BOUNCED:
        # `suppress-…`: Mailgun itself did not try. Else it gave up, or was refused for good.
        hard = one.get("reason", "bounce") == "bounce" and is_hard(_text(status.get("enhanced-code")))
        bounce = HARD if hard else SOFT
    headers = _mapping(_mapping(one.get("message")).get("headers"))
    told = Told(what, _instant(one.get("timestamp"), now), words, bounce, _text(one.get("url")) or None)
    written = _text(headers.get("message-id")).strip("<> ")
    return list(found_in(message_of(written), "mailgun", [told], [written]))


# ── Twilio ──────────────────────────────────────────────────────────────────────────────────────────

_GONE = frozenset({"30005", "30006", "30011", "21211", "21614"})
"""Codes of numbers that take no text messages: unknown, a landline, unsupported."""
_STOPPED = "21610"
"""The recipient has answered STOP."""


def of_twilio(message_id: bytes | None, given: Mapping[str, str], now: int) -> list[Found]:
    """The report in a status callback of Twilio's, which does not say when."""
    status, code = given.get("MessageStatus", given.get("SmsStatus", "")), given.get("ErrorCode", "")
    words = f"{code} {given.get('ErrorMessage', '')}".strip()
    told = []
    if status == "delivered":
        told = [Told(What.DELIVERED, now)]
    elif status == "read":
        told = [Told(What.OPENED, now)]
    elif status in ("undelivered", "failed"):
        told = [Told(What.BOUNCED, now, words, HARD if code in _GONE else SOFT)]
        if code == _STOPPED:
            told.append(Told(What.COMPLAINED, now, words))
    named = given.get("MessageSid", given.get("SmsSid"))
    return list(found_in(message_id, "twilio", told, [named]))


# ── what a status means ─────────────────────────────────────────────────────────────────────────────

_HARD = re.compile(r"5\.(?:0\.\d+|1\.(?![78]$)\d+|2\.1|4\.4)")


def is_hard(status: str) -> bool:
    """Whether an enhanced status (RFC 3463) says that the address takes no mail; without one it is believed.

    A full mailbox, a refused content, a policy or a broken route say nothing of the address.
    """
    return status == "" or _HARD.fullmatch(status.strip()) is not None


_NO_MAILBOX = re.compile(r"5\d\d 5\.(?:1\.(?:1|2|3|4|6|10)|2\.1)")
_THIS_TIME = re.compile(r"[45]\d\d [45]\.2\.\d+|5\d\d 5\.1\.0|55[013]")


def refusal(channel: str, code: str | None) -> str | None:
    """What a refusal at the hand-over says of the address: HARD, SOFT, or None where that is nothing.

    It is judged by the enhanced status: a number alone may be anything. What is refused for who we are or what we say
    (5.7, 5.6) tells nothing of the address, however often it comes.
    """
    said = code or ""
    if channel == "email":
        return HARD if _NO_MAILBOX.fullmatch(said) else SOFT if _THIS_TIME.fullmatch(said) else None
    return HARD if channel == "sms" and said.partition(" ")[2] in _GONE else None
