"""The step kinds: one union, each family in a file of its own.

Law: a kind is a value with its fields, its faults and `take`; this file only joins the families, and reads steps
from JSON with every fault at its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from heliograph import errors
from heliograph.core import documents, plans
from heliograph.core.steps import automations, conversation, lists, messaging, records

KINDS: Mapping[str, Any] = {
    kind.kind: kind
    for kind in (
        *messaging.KINDS,
        *conversation.KINDS,
        *records.KINDS,
        *lists.KINDS,
        *automations.KINDS,
    )
}
"""Every step kind by its wire name."""

MAX_STEPS = 50


def parse(source: object, path: str = "actions") -> tuple[plans.Step, ...]:
    """The steps of a JSON array. Raises errors.InvalidInput with at least the first fault of every step."""
    if not isinstance(source, Sequence) or isinstance(source, str):
        raise errors.InvalidInput.at(path, "takes an array of actions, each with a `type`")
    if not 1 <= len(source) <= MAX_STEPS:
        raise errors.InvalidInput.at(path, f"takes 1 to {MAX_STEPS} actions, not {len(source)}")
    made: list[plans.Step] = []
    faults: list[errors.Fault] = []
    for index, one in enumerate(source):
        try:
            made.append(_step(one, f"{path}[{index}]"))
        except errors.InvalidInput as fault:
            faults += fault.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
    return tuple(made)


def _step(source: object, path: str) -> plans.Step:
    if not isinstance(source, Mapping):
        raise errors.InvalidInput.at(path, "takes an object with a `type`")
    if "type" not in source:
        raise errors.InvalidInput.at(f"{path}.type", f"is missing (known: {', '.join(KINDS)})")
    name = source["type"]
    if not isinstance(name, str) or name not in KINDS:
        raise errors.InvalidInput.at(f"{path}.type", errors.unknown("action type", name, list(KINDS)))
    kind = KINDS[name]
    fields = [field.name for field in msgspec.structs.fields(kind)]
    faults = documents.unknown_keys(source, ["type", *fields], path)
    if faults:
        raise errors.InvalidInput(faults=faults)
    try:
        step: plans.Step = msgspec.convert(source, kind)
    except msgspec.ValidationError as fault:
        (found_at, *others) = documents.faults_of(fault, source, kind, path)
        for field in msgspec.structs.fields(kind):
            words = documents.choices(field.type) if found_at.path == f"{path}.{field.name}" else ()
            if words:
                found_at = found_at._replace(message=errors.unknown(field.name, source[field.name], words))
        raise errors.InvalidInput(faults=[found_at, *others]) from None
    found = [errors.Fault(f"{path}.{place}" if place else path, message) for place, message in step.faults()]  # type: ignore[attr-defined]
    if found:
        raise errors.InvalidInput(faults=found)
    return step
