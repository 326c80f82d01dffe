"""Conditions of Elemental content: the part of JavaScript that a content's `if` is made of, as a function.

Law: a condition is read once and holds or does not, on any data: what is missing is undefined, and nothing raises.
Names, members, literals, comparisons, `!`, `&&`, `||`, `??`, `.length`, `includes`, `startsWith` and `endsWith` are
all there is; the rest of the language is refused when a template is written. So a text that many people get costs no
call of an interpreter for each of them.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from heliograph.core import scripts

UNDEFINED: Final = object()
"""What a name has that is not there."""

DEPTH: Final = 40
"""Brackets and negations within each other."""
LONGEST: Final = 2_000
"""Characters that a condition may have."""

Look = Callable[[str], object]
"""The value of a root (`data`), or UNDEFINED."""
Term = Callable[[Look], object]
Step = Callable[[object, Look], object]
"""From a value to what stands in it, or what it answers."""


class Condition(NamedTuple):
    """A condition, ready to be asked."""

    roots: frozenset[str]
    """The names at the head of its paths."""
    term: Term

    def holds(self, look: Look) -> bool:
        """Whether it holds of what is looked at."""
        return _truth(self.term(look))


def read(source: str) -> Condition:
    """Read a condition. Raises scripts.Malformed, which says what is wrong."""
    if len(source) > LONGEST:
        raise scripts.Malformed(f"a condition has {LONGEST:,} characters at most")
    reader = _Reader(scripts.tokens(source))
    term = reader.whole()
    return Condition(frozenset(reader.roots), term)


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────

_LITERALS: Final[Mapping[str, object]] = {
    "true": True,
    "false": False,
    "null": None,
    "undefined": UNDEFINED,
}
_METHODS: Final = ("includes", "startsWith", "endsWith")


class _Reader:
    """One walk over the tokens of a condition."""

    def __init__(self, tokens: Sequence[scripts.Token]):
        self._tokens, self._at, self._depth = tokens, 0, 0
        self.roots: set[str] = set()

    def whole(self) -> Term:
        """The condition, to its end."""
        if not self._tokens:
            raise scripts.Malformed("a condition is missing")
        term = self._either()
        if self._at < len(self._tokens):
            raise self._refused()
        return term

    def _refused(self) -> scripts.Malformed:
        if self._at >= len(self._tokens):
            return scripts.Malformed("something is missing at its end")
        return scripts.Malformed(
            f"{self._tokens[self._at].text!r} is out of place: a condition has names, texts, numbers,"
            f" comparisons, !, &&, ||, brackets, .length, {', '.join(_METHODS)}"
        )

    def _take(self, *marks: str) -> str | None:
        if self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token.kind == "mark" and token.text in marks:
                self._at += 1
                return token.text
        return None

    def _need(self, mark: str) -> None:
        if self._take(mark) is None:
            raise self._refused()

    def _either(self) -> Term:
        self._depth += 1
        if self._depth > DEPTH:
            raise scripts.Malformed("brackets stand too deep in each other")
        term = self._both()
        while mark := self._take("||", "??"):
            term = (_or if mark == "||" else _given)(term, self._both())
        self._depth -= 1
        return term

    def _both(self) -> Term:
        term = self._equal()
        while self._take("&&"):
            term = _and(term, self._equal())
        return term

    def _equal(self) -> Term:
        term = self._ordered()
        while mark := self._take("===", "!==", "==", "!="):
            term = _compared(_EQUALITIES[mark], term, self._ordered())
        return term

    def _ordered(self) -> Term:
        term = self._unary()
        while mark := self._take("<=", ">=", "<", ">"):
            term = _compared(_relation(mark), term, self._unary())
        return term

    def _unary(self) -> Term:
        marks = []
        while mark := self._take("!", "-"):
            marks.append(mark)
            if len(marks) > DEPTH:
                raise scripts.Malformed("negations stand too deep in each other")
        term = self._member(self._first())
        for mark in reversed(marks):
            term = _not(term) if mark == "!" else _negative(term)
        return term

    def _first(self) -> Term:
        if self._take("("):
            term = self._either()
            self._need(")")
            return term
        if self._at >= len(self._tokens):
            raise self._refused()
        token = self._tokens[self._at]
        if token.kind in ("string", "number"):
            self._at += 1
            return _constant(_literal(token))
        if token.kind != "name":
            raise self._refused()
        self._at += 1
        if token.text in _LITERALS:
            return _constant(_LITERALS[token.text])
        self.roots.add(token.text)
        name = token.text
        return lambda look: look(name)

    def _member(self, term: Term) -> Term:
        steps: list[Step] = []
        while mark := self._take(".", "?.", "["):
            if mark == "[":
                key = self._either()
                self._need("]")
                steps.append(_indexed(key))
                continue
            if self._at >= len(self._tokens) or self._tokens[self._at].kind != "name":
                raise self._refused()
            name = self._tokens[self._at].text
            self._at += 1
            if name in _METHODS and self._take("("):
                argument = self._either()
                self._need(")")
                steps.append(_method(name, argument))
            else:
                steps.append(_indexed(_constant(name)))
        return _along(term, steps) if steps else term


def _literal(token: scripts.Token) -> object:
    if token.kind == "number":
        try:
            number = float(token.text.replace("_", ""))
        except ValueError:
            raise scripts.Malformed(f"{token.text} is no number of a condition") from None
        return int(number) if number.is_integer() else number
    return _ESCAPED.sub(_unescaped, token.text[1:-1])


_ESCAPED = re.compile(r"\\(u\{[0-9a-fA-F]{1,5}\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_SHORT: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}


def _unescaped(found: re.Match[str]) -> str:
    said = found[1]
    if len(said) > 1:
        return chr(int(said[1:].strip("{}"), 16))
    return _SHORT.get(said, said)


# ── meaning ─────────────────────────────────────────────────────────────────────────────────────────


def _constant(value: object) -> Term:
    return lambda _look: value


def _not(term: Term) -> Term:
    return lambda look: not _truth(term(look))


def _negative(term: Term) -> Term:
    return lambda look: -_number(term(look))


def _and(left: Term, right: Term) -> Term:
    def both(look: Look) -> object:
        value = left(look)
        return right(look) if _truth(value) else value

    return both


def _or(left: Term, right: Term) -> Term:
    def either(look: Look) -> object:
        value = left(look)
        return value if _truth(value) else right(look)

    return either


def _given(left: Term, right: Term) -> Term:
    def given(look: Look) -> object:
        value = left(look)
        return right(look) if value is None or value is UNDEFINED else value

    return given


def _compared(how: Callable[[Any, Any], bool], left: Term, right: Term) -> Term:
    return lambda look: how(left(look), right(look))


def _along(term: Term, steps: Sequence[Step]) -> Term:
    """What is found by going on from a term: many steps nest no calls."""

    def found(look: Look) -> object:
        value = term(look)
        for step in steps:
            value = step(value, look)
        return value

    return found


def _indexed(key: Term) -> Step:
    return lambda value, look: _item(value, key(look))


_PLACE = re.compile("[0-9]{1,10}")
"""A place in a list or text: longer numbers are none, and the language refuses to read the longest."""


def _item(value: object, key: object) -> object:
    if isinstance(value, Mapping):
        return value.get(key, UNDEFINED) if isinstance(key, str) else UNDEFINED
    if not isinstance(value, (str, list, tuple)):
        return UNDEFINED
    if key == "length":
        return len(value)
    number = int(key) if isinstance(key, str) and _PLACE.fullmatch(key) else key
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number < len(value):
        return value[number]
    return UNDEFINED


def _method(name: str, argument: Term) -> Step:
    def asked(value: object, look: Look) -> object:
        wanted = argument(look)
        if isinstance(value, str):
            wanted = _text(wanted)
            if wanted is None:
                return False
            if name == "includes":
                return wanted in value
            return value.startswith(wanted) if name == "startsWith" else value.endswith(wanted)
        if isinstance(value, (list, tuple)) and name == "includes":
            return any(_same(one, wanted) for one in value)
        return False

    return asked


def _text(value: object) -> str | None:
    """What a value is as text, where a text is asked for it; None of lists and objects, which are in no text."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        return str(value)
    return next((name for name, one in _LITERALS.items() if one is value), None)


