"""References: what the actions of a rule may name, as it is when the rule is saved (rules.md R40)."""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.core import rule_warnings
from heliograph.store import automations, journeys, teams


def known(connection: sa.Connection, workspace_id: int, tenant_id: str | None) -> rule_warnings.References:
    """What a rule of this tenant (None: the workspace's own) may name."""
    published = [
        one.definition
        for one in journeys.listed(connection, workspace_id, None)
        if one.definition.status == "published"
    ]
    return rule_warnings.References(
        automations.template_ids(connection, workspace_id),
        _carers(connection, workspace_id, tenant_id, teams.AGENTS),
        _carers(connection, workspace_id, tenant_id, teams.DIVISIONS),
        frozenset(name for one in published for name in (one.id, one.alias) if name),
    )


def _carers(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, table: sa.Table
) -> frozenset[str]:
    found = teams.known(connection, workspace_id, table).items()
    return frozenset(name for name, owner in found if tenant_id is None or owner in (None, tenant_id))
