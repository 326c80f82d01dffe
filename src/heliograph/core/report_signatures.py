"""Signatures of those who report: Amazon's SNS, SendGrid, Mailgun, Twilio, each in its own form.

Law: whatever is told without a valid signature, or too late, is told by nobody. Where a signature leaves out what is
told (Mailgun's), or names no instant, whoever takes it in sees to it that it is used once (store/reports.py).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from heliograph import errors
from heliograph.core import schedule

OLDEST = 25 * schedule.HOUR
"""What was signed longer ago (µs) is not taken: those who report try again for a day."""
_AHEAD = 300 * schedule.SECOND
WRONG, OLD = "the signature is wrong", "it was signed too long ago, or is dated ahead"


def instant_fault(at: int, now: int) -> str | None:
    """Why what was signed at this instant (µs) is not taken, if it is not."""
    return None if now - OLDEST <= at <= now + _AHEAD else OLD


# ── Twilio ──────────────────────────────────────────────────────────────────────────────────────────


def twilio_fault(
    signature: str, url: str, parameters: Iterable[tuple[str, str]], auth_token: str
) -> str | None:
    """Why a callback of Twilio's is not taken; `url` is the one that Twilio was given."""
    signed = url + "".join(name + value for name, value in sorted({*parameters}))
    made = hmac.new(auth_token.encode(), signed.encode("utf-8", "surrogatepass"), hashlib.sha1).digest()
    return None if _same(base64.b64encode(made).decode(), signature) else WRONG


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))


# ── Mailgun ─────────────────────────────────────────────────────────────────────────────────────────


def mailgun_fault(given: object, signing_key: str, now: int) -> str | None:
    """Why a webhook of Mailgun's is not taken; `given` is its `signature`, which signs a token and an instant alone."""
    if not isinstance(given, Mapping):
        return WRONG
    at, token, signature = (given.get(name) for name in ("timestamp", "token", "signature"))
    if not isinstance(at, str | int) or not isinstance(token, str) or not isinstance(signature, str):
        return WRONG
    made = hmac.new(signing_key.encode(), f"{at}{token}".encode(), hashlib.sha256).hexdigest()
    return instant_fault(_seconds(str(at)), now) if _same(made, signature) else WRONG


def _seconds(written: str) -> int:
    """An instant (µs) in whole seconds; one long ago where it is none."""
    return (
        int(written) * schedule.SECOND if written.isascii() and written.isdigit() and len(written) < 12 else 0
    )


# ── SendGrid ────────────────────────────────────────────────────────────────────────────────────────


def sendgrid_key_fault(written: str) -> str | None:
    """What is wrong with the verification key of SendGrid's event webhook."""
    try:
        key = serialization.load_der_public_key(base64.b64decode(written, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        key = None
    return (
        None
        if isinstance(key, ec.EllipticCurvePublicKey)
        else "takes the verification key that SendGrid shows"
    )


def sendgrid_fault(signature: str, timestamp: str, body: bytes, key: str, now: int) -> str | None:
    """Why a webhook of SendGrid's is not taken; the key is one of which `sendgrid_key_fault` says nothing."""
    public = serialization.load_der_public_key(base64.b64decode(key))
    assert isinstance(public, ec.EllipticCurvePublicKey)
    try:
        drawn = base64.b64decode(signature, validate=True)
        public.verify(drawn, timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
    except (binascii.Error, ValueError, InvalidSignature):
        return WRONG
    return instant_fault(_seconds(timestamp), now)


# ── Amazon SNS ──────────────────────────────────────────────────────────────────────────────────────

_HOST = re.compile(r"sns\.[a-z0-9-]{3,32}\.amazonaws\.com(\.cn)?")
_SIGNED: Mapping[str, tuple[str, ...]] = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    **dict.fromkeys(
        ("SubscriptionConfirmation", "UnsubscribeConfirmation"),
        ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    ),
}


def is_of_sns(url: object, ending: str = "") -> bool:
    """Whether an address is one of SNS itself, over https, whose path ends so."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        is_plain = parts.port in (None, 443) and parts.username is None
    except ValueError:
        return False
    host = parts.hostname or ""
    return (
        is_plain
        and parts.scheme == "https"
        and _HOST.fullmatch(host) is not None
        and parts.path.endswith(ending)
    )


def sns_envelope_fault(envelope: Mapping[str, Any], topic: str, now: int) -> str | None:
    """Why an envelope is not taken, before its certificate is fetched: only Amazon's own hosts are asked for one."""
    if envelope.get("Type") not in tuple(_SIGNED) or envelope.get("SignatureVersion") not in ("1", "2"):
        return "this is no message of SNS with a signature of version 1 or 2"
    if envelope.get("TopicArn") != topic:
        return "it is of another topic than `reports_topic`"
    if not is_of_sns(envelope.get("SigningCertURL"), ".pem"):
        return "its certificate is none of Amazon SNS"
    try:
        at = schedule.parse_instant(str(envelope.get("Timestamp")), "Timestamp")
    except errors.InvalidInput:
        return OLD
    return instant_fault(at, now)


def sns_fault(envelope: Mapping[str, Any], certificate: bytes) -> str | None:
    """Why an envelope is not taken that was signed with this certificate (PEM)."""
    try:
        key = x509.load_pem_x509_certificate(certificate).public_key()
        signature = base64.b64decode(str(envelope.get("Signature")), validate=True)
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        return WRONG
    named = [name for name in _SIGNED[envelope["Type"]] if isinstance(envelope.get(name), str)]
    signed = "".join(f"{name}\n{envelope[name]}\n" for name in named)
    digest = hashes.SHA1() if envelope["SignatureVersion"] == "1" else hashes.SHA256()  # noqa: S303 - SNS's version 1
    if not isinstance(key, rsa.RSAPublicKey):
        return WRONG
    try:
        key.verify(signature, signed.encode("utf-8", "surrogatepass"), padding.PKCS1v15(), digest)
    except InvalidSignature:
        return WRONG
    return None
