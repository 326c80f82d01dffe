"""Steps on the event's conversation: who takes care of it, how it stands, what is noted beside it.

Law: they take effect in the turn of the conversation's own partition; where nobody has written on it before, it is
made (rules.md R15). What a text names is looked up when the rule acts: an agent who is not known then fails the
action (R40).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import msgspec

from heliograph import errors
from heliograph.core import conversations, effects, plans, templates


class AssignAgent(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="assign_agent"
):
    """Let an agent take care of the event's conversation."""

    kind: ClassVar[str] = "assign_agent"
    agent_id: str
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        yield from _text_faults("agent_id", self.agent_id)

    @cached_property
    def filled(self) -> templates.Text:
        """The agent's id, ready to be filled."""
        return templates.compile_text(self.agent_id, "agent_id")

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Assign it, if there is such an agent."""
        return _assigned(scene, "agent", self.filled, scene.team.agents)


class AssignDivision(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    dict=True,
    tag_field="type",
    tag="assign_division",
):
    """Let a division take care of the event's conversation."""

    kind: ClassVar[str] = "assign_division"
    division_id: str
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        yield from _text_faults("division_id", self.division_id)

    @cached_property
    def filled(self) -> templates.Text:
        """The division's id, ready to be filled."""
        return templates.compile_text(self.division_id, "division_id")

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Assign it, if there is such a division."""
        return _assigned(scene, "division", self.filled, scene.team.divisions)


class Unassign(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="unassign"
):
    """Take the event's conversation away from its agent and its division."""

    kind: ClassVar[str] = "unassign"
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say: nothing."""
        return ()

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Take it away."""
        return _changed(scene, {"agent_id": None, "division_id": None})


class SetStatus(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="set_status"
):
    """Set the status of the event's conversation."""

    kind: ClassVar[str] = "set_status"
    status: str
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        yield from _word_faults("status", self.status, conversations.STATUSES)

    @cached_property
    def filled(self) -> templates.Text:
        """The status, ready to be filled."""
        return templates.compile_text(self.status, "status")

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Set it."""
        return _set(scene, "status", self.filled, conversations.STATUSES)


class SetPriority(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="set_priority"
):
    """Set the priority of the event's conversation."""

    kind: ClassVar[str] = "set_priority"
    priority: str
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        yield from _word_faults("priority", self.priority, conversations.PRIORITIES)

    @cached_property
    def filled(self) -> templates.Text:
        """The priority, ready to be filled."""
        return templates.compile_text(self.priority, "priority")

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Set it."""
        return _set(scene, "priority", self.filled, conversations.PRIORITIES)


class AddNote(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="add_note"
):
    """Note something down beside the event's conversation, for one's own people."""

    kind: ClassVar[str] = "add_note"
    text: str
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        if not 1 <= len(self.text.strip()) <= conversations.MOST_NOTE:
            yield "text", f"takes 1 to {conversations.MOST_NOTE} characters"
        yield from templates.faults(text=self.text)

    @cached_property
    def filled(self) -> templates.Text:
        """The text, ready to be filled."""
        return templates.compile_text(self.text, "text")

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Note it down."""
        try:
            text = conversations.clean_note(self.filled.fill(scene.context, scene.now))
        except (errors.InvalidInput, errors.RenderFailed) as fault:
            return plans.failed(str(fault))
        return _changed(scene, {}, note=text)


# ── what they have in common ────────────────────────────────────────────────────────────────────────


def _text_faults(name: str, text: str) -> Iterable[tuple[str, str]]:
    fault = conversations.id_fault(text.strip()) if "{" not in text else None
    if fault:
        yield name, fault
    yield from templates.faults(**{name: text})


def _word_faults(name: str, text: str, words: Sequence[str]) -> Iterable[tuple[str, str]]:
    if "{" not in text and text not in words:
        yield name, errors.unknown(name, text, words)
    yield from templates.faults(**{name: text})


def _assigned(
    scene: plans.Scene, what: str, text: templates.Text, known: Mapping[str, str | None]
) -> plans.Outcome:
    try:
        identity = text.fill(scene.context, scene.now).strip()
    except errors.RenderFailed as fault:
        return plans.failed(fault.message)
    if not identity:
        return plans.failed(f"{what}_id: it is empty")
    # A workspace's own are everybody's; a tenant's take care of its own conversations alone (engine.md E14).
    if identity not in known or (scene.tenant_id and known[identity] not in (None, scene.tenant_id)):
        return plans.failed(f"there is no {what} {identity!r}")
    return _changed(scene, {f"{what}_id": identity})


def _set(scene: plans.Scene, name: str, text: templates.Text, words: Sequence[str]) -> plans.Outcome:
    try:
        word = text.fill(scene.context, scene.now).strip()
    except errors.RenderFailed as fault:
        return plans.failed(fault.message)
    if word not in words:
        return plans.failed(f"{name}: {errors.unknown(name, word, words)}")
    return _changed(scene, {name: word})


def _changed(scene: plans.Scene, fields: Mapping[str, str | None], note: str | None = None) -> plans.Outcome:
    if scene.conversation_id is None:
        return plans.failed("the event has no conversation_id, so there is nothing to change")
    if scene.conversation_is_foreign:
        return plans.failed(f"there is no conversation {scene.conversation_id!r}")
    told: dict[str, Any] = {"conversation_id": scene.conversation_id, **fields}
    if note is not None:
        told["note"] = note
    change = effects.ChangeConversation(scene.conversation_id, fields, note=note)
    return plans.done(change, output=told)


KINDS = (AssignAgent, AssignDivision, Unassign, SetStatus, SetPriority, AddNote)
