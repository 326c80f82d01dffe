"""The step on lists: `add_to_list`.

Law: it takes effect in the turn that takes it; who is on the list already stays as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

import msgspec

from heliograph.core import effects, lists, plans


class AddToList(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag="add_to_list"):
    """Put the event's contact on a list."""

    kind: ClassVar[str] = "add_to_list"
    list_id: str
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        fault = lists.id_fault(self.list_id)
        if fault:
            yield "list_id", fault

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Put them on, where the list is there."""
        if scene.contact_id is None:
            return plans.failed("the event has no contact_id, so there is nobody to put on the list")
        if scene.contact_is_foreign:
            return plans.failed(f"there is no contact {scene.contact_id!r}")
        if not plans.can_join(scene, self.list_id):
            return plans.failed(f"there is no list {self.list_id!r}")
        return plans.done(effects.Subscribe(self.list_id, scene.contact_id), output={"list_id": self.list_id})


KINDS = (AddToList,)


def named(plan: plans.Plan) -> frozenset[str]:
    """The lists that a plan's steps put people on."""
    return frozenset(step.list_id for step in plan.steps if isinstance(step, AddToList))
