"""The values of a segment's conditions: what they may be, and as what both sides are read.

Law: a value that cannot be compared is refused when it is written; telephone numbers are kept in E.164.
"""

from __future__ import annotations

from typing import Final

from heliograph import errors
from heliograph.core import people, values

ORDERED: Final = frozenset({"greater_than", "less_than"})
MOST: Final = 1_000
"""Values that one condition may name."""


def kept(
    operator: str, value: object, is_given: bool, kind: str | None, path: str, region: str | None
) -> object:
    """The value as it is kept: what it cannot be is refused, telephone numbers are in E.164."""
    if operator in ("exists", "not_exists"):
        if is_given and value not in (None, True):
            raise errors.InvalidInput.at(path, f'is left out: "{operator}" compares with nothing')
        return None
    choices = value if isinstance(value, list) else [value]
    if value is None or value == [] or None in choices:
        raise errors.InvalidInput.at(path, f'is required, and not null: "{operator}" compares with it')
    if len(choices) > MOST:
        raise errors.InvalidInput.at(path, f"takes at most {MOST} values")
    if any(isinstance(one, (dict, list)) for one in choices):
        raise errors.InvalidInput.at(path, "takes texts, numbers, true or false, dates, or a list of them")
    if (kind == "phone" or values.is_phone(kind)) and operator not in ORDERED:
        read = [people.check_phone(one, path, region) for one in choices]
        return read if isinstance(value, list) else read[0]
    return value


def exposed(declared: str | None, region: str | None) -> str | None:
    """The type of a field of a schema: its telephone numbers nobody has put into E.164, as the profile's own is."""
    return values.phone_in(region) if declared == "phone" else declared


def type_of(declared: str | None, operator: str, value: object) -> str | None:
    """As what both sides are read: the declared type, else what the value looks like."""
    if operator in ("exists", "not_exists"):
        return None
    if declared is not None:
        return "string" if declared == "phone" else declared
    choices = value if isinstance(value, list) else [value]
    if operator in ORDERED:
        is_date = all(
            isinstance(v, str) and values.coerced("date-time", v) is not values.UNFIT for v in choices
        )
        return "date-time" if is_date else "number"
    if all(isinstance(v, bool) for v in choices):
        return "boolean"
    return "number" if all(values.is_number(v) for v in choices) else "string"
