"""The plain tables of the task queues' sides, and what must stand in them afterwards.

Law: what a careful developer writes around a task queue, no more: the same facts as our own tables hold, without
our queue tables (the peers bring their own queues) and with the two ways to look history up. `record` may run
twice for one event and counts it once. SQL text serves both databases; only the placeholders differ.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from benchmarks import job, sides

DAY = 20_780
"""The day that all statistics are counted on."""

TABLES = """
CREATE TABLE contacts (contact_id TEXT PRIMARY KEY, given_name TEXT NOT NULL, email TEXT NOT NULL);
CREATE TABLE events (
    id TEXT PRIMARY KEY, event_type TEXT NOT NULL, contact_id TEXT NOT NULL, payload TEXT NOT NULL,
    created_at BIGINT NOT NULL);
CREATE TABLE runs (
    event_id TEXT NOT NULL, rule INTEGER NOT NULL, matched BOOLEAN NOT NULL, executed BOOLEAN NOT NULL,
    trace TEXT NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (event_id, rule));
CREATE INDEX runs_by_rule ON runs (rule, event_id);
CREATE TABLE messages (
    id TEXT PRIMARY KEY, event_id TEXT NOT NULL, contact_id TEXT NOT NULL, address TEXT NOT NULL,
    text TEXT NOT NULL, state TEXT NOT NULL, accepted_at BIGINT);
CREATE INDEX messages_by_contact ON messages (contact_id, id);
CREATE TABLE statistics (
    rule INTEGER NOT NULL, day INTEGER NOT NULL, shard INTEGER NOT NULL, total BIGINT NOT NULL,
    matched BIGINT NOT NULL, PRIMARY KEY (rule, day, shard))
"""

CONTACT = "INSERT INTO contacts VALUES (?, ?, ?)"
EVENT = "INSERT INTO events VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
FIND = "SELECT given_name, email FROM contacts WHERE contact_id = ?"
RUNS = "INSERT INTO runs VALUES " + ", ".join(["(?, ?, ?, ?, ?, ?)"] * 4)
MESSAGE = "INSERT INTO messages VALUES (?, ?, ?, ?, ?, 'planned', NULL)"
COUNT = (
    "INSERT INTO statistics VALUES "
    + ", ".join(["(?, ?, ?, 1, ?)"] * 4)
    + " ON CONFLICT (rule, day, shard) DO UPDATE"
    " SET total = statistics.total + 1, matched = statistics.matched + excluded.matched"
)
MARK = "UPDATE messages SET state = 'accepted', accepted_at = ? WHERE id = ?"
EXECUTED = "UPDATE runs SET executed = ? WHERE event_id = ? AND rule = ?"


class Message(NamedTuple):
    """What is to be handed over, and which run is done with it."""

    key: str
    text: str
    event_id: str
    rule: int


class Ledger:
    """The statements of one side, for the placeholders of its database's driver."""

    def __init__(self, database: sides.Database) -> None:
        self._mark = "?" if database == "sqlite" else "%s"

    def _sql(self, statement: str) -> str:
        return statement.replace("?", self._mark)

    def create(self, cursor: Any) -> None:
        """Make the tables and the contacts."""
        for table in TABLES.split(";"):
            cursor.execute(table)
        cursor.executemany(self._sql(CONTACT), [tuple(contact) for contact in job.contacts()])

    def record(self, cursor: Any, event: job.Event, now: int) -> Message:
        """Write the event, its four runs, its message and the statistics, unless that had been done before."""
        given_name, email = cursor.execute(self._sql(FIND), (event.contact_id,)).fetchone()
        decisions = job.decide(event.event_type, event.payload)
        matching = next(rule.number for rule, matched in decisions if matched)
        message = Message(f"m{event.key}", job.render(event.payload, given_name), event.key, matching)
        payload = msgspec.json.encode(event.payload).decode()
        cursor.execute(self._sql(EVENT), (event.key, event.event_type, event.contact_id, payload, now))
        if cursor.rowcount:
            self._record_runs(cursor, event, decisions, now)
            cursor.execute(
                self._sql(MESSAGE), (message.key, event.key, event.contact_id, email, message.text)
            )
        return message

    def _record_runs(
        self, cursor: Any, event: job.Event, decisions: list[tuple[job.Rule, bool]], now: int
    ) -> None:
        runs: list[Any] = []
        counts: list[Any] = []
        for rule, matched in decisions:
            trace = '{"field":"payload.tier","matched":%s}' % ("true" if matched else "false")
            runs += (event.key, rule.number, matched, False, trace, now)
            counts += (rule.number, DAY, job.shard(event.contact_id), int(matched))
        cursor.execute(self._sql(RUNS), runs)
        cursor.execute(self._sql(COUNT), counts)

    def mark(self, cursor: Any, message: Message, now: int) -> None:
        """Write that the message was handed over, and that its run is done."""
        cursor.execute(self._sql(MARK), (now, message.key))
        cursor.execute(self._sql(EXECUTED), (True, message.event_id, message.rule))

    def accepted(self, cursor: Any) -> int:
        """How many messages are marked."""
        return int(cursor.execute("SELECT count(*) FROM messages WHERE state = 'accepted'").fetchone()[0])

    def check(self, cursor: Any, done: Sequence[job.Event]) -> None:
        """Raise Failed unless the rows are those of exactly these events."""
        questions = {
            "SELECT count(*) FROM events": len(done),
            "SELECT count(*) FROM runs": 4 * len(done),
            "SELECT count(*) FROM runs WHERE matched AND executed": len(done),
            "SELECT count(*) FROM messages WHERE state = 'accepted'": len(done),
            "SELECT sum(total) FROM statistics": 4 * len(done),
        }
        for question, wanted in questions.items():
            found = cursor.execute(question).fetchone()[0]
            if found != wanted:
                raise sides.Failed(f"{question}: {found} instead of {wanted}")
        matched = cursor.execute(
            "SELECT rule, sum(matched) FROM statistics GROUP BY rule HAVING sum(matched) > 0"
        ).fetchall()
        if {rule: int(total) for rule, total in matched} != job.expected(done):
            raise sides.Failed("another rule matched than the one that had to")


def open_sqlite(path: str) -> sqlite3.Connection:
    """A connection as every SQLite side here uses it: WAL, synchronous=FULL, a long wait for the lock."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    return connection
