"""Documents: strict JSON in, and the place in it where a fault stands.

Law: what `read` lets through means the same to every reader of JSON. No key stands twice in an object, no number
is NaN, infinite or too large for a double, no half of a surrogate pair hides in a text, nothing is nested deeper
than the limit. Bad syntax is `MalformedJson` with line and column; the rest is `InvalidInput` with paths such as
`payload.items[2].sku`, which are made here alone.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from itertools import islice
from typing import Any, Literal, TypeGuard, TypeVar, get_args, get_origin

import msgspec

from heliograph import errors
from heliograph.core import refusals

MAX_DEPTH = 64
"""How many arrays and objects may stand within each other: `[]` is one deep, `[{}]` two."""

MAX_FAULTS = 100
"""How many faults one answer lists."""

SHOWN = 64
"""How many characters of somebody's key or word a message repeats."""

_SPACE = b" \t\r\n"
_CONTAINERS = frozenset({dict, list})
_LEAVES = frozenset({str, float, int, bool, type(None)})
_PLAIN_KEY = re.compile(r"[^\W\d][\w-]*")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]', re.DOTALL)
_VALIDATION = re.compile(r"(?P<message>.*?)(?: - at (?:`key` in )?`\$(?P<place>.*)`)?", re.DOTALL)
_FIELD = re.compile(r"Object (?P<fault>missing required|contains unknown) field `(?P<key>.*)`", re.DOTALL)

Struct = TypeVar("Struct", bound=msgspec.Struct)

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_in_order = msgspec.json.Encoder(order="deterministic")


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def read(body: bytes, *, limit_depth: int = MAX_DEPTH) -> Any:
    """The value that these bytes write down; integers keep all their digits (up to 4,300).

    Raises MalformedJson for what is not JSON, InvalidInput for JSON that readers would not agree upon.
    """
    try:
        value = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as refusal:
        raise _explained(body, limit_depth, str(refusal)) from None
    few_brackets = body.count(b"[") + body.count(b"{") <= limit_depth
    if (few_brackets or is_shallow(value, limit_depth)) and _keys_stand_once(body, value):
        return value
    raise _explained(body, limit_depth, "")


def faults(value: Any, path: str = "", *, limit_depth: int = MAX_DEPTH) -> list[errors.Fault]:
    """Why this value (dicts, lists, texts, numbers) cannot be written as strict JSON: at most MAX_FAULTS places."""
    return list(islice(_faults(value, path, limit_depth), MAX_FAULTS))


def is_shallow(value: Any, limit: int = MAX_DEPTH) -> bool:
    """Whether nothing is nested deeper than the limit."""
    level = [value] if type(value) in _CONTAINERS else []
    for _ in range(limit):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) in _CONTAINERS
        ]
        if not level:
            return True
    return False


def _keys_stand_once(body: bytes, value: Any) -> bool:
    """Whether no object of this body names a key twice; `value` is what the body was decoded to.

    Decoding drops a repeated key's first value, so writing the value again gives fewer members than the body has.
    Where the two texts agree (but for white space, which can stand between tokens and within texts and changes
    neither tokens nor their number), no member was dropped. Other ways to write the same (escapes, 1e2) prove
    nothing and are looked at one by one.
    """
    again = _encode(value)
    if again == body or again.translate(None, _SPACE) == body.translate(None, _SPACE):
        return True
    try:
        _once(body.decode())
    except _StandsTwiceError:
        return False
    return True


class _StandsTwiceError(Exception):
    """Stops the reading at the first object that names a key twice."""


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        raise _StandsTwiceError


_once = json.JSONDecoder(object_pairs_hook=_distinct).decode


# ── explaining a refusal ────────────────────────────────────────────────────────────────────────────


class _Repeating(dict[str, Any]):
    """An object as it was written, with the keys that stood in it more than once."""

    repeated: tuple[str, ...] = ()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) == len(pairs):
        return value
    repeating = _Repeating(value)
    repeating.repeated = tuple(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
    return repeating


def _integer(digits: str) -> float:
    try:
        return int(digits)
    except ValueError:  # more digits than Python converts
        return math.inf


_lenient = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer).decode
"""Reads what strict reading refuses too (NaN, half surrogates, repeated keys), so that it can be pointed at."""


