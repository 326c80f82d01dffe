"""Expressions: what a journey's fields and conditions take from its run (J9, journeys.md 1.3 to 1.5).

Law: everything that can be wrong with the text of a field is found when it is parsed; resolving it reads the scope it
is given and nothing else. JavaScript is run by an `Evaluator` that is handed in. A value that is not there is null in a
structure; a text is never made with a hole in it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote
from zlib import crc32

from heliograph import errors
from heliograph.core import documents, scripts, values

# ── what expressions see ────────────────────────────────────────────────────────────────────────────


class Context(NamedTuple):
    """What a run holds, and what its steps have left to be read."""

    data: Mapping[str, Any]
    profile: Mapping[str, Any]
    brand: str | None = None
    template: str | None = None
    recipient: str | None = None
    steps: Mapping[str, Any] = {}
    """By `ref`: what each step that was reached shows, such as `{"status": "SENT"}`."""


class Answer(NamedTuple):
    """What became of a piece of JavaScript: its value, or why there is none."""

    value: Any
    """JSON, or values.MISSING for undefined."""
    fault: str | None = None


class Want(Enum):
    """As what a value is asked for."""

    VALUE = "value"
    """As it is."""
    TEXT = "text"
    """As text; null and undefined are MISSING."""
    TRUTH = "truth"
    """As JavaScript's own true or false."""


class Evaluator(Protocol):
    """What runs JavaScript: `javascript.Sandbox`."""

    def check(self, code: str) -> str | None:
        """Why this is no expression, or None. Runs nothing of it."""

    def evaluate(self, code: str, want: Want, given: Mapping[str, Any], now: int, seed: int) -> Answer:
        """The value of an expression; `given` holds those of its roots that it reads, and `refs`."""


class Scope(NamedTuple):
    """Where fields are resolved: in one step of one run."""

    context: Context
    evaluator: Evaluator
    now: int
    """What `Date.now()` is, in microseconds."""
    seed: int
    """Where `Math.random` begins: `seed(run, visit)`."""


def seed(run_id: bytes, visit: int) -> int:
    """Where the random numbers of one step of one run begin: the same for every replay."""
    return crc32(visit.to_bytes(4, "big"), crc32(run_id))


# ── what steps leave ────────────────────────────────────────────────────────────────────────────────


def step_reference(status: str) -> dict[str, Any]:
    """What `refs.<ref>` is for a step that sends nothing, or whose send was skipped."""
    return {"status": status}


def send_reference(statuses: Iterable[str]) -> dict[str, Any]:
    """What `refs.<ref>` is for a send: the least of its messages' statuses (A57), and how many have which.

    Where several are the least, it is the first of them by name; a send that made no message is UNROUTABLE.
    """
    counts = Counter(statuses)
    least = min(sorted(counts), key=lambda status: scripts.RANKS.get(status, 0), default="UNROUTABLE")
    return {"status": least, "counts": dict(sorted(counts.items()))}


_REF = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
MAX_REF = 100


def check_ref(given: object, path: str) -> str:
    """The name that a step is given by `ref`. Raises InvalidInput with the path."""
    if not isinstance(given, str) or not _REF.fullmatch(given) or len(given) > MAX_REF:
        raise errors.InvalidInput.at(
            path, f"is a name of letters, digits, _ and $, not beginning with a digit, {MAX_REF} at most"
        )
    if given in scripts.RESERVED:
        raise errors.InvalidInput.at(path, f'"{given}" is part of the run itself: choose another name')
    return given


# ── JavaScript ──────────────────────────────────────────────────────────────────────────────────────

MAX_CODE = 10_000
"""Characters that one expression may have."""


class Script(NamedTuple):
    """One expression that was checked."""

    source: str
    """As it was written."""
    code: str
    """As it is run: statuses are compared by rank."""
    reads: frozenset[str]
    """What it may look at: some of scripts.ROOTS, `refs.<step>`, or `refs` for all steps."""

    def answer(self, scope: Scope, want: Want) -> Answer:
        """Its value in this scope."""
        given = _given(scope.context, self.reads)
        return scope.evaluator.evaluate(
            self.code, want, given, scope.now, crc32(self.code.encode(), scope.seed)
        )


def _given(context: Context, reads: frozenset[str]) -> dict[str, Any]:
    given: dict[str, Any] = {root: getattr(context, root) for root in scripts.ROOTS if root in reads}
    steps = context.steps
    if scripts.ALL_STEPS not in reads:
        steps = {name: steps[name] for name in steps if f"refs.{name}" in reads}
    return {**given, "refs": steps}


def script(source: str, path: str, evaluator: Evaluator) -> Script:
    """The expression, checked. Raises InvalidInput with the path where it cannot be read (A46)."""
    if len(source) > MAX_CODE:
        raise errors.InvalidInput.at(path, f"an expression may have {MAX_CODE:,} characters")
    try:
        code = scripts.tokens(source)
    except scripts.Malformed as refusal:
        raise errors.InvalidInput.at(path, f"is no JavaScript expression: {refusal}") from None
    fault = scripts.fault(code)
    if fault is None:
        ranked = scripts.ranked(source, code)
        fault = evaluator.check(ranked)
        if fault is None:
            return Script(source, ranked, scripts.reads(code))
    raise errors.InvalidInput.at(path, f"is no JavaScript expression: {fault}")


# ── conditions ──────────────────────────────────────────────────────────────────────────────────────


