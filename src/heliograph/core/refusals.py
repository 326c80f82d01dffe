"""Refusals: what is said of a value of the wrong kind, in words for whoever sent it, who need not know the decoder's.

Law: a refusal says what would be taken.
"""

from __future__ import annotations

import re
import types
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec

_KINDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}
_COUNTED = {"str": "character", "array": "element", "object": "key"}
_KIND = re.compile(r"Expected `(?P<wanted>[^`]+)`, got `(?P<got>[^`]+)`")
_BOUND = re.compile(r"Expected `(?P<kind>int|float)` (?P<sign>>=|<=|>|<) (?P<bound>\S+)")
_LENGTH = re.compile(r"Expected `(?P<kind>str|array|object)` of length (?P<sign>>=|<=) (?P<bound>\d+)")
_BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}


def plainly(said: str) -> str:
    """What msgspec says of a value (its message, without the place), as people are told it."""
    if found := _KIND.fullmatch(said):
        wanted = " or ".join(_KINDS.get(one, one) for one in found["wanted"].split(" | "))
        return f"takes {wanted}, not {_KINDS.get(found['got'], found['got'])}"
    if found := _BOUND.fullmatch(said):
        bound = found["bound"].removesuffix(".0")
        return f"takes {_KINDS[found['kind']]} of {_BOUNDS[found['sign']]} {bound}"
    if found := _LENGTH.fullmatch(said):
        one = _COUNTED[found["kind"]]
        return f"takes {_BOUNDS[found['sign']]} {found['bound']} {one}{'' if found['bound'] == '1' else 's'}"
    return lowered(said)


def lowered(said: str) -> str:
    """A sentence of somebody else's, to go on after a colon."""
    return said[:1].lower() + said[1:]


def wanted(kind: Any) -> str | None:
    """What a field of this type takes: a text, truth or number, and which; None of any other type."""
    if get_origin(kind) is not Annotated:
        return _KINDS.get(kind.__name__) if kind in (str, int, float, bool) else None
    plain, *more = get_args(kind)
    said = wanted(plain)
    bounds = [one for one in more if isinstance(one, msgspec.Meta)]
    least = next((one.ge for one in bounds if one.ge is not None), None)
    most = next((one.le for one in bounds if one.le is not None), None)
    if said is None or plain not in (int, float) or (least is None and most is None):
        return said
    if least is None:
        return f"{said} of at most {most}"
    return f"{said} of at least {least}" if most is None else f"{said} from {least} to {most}"


def given(kind: Any) -> Any:
    """The type of what a field that may be left out holds where it was given."""
    if get_origin(kind) not in (Union, types.UnionType):
        return kind
    left = tuple(one for one in get_args(kind) if one not in (type(None), msgspec.UnsetType))
    return Union[left]  # noqa: UP007 - made of types that are known here alone
