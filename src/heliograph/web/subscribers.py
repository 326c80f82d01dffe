"""What requests about lists say of people: recipients, and what they prefer.

Law: every fault is found with its place; what nobody knows is passed over and named (engine.md E29).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Response

from heliograph import errors
from heliograph.core import documents, lists, pseudonyms
from heliograph.web import courier
from heliograph.web.calls import ignored_header

_LONGEST_ID, _MOST = 255, 50_000


class Preference(msgspec.Struct):
    """What somebody prefers for a notification or a category."""

    status: courier.TopicStatus
    rules: list[dict[str, Any]] | None = None
    channel_preferences: list[dict[str, Any]] | None = None


class Preferences(msgspec.Struct):
    """Preferences by the id of a category, or of a notification."""

    categories: dict[str, Preference] | None = None
    notifications: dict[str, Preference] | None = None


def listed(
    given: Mapping[str, Any],
    name: str,
    key: str,
    fault_of: Callable[[object], str | None],
    passed_over: list[str],
) -> list[tuple[str, dict[str, Any] | None]]:
    """What the entries of a list name, with their preferences. Raises errors.InvalidInput with every fault."""
    entries = given.get(name)
    if not isinstance(entries, list) or len(entries) > _MOST:
        raise errors.InvalidInput.at(name, f'is a list of at most {_MOST} objects such as {{"{key}": "…"}}')
    faults: list[errors.Fault] = []
    found = []
    for index, one in enumerate(entries):
        place = documents.below(name, index)
        if not isinstance(one, dict):
            faults.append(errors.Fault(place, f'is an object such as {{"{key}": "…"}}'))
            continue
        fault = fault_of(one.get(key))
        if fault:
            faults.append(errors.Fault(f"{place}.{key}", fault))
        found.append((str(one.get(key)), preferences(one, place, faults, passed_over)))
        passed_over += [f"{place}.{stranger}" for stranger in one.keys() - {key, "preferences"}]
    if faults:
        raise errors.InvalidInput(faults=faults[: documents.MAX_FAULTS])
    return found


def preferences(
    given: Mapping[str, Any], path: str, faults: list[errors.Fault], passed_over: list[str]
) -> dict[str, Any] | None:
    """What somebody prefers; faults and strangers are collected."""
    place = documents.below(path, "preferences")
    passed_over += [f"{place}.{name}" for name in lists.preferences_ignored(given.get("preferences"))]
    try:
        return lists.check_preferences(given.get("preferences"), place)
    except errors.InvalidInput as fault:
        faults += fault.faults
        return None


def user_fault(given: object) -> str | None:
    """Why this is no `user_id`, or None."""
    if isinstance(given, str) and documents.is_text(given, _LONGEST_ID):
        return pseudonyms.RESERVED if pseudonyms.is_name(given) else None
    return f"is a text of 1 to {_LONGEST_ID} characters"


def named(passed_over: Sequence[str], given: Mapping[str, Any], known: tuple[str, ...]) -> dict[str, str]:
    """The header that names what was passed over."""
    return ignored_header([*passed_over, *(given.keys() - set(known))])


def done(passed_over: Sequence[str], given: Mapping[str, Any], known: tuple[str, ...]) -> Response[None]:
    """It is done, and there is nothing to say."""
    return Response(None, headers=named(passed_over, given, known))
