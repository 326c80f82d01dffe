"""Warnings: what a rule may say, and what looks wrong all the same.

Law: a warning never refuses anything; it names its place as a fault does (rules.md R13, R40, R41). What a rule says
by itself is looked at alone; what its place among the others makes of it needs the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from heliograph import errors
from heliograph.core import conditions, events, rules, schedule

_MOST_NAMED = 5


class Stored(Protocol):
    """A rule in its place among the others."""

    @property
    def id(self) -> bytes:
        """Its id."""

    @property
    def tenant_id(self) -> str | None:
        """Whose events it meets; None = everybody's."""

    @property
    def created_at(self) -> int:
        """When it was made."""

    @property
    def definition(self) -> rules.Definition:
        """What it says."""


def warnings(
    rule: Stored, others: Sequence[Stored], template_ids: frozenset[str]
) -> tuple[errors.Fault, ...]:
    """Everything that looks wrong with a rule among the others of its workspace; it may be among them itself."""
    return (*of_content(rule.definition, template_ids), *of_place(rule, others))


# ── what it says ────────────────────────────────────────────────────────────────────────────────────


def of_content(definition: rules.Definition, template_ids: frozenset[str]) -> tuple[errors.Fault, ...]:
    """What looks wrong with a rule by itself."""
    found: list[errors.Fault] = []
    if not events.is_known(definition.trigger_type):
        nearest = errors.did_you_mean(definition.trigger_type, events.KNOWN_TYPES)
        found.append(errors.Fault("trigger_type", f"is no event type that is known here{nearest}"))
    for index, action in enumerate(definition.actions):
        template_id = action.get("template_id")
        if action["type"] == "send_message" and template_id is not None and template_id not in template_ids:
            place = f"actions[{index}].template_id"
            found.append(errors.Fault(place, f"there is no template {template_id!r} yet"))
        if action["type"] == "emit_event" and action["event_type"] == definition.trigger_type:
            place = f"actions[{index}].event_type"
            found.append(errors.Fault(place, "is this rule's own trigger: it may start itself"))
    return tuple(found)


# ── where it stands ─────────────────────────────────────────────────────────────────────────────────


def emits(definition: rules.Definition) -> bool:
    """Whether a rule lets events come in, so that rules of other types have to be looked at too."""
    return any(action["type"] == "emit_event" for action in definition.actions)


def of_place(rule: Stored, others: Sequence[Stored]) -> tuple[errors.Fault, ...]:
    """What looks wrong with a rule because of the others."""
    active = [other for other in others if other.id != rule.id and other.definition.is_active]
    return (*_hidden(rule, active), *_hides(rule, active), *_loops(rule, active))


def _hidden(rule: Stored, others: Iterable[Stored]) -> Iterable[errors.Fault]:
    """The rule that stops every event before this one is asked."""
    for other in sorted(others, key=_order):
        if _is_before(other, rule) and other.tenant_id in (None, rule.tenant_id) and _stops_all(other):
            # A tenant's people do not see what the workspace's rules are called.
            name = f"{other.definition.name!r}" if other.tenant_id == rule.tenant_id else "of the workspace"
            yield errors.Fault(
                "priority",
                f"is never reached: the rule {name} goes first, always matches and has stop_on_match",
            )
            return


def _hides(rule: Stored, others: Iterable[Stored]) -> Iterable[errors.Fault]:
    """The rules that are not asked any more because of this one."""
    if not rule.definition.is_active or not _stops_all(rule):
        return
    behind = [
        other.definition.name
        for other in sorted(others, key=_order)
        if _is_before(rule, other) and rule.tenant_id in (None, other.tenant_id)
    ]
    if behind:
        more = f" and {len(behind) - _MOST_NAMED} more" if len(behind) > _MOST_NAMED else ""
        names = ", ".join(map(repr, behind[:_MOST_NAMED]))
        yield errors.Fault(
            "stop_on_match", f"always holds, so these rules behind it are never reached: {names}{more}"
        )


def _is_before(one: Stored, other: Stored) -> bool:
    return one.definition.trigger_type == other.definition.trigger_type and _order(one) < _order(other)


def _order(rule: Stored) -> tuple[int, int, bytes]:
    return rule.definition.priority, rule.created_at, rule.id


def _stops_all(rule: Stored) -> bool:
    """Whether a rule ends the matter for every event that comes to it; a snooze passes, and is not looked at."""
    definition = rule.definition
    return (
        definition.stop_on_match
        and definition.rollout_percentage == 100
        and not definition.cooldown_secs
        and schedule.is_always(schedule.parse(definition.schedule_settings))
        and conditions.is_always(conditions.parse(definition.conditions))
    )


def _loops(rule: Stored, others: Iterable[Stored]) -> Iterable[errors.Fault]:
    """The emitted events that lead back to this rule by way of others."""
    leads_to: dict[str, set[str]] = {}
    for other in others:
        if rule.tenant_id is None or other.tenant_id in (None, rule.tenant_id):
            leads_to.setdefault(other.definition.trigger_type, set()).update(_emitted(other.definition))
    own = rule.definition.trigger_type
    for index, action in enumerate(rule.definition.actions):
        emitted = action["event_type"] if action["type"] == "emit_event" else own
        if emitted != own and own in _reached(emitted, leads_to):
            place = f"actions[{index}].event_type"
            yield errors.Fault(place, "may lead back to this rule by way of others: a loop")


def _emitted(definition: rules.Definition) -> Iterable[str]:
    return (action["event_type"] for action in definition.actions if action["type"] == "emit_event")


def _reached(start: str, leads_to: dict[str, set[str]]) -> set[str]:
    """The event types that one leads to, over any number of rules."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for one in leads_to.get(waiting.pop(), ()):
            if one not in seen:
                seen.add(one)
                waiting.append(one)
    return seen
