"""Time-outs: what a message's `timeout` says in Courier's shape, but for its channels and providers (core.routing).

Law: pure reading, each fault with its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heliograph import errors
from heliograph.core import courier_fields, routes

FIELDS = ("message", "channel", "provider", "escalation", "criteria")
LONGEST = 30 * 86_400_000
"""Milliseconds."""
USUAL = 259_200_000
"""Milliseconds after which a message is given up, where its request says nothing else."""
NO_ESCALATION = "no-escalation"
CRITERIA = (NO_ESCALATION, routes.DELIVERED, routes.VIEWED, routes.ENGAGED)


def message(reading: courier_fields.Read, timeout: Mapping[str, Any], path: str) -> int | None:
    """After how many milliseconds a message is given up, where its `timeout` says so; the rest of it is known."""
    reading.known(timeout, FIELDS, path)
    return reading.milliseconds(timeout, "message", path, LONGEST)


def escalation(
    reading: courier_fields.Read, timeout: Mapping[str, Any], path: str
) -> routes.Escalation | None:
    """When a message goes on of which nobody takes notice; where no criterion is named, `delivered` is meant."""
    criterion = timeout.get("criteria") or routes.DELIVERED
    if criterion not in CRITERIA:
        reading.fault(f"{path}.criteria", errors.unknown("criterion", criterion, CRITERIA))
    after = reading.milliseconds(timeout, "escalation", path, LONGEST)
    if criterion == NO_ESCALATION or criterion not in CRITERIA:
        return None
    if timeout.get("criteria") and timeout.get("escalation") is None:
        reading.fault(f"{path}.escalation", "is required beside `criteria`: milliseconds from the hand-over")
    return None if after is None else routes.Escalation(after, criterion)


def check(reading: courier_fields.Read, said: routes.Escalation | None, path: str, given_up: int) -> None:
    """Let it be a fault where a message is given up (milliseconds) before it could go on."""
    if said is not None and said.after >= given_up:
        told = f"is shorter than `message`, {given_up}, after which the message is given up"
        reading.fault(f"{path}.escalation", told)