def _explained(body: bytes, limit: int, refusal: str) -> errors.HeliographError:
    """The error for a body that was refused: where it is wrong, and how."""
    if not body.strip(_SPACE):
        return errors.MalformedJson("the body is empty: send JSON")
    try:
        text = body.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as fault:
        return errors.MalformedJson(f"{_line_and_column(body, fault.start)}: this is not UTF-8")
    if text.startswith("\ufeff"):
        return errors.MalformedJson("line 1, column 1: leave out the byte order mark")
    try:
        found = faults(_lenient(text), limit_depth=limit)
    except json.JSONDecodeError as fault:
        return errors.MalformedJson(
            f"line {fault.lineno}, column {fault.colno}: {refusals.lowered(fault.msg)}"
        )
    except RecursionError:
        found = [errors.Fault(_deep_place(text, limit), _too_deep(limit))]
    if found:
        return errors.InvalidInput(faults=found)
    return errors.MalformedJson(f"this is not JSON: {refusal}")


def _line_and_column(body: bytes, offset: int) -> str:
    before = body[:offset].decode("utf-8", "surrogatepass")
    lines, column = before.count("\n") + 1, len(before) - before.rfind("\n")
    return f"line {lines}, column {column}"


def _faults(value: Any, path: str, limit: int, depth: int = 0) -> Iterator[errors.Fault]:
    if not isinstance(value, (dict, list)):
        fault = _leaf_fault(value)
        if fault:
            yield errors.Fault(path, fault)
        return
    if depth == limit:
        yield errors.Fault(path, _too_deep(limit))
        return
    if isinstance(value, dict):
        yield from _key_faults(value, path)
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        # Sound leaves are passed over before their path is made: a body may hold millions of them.
        if type(child) not in _LEAVES or _leaf_fault(child):
            yield from _faults(child, below(path, key), limit, depth + 1)


def _key_faults(value: dict[str, Any], path: str) -> Iterator[errors.Fault]:
    if isinstance(value, _Repeating):
        for key in value.repeated:
            yield errors.Fault(path, f"the key {_quoted(key)} stands twice")
    for key in value:
        if _is_torn(key):
            yield errors.Fault(path, f"the key {_quoted(key)} holds {_TORN}")


_TORN = "half of a surrogate pair, which is no character"


def _leaf_fault(value: Any) -> str | None:
    if isinstance(value, str):
        return f"holds {_TORN}" if _is_torn(value) else None
    if not isinstance(value, float) or math.isfinite(value):
        return None
    return (
        "is NaN, which JSON does not have" if math.isnan(value) else "is out of range: numbers end at 1.8e308"
    )


def _is_torn(text: str) -> bool:
    if text.isascii():
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _too_deep(limit: int) -> str:
    return f"is nested deeper than {limit} levels"


def _deep_place(text: str, limit: int) -> str:
    """The path of the first array or object that is nested too deep to be read at all."""
    places: list[str | int] = []
    name = ""
    for token in _TOKEN.finditer(text):
        sign = token[0][0]
        if sign == '"':
            name = token[0]
        elif sign == ":":
            places[-1] = json.loads(name)
        elif sign == ",":
            last = places[-1]
            places[-1] = last + 1 if isinstance(last, int) else last
        elif sign in "]}":
            places.pop()
        elif len(places) == limit:
            break
        else:
            places.append(0 if sign == "[" else "")
    return reduce(below, places, "")


# ── places and words ────────────────────────────────────────────────────────────────────────────────


