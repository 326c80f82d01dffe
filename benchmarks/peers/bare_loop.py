"""A bare loop over batched SQL: what the same rows cost when nothing decides, waits or recovers.

It writes the rows of our own schema, with its indexes, in the four commits that the job's promise needs: the
events (they may be acknowledged), what was decided, the claims (the messages may go out), what became of them.
There are no partitions to lock, no workspaces, conditions, gates, templates, traces or leases to look at, and
nothing is read back but the contacts: a batch stays in memory from end to end. A batch has 500 jobs, as a turn has.

How it is tuned. SQLite: WAL, synchronous=FULL, the settings of our own connections, `executemany`. PostgreSQL:
arrays packed by hand into INSERT … SELECT unnest, each transaction sent as one pipeline, so that a batch takes
four round trips; statements prepared; two processes, as two of our workers, which count statistics in rows
of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from benchmarks import crews, job, sides, sink, tables
from benchmarks.peers import bare_postgres, bare_rows, bare_sqlite
from heliograph import clock
from heliograph.core import ids

BATCH = 500
PROCESSES = {"sqlite": 1, "postgresql": 2}
ACCEPTED = b'[{"at":%d,"outcome":"accepted","provider":"sink","code":"250","settled_at":%d}]'


class Store(Protocol):
    """The statements of one database; each call is one commit."""

    def accept(self, events: Sequence[bare_rows.Arrival]) -> dict[str, bytes]:
        """Write events and their places in the queue; gives the profiles of their contacts."""

    def decide(self, events: Sequence[bare_rows.Arrival], made: bare_rows.Made, now: int) -> None:
        """Take the events from the queue and write what was decided."""

    def claim(self, made: bare_rows.Made, now: int) -> None:
        """Take the messages from the queue and hold them."""

    def settle(self, made: bare_rows.Made, attempts: bytes, state: bytes, now: int) -> None:
        """Write what became of the messages and of their runs, and let go of them."""


class Loop:
    """One process's loop."""

    def __init__(self, store: Store, line: sink.Line, lane: int) -> None:
        self._store = store
        self._lane = lane
        self._line = line
        self._clock = clock.WallClock()
        self._counter = 0
        self._profile = msgspec.json.Decoder(bare_rows.Contact)

    def work(self, events: Sequence[job.Event]) -> None:
        """All of these jobs, a batch at a time."""
        for first in range(0, len(events), BATCH):
            self._batch(events[first : first + BATCH])

    def _batch(self, events: Sequence[job.Event]) -> None:
        now = self._clock.now()
        arrivals = self._arrivals(events, now)
        profiles = self._store.accept(arrivals)
        contacts = {user_id: self._profile.decode(stored) for user_id, stored in profiles.items()}
        made = bare_rows.decided(events, arrivals, contacts, now)
        self._store.decide(arrivals, made, now)
        self._store.claim(made, now)
        self._line.send_all(made.outgoing)
        settled_at = self._clock.now()
        self._store.settle(made, ACCEPTED % (now, settled_at), b"[[2,%d,%d]]" % (now, settled_at), settled_at)

    def _arrivals(self, events: Sequence[job.Event], now: int) -> list[bare_rows.Arrival]:
        head, encode = ids.head(now), msgspec.json.encode
        arrivals = []
        for counter, (_, event_type, contact_id, payload) in enumerate(events, self._counter):
            partition = ids.partition_of_subject(tables.WORKSPACE, f"contact:{contact_id}")
            identity = head + ids.foot(counter, partition, self._lane << 20)
            arrivals.append((identity, partition, event_type, contact_id, encode(payload)))
        self._counter += len(events)
        return arrivals


def start(order: sides.Order, place: int) -> crews.Work:
    """Open this process's connections."""
    if order.database == "sqlite":
        store: Store = bare_sqlite.Store(tables.opened(order).session().connection, place)
    else:
        store = bare_postgres.Store(order.url, place)
    return Loop(store, sink.Line(order.sink), place).work


def work(order: sides.Order) -> sides.Outcome:
    """The side's whole work."""
    base = tables.opened(order)
    tables.create(base, clock.WallClock().now())
    seconds = crews.timed(PROCESSES[order.database], start, order)
    tables.check(base, crews.done(order), bare_rows.RULES)
    return sides.Outcome(
        seconds=seconds,
        jobs=crews.jobs(order),
        versions={},
        settings=[
            f"{PROCESSES[order.database]} process(es)",
            f"batches of {BATCH}, four commits each",
            "executemany" if order.database == "sqlite" else "packed arrays, pipelined",
        ],
    )


if __name__ == "__main__":
    sides.main(work)
