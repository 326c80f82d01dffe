"""Steps that act on runs of journeys: `invoke_automation`, `cancel_automation` (engine.md E11, E12).

Law: a journey is entered once for each key, and a second entry is no failure; its run goes its own way.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, ClassVar, Literal

import msgspec

from heliograph import errors
from heliograph.core import effects, frames, plans, templates


class InvokeAutomation(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    dict=True,
    tag_field="type",
    tag="invoke_automation",
):
    """Start a journey, or steps written here, for the event's contact, with the event's payload as data."""

    kind: ClassVar[str] = "invoke_automation"
    template: str | None = None
    steps: list[dict[str, Any]] | None = None
    data: dict[str, Any] | None = None
    once: bool = False
    entry_key: str | None = None
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        if (self.template is None) == (self.steps is None):
            yield "", "give either `template` or `steps`"
        if self.template == "":
            yield "template", "names a journey by its id or alias"
        yield from templates.faults(template=self.template, data=self.data, entry_key=self.entry_key)

    @cached_property
    def named(self) -> templates.Text:
        """Its journey, ready to be filled; empty where it has steps of its own."""
        return templates.compile_text(self.template or "", "template")

    @cached_property
    def filled(self) -> templates.Value:
        """Its data and key, ready to be filled."""
        return templates.compile_value({"data": self.data or {}, "entry_key": [self.entry_key or ""]})

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Start it; it has succeeded when the run is there, or was there before."""
        try:
            # What a text would see is put together only where there is one.
            filled = (
                self.filled.source if self.filled.is_static else self.filled.fill(scene.context, scene.now)
            )
        except errors.RenderFailed as fault:
            return plans.failed(fault.message)
        key = None
        if self.entry_key is not None:
            said = plans.storable(templates.text_of(filled["entry_key"][0]), "entry_key")
            if not said:
                return plans.failed("entry_key: it is empty")
            if len(said) > frames.LONGEST_NAME:
                return plans.failed(f"entry_key: takes at most {frames.LONGEST_NAME} characters")
            key = f"key:{said}"
        elif self.once:
            if scene.contact_id is None:
                return plans.failed("the event has no contact_id, so nobody can enter once")
            key = f"once:{scene.contact_id}"
        template = None if self.template is None else scene.said(self.named)
        if template == "":
            return plans.failed("template: it is empty")
        assert scene.invoke is not None
        data = {**scene.payload, **filled["data"]}
        asked = scene.invoke(plans.Invocation(template, data, key, scene, self.steps))
        return plans.failed(asked) if isinstance(asked, str) else plans.pending(asked)


class CancelAutomation(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    dict=True,
    tag_field="type",
    tag="cancel_automation",
):
    """Cancel every run of a journey in progress that has this token."""

    kind: ClassVar[str] = "cancel_automation"
    cancelation_token: str
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        if not self.cancelation_token:
            yield "cancelation_token", "is the token of the runs to cancel"
        yield from templates.faults(cancelation_token=self.cancelation_token)

    @cached_property
    def filled(self) -> templates.Text:
        """Its token, ready to be filled."""
        return templates.compile_text(self.cancelation_token, "cancelation_token")

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Cancel them."""
        token = scene.said(self.filled)
        if not token:
            return plans.failed("cancelation_token: it is empty")
        return plans.done(effects.Cancel(token), output={"cancelation_token": token})


KINDS = (InvokeAutomation, CancelAutomation)
