"""Control: the one record with which a workspace is paused or its deliveries are held.

A workspace that plays in a sandbox sends nothing: its messages are simulated.

Law: a pause stops rules alone and ends by itself at `paused_until`, by the clock and not by a job (rules.md C15,
R62); a hold stops the claiming of messages for every door (engine.md E22).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from heliograph import errors
from heliograph.core import documents, schedule

WRITABLE = ("is_paused", "pause_reason", "paused_until", "hold_deliveries", "sandbox")
_SWITCHES = ("is_paused", "hold_deliveries", "sandbox")
_MOST_REASON = 1_000


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """The record as it is stored."""

    is_paused: bool = False
    pause_reason: str | None = None
    paused_until: int | None = None
    """When the pause ends by itself (µs); None = when somebody ends it."""
    hold_deliveries: bool = False
    sandbox: bool = False
    """Whether what is sent is simulated: rendered, and handed over to nobody."""
    updated_at: int = 0
    updated_by: str | None = None


def is_paused(control: Control, now: int) -> bool:
    """Whether rules stand still now."""
    return control.is_paused and (control.paused_until is None or now < control.paused_until)


def effective(control: Control, now: int) -> Control:
    """The record as it holds now: a pause that has run out is gone, with its reason."""
    if control.is_paused == is_paused(control, now):
        return control
    return msgspec.structs.replace(control, is_paused=False, pause_reason=None, paused_until=None)


def change(stored: Control, given: Mapping[str, Any], now: int, by: str | None) -> Control:
    """The record after a PATCH. Raises errors.InvalidInput with every fault at its place."""
    faults = [*documents.unknown_keys(given, WRITABLE, ""), *_faults(given, now)]
    if faults:
        raise errors.InvalidInput(faults=faults)
    held = effective(stored, now)
    pausing = given.get("is_paused", held.is_paused)
    until = given.get("paused_until", held.paused_until and schedule.write_instant(held.paused_until))
    return Control(
        is_paused=pausing,
        pause_reason=given.get("pause_reason", held.pause_reason) if pausing else None,
        paused_until=schedule.parse_instant(until, "paused_until") if pausing and until else None,
        hold_deliveries=given.get("hold_deliveries", held.hold_deliveries),
        sandbox=given.get("sandbox", held.sandbox),
        updated_at=schedule.later(now, stored.updated_at),
        updated_by=by,
    )


def _faults(given: Mapping[str, Any], now: int) -> list[errors.Fault]:
    found = [
        errors.Fault(name, "takes true or false")
        for name in _SWITCHES
        if not isinstance(given.get(name, False), bool)
    ]
    is_of_more = given.keys().isdisjoint(_SWITCHES) or {"pause_reason", "paused_until"} & given.keys()
    if "is_paused" not in given and is_of_more:
        found.append(errors.Fault("is_paused", "is required: true pauses, false resumes"))
    reason = given.get("pause_reason")
    if reason is not None and not documents.is_text(reason, _MOST_REASON, least=0):
        message = f"takes a text of at most {_MOST_REASON} characters, none of them NUL, or null"
        found.append(errors.Fault("pause_reason", message))
    return found + _until_faults(given, now)


def _until_faults(given: Mapping[str, Any], now: int) -> list[errors.Fault]:
    until = given.get("paused_until")
    if until is None:
        return []
    if given.get("is_paused") is False:
        return [errors.Fault("paused_until", "says when a pause ends: leave it out when is_paused is false")]
    try:
        at = schedule.parse_instant(until, "paused_until")
    except errors.InvalidInput as fault:
        return list(fault.faults)
    return [] if at > now else [errors.Fault("paused_until", "takes an instant in the future, or null")]
