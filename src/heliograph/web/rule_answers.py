"""Rules as they are answered, and the one way in which a route changes a rule.

Law: a rule is shown whole wherever it is shown, and whoever saves one is told what looks wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import alerts, explain, ids, rule_warnings, rules, schedule
from heliograph.store import automations, references
from heliograph.web import calls

Change = Callable[[rules.Definition], rules.Definition]


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
    """Rules that pass the filters, in the order of evaluation."""

    data: list[Rule]
    total: int
    """How many pass the filters, on all pages."""


def shown(rule: automations.Rule) -> Rule:
    """A rule in words."""
    return Rule(**_fields(rule))


def saved(connection: sa.Connection, workspace_id: int, rule: automations.Rule) -> SavedRule:
    """A rule that was just saved in this transaction, with what looks wrong about it."""
    definition = rule.definition
    trigger_type = None if rule_warnings.emits(definition) else definition.trigger_type
    others = automations.list_rules(connection, workspace_id, None, trigger_type)
    known = references.known(connection, workspace_id, rule.tenant_id, definition)
    found = rule_warnings.warnings(rule, others, known)
    return SavedRule(**_fields(rule), warnings=[Notice(*one) for one in found])


def changed(request: calls.Call, change: Change) -> SavedRule:
    """Change the rule that the path names. Raises errors.NotFound, and what `change` raises."""
    identity, who, now = request.identity("rule_id"), request.principal, request.services.now()
    with request.services.database.writing() as connection:
        stored = there(automations.lock_rule(connection, who.workspace_id, who.tenant_id, identity), request)
        wanted = change(stored.definition)
        made = automations.change_rule(connection, who.workspace_id, stored, wanted, now, who.key_id)
        answer = saved(connection, who.workspace_id, made)
    request.wake()
    return answer


def read(connection: sa.Connection, request: calls.Call) -> automations.Rule:
    """The rule that the path names. Raises errors.NotFound."""
    identity, who = request.identity("rule_id"), request.principal
    return there(automations.read_rule(connection, who.workspace_id, who.tenant_id, identity), request)


def there(found: automations.Rule | None, request: calls.Call) -> automations.Rule:
    """The rule that was looked for. Raises errors.NotFound."""
    return request.there(found, "rule", "rule_id")


def missing(request: calls.Call) -> errors.NotFound:
    """What is told of a rule that there is not."""
    return errors.NotFound(f"there is no rule {request.part('rule_id')!r}")


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
