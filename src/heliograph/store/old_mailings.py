"""Mailings that may be forgotten: walks over the people of a list or an audience (a part of retention.py).

Law: a mailing goes after whoever asked for it and all its messages; a campaign's fan-out stays with its campaign.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from heliograph.core import ids
from heliograph.store import fanout_rows, schema

_FANOUTS, _CURSORS, _CAMPAIGNS = schema.fanouts.c, schema.cursors.c, schema.campaigns.c
_RUNS, _STARTS, _MESSAGES = schema.runs.c, schema.starts.c, schema.messages.c


def found(
    connection: sa.Connection, workspace_id: int, after: bytes, before: int, at_most: int
) -> tuple[list[bytes], list[bytes]]:
    """The fan-outs of so many beyond an id, and those of them that may go.

    Their ids do not begin with time: all there are are walked over.
    """
    campaign = sa.exists().where(
        _CAMPAIGNS.workspace_id == workspace_id, _CAMPAIGNS.automation_id == _FANOUTS.automation_id
    )
    asked = sa.exists().where(_RUNS.workspace_id == workspace_id, _RUNS.id == _FANOUTS.run_id)
    sent = sa.exists().where(
        _MESSAGES.automation_id == _FANOUTS.automation_id,
        _MESSAGES.automation_id.is_not(None),
        _MESSAGES.run_id.is_(None),
    )
    query = (
        sa.select(
            *(_FANOUTS.id, _FANOUTS.automation_id, _FANOUTS.created_at),
            sa.or_(campaign, asked, sent).label("is_kept"),
        )
        .where(_FANOUTS.workspace_id == workspace_id, _FANOUTS.id > after)
        .order_by(_FANOUTS.id)
        .limit(at_most)
    )
    rows = connection.execute(query).all()
    old = [row for row in rows if row.created_at < before and not row.is_kept]
    return [row.id for row in rows], [
        row.id for row in old if not _is_under_way(connection, workspace_id, row, before)
    ]


def _is_under_way(connection: sa.Connection, workspace_id: int, mailing: Any, before: int) -> bool:
    """Whether it was not through with its people before this instant (µs), or one of them still has a run."""
    queries = (
        sa.select(_CURSORS.id).where(
            _CURSORS.workspace_id == workspace_id,
            _CURSORS.id.in_(cursors([mailing.id])),
            sa.or_(_CURSORS.done_at.is_(None), _CURSORS.done_at >= before),
        ),
        sa.select(_STARTS.run_id).where(
            _STARTS.workspace_id == workspace_id, _STARTS.token == fanout_rows.token_of(mailing.automation_id)
        ),
    )
    return any(connection.execute(query.limit(1)).first() for query in queries)


def cursors(mailings: Iterable[bytes]) -> list[bytes]:
    """The ids of the cursors of these fan-outs, each of which has one part."""
    return [ids.of_cursor(one, 0, partition) for one in mailings for partition in range(ids.PARTITIONS)]
