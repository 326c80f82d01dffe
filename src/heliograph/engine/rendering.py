"""Rendering: the texts of a message, from its pinned template and look and the data stored with it.

Law: the same row gives the same texts, for ever (engine.md E20): when it is sent, and when somebody asks later what was
sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from heliograph import errors
from heliograph.core import brands, message_templates, plans, renderings, templates
from heliograph.core.renderings import Rendered
from heliograph.store import rows

_decode = msgspec.json.Decoder().decode
_said = msgspec.json.Decoder(message_templates.Said)
_look = msgspec.json.Decoder(brands.Look)
_MOST_KEPT = 4096
_NOTHING: Mapping[str, Any] = {}

Stored = Callable[[int, str, int], bytes | str | None]
"""(workspace, id, version) to what is stored of it; None where there is none."""


class Rendering:
    """Renders messages; keeps compiled templates."""

    def __init__(self, templates_of: Stored, looks_of: Stored):
        self._templates_of, self._looks_of = templates_of, looks_of
        self._designs: dict[tuple[Any, ...], renderings.Design] = {}

    def render(self, message: rows.Message, event: rows.Event | None, now: int) -> Rendered:
        """The texts of a message. Raises errors.HeliographError where they cannot be filled."""
        content = self._content(message)
        if isinstance(content, Rendered):
            return content
        seen = context_of(message, event, content.reads, payload_alone=content.reads_payload_alone)
        return content.fill(seen, now)

    def _content(self, message: rows.Message) -> renderings.Content | Rendered:
        if message.template_id is None:
            written = said_in(message.content)
            if written.get("literal"):
                return Rendered(" ".join(written["subject"].split()), written["text"])
            if "elements" not in written:
                return renderings.of_texts(written["subject"], written["text"], written.get("html"))
        design = self._design(message)
        data = _decode(message.data) if message.data and design.locales else _NOTHING
        return design.content(data, None, message.channel)

    def _design(self, message: rows.Message) -> renderings.Design:
        look: Any = message.content
        if message.template_id is not None and look is not None:
            # What else is said of this message alone makes no other design of its template.
            look = tuple(said_in(look).get("brand") or ())
        key = (message.workspace_id, message.template_id, message.template_version, look)
        found = self._designs.get(key)
        if found is None:
            if len(self._designs) >= _MOST_KEPT:
                self._designs.clear()
            found = self._designs[key] = self._made(message)
        return found

    def _made(self, message: rows.Message) -> renderings.Design:
        written = _decode(message.content) if message.content is not None else {}
        brand = written.get("brand")
        if message.template_id is None:
            said = message_templates.Said(content=written)
            return self.design_of(message.workspace_id, said, brand)
        return self.design(message.workspace_id, message.template_id, message.template_version or 0, brand)

    def design(
        self, workspace_id: int, template_id: str, version: int, brand: Sequence[Any] | None
    ) -> renderings.Design:
        """A template in one version and the look of a brand's version. Raises errors.NotFound."""
        stored = self._templates_of(workspace_id, template_id, version)
        if stored is None:
            raise errors.NotFound(f"template {template_id!r} has no version {version}")
        return self.design_of(workspace_id, _said.decode(stored), brand)

    def design_of(
        self, workspace_id: int, said: message_templates.Said, brand: Sequence[Any] | None
    ) -> renderings.Design:
        """What a template says, in the look of a brand's version. Raises errors.NotFound."""
        return renderings.Design(said, None if brand is None else self._look(workspace_id, *brand))

    def _look(self, workspace_id: int, brand_id: str, version: int) -> brands.Look:
        stored = self._looks_of(workspace_id, brand_id, version)
        if stored is None:
            raise errors.NotFound(f"there is no brand {brand_id!r}")
        return _look.decode(stored)


@lru_cache(maxsize=256)
def said_in(content: bytes | str | None) -> Mapping[str, Any]:
    """What stands in the content of messages: of a rule, a template or a campaign many have the same.

    Few are remembered, because one may be long, and a message may have one of its own.
    """
    said: Mapping[str, Any] = _decode(content) if content else _NOTHING
    return said


def context_of(
    message: rows.Message, event: rows.Event | None, reads: frozenset[str], *, payload_alone: bool = False
) -> Mapping[str, Any]:
    """What the texts are filled from: no more than they read.

    `payload_alone`: of `event` they read nothing but its payload.
    """
    if not reads:
        return _NOTHING
    data: dict[str, Any] = _decode(message.data) if message.data else {}
    if event is None:
        # A journey's data stands at the root of its texts, where no root has that name.
        given = data.get("data")
        return templates.context_for(given if isinstance(given, dict) else _NOTHING, **data)
    if reads <= data.keys():
        return data
    payload = _decode(event.payload)
    if "event" in reads:
        data["event"] = (
            {"payload": payload}
            if payload_alone
            else plans.event_of(event.id, event.event_type, event.source, payload)
        )
        if reads <= data.keys():
            return data
    return templates.context_for(
        payload,
        event_type=event.event_type,
        source=event.source,
        channel_source=event.channel_source,
        previous=_decode(event.previous) if event.previous is not None else payload.get("previous"),
        tenant={"id": event.tenant_id},
        **data,
    )
