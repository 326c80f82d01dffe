"""What the engine's tests do to a world beyond its front doors, and what they look for in it."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from heliograph import channels, testing
from heliograph.core import campaigns as core_campaigns
from heliograph.core import communication_groups as core_groups
from heliograph.core import control, ids, rules, schedule
from heliograph.engine import bounds, turn
from heliograph.store import automations, campaigns, communication_groups, held, schema, workspaces
from tests import tables


def steer(world: testing.World, **change: object) -> None:
    """PATCH the control record: `is_paused`, `paused_until` (µs), `hold_deliveries`."""
    given = dict(change)
    if given.get("paused_until") is not None:
        given["paused_until"] = schedule.write_instant(int(str(given["paused_until"])))
    now = world.clock.now()
    with world.app.store.writing() as connection:
        workspaces.raise_version(connection, world.workspace_id)
        stored = workspaces.read_control(connection, world.workspace_id)
        workspaces.write_control(connection, world.workspace_id, control.change(stored, given, now, None))


def sized(turns: turn.Turns, inputs: int, seconds: float = 1e9) -> None:
    """Let turns begin with this size; what they take changes it only where it may not take as long as that."""
    turns._size = bounds.Size(turns._limits._replace(inputs=inputs, seconds=seconds, hurried_seconds=seconds))
    turns._size.inputs = inputs


def written_to(world: testing.World) -> tuple[str, str]:
    """A rule writes to Ana and a campaign to Bob; gives the ids of the event and of the campaign."""
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hello"}])
    event = world.event("custom.a", contact_id="ana")
    world.contact("bob", email="bob@example.com")
    crowd = world.segment({"field": "user_id", "operator": "equals", "value": "bob"})
    group = world.communication_group(subject="News", text_body="New")
    return event, world.campaign(group=group, include_segments=[crowd])


def workspace(world: testing.World, name: str) -> int:
    """Another workspace; gives its id."""
    with world.app.store.writing() as connection:
        return workspaces.ensure(connection, name, world.clock.now())


def rule_in(world: testing.World, workspace_id: int, **definition: Any) -> str:
    """A rule of another workspace; gives its id."""
    mine, world.workspace_id = world.workspace_id, workspace_id
    try:
        return world.rule(**definition)
    finally:
        world.workspace_id = mine


def events_in(world: testing.World, workspace_id: int, given: list[Mapping[str, Any]]) -> list[str]:
    """Events of another workspace; gives their ids."""
    mine, world.workspace_id = world.workspace_id, workspace_id
    try:
        return world.events(given)
    finally:
        world.workspace_id = mine


def refuse(world: testing.World, table: str, column: str, value: str) -> None:
    """Let the database refuse rows of `table` in which `column` has this value."""
    with world.app.store.writing() as connection:
        if world.app.store.is_sqlite:
            for what in ("INSERT", "UPDATE"):
                connection.exec_driver_sql(
                    f"CREATE TRIGGER refuse_{table}_{what} BEFORE {what} ON {table} WHEN NEW.{column} = '{value}'"
                    " BEGIN SELECT RAISE(ABORT, 'this row is refused'); END"
                )
            return
        connection.exec_driver_sql(
            f"ALTER TABLE {table} ADD CONSTRAINT refuse_{table} CHECK ({column} IS DISTINCT FROM '{value}')"
        )


def relent(world: testing.World, table: str) -> None:
    """Let the database take such rows again."""
    with world.app.store.writing() as connection:
        if world.app.store.is_sqlite:
            for what in ("INSERT", "UPDATE"):
                connection.exec_driver_sql(f"DROP TRIGGER refuse_{table}_{what}")
        else:
            connection.exec_driver_sql(f"ALTER TABLE {table} DROP CONSTRAINT refuse_{table}")


def change(world: testing.World, table: str, **values: object) -> None:
    """Write into all rows of a table, behind the engine's back."""
    with world.app.store.writing() as connection:
        connection.execute(sa.update(schema.metadata.tables[table]).values(**values))


