"""Hooks: the requests that webhook recipients get, in Courier's words (`webhook` of a recipient or a profile).

Law: pure. What proves who asks is a secret: it is divided from the rest where it is read, locked before it is stored,
and stands in no answer. Where nothing can be locked (a stored profile, a step of a journey) it is refused.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from heliograph import errors
from heliograph.core import destinations, documents

METHODS, PROFILES, MODES = ("POST", "PUT"), ("limited", "expanded"), ("none", "basic", "bearer")
KEYS = ("url", "method", "headers", "authentication", "profile")
MOST_HEADERS, LONGEST = 50, 4_096
HIDDEN = "••••"
Lock = Callable[[str, str], str]
"""(secret, URL) to the secret locked for that URL."""
_OURS = frozenset(("content-type", "idempotency-key", "webhook-id", "webhook-timestamp", "webhook-signature"))
_PROOFS = frozenset(("authorization", "cookie", "x-api-key", "api-key", "x-auth-token"))
_UNLOCKED = (
    "is a secret, and nothing here is kept locked: name it at `POST /send`, or check our signature instead"
)


class Sealed(msgspec.Struct, frozen=True):
    """Headers under lock and key, which open for one URL."""

    to: str
    locked: str


class Hook(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a message's `content` says of its request."""

    method: str = "POST"
    headers: dict[str, str] = {}
    sealed: Sealed | None = None
    profile: dict[str, Any] | None = None
    """What is told of the recipient, where all of it is."""


PLAIN = Hook()


def read(given: Mapping[str, Any], path: str, *, can_lock: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """A hook without its secrets, and the headers that are secret: all of them, where they can be locked.

    Raises errors.InvalidInput with every fault; what nobody knows is passed over.
    """
    faults = [errors.Fault(f"{path}.{name}", fault) for name, fault in _faults(given)]
    headers: dict[str, str] = {}
    for name, value in (given.get("headers") or {}).items() if not faults else ():
        fault = _header_fault(name, value)
        if fault is None and not can_lock and name.lower() in _PROOFS:
            fault = _UNLOCKED
        if fault is not None:
            faults.append(errors.Fault(documents.below(f"{path}.headers", name), fault))
        headers[name] = value
    proof, wrong = (None, ()) if faults else _proof(given.get("authentication") or {})
    faults += [errors.Fault(f"{path}.authentication.{name}", fault) for name, fault in wrong]
    if proof is not None and not can_lock:
        faults.append(errors.Fault(f"{path}.authentication", _UNLOCKED))
    if faults:
        raise errors.InvalidInput(faults=faults)
    kept = {name: given[name] for name in ("url", "method", "profile") if given.get(name) is not None}
    if not can_lock:
        rest = {name: value for name, value in given.items() if name not in KEYS and value is not None}
        return {**kept, **({"headers": headers} if headers else {}), **rest}, {}
    if proof is not None:
        headers = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        headers["Authorization"] = proof
    return kept, headers


def _faults(given: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    fault = destinations.url_fault(given.get("url"))
    if fault is not None:
        found.append(("url", fault))
    for name, values in (("method", METHODS), ("profile", PROFILES)):
        if given.get(name) is not None and given[name] not in values:
            found.append((name, errors.unknown(name, given[name], values)))
    headers = given.get("headers")
    if headers is not None and (not isinstance(headers, Mapping) or len(headers) > MOST_HEADERS):
        found.append(("headers", f"is an object of at most {MOST_HEADERS} headers"))
    said = given.get("authentication")
    if said is not None and not isinstance(said, Mapping):
        found.append(("authentication", 'is an object such as {"mode": "bearer", "token": "…"}'))
    return found


def _header_fault(name: str, value: object) -> str | None:
    if not isinstance(value, str) or len(value) > LONGEST or not value.isascii():
        return f"is a text of at most {LONGEST} characters of ASCII"
    if name.lower() in _OURS:
        return "is written by us: leave it out"
    return destinations.header_fault(name, value)


def _proof(given: Mapping[str, Any]) -> tuple[str | None, list[tuple[str, str]]]:
    """What the header `Authorization` says, and what is wrong with an authentication."""
    mode = given.get("mode") or "none"
    if mode not in MODES:
        return None, [("mode", errors.unknown("mode", mode, MODES))]
    needed = {"none": (), "bearer": ("token",), "basic": ("username", "password")}[mode]
    wrong = [
        (name, f"is required where `mode` is `{mode}`: a text of at most {LONGEST} characters in one line")
        for name in needed
        if not _is_word(given.get(name))
    ]
    if wrong or mode == "none":
        return None, wrong
    if mode == "bearer":
        if not given["token"].isascii():
            return None, [("token", "is a text in ASCII")]
        return f"Bearer {given['token']}", []
    if ":" in given["username"]:
        return None, [("username", "holds no colon")]
    pair = f"{given['username']}:{given['password']}".encode()
    return f"Basic {base64.b64encode(pair).decode()}", []


def _is_word(given: object) -> bool:
    return isinstance(given, str) and 1 <= len(given) <= LONGEST and given.isprintable()


def shown(given: Mapping[str, Any]) -> dict[str, Any]:
    """A hook as answers have it that repeat what was asked: of a secret only that it is there."""
    found = dict(given)
    if isinstance(headers := given.get("headers"), Mapping):
        found["headers"] = dict.fromkeys(headers, HIDDEN)
    if isinstance(said := given.get("authentication"), Mapping):
        found["authentication"] = {name: value if name == "mode" else HIDDEN for name, value in said.items()}
    return found


def sealed(secret: Mapping[str, str], url: str, lock: Lock) -> Sealed:
    """Headers under lock and key."""
    return Sealed(url, lock(msgspec.json.encode(secret).decode(), url))


def said(profile: Mapping[str, Any], secret: Sealed | None = None) -> dict[str, Any]:
    """What the `content` of a message says of its request, where that is any but the usual one."""
    given = profile.get("webhook")
    if given is None or not isinstance(given, Mapping):
        return {}
    headers = given.get("headers")
    hook = Hook(
        method=given["method"] if given.get("method") in METHODS else "POST",
        headers=dict(headers) if isinstance(headers, Mapping) else {},
        sealed=secret,
        profile={name: value for name, value in profile.items() if name != "webhook"}
        if given.get("profile") == "expanded"
        else None,
    )
    return {} if hook == PLAIN else {"hook": msgspec.to_builtins(hook)}


def stored(content: Mapping[str, Any]) -> Hook:
    """The request of a message, by its content. What a profile held before it was checked is passed over."""
    if "hook" not in content:
        return PLAIN
    found = msgspec.convert(content["hook"], Hook, strict=False)
    usable = {name: value for name, value in found.headers.items() if _header_fault(name, value) is None}
    return msgspec.structs.replace(found, headers=usable)
