"""Renderings: what a person reads of a message, from a template, a look and what fills them.

Law: pure; the same template, look, context and instant give the same texts. A template is compiled once for each look
and locale that its messages need, and filled for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from heliograph.core import brands, message_templates, mime, templates

_EMPTY_LINES = re.compile(r"\n{3,}")


class Rendered(msgspec.Struct, frozen=True):
    """A message as it is read."""

    subject: str
    """One line; empty where nothing says any."""
    text: str
    html: str | None = None
    sender: mime.Mailbox | None = None
    """Whom it is from, where that is not the installation's sender."""
    reply_to: mime.Mailbox | None = None


class Content(NamedTuple):
    """The texts of a message, compiled."""

    subject: templates.Text
    text: templates.Text
    html: templates.Text | None
    reads: frozenset[str]
    """The roots that its texts read."""
    sender: templates.Text | None = None
    reply_to: templates.Text | None = None
    look: brands.Look | None = None
    is_drawn: bool = False
    is_plain: bool = False
    """Whether its texts see nothing but what they are filled from, as most do."""
    reads_payload_alone: bool = False
    """Whether of `event` they read its payload and nothing else."""

    def fill(self, context: templates.Context, now: int) -> Rendered:
        """The message. Raises errors.HeliographError where a text cannot be filled."""
        if self.is_plain:
            html = None if self.html is None else self.html.fill(context, now)
            subject = " ".join(self.subject.fill(context, now).split())
            return Rendered(subject, self.text.fill(context, now), html)
        seen = self._seen(context)
        text = self.text.fill(seen, now)
        if self.is_drawn:
            # Parts that were not shown leave their distance behind.
            text = f"{_EMPTY_LINES.sub(chr(10) * 2, text).strip()}\n"
        return Rendered(
            " ".join(self.subject.fill(seen, now).split()),
            text,
            None if self.html is None else self.html.fill(seen, now),
            _mailbox(self.sender, seen, now, "from"),
            _mailbox(self.reply_to, seen, now, "reply_to"),
        )

    def missing(self, context: templates.Context) -> tuple[str, ...]:
        """The paths that are put out empty because the context has nothing there."""
        seen = self._seen(context)
        texts = (self.subject, self.text, *([] if self.html is None else [self.html]))
        found = [path for text in texts for path in templates.missing(text, seen)]
        return tuple(path for path in dict.fromkeys(found) if not path.startswith("forloop"))

    def _seen(self, context: templates.Context) -> templates.Context:
        """What stored templates see besides: their look, the profile by that name, and, if drawn, data at the root."""
        if self.is_plain:
            return context
        made = dict(context)
        data = made.get("data")
        if self.is_drawn and isinstance(data, Mapping):
            roots = {name: value for name, value in made.items() if value is not None or name not in data}
            made = {**data, **roots}
        if "brand" in self.reads:
            made["brand"] = (self.look or brands.PLAIN).seen
        if "profile" in self.reads and made.get("profile") is None:
            made["profile"] = made.get("contact")
        return made


class Design:
    """A template in one look, compiled for each locale that was needed."""

    def __init__(self, said: message_templates.Said, look: brands.Look | None = None):
        self._said, self._look = said, look
        self.locales = message_templates.locales(said)
        """Those that it has words in."""
        self._compiled: dict[tuple[str, str], Content] = {}

    def content(self, data: Mapping[str, Any], locale: str | None = None, channel: str = "email") -> Content:
        """Its texts for a channel, in this locale, else in that of the person whom `data` speaks of."""
        if not self.locales:
            return self._content("", channel)
        people = (data.get("profile"), data.get("contact"))
        wanted = (locale, *(one.get("locale") for one in people if isinstance(one, Mapping)))
        found = (message_templates.best_locale(one, self.locales) for one in wanted)
        return self._content(next((one for one in found if one), ""), channel)

    def _content(self, locale: str, channel: str) -> Content:
        made = self._compiled.get((locale, channel))
        if made is None:
            made = self._compiled[locale, channel] = _of_template(self._said, locale, self._look, channel)
        return made


@lru_cache(maxsize=4096)
def of_texts(subject: str, text: str, html: str | None) -> Content:
    """Texts of a message's own, compiled."""
    titled, said = templates.compile_text(subject, "subject"), templates.compile_text(text, "text")
    markup = None if html is None else templates.compile_text(html, "html", escape=True)
    every = (titled, said) if markup is None else (titled, said, markup)
    return Content(
        titled,
        said,
        markup,
        frozenset().union(*(compiled.roots for compiled in every)),
        is_plain=True,
        reads_payload_alone=_read_payload_alone(every),
    )


def _read_payload_alone(texts: Iterable[templates.Text]) -> bool:
    return all(text.of_event is not None and text.of_event <= {"payload"} for text in texts)


def _of_template(
    said: message_templates.Said, locale: str, look: brands.Look | None, channel: str
) -> Content:
    texts = message_templates.compiled(said, channel, locale, look or brands.PLAIN)
    sender = templates.compile_text(said.sender, "from") if said.sender else None
    reply_to = templates.compile_text(said.reply_to, "reply_to") if said.reply_to else None
    every = [one for one in (texts.subject, texts.text, texts.html, sender, reply_to) if one is not None]
    reads = frozenset().union(*(one.roots for one in every))
    if texts.is_drawn:
        reads |= {"data"}
    if "profile" in reads:
        reads |= {"contact"}
    is_plain = not texts.is_drawn and sender is reply_to is None and reads.isdisjoint(("brand", "profile"))
    return Content(
        *(texts.subject, texts.text, texts.html, reads, sender, reply_to, look),
        is_drawn=texts.is_drawn,
        is_plain=is_plain,
        reads_payload_alone=_read_payload_alone(every),
    )


def _mailbox(
    text: templates.Text | None, context: templates.Context, now: int, path: str
) -> mime.Mailbox | None:
    return None if text is None else mime.mailbox(text.fill(context, now), path)
