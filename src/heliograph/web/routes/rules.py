"""Rules: `/api/automation/rules` (rules.md 3.2, 3.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union

import msgspec
from litestar import delete, get, patch, post

from heliograph import errors
from heliograph.core import alerts, documents, events, explain, ids, rules, schedule, steps
from heliograph.core.rules import DEFAULT_PRIORITY
from heliograph.store import automations
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


# ── what is answered ────────────────────────────────────────────────────────────────────────────────


class Rule(msgspec.Struct, kw_only=True):
    """A rule."""

    id: str
    name: str
    description: str | None
    is_active: bool
    trigger_type: str
    conditions: Any
    actions: list[dict[str, Any]]
    alert_settings: dict[str, Any]
    """The effective settings: defaults are filled in."""
    schedule_settings: dict[str, Any] | None
    priority: int
    rollout_percentage: int
    stop_on_match: bool
    cooldown_secs: int
    snoozed_until: explain.Instant | None
    number: int
    version: int
    """Grows with each change; runs name the version that they went by."""
    created_at: explain.Instant
    updated_at: explain.Instant
    created_by: str | None
    """The id of the API key that made it."""
    updated_by: str | None


class Notice(msgspec.Struct):
    """What is allowed but looks wrong."""

    path: str
    message: str


class SavedRule(Rule, kw_only=True):
    """A rule that was just saved."""

    warnings: list[Notice]


class RuleList(msgspec.Struct):
    """Every rule that passes the filters, in the order of evaluation."""

    data: list[Rule]
    total: int


class Snoozed(msgspec.Struct):
    """What became of a snooze."""

    message: str
    id: str
    snoozed_until: explain.Instant | None


# ── rules ───────────────────────────────────────────────────────────────────────────────────────────


@get("/api/automation/rules", opt={"tag": TAG, "query": RulesQuery})
@in_thread
def list_rules(request: Call) -> RuleList:
    """List rules in the order in which they are evaluated."""
    query, who = request.read_query(RulesQuery), request.principal
    with request.services.database.reading() as connection:
        found = automations.list_rules(connection, who.workspace_id, who.tenant_id)
    data = [
        Rule(**_fields(rule))
        for rule in found
        if query.is_active in (None, rule.definition.is_active)
        and query.trigger_type in (None, rule.definition.trigger_type)
    ]
    return RuleList(data, len(data))


@post("/api/automation/rules", opt={"tag": TAG, "body": NewRule})
@in_thread
def create_rule(request: Call) -> SavedRule:
    """Create a rule."""
    request.refuse_query()
    definition, who, now = rules.define(request.read_object()), request.principal, request.services.now()
    with request.services.database.writing() as connection:
        made = automations.create_rule(
            connection, who.workspace_id, who.tenant_id, definition, now, who.key_id
        )
        templates = automations.template_ids(connection, who.workspace_id)
    request.wake()
    return _saved(made, templates)


@get("/api/automation/rules/{rule_id:str}", opt={"tag": TAG})
@in_thread
def read_rule(request: Call) -> Rule:
    """Read a rule."""
    request.refuse_query()
    identity, who = request.identity("rule_id"), request.principal
    with request.services.database.reading() as connection:
        found = automations.read_rule(connection, who.workspace_id, who.tenant_id, identity)
    return Rule(**_fields(_there(found, request)))


@patch("/api/automation/rules/{rule_id:str}", opt={"tag": TAG, "body": RuleChange})
@in_thread
def change_rule(request: Call) -> SavedRule:
    """Change a rule: the fields that are given, each whole."""
    request.refuse_query()
    identity, given = request.identity("rule_id"), request.read_object()
    who, now = request.principal, request.services.now()
    with request.services.database.writing() as connection:
        stored = _there(automations.lock_rule(connection, who.workspace_id, who.tenant_id, identity), request)
        changed = rules.change(stored.definition, given)
        made = automations.change_rule(connection, who.workspace_id, stored, changed, now, who.key_id)
        templates = automations.template_ids(connection, who.workspace_id)
    request.wake()
    return _saved(made, templates)


@delete("/api/automation/rules/{rule_id:str}", opt={"tag": TAG})
@in_thread
def delete_rule(request: Call) -> None:
    """Delete a rule; its runs, which may go on, keep its name."""
    request.refuse_query()
    identity, who, now = request.identity("rule_id"), request.principal, request.services.now()
    with request.services.database.writing() as connection:
        stored = _there(automations.lock_rule(connection, who.workspace_id, who.tenant_id, identity), request)
        automations.delete_rule(connection, stored, now)
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
    identity, given = request.identity("rule_id"), request.read_object()
    who, now = request.principal, request.services.now()
    until = _snoozed_until(given)
    with request.services.database.writing() as connection:
        stored = _there(automations.lock_rule(connection, who.workspace_id, who.tenant_id, identity), request)
        changed = rules.snooze(stored.definition, until, now)
        automations.change_rule(connection, who.workspace_id, stored, changed, now, who.key_id)
    request.wake()
    written = explain.instant(until)
    message = "the rule is awake" if written is None else f"the rule sleeps until {written}"
    return Snoozed(message, ids.text(stored.id), written)


def _snoozed_until(given: dict[str, Any]) -> int | None:
    faults = documents.unknown_keys(given, ("snoozed_until",), "")
    if "snoozed_until" not in given:
        faults.append(errors.Fault("snoozed_until", "is required: an instant, or null to wake the rule"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    written = given["snoozed_until"]
    return None if written is None else schedule.parse_instant(written, "snoozed_until")


def _there(found: automations.Rule | None, request: Call) -> automations.Rule:
    if found is None:
        raise errors.NotFound(f"there is no rule {request.part('rule_id')!r}")
    return found


def _fields(rule: automations.Rule) -> dict[str, Any]:
    kept = rule.definition
    written = {name: getattr(kept, name) for name in automations.Kept.__struct_fields__}
    return {
        **written,
        "id": ids.text(rule.id),
        "number": rule.number,
        "version": rule.version,
        "alert_settings": alerts.effective(kept.alert_settings),
        "snoozed_until": explain.instant(kept.snoozed_until),
        "created_at": schedule.write_instant(rule.created_at),
        "updated_at": schedule.write_instant(rule.updated_at),
    }


def _saved(rule: automations.Rule, templates: frozenset[str]) -> SavedRule:
    found = rules.warnings(rule.definition, templates)
    return SavedRule(**_fields(rule), warnings=[Notice(**one) for one in found])


HANDLERS = (list_rules, create_rule, read_rule, change_rule, delete_rule, snooze_rule)