class Judgement(NamedTuple):
    """Whether a step is to be taken, and where its condition could not be told, why (J9)."""

    holds: bool
    fault: str | None = None


def condition(given: object, path: str, evaluator: Evaluator) -> Script | None:
    """What an `if` says; None where there is none, or an empty one (A02). Raises InvalidInput with the path."""
    if given is None or given == "":
        return None
    if not isinstance(given, str):
        raise errors.InvalidInput.at(path, "is a JavaScript expression, as text")
    whole = given.strip()
    if whole.startswith("${"):
        # `if` is an expression already; some write it as they write a field.
        pieces = _parts(whole, path)
        if len(pieces) == 1:
            whole = pieces[0][1]
    return script(whole, path, evaluator)


def judge(wanted: Script | None, scope: Scope) -> Judgement:
    """Whether the condition holds: one that throws does not."""
    if wanted is None:
        return Judgement(True)
    value, fault = wanted.answer(scope, Want.TRUTH)
    return Judgement(False, fault) if fault else Judgement(bool(value))


# ── fields ──────────────────────────────────────────────────────────────────────────────────────────


class Literal(NamedTuple):
    """A value that is as it was written."""

    value: Any
    reads: frozenset[str] = frozenset()


class Accessor(NamedTuple):
    """A path into the run: `{"$ref": "data.user.id"}` or `"refs.data.user.id"`."""

    segments: tuple[str, ...]
    reads: frozenset[str]

    def value(self, context: Context) -> Any:
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

    parts: tuple[str | Script, ...]
    reads: frozenset[str]


class Items(NamedTuple):
    """A list in which something is dynamic."""

    fields: tuple[Field, ...]
    reads: frozenset[str]


class Entries(NamedTuple):
    """An object in which something is dynamic."""

    fields: Mapping[str, Field]
    reads: frozenset[str]


Field = Literal | Accessor | Script | Text | Items | Entries
"""A step's field, or part of one, as it was parsed."""


class Role(Enum):
    """What a field is for, which says what becomes of a value that is not there (A08)."""

    STRUCTURE = "structure"
    """Data: null."""
    MESSAGE = "message"
    """Words that somebody will read: it raises."""
    URL = "url"
    """An address: it raises, and what is put into a longer one is encoded (A10)."""


_SEGMENT = r"[^\s.\[\]\"'`${}()]+"
_PATH = re.compile(rf"{_SEGMENT}(?:\.{_SEGMENT}|\[\d+\]|\[\"[^\"\\]*\"\]|\['[^'\\]*'\])*")
_STEP = re.compile(rf"\[\"([^\"]*)\"\]|\['([^']*)'\]|\[(\d+)\]|\.?({_SEGMENT})")


def parse(given: Any, path: str, evaluator: Evaluator) -> Field:
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


def _parse_text(given: str, path: str, evaluator: Evaluator) -> Field:
    if given.startswith("refs.") and _PATH.fullmatch(given):
        return accessor(given, path)
    if "${" not in given:
        return Literal(given)
    pieces = _parts(given, path)
    made = tuple(script(piece, path, evaluator) if is_code else piece for is_code, piece in pieces)
    if len(made) == 1 and isinstance(made[0], Script):
        return made[0]
    return Text(made, _read_by([part for part in made if isinstance(part, Script)]))


def _parts(given: str, path: str) -> list[tuple[bool, str]]:
    try:
        return list(scripts.parts(given))
    except scripts.Malformed as refusal:
        raise errors.InvalidInput.at(path, f"has a ${{ that cannot be read: {refusal}") from None


def _parse_object(given: dict[str, Any], path: str, evaluator: Evaluator) -> Field:
    if "$ref" in given:
        if len(given) > 1:
            raise errors.InvalidInput.at(path, "has other keys beside $ref: write it alone")
        return accessor(given["$ref"], path)
    fields = _parse_each(given.items(), path, evaluator)
    parsed = tuple(fields.values())
    return Literal(given) if _is_literal(parsed) else Entries(fields, _read_by(parsed))


def _parse_each(given: Iterable[tuple[Any, Any]], path: str, evaluator: Evaluator) -> dict[Any, Field]:
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
    if isinstance(holder, list | tuple) and segment.isdecimal() and len(segment) < len("1000000000"):
        return holder[int(segment)] if int(segment) < len(holder) else values.MISSING
    if isinstance(holder, list | tuple | str) and segment == "length":
        return len(holder)
    return values.MISSING


# ── resolving ───────────────────────────────────────────────────────────────────────────────────────


def resolve(field: Field, scope: Scope, path: str, role: Role = Role.STRUCTURE) -> Any:
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


def _whole(field: Accessor | Script, scope: Scope, path: str, role: Role) -> Any:
    if isinstance(field, Accessor):
        value, told = field.value(scope.context), ".".join(field.segments)
    else:
        value, told = _evaluated(field, scope, path, Want.VALUE), f"${{{field.source}}}"
    if value is values.MISSING or value is None:
        if role is not Role.STRUCTURE:
            raise errors.RenderFailed.at(path, f"{told} is missing")
        return None
    return value


def _piece(part: Script, scope: Scope, path: str, role: Role) -> str:
    value = _evaluated(part, scope, path, Want.TEXT)
    if value is values.MISSING:
        raise errors.RenderFailed.at(path, f"${{{part.source}}} is missing, so the text would have a hole")
    return encoded(value) if role is Role.URL else str(value)


def _evaluated(wanted: Script, scope: Scope, path: str, want: Want) -> Any:
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
