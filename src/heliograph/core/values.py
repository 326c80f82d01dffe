"""JSON values: what they are called, and how they are read as a declared type.

Law: a value is what JSON decodes to (None, bool, int, float, str, list, dict), or MISSING where there is none.
Nothing here raises, whatever the value: what cannot be read is UNFIT.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeGuard

from heliograph.core import telephones


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


CONTAINERS: Final = (list, dict)


def name_of(value: object) -> str:
    """What a value is called in messages and traces: null, boolean, number, string, array, object or missing."""
    return NAMES.get(type(value), "missing")


NAMES: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def is_number(value: object) -> TypeGuard[float]:
    """True of int and float; a bool is no number."""
    return type(value) is int or type(value) is float


# ── instants ────────────────────────────────────────────────────────────────────────────────────────

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
_MICROSECOND = timedelta(microseconds=1)
_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?([Zz]|[+-]\d\d(:?\d\d)?)",
    re.ASCII,
)


def is_place(segment: str) -> bool:
    """Whether a segment of a path may be a place in a list; no list has one with more digits."""
    return segment.isdecimal() and len(segment) < len("1000000000")


def at(value: Any, path: Iterable[str]) -> Any:
    """What stands at a path of keys and places in lists; None where nothing does."""
    for segment in path:
        if isinstance(value, Mapping):
            value = value.get(segment)
        elif isinstance(value, list) and is_place(segment) and int(segment) < len(value):
            value = value[int(segment)]
        else:
            return None
    return value


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
    microseconds since 1970), email (lower case, trimmed), what `phone_in` says (in E.164), instant (a rule's
    date-time: nothing but an ISO instant). A value of any other kind stays as it is.
    """
    if isinstance(value, list):
        return [coerced(kind, element) for element in value]
    convert = _CONVERSIONS.get(kind) or _phone(kind)
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


def phone_in(region: str | None) -> str:
    """The kind of telephone numbers that may be written without a country code in a region."""
    return f"{_PHONE}{region or ''}"


def is_phone(kind: str | None) -> bool:
    """Whether it is one of those."""
    return kind is not None and kind.startswith(_PHONE)


@functools.cache
def _phone(kind: str) -> Callable[[object], object] | None:
    if not is_phone(kind):
        return None
    return functools.partial(_as_phone, kind.removeprefix(_PHONE) or None)


def _as_phone(region: str | None, value: object) -> object:
    try:
        return telephones.e164(value, region)
    except telephones.Malformed:
        return UNFIT


def _as_instant(value: object) -> object:
    moment = instant(value) if isinstance(value, str) else None
    return UNFIT if moment is None else moment


def _as_date(value: object) -> object:
    if not isinstance(value, str) or not _DATE.match(value) or _as_date_time(value) is UNFIT:
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


_PHONE = "phone+"
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
