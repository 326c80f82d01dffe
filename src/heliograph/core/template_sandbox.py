"""Liquid as templates may use it: no files, no clock, and an end to everything.

Law: a template is hostile until it is filled. It sees the mapping it is filled from and nothing of Python; it
loads nothing; "now" is the instant handed in. Depth, output, the size of values and the steps of a fill are
all counted, and what goes over raises. Steps are counted by what a template asks for, not by time, so a fill
that is refused once is refused always.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TextIO

import liquid
from liquid import ast, exceptions, output, undefined
from liquid.builtin.expressions import primitive
from liquid.builtin.filters import extra as extras
from liquid.builtin.filters import string
from liquid.utils import ReadOnlyChainMap

from heliograph.core import template_filters, template_tags, template_tokens

LIMIT = template_filters.LIMIT
STEPS = 250_000
"""What a fill may cost: a step is about one node or expression, one item of a list, or 256 characters."""
LOOPS = 50_000
"""Rounds of loops within loops, and numbers in a range."""
DEPTH = 30
"""Blocks within blocks."""

INSTANTS = ("now", "today")
"""Names that are always the instant handed in; a payload that has one shows it as `payload.now`."""

ABSENT = (LookupError, TypeError)
"""What looking up raises where nothing stands."""

_OF_TEXTS = frozenset((string.__name__, extras.__name__))
"""Where the library's filters of texts stand."""
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
        for tag in template_tags.OURS:
            self.add_tag(tag)
        self.filters.update(template_filters.OWN)
        for name, function in self.filters.items():
            if name in template_filters.OF_WORDS or function.__module__ in _OF_TEXTS:
                self.filters[name] = template_filters.of_words(function)

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


class Toll(ast.Node):
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


class Range(primitive.RangeLiteral):
    """A range that is refused before anyone makes a list of it."""

    __slots__ = ()

    def evaluate(self, context: liquid.RenderContext) -> range:
        """The range."""
        made = super().evaluate(context)
        if made.stop - made.start > LOOPS:
            raise exceptions.ResourceLimitError(f"a range may have {LOOPS:,} numbers", token=self.token)
        return made
