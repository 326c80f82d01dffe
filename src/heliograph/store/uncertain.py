"""Messages of which nobody knows whether they were handed over, and what an operator says of them (engine.md E21).

Law: the attempt of unknown end stays in the ledger for ever, whatever is said. Sent again, a message goes to whoever
still wants it, as if it had just become due, and may reach its recipient twice; marked, it ends as if its channel had
answered, and the run that waits for it is told. What is said twice changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import effects, ids, messages
from heliograph.store import answers, database, schema

_MESSAGES = schema.messages.c
_CURSORS = schema.cursors.c
ACCEPTED = "accepted, an operator says"
FAILED = "never handed over, an operator says"


class Uncertain(NamedTuple):
    """One message that may have been handed over."""

    id: bytes
    kind: int
    """effects.Kind"""
    channel: str
    contact_id: str | None
    address: str | None
    settled_at: int | None
    """When the answer was given up (µs)."""
    attempts: bytes | str | None

    @property
    def created_at(self) -> int:
        """When it was decided on (µs)."""
        return ids.created_at(self.id)

    @property
    def what(self) -> str:
        """`message` or `call`."""
        return effects.Kind(self.kind).name.lower()

    @property
    def lost(self) -> int:
        """How many of its attempts ended so."""
        return sum(one.outcome == "uncertain" for one in messages.read_attempts(self.attempts))


def listed(connection: sa.Connection, workspace_id: int, limit: int, after: bytes = b"") -> list[Uncertain]:
    """The uncertain messages and calls of a workspace, oldest first, at most so many, beyond the id `after`.

    There is no index by state, which every message would pay for: this walks the ledger.
    """
    query = sa.select(*(_MESSAGES[name] for name in Uncertain._fields)).where(
        _MESSAGES.workspace_id == workspace_id, _MESSAGES.state == messages.State.UNCERTAIN
    )
    if after:
        query = query.where(_MESSAGES.id > after)
    return [Uncertain._make(row) for row in connection.execute(query.order_by(_MESSAGES.id).limit(limit))]


def resend(
    store: database.Database,
    connection: sa.Connection,
    workspace_id: int,
    chosen: Collection[bytes],
    _now: int,
) -> int:
    """Let these be sent once more, to whom still wants them; gives how many of them were uncertain."""
    found = _settle(connection, workspace_id, chosen, messages.State.PLANNED, settled_at=None, error=None)
    answers.let_go(connection, workspace_id, found)
    _count(store, connection, workspace_id, found, None)
    return len(found)


def accept(
    store: database.Database,
    connection: sa.Connection,
    workspace_id: int,
    chosen: Collection[bytes],
    now: int,
) -> int:
    """Take these for accepted; gives how many of them were uncertain."""
    found = _settle(connection, workspace_id, chosen, messages.State.ACCEPTED, settled_at=now, error=ACCEPTED)
    return _told(store, connection, workspace_id, found, messages.State.ACCEPTED, None, "sent")


def fail(
    store: database.Database,
    connection: sa.Connection,
    workspace_id: int,
    chosen: Collection[bytes],
    now: int,
) -> int:
    """Take these for failed; gives how many of them were uncertain."""
    found = _settle(connection, workspace_id, chosen, messages.State.FAILED, settled_at=now, error=FAILED)
    return _told(store, connection, workspace_id, found, messages.State.FAILED, FAILED, "failed")


def _settle(
    connection: sa.Connection,
    workspace_id: int,
    chosen: Collection[bytes],
    state: messages.State,
    **values: Any,
) -> list[answers.Ended]:
    return answers.change(connection, workspace_id, chosen, messages.State.UNCERTAIN, state, **values)


def _told(
    store: database.Database,
    connection: sa.Connection,
    workspace_id: int,
    found: Collection[answers.Ended],
    state: messages.State,
    error: str | None,
    counted: str,
) -> int:
    """How many these are, after whoever waits for them was told of their end."""
    # A campaign heard of the end of its job when it became uncertain: that is counted anew instead.
    answers.tell(connection, workspace_id, [one for one in found if one.run_id is not None], state, error)
    _count(store, connection, workspace_id, found, counted)
    return len(found)


def _count(
    store: database.Database,
    connection: sa.Connection,
    workspace_id: int,
    found: Collection[answers.Ended],
    name: str | None,
) -> None:
    """Count a campaign's jobs under this name instead of `uncertain`; None: as open, for the answer to be counted.

    As a turn would, with the partitions locked: theirs are the cursors.
    """
    jobs = Counter(
        ids.of_cursor(ids.of_fanout(one.automation_id), one.visit, one.partition)
        for one in found
        if one.run_id is None and one.automation_id is not None
    )
    store.lock_partitions(connection, {ids.partition_of(cursor) for cursor in jobs})
    for cursor, count in sorted(jobs.items()):
        values: dict[str, Any] = {"uncertain": _CURSORS.uncertain - count}
        if name is not None:
            values[name] = _CURSORS[name] + count
        connection.execute(
            sa.update(schema.cursors)
            .where(_CURSORS.workspace_id == workspace_id, _CURSORS.id == cursor)
            .values(**values)
        )