def below(path: str, key: str | int) -> str:
    """The path of what stands under `key` (an object's key or an array's index) at `path`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not _PLAIN_KEY.fullmatch(key) or len(key) > SHOWN or _is_torn(key):
        return f"{path}[{_quoted(key)}]"
    return f"{path}.{key}" if path else key


def _quoted(word: str) -> str:
    """The word in quotes, safe to print wherever it came from, and not longer than a message bears."""
    return json.dumps(word if len(word) <= SHOWN else word[:SHOWN] + "…", ensure_ascii=_is_torn(word))


def fault_of(refusal: msgspec.ValidationError, path: str = "") -> errors.Fault:
    """What msgspec says of a value at `path`, as a fault: a missing or unknown field is named by its own path."""
    said = _VALIDATION.fullmatch(str(refusal))
    message, place = (said["message"], said["place"] or "") if said else (str(refusal), "")
    place = path + place if path else place.removeprefix(".")
    field = _FIELD.fullmatch(message)
    if not field:
        return errors.Fault(place, refusals.plainly(message))
    wrong = "is required" if field["fault"] == "missing required" else f"unknown key {_quoted(field['key'])}"
    return errors.Fault(below(place, field["key"]), wrong)


def faults_of(
    refusal: msgspec.ValidationError, given: Mapping[str, Any], kind: type[Any], path: str = ""
) -> list[errors.Fault]:
    """The same of an object of this type: each key at fault has its own, of which msgspec names none."""
    found = fault_of(refusal, path)
    name, is_below, _ = found.path.removeprefix(path).removeprefix(".").partition(_SOME_KEY)
    if not is_below or not isinstance(given.get(name), Mapping):
        return [found]
    at_keys = []
    for key, value in given[name].items():
        try:
            msgspec.convert({**given, name: {key: value}}, kind)
        except msgspec.ValidationError as again:
            before, is_here, after = fault_of(again, path).path.partition(_SOME_KEY)
            if is_here and before == below(path, name):
                at_keys.append(errors.Fault(below(before, key) + after, fault_of(again, path).message))
    return at_keys[:MAX_FAULTS] or [found]


_SOME_KEY = "[...]"


def as_struct(given: Mapping[str, Any], kind: type[Struct], path: str = "") -> Struct:
    """An object as a value of this type, which has no other fields. Raises errors.InvalidInput with their places."""
    strangers = unknown_keys(given, kind.__struct_fields__, path)
    if strangers:
        raise errors.InvalidInput(faults=strangers)
    try:
        return msgspec.convert(given, kind)
    except msgspec.ValidationError as refusal:
        raise errors.InvalidInput(faults=faults_of(refusal, given, kind, path)) from None


def changed_fields(before: msgspec.Struct, after: msgspec.Struct, names: Iterable[str]) -> list[str]:
    """Those of these fields in which two values differ, as JSON: `true` is not 1."""
    return [name for name in names if not is_same(getattr(before, name), getattr(after, name))]


def is_same(before: Any, after: Any) -> bool:
    """Whether two values say the same, as JSON."""
    return _in_order.encode(before) == _in_order.encode(after)


def choices(kind: Any) -> Sequence[str]:
    """The words of a Literal, also of one that may be left out; none of any other type."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    return next((words for one in get_args(kind) if (words := choices(one))), ())


def is_text(given: object, most: int, *, least: int = 1) -> TypeGuard[str]:
    """Whether this is a text of so many characters, none of them NUL, which no database takes in a column of texts."""
    return isinstance(given, str) and least <= len(given) <= most and "\0" not in given


def unknown_keys(given: Mapping[str, Any], known: Iterable[str], path: str) -> list[errors.Fault]:
    """One fault for each key of `given` that is not known, with the known one that it may have meant."""
    known = tuple(known)
    strangers = islice((key for key in given if key not in known), MAX_FAULTS)
    return [errors.Fault(below(path, key), unknown("key", key, known)) for key in strangers]


def unknown(kind: str, word: str, known: Iterable[str]) -> str:
    """The message for a word that is none of the known: `unknown operator "equal", did you mean "equals"?`."""
    known = tuple(known)
    near = nearest(word, known)
    if near is not None:
        return f'unknown {kind} {_quoted(word)}, did you mean "{near}"?'
    listed = f": it is one of {', '.join(known)}" if 0 < len(known) <= 20 else ""
    return f"unknown {kind} {_quoted(word)}{listed}"


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that this one was probably meant to be, or None."""
    lowered = {other.lower(): other for other in known}
    close = difflib.get_close_matches(word[:SHOWN].lower(), lowered, n=1)
    return lowered[close[0]] if close else None
