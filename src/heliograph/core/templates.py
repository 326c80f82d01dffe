"""Texts with Liquid in them: compiled once, filled often.

Law: a string of a rule, a step or a template is read here and nowhere else. Filling is a pure function of the
text, the context (`context_for`) and the instant: it reads no clock, renders no value twice and leaves single
braces alone. What most texts are, literal text and plain `{{ contact.given_name }}`, is filled without the
library, to the same characters; everything else goes through `template_sandbox`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import liquid
import msgspec
from liquid.builtin import content, output
from liquid.builtin.expressions import FilteredExpression

from heliograph import errors
from heliograph.core import template_filters, template_parsing, template_sandbox, template_tags

Context = Mapping[str, Any]
Segments = template_parsing.Segments
Writer = Callable[[Context, int], str]
"""How a text is filled: context and instant (µs) in, text out."""
Builder = Callable[[Context, int], Any]
"""The same for a JSON value."""

ROOTS = (
    "event",
    "event_type",
    "source",
    "channel_source",
    "payload",
    "previous",
    "message",
    "contact",
    "conversation",
    "tenant",
    "data",
)
"""Names that are never the payload's keys, even where they hold nothing."""

DEPTH = 64
"""Objects and lists within each other that a value may have."""

MANY = 32
"""Texts with tags in one value: what more of them give is weighed together."""

_NO_ROOTS: dict[str, Any] = dict.fromkeys(ROOTS)
_MISSING: Any = liquid.Undefined("")
_SPECIAL = re.compile("[&<>\"']")


class Text(msgspec.Struct, frozen=True):
    """A text, ready to be filled."""

    source: str
    path: str = ""
    """Where it stands in what was given, for errors."""
    is_static: bool = True
    """Whether it has no tags: then filling gives the source."""
    roots: frozenset[str] = frozenset()
    of_event: frozenset[str] | None = frozenset()
    """The names of `event` that it reads; None: that is only known when it is filled."""
    outputs: tuple[Segments, ...] = ()
    """The paths that it puts out without a `default`."""
    _write: Writer | None = None

    def fill(self, context: Context, now: int) -> str:
        """The text for this context at this instant (µs); what is missing is empty.

        Raises RenderFailed where a filter cannot do its work or the template asks for too much.
        """
        return self.source if self._write is None else self._write(context, now)


class Value(msgspec.Struct, frozen=True):
    """A JSON value whose strings are texts, ready to be filled."""

    source: Any
    is_static: bool = True
    """Whether no string in it has tags: then filling gives the source."""
    roots: frozenset[str] = frozenset()
    outputs: tuple[Segments, ...] = ()
    """The paths that its texts put out without a `default`."""
    _build: Builder | None = None

    def fill(self, context: Context, now: int) -> Any:
        """The value for this context at this instant (µs).

        A string that is one output tag alone becomes the JSON value it names (an empty text where that is
        missing). Parts of the source and of the context stand in the answer as they are: do not change them.
        Raises RenderFailed as a text does.
        """
        return self.source if self._build is None else self._build(context, now)


def context_for(payload: Context, /, **roots: Any) -> dict[str, Any]:
    """What texts are filled from: the roots, and the payload's keys where no root has their name.

    `message` is the payload's unless it is given; a root that is not given is null.
    """
    return {**payload, **_NO_ROOTS, "payload": payload, "message": payload.get("message"), **roots}


# ── compiling ───────────────────────────────────────────────────────────────────────────────────────


def compile_text(source: str, path: str = "", *, escape: bool = False) -> Text:
    """Read a text; raises InvalidInput at `path`, with the fault's line. With `escape`, outputs are HTML-escaped."""
    if _is_static(source):
        return Text(source, path)
    parsed = template_parsing.parse(source, path, escape)
    write = _joined(parsed, path, escape) or _rendered(parsed, path)
    return Text(source, path, False, _roots(parsed), _of_event(parsed), parsed.outputs, write)


def compile_value(source: Any, path: str = "") -> Value:
    """Read a JSON value; raises InvalidInput with the faults of all its strings, each at its place below `path`."""
    reading = _Reading()
    build = reading.part(source, path, DEPTH)
    if reading.faults:
        raise errors.InvalidInput(faults=reading.faults)
    if build and reading.texts > MANY:
        build = _kept_small(build, path)
    return Value(source, build is None, frozenset(reading.roots), tuple(reading.outputs), build)


