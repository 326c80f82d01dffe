"""Inbound: what other programs tell in their own words: Courier's `track`, Segment's `identify` and `track` (J18).

Law: what somebody did becomes an event `custom.<slug>`, with its own name in the payload; who somebody is becomes their
profile. Nothing that cannot be kept is taken.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from heliograph import errors
from heliograph.core import documents, events, people

MAX_KEY = 128
_OTHERS = re.compile(r"[^a-z0-9]+")
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
TRAITS: Mapping[str, str] = {
    "firstName": "given_name",
    "first_name": "given_name",
    "lastName": "family_name",
    "last_name": "family_name",
    "phone": "phone_number",
    "birthday": "birthdate",
}
"""How Segment calls attributes that every door knows."""


def event_type(name: str) -> str:
    """The type of the event of this name: `Order Completed` is `custom.order_completed`. Raises InvalidInput."""
    slug = _OTHERS.sub("_", _WORDS.sub("_", name).lower()).strip("_")
    made = f"custom.{slug}"
    if not slug or events.type_fault(made):
        raise errors.InvalidInput.at(
            "event", f"{name!r} cannot be the name of an event: it takes letters and digits, 57 at most"
        )
    return made


def arrival(given: Mapping[str, Any], source: str) -> bytes:
    """The event that a `track` is, as ingest takes one. Raises InvalidInput with every fault."""
    faults = []
    name, user_id, properties = given.get("event"), given.get("userId"), given.get("properties")
    if not isinstance(name, str) or not name.strip():
        faults.append(errors.Fault("event", "is required: the name of what happened"))
    if user_id is not None and not isinstance(user_id, str):
        faults.append(errors.Fault("userId", "is a text"))
    if properties is not None and not isinstance(properties, dict):
        faults.append(errors.Fault("properties", "is an object"))
    faults += message_faults(given)
    if faults:
        raise errors.InvalidInput(faults=faults)
    made = {
        "event_type": event_type(str(name)),
        "source": source,
        "payload": {**(properties or {}), "event": name},
    }
    if user_id:
        made["contact_id"] = user_id
    if given.get("messageId"):
        made["idempotency_key"] = _key(source, given["messageId"])
    return msgspec.json.encode(made)


def message_faults(given: Mapping[str, Any], *, required: bool = False) -> list[errors.Fault]:
    """What is wrong with the id of what was sent."""
    found = given.get("messageId")
    if found in (None, "") and not required:
        return []
    if not isinstance(found, str) or not found or "\0" in found:
        return [errors.Fault("messageId", "is required: a text by which a repeat is known")]
    return []


def _key(source: str, message_id: str) -> str:
    key = f"{source}:{message_id}"
    if len(key) <= MAX_KEY and key.isprintable():
        return key
    return f"{source}:{hashlib.sha256(message_id.encode('utf-8', 'surrogatepass')).hexdigest()}"


def profile(given: Mapping[str, Any], region: str | None) -> tuple[str, dict[str, Any]]:
    """Whom an `identify` is about, and what it says of them. Raises InvalidInput with every fault."""
    user_id, traits = given.get("userId"), {} if given.get("traits") is None else given["traits"]
    faults = []
    if not documents.is_text(user_id, people.MAX_ID):
        told = f"is required, as text of at most {people.MAX_ID} characters: nobody is kept without one"
        faults.append(errors.Fault("userId", told))
    if not isinstance(traits, dict):
        faults.append(errors.Fault("traits", "is an object"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    named = {TRAITS.get(name, name): value for name, value in traits.items()}
    birthdate = named.get("birthdate")
    if isinstance(birthdate, str) and "T" in birthdate:
        named["birthdate"] = birthdate.partition("T")[0]
    return str(user_id), people.clean_profile(named, "traits", region)


def check_type(given: Mapping[str, Any], known: Sequence[str]) -> str:
    """The `type` of what was sent. Raises InvalidInput where it is none of these."""
    kind = given.get("type")
    if kind not in known:
        told = "is required" if kind is None else errors.unknown("type", kind, known)
        raise errors.InvalidInput.at("type", told)
    return str(kind)
