"""Conversations: what is talked about with a contact, how it stands, and who takes care of it.

Law: a conversation is a record of ours. Applications name it, people and rules change it, and events are matched on it
as it was before them (engine.md E9). One that nobody has written on yet stands as a new one does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from heliograph import errors
from heliograph.core import documents

STATUSES: Final = ("open", "pending", "snoozed", "resolved", "closed")
"""`pending` waits for the contact, `snoozed` for its time; a `resolved` one may be opened again."""
PRIORITIES: Final = ("low", "normal", "high", "urgent")
FIRST_STATUS: Final = "open"
FIRST_PRIORITY: Final = "normal"

MOST_ID: Final = 255
MOST_TAG: Final = 100
MOST_TAGS: Final = 50
"""Tags that one request or action names."""
MOST_NOTE: Final = 10_000
"""Characters of a note."""
MOST_ATTRIBUTES: Final = 64 * 1024
"""Bytes of a conversation's attributes."""

FRESH: Mapping[str, Any] = {
    "contact_id": None,
    "channel": None,
    "status": FIRST_STATUS,
    "priority": FIRST_PRIORITY,
    "agent_id": None,
    "division_id": None,
    "attributes": {},
    "tags": [],
}
"""How a conversation stands that nobody has written on."""

WRITABLE: Final = tuple(FRESH)


def id_fault(identity: object) -> str | None:
    """Why this can be no id of a contact, a conversation, an agent or a division; None where it can."""
    if documents.is_text(identity, MOST_ID):
        return None
    return f"takes a text of 1 to {MOST_ID} characters, none of them NUL"


def clean(given: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a conversation that a request gives, checked. Raises InvalidInput with every fault."""
    faults = documents.unknown_keys(given, WRITABLE, "")
    cleaned: dict[str, Any] = {}
    for name in WRITABLE:
        if name in given:
            try:
                cleaned[name] = _FIELDS[name](given[name], name)
            except errors.InvalidInput as fault:
                faults += fault.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
    return cleaned


def clean_tags(given: object, path: str = "tags") -> list[str]:
    """Tags, trimmed, each once. Raises InvalidInput."""
    if not isinstance(given, list) or not all(isinstance(tag, str) for tag in given):
        raise errors.InvalidInput.at(path, "takes a list of texts")
    faults = list(tag_faults(given, path))
    if faults:
        raise errors.InvalidInput(faults=faults)
    return list(dict.fromkeys(tag.strip() for tag in given))


def tag_faults(given: Sequence[str], path: str) -> Sequence[errors.Fault]:
    """What is wrong with each of these tags."""
    if len(given) > MOST_TAGS:
        return [errors.Fault(path, f"takes at most {MOST_TAGS} tags")]
    return [
        errors.Fault(f"{path}[{place}]", f"takes 1 to {MOST_TAG} characters")
        for place, tag in enumerate(given)
        if not 1 <= len(tag.strip()) <= MOST_TAG
    ]


def clean_note(given: object, path: str = "text") -> str:
    """The text of a note. Raises InvalidInput."""
    if not isinstance(given, str) or not 1 <= len(given.strip()) <= MOST_NOTE or "\x00" in given:
        raise errors.InvalidInput.at(path, f"takes a text of 1 to {MOST_NOTE} characters")
    return given.strip()


def tagged(tags: Sequence[str], add: Sequence[str], remove: Sequence[str]) -> list[str]:
    """Tags after some were taken off and others put on."""
    kept = [tag for tag in tags if tag not in remove]
    return list(dict.fromkeys((*kept, *add)))


# ── fields ──────────────────────────────────────────────────────────────────────────────────────────


def _identity(value: object, path: str) -> str | None:
    fault = None if value is None else id_fault(value)
    if fault is not None:
        raise errors.InvalidInput.at(path, f"{fault}, or null")
    return value  # type: ignore[return-value]


def _one_of(words: Sequence[str], path_name: str) -> Callable[[object, str], str]:
    def check(value: object, path: str) -> str:
        if not isinstance(value, str) or value not in words:
            raise errors.InvalidInput.at(path, errors.unknown(path_name, value, words))
        return value

    return check


def _attributes(value: object, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise errors.InvalidInput.at(path, "takes an object")
    return value


_FIELDS: Mapping[str, Callable[[object, str], Any]] = {
    "contact_id": _identity,
    "channel": _identity,
    "status": _one_of(STATUSES, "status"),
    "priority": _one_of(PRIORITIES, "priority"),
    "agent_id": _identity,
    "division_id": _identity,
    "attributes": _attributes,
    "tags": clean_tags,
}
