"""Liquid as templates may use it: no files, no clock, and an end to everything.

Law: a template is hostile until it is filled. It sees the mapping it is filled from and nothing of Python; it
loads nothing; "now" is the instant handed in. Depth, output, the size of values and the steps of a fill are
all counted, and what goes over raises. Steps are counted by what a template asks for, not by time, so a fill
that is refused once is refused always.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TextIO

import liquid
from liquid import ast, exceptions, output, undefined
from liquid.builtin import expressions
from liquid.builtin.expressions import primitive
from liquid.builtin.tags import for_tag, tablerow_tag
from liquid.expression import Expression
from liquid.utils import ReadOnlyChainMap

from heliograph import errors
from heliograph.core import template_filters, template_tags, template_tokens

LIMIT = template_filters.LIMIT
SOURCE_LIMIT = 1 << 18
"""Characters that a template with tags in it may have."""
STEPS = 250_000
"""What a fill may cost: a step is about one node or expression, one item of a list, or 256 characters."""
LOOPS = 50_000
"""Rounds of loops within loops, and numbers in a range."""
DEPTH = 30
"""Blocks within blocks."""

INSTANTS = ("now", "today")
"""Names that are always the instant handed in; a payload that has one shows it as `payload.now`."""

FAULTS = (
    liquid.exceptions.LiquidError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What filling can raise: the library's own errors, and what its filters let through (a number with too many
digits, text that is no base64)."""

ABSENT = (LookupError, TypeError)
"""What looking up raises where nothing stands."""

Segments = tuple[str | int, ...]
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


# ── looking things up ───────────────────────────────────────────────────────────────────────────────


def item(holder: Any, key: Any) -> Any:
    """What stands under a key of a mapping, a sequence or a text; raises LookupError or TypeError where nothing does.

    `size`, `first` and `last` are of the holder where it has no such key. Nothing else of Python is reached.
    """
    if isinstance(holder, (list, tuple, range)):
        if key in ("first", "last"):
            return holder[0 if key == "first" else -1]
        if key != "size":
            return holder[key]
    elif isinstance(holder, (dict, Mapping)):
        if key in holder:
            return holder[key]
        if key == "first" and holder:
            return next(iter(holder.items()))
    elif not isinstance(holder, str):
        raise KeyError(key)
    if key == "size":
        return len(holder)
    raise KeyError(key)


# ── the library, bounded ────────────────────────────────────────────────────────────────────────────


class Context(liquid.RenderContext):
    """One fill: its instant and the steps it has left."""

    __slots__ = ("now", "_sizes", "_steps")

    def __init__(self, template: liquid.BoundTemplate, values: Mapping[str, object], now: int):
        super().__init__(template, globals=values)
        self.now = _EPOCH + dt.timedelta(microseconds=now)
        # The library looks here for "now" and "today" too, but last, and it asks the clock.
        self.scope = ReadOnlyChainMap(self.locals, _instants(self.now), self.globals, self.counters)
        self._steps = STEPS
        self._sizes: dict[str, int] = {}

    def spend(self, steps: int) -> None:
        """Pay for work; raises when there is none left."""
        self._steps -= steps
        if self._steps < 0:
            raise exceptions.ResourceLimitError("takes too many steps: make its loops shorter", token=None)

    def charge(self, value: object) -> object:
        """The value, when it is not too large for a template to make; costs steps by its size."""
        if isinstance(value, int):
            if value.bit_length() > 1024:
                raise exceptions.ResourceLimitError("makes a number of more than 300 digits", token=None)
            self.spend(1)
            return value
        size = template_filters.weight(value)
        self._keep_small(size)
        self.spend(1 + (size >> 8))
        return value

    def get(
        self, path: list[object], *, token: liquid.Token | None, default: object = undefined.UNDEFINED
    ) -> object:
        """What stands at a path; reading a large value costs steps by its size, whatever is done with it."""
        root, *rest = path
        try:
            value = self.scope[root] if isinstance(root, str) else item({}, root)
            for key in rest:
                value = self.get_item(value, key)
        except ABSENT:
            return liquid.Undefined(str(root), token=token) if default is undefined.UNDEFINED else default
        if isinstance(value, str):
            self.spend(len(value) >> 8)
        elif isinstance(value, (list, dict)):
            self.spend(len(value))
        return value

    def get_item(self, obj: Any, key: Any) -> Any:
        """One step of a path."""
        if isinstance(obj, liquid.Undefined):
            return obj
        return item(obj, None if isinstance(key, liquid.Undefined) else key)

    def assign(self, key: str, val: Any) -> None:
        """Set a variable of the template's own; all of them together are bounded."""
        self.charge(val)
        self._sizes[key] = template_filters.weight(val)
        self._keep_small(sum(self._sizes.values()))
        self.spend(len(self._sizes))
        self.locals[key] = val

    def filter(self, name: str, token: liquid.Token | None) -> Callable[..., object]:
        """A filter, what it gives charged for."""
        function = super().filter(name, token)
        return lambda *given, **named: self.charge(function(*given, **named))

    def get_buffer(self, buf: TextIO | None = None) -> output.LimitedStringIO:
        """A place to write to, for what the outer one has left; line ends stay as they are."""
        used = buf.size if isinstance(buf, output.LimitedStringIO) else 0
        return output.LimitedStringIO(LIMIT - used, newline="")

    def _keep_small(self, size: int) -> None:
        if size > LIMIT:
            raise exceptions.ResourceLimitError(f"makes values of more than {LIMIT:,} bytes", token=None)


