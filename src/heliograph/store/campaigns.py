"""Campaigns as people manage them: what they say, how they stand, and what became of their jobs.

Law: a change takes the turns' lock on the campaign's partition first, so no turn moves a campaign that changes under
it, and reads what it changes under that lock; every change of what a campaign says is a new version, kept for ever.
A tenant's key sees that tenant's campaigns alone (engine.md E14).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import campaigns, documents, effects, ids, messages
from heliograph.core.campaigns import State
from heliograph.store import (
    communication_groups,
    database,
    identities,
    rows,
    schema,
    timers,
    versions,
    workspaces,
)
from heliograph.store import segments as stored_segments

_KIND = "campaign"
_AUTOMATIONS = schema.automations.c
_CAMPAIGNS = schema.campaigns.c
_CURSORS = schema.cursors.c
_FANOUTS = schema.fanouts.c
_MESSAGES = schema.messages.c
_decode = msgspec.json.Decoder().decode
_definition = msgspec.json.Decoder(campaigns.Definition)
_fields = (
    *versions.HEAD,
    *(
        _CAMPAIGNS[name]
        for name in ("state", "due_at", "started_at", "settled_at", "action", "error", "is_stopping")
    ),
)


class Campaign(NamedTuple):
    """A campaign as people read it."""

    id: bytes
    tenant_id: str | None
    number: int
    version: int
    created_at: int
    updated_at: int
    definition: campaigns.Definition
    standing: campaigns.Standing


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────


def create(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    definition: campaigns.Definition,
    now: int,
    identity: bytes | None = None,
) -> Campaign:
    """Store a new campaign, a draft. Raises errors.InvalidInput where it refers to what is not there."""
    workspaces.raise_version(connection, workspace_id)
    _refuse(campaigns.dangling(definition, known(connection, workspace_id, tenant_id)))
    identity = identity or identities.fresh(now)
    number = workspaces.next_number(connection, workspace_id, _KIND)
    made = Campaign(identity, tenant_id, number, 1, now, now, definition, campaigns.Standing(State.DRAFT))
    versions.create(connection, workspace_id, _KIND, made, definition.trigger_type)
    connection.execute(
        sa.insert(schema.campaigns).values(
            workspace_id=workspace_id,
            automation_id=identity,
            partition=campaigns.partition_of(workspace_id, identity),
            **_standing(made.standing),
        )
    )
    return made


def change(
    store: database.Database,
    workspace_id: int,
    tenant_id: str | None,
    identity: bytes,
    given: Mapping[str, Any],
    now: int,
    lock_window: int,
) -> Campaign:
    """Change what a campaign says and set its state, all of it or nothing.

    Raises errors.NotFound, errors.Conflict and errors.InvalidInput.
    """
    with _locked(store, workspace_id, tenant_id, identity) as (connection, stored):
        return put(connection, workspace_id, stored, given, now, lock_window)


def put(
    connection: sa.Connection,
    workspace_id: int,
    stored: Campaign,
    given: Mapping[str, Any],
    now: int,
    lock_window: int,
) -> Campaign:
    """The same for a campaign that was read under its lock."""
    changed = campaigns.change(stored.definition, given)
    wanted = stored.standing.state if "status" not in given else state_of(given["status"])
    if stored.standing.state not in campaigns.BY_PEOPLE:
        what = "be changed" if "status" not in given else f"become {wanted.name.lower()!r}"
        raise errors.Conflict(campaigns.refusal(stored.standing.state, what))
    standing = campaigns.set_by_people(stored.standing, wanted, campaigns.due_at(changed), now)
    there = known(connection, workspace_id, stored.tenant_id)
    _refuse(
        campaigns.unready(changed, there, now)
        if wanted is State.ACTIVE
        else campaigns.dangling(changed, there, stored.definition)
    )
    made = stored._replace(standing=standing, updated_at=max(now, stored.updated_at))
    if not documents.is_same(changed, stored.definition):
        made = made._replace(version=stored.version + 1, definition=changed)
        versions.add(connection, workspace_id, made)
    connection.execute(sa.update(schema.automations).where(_AUTOMATIONS.id == stored.id).values(**_row(made)))
    _stand(connection, workspace_id, made, lock_window)
    return made


def stop(
    store: database.Database, workspace_id: int, tenant_id: str | None, identity: bytes, now: int
) -> Campaign:
    """Stop a running campaign: none of its jobs is handed over from now on. Raises NotFound and Conflict."""
    with _locked(store, workspace_id, tenant_id, identity) as (connection, stored):
        made = stored._replace(standing=campaigns.stopped(stored.standing, now))
        _stand(connection, workspace_id, made, 0)
        return made


@contextmanager
def _locked(
    store: database.Database, workspace_id: int, tenant_id: str | None, identity: bytes
) -> Iterator[tuple[sa.Connection, Campaign]]:
    """A transaction in which no turn and nobody else changes this campaign."""
    with store.writing() as connection:
        store.lock_partitions(connection, (campaigns.partition_of(workspace_id, identity),))
        workspaces.raise_version(connection, workspace_id)
        stored = read(connection, workspace_id, tenant_id, identity)
        if stored is None:
            raise errors.NotFound(f"there is no automation {ids.text(identity)!r}")
        yield connection, stored


def state_of(status: object) -> State:
    """The state of this name. Raises errors.InvalidInput."""
    if isinstance(status, str) and status in campaigns.STATUSES:
        return {state.name.lower(): state for state in State}[status]
    raise errors.InvalidInput.at("status", f"is one of {', '.join(campaigns.STATUSES)}")


def known(connection: sa.Connection, workspace_id: int, tenant_id: str | None) -> campaigns.Known:
    """Everything that this tenant's campaigns may refer to."""
    return campaigns.Known(
        stored_segments.statuses(connection, workspace_id, tenant_id),
        communication_groups.readiness(connection, workspace_id, tenant_id),
    )


