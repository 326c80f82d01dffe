"""Access tokens: what one person's own device may ask, for a while, in Courier's shape (`/auth/issue-token`).

Law: a token is its own proof, and says whose it is, for what, until when, and which key issued it; with that key it
ends. It opens its person's preferences and devices, and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import unquote

import msgspec

from heliograph import errors

PREFIX = "hgt_"
_READ = ("GET", "OPTIONS")
_WRITE = (*_READ, "PUT", "POST", "PATCH", "DELETE")
SCOPES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "read:preferences": ("preferences", _READ),
    "write:preferences": ("preferences", _WRITE),
    "read:user-tokens": ("tokens", _READ),
    "write:user-tokens": ("tokens", _WRITE),
}
"""What a scope opens below `/users/{user_id}`, and for which methods."""
LONGEST = 366 * 86_400_000_000
"""Microseconds for which a token may hold."""
_USER = "user_id:"
_SIGNATURE = 32
_DURATION = re.compile(r"\s*(\d{1,9}(?:\.\d{1,9})?)\s*([a-z]+)\s*", re.IGNORECASE)
_SECOND = 1_000_000
_UNITS: Mapping[str, int] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), _SECOND),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60 * _SECOND),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600 * _SECOND),
    **dict.fromkeys(("d", "day", "days"), 86_400 * _SECOND),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86_400 * _SECOND),
    **dict.fromkeys(("y", "yr", "yrs", "year", "years"), 365 * 86_400 * _SECOND),
}


class Grant(msgspec.Struct, frozen=True, array_like=True):
    """What a token says."""

    key_id: str
    """The key that issued it."""
    user_id: str
    scopes: tuple[str, ...]
    expires_at: int


_grant = msgspec.json.Decoder(Grant)


# ── asking for one ──────────────────────────────────────────────────────────────────────────────────


def define(given: Mapping[str, object], key_id: str, now: int) -> tuple[Grant, list[str]]:
    """What a body asks a token for, and the scopes that open nothing here. Raises InvalidInput."""
    scope, expires_in = given.get("scope"), given.get("expires_in")
    faults = []
    words = scope.split() if isinstance(scope, str) else []
    users = [word.removeprefix(_USER) for word in words if word.startswith(_USER)]
    wanted = tuple(dict.fromkeys(word for word in words if word in SCOPES))
    if len(users) != 1 or not users[0] or not wanted:
        example = "`user_id:ana read:preferences`"
        faults.append(
            errors.Fault("scope", f"names one person and what is opened: {example}, of {_listed()}")
        )
    seconds = _duration(expires_in)
    if seconds is None:
        faults.append(errors.Fault("expires_in", "is a time of at most a year, such as `2 hours` or `1d`"))
    if faults or seconds is None:
        raise errors.InvalidInput(faults=faults)
    strange = [word for word in words if word not in SCOPES and not word.startswith(_USER)]
    return Grant(key_id, users[0], wanted, now + seconds), [f"scope.{word}" for word in strange]


def _listed() -> str:
    return ", ".join(f"`{word}`" for word in SCOPES)


def _duration(given: object) -> int | None:
    read = _DURATION.fullmatch(given) if isinstance(given, str) else None
    unit = None if read is None else _UNITS.get(read[2].lower())
    if read is None or unit is None:
        return None
    span = int(float(read[1]) * unit)
    return span if _SECOND <= span <= LONGEST else None


# ── the token ───────────────────────────────────────────────────────────────────────────────────────


def sign(grant: Grant, secret: bytes) -> str:
    """The token that says this."""
    body = msgspec.json.encode(grant)
    return PREFIX + base64.urlsafe_b64encode(_signature(body, secret) + body).rstrip(b"=").decode()


def read(text: str, secret: bytes, now: int) -> Grant | None:
    """What a token says; None where nobody with the secret signed it, or its time is over."""
    written = text.removeprefix(PREFIX)
    try:
        whole = base64.urlsafe_b64decode(written + "=" * (-len(written) % 4))
    except (binascii.Error, ValueError):
        return None
    signature, body = whole[:_SIGNATURE], whole[_SIGNATURE:]
    if not hmac.compare_digest(signature, _signature(body, secret)):
        return None
    grant = _grant.decode(body)
    return grant if now < grant.expires_at else None


def _signature(body: bytes, secret: bytes) -> bytes:
    # What links are signed with signs no tokens: one can never be taken for the other.
    own = hmac.new(secret, b"access tokens", hashlib.sha256).digest()
    return hmac.new(own, body, hashlib.sha256).digest()


def allows(grant: Grant, method: str, path: str) -> bool:
    """Whether a token opens a path, in which parts are encoded where they hold a `/` or `%`."""
    parts = path.split("/")
    if len(parts) < 4 or parts[:2] != ["", "users"] or unquote(parts[2]) != grant.user_id:
        return False
    opened = (SCOPES[scope] for scope in grant.scopes)
    return any(parts[3] == family and method in methods for family, methods in opened)