def _truth(value: object) -> bool:
    if value is UNDEFINED or value is None or value is False:
        return False
    if isinstance(value, float):
        return not (value == 0 or math.isnan(value))
    return value not in (0, "") if isinstance(value, (int, str)) else True


def _same(left: object, right: object) -> bool:
    """What `===` means."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return left is right


def _alike(left: object, right: object) -> bool:
    """What `==` means."""
    if left in (None, UNDEFINED) or right in (None, UNDEFINED):
        return left in (None, UNDEFINED) and right in (None, UNDEFINED)
    if type(left) is not type(right) and not isinstance(left, (Mapping, list, tuple)):
        return _number(left) == _number(right)
    return _same(left, right)


_EQUALITIES: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "===": _same,
    "!==": lambda left, right: not _same(left, right),
    "==": _alike,
    "!=": lambda left, right: not _alike(left, right),
}
_RELATIONS: Final = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def _relation(mark: str) -> Callable[[Any, Any], bool]:
    how = _RELATIONS[mark]

    def holds(left: object, right: object) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return bool(how(left, right))
        return bool(how(_number(left), _number(right)))

    return holds


_NUMERIC = re.compile(r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|Infinity)")


def _number(value: object) -> float:
    """What a value is as a number; what is none makes every comparison false."""
    if isinstance(value, (bool, int, float)) or value is None:
        return value or 0
    if isinstance(value, str):
        text = value.strip()
        return float(text or 0) if not text or _NUMERIC.fullmatch(text) else float("nan")
    return float("nan")
