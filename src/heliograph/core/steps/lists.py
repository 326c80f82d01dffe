"""The step on lists: `add_to_list`.

Law: it takes effect in the turn that takes it; who is on the list already stays as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import ClassVar, Literal

import msgspec

from heliograph.core import effects, lists, plans, templates


class AddToList(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="add_to_list"
):
    """Put the event's contact on a list."""

    kind: ClassVar[str] = "add_to_list"
    list_id: str
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        found = list(templates.faults(list_id=self.list_id))
        yield from found
        fault = lists.id_fault(self.list_id) if not found and self.named.is_static else None
        if fault:
            yield "list_id", fault

    @cached_property
    def named(self) -> templates.Text:
        """The list's id, ready to be filled."""
        return templates.compile_text(self.list_id, "list_id")

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Put them on, where the list is there."""
        if scene.contact_id is None:
            return plans.failed("the event has no contact_id, so there is nobody to put on the list")
        if scene.contact_is_foreign:
            return plans.failed(f"there is no contact {scene.contact_id!r}")
        list_id = scene.said(self.named)
        if not plans.can_join(scene, list_id):
            return plans.failed(f"there is no list {list_id!r}" if list_id else "list_id: it is empty")
        return plans.done(effects.Subscribe(list_id, scene.contact_id), output={"list_id": list_id})


KINDS = (AddToList,)


@plans.once
def named(plan: plans.Plan) -> frozenset[str]:
    """The lists that a plan's steps put people on, where they name them as they are."""
    return frozenset(step.list_id for step in _steps(plan) if step.named.is_static)


@plans.once
def texts(plan: plans.Plan) -> tuple[templates.Text, ...]:
    """The texts by which a plan's steps name the others."""
    return tuple(step.named for step in _steps(plan) if not step.named.is_static)


def _steps(plan: plans.Plan) -> Iterable[AddToList]:
    return (step for step in plan.steps if isinstance(step, AddToList))
