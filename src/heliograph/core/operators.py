"""What each operator of a condition means, on values alone.

Law: nothing here knows fields, events or trees. No operator raises, whatever the value. A value of another type
than the operator works on makes it false; a negative operator is exactly the negation of its positive twin,
there too. Nothing is coerced, unless the field has a declared type: then `values.coerced` is applied to both
sides first, and what follows is as strict as ever.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

import re2  # type: ignore[import-untyped]  # the wheel brings no annotations

from heliograph.core import values

Test = Callable[[object, object], bool]
"""What a positive operator says of (observed, wanted)."""

LONGEST_PATTERN: Final = 256


class Operator(NamedTuple):
    """One operator of the wire."""

    decides: str
    """the positive operator that is asked"""
    negative: bool
    """whether its answer is turned round"""
    takes: str
    """what `value` must be: nothing, any, list, text, pattern or ordered (a number or a text)"""


OPERATORS: Final[Mapping[str, Operator]] = {
    "equals": Operator("equals", False, "any"),
    "not_equals": Operator("equals", True, "any"),
    "greater_than": Operator("greater_than", False, "ordered"),
    "less_than": Operator("less_than", False, "ordered"),
    "greater_or_equal": Operator("greater_or_equal", False, "ordered"),
    "less_or_equal": Operator("less_or_equal", False, "ordered"),
    "in": Operator("in", False, "list"),
    "not_in": Operator("in", True, "list"),
    "contains": Operator("contains", False, "any"),
    "not_contains": Operator("contains", True, "any"),
    "starts_with": Operator("starts_with", False, "text"),
    "ends_with": Operator("ends_with", False, "text"),
    "exists": Operator("exists", False, "nothing"),
    "not_exists": Operator("exists", True, "nothing"),
    "matches": Operator("matches", False, "pattern"),
    "changed": Operator("changed", False, "nothing"),
    "changed_to": Operator("changed_to", False, "any"),
}

LOOK_BACK: Final = frozenset({"changed", "changed_to"})
"""The operators that also read what the field was before the event."""


def satisfied(decides: str, observed: object, wanted: object, before: object = values.MISSING) -> bool:
    """Whether the positive operator `decides` is true of the observed value.

    `wanted` is the condition's value, `before` what the field was (for `changed`, `changed_to`).
    """
    if decides in LOOK_BACK:
        differs = before is not values.MISSING and not same(observed, before)
        return differs and (decides == "changed" or same(observed, wanted))
    return _TESTS[decides](observed, wanted)


# ── equality ────────────────────────────────────────────────────────────────────────────────────────


def same(one: object, other: object) -> bool:
    """Equal as JSON, at every depth: 1 = 1.0, true ≠ 1, "1" ≠ 1, [1] ≠ [true]; the order of keys is nothing."""
    if not isinstance(one, values.CONTAINERS):
        return _same_here(one, other, [])
    open_pairs: list[tuple[object, object]] = [(one, other)]
    # The list grows as containers are opened: values may be nested more deeply than calls may be.
    return all(_same_here(left, right, open_pairs) for left, right in open_pairs)


def _same_here(left: object, right: object, open_pairs: list[tuple[object, object]]) -> bool:
    if isinstance(left, list):
        if not isinstance(right, list) or len(left) != len(right):
            return False
        open_pairs.extend(zip(left, right, strict=True))
        return True
    if isinstance(left, dict):
        if not isinstance(right, dict) or left.keys() != right.keys():
            return False
        open_pairs.extend((member, right[key]) for key, member in left.items())
        return True
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    return left == right


def _in(observed: object, wanted: object) -> bool:
    candidates = observed if isinstance(observed, list) else [observed]
    choices = wanted if isinstance(wanted, list) else []
    return any(same(candidate, choice) for candidate in candidates for choice in choices)


def _contains(observed: object, wanted: object) -> bool:
    if isinstance(observed, str):
        return isinstance(wanted, str) and wanted in observed
    return isinstance(observed, list) and any(same(element, wanted) for element in observed)


def _exists(observed: object, _wanted: object) -> bool:
    return observed is not values.MISSING and observed is not None


# ── order and text ──────────────────────────────────────────────────────────────────────────────────


def _numbers(compare: Callable[[float, float], bool]) -> Test:
    # Instants arrive here as numbers already: microseconds since 1970, by `coerced`.
    return lambda observed, wanted: (
        values.is_number(observed) and values.is_number(wanted) and compare(observed, wanted)
    )


def _texts(compare: Callable[[str, str], bool]) -> Test:
    return lambda observed, wanted: (
        isinstance(observed, str) and isinstance(wanted, str) and compare(observed, wanted)
    )


@functools.lru_cache(maxsize=1024)
def searcher(pattern: str) -> Callable[[str], bool]:
    """A function that tells whether RE2 finds `pattern` anywhere in a text.

    ValueError says what is wrong with the pattern.
    """
    options = re2.Options()
    options.log_errors = False
    options.never_capture = True
    try:
        search = re2.compile(pattern, options).search
    except (re2.error, UnicodeEncodeError) as error:
        raise ValueError(_reason(error)) from None

    def found(text: str) -> bool:
        try:
            return search(text) is not None
        except UnicodeEncodeError:  # half a surrogate pair is no text, and matches nothing
            return False

    return found


def _reason(error: Exception) -> str:
    reason = error.args[0]
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


_TESTS: Final[Mapping[str, Test]] = {
    "equals": same,
    "in": _in,
    "contains": _contains,
    "exists": _exists,
    "greater_than": _numbers(operator.gt),
    "less_than": _numbers(operator.lt),
    "greater_or_equal": _numbers(operator.ge),
    "less_or_equal": _numbers(operator.le),
    "starts_with": _texts(str.startswith),
    "ends_with": _texts(str.endswith),
    "matches": _texts(lambda observed, wanted: searcher(wanted)(observed)),
}


# ── what a condition's value means ──────────────────────────────────────────────────────────────────


class Meaning(NamedTuple):
    """What a leaf asks, once its operator and value are understood."""

    decides: str
    """the positive operator that is asked"""
    negative: bool
    """whether its answer is turned round"""
    kind: str | None
    """what `values.coerced` reads the observed value as before it is compared; None: as it is"""
    wanted: object
    """the value, read likewise"""

    @property
    def looks_back(self) -> bool:
        """Whether it also reads what the field was before the event."""
        return self.decides in LOOK_BACK


def meaning(name: str, value: object, declared: str | None = None) -> Meaning:
    """What an operator of the wire means with this value, on a field of this declared type.

    Two ISO instants are ordered as instants, declared or not. On a declared field `equals` takes a list too
    (any of it), and what is ordered is a number or a date. ValueError says what is wrong with the value.
    """
    decides, negative, takes = OPERATORS[name]
    if declared is not None and decides in ("equals", "in"):
        choices = value if isinstance(value, list) else [value]
        return Meaning("in", negative, declared, [_read(declared, choice) for choice in choices])
    if takes == "ordered":
        return Meaning(decides, negative, *_ordered(name, value, declared))
    _check(name, takes, value)
    return Meaning(decides, negative, None, value)


def _ordered(name: str, value: object, declared: str | None) -> tuple[str | None, object]:
    if declared is not None:
        kind = declared if declared in ("date", "date-time") else "number"
        single = value[0] if isinstance(value, list) and len(value) == 1 else value
        if single is None or isinstance(single, list):
            raise ValueError(f'"{name}" compares with exactly one {kind}, not {values.name_of(value)}')
        return kind, _read(kind, single)
    if isinstance(value, str):
        return "instant", values.coerced("instant", value)
    if values.is_number(value):
        return None, value
    raise ValueError(f'"{name}" compares with a number or an ISO 8601 instant, not {values.name_of(value)}')


def _read(kind: str, value: object) -> object:
    wanted = values.coerced(kind, value)
    if wanted is values.UNFIT:
        raise ValueError(f"the field holds a {kind}, and this is none")
    return wanted


def _check(name: str, takes: str, value: object) -> None:
    # `true` is what form builders send along with `exists`; it says nothing that could be misread.
    if takes == "nothing" and not (value is None or value is True):
        raise ValueError(f'"{name}" takes no value: leave it out')
    if takes == "list" and not isinstance(value, list):
        raise ValueError(f'"{name}" takes a list of values, not {values.name_of(value)}')
    if takes in ("text", "pattern") and not isinstance(value, str):
        raise ValueError(f'"{name}" takes a string, not {values.name_of(value)}')
    if takes == "pattern" and isinstance(value, str):
        _check_pattern(value)


def _check_pattern(pattern: str) -> None:
    if len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"a pattern has at most {LONGEST_PATTERN} characters, this one has {len(pattern)}")
    try:
        searcher(pattern)
    except ValueError as error:
        raise ValueError(f"RE2 cannot read this pattern: {error}") from None
