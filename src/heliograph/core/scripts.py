"""JavaScript as text: cut into tokens, to know where it ends, what it reads and where it compares statuses.

Law: nothing is run here. Only as much of the language is known as it takes to tell code from strings, templates,
regular expressions and comments; whether the rest is right is said by the engine that runs it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from heliograph import errors

ROOTS: Final = ("data", "profile", "brand", "template", "recipient")
"""What a run holds: names in an expression, and no names for steps."""

RESERVED: Final = frozenset({*ROOTS, "refs"})
"""Names that no step may have (J11)."""

ALL_STEPS: Final = "refs"
"""What an expression reads whose steps cannot be told from its text."""

_RANKED: Final = (
    ("Unmapped", "Unroutable", "Undeliverable", "Filtered", "Throttled", "Canceled", "Skipped"),
    ("Enqueued", "Routed", "Delayed", "Digested"),
    ("Sent", "Simulated"),
    ("Delivered",),
    ("Opened",),
    ("Clicked",),
)

RANKS: Final[Mapping[str, int]] = {name.upper(): rank for rank, names in enumerate(_RANKED) for name in names}
"""How far a message has come, by its status (J10, A56); a send that was skipped has not come anywhere."""

STATUSES: Final[Mapping[str, str]] = {name: name.upper() for names in _RANKED for name in names}
"""What `MessageStatus.Opened` is: the status as text."""


class Token(NamedTuple):
    """A piece of code: `name`, `number`, `string`, `regex`, `mark`, or a template's `open`, `middle` and `close`."""

    kind: str
    text: str
    start: int
    end: int


class Malformed(ValueError):
    """The text is no JavaScript: something in it is not closed."""


# ── tokens ──────────────────────────────────────────────────────────────────────────────────────────

_TOKEN = re.compile(
    r"""
      (?P<space> [\s\ufeff]+ | //[^\n\r\u2028\u2029]* | /\*.*?\*/ )
    | (?P<number> 0[xXbBoO][\da-fA-F_]+n? | (?:\d[\d_]*\.?[\d_]* | \.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?n? )
    | (?P<name> (?: [\w$] | \\u\{[0-9a-fA-F]+\} | \\u[0-9a-fA-F]{4} )+ )
    | (?P<string> "(?:[^"\\\n\r]|\\.)*" | '(?:[^'\\\n\r]|\\.)*' )
    | (?P<mark> >>>= | \.\.\. | === | !== | \*\*= | <<= | >>= | >>> | &&= | \|\|= | \?\?= | => | == | != | <= | >=
        | && | \|\| | \?\? | \?\.(?!\d) | \+\+ | -- | [-+*/%&|^]= | << | >> | \*\* | [^"'`\\] )
    """,
    re.VERBOSE | re.DOTALL,
)
_REGEX = re.compile(r"/(?![*/])(?:[^/\\\[\n\r]|\\.|\[(?:[^\]\\\n\r]|\\.)*\])+/[\w$]*")
_TEMPLATE = re.compile(r"(?:[^\\`$]|\\.|\$(?!\{))*(`|\$\{)", re.DOTALL)

_CLOSES: Final = {"(": ")", "[": "]", "{": "}"}
_BEFORE_REGEX = re.compile("return|typeof|instanceof|in|of|new|delete|void|throw|case|do|else|yield|await")
"""Words after which a slash begins a regular expression; after other names it divides."""


def tokens(text: str, start: int = 0, *, inside: bool = False) -> list[Token]:
    """The tokens of the code that begins at `start` and goes to the end of the text.

    With `inside` the code ends at the brace that closes it, which must be there: that brace is the last token.
    Raises Malformed where a string, a template, a comment, a bracket or the code itself is not closed.
    """
    found: list[Token] = []
    closers: list[str] = []
    at = start
    while at < len(text):
        token = _next(text, at, found[-2:], closers)
        at = token.end
        if token.kind == "space":
            continue
        found.append(token)
        if token.kind == "mark" and token.text in _CLOSES:
            closers.append(_CLOSES[token.text])
        elif token.kind == "open":
            closers.append("`")
        elif token.kind == "close" or (token.kind == "mark" and token.text in ")]}"):
            if inside and not closers and token.text == "}":
                return found
            if not closers or (token.kind == "mark" and closers[-1] != token.text):
                raise Malformed(f"{token.text} closes nothing")
            closers.pop()
    if closers or inside:
        wanted = closers[-1] if closers else "}"
        raise Malformed(f"{wanted} is missing at the end")
    return found


def _next(text: str, at: int, before: Sequence[Token], closers: Sequence[str]) -> Token:
    if text[at] == "`":
        return _template(text, at, "string", "open")
    if text[at] == "}" and closers and closers[-1] == "`":
        return _template(text, at, "close", "middle")
    if text[at] == "/" and text[at + 1 : at + 2] not in ("/", "*") and _regex_may_follow(before):
        regex = _REGEX.match(text, at)
        if regex is None:
            raise Malformed("a regular expression is not closed")
        return Token("regex", regex[0], at, regex.end())
    if text.startswith("/*", at) and text.find("*/", at + 2) < 0:
        raise Malformed("a comment is not closed")
    token = _TOKEN.match(text, at)
    if token is None or token.lastgroup is None:
        raise Malformed("a string is not closed" if text[at] in "\"'" else f"{text[at]} is out of place")
    return Token(token.lastgroup, token[0], at, token.end())


def _template(text: str, at: int, closed: str, opened: str) -> Token:
    found = _TEMPLATE.match(text, at + 1)
    if found is None:
        raise Malformed("a template in backquotes is not closed")
    return Token(closed if found[1] == "`" else opened, text[at : found.end()], at, found.end())


