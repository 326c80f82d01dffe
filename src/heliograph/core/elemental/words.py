"""The texts of Elemental content: Courier's own marks become Liquid, and Markdown becomes HTML or plain text.

Law: `{name}` is filled where the name is known and stays as written where it is not; `{{data.name}}` is filled, or
empty (engine.md E31). What is filled in later is never read as Markdown, HTML or Liquid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from html import escape
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token

from heliograph import errors
from heliograph.core import pages, script_conditions, scripts

ITEM: Final = "loop_item"
"""What `$.item` is called in Liquid."""
_UNWRAPPED = re.compile(r"\{\{([^{}]*)\}\}")
_NAME = re.compile(r"\{([A-Za-z_$][\w$-]*(?:\.[\w$-]+)*)\}")
_HELPER = re.compile(r"\{\{\s*(\w+)\s+(\S+)(?:\s+(\S+))?\s*\}\}")
_SNIPPET = re.compile(r"\{\{>\s*([\w-]+)\s*\}\}")
_LOOPED = re.compile(r"(?<![\w.$])\$\.(item|index)\b")
_HELPERS: Final[Mapping[str, str]] = {
    "add": "plus",
    "subtract": "minus",
    "multiply": "times",
    "divide": "divided_by",
    "mod": "modulo",
    "abs": "abs",
    "ceil": "ceil",
    "floor": "floor",
    "round": "round",
}

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True, "xhtmlOut": True}).enable(
    "strikethrough"
)


def liquid(text: str, snippets: Mapping[str, str]) -> str:
    """A text of Courier's as Liquid. Raises RenderFailed where its snippets make it too large to be drawn."""
    if snippets:
        names = _SNIPPET.findall(text)
        if len(text) + sum(len(snippets.get(name, "")) for name in names) > pages.MOST:
            raise errors.RenderFailed.at("snippets", f"make a text of more than {pages.MOST:,} characters")
    text = _SNIPPET.sub(lambda found: snippets.get(found[1], ""), text)
    parts = pages.split(text)
    parts[::2] = [_NAME.sub(_named, part) for part in parts[::2]]
    parts[1::2] = [looped(_HELPER.sub(_helped, tag)) for tag in parts[1::2]]
    return "".join(parts)


def looped(code: str) -> str:
    """`$.item` and `$.index` by their names in Liquid."""
    return _LOOPED.sub(lambda found: ITEM if found[1] == "item" else "forloop.index0", code)


def path(written: str) -> str:
    """A dotted path as Liquid writes it: positions in brackets."""
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", looped(written))


def _named(found: re.Match[str]) -> str:
    name = found[1]
    if "$" in _LOOPED.sub("", name):
        return found[0]
    return f'{{{{ {path(name)} | written: "{name}" }}}}'


def _helped(found: re.Match[str]) -> str:
    name, first, second = found.groups()
    if name not in _HELPERS:
        return found[0]
    argument = f": {second}" if second is not None else ""
    return f"{{{{ {first} | {_HELPERS[name]}{argument} }}}}"


# ── conditions and lists ────────────────────────────────────────────────────────────────────────────


def unwrapped(written: str) -> str:
    """The path of a loop, without braces around it."""
    return _UNWRAPPED.sub(r"\1", written).strip()


def condition(written: str, refs: Mapping[str, str]) -> str:
    """An element's `if` as a condition of ours: braces around names fall away, references are what they stand for.

    Raises scripts.Malformed.
    """
    source = looped(_UNWRAPPED.sub(r"(\1)", written))
    made, at = [], 0
    code = scripts.tokens(source)
    for place, token in enumerate(code):
        if token.kind != "name" or token.text != "refs" or (place and code[place - 1].text in (".", "?.")):
            continue
        member = [one.text for one in code[place + 1 : place + 5]]
        if len(member) < 4 or member[0] not in (".", "?.") or member[3] != "visible":
            raise scripts.Malformed("of another element, refs.NAME.visible is all that can be asked")
        if member[1] not in refs:
            raise scripts.Malformed(f"there is no element with the ref {member[1]!r} before this one")
        made += [source[at : token.start], f"({refs[member[1]]})"]
        at = code[place + 4].end
    source = "".join([*made, source[at:]])
    script_conditions.read(source)
    if "%}" in source:
        raise scripts.Malformed('a condition may not hold "%}"')
    return source


def joined(within: str, own: str) -> str:
    """The condition of an element that stands within another; empty where neither has one."""
    return " && ".join(f"({part})" for part in (within, own) if part)


# ── Markdown ────────────────────────────────────────────────────────────────────────────────────────


def marked(text: str, snippets: Mapping[str, str], holes: pages.Holes, *, is_block: bool = False) -> str:
    """A text as HTML: its own marks as tags (as paragraphs and lists with `is_block`), with words for its Liquid."""
    cut = holes.cut(liquid(text, snippets), quoted=False)
    made: str = _MARKDOWN.render(cut) if is_block else _MARKDOWN.renderInline(cut)
    return made


def quoted(text: str, snippets: Mapping[str, str], holes: pages.Holes) -> str:
    """A text as it stands, escaped for HTML, with words for its Liquid."""
    return holes.cut(liquid(text, snippets))


def address(text: str, snippets: Mapping[str, str], holes: pages.Holes) -> str:
    """An address for an attribute."""
    return holes.cut(led_to(text, snippets))


def led_to(text: str, snippets: Mapping[str, str]) -> str:
    """An address as Liquid; what a tag at its beginning gives must be one that may be led to, or it is nothing."""
    made = liquid(text.strip(), snippets)
    first = re.match(r"\{\{(.*?)\}\}", made, re.DOTALL)
    if first is not None:
        made = f"{{{{{first[1].rstrip('-')}| web_address }}}}{made[first.end() :]}"
    return made


def plain(text: str, snippets: Mapping[str, str], *, is_block: bool = False) -> str:
    """A text as Liquid without marks: what stands between them, links with their addresses."""
    source = liquid(text, snippets)
    holes = pages.Holes(source)
    cut = holes.cut(source, quoted=False)
    tokens = _MARKDOWN.parse(cut) if is_block else _MARKDOWN.parseInline(cut)
    return holes.filled(_told(tokens)).strip("\n")


def _told(tokens: list[Token]) -> str:
    made: list[str] = []
    links: list[str] = []
    for token in tokens:
        if token.children:
            made.append(_told(token.children))
        elif token.type in ("text", "code_inline", "code_block", "fence"):
            made.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            made.append("\n")
        elif token.type == "link_open":
            links.append(str(token.attrs.get("href", "")))
        elif token.type == "link_close":
            made.append(_led_to(made, links.pop()))
        elif token.type == "list_item_open":
            made.append("- ")
        elif token.type in ("paragraph_close", "heading_close"):
            made.append("\n" if token.hidden else "\n\n")
    return "".join(made)


def _led_to(made: list[str], target: str) -> str:
    return "" if made and made[-1] == target else f" ({target})"


def styled(html: str, *marks: tuple[str, bool]) -> str:
    """The HTML within these tags, of those that are wanted."""
    for tag, wanted in marks:
        if wanted:
            html = f"<{tag}>{html}</{tag}>"
    return html


def attributes(**values: str | None) -> str:
    """Attributes of an element; `font_size` is `font-size`, those without a value are left out."""
    return "".join(f' {name.replace("_", "-")}="{escape(value)}"' for name, value in values.items() if value)
