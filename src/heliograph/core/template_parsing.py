"""Templates, read and filled: what they name is found when they are read, and what they may cost is bounded.

Law: a template that was read raises nothing but FAULTS when it is filled. What it may reach and spend is said by its
sandbox (template_sandbox.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import liquid
from liquid import ast, exceptions
from liquid.builtin import expressions
from liquid.builtin.expressions import primitive
from liquid.builtin.tags import for_tag, tablerow_tag
from liquid.expression import Expression

from heliograph import errors
from heliograph.core import template_filters, template_sandbox

SOURCE_LIMIT = 1 << 18
"""Characters that a template with tags in it may have."""
FAULTS = (
    exceptions.LiquidError,
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
Segments = tuple[str | int, ...]


# ── reading a template ──────────────────────────────────────────────────────────────────────────────


class Parsed:
    """A template that was read and is bounded, and what it was found to read."""

    def __init__(self, template: liquid.BoundTemplate):
        self.template = template
        self.roots: set[str] = set()
        """The names at the head of its paths, its own variables among them."""
        self.all_paths: set[tuple[str, ...]] = set()
        """The first two names of the paths that it reads, its own variables among them."""
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
        return frozenset(path for path in self.all_paths if path[0] not in self._own)

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
            node.block.nodes.insert(0, template_sandbox.Toll(node.token, self._nodes([node.block])))
        return steps + self._nodes(blocks)

    def _expression(self, one: Expression) -> int:
        if isinstance(one, primitive.RangeLiteral):
            one.__class__ = (
                template_sandbox.Range
            )  # the parser names its class, so this is the one place to change it
        elif isinstance(one, expressions.Path):
            self._root(one.path[0])
            if isinstance(one.path[0], str):
                second = one.path[1:2]
                self.all_paths.add((one.path[0], *(name for name in second if isinstance(name, str))))
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
            if (
                path
                and path[0] not in template_sandbox.INSTANTS
                and all(each.name != "default" for each in filters)
            ):
                self._outputs.append(path)


def plain_path(expression: Expression) -> Segments | None:
    """The names and numbers of a path that is made of nothing else."""
    if not isinstance(expression, expressions.Path) or not isinstance(expression.path[0], str):
        return None
    segments = [segment for segment in expression.path if isinstance(segment, (str, int))]
    return tuple(segments) if len(segments) == len(expression.path) else None


_PLAIN, _HTML = template_sandbox.Environment(), template_sandbox.Environment(autoescape=True)


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


def _begin(parsed: Parsed, values: Mapping[str, object], now: int) -> template_sandbox.Context:
    context = template_sandbox.Context(parsed.template, values, now)
    context.spend(parsed.steps)
    return context


# ── what went wrong ─────────────────────────────────────────────────────────────────────────────────


_CLEARER: dict[type[exceptions.LiquidError], str] = {
    exceptions.BlockNestingError: f"nests more than {template_sandbox.DEPTH} blocks",
    exceptions.ContextDepthError: f"nests more than {template_sandbox.DEPTH} blocks",
    exceptions.LoopIterationLimitError: f"loops more than {template_sandbox.LOOPS:,} times",
    exceptions.OutputStreamLimitError: f"puts out more than {template_sandbox.LIMIT:,} bytes",
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
