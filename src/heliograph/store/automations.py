"""Automations as people manage them: rules and their versions.

Law: every change of a definition is a new version, kept for ever with the instant from which it holds and whoever
made it; a deleted rule leaves a tombstone, so that its runs keep their name (engine.md E22, E27). Each function works
in the caller's transaction and raises the workspace's `definitions_version` before it writes. What turns read stands
in definitions.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import alerts, documents, effects, ids, rules
from heliograph.store import alert_rows, cooldowns, identities, rows, schema, timers, versions, workspaces

_RULE = "rule"
_AUTOMATIONS = schema.automations.c


class Kept(rules.Definition, frozen=True, kw_only=True):
    """A definition as it is stored: with whoever made the rule, and whoever changed it last."""

    created_by: str | None = None
    updated_by: str | None = None


class Rule(NamedTuple):
    """A rule as people read it."""

    id: bytes
    tenant_id: str | None
    number: int
    version: int
    created_at: int
    updated_at: int
    definition: Kept


_kept = msgspec.json.Decoder(Kept)


# ── rules ───────────────────────────────────────────────────────────────────────────────────────────


def create_rule(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    definition: rules.Definition,
    now: int,
    by: str | None,
    identity: bytes | None = None,
) -> Rule:
    """Store a new rule; `by` is the id of the key that made it, `identity` its id where the caller names one."""
    workspaces.raise_version(connection, workspace_id)
    identity = identity or identities.fresh(now)
    number = workspaces.next_number(connection, workspace_id, _RULE)
    made = Rule(identity, tenant_id, number, 1, now, now, _keep(definition, by, None))
    versions.create(connection, workspace_id, _RULE, made, definition.trigger_type)
    _look_at(connection, workspace_id, made, now)
    return made


def change_rule(
    connection: sa.Connection,
    workspace_id: int,
    stored: Rule,
    changed: rules.Definition,
    now: int,
    by: str | None,
) -> Rule:
    """Store the next version of a rule that was read by `lock_rule`; one that says so already stays as it is."""
    if not changed_fields(stored.definition, changed):
        return stored
    return _next_version(connection, workspace_id, stored, changed, now, by)


def _next_version(
    connection: sa.Connection,
    workspace_id: int,
    stored: Rule,
    changed: rules.Definition,
    now: int,
    by: str | None,
) -> Rule:
    kept = _keep(changed, stored.definition.created_by, by)
    # Versions of one rule begin one after the other, also where the clock has not moved.
    made = stored._replace(
        version=stored.version + 1, updated_at=max(now, stored.updated_at), definition=kept
    )
    connection.execute(sa.update(schema.automations).where(_AUTOMATIONS.id == stored.id).values(**_row(made)))
    versions.add(connection, workspace_id, made)
    if kept.cooldown_secs and not stored.definition.cooldown_secs:
        cooldowns.begin(connection, workspace_id, made.id)
    _look_at(connection, workspace_id, made, now)
    return made


def _look_at(connection: sa.Connection, workspace_id: int, rule: Rule, now: int) -> None:
    """Let a rule be looked at, of which somebody is told when it is alarming (engine/alarms.py)."""
    if alerts.is_told(alerts.effective(rule.definition.alert_settings)):
        partition, kind = alert_rows.partition_of(workspace_id, rule.id), int(effects.Timer.ALARM)
        timers.put(connection, [rows.Timer(partition, now, workspace_id, kind, rule.id)])


def put_rule(
    connection: sa.Connection, workspace_id: int, identity: bytes, definition: rules.Definition, now: int
) -> tuple[Rule | None, Rule]:
    """Let a rule of this id say what `definition` says; gives it as it was (None: there was none) and as it is.

    One that says so already is left alone, one that was deleted comes back; a snooze stays. Raises errors.Conflict
    where the id belongs to something else.
    """
    workspaces.raise_version(connection, workspace_id)
    row = connection.execute(
        sa.select(
            _AUTOMATIONS.workspace_id, _AUTOMATIONS.kind, _AUTOMATIONS.deleted_at, *versions.HEAD
        ).where(_AUTOMATIONS.id == identity)
    ).one_or_none()
    if row is None:
        return None, create_rule(connection, workspace_id, None, definition, now, None, identity)
    if (row.workspace_id, row.kind) != (workspace_id, _RULE):
        raise errors.Conflict(f"the id {ids.text(identity)} belongs to something else: take another one")
    stored = _rule(row[3:])
    wanted = msgspec.structs.replace(definition, snoozed_until=stored.definition.snoozed_until)
    if row.deleted_at is not None:
        connection.execute(
            sa.update(schema.automations).where(_AUTOMATIONS.id == identity).values(deleted_at=None)
        )
        return None, _next_version(connection, workspace_id, stored, wanted, now, None)
    return stored, change_rule(connection, workspace_id, stored, wanted, now, None)


def changed_fields(before: rules.Definition, after: rules.Definition) -> list[str]:
    """The names of the fields in which two definitions differ, as JSON: `true` is not 1."""
    return documents.changed_fields(before, after, rules.Definition.__struct_fields__)


def delete_rule(connection: sa.Connection, workspace_id: int, stored: Rule, now: int) -> None:
    """Leave a tombstone of a rule that was read by `lock_rule`."""
    versions.bury(connection, workspace_id, stored, now)


def lock_rule(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: bytes
) -> Rule | None:
    """A rule that is about to be changed: nobody else changes definitions until this transaction ends."""
    workspaces.raise_version(connection, workspace_id)
    return read_rule(connection, workspace_id, tenant_id, identity)


def read_rule(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: bytes
) -> Rule | None:
    """A rule, where this tenant (None: the whole workspace) may see it and it was not deleted."""
    row = connection.execute(
        versions.visible(workspace_id, tenant_id, _RULE).where(_AUTOMATIONS.id == identity)
    ).one_or_none()
    return None if row is None else _rule(row)


def had_rule(connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: bytes) -> bool:
    """Whether there is a rule that this tenant (None: the whole workspace) may see, or was until it was deleted."""
    query = sa.select(_AUTOMATIONS.id).filter_by(id=identity, workspace_id=workspace_id, kind=_RULE)
    return connection.execute(_of_tenant(query, tenant_id)).first() is not None


def list_rules(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, trigger_type: str | None = None
) -> list[Rule]:
    """Every rule that this tenant (None: the whole workspace) may see, in the order of evaluation (rules.md C1)."""
    query = versions.visible(workspace_id, tenant_id, _RULE)
    if trigger_type is not None:
        query = query.where(_AUTOMATIONS.trigger_type == trigger_type)
    found = [_rule(row) for row in connection.execute(query)]
    return sorted(found, key=lambda rule: (rule.definition.priority, rule.created_at, rule.id))


def _of_tenant(query: sa.Select[Any], tenant_id: str | None) -> sa.Select[Any]:
    return query if tenant_id is None else query.where(_AUTOMATIONS.tenant_id == tenant_id)


def _rule(row: Sequence[Any]) -> Rule:
    return Rule._make((*row[:-1], _kept.decode(row[-1])))


def _row(rule: Rule) -> dict[str, Any]:
    return {
        **versions.columns(rule),
        "trigger_type": rule.definition.trigger_type,
    }


def _keep(definition: rules.Definition, created_by: str | None, updated_by: str | None) -> Kept:
    written = {name: getattr(definition, name) for name in rules.Definition.__struct_fields__}
    return Kept(**written, created_by=created_by, updated_by=updated_by)
