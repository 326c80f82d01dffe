"""Cuts a template into Liquid's tokens, in time that grows with its length alone.

Law: what the library's own lexer accepts is cut here into the same tokens. Its regular expressions run over
unclosed tags and long blanks again and again (200 kB of them take minutes); templates come from outside, so
here no character is looked at more than a few times.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from liquid import exceptions, token

TAG_LIMIT = 4096
"""Characters that one tag may have: within a tag the library's lexer does go back."""

_OPENING = re.compile(r"\{[{%]")
_NAME = re.compile(r"-?\s*(#|\w+)")
_VERBATIM = re.compile(r"-?\s*(raw|doc)\s*(-?)%\}")
_VERBATIM_END = {name: re.compile(rf"\{{%-?\s*end{name}\s*-?%\}}") for name in ("raw", "doc")}
_VERBATIM_KIND = {"raw": token.TOKEN_CONTENT, "doc": token.TOKEN_DOC}


class _Tag(NamedTuple):
    """`{% name expression %}`; `trims` when it ends in `-%}`."""

    start: int
    name: str
    name_at: int
    expression: str
    end: int
    trims: bool


class _Block(NamedTuple):
    """`{% raw %}text{% endraw %}`, or the same with `doc`; `trims` when its first tag ends in `-%}`."""

    name: str
    text: str
    end: int
    trims: bool


def cut(source: str) -> Iterator[token.Token]:
    """The tokens of a template; raises the library's syntax error where a tag is not closed or has no name."""
    return _Cutter(source).tokens()


class _Cutter:
    """One walk over one template; it remembers what does not come any more, so that it is looked for once."""

    __slots__ = ("source", "_gone", "_spot", "_trims")

    def __init__(self, source: str):
        self.source = source
        self._gone: set[str] = set()
        self._spot = 0
        self._trims = False

    def tokens(self) -> Iterator[token.Token]:
        while opening := _OPENING.search(self.source, self._spot):
            yield from self._text(self._spot, opening.start(), self.source.startswith("-", opening.end()))
            if self.source[opening.start() + 1] == "{":
                yield from self._output(opening.start())
            else:
                yield from self._tag_or_block(opening.start())
        yield from self._text(self._spot, len(self.source), False)

    def _text(self, start: int, end: int, trims_end: bool) -> Iterator[token.Token]:
        text = self.source[start:end]
        if self._trims:
            text = text.lstrip()
        if trims_end:
            text = text.rstrip()
        if text:
            yield self._token(token.TOKEN_CONTENT, text, start)

    def _output(self, start: int) -> Iterator[token.Token]:
        end = self._find("}}", start + 2)
        if end < 0:
            raise self._fault('"{{" is not closed by "}}"', start)
        self._keep_short(start, end)
        inner = self.source[start + 2 : end].removeprefix("-")
        self._spot, self._trims = end + 2, inner.endswith("-")
        yield self._token(token.TOKEN_OUTPUT, self.source[start : self._spot], start)
        yield self._token(token.TOKEN_EXPRESSION, inner.removesuffix("-").strip(), start + 2)

    def _tag_or_block(self, start: int) -> Iterator[token.Token]:
        block = self._block(start)
        if block:
            self._spot, self._trims = block.end, block.trims
            yield self._token(_VERBATIM_KIND[block.name], block.text, start)
            return
        tag = self._tag(start)
        if tag is None:
            raise self._fault('"{%" needs a tag\'s name and a closing "%}"', start)
        self._keep_short(start, tag.end)
        self._spot, self._trims = tag.end, tag.trims
        yield self._token(token.TOKEN_TAG, tag.name, tag.name_at)
        if tag.expression:
            yield self._token(token.TOKEN_EXPRESSION, tag.expression, tag.name_at + len(tag.name))
        if tag.name == "comment":
            yield from self._comment(tag.end)

    def _comment(self, start: int) -> Iterator[token.Token]:
        last = self._end_of_comment(start)
        if last is None:
            self._spot = len(self.source)
            return
        self._spot, self._trims = last.end, last.trims
        yield self._token(token.TOKEN_COMMENT, self.source[start : last.start], start)
        yield self._token(token.TOKEN_TAG, last.name, last.name_at)

    def _end_of_comment(self, spot: int) -> _Tag | None:
        """The tag that closes the comment whose text begins here; comments stand in comments."""
        depth = 1
        while opening := _OPENING.search(self.source, spot):
            start = opening.start()
            if self.source[start + 1] == "{":
                end = self._find("}}", start + 2)
                spot = start + 1 if end < 0 else end + 2
            elif block := self._block(start):
                spot = block.end
            elif tag := self._tag(start):
                depth += (tag.name == "comment") - (tag.name == "endcomment")
                if not depth:
                    return tag
                spot = tag.end
            else:
                spot = start + 1
        return None

    def _tag(self, start: int) -> _Tag | None:
        name = _NAME.match(self.source, start + 2)
        end = self._find("%}", name.end()) if name else -1
        if name is None or end < 0:
            return None
        inner = self.source[name.end() : end]
        return _Tag(
            start, name[1], name.start(1), inner.removesuffix("-").strip(), end + 2, inner.endswith("-")
        )

    def _block(self, start: int) -> _Block | None:
        first = _VERBATIM.match(self.source, start + 2)
        if first is None or first[1] in self._gone:
            return None
        last = _VERBATIM_END[first[1]].search(self.source, first.end())
        if last is None:
            self._gone.add(first[1])
            return None
        return _Block(first[1], self.source[first.end() : last.start()], last.end(), bool(first[2]))

    def _find(self, closing: str, spot: int) -> int:
        if closing in self._gone:
            return -1
        found = self.source.find(closing, spot)
        if found < 0:
            self._gone.add(closing)
        return found

    def _keep_short(self, start: int, end: int) -> None:
        if end - start > TAG_LIMIT:
            raise self._fault(f"a tag has more than {TAG_LIMIT:,} characters", start)

    def _fault(self, message: str, start: int) -> exceptions.LiquidSyntaxError:
        return exceptions.LiquidSyntaxError(message, token=self._token(token.TOKEN_ILLEGAL, "", start))

    def _token(self, kind: str, value: str, start: int) -> token.Token:
        return token.Token(kind, value, start, self.source)