def decision(world: testing.World, event_id: str) -> tables.Row:
    """The decision about an event."""
    wanted = ids.parse(event_id)
    (found,) = (row for row in tables.rows(world.app.store, "decisions") if row["event_id"] == wanted)
    return found


def decided(world: testing.World) -> set[str]:
    """The events that are finished."""
    found = tables.rows(world.app.store, "decisions")
    return {ids.text(row["event_id"]) for row in found if row["decided_at"] is not None}


def outcomes(world: testing.World, event_id: str) -> list[str]:
    """What every run of an event came to, in order."""
    return [run.result.outcome for run in world.explain(event_id).runs]


def actions(world: testing.World, event_id: str) -> list[list[tuple[str, str, str | None]]]:
    """Every action of every run of an event: (type, status, error)."""
    return [
        [(action.type, action.status, action.error) for action in run.result.actions]
        for run in world.explain(event_id).runs
    ]


def contact(world: testing.World, user_id: str) -> tables.Row:
    """A stored contact."""
    (found,) = (row for row in tables.rows(world.app.store, "contacts") if row["user_id"] == user_id)
    return found


def busy(outgoing: channels.Outgoing) -> channels.Answer:
    """The provider has no time now."""
    return channels.Answer(channels.Outcome.TEMPORARY, "test", None, "450", "busy")


def lost(outgoing: channels.Outgoing) -> channels.Answer:
    """The answer was lost: it may have been handed over."""
    return channels.Answer(channels.Outcome.UNCERTAIN, "test", None, "lost", "the connection broke")


def refused(outgoing: channels.Outgoing) -> channels.Answer:
    """The provider does not take it."""
    return channels.Answer(channels.Outcome.PERMANENT, "test", None, "550", "no such mailbox")


def edit(world: testing.World, rule_id: str, **changes: object) -> None:
    """PATCH a rule."""
    identity = ids.parse(rule_id)
    assert identity is not None
    with world.app.store.writing() as connection:
        stored = automations.lock_rule(connection, world.workspace_id, None, identity)
        assert stored is not None
        changed = rules.change(stored.definition, changes)
        automations.change_rule(connection, world.workspace_id, stored, changed, world.clock.now(), None)


def edit_group(world: testing.World, group_id: str, **changes: object) -> None:
    """PATCH a communication group."""
    with world.app.store.writing() as connection:
        stored = communication_groups.lock(connection, world.workspace_id, None, group_id)
        assert stored is not None
        changed = core_groups.change(stored.definition, changes)
        communication_groups.change(connection, world.workspace_id, stored, changed, world.clock.now())


def campaign_of(world: testing.World, tenant: str, email: Mapping[str, Any]) -> str:
    """A campaign of a tenant to everybody, active at once; gives its id."""
    now = world.clock.now()
    with world.app.store.writing() as connection:
        group = communication_groups.create(
            connection, world.workspace_id, tenant, core_groups.define({"name": "G", "email": email}), now
        )
        action = {
            "action_type": "send_communication",
            "action_metadata": {"communication_group_id": group.id},
        }
        definition = core_campaigns.define(
            {"name": "C", "include_segments": ["all_users"], "action_data": [action]}
        )
        made = campaigns.create(connection, world.workspace_id, tenant, definition, now)
    world.change_campaign(ids.text(made.id), status="active")
    return ids.text(made.id)


def drop_held(world: testing.World) -> int:
    """Let everything end that is held; gives how much that was."""
    with world.app.store.writing() as connection:
        found = [one.id for one in held.listed(connection, world.workspace_id, 1000)]
        return held.drop(connection, world.workspace_id, found, world.clock.now())


def partition(world: testing.World, user_id: str) -> int:
    """The partition of a contact."""
    return ids.partition_of_subject(world.workspace_id, rules.cooldown_subject(user_id, None))
