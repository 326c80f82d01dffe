"""Elemental: the content of Courier's messages, as HTML and as plain text.

Law: `define` refuses what cannot be drawn; `sources` draws what it let pass, once for a channel, a locale and a look.
What it gives is Liquid, which is compiled once and filled for each person.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import brands, pages
from heliograph.core.elemental import flow, letter, plain, reading, strangers, words

CONTENT = strangers.CONTENT
define = reading.define
locales = reading.locales
strangers_in = strangers.of_content


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
    view = flow.View(elements, channel, locale, look)
    shown = view.top
    if base.get("raw") is not None:
        return _raw(base["raw"], next((one for one in shown if one.element is base), None))
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
    return found[0], found


def _raw(raw: Mapping[str, Any], shown: flow.Shown | None) -> Sources:
    if shown is None:
        return Sources("", "", None)
    html = raw.get("html")
    if raw.get("mjml"):
        html = pages.of_mjml(raw["mjml"], "mjml")
    text = raw.get("text")
    if text is None:
        text = "" if html is None else plain.of_html(html)
    before, after = shown.before, shown.after
    return Sources(
        f"{before}{raw.get('subject') or ''}{after}",
        f"{before}{text}{after}",
        None if html is None else f"{before}{html}{after}",
    )


def _title(view: flow.View, shown: Iterable[flow.Shown]) -> str:
    made = []
    for one in shown:
        if one.element["type"] in plain.HOLDERS:
            said = _title(view, view.inner(one))
        elif one.element["type"] == "meta":
            said = words.plain(view.said(one.element, "title"), view.look.snippets)
        else:
            said = ""
        made.append(f"{one.before}{said}{one.after}" if said else "")
    return "".join(made)
