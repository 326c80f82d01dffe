"""Steps on our own records and our own events: `update_contact`, `add_tags`, `remove_tags`, `emit_event`.

Law: these take effect in the turn that takes them, so their texts are filled here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal

import msgspec

from heliograph import errors
from heliograph.core import conversations, effects, events, people, plans, pseudonyms, templates


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
        found = list(templates.faults(fields=self.fields))
        yield from found
        if not found and self.filled.is_static:
            yield from _plain_faults(self.fields)

    @cached_property
    def filled(self) -> templates.Value:
        """Its attributes, ready to be filled."""
        return templates.compile_value(self.fields, "fields")

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Set them, checked as a write over HTTP is."""
        if scene.contact_id is None:
            return plans.failed("the event has no contact_id, so there is nobody to update")
        if scene.contact_is_foreign:
            return plans.failed(f"there is no contact {scene.contact_id!r}")
        try:
            clean = people.clean_profile(self.filled.fill(scene.context, scene.now), "fields", scene.region)
        except (errors.InvalidInput, errors.RenderFailed) as fault:
            return plans.failed(fault.message)
        if people.outgrows({**(scene.contact or {}), **scene.saved}, clean):
            return plans.failed(people.TOO_LARGE)
        scene.saved |= clean
        return plans.done(effects.SaveProfile(scene.contact_id, clean), output={"fields": sorted(clean)})


def _plain_faults(fields: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What is wrong with attributes that say the same for everybody; of a number only the region's reading can tell."""
    try:
        people.clean_profile(fields, "fields", None)
    except errors.InvalidInput as refusal:
        yield from (fault for fault in refusal.faults if fault.path != "fields.phone_number")


class _Tags(msgspec.Struct, frozen=True, dict=True):
    """What steps about tags have in common."""

    tags: list[str]
    target: Literal["conversation", "contact"] | None = None
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        if not self.tags:
            yield "tags", f"takes 1 to {conversations.MOST_TAGS} tags"
        yield from conversations.tag_faults(self.tags, "tags")
        yield from templates.faults(tags=self.tags)

    @cached_property
    def filled(self) -> templates.Value:
        """Its tags, ready to be filled."""
        return templates.compile_value(self.tags, "tags")

    def _ask(self, scene: plans.Scene, *, adds: bool) -> plans.Outcome:
        target = self.target or ("conversation" if scene.conversation_id else "contact")
        subject = scene.conversation_id if target == "conversation" else scene.contact_id
        if subject is None:
            return plans.failed(f"the event has no {target}_id, so there is nothing to tag")
        if scene.conversation_is_foreign if target == "conversation" else scene.contact_is_foreign:
            return plans.failed(f"there is no {target} {subject!r}")
        try:
            filled = self.filled.fill(scene.context, scene.now)
        except errors.RenderFailed as fault:
            return plans.failed(fault.message)
        cut = (templates.text_of(one).strip()[: conversations.MOST_TAG] for one in filled)
        tags = tuple(dict.fromkeys(tag for tag in cut if tag))
        add, remove = (tags, ()) if adds else ((), tags)
        asked: effects.Effect = effects.SaveTags(subject, add, remove)
        if target == "conversation":
            asked = effects.ChangeConversation(subject, {}, add, remove)
        return plans.done(asked, output={"target": target, "tags": list(tags)})


class AddTags(_Tags, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="add_tags"):
    """Put tags on the event's conversation where it has one, else on its contact (rules.md R37)."""

    kind: ClassVar[str] = "add_tags"

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Put them on."""
        return self._ask(scene, adds=True)


class RemoveTags(
    _Tags, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="remove_tags"
):
    """Take tags off the event's conversation where it has one, else off its contact (rules.md R37)."""

    kind: ClassVar[str] = "remove_tags"

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Take them off."""
        return self._ask(scene, adds=False)


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
        for name, fault_of in _NAMED.items():
            text = getattr(self, name)
            fault = None if text is None or "{{" in text or "{%" in text else fault_of(text)
            if fault:
                yield name, fault
        yield from templates.faults(
            event_type=self.event_type,
            contact_id=self.contact_id,
            conversation_id=self.conversation_id,
            payload=self.payload,
        )

    @cached_property
    def filled(self) -> templates.Value:
        """Its payload, ready to be filled."""
        return templates.compile_value(self.payload, "payload")

    @cached_property
    def named(self) -> Mapping[str, templates.Text | None]:
        """Its type and whom it is about, ready to be filled; None: as the event of the rule."""
        said = {name: getattr(self, name) for name in _NAMED}
        return {name: templates.compile_text(text, name) if text else None for name, text in said.items()}

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Emit it, unless events have caused each other too often already."""
        if scene.depth >= plans.MAX_DEPTH:
            return plans.failed(f"depth: events have caused each other {plans.MAX_DEPTH} times already")
        said: list[str | None] = []
        for name, text in self.named.items():
            said.append(None if text is None else scene.said(text))
            # Whoever a text was to name and did not is nobody else: the event's own contact least of all.
            fault = None if text is None or text.is_static else _NAMED[name](said[-1] or "")
            if fault:
                return plans.failed(f"{name}: {fault if said[-1] else 'it is empty'}")
        event_type, contact_id, conversation_id = said
        payload = self.filled.fill(scene.context, scene.now)
        fault = None if self.filled.is_static else events.payload_fault(payload)
        if fault:
            return plans.failed(f"payload: {fault}")
        return plans.done(
            effects.Emit(
                event_type or "",
                payload,
                contact_id or scene.contact_id,
                conversation_id or scene.conversation_id,
            )
        )


def _contact_fault(identity: str) -> str | None:
    return pseudonyms.RESERVED if pseudonyms.is_name(identity) else conversations.id_fault(identity)


_NAMED: Mapping[str, Callable[[str], str | None]] = {
    "event_type": events.type_fault,
    "contact_id": _contact_fault,
    "conversation_id": conversations.id_fault,
}
"""What an emitted event names, and why a text cannot be it."""

KINDS = (UpdateContact, AddTags, RemoveTags, EmitEvent)
