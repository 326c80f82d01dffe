"""Which elements of a content a channel and a locale show, and the tags around those that are shown sometimes.

Law: what a message's reader sees in HTML and in plain text comes from one walk, so both say the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from heliograph.core import brands, template_tags
from heliograph.core.elemental import reading, words

_COLOR = re.compile(r"\{brand\.colors\.([\w-]+)\}")


class Shown(NamedTuple):
    """An element that a channel shows."""

    element: Mapping[str, Any]
    before: str
    """Liquid that begins what is shown sometimes, or often; empty for most."""
    after: str


class View:
    """A content as one channel shows it, to readers of one locale, in one look."""

    def __init__(self, elements: Iterable[Mapping[str, Any]], channel: str, locale: str, look: brands.Look):
        """`locale` is one of the content's own, or empty."""
        self.look = look
        self._channel, self._locale = channel, locale
        self._refs: dict[str, str] = {}
        self._conditions: dict[int, str] = {}
        self._top = list(elements)
        # In the order of the document: an element may refer to any before it, however deep that stands.
        self._judge(self._top, "", is_shown=True)

    def _judge(self, elements: Iterable[Mapping[str, Any]], within: str, *, is_shown: bool) -> None:
        """Keep the condition of each of these elements; `within` is that of all that they stand in."""
        for one in elements:
            asked = one.get("if")
            own = "" if asked is None else words.condition(asked, self._refs)
            self._conditions[id(one)] = own
            whole = words.joined(within, own)
            shows = is_shown and self._is_ours(one)
            if one.get("ref"):
                self._refs[one["ref"]] = (whole or "true") if shows else "false"
            self._judge(one.get("elements") or (), whole, is_shown=shows)

    def _is_ours(self, element: Mapping[str, Any]) -> bool:
        channels = element.get("channels")
        return channels is None or self._channel in channels

    @property
    def top(self) -> list[Shown]:
        """The elements at the top that are shown."""
        return list(self._shown(self._top))

    def inner(self, shown: Shown) -> Iterator[Shown]:
        """The elements in one that is shown."""
        return self._shown(shown.element.get("elements") or ())

    def _shown(self, elements: Iterable[Mapping[str, Any]]) -> Iterator[Shown]:
        for one in elements:
            if self._is_ours(one) and one.get("type") != "comment":
                yield Shown(one, *_tags(self._conditions[id(one)], one.get("loop")))

    def said(self, element: Mapping[str, Any], name: str) -> str:
        """What an element says in this locale; empty where it says nothing."""
        translated = element.get("locales") or {}
        if self._locale:
            for wanted in (self._locale, self._locale.partition("-")[0]):
                for written, one in translated.items():
                    if reading.locale_name(written) == wanted and one.get(name) is not None:
                        return str(one[name])
        return str(element.get(name) or "")

    def css(self, element: Mapping[str, Any], name: str, otherwise: str | None = None) -> str | None:
        """A CSS value of an element, the brand's colour where it names one."""
        value = element.get(name)
        if value is None:
            return otherwise
        named = _COLOR.fullmatch(value)
        return self.look.colors.get(named[1], otherwise) if named else str(value)


def _tags(condition: str, loop: str | None) -> tuple[str, str]:
    before, after = "", ""
    if loop is not None:
        listed = words.path(loop.strip().removeprefix("{{").removesuffix("}}").strip())
        before, after = f"{{% for {words.ITEM} in {listed} %}}", "{% endfor %}"
    if condition:
        before = f"{before}{{% {template_tags.NAME} {condition} %}}"
        after = f"{{% {template_tags.END} %}}{after}"
    return before, after
