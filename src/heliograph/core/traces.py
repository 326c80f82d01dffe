"""What is kept and shown of a judgement: which leaf saw what.

Law: what is stored has leaf numbers and observed values alone; fields, operators and values come from the
condition, which is stored by version. What is observed is cut at 256 characters: a text ends in an ellipsis,
anything else becomes the beginning of its JSON text.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from heliograph.core import operators, predicates, values

LONGEST: Final = 256

_MISSING_NOTE = "field is missing"
_NO_PAST = "no previous value"
_NO_ORDER = "type mismatch: of strings only ISO 8601 instants, with their offset, have an order"
_ANY = frozenset({"null", "boolean", "number", "string", "array", "object"})
_WIDE: Final = 10 ** (LONGEST - 1)
_SHORT: Final = frozenset({type(None), bool, float})

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[list[Any]]).decode


class Observation(NamedTuple):
    """What one leaf saw, and what it made of it."""

    leaf: int
    observed: object
    """a JSON value; None with the note "field is missing" where there was none"""
    result: bool
    note: str | None


class Cut(NamedTuple):
    """What is left of an observed value that was too long to be kept."""

    text: str
    name: str
    """what the whole was: string, number, array or object"""


# ── looking ─────────────────────────────────────────────────────────────────────────────────────────


def observe(condition: predicates.Condition, facts: predicates.Facts) -> tuple[Observation, ...]:
    """Every leaf's answer, in order; none is passed over because another has settled the matter."""
    return tuple(observation(number, leaf, facts) for number, leaf in enumerate(condition.leaves))


def observation(number: int, leaf: predicates.Leaf, facts: predicates.Facts) -> Observation:
    """One leaf's answer."""
    observed, before = predicates.look(leaf, facts)
    result = predicates.is_true(leaf, observed, before)
    if observed is values.MISSING:
        return Observation(number, None, result, _MISSING_NOTE)
    if result is not leaf.meaning.negative:  # what could be compared leaves nothing to note
        return Observation(number, observed, result, None)
    has_no_past = leaf.meaning.looks_back and before is values.MISSING
    return Observation(number, observed, result, _NO_PAST if has_no_past else _note(leaf, observed))


def _note(leaf: predicates.Leaf, observed: object) -> str | None:
    """Why the observed value could not be compared as the leaf meant it, if so."""
    name = observed.name if isinstance(observed, Cut) else values.name_of(observed)
    if name == "missing":
        return _MISSING_NOTE
    if leaf.meaning.kind is not None:
        return _note_on_kind(leaf.meaning, observed, name)
    fitting, other = _fitting(leaf.meaning)
    return None if name in fitting else f"type mismatch: {name} compared with {other}"


def unnoted(leaf: predicates.Leaf) -> frozenset[type]:
    """The types of values of which nothing is noted even where the positive operator is not true of them."""
    if leaf.meaning.kind is not None or leaf.meaning.looks_back:
        return frozenset()
    fitting, _ = _fitting(leaf.meaning)
    return frozenset(kind for kind, name in values.NAMES.items() if name in fitting)


def _fitting(meaning: operators.Meaning) -> tuple[frozenset[str], str]:
    """The types that the operator can say something about, and what it compares with."""
    decides, wanted = meaning.decides, meaning.wanted
    other = values.name_of(wanted)
    if decides in ("exists", "changed") or (decides in ("equals", "changed_to") and wanted is None):
        return _ANY, other
    if decides in ("equals", "changed_to"):
        return frozenset({other, "null"}), other
    if decides == "contains":
        return frozenset({"array", "string"} if other == "string" else {"array"}), other
    if decides == "in" and isinstance(wanted, list):
        others = sorted({values.name_of(choice) for choice in wanted})
        return frozenset({*others, "null", "array"}) if others else _ANY, " or ".join(others)
    return frozenset({other}), other


def _note_on_kind(meaning: operators.Meaning, observed: object, name: str) -> str | None:
    """The note where both sides are read as a kind first (a declared type, an instant)."""
    if meaning.wanted is values.UNFIT:  # a rule that orders by a text which is no instant
        return _NO_ORDER if name == "string" else f"type mismatch: {name} compared with string"
    if isinstance(
        observed, Cut
    ):  # too long for an instant; of other kinds it is no longer known how it was read
        unfit = meaning.kind == "instant"
    else:
        read = values.coerced(str(meaning.kind), observed)
        unfit = read is values.UNFIT or (meaning.decides != "in" and (read is None or isinstance(read, list)))
    return f"type mismatch: {name} compared with {meaning.kind}" if unfit else None


