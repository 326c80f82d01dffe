"""The bare loop's statements on SQLite: `executemany`, four transactions a batch."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.peers import bare_rows
from heliograph.core import messages, runs

LEASE = 60_000_000

EVENT = "INSERT INTO events VALUES (1, ?, ?, NULL, ?, ?, NULL, 'api', NULL, NULL, 0, ?, NULL)"
DUE = "INSERT INTO due VALUES (?, 1, ?)"
CONTACTS = "SELECT user_id, profile FROM contacts WHERE workspace_id = 1 AND user_id IN (%s)"
TAKE = "DELETE FROM due WHERE workspace_id = 1 AND event_id = ?"
DECISION = "INSERT INTO decisions VALUES (1, ?, 2, 1, NULL, ?, 1, NULL)"
RUN = "INSERT INTO runs VALUES (1, ?, ?, 1, ?, NULL, ?, ?, NULL, ?, ?)"
MESSAGE = (
    "INSERT INTO messages (workspace_id, kind, channel, visit, ordinal, state, id, partition, automation_id, run_id,"
    " event_id, contact_id, address, content, data)"
    f" VALUES (1, 1, 'email', 0, 0, {int(messages.State.PLANNED)}, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
SEND = "INSERT INTO send_due VALUES (?, 1, ?, ?)"
COUNT = (
    "INSERT INTO rule_statistics VALUES (1, ?, ?, ?, ?, ?, 0, ?) ON CONFLICT DO UPDATE SET"
    " total = total + excluded.total, matched = matched + excluded.matched, pending = pending + excluded.pending"
)
COUNT_EVENTS = (
    "INSERT INTO event_statistics VALUES (1, '', ?1, ?2, ?3, ?3, 0)"
    " ON CONFLICT DO UPDATE SET total = total + excluded.total, processed = processed + excluded.processed"
)
TAKE_SEND = "DELETE FROM send_due WHERE workspace_id = 1 AND message_id = ?"
CLAIM = "INSERT INTO claims VALUES (1, ?, ?, ?, 'bare loop')"
MARK = (
    f"UPDATE messages SET state = {int(messages.State.ACCEPTED)}, settled_at = ?, attempts = ?"
    " WHERE workspace_id = 1 AND id = ?"
)
RELEASE = "DELETE FROM claims WHERE workspace_id = 1 AND message_id = ?"
EXECUTED = (
    f"UPDATE runs SET status = {int(runs.Status.DONE)}, outcome = {int(runs.Outcome.EXECUTED)}, state = ?"
    " WHERE workspace_id = 1 AND id = ?"
)
COUNT_EXECUTED = (
    "UPDATE rule_statistics SET executed = executed + ?, pending = pending - ?"
    " WHERE workspace_id = 1 AND automation_id = ? AND day = ? AND partition = ?"
)


class Store:
    """`bare_loop.Store` on SQLite."""

    def __init__(self, connection: sqlite3.Connection, lane: int) -> None:
        self._connection = connection
        self._lane = lane

    def _commit(self, *work: tuple[str, Iterable[Sequence[Any]]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for statement, values in work:
            self._connection.executemany(statement, values)
        self._connection.execute("COMMIT")

    def accept(self, events: Sequence[bare_rows.Arrival]) -> dict[str, bytes]:
        """Write events and their places in the queue; gives the profiles of their contacts."""
        self._commit((EVENT, events), (DUE, [(event[1], event[0]) for event in events]))
        users = sorted({event[3] for event in events})
        found = self._connection.execute(CONTACTS % ",".join("?" * len(users)), users)
        return dict(found.fetchall())

    def decide(self, events: Sequence[bare_rows.Arrival], made: bare_rows.Made, now: int) -> None:
        """Take the events from the queue and write what was decided."""
        day, lane = bare_rows.DAY, self._lane
        self._commit(
            (TAKE, [(event[0],) for event in events]),
            (DECISION, [(event[0], now) for event in events]),
            (RUN, made.runs),
            (MESSAGE, [(*message[:7], bare_rows.CONTENT, message[7]) for message in made.messages]),
            (SEND, [(message[1], message[0], now) for message in made.messages]),
            (COUNT, [(rule, day, lane, total, matched, matched) for rule, total, matched in made.counts]),
            (COUNT_EVENTS, [(day, lane, len(events))]),
        )

    def claim(self, made: bare_rows.Made, now: int) -> None:
        """Take the messages from the queue and hold them."""
        self._commit(
            (TAKE_SEND, [(message[0],) for message in made.messages]),
            (CLAIM, [(message[0], now + LEASE, now) for message in made.messages]),
        )

    def settle(self, made: bare_rows.Made, attempts: bytes, state: bytes, now: int) -> None:
        """Write what became of the messages and of their runs, and let go of them."""
        day, lane = bare_rows.DAY, self._lane
        self._commit(
            (MARK, [(now, attempts, message[0]) for message in made.messages]),
            (RELEASE, [(message[0],) for message in made.messages]),
            (EXECUTED, [(state, message[3]) for message in made.messages]),
            (COUNT_EXECUTED, [(matched, matched, rule, day, lane) for rule, _, matched in made.counts]),
        )
