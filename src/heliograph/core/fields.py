"""Fields of a journey's steps: literal, or taken from the run at any depth (journeys.md 1.3).

Law: a field is parsed once, and resolved in the scope of a step. A value that is not there is null in a structure; a
text is never made with a hole in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import quote

from heliograph import errors
from heliograph.core import courier_text, documents, expressions, scripts, values

# ── what a field may be ──────────────────────────────────────────────────────────────────────────────────────────


class Literal(NamedTuple):
    """A value that is as it was written."""

    value: Any
    reads: frozenset[str] = frozenset()


class Accessor(NamedTuple):
    """A path into the run: `{"$ref": "data.user.id"}` or `"refs.data.user.id"`."""

    segments: tuple[str, ...]
    reads: frozenset[str]

    def value(self, context: expressions.Context) -> Any:
        """What stands there, or MISSING."""
        root, *rest = self.segments
        there: Any = (
            getattr(context, root) if root in scripts.ROOTS else context.steps.get(root, values.MISSING)
        )
        for segment in rest:
            there = _item(there, segment)
        return there


class Text(NamedTuple):
    """A text with expressions in it."""

    parts: tuple[str | expressions.Script, ...]
    reads: frozenset[str]


class Items(NamedTuple):
    """A list in which something is dynamic."""

    fields: tuple[Field, ...]
    reads: frozenset[str]


class Entries(NamedTuple):
    """An object in which something is dynamic."""

    fields: Mapping[str, Field]
    reads: frozenset[str]


Field = Literal | Accessor | expressions.Script | Text | Items | Entries
"""A step's field, or part of one, as it was parsed."""


class Role(Enum):
    """What a field is for, which says what becomes of a value that is not there (A08)."""

    STRUCTURE = "structure"
    """Data: null."""
    MESSAGE = "message"
    """Words that somebody will read: it raises."""
    URL = "url"
    """An address: it raises, and what is put into a longer one is encoded (A10)."""
    CONTENT = "content"
    """Words in which `{name}` is filled later: it raises, and what is put in has no such names (courier_text)."""


_SEGMENT = r"[^\s.\[\]\"'`${}()]+"
_PATH = re.compile(rf"{_SEGMENT}(?:\.{_SEGMENT}|\[\d+\]|\[\"[^\"\\]*\"\]|\['[^'\\]*'\])*")
_STEP = re.compile(rf"\[\"([^\"]*)\"\]|\['([^']*)'\]|\[(\d+)\]|\.?({_SEGMENT})")


def parse(given: Any, path: str, evaluator: expressions.Evaluator) -> Field:
    """The field that this JSON value is, dynamic at any depth. Raises InvalidInput with every fault found."""
    if isinstance(given, str):
        return _parse_text(given, path, evaluator)
    if isinstance(given, dict):
        return _parse_object(given, path, evaluator)
    if isinstance(given, list):
        fields = _parse_each(((index, item) for index, item in enumerate(given)), path, evaluator)
        items = tuple(fields.values())
        return Literal(given) if _is_literal(items) else Items(items, _read_by(items))
    return Literal(given)


def _parse_text(given: str, path: str, evaluator: expressions.Evaluator) -> Field:
    if given.startswith("refs.") and _PATH.fullmatch(given):
        return accessor(given, path)
    if "${" not in given:
        return Literal(given)
    pieces = expressions.pieces(given, path)
    made = tuple(
        expressions.script(piece, path, evaluator) if is_code else piece for is_code, piece in pieces
    )
    if len(made) == 1 and isinstance(made[0], expressions.Script):
        return made[0]
    return Text(made, _read_by([part for part in made if isinstance(part, expressions.Script)]))


def _parse_object(given: dict[str, Any], path: str, evaluator: expressions.Evaluator) -> Field:
    if "$ref" in given:
        if len(given) > 1:
            raise errors.InvalidInput.at(path, "has other keys beside $ref: write it alone")
        return accessor(given["$ref"], path)
    fields = _parse_each(given.items(), path, evaluator)
    parsed = tuple(fields.values())
    return Literal(given) if _is_literal(parsed) else Entries(fields, _read_by(parsed))


def _parse_each(
    given: Iterable[tuple[Any, Any]], path: str, evaluator: expressions.Evaluator
) -> dict[Any, Field]:
    parsed: dict[Any, Field] = {}
    faults: list[errors.Fault] = []
    for key, item in given:
        try:
            parsed[key] = parse(item, documents.below(path, key), evaluator)
        except errors.InvalidInput as refusal:
            faults += refusal.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
    return parsed


def _is_literal(fields: Iterable[Field]) -> bool:
    return all(isinstance(field, Literal) for field in fields)


def is_dynamic(given: object) -> bool:
    """Whether something in this is taken from the run; an `if` in it is nothing that is."""
    if isinstance(given, str):
        return given.startswith("refs.") or "${" in given
    if isinstance(given, dict):
        return "$ref" in given or any(is_dynamic(one) for key, one in given.items() if key != "if")
    return isinstance(given, list) and any(map(is_dynamic, given))


