"""Journeys: templates of automations, their steps and triggers, and what else they say (J13, E11).

Law: everything that can be wrong with a definition is found before it is stored, each fault with its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import (
    documents,
    expressions,
    frames,
    journey_checks,
    plans,
    rules,
)
from heliograph.core.steps import batching, fetching, flow, listing, profiles, sending, throttling, waiting

KINDS: Mapping[str, tuple[Callable[[frames.Reader], Any], Sequence[str]]] = {
    **sending.KINDS,
    **waiting.KINDS,
    **batching.KINDS,
    **fetching.KINDS,
    **profiles.KINDS,
    **throttling.KINDS,
    **listing.KINDS,
    **flow.KINDS,
}
"""How a step of each `action` is read, and its fields beside `action`, `if` and `ref`."""
MAX_STEPS = 50
MAX_NAME = 200
STATES = ("draft", "published")
TAKEN = ("batches", "runs", "templates")
"""What else stands below /automations, so that no request could invoke a journey of this name."""


# ── steps ───────────────────────────────────────────────────────────────────────────────────────────


def read_steps(
    given: object,
    evaluator: expressions.Evaluator,
    path: str = "steps",
    *,
    checks: Sequence[journey_checks.Check] = (),
) -> plans.Plan:
    """The plan of these steps. Raises InvalidInput with at least the first fault of every step, in their order.

    `checks` see the steps that can be read.
    """
    if not isinstance(given, list) or not 1 <= len(given) <= MAX_STEPS:
        raise errors.InvalidInput.at(path, f"is a list of 1 to {MAX_STEPS} steps")
    made: list[frames.Step] = []
    faults: list[errors.Fault] = []
    for index, one in enumerate(given):
        try:
            made.append(_step(one, f"{path}[{index}]", evaluator))
        except errors.InvalidInput as refusal:
            faults += refusal.faults
    seen: set[str] = set()
    for step in made:
        if step.ref in seen:
            faults.append(
                errors.Fault(f"{step.path}.ref", f'"{step.ref}" is the name of an earlier step already')
            )
        seen |= {step.ref} if step.ref else set()
    faults += [fault for check in checks for fault in check(made)]
    if faults:
        # In the order of the steps: a place is `path[number]` and what is in it.
        faults.sort(key=lambda fault: int(fault.path[len(path) + 1 :].partition("]")[0]))
        raise errors.InvalidInput(faults=faults)
    return plans.plan(tuple(made))


def _step(given: object, path: str, evaluator: expressions.Evaluator) -> frames.Step:
    if not isinstance(given, dict):
        raise errors.InvalidInput.at(path, "is an object with an `action`")
    action = given.get("action")
    if not isinstance(action, str) or action not in KINDS:
        told = "is required" if action is None else errors.unknown("action", action, tuple(KINDS))
        raise errors.InvalidInput.at(f"{path}.action", told)
    read, known = KINDS[action]
    reader = frames.Reader(given, path, evaluator)
    reader.strangers(("action", "if", "ref", *known))
    condition = ref = None
    try:
        condition = expressions.condition(given.get("if"), reader.at("if"), evaluator)
    except errors.InvalidInput as refusal:
        reader.faults += refusal.faults
    if reader.raw("ref") is not None:
        try:
            ref = expressions.check_ref(given["ref"], reader.at("ref"))
        except errors.InvalidInput as refusal:
            reader.faults += refusal.faults
    body = read(reader)
    reader.done()
    return frames.Step(body, path, condition, ref)


# ── definitions ─────────────────────────────────────────────────────────────────────────────────────


class EventTrigger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The events that start a journey."""

    event_type: str
    conditions: Any = None
    once: bool = False
    """Whether a contact is in it once, for ever."""
    entry_key: str | None = None
    """What a run is unique by, filled as a text of a rule is."""


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """What a journey says."""

    id: str
    name: str
    steps: list[dict[str, Any]]
    alias: str | None = None
    cancelation_token: Any = None
    status: str = "published"
    trigger: EventTrigger | None = None


class Journey(NamedTuple):
    """A published journey, ready to be started."""

    automation_id: bytes
    version: int
    definition: Definition


WRITABLE = ("name", "alias", "steps", "cancelation_token", "status", "trigger")


