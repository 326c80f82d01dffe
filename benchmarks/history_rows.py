"""A history of very many runs, written in bulk into the tables of our schema, under all of their indexes.

Law: the rows are those that the engine leaves (ids, order, places, counts), the same for the same size; only how they
come into the tables is another way. Four runs an event, sixty days, twenty rules in five types of events.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec
import psycopg
import sqlalchemy as sa

from benchmarks import job, our_job, tables
from heliograph.core import effects, events, ids, plans, runs, schedule
from heliograph.store import columns, database, places, schema

DAYS = 60
RUNS_AN_EVENT = 4
CONVERSATIONS = 2_000
WAITING = 100_000
"""So many of the newest events wait for a decision: a backlog."""
BYTES_A_RUN = 900
"""What the disk has to bear for each run, with the log of the database: looked at before anything is written."""
TENANT = "shop"
ONE_TYPE = "custom.order_paid"
BEHIND = 10_000
"""So many of the newest events, and of those that were decided, have no places yet, as behind a busy engine."""
_AT_ONCE = 25_000
_LANES = 16
_TABLES = ("events", "decisions", "due", "runs", "event_places", "timers")


class Made(NamedTuple):
    """What there is to ask for."""

    rules: list[bytes]
    first: int
    last: int
    """The instants (µs) of the oldest event and of the newest."""
    hashes: list[str]
    """Of some payloads."""
    events: list[bytes]
    """The ids of some events that were decided."""


def make(base: database.Database, count: int, now: int) -> Made:
    """Fill a new database with a history of so many runs, which ends now."""
    tables.create(base, now)
    rules = our_job.make_rules(base, now)
    past = _Past(rules, count // RUNS_AN_EVENT, now)
    write = _into_sqlite if base.is_sqlite else _into_postgres
    write(base, past)
    with base.writing() as connection:
        _count(connection, rules, now, count)
        for kind, mark in ((places.Kind.PAYLOAD, past.mark), (places.Kind.RULE, past.run_mark)):
            row = {"workspace_id": tables.WORKSPACE, "kind": int(kind), "id": mark}
            connection.execute(sa.insert(schema.event_place_marks), row)
    return Made(rules, past.first, now, past.hashes, past.chosen)


def make_events(base: database.Database, count: int, now: int) -> bytes:
    """Fill a new database with so many events of the last week, which were decided; gives the id of a rule."""
    tables.create(base, now)
    rules = our_job.make_rules(base, now)
    past = _Past(rules, count, now, days=7, only_events=True)
    write = _into_sqlite if base.is_sqlite else _into_postgres
    write(base, past)
    return rules[job.EVENT_TYPES.index(ONE_TYPE) * len(job.TIERS)]


class _Past:
    """The rows, batch by batch, in the order of their ids."""

    def __init__(
        self, rules: list[bytes], count: int, now: int, *, days: int = DAYS, only_events: bool = False
    ):
        """`only_events` are of ONE_TYPE, with no rows but their own and their decisions."""
        self.rules, self.count, self.only_events = rules, count, only_events
        self.waiting = 0 if only_events else WAITING
        self.first = now - days * schedule.DAY
        self.step = (now - self.first) // (count + self.waiting)
        self.hashes: list[str] = []
        self.chosen: list[bytes] = []
        self.mark = self.run_mark = places.START

    def batches(self) -> Iterator[dict[str, list[tuple[Any, ...]]]]:
        """Rows by table; the last events wait."""
        total = self.count + self.waiting
        for first in range(0, total, _AT_ONCE):
            rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in _TABLES}
            made = job.events(7, first, min(_AT_ONCE, total - first))
            for number, event in enumerate(made, first):
                self._add(rows, number, event)
            rows["event_places"].sort()
            yield rows

    def _add(self, rows: dict[str, list[tuple[Any, ...]]], number: int, event: job.Event) -> None:
        workspace, at = tables.WORKSPACE, self.first + number * self.step
        partition = ids.partition_of_subject(workspace, f"contact:{event.contact_id}")
        identity = ids.mint(at, number, partition, number)
        tenant = TENANT if number % 100 == 0 else None
        conversation = f"k-{number % CONVERSATIONS}" if number % 2 else None
        payload = msgspec.json.encode(event.payload)
        source = "crm" if number % 10 == 3 else "api"
        if self.only_events:
            event = event._replace(event_type=ONE_TYPE)
        head = (workspace, identity, partition, tenant, event.event_type, event.contact_id, conversation)
        rows["events"].append((*head, source, None, None, 0, payload, None))
        if number >= self.count:
            rows["due"].append((partition, workspace, identity))
            self._place(rows, number, event, identity, conversation)
            return
        if self.only_events:
            rows["decisions"].append((workspace, identity, int(events.State.PROCESSED), 1, None, at, 1, None))
            return
        if number % 1_000 == 7:
            self._unsettled(rows, number, identity, partition, at)
            return
        rows["decisions"].append(
            (workspace, identity, int(events.State.PROCESSED), 1, None, at + 5_000, 1, None)
        )
        self._add_runs(rows, number, event, identity, at + 5_000)
        if number % (self.count // 50 or 1) == 0:
            self.hashes.append(events.fingerprint(event.payload))
            self.chosen.append(identity)
        self._place(rows, number, event, identity, conversation)

    def _place(
        self,
        rows: dict[str, list[tuple[Any, ...]]],
        number: int,
        event: job.Event,
        identity: bytes,
        conversation: str | None,
    ) -> None:
        """By what the event is found, as housekeeping leaves it."""
        if number >= self.count + WAITING - BEHIND:
            return
        self.mark = identity
        kinds = {places.Kind.PAYLOAD: places.payload_key(events.fingerprint(event.payload))}
        if conversation is not None:
            kinds[places.Kind.CONVERSATION] = places.conversation_key(conversation)
        rows["event_places"] += [(tables.WORKSPACE, int(kind), key, identity) for kind, key in kinds.items()]

    def _unsettled(
        self, rows: dict[str, list[tuple[Any, ...]]], number: int, identity: bytes, partition: int, at: int
    ) -> None:
        """One in a thousand was given up, or is to be tried again."""
        failed = number % 2_000 == 7
        state = events.State.FAILED if failed else events.State.PENDING
        error, again = "ZeroDivisionError: division by zero", None if failed else at + schedule.DAY
        decided = at if failed else None
        rows["decisions"].append((tables.WORKSPACE, identity, int(state), 5, again, decided, 1, error))
        if not failed:
            rows["timers"].append(
                (partition, at + schedule.DAY, tables.WORKSPACE, int(effects.Timer.EVENT), identity)
            )

    def _add_runs(
        self, rows: dict[str, list[tuple[Any, ...]]], number: int, event: job.Event, identity: bytes, at: int
    ) -> None:
        workspace, head = tables.WORKSPACE, ids.head(at)
        first = job.EVENT_TYPES.index(event.event_type) * len(job.TIERS)
        for ordinal, tier in enumerate(job.TIERS):
            rule, run_id = self.rules[first + ordinal], ids.of_run(identity, ordinal, head)
            outcome, trace, state = runs.Outcome.NOT_MATCHED, b'[[0,"basic"]]', b"[]"
            if tier == event.payload["tier"]:
                outcome = runs.Outcome.FAILED if number % 500 == 1 else runs.Outcome.EXECUTED
                status = plans.Status.FAILED if number % 500 == 1 else plans.Status.SUCCEEDED
                trace = b'[[0,"gold",true,null],[1,420.5,true,null]]'
                record = runs.Record(status=status, started_at=at, settled_at=at + 20_000)
                state = runs.write((record,))
            done = int(runs.Status.DONE)
            rows["runs"].append(
                (workspace, run_id, rule, 1, identity, None, done, int(outcome), None, trace, state)
            )
            if number < self.count - BEHIND:
                rows["event_places"].append((workspace, int(places.Kind.RULE), rule, identity))
                self.run_mark = run_id


# ── into the databases ──────────────────────────────────────────────────────────────────────────────


def _into_sqlite(base: database.Database, past: _Past) -> None:
    connection: sqlite3.Connection = base.connect_sqlite(200_000)
    connection.execute("PRAGMA synchronous = OFF")
    for rows in past.batches():
        connection.execute("BEGIN")
        for name, lot in rows.items():
            if lot:
                marks = ",".join("?" * len(lot[0]))
                connection.executemany(
                    f"INSERT OR IGNORE INTO {name} ({_columns(name)}) VALUES ({marks})", lot
                )
        connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def _into_postgres(base: database.Database, past: _Past) -> None:
    with psycopg.connect(base.url) as connection:
        for rows in past.batches():
            for name, lot in rows.items():
                kinds = schema.metadata.tables[name].columns
                written = [_WRITTEN.get(type(column.type), _as_it_is) for column in kinds]
                with connection.cursor().copy(f"COPY {name} ({_columns(name)}) FROM STDIN") as copy:
                    for row in lot:
                        copy.write_row([write(value) for write, value in zip(written, row, strict=True)])
            connection.commit()
        connection.autocommit = True
        connection.execute("VACUUM ANALYZE")


def _columns(name: str) -> str:
    return ",".join(column.name for column in schema.metadata.tables[name].columns)


def _as_it_is(value: Any) -> Any:
    return value


_WRITTEN: dict[type, Callable[[Any], Any]] = {
    columns.Identity: lambda value: value and ids.text(value),
    columns.Json: lambda value: value and value.decode(),
}
"""How a column's values are written in PostgreSQL's COPY."""


def _count(connection: sa.Connection, rules: list[bytes], now: int, count: int) -> None:
    """Statistics of a year: of each rule and day, in as many lanes as busy workers leave."""
    today = now // schedule.DAY
    each = max(1, count // (len(rules) * DAYS * _LANES))
    rows = [
        {"workspace_id": tables.WORKSPACE, "automation_id": rule, "day": today - day, "partition": lane,
         "total": each, "matched": each // 4, "executed": each // 4, "pending": 0}
        for rule in rules for day in range(365) for lane in range(_LANES)
    ]  # fmt: skip
    connection.execute(sa.insert(schema.rule_statistics), rows)
    events_each = {"total": each, "processed": each, "failed": 0}
    of_events = [
        {"workspace_id": tables.WORKSPACE, "tenant_id": "", "day": today - day, "partition": lane, **events_each}
        for day in range(365) for lane in range(_LANES)
    ]  # fmt: skip
    connection.execute(sa.insert(schema.event_statistics), of_events)