def faults(**values: Any) -> Iterator[tuple[str, str]]:
    """The faults of named JSON values, each with its place (`fields.plan`) and message; None is no value."""
    for name, value in values.items():
        try:
            compile_value(value, name)
        except errors.InvalidInput as fault:
            yield from fault.faults


def roots_read(source: Any) -> frozenset[str]:
    """The names at the head of the paths that a text, a value, or a JSON value not yet compiled reads.

    A template's own variables may be among them. Names outside ROOTS are keys of the payload. All of ROOTS where
    a name is only known when the text is filled. The instant's names are not among them.
    """
    return source.roots if isinstance(source, (Text, Value)) else compile_value(source).roots


def paths_read(source: str) -> frozenset[tuple[str, ...]]:
    """The first two names of the paths that a text reads, without the instant's. Raises InvalidInput."""
    if _is_static(source):
        return frozenset()
    parsed = template_parsing.parse(source, "", False)
    return frozenset(path for path in parsed.paths if path[0] not in template_sandbox.INSTANTS)


def missing(compiled: Text | Value, context: Context) -> tuple[str, ...]:
    """The paths that are put out empty because the context has nothing there, as they are written."""
    return tuple(_written(path) for path in compiled.outputs if _found(context, path) is _MISSING)


def _is_static(source: str) -> bool:
    return "{{" not in source and "{%" not in source


def _roots(parsed: template_parsing.Parsed) -> frozenset[str]:
    roots = parsed.roots.difference(template_sandbox.INSTANTS)
    return frozenset(roots.union(ROOTS) if parsed.is_open else roots)


def _of_event(parsed: template_parsing.Parsed) -> frozenset[str] | None:
    names = [path[1:] for path in parsed.all_paths if path[0] == "event"]
    return None if parsed.is_open or () in names else frozenset(name for [name] in names)


def _written(path: Segments) -> str:
    return "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path).removeprefix(".")


class _Reading:
    """One value being compiled: what its strings read, and what is wrong with them."""

    def __init__(self) -> None:
        self.texts = 0
        self.faults: list[errors.Fault] = []
        self.roots: set[str] = set()
        self.outputs: dict[Segments, None] = {}

    def part(self, source: Any, path: str, depth: int) -> Builder | None:
        """How this part is filled, or None where it stays as it is."""
        if isinstance(source, str):
            return None if _is_static(source) else self._string(source, path)
        if not isinstance(source, (Mapping, list, tuple)):
            return None
        if not depth:
            self.faults.append(errors.Fault(path, f"nests more than {DEPTH} objects and lists"))
            return None
        if isinstance(source, Mapping):
            names = {key: f"{path}.{key}" if path else str(key) for key in source}
            return _filled(
                dict(source), [(key, self.part(source[key], names[key], depth - 1)) for key in source]
            )
        inner = [(index, self.part(one, f"{path}[{index}]", depth - 1)) for index, one in enumerate(source)]
        return _filled(list(source), inner)

    def _string(self, source: str, path: str) -> Builder | None:
        try:
            parsed = template_parsing.parse(source, path, False)
        except errors.InvalidInput as fault:
            self.faults.extend(fault.faults)
            return None
        self.texts += 1
        self.roots.update(_roots(parsed))
        self.outputs.update(dict.fromkeys(parsed.outputs))
        nodes = parsed.template.nodes
        if len(nodes) == 1 and isinstance(nodes[0], output.OutputNode):
            return _typed(parsed, nodes[0], path)
        return _joined(parsed, path, False) or _rendered(parsed, path)


def _filled(source: Any, parts: list[tuple[Any, Builder | None]]) -> Builder | None:
    """How an object or list is filled: a copy of it, with those parts that have tags put in."""
    moving = [(key, part) for key, part in parts if part is not None]
    if not moving:
        return None

    def build(context: Context, now: int) -> Any:
        built = source.copy()
        for key, part in moving:
            built[key] = part(context, now)
        return built

    return build


def _kept_small(build: Builder, path: str) -> Builder:
    """The same, refused where many texts that name one large value would make an endless one."""

    def weighed(context: Context, now: int) -> Any:
        built = build(context, now)
        if template_filters.weight(built) > template_sandbox.LIMIT:
            raise errors.RenderFailed.at(path, f"makes a value of more than {template_sandbox.LIMIT:,} bytes")
        return built

    return weighed


