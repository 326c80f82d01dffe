"""Rule: the event door's automation. What it may say, its gates in order, and its effective state.

Law: lower priority numbers come first, ties by creation, then id (rules.md C1). The gates stand in the order of
C3: pause, is_active, snooze and schedule keep a rule from being considered at all; rollout and cooldown leave a
run that says `skipped`. Nothing here knows where rules are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import alerts, conditions, documents, events, ids, plans, readers, schedule, steps

DEFAULT_PRIORITY = 100
_INT32 = 2**31
_MAX_COOLDOWN = 366 * 86400
_MAX_SNOOZE = 366 * schedule.DAY


class Gate(StrEnum):
    """What keeps a rule from acting on an event; the word is the `reason` on the wire."""

    PAUSED = "paused"
    INACTIVE = "inactive"
    SNOOZED = "snoozed"
    SCHEDULE = "schedule"
    ROLLOUT = "rollout"
    COOLDOWN = "cooldown"


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as people write and read it; JSON values as they were given, defaults filled in."""

    name: str
    trigger_type: str
    description: str | None = None
    is_active: bool = True
    conditions: Any = None
    actions: list[dict[str, Any]]
    alert_settings: dict[str, Any] | None = None
    schedule_settings: dict[str, Any] | None = None
    priority: int = DEFAULT_PRIORITY
    rollout_percentage: int = 100
    stop_on_match: bool = False
    cooldown_secs: int = 0
    snoozed_until: int | None = None
    """An instant (µs); set by snoozing alone."""


WRITABLE = tuple(name for name in Definition.__struct_fields__ if name != "snoozed_until")
"""The fields that create and PATCH take."""


class Rule(NamedTuple):
    """A rule ready to judge events."""

    id: bytes
    version: int
    tenant_id: str | None
    name: str
    trigger_type: str
    is_active: bool
    condition: conditions.Condition
    plan: plans.Plan
    priority: int
    rollout_percentage: int
    stop_on_match: bool
    cooldown_secs: int
    schedule: schedule.Schedule | None
    snoozed_until: int | None
    created_at: int
    is_timed: bool
    """Whether one of its first gates depends on the time, or is closed."""
    has_gates: bool
    """Whether it has a rollout or a cooldown."""


# ── reading what people write ───────────────────────────────────────────────────────────────────────


def define(given: Mapping[str, Any]) -> Definition:
    """A new rule from a request's body. Raises errors.InvalidInput with every fault at its place."""
    faults = documents.unknown_keys(given, WRITABLE, "")
    for name in ("name", "trigger_type", "actions"):
        if name not in given:
            faults.append(errors.Fault(name, "is required"))
    values, found = readers.checked(given, _FIELDS)
    faults += found
    if faults:
        raise errors.InvalidInput(faults=faults)
    return Definition(**values)


def change(stored: Definition, given: Mapping[str, Any]) -> Definition:
    """A stored rule with the given fields replaced, each whole (rules.md C19). Raises errors.InvalidInput."""
    faults = documents.unknown_keys(given, WRITABLE, "")
    values, found = readers.checked(given, _FIELDS)
    if faults or found:
        raise errors.InvalidInput(faults=faults + found)
    return msgspec.structs.replace(stored, **values)


def snooze(stored: Definition, until: int | None, now: int) -> Definition:
    """A stored rule asleep until an instant, or awake again (None). Raises errors.InvalidInput."""
    if until is not None and until <= now:
        raise errors.InvalidInput.at(
            "snoozed_until", "takes an instant in the future, or null to wake the rule"
        )
    if until is not None and until > now + _MAX_SNOOZE:
        raise errors.InvalidInput.at("snoozed_until", "takes an instant at most 366 days from now")
    return msgspec.structs.replace(stored, snoozed_until=until)


def choose_alerts(stored: Definition, given: Mapping[str, Any]) -> Definition:
    """A stored rule with the alert settings that a request chooses. Raises errors.InvalidInput."""
    return msgspec.structs.replace(stored, alert_settings=alerts.choose(stored.alert_settings, given))