def _regex_may_follow(before: Sequence[Token]) -> bool:
    if not before or before[-1].kind in ("open", "middle"):
        return True
    last, *ahead = reversed(before)
    if last.kind == "name":
        is_member = bool(ahead) and ahead[0].text in (".", "?.")
        return not is_member and _BEFORE_REGEX.fullmatch(last.text) is not None
    return last.kind == "mark" and last.text not in (")", "]", "}", "++", "--")


# ── text with expressions in it ─────────────────────────────────────────────────────────────────────


def parts(text: str) -> Iterator[tuple[bool, str]]:
    """The literal text and the code between `${` and `}` (true), in order; raises Malformed where one is not closed."""
    at = 0
    while (opens := text.find("${", at)) >= 0:
        if opens > at:
            yield False, text[at:opens]
        closes = tokens(text, opens + 2, inside=True)[-1]
        yield True, text[opens + 2 : closes.start]
        at = closes.end
    if at < len(text):
        yield False, text[at:]


# ── what an expression reads ────────────────────────────────────────────────────────────────────────


def reads(code: Sequence[Token]) -> frozenset[str]:
    """What of a run the code may look at: some of ROOTS, steps as `refs.name`, or `refs` for every one of them.

    It may name too much (a key called `data`), never too little.
    """
    everything = frozenset({*ROOTS, ALL_STEPS})
    found: set[str] = set()
    for place, token in enumerate(code):
        if token.kind != "name":
            continue
        if "\\" in token.text:
            return everything
        if place and code[place - 1].text in (".", "?."):
            continue
        if token.text in ROOTS:
            found.add(token.text)
        elif token.text == "refs":
            step = _member(code, place)
            if step is None:
                return everything
            found.add(step if step in ROOTS else f"refs.{step}")
    return frozenset(found)


def _member(code: Sequence[Token], place: int) -> str | None:
    """The name after the dot after this token."""
    if len(code) > place + 2 and code[place + 1].text in (".", "?.") and code[place + 2].kind == "name":
        return None if "\\" in code[place + 2].text else code[place + 2].text
    return None


# ── faults that the engine would not see ────────────────────────────────────────────────────────────


def fault(code: Sequence[Token]) -> str | None:
    """What is wrong with code that may well be read: a status that there is not, a number without an end."""
    if not code:
        return "is empty"
    for place, token in enumerate(code):
        if token.kind == "number" and token.text.endswith("n") and not token.text.startswith(("0x", "0X")):
            return f"numbers such as {token.text} are not available: write {token.text[:-1]}"
        if token.kind == "number" and token.text.endswith("n"):
            return f"numbers such as {token.text} are not available"
        if token.kind == "name" and token.text == "MessageStatus":
            status = _member(code, place)
            if status is not None and status not in STATUSES:
                return errors.unknown("message status", status, tuple(STATUSES))
    return None


# ── comparing statuses ──────────────────────────────────────────────────────────────────────────────

_RELATIONS: Final = frozenset({"<", "<=", ">", ">="})
_STOPS = re.compile(r".*=|=>|[,;:?|&^<>]|\|\||&&|\?\?|\.\.\.")
"""Marks that bind less than a comparison, or as much."""
_STOP_WORDS: Final = frozenset({"instanceof", "in", "return", "of", "case", "throw", "yield"})
_NAME: Final = r"[A-Za-z_$][\w$]*"
_STATUS = re.compile(
    rf"\(*(?:MessageStatus\.{_NAME}"
    rf"|refs(?:\??\.{_NAME}|(?:\?\.)?\[(?:\"[^\"\\]*\"|'[^'\\]*')\])\??\.status)\)*"
)


def ranked(source: str, code: Sequence[Token]) -> str:
    """The source with both sides of `<`, `<=`, `>`, `>=` as ranks wherever one is a message's status (A04)."""
    marks: list[tuple[int, int, str]] = []
    for place, token in enumerate(code):
        if token.kind == "mark" and token.text in _RELATIONS:
            left = code[_edge(code, place, -1) : place]
            right = code[place + 1 : _edge(code, place, 1) + 1]
            if left and right and (_is_status(left) or _is_status(right)):
                for side in (left, right):
                    marks += [(side[0].start, 1, "$rank("), (side[-1].end, 0, ")")]
    made, at = [], 0
    for place, _, mark in sorted(marks):
        made += [source[at:place], mark]
        at = place
    return "".join([*made, source[at:]])


def _edge(code: Sequence[Token], place: int, step: int) -> int:
    """The index of the outermost token of the operand on one side of an operator."""
    opening, closing = (")]}", "([{") if step < 0 else ("([{", ")]}")
    opens, closes = ("close", "open") if step < 0 else ("open", "close")
    depth, at = 0, place + step
    while 0 <= at < len(code):
        token = code[at]
        is_mark = token.kind == "mark"
        if token.kind == opens or (is_mark and token.text in opening):
            depth += 1
        elif token.kind == closes or (is_mark and token.text in closing):
            if depth == 0:
                break
            depth -= 1
        elif depth == 0 and _ends_operand(code, at):
            break
        at += step
    return at - step


def _ends_operand(code: Sequence[Token], at: int) -> bool:
    token = code[at]
    if token.kind == "name":
        return token.text in _STOP_WORDS and not (at and code[at - 1].text in (".", "?."))
    return token.kind == "middle" or (token.kind == "mark" and _STOPS.fullmatch(token.text) is not None)


def _is_status(side: Sequence[Token]) -> bool:
    return _STATUS.fullmatch("".join(token.text for token in side)) is not None