# ── showing ─────────────────────────────────────────────────────────────────────────────────────────


def trace_json(
    condition: predicates.Condition, judged: Sequence[Observation] | predicates.Failing
) -> list[dict[str, Any]]:
    """The trace as it stands on the wire: `{path, field, operator, value, observed, result, note?}` for each leaf.

    `judged` is what `observe`, a judge or `unpack` gave. A missing value is shown as null, with the note
    "field is missing".
    """
    excluded = predicates.excluded(condition.root)
    rows = []
    for entry in judged:
        number = predicates.leaf_of(entry[0])
        leaf = condition.leaves[number]
        if isinstance(entry, Observation):
            rows.append(_row(leaf, entry.observed, entry.result, entry.note))
        else:
            note = _note(leaf, entry[1]) if number == entry[0] else _NO_PAST
            # A leaf at fault is false, but under a `none` it is its truth that was at fault.
            rows.append(_row(leaf, entry[1], number in excluded, note))
    return rows


def _row(leaf: predicates.Leaf, observed: object, result: bool, note: str | None) -> dict[str, Any]:
    row = {
        "path": leaf.path,
        "field": leaf.field,
        "operator": leaf.operator,
        "value": leaf.value,
        "observed": _shown(observed),
        "result": result,
    }
    return row if note is None else {**row, "note": note}


def _shown(observed: object) -> object:
    kept = _kept(observed)
    if isinstance(kept, Cut):
        return kept.text
    return None if kept is values.MISSING else kept


def _kept(observed: object) -> object:
    """The value itself, or Cut where it is too long."""
    if isinstance(observed, str):
        return observed if len(observed) <= LONGEST else Cut(_ended(observed), "string")
    if isinstance(observed, values.CONTAINERS):
        written = _encode(observed)
        # Enough bytes for more characters than are kept, however many bytes a character takes.
        text = written[: 8 * LONGEST].decode(errors="ignore")
        return observed if len(text) <= LONGEST else Cut(_ended(text), values.name_of(observed))
    if type(observed) is int and not -_WIDE < observed < _WIDE:
        return Cut(_ended(str(observed)), "number")
    return observed


def _ended(text: str) -> str:
    return text[: LONGEST - 1] + "…"


# ── storing ─────────────────────────────────────────────────────────────────────────────────────────


def pack_failing(failing: predicates.Failing) -> bytes:
    """The bytes in which a judge's answer is stored: leaf numbers and what they saw, cut."""
    if len(failing) == 1 and type(seen := failing[0][1]) is str and len(seen) <= LONGEST:
        return _pack_text(failing[0][0], seen)
    return _encode(
        [
            pair
            if (kind := type(seen := pair[1])) in _SHORT or (kind is str and len(seen) <= LONGEST)  # type: ignore[arg-type]
            else _packed(pair[0], seen)
            for pair in failing
        ]
    )


@functools.lru_cache(4_096)
def _pack_text(leaf: int, seen: str) -> bytes:
    """A short text at one leaf: events meet rules of few other plans, countries, states over and over."""
    return _encode(((leaf, seen),))


def pack_trace(observations: Iterable[tuple[int, object, bool, str | None]]) -> bytes:
    """The bytes in which a whole trace is stored: of each Observation its four members, the observed value cut."""
    return _encode(
        [
            (
                leaf,
                seen
                if (kind := type(seen)) in _SHORT or (kind is str and len(seen) <= LONGEST)  # type: ignore[arg-type]
                else _shown(seen),
                result,
                note,
            )
            for leaf, seen, result, note in observations
        ]
    )


def unpack(packed: bytes) -> tuple[Observation, ...] | predicates.Failing:
    """What was packed: a trace or a judge's answer, with Cut in the place of what was too long in the latter."""
    entries = _decode(packed)
    if entries and len(entries[0]) == 4:
        return tuple(Observation(*entry) for entry in entries)
    return tuple((entry[0], _unpacked(entry[1:])) for entry in entries)


def _packed(leaf: int, seen: object) -> tuple[object, ...]:
    """An entry's length tells what it is: 1 missing, 2 the value, 3 cut, 4 an observation."""
    if seen is values.MISSING:
        return (leaf,)
    kept = _kept(seen)
    return (leaf, *kept) if isinstance(kept, Cut) else (leaf, kept)


def _unpacked(rest: list[Any]) -> object:
    if not rest:
        return values.MISSING
    return Cut(*rest) if len(rest) == 2 else rest[0]