# ── filling without the library ─────────────────────────────────────────────────────────────────────


def _joined(parsed: template_parsing.Parsed, path: str, escape: bool) -> Writer | None:
    """How a text of literal parts and plain paths is filled, or None for any other."""
    pieces: list[str] = []
    lookups: list[tuple[int, Segments, bool]] = []
    for node in parsed.template.nodes:
        segments = _plain_output(node)
        if segments:
            # An index is left to `_found`: Python would find characters in a text where Liquid finds nothing.
            lookups.append((len(pieces), segments, all(isinstance(name, str) for name in segments)))
            pieces.append("")
        elif isinstance(node, content.ContentNode):
            pieces.append(node.text)
        else:
            return None
    return _filling(pieces, lookups, path, escape)


def _filling(pieces: list[str], lookups: list[tuple[int, Segments, bool]], path: str, escape: bool) -> Writer:
    """How pieces are joined: `lookups` says for empty ones of which path they are, and whether all of it are names."""
    literal = sum(map(len, pieces))
    as_text = _escaped if escape else text_of

    def write(context: Context, _now: int) -> str:
        # Written out in one piece: most texts of most messages are filled here.
        filled, size = pieces.copy(), literal
        try:
            for index, segments, is_named in lookups:
                value: Any = context if is_named else _found(context, segments)
                if is_named:
                    try:
                        for name in segments:
                            value = value[name]
                    except template_sandbox.ABSENT:
                        value = _found(context, segments)
                if value is not _MISSING:
                    text = filled[index] = value if type(value) is str and not escape else as_text(value)
                    size += len(text)
                    if size > template_sandbox.LIMIT:
                        raise liquid.exceptions.OutputStreamLimitError("", token=None)
        except template_parsing.FAULTS as fault:
            raise errors.RenderFailed.at(path, template_parsing.described(fault)) from None
        return "".join(filled)

    return write


def _plain_output(node: liquid.Node) -> Segments | None:
    """The path of `{{ contact.given_name }}`, or None for any other node."""
    if type(node) is not template_tags.Output or not isinstance(node.expression, FilteredExpression):
        return None
    segments = None if node.expression.filters else template_parsing.plain_path(node.expression.left)
    return segments if segments and segments[0] not in template_sandbox.INSTANTS else None


def text_of(value: Any) -> str:
    """What an output writes of a value, where nothing is escaped."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    return str(value) if kind is int or kind is float else template_filters.shown(value, escape=False)


def _escaped(value: Any) -> str:
    kind = type(value)
    if kind is str:
        # Most texts have nothing to escape, and looking costs a third of escaping.
        return liquid.escape(value) if _SPECIAL.search(value) else value
    return str(value) if kind is int or kind is float else template_filters.shown(value, escape=True)


def _found(context: Context, segments: Segments) -> Any:
    """What stands at a path, as Liquid walks it, or _MISSING."""
    value: Any = context
    try:
        value = context[segments[0]]  # type: ignore[index]
        for segment in segments[1:]:
            value = template_sandbox.item(value, segment)
    except template_sandbox.ABSENT:
        return _MISSING
    return value


def _json_value(found: Any) -> Any:
    # What lies in the context is JSON; only `.first` of an object is made on the way, as a pair.
    return template_filters.plain(found) if isinstance(found, (tuple, liquid.Undefined)) else found


# ── filling with it ─────────────────────────────────────────────────────────────────────────────────


def _rendered(parsed: template_parsing.Parsed, path: str) -> Writer:
    def write(context: Context, now: int) -> str:
        try:
            return template_parsing.render(parsed, context, now)
        except template_parsing.FAULTS as fault:
            raise errors.RenderFailed.at(path, template_parsing.described(fault)) from None

    return write


def _typed(parsed: template_parsing.Parsed, node: output.OutputNode, path: str) -> Builder:
    """How a string that is one output tag becomes the value it names."""
    segments = _plain_output(node)
    if segments:
        return lambda context, _now: _json_value(_found(context, segments))

    def build(context: Context, now: int) -> Any:
        try:
            return template_parsing.evaluate(parsed, node.expression, context, now)
        except template_parsing.FAULTS as fault:
            raise errors.RenderFailed.at(path, template_parsing.described(fault)) from None

    return build
