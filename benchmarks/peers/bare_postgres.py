"""The bare loop's statements on PostgreSQL: packed arrays, one pipeline a transaction.

Law: a column goes over as one binary array, joined from bytes, without the driver's looking at each value.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import psycopg
from psycopg import abc, adapt, pq

from benchmarks.peers import bare_rows
from heliograph.core import messages, runs

LEASE = 60_000_000

EVENTS = """
    INSERT INTO events (workspace_id, id, partition, event_type, contact_id, source, depth, payload)
    SELECT 1, id, p, kind, contact, 'api', 0, payload
    FROM unnest(%s::uuid[], %s::int2[], %s::text[], %s::text[], %s::text[]) AS w(id, p, kind, contact, payload)
    ON CONFLICT DO NOTHING"""
DUE = "INSERT INTO due SELECT p, 1, id FROM unnest(%s::int2[], %s::uuid[]) AS w(p, id)"
CONTACTS = """
    SELECT user_id, profile FROM unnest(%s::text[]) AS w(contact)
    JOIN contacts ON workspace_id = 1 AND user_id = contact"""
TAKE = """
    DELETE FROM due WHERE ctid = ANY(ARRAY(
        SELECT found.ctid FROM unnest(%s::int2[], %s::uuid[]) AS w(p, id), LATERAL (
            SELECT ctid FROM due WHERE partition = p AND workspace_id = 1 AND event_id = id OFFSET 0) AS found))"""
DECISIONS = """
    INSERT INTO decisions (workspace_id, event_id, status, attempts, decided_at, definitions_version)
    SELECT 1, id, 2, 1, %s::int8, 1 FROM unnest(%s::uuid[]) AS w(id)"""
RUNS = """
    INSERT INTO runs (workspace_id, id, automation_id, version, event_id, status, outcome, trace, state)
    SELECT 1, id, rule, 1, event, status, outcome, trace, state
    FROM unnest(%s::uuid[], %s::uuid[], %s::uuid[], %s::int2[], %s::int2[], %s::text[], %s::text[])
        AS w(id, rule, event, status, outcome, trace, state)
    ON CONFLICT DO NOTHING"""
MESSAGES = f"""
    INSERT INTO messages (workspace_id, id, partition, kind, channel, automation_id, run_id, visit, ordinal,
        event_id, contact_id, address, content, data, state)
    SELECT 1, id, p, 1, 'email', rule, run, 0, 0, event, contact, address, %s::text, data,
        {int(messages.State.PLANNED)}
    FROM unnest(%s::uuid[], %s::int2[], %s::uuid[], %s::uuid[], %s::uuid[], %s::text[], %s::text[], %s::text[])
        AS w(id, p, rule, run, event, contact, address, data)
    ON CONFLICT DO NOTHING"""
SEND = "INSERT INTO send_due SELECT p, 1, id, %s::int8 FROM unnest(%s::int2[], %s::uuid[]) AS w(p, id)"
COUNT = """
    INSERT INTO rule_statistics SELECT 1, rule, %s::int4, %s::int2, total, matched, 0, matched
    FROM unnest(%s::uuid[], %s::int2[], %s::int2[]) AS w(rule, total, matched)
    ON CONFLICT (workspace_id, automation_id, day, partition) DO UPDATE SET
        total = rule_statistics.total + excluded.total, matched = rule_statistics.matched + excluded.matched,
        pending = rule_statistics.pending + excluded.pending"""
COUNT_EVENTS = """
    INSERT INTO event_statistics SELECT 1, '', %s::int4, %s::int2, n, n, 0 FROM (SELECT %s::int8 AS n) AS w
    ON CONFLICT (workspace_id, tenant_id, day, partition) DO UPDATE SET
        total = event_statistics.total + excluded.total,
        processed = event_statistics.processed + excluded.processed"""
TAKE_SEND = """
    DELETE FROM send_due WHERE ctid = ANY(ARRAY(
        SELECT found.ctid FROM unnest(%s::int2[], %s::uuid[]) AS w(p, id), LATERAL (
            SELECT ctid FROM send_due WHERE partition = p AND workspace_id = 1 AND message_id = id OFFSET 0)
        AS found))"""
CLAIM = """
    INSERT INTO claims (workspace_id, message_id, lease_until, claimed_at, claimed_by)
    SELECT 1, id, %s::int8, %s::int8, 'bare loop' FROM unnest(%s::uuid[]) AS w(id)"""
MARK = f"""
    UPDATE messages SET state = {int(messages.State.ACCEPTED)}, settled_at = %s::int8, attempts = %s::text
    WHERE workspace_id = 1 AND id = ANY(%s::uuid[])"""
RELEASE = "DELETE FROM claims WHERE workspace_id = 1 AND message_id = ANY(%s::uuid[])"
EXECUTED = f"""
    UPDATE runs SET status = {int(runs.Status.DONE)}, outcome = {int(runs.Outcome.EXECUTED)}, state = %s::text
    WHERE workspace_id = 1 AND id = ANY(%s::uuid[])"""
COUNT_EXECUTED = """
    UPDATE rule_statistics SET executed = executed + done, pending = pending - done
    FROM unnest(%s::uuid[], %s::int2[]) AS w(rule, done)
    WHERE workspace_id = 1 AND automation_id = rule AND day = %s::int4 AND partition = %s::int2"""


class Packed:
    """A column as PostgreSQL's binary array."""

    def __init__(self, array: int, element: int, pieces: Sequence[bytes]) -> None:
        self.array = array
        header = struct.pack(">iiIii", 1, 1, element, len(pieces), 1)
        self.data = header + b"".join(pieces)