def _instants(now: dt.datetime) -> dict[str, object]:
    return {"now": f"{now.isoformat()[:19]}Z", "today": now.isoformat()[:10]}


class Template(liquid.BoundTemplate):
    """A parsed template; `partial`, which the library makes visible in each, is left to the data."""

    def make_partial_namespace(
        self, partial: bool, render_args: Mapping[str, object]
    ) -> Mapping[str, object]:
        """Nothing stands before the values handed in."""
        return render_args


class Environment(liquid.Environment):
    """The tags and filters that there are, and the bounds."""

    block_nesting_limit = DEPTH
    context_depth_limit = DEPTH
    loop_iteration_limit = LOOPS
    output_stream_limit = LIMIT
    template_class = Template

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        """The library's own, without those that load other templates, and ours."""
        super().setup_tags_and_filters(extra=extra)
        for name in ("include", "render"):
            del self.tags[name]
        self.tags[template_tags.NAME] = template_tags.ScriptIfTag(self)
        self.filters.update(template_filters.OWN)

    def error(
        self,
        exc: type[exceptions.LiquidError] | exceptions.LiquidError,
        msg: str | None = None,
        token: liquid.Token | None = None,
    ) -> None:
        """Raise it; where a tag ended too early it is said of that tag, not of nowhere."""
        if isinstance(exc, exceptions.LiquidError) and exc.token and exc.token.start_index < 0:
            exc.token = token
        super().error(exc, msg, token)

    def tokenizer(self) -> Callable[[str], Iterator[liquid.Token]]:
        """Our lexer, which is linear."""
        return template_tokens.cut


class _Toll(ast.Node):
    """Stands at the head of a loop's block and takes what one round costs."""

    __slots__ = ("steps",)

    def __init__(self, token: liquid.Token, steps: int):
        super().__init__(token)
        self.steps = steps

    def render_to_output(self, context: liquid.RenderContext, buffer: TextIO) -> int:
        """Write nothing; raises when there are no steps left."""
        if isinstance(context, Context):
            context.spend(self.steps)
        return 0


class _Range(primitive.RangeLiteral):
    """A range that is refused before anyone makes a list of it."""

    __slots__ = ()

    def evaluate(self, context: liquid.RenderContext) -> range:
        """The range."""
        made = super().evaluate(context)
        if made.stop - made.start > LOOPS:
            raise exceptions.ResourceLimitError(f"a range may have {LOOPS:,} numbers", token=self.token)
        return made


# ── reading a template ──────────────────────────────────────────────────────────────────────────────


class Parsed:
    """A template that was read and is bounded, and what it was found to read."""

    def __init__(self, template: liquid.BoundTemplate):
        self.template = template
        self.roots: set[str] = set()
        """The names at the head of its paths, its own variables among them."""
        self._paths: set[tuple[str, ...]] = set()
        self.is_open = False
        """Whether it has a path whose head is only known when it is filled: `{{ [name] }}`."""
        self.unknown: list[tuple[str, liquid.Token]] = []
        """Filters that there are not."""
        self._outputs: list[Segments] = []
        self._own: set[str] = set()
        self._static = liquid.RenderContext(template)
        self.steps = self._nodes(template.nodes)

    @property
    def outputs(self) -> tuple[Segments, ...]:
        """The paths into the data that it puts out without a default."""
        return tuple(dict.fromkeys(path for path in self._outputs if path[0] not in self._own))

    @property
    def paths(self) -> frozenset[tuple[str, ...]]:
        """The first two names of the paths that it reads, its own variables left out."""
        return frozenset(path for path in self._paths if path[0] not in self._own)

    def _nodes(self, nodes: Iterable[ast.Node]) -> int:
        """Bound the ranges and loops among these nodes; gives what passing them once costs."""
        return sum(self._node(node) for node in nodes)

    def _node(self, node: ast.Node) -> int:
        steps = 1 + sum(self._expression(one) for one in node.expressions())
        self._own.update(node.template_scope(), node.block_scope())
        if isinstance(node, liquid.builtin.output.OutputNode):
            self._output(node.expression)
        blocks = list(node.children(self._static, include_partials=False))
        if isinstance(node, (for_tag.ForNode, tablerow_tag.TablerowNode)):
            blocks.remove(node.block)
            node.block.nodes.insert(0, _Toll(node.token, self._nodes([node.block])))
        return steps + self._nodes(blocks)

    def _expression(self, one: Expression) -> int:
        if isinstance(one, primitive.RangeLiteral):
            one.__class__ = _Range  # the parser names its class, so this is the one place to change it
        elif isinstance(one, expressions.Path):
            self._root(one.path[0])
            if isinstance(one.path[0], str):
                second = one.path[1:2]
                self._paths.add((one.path[0], *(name for name in second if isinstance(name, str))))
        steps = 1
        if isinstance(one, expressions.FilteredExpression):
            filters = one.filters or []
            steps += len(filters)
            known = self.template.env.filters
            self.unknown.extend((each.name, each.token) for each in filters if each.name not in known)
        return steps + sum(self._expression(inner) for inner in one.children())

    def _root(self, root: object) -> None:
        if isinstance(root, str):
            self.roots.add(root)
        else:
            self.is_open = True

    def _output(self, expression: Expression) -> None:
        if isinstance(expression, expressions.FilteredExpression):
            path = plain_path(expression.left)
            filters = expression.filters or []
            if path and path[0] not in INSTANTS and all(each.name != "default" for each in filters):
                self._outputs.append(path)


