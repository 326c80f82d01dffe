"""Elemental content as the HTML of an e-mail: through MJML, in the look of a brand, with Liquid in it.

Law: drawn once for a version of a template, a brand and a locale; what differs from person to person stays Liquid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from heliograph.core import pages
from heliograph.core.elemental import words
from heliograph.core.elemental.flow import Shown, View

_FONT: Final = "Helvetica, Arial, sans-serif"
_SIZES: Final[Mapping[str, tuple[str, str]]] = {
    "h1": ("28px", "700"),
    "h2": ("22px", "700"),
    "h3": ("18px", "700"),
    "subtext": ("12px", "400"),
}
_PRIMARY: Final = "#22577a"


class Letter:
    """One e-mail being drawn."""

    def __init__(self, view: View, holes: pages.Holes, base: Mapping[str, Any]):
        """`base` is the channel element with its measures."""
        self._view, self._look, self._base, self._holes = view, view.look, base, holes
        self._parts: list[str] = []
        self._is_open = False

    def draw(self, shown: Iterable[Shown]) -> str:
        """The whole HTML. Raises errors.InvalidInput where it grows too large."""
        self._header()
        self._elements(shown)
        self._footer()
        self._close()
        return self._holes.filled(pages.html(self._document("".join(self._parts))))

    def column(self, shown: Iterable[Shown]) -> str:
        """What stands in a column of its own."""
        self._is_open = True
        self._elements(shown)
        return "".join(self._parts)

    def _document(self, body: str) -> str:
        look = self._look
        head = self._as_it_is(look.head) if look.is_mjml else f"<mj-raw>{self._as_it_is(look.head)}</mj-raw>"
        size = self._view.css(self._base, "font_size", "15px")
        height = self._view.css(self._base, "line_height", "1.5")
        return (
            "<mjml><mj-head><mj-attributes>"
            f'<mj-all font-family="{_FONT}" />'
            f"<mj-text{words.attributes(font_size=size, line_height=height, color='#1f2933')} />"
            f"<mj-button{words.attributes(font_size=size)} />"
            f"</mj-attributes>{head if look.head else ''}</mj-head>"
            f"<mj-body{words.attributes(background_color=look.background, width=look.width)}>{body}</mj-body></mjml>"
        )

    # ── sections ────────────────────────────────────────────────────────────────────────────────────

    def _row(self, drawn: str) -> None:
        """Something in the letter's one column."""
        if not self._is_open:
            padding = self._view.css(self._base, "padding", "8px 0")
            self._parts.append(f"<mj-section{self._ground(padding)}><mj-column>")
            self._is_open = True
        self._parts.append(drawn)

    def _apart(self, drawn: str) -> None:
        """Something beside it: sections, and tags around them."""
        self._close()
        self._parts.append(drawn)

    def _close(self) -> None:
        if self._is_open:
            self._parts.append("</mj-column></mj-section>")
            self._is_open = False

    def _ground(self, padding: str | None = None) -> str:
        return words.attributes(background_color=self._look.inner_background, padding=padding)

    def _as_it_is(self, source: str) -> str:
        """MJML or HTML with words for its Liquid, and HTML that the library does not read, as one word."""
        if not source:
            return ""
        return self._holes.cut(source, quoted=False) if self._look.is_mjml else self._holes.put(source)

    def _of_its_own(self, source: str) -> None:
        """A header or footer that the look brings whole."""
        drawn = self._as_it_is(source)
        self._apart(drawn if self._look.is_mjml else f"<mj-raw>{drawn}</mj-raw>")

    def _header(self) -> None:
        look = self._look
        if look.header:
            self._of_its_own(look.header)
            return
        if look.bar_color:
            self._apart(
                f"<mj-section{words.attributes(background_color=look.bar_color, padding='3px')}>"
                "<mj-column></mj-column></mj-section>"
            )
        if look.logo:
            image, href = look.logo
            shown = words.attributes(src=image, href=href, width="140px", alt=" ")
            self._apart(
                f"<mj-section{self._ground()}><mj-column><mj-image{shown} /></mj-column></mj-section>"
            )

    def _footer(self) -> None:
        look = self._look
        if look.footer:
            self._of_its_own(look.footer)
            return
        said = words.marked(look.markdown, look.snippets, self._holes, is_block=True) if look.markdown else ""
        links = " · ".join(
            f"<a{words.attributes(href=url)}>{name.capitalize()}</a>" for name, url in look.social
        )
        if said or links:
            self._apart(
                f"<mj-section><mj-column><mj-text{words.attributes(align='center', font_size='12px', color='#6b7280')}>"
                f"{said}{links}</mj-text></mj-column></mj-section>"
            )

    # ── elements ────────────────────────────────────────────────────────────────────────────────────

    def _elements(self, shown: Iterable[Shown]) -> None:
        for one in shown:
            kind = one.element["type"]
            if kind == "meta":
                continue
            put = self._apart if kind == "columns" or _has_columns(one.element) else self._row
            if one.before:
                put(f"<mj-raw>{self._holes.put(one.before)}</mj-raw>")
            if kind in ("channel", "group"):
                self._elements(self._view.inner(one))
            else:
                put(_DRAWN[kind](self, one))
            if one.after:
                put(f"<mj-raw>{self._holes.put(one.after)}</mj-raw>")

    def _words(self, element: Mapping[str, Any], *, is_block: bool = False) -> str:
        said = self._view.said(element, "content")
        made = words.marked(said, self._look.snippets, self._holes, is_block=is_block)
        return words.styled(
            made,
            ("strong", _is_on(element, "bold")),
            ("em", _is_on(element, "italic")),
            ("u", _is_on(element, "underline")),
            ("s", _is_on(element, "strikethrough")),
        )

    def _address(self, element: Mapping[str, Any], name: str) -> str | None:
        said = self._view.said(element, name)
        return words.address(said, self._look.snippets, self._holes) if said else None

    def _quoted(self, element: Mapping[str, Any], name: str) -> str:
        return words.quoted(self._view.said(element, name), self._look.snippets, self._holes)

    def _inline(self, one: Shown) -> str:
        made = []
        for part in self._view.inner(one):
            element = part.element
            if element["type"] == "string":
                drawn = self._words(element)
            elif element["type"] == "link":
                drawn = f'<a href="{self._address(element, "href")}">{self._words(element)}</a>'
            elif element["type"] == "img":
                drawn = (
                    f'<img src="{self._address(element, "src")}" alt="{self._quoted(element, "alt_text")}" />'
                )
            else:
                drawn = self._listed(part)
            made.append(self._around(part, drawn))
        return "".join(made)

    def _around(self, one: Shown, drawn: str) -> str:
        before, after = (self._holes.put(tags) if tags else "" for tags in (one.before, one.after))
        return f"{before}{drawn}{after}"

    def text(self, one: Shown) -> str:
        """A paragraph or a heading."""
        element = one.element
        style = element.get("text_style", "text")
        size, weight = _SIZES.get(style, (None, None))
        shown = _attributes(
            align=element.get("align"),
            color=self._view.css(element, "color", "#6b7280" if style == "subtext" else None),
            font_size=self._view.css(element, "font_size", size),
            line_height=self._view.css(element, "line_height"),
            font_weight=weight,
            padding=self._view.css(element, "padding"),
        )
        said = self._words(element, is_block=element.get("format") == "markdown")
        return f"<mj-text{shown}>{said}{self._inline(one)}</mj-text>"

    def quote(self, one: Shown) -> str:
        """Words with a line beside them."""
        element = one.element
        color = self._view.css(element, "border_color", self._look.colors.get("primary", "#cbd2d9"))
        size, weight = _SIZES.get(element.get("text_style", "text"), (None, None))
        shown = _attributes(
            align=element.get("align"),
            font_size=self._view.css(element, "font_size", size),
            line_height=self._view.css(element, "line_height"),
            font_weight=weight,
        )
        style = f"border-left:4px solid {color};padding-left:12px;"
        return f'<mj-text{shown}><div style="{style}">{self._words(element)}</div></mj-text>'

    def image(self, one: Shown) -> str:
        """A picture."""
        element = one.element
        border, size = self._view.css(element, "border_color"), self._view.css(element, "border_size", "1px")
        shown = _attributes(
            align=None if element.get("align") == "full" else element.get("align"),
            width=self._view.css(element, "width"),
            padding=self._view.css(element, "padding", "0" if element.get("align") == "full" else None),
            border=f"{size} solid {border}" if border else None,
        )
        href = self._address(element, "href")
        led = f' href="{href}"' if href else ""
        alt = self._quoted(element, "alt_text")
        return f'<mj-image src="{self._address(element, "src")}" alt="{alt}"{led}{shown} />'

    def action(self, one: Shown) -> str:
        """A button or a link."""
        element, view = one.element, self._view
        style, href = element.get("style", "button"), self._address(element, "href")
        color = view.css(element, "background_color", self._look.colors.get("primary", _PRIMARY))
        size, align = view.css(element, "font_size"), element.get("align")
        if style in ("link", "tertiary"):
            shown = _attributes(align=align if align != "full" else None, font_size=size)
            tint = f' style="color:{color}"' if style == "tertiary" else ""
            return f'<mj-text{shown}><a href="{href}"{tint}>{self._words(element)}</a></mj-text>'
        border = view.css(element, "border_size", "1px")
        shown = _attributes(
            align=None if align == "full" else align,
            width="100%" if align == "full" else None,
            font_size=size,
            border_radius=view.css(element, "border_radius", "4px"),
            inner_padding=view.css(element, "padding"),
            background_color=color if style == "button" else "transparent",
            color="#ffffff" if style == "button" else color,
            border=f"{border} solid {color}" if style == "secondary" or element.get("border_size") else None,
        )
        return f'<mj-button href="{href}"{shown}>{self._words(element)}</mj-button>'

    def divider(self, one: Shown) -> str:
        """A line."""
        color = self._view.css(one.element, "color", "#cbd2d9")
        return f"<mj-divider{words.attributes(border_color=color, border_width='1px')} />"

    def html(self, one: Shown) -> str:
        """HTML as it was written."""
        said = self._holes.put(self._view.said(one.element, "content"))
        return f'<mj-raw><tr><td style="padding:10px 25px">{said}</td></tr></mj-raw>'

    def listing(self, one: Shown) -> str:
        """A list."""
        shown = _attributes(color=self._view.css(one.element, "color"))
        return f"<mj-text{shown}>{self._listed(one)}</mj-text>"

    def _listed(self, one: Shown) -> str:
        tag = "ol" if one.element.get("list_type") == "ordered" else "ul"
        items = "".join(
            self._around(item, f"<li>{self._inline(item)}</li>") for item in self._view.inner(one)
        )
        return f"<{tag}>{items}</{tag}>"

    def columns(self, one: Shown) -> str:
        """Columns beside each other."""
        made = []
        for column in self._view.inner(one):
            inside = Letter(self._view, self._holes, self._base).column(self._view.inner(column))
            shown = words.attributes(width=self._view.css(column.element, "width"))
            made.append(f"<mj-column{shown}>{inside}</mj-column>")
        return f"<mj-section{self._ground()}>{''.join(made)}</mj-section>"


_DRAWN: Final[Mapping[str, Callable[[Letter, Shown], str]]] = {
    "text": Letter.text,
    "quote": Letter.quote,
    "image": Letter.image,
    "action": Letter.action,
    "divider": Letter.divider,
    "html": Letter.html,
    "list": Letter.listing,
    "columns": Letter.columns,
}
"""How each type is drawn."""


def _attributes(**values: str | None) -> str:
    return words.attributes(**values)


def _is_on(element: Mapping[str, Any], name: str) -> bool:
    return element.get(name) in (True, "true")


def _has_columns(element: Mapping[str, Any]) -> bool:
    return any(one.get("type") == "columns" or _has_columns(one) for one in element.get("elements") or ())
