"""What is checked of a journey before a run of it starts, beside its steps: what it is to hold, and whom it asks.

Law: each fault has its place; nothing is started while there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from heliograph import errors
from heliograph.core import documents, elemental, frames, pseudonyms, request_steps, routing_trees
from heliograph.core.steps import listing, profiles, sending

_TEXTS = ("brand", "recipient", "template")
_OBJECTS = ("data", "profile")
CONTEXT = (*_TEXTS, *_OBJECTS)


def context_given(given: Mapping[str, Any], inner: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The parts of a run's context that a request names; `inner` is its older place (A01). Raises InvalidInput."""
    found: dict[str, Any] = {}
    faults = []
    for name in CONTEXT:
        value = given.get(name)
        if value is None and inner is not None and name in ("recipient", "data", "profile"):
            value = inner.get(name)
        if value in (None, ""):
            continue
        wanted: type = str if name in _TEXTS else dict
        if name == "recipient" and isinstance(value, str) and pseudonyms.is_name(value):
            faults.append(errors.Fault(name, pseudonyms.RESERVED))
        elif isinstance(value, str) and wanted is str and (len(value) > frames.LONGEST_NAME or "\0" in value):
            told = f"is a text of at most {frames.LONGEST_NAME} characters, none of them NUL"
            faults.append(errors.Fault(name, told))
        elif isinstance(value, wanted):
            found[name] = value
        else:
            faults.append(errors.Fault(name, f"is {'a text' if wanted is str else 'an object'}, or null"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    return found


def strangers(steps: Sequence[Mapping[str, Any]], path: str) -> list[str]:
    """The places of what nobody knows in the Elemental content of steps that can be read (engine.md E29)."""
    found = []
    for index, step in enumerate(steps):
        message = step.get("message")
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, dict) and isinstance(content.get("elements"), list):
            place = f"{documents.below(path, index)}.message.content"
            found += elemental.strangers_in(content, place)
    return found


Check = Callable[[Sequence[frames.Step]], list[errors.Fault]]
"""Faults of steps that can be read, each with its place."""


def of_addresses(allowed: Collection[str]) -> Check:
    """Finds the steps that plainly ask an address which may not be reached (A48)."""
    allowed = frozenset(host.lower() for host in allowed)

    def check(steps: Sequence[frames.Step]) -> list[errors.Fault]:
        asked = [getattr(step.body, "webhook", None) for step in steps]
        return [fault for one in asked if one is not None and (fault := one.fault(allowed)) is not None]

    return check


Providers = Callable[[], Mapping[str, str]]
"""Gives the channel of each of a workspace's own providers, by its name."""


def of_providers(read: Providers) -> Check:
    """Finds the steps whose messages are to go by a provider that there is not."""

    def check(steps: Sequence[frames.Step]) -> list[errors.Fault]:
        trees = [
            (step, tree)
            for step in steps
            if isinstance(step.body, sending.SendMessage | request_steps.SendRequest)
            if (tree := _tree(step.body)) is not None
        ]
        named = [
            one
            for step, tree in trees
            for one in routing_trees.open_names(tree, f"{step.path}.message.routing")
        ]
        known = read() if named else {}
        return [
            errors.Fault(place, routing_trees.lack(name, known)) for place, name in named if name not in known
        ]

    return check


def _tree(body: sending.SendMessage | request_steps.SendRequest) -> routing_trees.Node | None:
    return body.by.root if isinstance(body, sending.SendMessage) else body.tree


def of_sends(given: Mapping[str, Any]) -> Check:
    """Finds the steps that have neither a recipient or template of their own nor one of their run's, which is given."""

    def check(steps: Sequence[frames.Step]) -> list[errors.Fault]:
        faults = [
            errors.Fault(f"{step.path}.{name}", "is required: the run has none either")
            for step in steps
            if isinstance(step.body, sending.Send | listing.SendList)
            for name in step.body.needs
            if name not in step.body.given and not given.get(name)
        ]
        faults += [
            errors.Fault(f"{step.path}.recipient_id", "is required: the run has no recipient either")
            for step in steps
            if isinstance(step.body, profiles.UpdateProfile)
            if step.body.recipient is None and not given.get("recipient")
        ]
        return faults

    return check
