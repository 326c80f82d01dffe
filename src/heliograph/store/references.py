"""References: what the actions of a rule may name, as it is when the rule is saved (rules.md R40)."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from heliograph.core import rule_warnings, rules, tenants
from heliograph.store import journeys, lists, teams, templates


def known(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, definition: rules.Definition
) -> rule_warnings.References:
    """What a rule of this tenant (None: the workspace's own) may name; of lists, those that it does name."""
    named = {str(action["list_id"]) for action in definition.actions if action["type"] == "add_to_list"}
    published = [
        one.definition
        for one in journeys.listed(connection, workspace_id, None)
        if one.definition.status == "published" and tenants.reaches(tenant_id, one.tenant_id)
    ]
    return rule_warnings.References(
        templates.names(connection, workspace_id),
        _carers(connection, workspace_id, tenant_id, teams.AGENTS),
        _carers(connection, workspace_id, tenant_id, teams.DIVISIONS),
        frozenset(name for one in published for name in (one.id, one.alias) if name),
        _theirs(lists.tenants(connection, workspace_id, named), tenant_id),
    )


def _carers(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, table: sa.Table
) -> frozenset[str]:
    return _theirs(teams.known(connection, workspace_id, table), tenant_id)


def _theirs(found: Mapping[str, str | None], tenant_id: str | None) -> frozenset[str]:
    return frozenset(name for name, owner in found.items() if tenants.reaches(tenant_id, owner))
