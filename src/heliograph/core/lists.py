"""List: a group that is kept by hand; its ids, the patterns over them, and what subscribers prefer.

Law: an id is one to four parts with dots between, which lead from the general to the special; being on `a.b` is not
being on `a` (courier-wire 2.1). Nothing here knows where lists are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from heliograph import errors
from heliograph.core import documents

MOST_PARTS = 4
LONGEST = 255
_STATUSES = ("OPTED_IN", "OPTED_OUT", "REQUIRED")
_GROUPS = ("categories", "notifications")
_MOST_PREFERENCES = 16 * 1024
"""Characters of one subscriber's preferences."""

Preferences = Mapping[str, Any]
"""What a subscriber, or a list, prefers: `categories` and `notifications`, each by id with a `status`."""


# ── ids and patterns ────────────────────────────────────────────────────────────────────────────────


def check_id(given: object, path: str) -> str:
    """The id of a list. Raises errors.InvalidInput."""
    fault = id_fault(given)
    if fault is not None:
        raise errors.InvalidInput.at(path, fault)
    return str(given)


def id_fault(given: object) -> str | None:
    """Why this is no id of a list, or None."""
    if not isinstance(given, str) or not 1 <= len(given) <= LONGEST:
        return f'is a text of 1 to {LONGEST} characters, such as "news.weekly"'
    if any(letter in "*#\x00" or letter.isspace() for letter in given):
        return "has no spaces, * or #: write it as in news.weekly"
    parts = given.split(".")
    if "" in parts:
        return "has a dot only between two parts: write it as in news.weekly"
    if len(parts) > MOST_PARTS:
        return f"has at most {MOST_PARTS} parts with dots between"
    return None


class Pattern(NamedTuple):
    """Some lists by their ids: `*` stands for one whole part, `**` at the end for one part or more."""

    parts: tuple[str, ...]
    is_open: bool
    """Whether it ends with `**`, which is not among the parts."""

    def matches(self, list_id: str) -> bool:
        """Whether a list is meant."""
        there = list_id.split(".")
        if len(there) <= len(self.parts) if self.is_open else len(there) != len(self.parts):
            return False
        return all(wanted in ("*", part) for wanted, part in zip(self.parts, there, strict=False))

    @property
    def prefix(self) -> str:
        """What the ids that it means begin with, as far as that is known."""
        known: list[str] = []
        for part in self.parts:
            if part == "*":
                return "".join(f"{one}." for one in known)
            known.append(part)
        return "".join(f"{one}." for one in known) if self.is_open else ".".join(known)


def check_pattern(given: object, path: str) -> Pattern:
    """A pattern over ids, or an id, which means itself. Raises errors.InvalidInput."""
    if not isinstance(given, str) or not 1 <= len(given) <= LONGEST:
        raise errors.InvalidInput.at(path, 'is a pattern over the ids of lists, such as "news.*"')
    parts = given.split(".")
    is_open = parts[-1] == "**"
    named = parts[:-1] if is_open else parts
    if is_open and (not named or set(named) == {"*"}):
        raise errors.InvalidInput.at(path, "would mean every list: ** stands behind at least one named part")
    if any("*" in part and part != "*" for part in named):
        raise errors.InvalidInput.at(path, "has * for one whole part, and ** for the last: news.*, news.**")
    example = ".".join("x" if part == "*" else part for part in named)
    fault = id_fault(example)
    if fault is not None:
        raise errors.InvalidInput.at(path, fault)
    return Pattern(tuple(named), is_open)


# ── what subscribers prefer ─────────────────────────────────────────────────────────────────────────


def check_preferences(given: object, path: str) -> dict[str, Any] | None:
    """Preferences as they are kept; None where there are none. Raises errors.InvalidInput with every fault."""
    if given is None:
        return None
    if not isinstance(given, dict):
        raise errors.InvalidInput.at(path, "is an object with `categories` and `notifications`, or null")
    faults = []
    kept: dict[str, Any] = {}
    for name in _GROUPS:
        if given.get(name) is not None:
            faults += _group_faults(given[name], documents.below(path, name))
            kept[name] = given[name]
    if len(str(kept)) > _MOST_PREFERENCES:
        faults.append(errors.Fault(path, f"takes at most {_MOST_PREFERENCES} characters"))
    if faults:
        raise errors.InvalidInput(faults=faults[: documents.MAX_FAULTS])
    return kept


def _group_faults(given: object, path: str) -> list[errors.Fault]:
    if not isinstance(given, dict):
        return [errors.Fault(path, 'is an object by id, such as {"news": {"status": "OPTED_OUT"}}')]
    faults = []
    for key, one in given.items():
        place = documents.below(path, key)
        if not isinstance(one, dict):
            faults.append(errors.Fault(place, 'is an object, such as {"status": "OPTED_OUT"}'))
        elif one.get("status") not in _STATUSES:
            faults.append(errors.Fault(f"{place}.status", f"is one of {', '.join(_STATUSES)}"))
    return faults


def preferences_ignored(given: object) -> list[str]:
    """The keys of preferences that nobody knows."""
    return sorted(given.keys() - set(_GROUPS)) if isinstance(given, dict) else []


def is_opted_out(preferences: Preferences | None, notification: str | None, topic: str | None) -> bool:
    """Whether a subscriber does not want a notification, or what is of a topic, through this list."""
    if not preferences:
        return False
    asked = (("notifications", notification), ("categories", topic))
    return any(
        identity is not None and (preferences.get(group) or {}).get(identity, {}).get("status") == "OPTED_OUT"
        for group, identity in asked
    )
