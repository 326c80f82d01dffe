"""Delivery on SQLite: messages are claimed, and settled by whoever holds the claim."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from heliograph.core import messages
from heliograph.store import rows
from heliograph.store.hot_sqlite.connection import Connection, wanted
from heliograph.store.hot_sqlite.pacing import MOVE
from heliograph.store.hot_sqlite.portions import Insertion, Work
from heliograph.store.hot_sqlite.reading import EVENT, MESSAGE
from heliograph.store.hot_sqlite.sharing import Line, take_line

_EVENT_AT = 1 + len(rows.Message._fields)
_REST_AT = _EVENT_AT + len(rows.Event._fields)
_SEND_DUE = Line(
    "send_due",
    "message_id",
    f"SELECT s.due_at, {MESSAGE}, {EVENT}, EXISTS (SELECT 1 FROM suppressions p"
    " WHERE p.workspace_id = m.workspace_id AND p.address = m.address"
    " AND (p.tenant_id = '' OR p.tenant_id = m.tenant_id))"
    " FROM send_due s JOIN messages m ON m.workspace_id = s.workspace_id AND m.id = s.message_id"
    " LEFT JOIN events e ON e.workspace_id = m.workspace_id AND e.id = m.event_id"
    " WHERE s.workspace_id = ? ORDER BY s.message_id LIMIT ?",
    2,
)

INSERT_CLAIMS = Insertion("claims", ("workspace_id", "message_id", "lease_until", "claimed_at", "claimed_by"))


def claim(
    connection: Connection, now: int, limit: int, worker: str, lease_until: int, start: int
) -> tuple[list[rows.Claimed], bool]:
    """Take up to `limit` messages that are due and hold them until `lease_until`; workspaces on hold are passed over.

    The walk over workspaces starts after `start`, and none takes more than its share while others wait. Gives with
    it whether a share was used up, so that there may be more.
    """
    held = {row[0] for row in connection.execute("SELECT id FROM workspaces WHERE hold_deliveries")}
    taken, cut = take_line(connection, _SEND_DUE, limit, held, start)
    INSERT_CLAIMS(connection, [(row[1], row[2], lease_until, now, worker) for row in taken])
    return [_claimed(row, lease_until) for row in taken], cut


def _claimed(row: tuple[Any, ...], lease_until: int) -> rows.Claimed:
    message, event, rest = row[1:_EVENT_AT], row[_EVENT_AT:_REST_AT], row[_REST_AT:]
    spoken_of = None if event[0] is None else rows.Event._make(event)
    return rows.Claimed(rows.Message._make(message), row[0], lease_until, spoken_of, any(rest))


def read_versions(connection: Connection, workspaces: Collection[int]) -> dict[int, int]:
    """The version of the definitions of each of these workspaces."""
    found = wanted(
        connection,
        "WITH wanted(a) AS (VALUES {}) SELECT id, definitions_version FROM workspaces"
        " WHERE id IN (SELECT a FROM wanted)",
        "(?)",
        {(workspace,) for workspace in workspaces},
    )
    return dict(found)


# What is accepted, or may have been before, has the state that reports gave it, where one came before.
_SETTLE = (
    f"UPDATE messages SET state = CASE WHEN ?1 = {int(messages.State.ACCEPTED)} OR ?7 THEN coalesce(reached, ?1)"
    " ELSE ?1 END,"
    " settled_at=?2, attempts=?3, error=?4 WHERE workspace_id=?5 AND id=?6"
)


_ACCEPTED = int(messages.State.ACCEPTED)
# The same of most of them, with less to bind.
_ACCEPT = (
    f"UPDATE messages SET state = coalesce(reached, {_ACCEPTED}), settled_at=?, attempts=?, error=NULL"
    " WHERE workspace_id=? AND id=?"
)
_RELEASE = Work("DELETE FROM claims WHERE claimed_by = ? AND claimed_at = ? AND", "message_id")
_RELEASE_TELLING = (
    "WITH wanted(a, b, c) AS (VALUES {}) DELETE FROM claims WHERE (workspace_id, message_id, claimed_at) IN"
    " (SELECT a, b, c FROM wanted) AND claimed_by = ? RETURNING message_id, claimed_at"
)


def settle(connection: Connection, worker: str, settled: Sequence[rows.Settled]) -> list[rows.Settled]:
    """Store what became of claimed messages, and give those: one whose claim is no longer this worker's is left.

    What follows from it (`retry`, `reply`) is for the turn to see to.
    """
    answered = rows.first_answers(settled)
    ours = _release(connection, worker, [(s.workspace_id, s.message_id, s.claimed_at) for s in answered])
    held = [entry for entry in answered if (entry.message_id, entry.claimed_at) in ours]
    accepted = [(s.settled_at, s.attempts, s.workspace_id, s.message_id) for s in held if _is_accepted(s)]
    connection.executemany(_ACCEPT, accepted)
    if len(accepted) < len(held):
        connection.executemany(
            _SETTLE,
            [
                (s.state, s.settled_at, s.attempts, s.error, s.workspace_id, s.message_id, s.yields)
                for s in held
                if not _is_accepted(s)
            ],
        )
    connection.executemany(
        MOVE,
        [(*s.moved, s.workspace_id, s.message_id) for s in held if s.moved is not None],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO message_references VALUES (?,?,?)",
        [(s.workspace_id, s.reference, s.message_id) for s in held if s.reference is not None],
    )
    return held


def _release(
    connection: Connection, worker: str, claimed: Sequence[tuple[int, bytes, int]]
) -> set[tuple[bytes, int]]:
    """Give these claims up, each as it was made then, but for those that are somebody else's; gives which they were."""
    by_claim: dict[tuple[int, int], list[bytes]] = {}
    for workspace_id, message_id, claimed_at in sorted(claimed):
        # What is claimed at once has one instant: there are few of them.
        by_claim.setdefault((workspace_id, claimed_at), []).append(message_id)
    connection.execute("SAVEPOINT release")
    released = sum(
        _RELEASE(connection, (worker, claimed_at), workspace_id, those)
        for (workspace_id, claimed_at), those in by_claim.items()
    )
    if released == len(claimed):
        ours = {(message_id, claimed_at) for _, message_id, claimed_at in claimed}
    else:
        # Only then it matters which: to have each told costs as much as to delete it.
        connection.execute("ROLLBACK TO release")
        ours = set(wanted(connection, _RELEASE_TELLING, "(?,?,?)", claimed, (worker,)))
    connection.execute("RELEASE release")
    return ours


def _is_accepted(settled: rows.Settled) -> bool:
    return settled.state == _ACCEPTED and settled.error is None


def take_expired(
    connection: Connection, now: int, limit: int, worker: str, lease_until: int
) -> list[rows.Claimed]:
    """Claims whose lease has run out, held by this worker until `lease_until`; `due_at` is when they were claimed."""
    found = connection.execute(
        f"SELECT c.claimed_at, {MESSAGE}, {EVENT} FROM claims c JOIN messages m ON m.workspace_id = c.workspace_id"
        " AND m.id = c.message_id LEFT JOIN events e ON e.workspace_id = m.workspace_id AND e.id = m.event_id"
        " WHERE c.lease_until < ? ORDER BY c.lease_until LIMIT ?",
        (now, limit),
    ).fetchall()
    connection.executemany(
        "UPDATE claims SET claimed_by = ?, lease_until = ? WHERE workspace_id = ? AND message_id = ?",
        [(worker, lease_until, row[1], row[2]) for row in found],
    )
    return [_claimed(row, now) for row in found]


def end_leases(connection: Connection) -> None:
    """Let every lease run out at once."""
    connection.execute("UPDATE claims SET lease_until = 0")
