"""Rules that start journeys: what an `invoke_automation` action asks for, and what may stand in it (E11).

Law: a stored journey is named and may change; steps that stand in the action itself are checked when the rule is saved,
and again when they start.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from heliograph import errors
from heliograph.core import effects, expressions, ids, journey_checks, journey_starts, journeys, plans


def of_rule(
    journey: journeys.Journey | None, asked: plans.Invocation, evaluator: expressions.Evaluator
) -> effects.Start | str:
    """The start that a rule's action asks for, or why there is none."""
    if asked.steps is not None:
        return _own_of_rule(asked, asked.steps, evaluator)
    if journey is None:
        return f"there is no published journey {asked.template!r}"
    scene = asked.scene
    is_trigger = scene.rule_id == journey.automation_id
    source = f"event/{scene.event_type}" if is_trigger else f"rule/{ids.text(scene.rule_id)}"
    body = journey_starts.Body(
        (source,),
        asked.data,
        recipient=scene.contact_id,
        depth=scene.depth,
        journey=journey.definition.id,
        event_id=ids.text(scene.event_id),
    )
    token, key = journey.definition.cancelation_token, _key(scene.tenant_id, asked.start_key)
    try:
        return journey_starts.start(journey, body, token, evaluator, scene.now, key)
    except errors.InvalidInput as fault:
        return str(fault)


def _own_of_rule(
    asked: plans.Invocation, steps: list[dict[str, Any]], evaluator: expressions.Evaluator
) -> effects.Start | str:
    """The start of steps that stand in a rule's action."""
    scene = asked.scene
    rule = ids.text(scene.rule_id)
    body = journey_starts.Body(
        (f"rule/{rule}",),
        asked.data,
        recipient=scene.contact_id,
        depth=scene.depth,
        steps=steps,
        event_id=ids.text(scene.event_id),
    )
    # Runs that brought their steps with them have one automation in common: a key is the rule's own.
    key = _key(scene.tenant_id, None if asked.start_key is None else f"{rule}:{asked.start_key}")
    try:
        sends = journey_checks.of_sends({"recipient": scene.contact_id})
        journeys.read_steps(steps, evaluator, checks=[sends])
        return journey_starts.start(None, body, None, evaluator, scene.now, key)
    except errors.InvalidInput as fault:
        return str(fault)


def _key(tenant_id: str | None, key: str | None) -> str | None:
    """A start key as it is kept: none of the workspace's begins like a tenant's."""
    if tenant_id is None or key is None:
        return key
    return f"of:{ids.in_tenant(tenant_id, key)}"


def check_actions(
    actions: Sequence[Mapping[str, Any]],
    evaluator: expressions.Evaluator,
    allowed_hosts: Collection[str] = (),
) -> None:
    """Raises InvalidInput with the faults of steps that stand in actions of a rule, each with its place.

    `allowed_hosts` are those that they may ask as the steps of a journey may (journeys.define).
    """
    faults: list[errors.Fault] = []
    checks = [
        journey_checks.of_sends({"recipient": "the contact"}),
        journey_checks.of_addresses(allowed_hosts),
    ]
    for index, action in enumerate(actions):
        if action.get("type") == "invoke_automation" and action.get("steps") is not None:
            path = f"actions[{index}].steps"
            try:
                journeys.read_steps(action["steps"], evaluator, path, checks=checks)
            except errors.InvalidInput as refusal:
                faults += refusal.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
