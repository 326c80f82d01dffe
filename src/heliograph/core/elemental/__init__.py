"""Elemental: the content of Courier's messages, as HTML and as plain text.

Law: `define` refuses what cannot be drawn; `sources` draws what it let pass, once for a channel, a locale and a look.
What it gives is Liquid, which is compiled once and filled for each person.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import brands, pages
from heliograph.core.elemental import flow, letter, plain, reading, words

define = reading.define
locales = reading.locales


class Sources(NamedTuple):
    """The texts of a message as Liquid."""

    subject: str
    text: str
    html: str | None
    """For e-mail alone."""


def has(content: Mapping[str, Any], channel: str) -> bool:
    """Whether there is anything for a channel."""
    elements = content["elements"]
    if any(one["type"] == "channel" for one in elements):
        return any(one.get("channel") == channel for one in elements)
    return True


def sources(
    content: Mapping[str, Any],
    channel: str = "email",
    locale: str = "",
    look: brands.Look = brands.PLAIN,
) -> Sources:
    """The texts of content that passed `define`; `locale` is one of its own, or empty.

    Raises errors.InvalidInput where there is nothing for the channel, or what there is grows too large.
    """
    base, elements = _for_channel(content, channel)
    if base.get("raw") is not None:
        return _raw(base["raw"])
    view = flow.View(elements, channel, locale, look)
    shown = view.top
    title, text = _title(view, shown), plain.draw(view, shown)
    if channel != "email":
        return Sources(title, text, None)
    source = msgspec.json.encode([content, list(look)]).decode()
    return Sources(title, text, letter.Letter(view, pages.Holes(source), base).draw(shown))


def _for_channel(
    content: Mapping[str, Any], channel: str
) -> tuple[Mapping[str, Any], list[Mapping[str, Any]]]:
    elements: list[Mapping[str, Any]] = content["elements"]
    if not any(one["type"] == "channel" for one in elements):
        return {}, elements
    found = [one for one in elements if one.get("channel") == channel]
    if not found:
        raise errors.InvalidInput.at("content", f"has nothing for the channel {channel}")
    return found[0], [inner for one in found for inner in one.get("elements") or ()]


def _raw(raw: Mapping[str, Any]) -> Sources:
    html = raw.get("html")
    if raw.get("mjml"):
        html = pages.of_mjml(raw["mjml"], "mjml")
    text = raw.get("text")
    if text is None:
        text = "" if html is None else plain.of_html(html)
    return Sources(raw.get("subject") or "", text, html)


def _title(view: flow.View, shown: list[flow.Shown]) -> str:
    titles = [
        f"{one.before}{words.plain(view.said(one.element, 'title'), view.look.snippets)}{one.after}"
        for one in shown
        if one.element["type"] == "meta" and one.element.get("title")
    ]
    return "".join(titles)
