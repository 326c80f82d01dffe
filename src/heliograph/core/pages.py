"""MJML becomes the HTML that mail programs show, with Liquid in it untouched.

Law: a template's tags are taken out before the library reads the markup and put back into what it made, so nothing of
them is parsed or moved. Nothing is included from anywhere; what nests too deep or grows too large is refused before
the library sees it, because it would not come back from that.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from html import escape
from typing import Final

import mjml

from heliograph import errors

DEPTH: Final = 64
"""Elements within each other that markup may have."""
MOST: Final = 1 << 18
"""Characters of markup, and of what becomes of it."""
MOST_MARKS: Final = 5_000
"""Signs of Markdown in what is drawn at once: each takes its time, and a drawing stops for nobody."""
_MARKS: Final = "*_~`[!<&>#-\\\n"

_TAG = re.compile(r"<(/?)[a-zA-Z]([^<>]*)>")
_LIQUID = re.compile(r"\{[{%]")
_STEM = re.compile(r"hole\d+q")
_PLACE = re.compile(r"\bat position (\d+):(\d+)")


class Holes:
    """What stands in markup that the library must not read: each piece has a word in its place."""

    def __init__(self, source: str):
        """`source` is all that the markup is made of: no word that is in it is taken."""
        taken = set(_STEM.findall(source))
        self._stem = next(stem for number in itertools.count() if (stem := f"hole{number}q") not in taken)
        self._pieces: list[str] = []

    def put(self, piece: str) -> str:
        """A word that `filled` turns back into the piece."""
        self._pieces.append(piece)
        return f"{self._stem}{len(self._pieces) - 1}x"

    def cut(self, text: str, *, quoted: bool = True) -> str:
        """The text with a word for each Liquid tag; the rest is escaped, unless it is not `quoted`."""
        parts = split(text)
        parts[::2] = [self._literal(part, quoted) for part in parts[::2]]
        parts[1::2] = map(self.put, parts[1::2])
        return "".join(parts)

    @staticmethod
    def _literal(text: str, quoted: bool) -> str:
        return escape(text) if quoted else text

    def filled(self, markup: str) -> str:
        """The markup with the pieces where their words stand."""
        return re.sub(rf"{self._stem}(\d+)x", lambda word: self._pieces[int(word[1])], markup)


def marks(text: str) -> int:
    """How many signs a text has that Markdown may take for something."""
    return sum(map(text.count, _MARKS))


def too_many_marks() -> str:
    """What is wrong with a text that has too many."""
    return f"has more than {MOST_MARKS:,} signs of Markdown such as * [ ] and line breaks"


def split(text: str) -> list[str]:
    """What stands beside Liquid's tags and between them, and the tags themselves, by turns.

    What is not closed is no tag; a closing that does not come any more is looked for once.
    """
    parts, at, spot = [], 0, 0
    gone: set[str] = set()
    while opening := _LIQUID.search(text, spot):
        closing = "}}" if opening[0] == "{{" else "%}"
        end = -1 if closing in gone else text.find(closing, opening.end())
        if end < 0:
            gone.add(closing)
            spot = opening.start() + 1
        else:
            parts += [text[at : opening.start()], text[opening.start() : end + 2]]
            at = spot = end + 2
    return [*parts, text[at:]]


def html(markup: str, path: str = "") -> str:
    """The HTML of MJML without Liquid in it. Raises errors.InvalidInput at `path`."""
    if len(markup) > MOST:
        raise errors.InvalidInput.at(path, f"takes at most {MOST:,} characters")
    if _depth(_TAG.finditer(markup)) > DEPTH:
        raise errors.InvalidInput.at(path, f"nests more than {DEPTH} elements")
    try:
        made: str = mjml.mjml2html(markup)
    except ValueError as fault:
        raise errors.InvalidInput.at(path, f"is no MJML: {_told(str(fault), markup)}") from None
    if len(made) > MOST:
        raise errors.InvalidInput.at(path, f"becomes more than {MOST:,} characters of HTML")
    return made


def of_mjml(source: str, path: str = "") -> str:
    """The HTML of a whole MJML document with Liquid in it. Raises errors.InvalidInput at `path`."""
    holes = Holes(source)
    return holes.filled(html(holes.cut(source, quoted=False), path))


def _depth(tags: Iterable[re.Match[str]]) -> int:
    deepest = depth = 0
    for tag in tags:
        if not tag[2].endswith("/"):
            depth += -1 if tag[1] else 1
        deepest = max(deepest, depth)
    return deepest


def _told(fault: str, markup: str) -> str:
    place = _PLACE.search(fault)
    if place is None:
        return fault.replace(" in root template", "")
    line = markup.count("\n", 0, int(place[1])) + 1
    what = fault[: place.start()].replace(" in root template", "").strip()
    return f"line {line}: {what}"
