"""Events: what may happen, how an event stands, and the fingerprint by which equal payloads are found.

Law: the fingerprint of a payload is the SHA-256 of its canonical JSON (RFC 8785), and the rfc8785 package defines
what that is. A faster way is taken only for payloads whose canonical form it is known to give to the byte.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from hashlib import sha256
from typing import Any

import msgspec
import rfc8785

from heliograph import errors
from heliograph.core import documents

# ── how an event stands ─────────────────────────────────────────────────────────────────────────────

MAX_ATTEMPTS = 5
"""After as many tries an event that raises is FAILED (rules.md C30)."""


class State(IntEnum):
    """How an event stands; the name in lower case is its word on the wire."""

    PENDING = 1
    PROCESSING = 2
    PROCESSED = 3
    FAILED = 4
    HELD = 5
    """It waited longer than the misfire grace: an operator releases or drops it (E33); `pending` on the wire."""


TRANSITIONS: Mapping[State | None, frozenset[State]] = {
    None: frozenset({State.PENDING}),
    State.PENDING: frozenset({State.PROCESSING, State.PROCESSED}),
    State.PROCESSING: frozenset({State.PENDING, State.PROCESSED, State.FAILED, State.HELD}),
    State.PROCESSED: frozenset(),
    State.FAILED: frozenset({State.PENDING}),
    State.HELD: frozenset({State.PENDING, State.PROCESSED}),
}
"""Where an event may go; None is before it exists.

A turn takes it (PENDING to PROCESSING) and either decides it, or puts it back for another try, or gives it up.
What waited through a pause for too long is PROCESSED untaken (C14); an operator's retry makes FAILED PENDING.
"""

# ── what may happen ─────────────────────────────────────────────────────────────────────────────────

MOST_BYTES = 256 * 1024
"""How large a payload may be as JSON."""
TOO_LARGE = f"is larger than {MOST_BYTES} bytes"
_MOST_DEPTH = documents.MAX_DEPTH - 1
"""How deep a payload may be nested: it comes inside of an event."""

TYPE_PATTERN = "^[a-z][a-z0-9_.]{0,63}$"
"""What a type looks like, for schemas; `type_fault` is the judge."""

KNOWN_TYPES = (
    "message_received",
    "message_sent",
    "conversation_created",
    "conversation_assigned",
    "conversation_status_changed",
    "conversation_tagged",
    "conversation_transferred",
    "conversation_expired",
    "contact_created",
    "contact_updated",
    "csat_submitted",
    "sla_breached",
    "schedule_tick",
    "webhook_received",
)
"""The types that rules are usually written for (rules.md 3.3), beside `custom.<name>`."""

ENGINE_TYPES = (
    "contact_created",
    "contact_updated",
    "conversation_assigned",
    "conversation_status_changed",
    "conversation_tagged",
    "segment_entered",
    "segment_left",
    "message_delivered",
    "message_opened",
    "message_clicked",
    "message_bounced",
    "message_failed",
)
"""The types that the engine emits by itself (engine.md E10)."""

_known = frozenset(KNOWN_TYPES + ENGINE_TYPES)
_is_type = re.compile(TYPE_PATTERN.strip("^$")).fullmatch


def type_fault(text: object) -> str | None:
    """Why this cannot be an event's type, or None."""
    if isinstance(text, str) and _is_type(text):
        return None
    return 'is a small letter and up to 63 small letters, digits, "_" and ".", such as "order.paid"'


def payload_fault(payload: Mapping[str, Any]) -> str | None:
    """Why this cannot be the payload of an event that is made here, or None: it keeps the bounds of those sent in."""
    if not documents.is_shallow(payload, _MOST_DEPTH):
        return f"is nested deeper than {_MOST_DEPTH} levels"
    return TOO_LARGE if len(msgspec.json.encode(payload)) > MOST_BYTES else None


def is_known(event_type: str) -> bool:
    """Whether somebody is known to send this type; others are taken too, but a rule's author is warned (R13)."""
    return event_type in _known or event_type.startswith("custom.")


# ── fingerprint ─────────────────────────────────────────────────────────────────────────────────────

_SAFE = 2**53 - 1
"""The largest whole number that a double holds exactly, and its neighbours too."""

_sorted = msgspec.json.Encoder(order="sorted").encode
_NOT_ASTRAL = bytes(range(0xF0))


def fingerprint(payload: Any) -> str:
    """SHA-256 over the canonical JSON of a payload: 64 hex digits in lower case, equal for equal payloads."""
    return sha256(canonical(payload)).hexdigest()


def canonical(payload: Any) -> bytes:
    """The RFC 8785 form of a JSON value, with whole numbers beyond ±(2^53-1) as strings (rules.md C26).

    Raises InvalidInput, with paths, for a value that JSON does not have (NaN, half a surrogate pair).
    """
    is_plain = _is_plain(payload)
    if not is_plain:
        payload = _plainer(payload)
        is_plain = _is_plain(payload)
    try:
        if is_plain:
            text = _sorted(payload)
            if _orders_alike(text):
                return text
        return rfc8785.dumps(payload)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        raise errors.InvalidInput(faults=documents.faults(payload, "payload")) from None


def _is_plain(payload: Any) -> bool:
    """Whether msgspec writes every number here as RFC 8785 does.

    It does so for whole numbers, and for doubles with a fraction that are long enough to be written without an
    exponent by both. It differs for 1.0, 1e21 and 1e-6.
    """
    nodes: list[Any] = [[payload]]
    for node in nodes:  # grows while it is walked, so it reaches every array and object
        for child in node.values() if type(node) is dict else node:
            kind = type(child)
            if kind is str:
                continue
            if kind is int:
                if not -_SAFE <= child <= _SAFE:
                    return False
            elif kind is float:
                if not 1e-5 <= abs(child) < 1e15 or child.is_integer():
                    return False
            elif kind is dict or kind is list:
                nodes.append(child)
    return True


def _plainer(value: Any) -> Any:
    """The same value with 1.0 as 1, which is the same number, and with great whole numbers as strings."""
    if type(value) is dict:
        return {key: _plainer(child) for key, child in value.items()}
    if type(value) is list:
        return [_plainer(child) for child in value]
    if type(value) is float and value.is_integer() and abs(value) <= _SAFE:
        return int(value)
    if type(value) is int and not -_SAFE <= value <= _SAFE:
        return str(value)
    return value


def _orders_alike(text: bytes) -> bool:
    """Whether sorting keys by code points, as msgspec does, gave the order of UTF-16 code units in this text.

    The two differ only where a character above U+FFFF (first byte F0 or more) meets one from U+E000 to U+FFFF (EE
    or EF): in UTF-16 the former begins with a surrogate, which is less than the latter.
    """
    if text.isascii() or (b"\xee" not in text and b"\xef" not in text):
        return True
    return not text.translate(None, _NOT_ASTRAL)
