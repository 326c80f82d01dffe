"""Steps on our own records and our own events: `update_contact`, `add_tags`, `emit_event`.

Law: these take effect in the turn that takes them, so their texts are filled here.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar, Literal

import msgspec

from heliograph import errors
from heliograph.core import effects, events, people, plans, templates

MAX_TAG = 100


class UpdateContact(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="update_contact"
):
    """Set attributes of the event's contact; a contact that is not known yet is made."""

    kind: ClassVar[str] = "update_contact"
    fields: dict[str, Any]
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        if not self.fields:
            yield "fields", "names no attribute to set"
        yield from templates.faults(fields=self.fields)

    @cached_property
    def filled(self) -> templates.Value:
        """Its attributes, ready to be filled."""
        return templates.compile_value(self.fields)

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Set them, checked as a write over HTTP is."""
        if scene.contact_id is None:
            return plans.failed("the event has no contact_id, so there is nobody to update")
        try:
            clean = people.clean_profile(self.filled.fill(scene.context, scene.now), "fields", scene.region)
        except (errors.InvalidInput, errors.RenderFailed) as fault:
            return plans.failed(fault.message)
        return plans.done(effects.SaveProfile(scene.contact_id, clean), output={"fields": sorted(clean)})


class AddTags(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="add_tags"
):
    """Put tags on the event's conversation where it has one, else on its contact (rules.md R37)."""

    kind: ClassVar[str] = "add_tags"
    tags: list[str]
    target: Literal["conversation", "contact"] | None = None
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        if not 1 <= len(self.tags) <= 50:
            yield "tags", "takes 1 to 50 tags"
        for index, tag in enumerate(self.tags):
            if not 1 <= len(tag.strip()) <= MAX_TAG:
                yield f"tags[{index}]", f"takes 1 to {MAX_TAG} characters"
        yield from templates.faults(tags=self.tags)

    @cached_property
    def filled(self) -> templates.Value:
        """Its tags, ready to be filled."""
        return templates.compile_value(self.tags)

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Put them on."""
        target = self.target or ("conversation" if scene.conversation_id else "contact")
        subject = scene.conversation_id if target == "conversation" else scene.contact_id
        if subject is None:
            return plans.failed(f"the event has no {target}_id, so there is nothing to tag")
        try:
            filled = self.filled.fill(scene.context, scene.now)
        except errors.RenderFailed as fault:
            return plans.failed(fault.message)
        tags = tuple(dict.fromkeys(tag for tag in (str(one).strip()[:MAX_TAG] for one in filled) if tag))
        return plans.done(
            effects.SaveTags(target, subject, tags, ()), output={"target": target, "tags": list(tags)}
        )


class EmitEvent(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="emit_event"
):
    """Let an event of one's own come in; it inherits contact, conversation and channel (rules.md R17)."""

    kind: ClassVar[str] = "emit_event"
    event_type: str
    payload: dict[str, Any] = {}
    contact_id: str | None = None
    conversation_id: str | None = None
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        fault = events.type_fault(self.event_type)
        if fault:
            yield "event_type", fault
        yield from templates.faults(payload=self.payload)

    @cached_property
    def filled(self) -> templates.Value:
        """Its payload, ready to be filled."""
        return templates.compile_value(self.payload)

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Emit it, unless events have caused each other too often already."""
        if scene.depth >= plans.MAX_DEPTH:
            return plans.failed(f"depth: events have caused each other {plans.MAX_DEPTH} times already")
        try:
            payload = self.filled.fill(scene.context, scene.now)
        except errors.RenderFailed as fault:
            return plans.failed(fault.message)
        contact, conversation = (
            self.contact_id or scene.contact_id,
            self.conversation_id or scene.conversation_id,
        )
        return plans.done(effects.Emit(self.event_type, payload, contact, conversation))


KINDS = (UpdateContact, AddTags, EmitEvent)
