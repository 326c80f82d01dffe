"""A condition as a value, what it reads, and its plain meaning.

Law: `holds` is the definition. Whatever judges faster (judges.py) must agree with it, leaf by leaf. Nothing
here raises on any facts, and nothing knows how a condition was written down (conditions.py reads it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from heliograph.core import operators, values

ROOTS: Final = (
    "event_type",
    "source",
    "channel_source",
    "payload",
    "previous",
    "contact",
    "conversation",
    "message",
)
"""The names a field may start with; any other first name is looked up in the payload."""

Failing = tuple[tuple[int, object], ...]
"""Why a condition did not hold: (leaf number, what was observed or MISSING), one pair for each group at fault.

The number is complemented (`~number`) where the leaf looks back and nothing says what the field was before.
"""


def leaf_of(number: int) -> int:
    """The leaf that a number of Failing names, complemented or not."""
    return number if number >= 0 else ~number


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What the conditions of one event see: JSON values as they were before the event's first action.

    The mappings and all in them are plain dicts and lists, as decoded.
    """

    event_type: str
    source: str
    channel_source: str | None
    payload: Mapping[str, Any]
    previous: Mapping[str, Any] | None
    """the event's own `previous`; where it is None, `payload.previous` is read instead, if that is an object"""
    contact: Mapping[str, Any] | None
    conversation: Mapping[str, Any] | None


class Place(NamedTuple):
    """Where a field is found."""

    root: str
    """the attribute of Facts that is read (`message` is a part of the payload)"""
    keys: tuple[str, ...]


class Leaf(NamedTuple):
    """One comparison. The first four are as written; the rest is what they mean."""

    path: str
    """its place in the tree: `all[1].any[0]`, in a flat list `[0]`"""
    field: str
    operator: str
    value: object
    """as received; None where the operator takes none"""
    place: Place
    meaning: operators.Meaning


class Group(NamedTuple):
    """Leaves, by number, and groups, of which all, any or none must hold."""

    kind: str
    members: tuple[int | Group, ...]


class Condition(NamedTuple):
    """A whole condition; a leaf's number is its index in `leaves`, which stand as in the document."""

    root: Group
    leaves: tuple[Leaf, ...]


# ── what a field reads ──────────────────────────────────────────────────────────────────────────────


def place_of(field: str) -> Place:
    """The place that a dotted field names; a first name that is no root is one of the payload."""
    root, *keys = field.split(".")
    if root == "message" or root not in ROOTS:
        return Place("payload", (root, *keys))
    return Place(root, tuple(keys))


def index_of(key: str) -> int | None:
    """The position in a list that a key names (`0`, `12`), or None."""
    position = int(key) if key.isascii() and key.isdigit() else None
    return position if str(position) == key else None


def follow(value: object, keys: tuple[str, ...]) -> object:
    """What is found by going along the keys of objects and the positions of arrays, else MISSING."""
    for key in keys:
        value = value.get(key, values.MISSING) if isinstance(value, dict) else _element(value, key)
    return value


def _element(value: object, key: str) -> object:
    position = index_of(key) if isinstance(value, list) else None
    if isinstance(value, list) and position is not None and position < len(value):
        return value[position]
    return values.MISSING


def previous_of(facts: Facts) -> object:
    """What the event says was before it, or None."""
    if facts.previous is not None:
        return facts.previous
    inside = facts.payload.get("previous")
    return inside if isinstance(inside, dict) else None


def value_at(place: Place, facts: Facts) -> object:
    """What a place holds: a JSON value, or MISSING."""
    root = previous_of(facts) if place.root == "previous" else getattr(facts, place.root)
    return follow(root, place.keys)


def value_before(place: Place, facts: Facts) -> object:
    """What a place held before the event, by its `previous`, or MISSING.

    Fields of the payload are looked up there by their path in the payload, those of contact and conversation
    with the root's name in front; in an event about that record (contact_…, conversation_…) without it too.
    """
    previous = previous_of(facts)
    if previous is None:
        return values.MISSING
    if place.root == "payload":
        return follow(previous, place.keys)
    found = follow(previous, (place.root, *place.keys))
    of_its_own = place.root in ("contact", "conversation") and facts.event_type.startswith(f"{place.root}_")
    return follow(previous, place.keys) if found is values.MISSING and of_its_own else found


# ── what it means ───────────────────────────────────────────────────────────────────────────────────


def look(leaf: Leaf, facts: Facts) -> tuple[object, object]:
    """What a leaf sees: its field's value now, and before the event where its operator looks back; or MISSING."""
    past = leaf.meaning.looks_back
    return value_at(leaf.place, facts), value_before(leaf.place, facts) if past else values.MISSING


def is_true(leaf: Leaf, observed: object, before: object) -> bool:
    """Whether a leaf holds of what it saw."""
    decides, negative, kind, wanted = leaf.meaning
    read = observed if kind is None else values.coerced(kind, observed)
    return operators.satisfied(decides, read, wanted, before) is not negative


def group_holds(group: Group, truth: Callable[[int], bool]) -> bool:
    """Whether a group holds, given the truth of its leaves by number."""
    answers = (truth(m) if isinstance(m, int) else group_holds(m, truth) for m in group.members)
    if group.kind == "all":
        return all(answers)
    return any(answers) if group.kind == "any" else not any(answers)


def holds(condition: Condition, facts: Facts) -> bool:
    """Whether the condition is true of the facts: the definition, told plainly and slowly."""
    found = condition.leaves
    return group_holds(condition.root, lambda number: is_true(found[number], *look(found[number], facts)))


def holds_whatever(condition: Condition, facts: Facts, unknown: frozenset[int]) -> bool:
    """Whether the condition is true of the facts whatever these leaves, by number, might say.

    A leaf stands in one place alone: for each of them there is one answer that helps least.
    """
    found, worst = condition.leaves, excluded(condition.root)
    return group_holds(
        condition.root,
        lambda number: (
            number in worst if number in unknown else is_true(found[number], *look(found[number], facts))
        ),
    )


def excluded(group: Group, inside: bool = False) -> frozenset[int]:
    """The numbers of the leaves that are to be false for the condition to hold: those under an odd count of `none`."""
    inside ^= group.kind == "none"
    found: set[int] = set()
    for member in group.members:
        if isinstance(member, Group):
            found |= excluded(member, inside)
        elif inside:
            found.add(member)
    return frozenset(found)
