"""Device tokens: the devices that somebody's push messages go to, in Courier's shape (courier-wire.md 2.1).

Law: the newest token that is usable is the `push_token` of the profile, which is all that sending looks at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import msgspec

from heliograph import errors
from heliograph.core import documents, patches, people, schedule

PROVIDERS = ("firebase-fcm", "apn", "expo", "onesignal")
STATUSES = ("active", "unknown", "failed", "revoked")
_USABLE = ("active", "unknown")
MOST = 100
"""The most devices of one person."""
LONGEST, _LONGEST_TEXT = 4_096, 255
DEFAULT_LIFE = 60 * schedule.DAY
"""Microseconds after which a token that was not registered again expires, unless it says otherwise."""
_KNOWN = ("token", "provider_key", "device", "expiry_date", "properties", "tracking")
_CHANGED = (*_KNOWN[1:], "status", "status_reason")


class Token(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A token as it is kept."""

    provider_key: str
    device: dict[str, Any] | None = None
    expiry_date: str | Literal[False] | None = None
    """None: when it was not registered again for DEFAULT_LIFE; False: never."""
    properties: Any = None
    tracking: dict[str, Any] | None = None
    status: str = "active"
    status_reason: str | None = None


def define(given: Mapping[str, Any], path: str = "") -> Token:
    """The token that a body is. Raises InvalidInput with every fault."""
    faults: list[errors.Fault] = []

    def place(name: str) -> str:
        return documents.below(path, name)

    chosen = {"provider_key": PROVIDERS, "status": STATUSES}
    said = {"status": "active", **given}
    faults += [
        errors.Fault(place(name), errors.unknown(name, said.get(name), words))
        for name, words in chosen.items()
        if said.get(name) not in words
    ]
    for name in ("device", "tracking"):
        if not isinstance(given.get(name), dict | None):
            faults.append(errors.Fault(place(name), "is an object"))
    reason = given.get("status_reason")
    if reason is not None and (not isinstance(reason, str) or len(reason) > _LONGEST_TEXT):
        faults.append(
            errors.Fault(place("status_reason"), f"is a text of at most {_LONGEST_TEXT} characters")
        )
    expiry = given.get("expiry_date")
    if expiry is not None and expiry is not False:
        faults += _expiry_faults(expiry, place("expiry_date"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    return Token(**{name: given[name] for name in _CHANGED if given.get(name) is not None})


def _expiry_faults(given: object, path: str) -> list[errors.Fault]:
    try:
        _expiry(str(given) if isinstance(given, str) else "", path)
    except errors.InvalidInput:
        return [errors.Fault(path, "is an ISO 8601 date or moment, or false for never")]
    return []


def _expiry(written: str, path: str = "expiry_date") -> int:
    return schedule.parse_instant(f"{written}T00:00:00Z" if len(written) == 10 else written, path)


def expires_at(token: Token, registered_at: int) -> int | None:
    """When a token expires (µs); None: never."""
    if token.expiry_date is False:
        return None
    return registered_at + DEFAULT_LIFE if token.expiry_date is None else _expiry(token.expiry_date)


def patched(token: Token, operations: list[dict[str, Any]]) -> Token:
    """A token as a JSON Patch changes it. Raises InvalidInput."""
    made = patches.apply(msgspec.structs.asdict(token), operations)
    if not isinstance(made, dict):
        raise errors.InvalidInput.at("patch", "leaves no token: it is an object")
    return define(made)


def ignored(given: Mapping[str, Any]) -> list[str]:
    """The fields of a body that nobody knows."""
    return sorted(given.keys() - {*_KNOWN, "status", "status_reason"})


def token_fault(given: object) -> str | None:
    """Why this is no token, or None."""
    if isinstance(given, str) and 1 <= len(given) <= LONGEST and given.isprintable():
        return None
    return f"is a text of 1 to {LONGEST} characters"


def reached(
    profile: Mapping[str, Any], tokens: Iterable[tuple[str, Token]], before: Iterable[str]
) -> dict[str, Any]:
    """The profile of somebody with these tokens, newest first; `before` are those that they had till now."""
    usable = next((text for text, one in tokens if one.status in _USABLE), None)
    if usable is not None:
        return {**profile, people.PUSH_TOKEN: usable}
    return {name: v for name, v in profile.items() if name != people.PUSH_TOKEN or v not in {*before}}
