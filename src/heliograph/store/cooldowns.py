"""Cooldowns of rules that get one: whom they have matched before, read from their runs.

Law: turns keep the clocks of rules with a cooldown, and of no others, as each costs a row. Where a rule gets one, its
newest matches begin it, as if it had had one all the time (rules.md C10); what that costs is bounded.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.core import ids, rules, runs
from heliograph.store import columns, schema

_RUNS, _EVENTS, _COOLDOWNS = schema.runs.c, schema.events.c, schema.cooldowns.c

LOOKED_AT = 10_000
"""How many of a rule's newest runs are looked at."""


def begin(connection: sa.Connection, workspace_id: int, rule_id: bytes) -> None:
    """Let a rule's cooldown count whom it has matched until now."""
    newest = (
        sa.select(_RUNS.id, _RUNS.event_id, _RUNS.outcome)
        .where(_RUNS.automation_id == rule_id)
        .order_by(_RUNS.id.desc())
        .limit(LOOKED_AT)
        .subquery()
    )
    matches = (
        sa.select(newest.c.id, _EVENTS.contact_id, _EVENTS.conversation_id)
        .join(schema.events, (_EVENTS.workspace_id == workspace_id) & (_EVENTS.id == newest.c.event_id))
        .where(newest.c.outcome.in_([*map(int, runs.MATCHED)]))
        .order_by(newest.c.id)
    )
    found = {
        rules.cooldown_subject(row.contact_id, row.conversation_id): ids.created_at(row.id)
        for row in connection.execute(matches)
    }
    if not found:
        return
    insert = columns.inserting(connection, schema.cooldowns)
    connection.execute(
        insert.on_conflict_do_update(
            index_elements=[_COOLDOWNS.workspace_id, _COOLDOWNS.automation_id, _COOLDOWNS.subject],
            set_={"matched_at": insert.excluded.matched_at},
            where=_COOLDOWNS.matched_at < insert.excluded.matched_at,
        ),
        # In the order in which turns write them.
        [
            {"workspace_id": workspace_id, "automation_id": rule_id, "subject": subject, "matched_at": at}
            for subject, at in sorted(found.items())
        ],
    )
