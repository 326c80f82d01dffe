"""Batches as operators see them: which are open, how they stand, and a word that one be released or dropped.

Law: a batch is changed by the turns of its partition alone; what an operator orders is an inbox row for them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa

from heliograph.core import batches, effects
from heliograph.store import answers, schema

_BATCHES = schema.batches.c
RELEASE, DROP = b'"release"', b'"drop"'


def read(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, batch_id: bytes
) -> batches.Batch | None:
    """A batch; None where this tenant (None: the whole workspace) sees none."""
    row = connection.execute(_visible(workspace_id, tenant_id).where(_BATCHES.id == batch_id)).one_or_none()
    return None if row is None else batches.Batch._make(row)


def listed(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    limit: int,
    *,
    before: bytes | None = None,
    batch_key: str | None = None,
) -> list[batches.Batch]:
    """The newest batches, at most so many, beyond the id `before`; of one key, where it is given."""
    query = _visible(workspace_id, tenant_id).order_by(_BATCHES.id.desc()).limit(limit)
    if before is not None:
        query = query.where(_BATCHES.id < before)
    if batch_key is not None:
        query = query.where(_BATCHES.batch_key == batch_key)
    return [batches.Batch._make(row) for row in connection.execute(query)]


def _visible(workspace_id: int, tenant_id: str | None) -> sa.Select[Any]:
    query = sa.select(*(_BATCHES[name] for name in batches.Batch._fields)).where(
        _BATCHES.workspace_id == workspace_id
    )
    return query if tenant_id is None else query.where(_BATCHES.tenant_id == tenant_id)


def order(connection: sa.Connection, workspace_id: int, chosen: Iterable[bytes], what: bytes) -> None:
    """Let the turns of these batches release or drop them; the latest word holds, and once more it is the same."""
    found = dict.fromkeys(chosen)
    answers.lay(connection, workspace_id, effects.Inbox.ORDER, found, what, instead=True)


# ── what is held ────────────────────────────────────────────────────────────────────────────────────


def held(workspace_id: int, limit: int) -> sa.Select[Any]:
    """What is held, oldest first: (id, `batch`, its key, its user, no address)."""
    return (
        sa.select(_BATCHES.id, sa.literal("batch"), _BATCHES.batch_key, _BATCHES.user_id, sa.null())
        .where(_BATCHES.workspace_id == workspace_id, _BATCHES.state == batches.State.HELD)
        .order_by(_BATCHES.id)
        .limit(limit)
    )


def release(connection: sa.Connection, workspace_id: int, chosen: Collection[bytes]) -> int:
    """Let the owners of these go on with the items; gives how many of them were held."""
    return _decide(connection, workspace_id, chosen, RELEASE, batches.State.LET_GO)


def drop(connection: sa.Connection, workspace_id: int, chosen: Collection[bytes]) -> int:
    """Let these end with all their items, and their owners be canceled; gives how many of them were held."""
    return _decide(connection, workspace_id, chosen, DROP, batches.State.DROPPED)


def _decide(
    connection: sa.Connection, workspace_id: int, chosen: Collection[bytes], what: bytes, state: batches.State
) -> int:
    changed = (
        sa.update(schema.batches)
        .where(
            _BATCHES.workspace_id == workspace_id,
            _BATCHES.id.in_(chosen),
            _BATCHES.state == batches.State.HELD,
        )
        .values(state=state)
        .returning(_BATCHES.id)
    )
    found = list(connection.execute(changed).scalars())
    order(connection, workspace_id, found, what)
    return len(found)
