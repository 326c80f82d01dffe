"""The plainest conditions of journeys, answered here: paths compared with literals, joined by `&&` or by `||`.

Law: an answer is what JavaScript would say, or there is none and the sandbox is asked: where something is not there,
where kinds are mixed, where a number is too large to be exact. A call of the sandbox costs two changes of process, and
most conditions that people write are of this kind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from heliograph.core import scripts

_UNSURE: Final = object()
_EXACT: Final = 2**53
_NUMBER = re.compile(r"(?:0|[1-9]\d*)(?:\.\d+)?")
_LITERALS: Final[Mapping[str, Any]] = {"true": True, "false": False, "null": None}
_KINDS: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "truth",
    str: "text",
    int: "number",
    float: "number",
}
"""The kind of each value that can be compared; of objects and lists there is none, nor of what is not there."""
_EQUAL: Final = frozenset({"===", "!==", "==", "!="})
_ORDER: Final = frozenset({"<", "<=", ">", ">="})


class Side(NamedTuple):
    """One side of a comparison: a path, or where that is empty a literal."""

    path: tuple[str, ...] = ()
    literal: Any = None
    is_status: bool = False
    """Whether it is the status of a message, which is compared by rank (journeys.md A04)."""


class Term(NamedTuple):
    """A comparison; with no mark, whether the left side is true."""

    left: Side
    mark: str = ""
    right: Side = Side()


class Plain(NamedTuple):
    """A condition that was read."""

    terms: tuple[Term, ...]
    joined: str
    """`&&` or `||`."""

    def holds(self, given: Mapping[str, Any]) -> bool | None:
        """Whether it holds of the run that is given by its roots; None where the sandbox has to say."""
        for term in self.terms:
            told = _told(term, given)
            if told is None or told is (self.joined == "||"):
                return told
        return self.joined == "&&"


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def read(code: Sequence[scripts.Token]) -> Plain | None:
    """The condition that these tokens are, or None where they are another one."""
    joints = {token.text for token in code if token.kind == "mark" and token.text in ("&&", "||")}
    if len(joints) > 1:
        return None
    joined = joints.pop() if joints else "&&"
    terms: list[Term] = []
    part: list[scripts.Token] = []
    for token in (*code, scripts.Token("mark", joined, 0, 0)):
        if token.kind == "mark" and token.text == joined:
            term = _term(part)
            if term is None:
                return None
            terms.append(term)
            part = []
        else:
            part.append(token)
    return Plain(tuple(terms), joined)


def _term(code: Sequence[scripts.Token]) -> Term | None:
    place = next(
        (n for n, one in enumerate(code) if one.kind == "mark" and one.text in _EQUAL | _ORDER), None
    )
    left = _side(code if place is None else code[:place])
    if place is None:
        return None if left is None or not left.path else Term(left)
    right = _side(code[place + 1 :])
    return None if left is None or right is None else Term(left, code[place].text, right)


def _side(code: Sequence[scripts.Token]) -> Side | None:
    if len(code) == 1 and code[0].kind != "name":
        return _literal(code[0])
    if len(code) == 1 and code[0].text in _LITERALS:
        return Side(literal=_LITERALS[code[0].text])
    names = [one.text for one in code[::2]]
    is_path = len(code) % 2 == 1 and all(one.kind == "name" for one in code[::2])
    if not is_path or any(one.text != "." for one in code[1::2]) or any("\\" in name for name in names):
        return None
    if names[0] == "MessageStatus" and len(names) == 2 and names[1] in scripts.STATUSES:
        return Side(literal=scripts.STATUSES[names[1]], is_status=True)
    if names[0] in (*scripts.ROOTS, "refs"):
        is_status = len(names) == 3 and (names[0], names[2]) == ("refs", "status")
        # `refs.data` is `data` (A09).
        is_of_run = names[0] == "refs" and len(names) > 1 and names[1] in scripts.ROOTS
        return Side(tuple(names[1:] if is_of_run else names), is_status=is_status)
    return None


def _literal(token: scripts.Token) -> Side | None:
    if token.kind == "number" and _NUMBER.fullmatch(token.text):
        return Side(literal=float(token.text))
    if token.kind == "string" and token.text[0] in "\"'" and "\\" not in token.text:
        return Side(literal=token.text[1:-1])
    return None


# ── comparing ───────────────────────────────────────────────────────────────────────────────────────


def _told(term: Term, given: Mapping[str, Any]) -> bool | None:
    left = _value(term.left, given)
    if left is _UNSURE:
        return None
    kind = _KINDS.get(type(left))
    if not term.mark:
        return kind is None or bool(left)
    right = _value(term.right, given)
    other = _KINDS.get(type(right))
    if kind is None or other is None:
        return None
    if term.mark in _ORDER:
        return _ordered(term, left, right)
    if kind != other:
        is_strict = len(term.mark) == 3
        # Loosely, text and numbers and truth are turned into each other; null into nothing.
        return term.mark[0] == "!" if is_strict or left is None or right is None else None
    return (left == right) is (term.mark[0] == "=")


def _ordered(term: Term, left: Any, right: Any) -> bool | None:
    if term.left.is_status or term.right.is_status:
        if left not in scripts.RANKS or right not in scripts.RANKS:
            return None
        left, right = scripts.RANKS[left], scripts.RANKS[right]
    elif not _KINDS[type(left)] == _KINDS[type(right)] == "number":
        return None
    if term.mark[0] == "<":
        return bool(left < right or (term.mark == "<=" and left == right))
    return bool(left > right or (term.mark == ">=" and left == right))


def _value(side: Side, given: Mapping[str, Any]) -> Any:
    if not side.path:
        return side.literal
    found: Any = given
    for name in side.path:
        if not isinstance(found, dict) or name not in found:
            return _UNSURE
        found = found[name]
    if _KINDS.get(type(found)) == "number" and not -_EXACT <= found <= _EXACT:
        return _UNSURE
    return found
