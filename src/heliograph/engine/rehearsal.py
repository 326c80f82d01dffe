"""Rehearsal: an event that nobody sent meets a rule, among the records as they are now.

Law: reading only, in one look at the database; what comes of it is `core.dry_runs`' to decide. The event has an id
that nobody else sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import control, dry_runs, effects, ids, plans, renderings, rules
from heliograph.core.steps import lists
from heliograph.engine import desk, foresight, looking, match, rendering
from heliograph.store import (
    definitions,
    journeys,
    rehearsals,
    workspaces,
)
from heliograph.store import lists as stored_lists


class Event(NamedTuple):
    """An event that nobody sent."""

    event_type: str
    source: str
    channel_source: str | None
    contact_id: str | None
    conversation_id: str | None
    tenant_id: str | None
    payload: Mapping[str, Any]


class Defaults(NamedTuple):
    """What holds where a workspace says nothing else."""

    subject: str
    region: str | None


def rehearse(
    connection: sa.Connection,
    workspace_id: int,
    rule: rules.Rule,
    actions: list[dict[str, Any]],
    event: Event,
    defaults: Defaults,
    now: int,
) -> dry_runs.DryRun:
    """What the rule would make of the event now, among the records that the event's tenant may see."""
    seen = rehearsals.look(
        connection,
        workspace_id,
        event.tenant_id,
        rule.id,
        event.contact_id,
        event.conversation_id,
        lists.named(rule.plan),
    )
    scene = _scene(rule, event, seen, defaults, now)
    said = {name for _, name in looking.lists_said(workspace_id, scene, lists.texts(rule.plan))}
    scene.lists = {**seen.lists, **stored_lists.tenants(connection, workspace_id, said)}

    def invoke(asked: plans.Invocation) -> effects.Start | str:
        found = asked.template and journeys.find(connection, workspace_id, None, asked.template)
        if found and event.tenant_id is not None and found.tenant_id not in (None, event.tenant_id):
            found = None
        if asked.template and (not found or found.definition.status != "published"):
            return f"there is no published journey {asked.template!r}"
        return effects.Start(effects.Door.JOURNEY, b"", 0, asked.start_key, None, None, {})

    scene.invoke = invoke
    subject = dry_runs.Subject(event.contact_id, event.conversation_id, seen.matched_at)
    paused = control.is_paused(workspaces.read_control(connection, workspace_id), now)

    renders = rendering.Rendering(
        lambda _, name, version: definitions.template(connection, workspace_id, name, version),
        lambda _, name, version: definitions.look(connection, workspace_id, name, version),
    )

    def content(template_id: str, version: int, brand: Sequence[Any] | None) -> renderings.Design:
        return renders.design(workspace_id, template_id, version, brand)

    admitting = foresight.Foresight(connection, workspace_id, event.tenant_id, scene.contact, now)
    outside = dry_runs.Outside(content, admitting.admission)
    return dry_runs.rehearse(rule, actions, match.facts_of(scene), scene, subject, paused, outside)


def _scene(
    rule: rules.Rule, event: Event, seen: rehearsals.Seen, defaults: Defaults, now: int
) -> plans.Scene:
    previous = event.payload.get("previous")
    return plans.Scene(
        rule.id,
        ids.mint(now, 0, 0, 0),
        event.event_type,
        event.source,
        event.channel_source or match.channel_of(seen.conversation, event.payload),
        event.contact_id,
        event.conversation_id,
        event.tenant_id,
        0,
        event.payload,
        previous if isinstance(previous, dict) else None,
        _root(event.contact_id, seen.contact),
        None
        if event.conversation_id is None
        else desk.conversation_root(event.conversation_id, seen.conversation),
        seen.default_subject or defaults.subject,
        seen.library,
        defaults.region,
        now,
        team=plans.Team(seen.agents, seen.divisions),
        conversation_is_foreign=seen.conversation_is_foreign,
        contact_is_foreign=seen.contact_is_foreign,
        lists=seen.lists,
    )


def _root(identity: str | None, record: rehearsals.Record | None) -> dict[str, Any] | None:
    return None if identity is None else desk.root(identity, record and record.body, record and record.tags)