class _PackedDumper(adapt.Dumper):
    format = pq.Format.BINARY

    def __init__(self, cls: type, context: abc.AdaptContext | None = None) -> None:
        super().__init__(cls, context)
        self.oid = 0

    def dump(self, obj: Packed) -> bytes:
        """It is packed already."""
        return obj.data


_LENGTH: Callable[[int], bytes] = struct.Struct(">i").pack
_SMALL = [b"\0\0\0\2" + struct.pack(">h", number) for number in range(1024)]
_NULL = _LENGTH(-1)


def uuids(values: Iterable[bytes]) -> Packed:
    """A uuid[]."""
    return Packed(2951, 2950, [b"\0\0\0\x10" + value for value in values])


def numbers(values: Iterable[int]) -> Packed:
    """An int2[] of numbers from 0 to 1023."""
    return Packed(1005, 21, [_SMALL[value] for value in values])


def texts(values: Iterable[str | bytes | None]) -> Packed:
    """A text[]."""
    pieces = []
    for value in values:
        if value is None:
            pieces.append(_NULL)
            continue
        data = value.encode() if isinstance(value, str) else value
        pieces.append(_LENGTH(len(data)) + data)
    return Packed(1009, 25, pieces)


class Store:
    """`bare_loop.Store` on PostgreSQL."""

    def __init__(self, url: str, lane: int) -> None:
        self._lane = lane
        self._connection = psycopg.connect(url, autocommit=True, prepare_threshold=0)
        self._connection.adapters.register_dumper(Packed, _PackedDumper)
        # Plans are made while tables are tiny; no plan but the index's stays right.
        for setting in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"):
            self._connection.execute(f"SET {setting} = off")

    def _commit(self, *work: tuple[str, tuple[Any, ...]]) -> None:
        with self._connection.pipeline():
            cursor = self._connection.cursor()
            cursor.execute("BEGIN")
            for statement, values in work:
                cursor.execute(statement, values)
            cursor.execute("COMMIT")

    def accept(self, events: Sequence[bare_rows.Arrival]) -> dict[str, bytes]:
        """Write events and their places in the queue; gives the profiles of their contacts."""
        identities, partitions, kinds, contacts, payloads = zip(*events, strict=True)
        packed, places = uuids(identities), numbers(partitions)
        with self._connection.pipeline():
            self._commit(
                (EVENTS, (packed, places, texts(kinds), texts(contacts), texts(payloads))),
                (DUE, (places, packed)),
            )
            found = self._connection.execute(CONTACTS, (texts(sorted(set(contacts))),), binary=True)
        return dict(found.fetchall())

    def decide(self, events: Sequence[bare_rows.Arrival], made: bare_rows.Made, now: int) -> None:
        """Take the events from the queue and write what was decided."""
        day, lane = bare_rows.DAY, self._lane
        taken = uuids([event[0] for event in events])
        run, rule, event, status, outcome, trace, state = zip(*made.runs, strict=True)
        message, place, sender, by, about, contact, address, data = zip(*made.messages, strict=True)
        automations, totals, matches = zip(*made.counts, strict=True)
        sent, places, event_ids = uuids(message), numbers(place), uuids(about)
        written = (
            sent,
            places,
            uuids(sender),
            uuids(by),
            event_ids,
            texts(contact),
            texts(address),
            texts(data),
        )
        self._commit(
            (TAKE, (numbers([event[1] for event in events]), taken)),
            (DECISIONS, (now, taken)),
            (
                RUNS,
                (
                    uuids(run),
                    uuids(rule),
                    uuids(event),
                    numbers(status),
                    numbers(outcome),
                    texts(trace),
                    texts(state),
                ),
            ),
            (MESSAGES, (bare_rows.CONTENT.decode(), *written)),
            (SEND, (now, places, sent)),
            (COUNT, (day, lane, uuids(automations), numbers(totals), numbers(matches))),
            (COUNT_EVENTS, (day, lane, len(events))),
        )

    def claim(self, made: bare_rows.Made, now: int) -> None:
        """Take the messages from the queue and hold them."""
        held = uuids([message[0] for message in made.messages])
        self._commit(
            (TAKE_SEND, (numbers([message[1] for message in made.messages]), held)),
            (CLAIM, (now + LEASE, now, held)),
        )

    def settle(self, made: bare_rows.Made, attempts: bytes, state: bytes, now: int) -> None:
        """Write what became of the messages and of their runs, and let go of them."""
        held = uuids([message[0] for message in made.messages])
        executed = uuids([message[3] for message in made.messages])
        rules, matches = [count[0] for count in made.counts], [count[2] for count in made.counts]
        self._commit(
            (MARK, (now, attempts.decode(), held)),
            (RELEASE, (held,)),
            (EXECUTED, (state.decode(), executed)),
            (COUNT_EXECUTED, (uuids(rules), numbers(matches), bare_rows.DAY, self._lane)),
        )
