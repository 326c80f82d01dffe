"""The tag that templates have beside Liquid's own, `{% script_if CONDITION %}…{% endscript_if %}`, and outputs.

Law: an output writes no words of Python's. `script_if` is the `if` of Elemental content: its condition is read with the
template, and sees what other tags see.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TextIO

from liquid import RenderContext, Tag, Token, TokenStream, ast, exceptions, parser
from liquid.builtin import output
from liquid.builtin.expressions import Path
from liquid.builtin.tags import cycle_tag, echo_tag
from liquid.expression import Expression
from liquid.token import TOKEN_EOF, TOKEN_EXPRESSION, TOKEN_TAG

from heliograph.core import script_conditions, scripts, template_filters

NAME, END = "script_if", "endscript_if"
_ENDS = frozenset((END, TOKEN_EOF))


class Output(output.OutputNode):
    """`{{ expression }}`."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write the value."""
        return buffer.write(
            template_filters.shown(self.expression.evaluate(context), escape=context.autoescape)
        )


class OutputTag(output.Output):
    """How an output is read."""

    node_class = Output


class Echo(Output, echo_tag.EchoNode):
    """`{% echo expression %}`."""

    __slots__ = ()


class EchoTag(echo_tag.EchoTag):
    """How an echo is read."""

    node_class = Echo


class Cycle(cycle_tag.CycleNode):
    """`{% cycle group: expression, … %}`."""

    __slots__ = ()

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write the value whose turn it is."""
        values = [one.evaluate(context) for one in self.args]
        group = "" if self.group is None else str(self.group.evaluate(context))
        place = context.cycle(group or str(values), len(values))
        # A group may have had more values where it stood before.
        value = values[place] if place < len(values) else None
        return buffer.write(template_filters.shown(value, escape=context.autoescape))


class CycleTag(cycle_tag.CycleTag):
    """How a cycle is read."""

    node_class = Cycle


class _Script(Expression):
    """A condition as an expression of the library."""

    __slots__ = ("_condition", "_roots")

    def __init__(self, token: Token, condition: script_conditions.Condition):
        super().__init__(token)
        self._condition = condition
        self._roots = [Path(token, [root]) for root in sorted(condition.roots)]

    def evaluate(self, context: RenderContext) -> bool:
        """Whether it holds."""

        def look(root: str) -> object:
            return context.get([root], token=self.token, default=script_conditions.UNDEFINED)

        return self._condition.holds(look)

    def children(self) -> Iterable[Expression]:
        """What it reads."""
        return self._roots


class ScriptIf(ast.Node):
    """The tag, and what stands in it."""

    __slots__ = ("_block", "_script")

    def __init__(self, token: Token, script: _Script, block: ast.BlockNode):
        super().__init__(token)
        self._script, self._block = script, block
        self.blank = block.blank

    def render_to_output(self, context: RenderContext, buffer: TextIO) -> int:
        """Write the block where the condition holds."""
        return self._block.render(context, buffer) if self._script.evaluate(context) else 0

    def children(self, static_context: RenderContext, *, include_partials: bool = True) -> Iterable[ast.Node]:
        """The block."""
        return (self._block,)

    def expressions(self) -> Iterable[Expression]:
        """The condition."""
        return (self._script,)


class ScriptIfTag(Tag):
    """How the tag is read."""

    name = NAME
    end = END

    def parse(self, stream: TokenStream) -> ast.Node:
        """Read the tag, its block and its end."""
        token = stream.eat(TOKEN_TAG)
        written = stream.eat(TOKEN_EXPRESSION)
        try:
            condition = script_conditions.read(written.value)
        except scripts.Malformed as fault:
            raise exceptions.LiquidSyntaxError(str(fault), token=token) from None
        block = parser.get_parser(self.env).parse_block(stream, _ENDS)
        stream.expect(TOKEN_TAG, value=END)
        return ScriptIf(token, _Script(token, condition), block)


OURS = (ScriptIfTag, OutputTag, EchoTag, CycleTag)
"""What is read in our way."""
