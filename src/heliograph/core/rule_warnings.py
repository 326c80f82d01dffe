"""Warnings: what a rule may say, and what looks wrong all the same.

Law: a warning never refuses anything; it names its place as a fault does (rules.md R13, R40, R41). What a rule says
by itself is looked at alone; what its place among the others makes of it needs the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from heliograph import errors
from heliograph.core import conditions, events, notices, rules, schedule, values

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


class References(NamedTuple):
    """What the actions of a rule may name, by id."""

    templates: frozenset[str] = frozenset()
    agents: frozenset[str] = frozenset()
    divisions: frozenset[str] = frozenset()
    journeys: frozenset[str] = frozenset()
    """Ids and aliases of those that are published."""
    lists: frozenset[str] = frozenset()


_NAMES = (
    ("send_message", "template_id", "template", "templates"),
    ("assign_agent", "agent_id", "agent", "agents"),
    ("assign_division", "division_id", "division", "divisions"),
    ("invoke_automation", "template", "published journey", "journeys"),
    ("add_to_list", "list_id", "list", "lists"),
)
"""(action, field, what it names, where it is among References)"""


def warnings(rule: Stored, others: Sequence[Stored], known: References) -> tuple[errors.Fault, ...]:
    """Everything that looks wrong with a rule among the others of its workspace; it may be among them itself."""
    return (*of_content(rule.definition, known), *of_place(rule, others))


# ── what it says ────────────────────────────────────────────────────────────────────────────────────


def of_content(definition: rules.Definition, known: References) -> tuple[errors.Fault, ...]:
    """What looks wrong with a rule by itself."""
    found: list[errors.Fault] = []
    if not events.is_known(definition.trigger_type):
        nearest = errors.did_you_mean(definition.trigger_type, events.KNOWN_TYPES)
        found.append(errors.Fault("trigger_type", f"is no event type that is known here{nearest}"))
    found += _never_holds(definition)
    for index, action in enumerate(definition.actions):
        for kind, field, what, where in _NAMES:
            named = action.get(field) if action["type"] == kind else None
            # What a text names is known when the rule acts.
            if named is not None and "{" not in named and named not in getattr(known, where):
                place = f"actions[{index}].{field}"
                found.append(errors.Fault(place, f"there is no {what} {named!r} yet"))
        if definition.trigger_type in emitted(action):
            found.append(
                errors.Fault(_cause(index, action), "is this rule's own trigger: it may start itself")
            )
    return tuple(found)


def _never_holds(definition: rules.Definition) -> Iterable[errors.Fault]:
    """The leaves that compare an order with a text that is no instant: two other texts have none (R28)."""
    for leaf in conditions.leaves(conditions.parse(definition.conditions)):
        if leaf.meaning.wanted is values.UNFIT:
            place = f"conditions{'' if leaf.path.startswith('[') else '.'}{leaf.path}.value"
            what = f'"{leaf.operator}" compares numbers, and ISO 8601 instants with an offset'
            yield errors.Fault(
                place, f'{what} such as "2026-01-02T03:04:05Z": this is neither, so it never holds'
            )


# ── where it stands ─────────────────────────────────────────────────────────────────────────────────


def emits(definition: rules.Definition) -> bool:
    """Whether a rule lets events come in, so that rules of other types have to be looked at too."""
    return any(emitted(action) for action in definition.actions)


def emitted(action: Mapping[str, Any]) -> tuple[str, ...]:
    """The types of the events that an action lets come in, be it that the engine tells of what it did."""
    kind = action["type"]
    if kind == "emit_event":
        event_type = str(action["event_type"])
        # What a text comes to is known when the rule acts.
        return () if "{" in event_type else (event_type,)
    if kind in ("add_tags", "remove_tags") and action.get("target") == "contact":
        return notices.OF_CONTACTS
    return _TOLD.get(kind, ())


_TOLD: Mapping[str, tuple[str, ...]] = {
    "assign_agent": (notices.ASSIGNED,),
    "assign_division": (notices.ASSIGNED,),
    "unassign": (notices.ASSIGNED,),
    "set_status": (notices.STATUS_CHANGED,),
    "add_tags": (notices.TAGGED,),
    "remove_tags": (notices.TAGGED,),
    "update_contact": notices.OF_CONTACTS,
}


def _cause(index: int, action: Mapping[str, Any]) -> str:
    """The place of what lets an event come in."""
    return f"actions[{index}].{'event_type' if action['type'] == 'emit_event' else 'type'}"


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
        starts = emitted(action)
        if own not in starts and any(own in _reached(one, leads_to) for one in starts):
            message = "may lead back to this rule by way of others: a loop"
            yield errors.Fault(_cause(index, action), message)


def _emitted(definition: rules.Definition) -> Iterable[str]:
    return (event_type for action in definition.actions for event_type in emitted(action))


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