def plain_path(expression: Expression) -> Segments | None:
    """The names and numbers of a path that is made of nothing else."""
    if not isinstance(expression, expressions.Path) or not isinstance(expression.path[0], str):
        return None
    segments = [segment for segment in expression.path if isinstance(segment, (str, int))]
    return tuple(segments) if len(segments) == len(expression.path) else None


_PLAIN, _HTML = Environment(), Environment(autoescape=True)


def parse(source: str, path: str, escape: bool) -> Parsed:
    """Read a template; raises InvalidInput with the fault's line at `path` (every filter that there is not at once)."""
    if len(source) > SOURCE_LIMIT:
        raise errors.InvalidInput.at(path, f"a template may have {SOURCE_LIMIT:,} characters")
    try:
        parsed = Parsed((_HTML if escape else _PLAIN).from_string(source))
    except FAULTS as fault:
        raise errors.InvalidInput.at(path, described(fault)) from None
    if parsed.unknown:
        raise errors.InvalidInput(faults=[_unknown(path, name, token) for name, token in parsed.unknown])
    return parsed


def _unknown(path: str, name: str, token: liquid.Token) -> errors.Fault:
    near = errors.did_you_mean(name, _PLAIN.filters)
    return errors.Fault(path, f'line {_line(token)}: unknown filter "{name}"{near}')


# ── filling it ──────────────────────────────────────────────────────────────────────────────────────


def render(parsed: Parsed, values: Mapping[str, object], now: int) -> str:
    """The template's text; raises one of FAULTS."""
    context = _begin(parsed, values, now)
    buffer = context.get_buffer()
    parsed.template.render_with_context(context, buffer)
    return buffer.getvalue()


def evaluate(parsed: Parsed, expression: Expression, values: Mapping[str, object], now: int) -> Any:
    """The JSON value of one output tag; raises one of FAULTS."""
    context = _begin(parsed, values, now)
    value = template_filters.plain(expression.evaluate(context))
    context.charge(value)
    return value


def _begin(parsed: Parsed, values: Mapping[str, object], now: int) -> Context:
    context = Context(parsed.template, values, now)
    context.spend(parsed.steps)
    return context


# ── what went wrong ─────────────────────────────────────────────────────────────────────────────────


_CLEARER: dict[type[exceptions.LiquidError], str] = {
    exceptions.BlockNestingError: f"nests more than {DEPTH} blocks",
    exceptions.ContextDepthError: f"nests more than {DEPTH} blocks",
    exceptions.LoopIterationLimitError: f"loops more than {LOOPS:,} times",
    exceptions.OutputStreamLimitError: f"puts out more than {LIMIT:,} bytes",
}


def described(fault: BaseException) -> str:
    """One of FAULTS in a sentence, with its line where that is known."""
    if isinstance(fault.__cause__, RecursionError) or isinstance(fault, RecursionError):
        return "nests too deeply"
    if not isinstance(fault, exceptions.LiquidError):
        return f"cannot be filled: {fault}"
    message = _CLEARER.get(type(fault)) or str(fault.message).replace(
        "found end of expression", "found its end"
    )
    if fault.token is None:
        return message
    return (
        f"line {_line(fault.token)}: {message}" if fault.token.start_index >= 0 else f"at the end: {message}"
    )


def _line(token: liquid.Token) -> int:
    return token.source.count("\n", 0, token.start_index) + 1
