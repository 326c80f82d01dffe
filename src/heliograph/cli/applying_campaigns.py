"""`heliograph apply`: segments, communication groups and campaigns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heliograph import settings
from heliograph.cli.applied_change import Change
from heliograph.core import schedule
from heliograph.store import applied

if TYPE_CHECKING:
    import sqlalchemy as sa

    from heliograph.cli import definition_files


def put_segment(connection: sa.Connection, owner: int, one: definition_files.Definition, now: int) -> Change:
    """Store a segment."""
    assert isinstance(one.id, bytes)
    before, after = applied.put_segment(connection, owner, one.id, one.content, now)
    if before is None:
        return Change("segment", one.name, "created")
    fields = applied.changed_fields(before.definition, after.definition)
    return Change("segment", one.name, f"changed: {', '.join(fields)}" if fields else "unchanged")


def put_group(connection: sa.Connection, owner: int, one: definition_files.Definition, now: int) -> Change:
    """Store a communication group."""
    from heliograph.core import ids

    assert isinstance(one.id, bytes)
    before, after = applied.put_group(connection, owner, ids.text(one.id), one.content, now)
    if before is None:
        return Change("communication_group", one.name, "created")
    fields = applied.changed_fields(before.definition, after.definition)
    changed = f"changed: {', '.join(fields)} (version {after.version})"
    return Change("communication_group", one.name, changed if fields else "unchanged")


def put_campaign(connection: sa.Connection, owner: int, one: definition_files.Definition, now: int) -> Change:
    """Store a campaign, and let it stand as its file says."""
    assert isinstance(one.id, bytes)
    lock_window = int(settings.load().campaign_lock_seconds * schedule.SECOND)
    before, after = applied.put_campaign(connection, owner, one.id, one.content, now, lock_window)
    if before is None:
        return Change("campaign", one.name, "created")
    fields = applied.changed_fields(before.definition, after.definition)
    if before.standing.state is not after.standing.state:
        fields.append("status")
    changed = f"changed: {', '.join(fields)} (version {after.version})"
    return Change("campaign", one.name, changed if fields else "unchanged")