def _refuse(faults: Sequence[errors.Fault]) -> None:
    if faults:
        raise errors.InvalidInput(faults=faults)


def _stand(connection: sa.Connection, workspace_id: int, campaign: Campaign, lock_window: int) -> None:
    connection.execute(
        sa.update(schema.campaigns)
        .where(_CAMPAIGNS.workspace_id == workspace_id, _CAMPAIGNS.automation_id == campaign.id)
        .values(**_standing(campaign.standing))
    )
    wake_at = campaigns.next_look(campaign.standing, lock_window)
    if wake_at is not None:
        partition, kind = campaigns.partition_of(workspace_id, campaign.id), int(effects.Timer.CAMPAIGN)
        timers.put(connection, [rows.Timer(partition, wake_at, workspace_id, kind, campaign.id)])


def _standing(standing: campaigns.Standing) -> dict[str, Any]:
    return {**standing._asdict(), "state": int(standing.state)}


def _row(campaign: Campaign) -> dict[str, Any]:
    return {
        **versions.columns(campaign),
        "trigger_type": campaign.definition.trigger_type,
    }


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def read(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: bytes
) -> Campaign | None:
    """A campaign, where this tenant (None: the whole workspace) may see it."""
    query = _visible(workspace_id, tenant_id).where(_AUTOMATIONS.id == identity)
    row = connection.execute(query).one_or_none()
    return None if row is None else _campaign(row)


def listed(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    state: State | None = None,
    search: str | None = None,
) -> list[Campaign]:
    """Every campaign that this tenant may see and that passes, in the order in which they were made."""
    query = _visible(workspace_id, tenant_id).order_by(_AUTOMATIONS.number)
    if state is not None:
        query = query.where(_CAMPAIGNS.state == int(state))
    found = [_campaign(row) for row in connection.execute(query)]
    return [one for one in found if search is None or search.casefold() in one.definition.name.casefold()]


def refuse_used(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, segment_id: bytes
) -> None:
    """Raises errors.Conflict where an active or scheduled campaign refers to a segment.

    A tenant is told the names of its own; what else uses its segment is the workspace's.
    """
    text = ids.text(segment_id)
    names = [
        repr(one.definition.name) if tenant_id in (None, one.tenant_id) else "the workspace"
        for state in (State.ACTIVE, State.SCHEDULED)
        for one in listed(connection, workspace_id, None, state)
        if text in (*one.definition.include_segments, *one.definition.exclude_segments)
    ]
    if names:
        raise errors.Conflict(
            f"it is used by {', '.join(dict.fromkeys(names))}: call these off, or let them run first"
        )


