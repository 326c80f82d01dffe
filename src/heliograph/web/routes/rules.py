"""Rules: `/api/automation/rules` (rules.md 3.2, 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union

import msgspec
from litestar import delete, get, patch, post

from heliograph import errors
from heliograph.core import documents, events, explain, rule_journeys, rules, schedule, steps
from heliograph.core.rules import DEFAULT_PRIORITY
from heliograph.store import automations
from heliograph.web import lists, rule_answers
from heliograph.web.calls import Call, in_thread

TAG = "Rules"

# ── what is read ────────────────────────────────────────────────────────────────────────────────────

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Priority = Annotated[
    int, msgspec.Meta(ge=-(2**31), lt=2**31, description="The lower number is evaluated first.")
]
Percentage = Annotated[int, msgspec.Meta(ge=0, le=100)]
Cooldown = Annotated[int, msgspec.Meta(ge=0, description="Seconds between two matches for the same contact.")]
TriggerType = Annotated[
    str, msgspec.Meta(pattern=events.TYPE_PATTERN, description="The event type it waits for.")
]
Conditions = Annotated[
    list[Any] | dict[str, Any] | None,
    msgspec.Meta(
        description="Leaves `{field, operator, value}` in groups of `all`, `any`, `none`; empty: always."
    ),
]
if TYPE_CHECKING:
    Action = Any
else:
    Action = Union[tuple(steps.KINDS.values())]  # noqa: UP007
Actions = Annotated[
    list[Action], msgspec.Meta(min_length=1, max_length=steps.MAX_STEPS, description="Taken in this order.")
]
Settings = dict[str, Any] | None


class NewRule(msgspec.Struct, kw_only=True):
    """A rule to create."""

    name: Name
    trigger_type: TriggerType
    actions: Actions
    description: str | None = None
    is_active: bool = True
    conditions: Conditions = None
    alert_settings: Settings = None
    schedule_settings: Settings = None
    priority: Priority = DEFAULT_PRIORITY
    rollout_percentage: Percentage = 100
    stop_on_match: bool = False
    cooldown_secs: Cooldown = 0


class RuleChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What to change of a rule: each field that is given is replaced whole."""

    name: Name | msgspec.UnsetType = msgspec.UNSET
    trigger_type: TriggerType | msgspec.UnsetType = msgspec.UNSET
    actions: Actions | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    is_active: bool | msgspec.UnsetType = msgspec.UNSET
    conditions: Conditions | msgspec.UnsetType = msgspec.UNSET
    alert_settings: Settings | msgspec.UnsetType = msgspec.UNSET
    schedule_settings: Settings | msgspec.UnsetType = msgspec.UNSET
    priority: Priority | msgspec.UnsetType = msgspec.UNSET
    rollout_percentage: Percentage | msgspec.UnsetType = msgspec.UNSET
    stop_on_match: bool | msgspec.UnsetType = msgspec.UNSET
    cooldown_secs: Cooldown | msgspec.UnsetType = msgspec.UNSET


class Snooze(msgspec.Struct):
    """Until when a rule sleeps; null wakes it."""

    snoozed_until: explain.Instant | None


class RulesQuery(msgspec.Struct):
    """Which rules are listed."""

    is_active: bool | None = None
    trigger_type: str | None = None


class SnoozedQuery(RulesQuery):
    """Which sleeping rules are listed."""

    page: lists.PageNumber | None = None
    per_page: lists.PerPage = 50


# ── what is answered ────────────────────────────────────────────────────────────────────────────────


class Snoozed(msgspec.Struct):
    """What became of a snooze."""

    message: str
    id: str
    snoozed_until: explain.Instant | None


# ── rules ───────────────────────────────────────────────────────────────────────────────────────────


@get("/api/automation/rules", opt={"tag": TAG, "query": RulesQuery})
@in_thread
def list_rules(request: Call) -> rule_answers.RuleList:
    """List rules in the order in which they are evaluated."""
    query = request.read_query(RulesQuery)
    data = [rule_answers.shown(rule) for rule in _passing(request, query.is_active, query.trigger_type)]
    return rule_answers.RuleList(data, len(data))


