"""Elemental content as plain text: for the text part of an e-mail, and for channels that show nothing else.

Law: it says what the HTML says, in the same order; buttons and links have their addresses beside them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from html import unescape
from typing import Any

from heliograph.core.elemental import words
from heliograph.core.elemental.flow import Shown, View

_BREAKS = frozenset(("br", "p", "div", "tr", "table", "li", "h1", "h2", "h3", "h4", "section"))
_SILENT = frozenset(("style", "script", "title"))
_MARKUP = re.compile(r"<(?:(?P<comment>!--)|(?P<end>/?)(?P<name>[a-zA-Z][^\s/>]*+|[!?/]))")
_REST = re.compile(r"(?:[^>=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')?+)*+>")
_ATTRIBUTE = re.compile(r"([^\s=/>\"']+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+)))?")
HOLDERS = frozenset(("channel", "group", "columns", "column"))
"""What shows nothing but what stands in it."""


def draw(view: View, shown: Iterable[Shown]) -> str:
    """The text as Liquid."""
    return "".join(f"{one.before}{_element(view, one)}{one.after}" for one in shown)


def _element(view: View, one: Shown) -> str:
    element = one.element
    kind = element["type"]
    if kind in HOLDERS:
        return draw(view, view.inner(one))
    said = _TOLD[kind](view, one) if kind in _TOLD else ""
    return f"{said}\n\n" if said else ""


def _words(view: View, element: Mapping[str, Any], name: str = "content", *, is_block: bool = False) -> str:
    return words.plain(view.said(element, name), view.look.snippets, is_block=is_block)


def _address(view: View, element: Mapping[str, Any]) -> str:
    return words.led_to(view.said(element, "href"), view.look.snippets)


def _inline(view: View, one: Shown, indent: str) -> str:
    made = []
    for part in view.inner(one):
        kind = part.element["type"]
        if kind == "link":
            said = f"{_words(view, part.element)} ({_address(view, part.element)})"
        elif kind == "list":
            said = f"\n{_listed(view, part, indent + '  ')}"
        else:
            said = _words(view, part.element, "alt_text" if kind == "img" else "content")
        made.append(f"{part.before}{said}{part.after}")
    return "".join(made)


def _text(view: View, one: Shown) -> str:
    is_block = one.element.get("format") == "markdown"
    return _words(view, one.element, is_block=is_block) + _inline(view, one, "")


def _quote(view: View, one: Shown) -> str:
    return "\n".join(f"> {line}" for line in _words(view, one.element).split("\n"))


def _action(view: View, one: Shown) -> str:
    return f"{_words(view, one.element)}: {_address(view, one.element)}"


def _image(view: View, one: Shown) -> str:
    return _words(view, one.element, "alt_text")


def _listing(view: View, one: Shown) -> str:
    return _listed(view, one, "").rstrip("\n")


def _listed(view: View, one: Shown, indent: str) -> str:
    is_ordered = one.element.get("list_type") == "ordered"
    made = []
    for number, item in enumerate(view.inner(one), 1):
        # Where items are repeated, only the filled text knows their numbers.
        mark = ("{{ forloop.index }}." if item.element.get("loop") else f"{number}.") if is_ordered else "-"
        made.append(f"{item.before}{indent}{mark} {_inline(view, item, indent)}\n{item.after}")
    return "".join(made)


def _html(view: View, one: Shown) -> str:
    return of_html(view.said(one.element, "content"))


def of_html(source: str) -> str:
    """What HTML says, line by line; links with their addresses. What is not closed is nothing, to the end."""
    made: list[str] = []
    links: list[str] = []
    at = 0
    while opening := _MARKUP.search(source, at):
        made.append(_shown(source[at : opening.start()]))
        name, is_end = (opening["name"] or "").lower(), opening["end"]
        at = _behind(source, opening)
        if name in _BREAKS:
            made.append("\n")
        elif name == "a" and not is_end:
            links.append(_href(source, opening.end(), at))
        elif name == "a" and links:
            target = links.pop()
            made.append(f" ({target})" if target else "")
    made.append(_shown(source[at:]))
    lines = (" ".join(line.split()) for line in "".join(made).split("\n"))
    return "\n".join(line for line in lines if line)


def _shown(text: str) -> str:
    return unescape(text).replace("\n", " ")


def _href(source: str, start: int, end: int) -> str:
    """Where the link leads whose attributes stand there; empty where to nowhere."""
    for name, *given in (found.groups("") for found in _ATTRIBUTE.finditer(source, start, end)):
        if name.lower() == "href":
            return unescape("".join(given))
    return ""


def _behind(source: str, opening: re.Match[str]) -> int:
    """Where what begins so is over."""
    if opening["comment"]:
        end = source.find("-->", opening.end())
        return len(source) if end < 0 else end + 3
    rest = _REST.match(source, opening.end())
    if rest is None:
        return len(source)
    name = opening["name"].lower()
    if name not in _SILENT or opening["end"]:
        return rest.end()
    closing = re.compile(rf"</{name}(?![\w-])[^<>]*+>", re.IGNORECASE).search(source, rest.end())
    return len(source) if closing is None else closing.end()


_TOLD: Mapping[str, Callable[[View, Shown], str]] = {
    "text": _text,
    "quote": _quote,
    "action": _action,
    "image": _image,
    "list": _listing,
    "html": _html,
    "divider": lambda _view, _one: "----",
}