def is_whole(given: object) -> bool:
    """Whether all of an object is taken from the run: by a reference, or a text that comes to one."""
    return "$ref" in given if isinstance(given, dict) else isinstance(given, str) and is_dynamic(given)


def known(field: Field | None) -> Any:
    """What of a field is known before any run, without what is not; MISSING where nothing is."""
    if isinstance(field, Literal):
        return field.value
    if isinstance(field, Items):
        return [value for one in field.fields if (value := known(one)) is not values.MISSING]
    if isinstance(field, Entries):
        return {
            key: value for key, one in field.fields.items() if (value := known(one)) is not values.MISSING
        }
    return values.MISSING


def _read_by(fields: Iterable[Field]) -> frozenset[str]:
    return frozenset().union(*(field.reads for field in fields))


def accessor(given: object, path: str) -> Accessor:
    """The path that `$ref` names; `refs.data.x` is `data.x` (A09). Raises InvalidInput with the path."""
    if not isinstance(given, str) or not _PATH.fullmatch(given):
        raise errors.InvalidInput.at(
            path, 'is a path into the run such as "data.user.id" or "welcome.status"'
        )
    steps = ("".join(found) for found in _STEP.findall(given))
    segments = tuple(step for step in steps)
    if segments[0] == "refs":
        segments = segments[1:]
    if not segments:
        raise errors.InvalidInput.at(path, 'says nothing of what to read: write it as in "refs.data.user.id"')
    root = segments[0]
    return Accessor(segments, frozenset({root if root in scripts.ROOTS else f"refs.{root}"}))


def _item(holder: Any, segment: str) -> Any:
    """What stands under a segment of a path: a key, a place in a list, or the length of a list or text."""
    if isinstance(holder, Mapping):
        return holder.get(segment, values.MISSING)
    if isinstance(holder, list | tuple) and values.is_place(segment):
        return holder[int(segment)] if int(segment) < len(holder) else values.MISSING
    if isinstance(holder, list | tuple | str) and segment == "length":
        return len(holder)
    return values.MISSING


# ── resolving ───────────────────────────────────────────────────────────────────────────────────────


def resolve(field: Field, scope: expressions.Scope, path: str, role: Role = Role.STRUCTURE) -> Any:
    """The field's JSON value in this scope.

    Raises RenderFailed with the path where an expression throws (A50), and where a text would have a hole.
    """
    match field:
        case Literal():
            return field.value
        case Items():
            return [
                resolve(item, scope, documents.below(path, index), role)
                for index, item in enumerate(field.fields)
            ]
        case Entries():
            return {
                key: resolve(item, scope, documents.below(path, key), role)
                for key, item in field.fields.items()
            }
        case Text():
            return "".join(
                part if isinstance(part, str) else _piece(part, scope, path, role) for part in field.parts
            )
    return _whole(field, scope, path, role)


def resolve_or(field: Field | None, otherwise: Any, scope: expressions.Scope, path: str) -> Any:
    """The same of a message's field that may be left out, or say nothing: then it is `otherwise` (A02)."""
    said = None if field is None else resolve(field, scope, path, Role.MESSAGE)
    return otherwise if said in (None, "") else said


def _whole(field: Accessor | expressions.Script, scope: expressions.Scope, path: str, role: Role) -> Any:
    if isinstance(field, Accessor):
        value, told = field.value(scope.context), ".".join(field.segments)
    else:
        value, told = _evaluated(field, scope, path, expressions.Want.VALUE), f"${{{field.source}}}"
    if value is values.MISSING or value is None:
        if role is not Role.STRUCTURE:
            raise errors.RenderFailed.at(path, f"{told} is missing")
        return None
    return courier_text.as_it_is(value) if role is Role.CONTENT and isinstance(value, str) else value


def _piece(part: expressions.Script, scope: expressions.Scope, path: str, role: Role) -> str:
    value = _evaluated(part, scope, path, expressions.Want.TEXT)
    if value is values.MISSING:
        raise errors.RenderFailed.at(path, f"${{{part.source}}} is missing, so the text would have a hole")
    if role is Role.CONTENT:
        return courier_text.as_it_is(str(value))
    return encoded(value) if role is Role.URL else str(value)


def _evaluated(
    wanted: expressions.Script, scope: expressions.Scope, path: str, want: expressions.Want
) -> Any:
    value, fault = wanted.answer(scope, want)
    if fault is not None:
        raise errors.RenderFailed.at(path, f"${{{wanted.source}}}: {fault}")
    return value


def encoded(value: str) -> str:
    """The value as a part of a URL that cannot change what the rest of it means.

    As `encodeURIComponent` does it; a value of dots alone, which would lead up the path, is encoded too.
    """
    if value in (".", ".."):
        return value.replace(".", "%2E")
    return quote(value, safe="!'()*", errors="replace")