@get("/api/automation/rules/snoozed", opt={"tag": TAG, "query": SnoozedQuery})
@in_thread
def list_snoozed_rules(request: Call) -> rule_answers.RuleList:
    """List the rules that sleep now; `is_active` looks at the flag."""
    query, now = request.read_query(SnoozedQuery), request.services.now()
    place = lists.place(None, query.page, query.per_page, "created_at")
    found = _passing(request, query.is_active, query.trigger_type)
    asleep = [rule for rule in found if rules.is_snoozed(rule.definition.snoozed_until, now)]
    page = asleep[place.offset : place.offset + query.per_page]
    return rule_answers.RuleList([rule_answers.shown(rule) for rule in page], len(asleep))


def _passing(request: Call, is_active: bool | None, trigger_type: str | None) -> list[automations.Rule]:
    who = request.principal
    with request.services.database.reading() as connection:
        found = automations.list_rules(connection, who.workspace_id, who.tenant_id, trigger_type)
    return [rule for rule in found if is_active in (None, rule.definition.is_active)]


@post("/api/automation/rules", opt={"tag": TAG, "body": NewRule})
@in_thread
def create_rule(request: Call) -> rule_answers.SavedRule:
    """Create a rule."""
    request.refuse_query()
    definition, who, now = rules.define(request.read_object()), request.principal, request.services.now()
    _check(request, definition)
    with request.services.database.writing() as connection:
        made = automations.create_rule(
            connection, who.workspace_id, who.tenant_id, definition, now, who.key_id
        )
        answer = rule_answers.saved(connection, who.workspace_id, made)
    request.wake()
    return answer


def _check(request: Call, definition: rules.Definition) -> None:
    """Raises InvalidInput with the faults of steps that stand in its actions."""
    services = request.services
    rule_journeys.check_actions(definition.actions, services.evaluator, services.settings.allowed_hosts)


@get("/api/automation/rules/{rule_id:str}", opt={"tag": TAG})
@in_thread
def read_rule(request: Call) -> rule_answers.Rule:
    """Read a rule."""
    request.refuse_query()
    with request.services.database.reading() as connection:
        return rule_answers.shown(rule_answers.read(connection, request))


@patch("/api/automation/rules/{rule_id:str}", opt={"tag": TAG, "body": RuleChange})
@in_thread
def change_rule(request: Call) -> rule_answers.SavedRule:
    """Change a rule: the fields that are given, each whole."""
    request.refuse_query()
    given = request.read_object()

    def change(stored: rules.Definition) -> rules.Definition:
        changed = rules.change(stored, given)
        if "actions" in given:
            _check(request, changed)
        return changed

    return rule_answers.changed(request, change)


@delete("/api/automation/rules/{rule_id:str}", opt={"tag": TAG})
@in_thread
def delete_rule(request: Call) -> None:
    """Delete a rule; its runs, which may go on, keep its name."""
    request.refuse_query()
    identity, who, now = request.identity("rule_id"), request.principal, request.services.now()
    with request.services.database.writing() as connection:
        found = automations.lock_rule(connection, who.workspace_id, who.tenant_id, identity)
        automations.delete_rule(connection, who.workspace_id, rule_answers.there(found, request), now)
    request.wake()


@post(
    "/api/automation/rules/{rule_id:str}/snooze",
    status_code=200,
    opt={"tag": TAG, "body": Snooze},
)
@in_thread
def snooze_rule(request: Call) -> Snoozed:
    """Let a rule sleep until an instant, or wake it with null."""
    request.refuse_query()
    given, now = request.read_object(), request.services.now()
    until = _snoozed_until(given)
    answer = rule_answers.changed(request, lambda stored: rules.snooze(stored, until, now))
    written = answer.snoozed_until
    message = "the rule is awake" if written is None else f"the rule sleeps until {written}"
    return Snoozed(message, answer.id, written)


def _snoozed_until(given: dict[str, Any]) -> int | None:
    faults = documents.unknown_keys(given, ("snoozed_until",), "")
    if "snoozed_until" not in given:
        faults.append(errors.Fault("snoozed_until", "is required: an instant, or null to wake the rule"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    written = given["snoozed_until"]
    return None if written is None else schedule.parse_instant(written, "snoozed_until")


HANDLERS = (
    list_rules,
    list_snoozed_rules,
    create_rule,
    read_rule,
    change_rule,
    delete_rule,
    snooze_rule,
)
