"""What each operator of a condition means, on values alone.

Law: nothing here knows fields, events or trees. A value is what JSON decodes to (None, bool, int, float,
str, list, dict), or MISSING where there is none. No operator raises, whatever the value. A value of another
type than the operator works on makes it false; a negative operator is exactly the negation of its positive
twin, there too. Nothing is coerced, unless the field has a declared type: then `coerced` is applied to both
sides first, and what follows is as strict as ever.
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple, TypeGuard

import re2  # type: ignore[import-untyped]  # the wheel brings no annotations

Meaning = Callable[[object, object], bool]
"""What a positive operator says of (observed, wanted)."""


class _Nothing:
    """A value that equals itself alone."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


MISSING: Final = _Nothing("MISSING")
"""There is no value at this place (JSON's null is None, which is a value)."""

UNFIT: Final = _Nothing("UNFIT")
"""The value cannot be read as its field's declared type: it equals nothing and has no order."""


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


def satisfied(decides: str, observed: object, wanted: object, before: object = MISSING) -> bool:
    """Whether the positive operator `decides` is true of the observed value.

    `wanted` is the condition's value, `before` what the field was (for `changed`, `changed_to`).
    """
    if decides in LOOK_BACK:
        differs = before is not MISSING and not same(observed, before)
        return differs and (decides == "changed" or same(observed, wanted))
    return _MEANINGS[decides](observed, wanted)


# ── equality ────────────────────────────────────────────────────────────────────────────────────────


def same(one: object, other: object) -> bool:
    """Equal as JSON, at every depth: 1 = 1.0, true ≠ 1, "1" ≠ 1, [1] ≠ [true]; the order of keys is nothing."""
    open_pairs = [(one, other)]
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
    return observed is not MISSING and observed is not None


# ── order and text ──────────────────────────────────────────────────────────────────────────────────


def is_number(value: object) -> TypeGuard[float]:
    """True of int and float; a bool is no number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _numbers(compare: Callable[[float, float], bool]) -> Meaning:
    # Instants arrive here as numbers already: microseconds since 1970, by `coerced`.
    return lambda observed, wanted: is_number(observed) and is_number(wanted) and compare(observed, wanted)


def _texts(compare: Callable[[str, str], bool]) -> Meaning:
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


_MEANINGS: Final[Mapping[str, Meaning]] = {
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


# ── instants ────────────────────────────────────────────────────────────────────────────────────────

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d(:?\d\d)?)",
    re.ASCII,
)


def instant(text: str) -> int | None:
    """The microseconds since 1970 of an ISO 8601 date, time and offset; None where the text is no such thing.

    A text without an offset is no instant: a zone is never guessed. Digits below the microsecond are dropped.
    """
    # The usual form, 2026-01-31T09:00:00Z, is known by its length and marks; the digits are read below.
    usual = len(text) == 20 and text[4:20:3] == "--T::Z"
    if text[11:13] == "24" or not (usual or _INSTANT.fullmatch(text)):
        return None
    try:
        moment = datetime.fromisoformat(text if usual else text.upper())
    except ValueError:
        return None
    return (moment - _EPOCH) // _MICROSECOND


# ── declared types ──────────────────────────────────────────────────────────────────────────────────

_DECIMAL = re.compile(r"[+-]?\d{1,64}(\.\d{1,64})?([eE][+-]?\d{1,3})?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def coerced(kind: str, value: object) -> object:
    """The value as its declared type, UNFIT where it cannot be read as one; arrays element by element.

    None and MISSING stay what they are. Kinds: string, number, integer, boolean, date, date-time (both as
    microseconds since 1970), email (lower case, trimmed), instant (a rule's date-time: nothing but an ISO
    instant). A value of any other kind stays as it is.
    """
    if isinstance(value, list):
        return [coerced(kind, element) for element in value]
    convert = _CONVERSIONS.get(kind)
    return value if convert is None or value is None or value is MISSING else convert(value)


def _as_number(value: object) -> object:
    if isinstance(value, str) and _DECIMAL.fullmatch(value.strip()):
        value = float(value) if set(value) & set(".eE") else int(value)
    return value if is_number(value) and value not in _ENDLESS else UNFIT


def _as_boolean(value: object) -> object:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower(), UNFIT)
    return value if isinstance(value, bool) else UNFIT


def _as_string(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, str | int | float) else UNFIT


def _as_email(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else UNFIT


def _as_instant(value: object) -> object:
    moment = instant(value) if isinstance(value, str) else None
    return UNFIT if moment is None else moment


def _as_date(value: object) -> object:
    if not isinstance(value, str) or not _DATE.match(value) or len(value) > 10 and _as_date_time(value) is UNFIT:
        return UNFIT
    return _midnight(value[:10])


def _as_date_time(value: object) -> object:
    if isinstance(value, str) and _DATE.fullmatch(value):
        return _midnight(value)
    return _as_instant(value)


def _midnight(written: str) -> object:
    try:
        return (date.fromisoformat(written) - _EPOCH.date()) // _MICROSECOND
    except ValueError:
        return UNFIT


_ENDLESS = (float("inf"), float("-inf"))
_CONVERSIONS: Final[Mapping[str, Callable[[object], object]]] = {
    "string": _as_string,
    "number": _as_number,
    "integer": _as_number,
    "boolean": _as_boolean,
    "date": _as_date,
    "date-time": _as_date_time,
    "email": _as_email,
    "instant": _as_instant,
}