def define(
    identity: str,
    given: Mapping[str, Any],
    evaluator: expressions.Evaluator,
    allowed_hosts: Collection[str] = (),
    providers: journey_checks.Providers | None = None,
) -> Definition:
    """The journey of this id. Raises InvalidInput with its faults.

    `allowed_hosts` are those that its steps may ask though they are not on the public internet, or over plain http;
    `providers` reads those of the workspace, where they are to be looked for.
    """
    checks = [journey_checks.of_addresses(allowed_hosts)]
    checks += [] if providers is None else [journey_checks.of_providers(providers)]
    faults = _name_faults(identity, given)
    if given.get("status", "published") not in STATES:
        faults.append(errors.Fault("status", f"is one of {', '.join(STATES)}"))
    for read in (_check_token, _check_trigger):
        try:
            read(given, evaluator)
        except errors.InvalidInput as refusal:
            faults += refusal.faults
    try:
        read_steps(given.get("steps"), evaluator, checks=checks)
    except errors.InvalidInput as refusal:
        faults += refusal.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
    kept = {name: given[name] for name in WRITABLE if given.get(name) not in (None, "")}
    return msgspec.convert({**kept, "id": identity}, Definition)


def _name_faults(identity: str, given: Mapping[str, Any]) -> list[errors.Fault]:
    """What is wrong with what a journey is called."""
    faults = []
    for name in ("name", "alias"):
        value = given.get(name)
        if value is not None and (not isinstance(value, str) or not 1 <= len(value.strip()) <= MAX_NAME):
            faults.append(errors.Fault(name, f"is a text of 1 to {MAX_NAME} characters"))
    if given.get("name") is None:
        faults.append(errors.Fault("name", "is required"))
    for name, value in (("id", identity), ("alias", given.get("alias"))):
        if value in TAKEN:
            faults.append(errors.Fault(name, f"is a path below /automations: take another than {value!r}"))
    return faults


def _check_token(given: Mapping[str, Any], evaluator: expressions.Evaluator) -> None:
    reader = frames.Reader(given, "", evaluator)
    reader.named("cancelation_token")
    reader.done()


def _check_trigger(given: Mapping[str, Any], _: expressions.Evaluator) -> None:
    trigger = given.get("trigger")
    if trigger is None:
        return
    if not isinstance(trigger, dict):
        raise errors.InvalidInput.at("trigger", "is an object with an `event_type`")
    made = documents.as_struct(trigger, EventTrigger, "trigger")
    with errors.placed(_in_trigger):
        rules.define(_as_rule("a", "a", made))


def _in_trigger(path: str) -> str:
    if path.startswith("actions[0]."):
        return f"trigger.{path.removeprefix('actions[0].')}"
    return f"trigger.{'event_type' if path == 'trigger_type' else path}"


def _as_rule(identity: str, name: str, trigger: EventTrigger) -> dict[str, Any]:
    action: dict[str, Any] = {"type": "invoke_automation", "template": identity, "once": trigger.once}
    if trigger.entry_key is not None:
        action["entry_key"] = trigger.entry_key
    return {
        "name": name[:MAX_NAME],
        "trigger_type": trigger.event_type,
        "conditions": trigger.conditions,
        "actions": [action],
    }


def as_rule(definition: Definition) -> rules.Definition | None:
    """The rule of one action that a journey's trigger is (E11); None where it has none, or is a draft."""
    if definition.trigger is None or definition.status != "published":
        return None
    return rules.define(_as_rule(definition.id, definition.name, definition.trigger))


_rule = msgspec.json.Decoder(rules.Definition)
_definition = msgspec.json.Decoder(Definition)


def rule_in(stored: bytes | str) -> rules.Definition | None:
    """The rule that a stored definition is, or that the trigger of a stored journey is."""
    try:
        return _rule.decode(stored)
    except msgspec.ValidationError:
        return as_rule(_definition.decode(stored))


def automation_id(workspace_id: int, identity: str) -> bytes:
    """The 16 bytes by which a journey is known inside: the same for the same id, whoever makes it."""
    return hashlib.blake2b(f"journey:{workspace_id}:{identity}".encode(), digest_size=16).digest()
