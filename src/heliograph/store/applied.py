"""Segments, communication groups and campaigns as files define them: each is put by its id.

Law: what says so already is left alone, and nothing is changed that a turn may be at: the caller has locked the
campaigns' partitions. Each function works in the caller's transaction and gives what was there (None: nothing) and
what is there now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import campaigns, communication_groups, documents, ids, segments
from heliograph.core.campaigns import State
from heliograph.store import campaigns as stored_campaigns
from heliograph.store import communication_groups as stored_groups
from heliograph.store import definitions, schema
from heliograph.store import segments as stored_segments


def put_segment(
    connection: sa.Connection, workspace_id: int, identity: bytes, definition: segments.Definition, now: int
) -> tuple[stored_segments.Segment | None, stored_segments.Segment]:
    """Let a segment of this id say this. Raises errors.Conflict where the id belongs to somebody else."""
    before = stored_segments.lock(connection, workspace_id, None, identity)
    exposed = definitions.exposed(connection, workspace_id)
    # A file is read without the database: what its fields are is known here.
    definition = segments.change(definition, {"conditions": definition.conditions}, exposed=exposed)
    if before is None:
        _refuse_known(connection, schema.segments, identity)
        made = stored_segments.create(connection, workspace_id, None, definition, now, identity)
        return None, made
    if documents.is_same(before.definition, definition):
        return before, before
    if definition.status == "deactivated" and before.definition.status == "active":
        stored_campaigns.refuse_used(connection, workspace_id, None, identity)
    return before, stored_segments.change(connection, before, definition, now)


def put_group(
    connection: sa.Connection,
    workspace_id: int,
    identity: str,
    definition: communication_groups.Definition,
    now: int,
) -> tuple[stored_groups.Group | None, stored_groups.Group]:
    """Let a communication group of this id say this. Raises errors.Conflict where it is the id of a template."""
    before = stored_groups.lock(connection, workspace_id, None, identity)
    faults = communication_groups.merge_faults(definition, definitions.exposed(connection, workspace_id))
    if faults:
        raise errors.InvalidInput(faults=faults)
    if before is None:
        return None, stored_groups.create(connection, workspace_id, None, definition, now, identity)
    if before.definition == definition:
        return before, before
    return before, stored_groups.change(connection, workspace_id, before, definition, now)


def put_campaign(
    connection: sa.Connection,
    workspace_id: int,
    identity: bytes,
    given: Mapping[str, Any],
    now: int,
    lock_window: int,
) -> tuple[stored_campaigns.Campaign | None, stored_campaigns.Campaign]:
    """Let a campaign of this id say what a file gives, and stand as its `status` says, where it gives one.

    One that says so already and is on its way, or has run, is left alone. Raises errors.Conflict and InvalidInput.
    """
    fields = {name: value for name, value in given.items() if name != "status"}
    definition = campaigns.define(fields)
    before = stored_campaigns.read(connection, workspace_id, None, identity)
    if before is None:
        _refuse_known(connection, schema.automations, identity)
        made = stored_campaigns.create(connection, workspace_id, None, definition, now, identity)
    else:
        made = before
    wanted = given.get("status")
    if made.definition == definition and (wanted is None or _is_there(made.standing.state, wanted)):
        return before, made
    whole = {name: getattr(definition, name) for name in campaigns.WRITABLE}
    changed = {**whole, **({} if wanted is None else {"status": wanted})}
    return before, stored_campaigns.put(connection, workspace_id, made, changed, now, lock_window)


def _is_there(state: State, wanted: object) -> bool:
    """Whether a campaign stands as a file says: one that is to be active may have gone further."""
    if wanted == "active":
        return state not in (State.DRAFT, State.DEACTIVATED)
    return state.name.lower() == wanted


def changed_fields(before: msgspec.Struct, after: msgspec.Struct) -> list[str]:
    """The names of the fields in which two definitions differ, as JSON: `true` is not 1."""
    return documents.changed_fields(before, after, before.__struct_fields__)


def _refuse_known(connection: sa.Connection, table: sa.Table, identity: bytes) -> None:
    if connection.execute(sa.select(table.c.id).where(table.c.id == identity)).one_or_none() is not None:
        raise errors.Conflict(f"the id {ids.text(identity)} belongs to something else: take another one")
