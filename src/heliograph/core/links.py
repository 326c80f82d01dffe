"""Links that carry their own proof: who may say what for whom, signed, so that nothing has to be stored for it.

Law: what was signed is read back exactly, or not at all; a link says nothing that its reader could change.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

import msgspec

_SIGNATURE = 16


class Preference(msgspec.Struct, frozen=True, array_like=True):
    """A link by which somebody says what they want to hear of."""

    workspace_id: int
    tenant_id: str | None
    user_id: str
    channel: str
    topic: str
    """`*` for whatever comes by that channel."""
    address: str


_preference = msgspec.json.Decoder(Preference)


def sign(said: Preference, secret: bytes) -> str:
    """The part of a URL that says this."""
    body = msgspec.json.encode(said)
    signature = hmac.new(secret, body, hashlib.sha256).digest()[:_SIGNATURE]
    return base64.urlsafe_b64encode(signature + body).rstrip(b"=").decode()


def read(written: str, secret: bytes) -> Preference | None:
    """What a part of a URL says; None where nobody with the secret signed it."""
    try:
        whole = base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))
    except (binascii.Error, ValueError):
        return None
    signature, body = whole[:_SIGNATURE], whole[_SIGNATURE:]
    if not hmac.compare_digest(signature, hmac.new(secret, body, hashlib.sha256).digest()[:_SIGNATURE]):
        return None
    return _preference.decode(body)


class Visit(msgspec.Struct, frozen=True, array_like=True):
    """A link by which it is known that somebody opened an e-mail, or followed a link in it."""

    workspace_id: int
    message_id: str
    link: str | None
    """Where it leads; None: it is the picture that tells of the opening."""


_visit = msgspec.json.Decoder(Visit)


def sign_visit(said: Visit, secret: bytes) -> str:
    """The part of a URL that says this; no link to unsubscribe is signed like it."""
    body = msgspec.json.encode(said)
    return base64.urlsafe_b64encode(_of_visit(body, secret) + body).rstrip(b"=").decode()


def read_visit(written: str, secret: bytes) -> Visit | None:
    """What a part of a URL says; None where nobody with the secret signed it."""
    try:
        whole = base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))
    except (binascii.Error, ValueError):
        return None
    signature, body = whole[:_SIGNATURE], whole[_SIGNATURE:]
    return _visit.decode(body) if hmac.compare_digest(signature, _of_visit(body, secret)) else None


def _of_visit(body: bytes, secret: bytes) -> bytes:
    return hmac.new(secret, b"visit\x1f" + body, hashlib.sha256).digest()[:_SIGNATURE]