def _visible(workspace_id: int, tenant_id: str | None) -> sa.Select[Any]:
    query = (
        sa.select(*_fields)
        .join_from(
            schema.automations,
            schema.campaigns,
            (_CAMPAIGNS.workspace_id == _AUTOMATIONS.workspace_id)
            & (_CAMPAIGNS.automation_id == _AUTOMATIONS.id),
        )
        .where(
            _AUTOMATIONS.workspace_id == workspace_id,
            _AUTOMATIONS.kind == _KIND,
            _AUTOMATIONS.deleted_at.is_(None),
        )
    )
    return query if tenant_id is None else query.where(_AUTOMATIONS.tenant_id == tenant_id)


def _campaign(row: Sequence[Any]) -> Campaign:
    standing = campaigns.Standing._make((State(row[7]), *row[8:13], bool(row[13])))
    return Campaign._make((*row[:6], _definition.decode(row[6]), standing))


# ── jobs ────────────────────────────────────────────────────────────────────────────────────────────


def progress(connection: sa.Connection, workspace_id: int, campaign: Campaign) -> campaigns.Progress:
    """What has become of a campaign's people and jobs: sums over its cursors."""
    fanout_id = ids.of_fanout(campaign.id)
    keys = [
        ids.of_cursor(fanout_id, part, partition)
        for part in range(campaign.standing.action + 1)
        for partition in range(ids.PARTITIONS)
    ]
    names = ("judged", "jobs", "sent", "failed", "skipped", "uncertain")
    row = connection.execute(
        sa.select(
            sa.func.count(_CURSORS.done_at),
            *(sa.func.coalesce(sa.func.sum(_CURSORS[name]), 0) for name in names),
        ).where(_CURSORS.workspace_id == workspace_id, _CURSORS.id.in_(keys))
    ).one()
    return campaigns.Progress._make((*(int(value) for value in row), None))


def text_messages(
    connection: sa.Connection, workspace_id: int, campaign_id: bytes
) -> Mapping[messages.State, int]:
    """How many text messages of a campaign stand how: counted one by one, but only where its groups have any."""
    body = connection.execute(
        sa.select(_FANOUTS.body).where(
            _FANOUTS.workspace_id == workspace_id, _FANOUTS.id == ids.of_fanout(campaign_id)
        )
    ).scalar_one_or_none()
    if body is None or not any("sms" in group.get("channels", ()) for group in _decode(body)["groups"]):
        return {}
    jobs = sa.select(_MESSAGES.state, sa.func.count()).where(
        _MESSAGES.automation_id == campaign_id,
        _MESSAGES.run_id.is_(None),
        _MESSAGES.workspace_id == workspace_id,
        _MESSAGES.channel == "sms",
    )
    return {
        messages.State(state): count for state, count in connection.execute(jobs.group_by(_MESSAGES.state))
    }


class Job(NamedTuple):
    """A message of a campaign, with its attempts."""

    row: rows.Message
    attempts: tuple[messages.Attempt, ...]


def jobs(
    connection: sa.Connection,
    workspace_id: int,
    campaign_id: bytes,
    after: bytes | None,
    states: Collection[messages.State] | None,
    limit: int,
) -> list[Job]:
    """The next jobs of a campaign in the order in which they were made, at most so many."""
    query = (
        sa.select(*(_MESSAGES[name] for name in rows.Message._fields))
        .where(
            _MESSAGES.automation_id == campaign_id,
            _MESSAGES.run_id.is_(None),
            _MESSAGES.workspace_id == workspace_id,
        )
        .order_by(_MESSAGES.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(_MESSAGES.id > after)
    if states is not None:
        query = query.where(_MESSAGES.state.in_([int(state) for state in states]))
    found = [rows.Message._make(row) for row in connection.execute(query)]
    return [Job(row, messages.read_attempts(row.attempts)) for row in found]