def change_one(stored: Definition, given: Mapping[str, Any], name: str) -> Definition:
    """A stored rule with this one field replaced, which is required. Raises errors.InvalidInput."""
    faults = documents.unknown_keys(given, (name,), "")
    if name not in given:
        faults.append(errors.Fault(name, "is required"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    return change(stored, given)


def _boolean(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise errors.InvalidInput.at(path, "takes true or false")
    return value


def _between(low: int, high: int) -> Any:
    def check(value: object, path: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise errors.InvalidInput.at(path, f"takes a whole number from {low} to {high}")
        return value

    return check


def _trigger_type(value: object, path: str) -> str:
    fault = events.type_fault(value)
    if fault:
        raise errors.InvalidInput.at(path, fault)
    assert isinstance(value, str)
    return value


def _conditions(value: object, path: str) -> Any:
    conditions.parse(value, path)
    return value


def _actions(value: object, path: str) -> Any:
    steps.parse(value, path)
    return value


def _schedule(value: object, path: str) -> Any:
    schedule.parse(value, path)
    return value


_FIELDS: Mapping[str, Any] = {
    "name": readers.name,
    "trigger_type": _trigger_type,
    "description": readers.description,
    "is_active": _boolean,
    "conditions": _conditions,
    "actions": _actions,
    "alert_settings": alerts.check,
    "schedule_settings": _schedule,
    "priority": _between(-_INT32, _INT32 - 1),
    "rollout_percentage": _between(0, 100),
    "stop_on_match": _boolean,
    "cooldown_secs": _between(0, _MAX_COOLDOWN),
}


# ── judging ─────────────────────────────────────────────────────────────────────────────────────────


def ready(
    identity: bytes, version: int, tenant_id: str | None, created_at: int, definition: Definition
) -> Rule:
    """A stored rule, compiled."""
    return Rule(
        identity,
        version,
        tenant_id,
        definition.name,
        definition.trigger_type,
        definition.is_active,
        conditions.parse(definition.conditions),
        plans.plan(steps.parse(definition.actions) if definition.actions else ()),
        definition.priority,
        definition.rollout_percentage,
        definition.stop_on_match,
        definition.cooldown_secs,
        schedule.parse(definition.schedule_settings, "schedule_settings"),
        definition.snoozed_until,
        created_at,
        bool(not definition.is_active or definition.snoozed_until or definition.schedule_settings),
        bool(definition.rollout_percentage < 100 or definition.cooldown_secs),
    )


def order(rule: Rule) -> tuple[int, int, bytes]:
    """The place of a rule in the line: sort by it."""
    return rule.priority, rule.created_at, rule.id


def is_snoozed(snoozed_until: int | None, now: int) -> bool:
    """Whether a rule sleeps now: it wakes at the instant itself (rules.md C12)."""
    return snoozed_until is not None and now < snoozed_until


def closed_by(rule: Rule, now: int) -> Gate | None:
    """Which of its own first gates keeps the rule from being considered now; None = it is considered."""
    return closed(rule.is_active, rule.snoozed_until, rule.schedule, now)


def closed(
    is_active: bool, snoozed_until: int | None, timetable: schedule.Schedule | None, now: int
) -> Gate | None:
    """The same of a rule that was not made ready."""
    if not is_active:
        return Gate.INACTIVE
    if is_snoozed(snoozed_until, now):
        return Gate.SNOOZED
    if timetable is not None and not schedule.is_active(timetable, now):
        return Gate.SCHEDULE
    return None


def write_skip(gate: Gate, matched_at: int | None) -> str:
    """What a run that was skipped keeps as its reason: the gate, and of a cooldown when it began (µs)."""
    return gate.value if matched_at is None else f"{gate.value}:{matched_at}"


def read_skip(reason: str | None) -> tuple[str | None, int | None]:
    """The gate and the instant in the reason of a run; runs of before the instant was kept have none."""
    gate, _, at = (reason or "").partition(":")
    return gate or None, int(at) if at.isdecimal() else None


def subject_of(contact_id: str | None, conversation_id: str | None, event_id: bytes | None) -> str:
    """Whom a rollout counts (rules.md C11)."""
    if contact_id is not None:
        return f"contact:{contact_id}"
    if conversation_id is not None:
        return f"conversation:{conversation_id}"
    return f"event:{ids.text(event_id)}" if event_id is not None else ""


def cooldown_subject(contact_id: str | None, conversation_id: str | None) -> str:
    """Whom a cooldown counts: the contact, else the conversation, else the rule itself (C10)."""
    return subject_of(contact_id, conversation_id, None)


def partition_of_person(workspace_id: int, name: str) -> int:
    """The partition in which it is decided about a contact of this id, or about whoever has this address alone."""
    return ids.partition_of_subject(workspace_id, cooldown_subject(name, None))


def bucket(rule_id: bytes, subject: str) -> int:
    """The place of a subject among a rule's 10,000 rollout buckets: stable, and its own for each rule (C11)."""
    digest = sha256(f"{ids.text(rule_id)}:{subject}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % 10_000


def rolled_out(rule: Rule, subject: str) -> bool:
    """Whether the subject is within the rule's rollout."""
    return rule.rollout_percentage >= 100 or bucket(rule.id, subject) < rule.rollout_percentage * 100


def cooling(rule: Rule, matched_at: int | None, now: int) -> bool:
    """Whether the rule's last match is less than its cooldown ago."""
    return matched_at is not None and now - matched_at < rule.cooldown_secs * 1_000_000


class EffectiveState(NamedTuple):
    """Whether a rule would act now, and why not (C16)."""

    is_active: bool
    is_snoozed: bool
    global_paused: bool
    schedule_active: bool
    reasons: tuple[str, ...]

    @property
    def effective_active(self) -> bool:
        """All gates open."""
        return not self.reasons


def effective_state(rule: Rule, paused: bool, now: int) -> EffectiveState:
    """The gates of a rule now, each for itself."""
    snoozed = is_snoozed(rule.snoozed_until, now)
    scheduled = rule.schedule is None or schedule.is_active(rule.schedule, now)
    reasons = [
        gate.value
        for gate, closed in (
            (Gate.PAUSED, paused),
            (Gate.INACTIVE, not rule.is_active),
            (Gate.SNOOZED, snoozed),
            (Gate.SCHEDULE, not scheduled),
        )
        if closed
    ]
    return EffectiveState(rule.is_active, snoozed, paused, scheduled, tuple(reasons))
