"""Retention: what is finished, and older than it need be kept, is forgotten a bite at a time.

Law: an event goes with its decision, its runs and its messages, in one transaction, once all of them are finished and
the last of them has been so for long enough; whatever waits, is held, is uncertain or is to be tried again stays,
with all that it hangs on. A run that no rule started goes by itself, with what it was started with. Statistics stay,
and the keys by which runs were started, for they must not be used twice. A bite is a walk along keys that begin with
time: it costs what it looks at, however much is stored. What is finished does not change any more, but for a failed
event, which is looked at again as it goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from heliograph.core import bulk, events, ids, messages, plans, routes, runs
from heliograph.store import columns, database, old_mailings, places, schema, waiting_requests

_EVENTS = schema.events.c
_DECISIONS = schema.decisions.c
_RUNS = schema.runs.c
_BATCHES = schema.batches.c
_REQUESTS = schema.requests.c
_MESSAGES = schema.messages.c
_FINAL_EVENTS = (int(events.State.PROCESSED), int(events.State.FAILED))
_FINAL_MESSAGES = messages.TAKEN | {
    messages.State.FAILED,
    messages.State.UNROUTABLE,
    messages.State.CANCELED,
    messages.State.CAPPED,
    messages.State.SIMULATED,
}
_KEYS_AT_ONCE = 500
_LOCK = 0x68656C696F68
"""The advisory lock of the one process that forgets (PostgreSQL)."""

START = bytes(16)
"""Before every id."""
Kind = Literal["events", "runs", "messages", "requests", "jobs", "mailings"]
KINDS: tuple[Kind, ...] = ("events", "runs", "messages", "requests", "jobs", "mailings")
"""What is walked along, in this order: events with all that came of them, then what hangs on no event."""


class Bite(NamedTuple):
    """What one step of a walk came to."""

    forgotten: int
    """How many rows went."""
    reached: bytes
    """The last id that was looked at."""
    more: bool
    """Whether there is more that is old enough to be looked at."""


class _Going(NamedTuple):
    """Ids of what is to go."""

    events: Sequence[bytes] = ()
    runs: Sequence[bytes] = ()
    messages: Sequence[bytes] = ()
    requests: Sequence[bytes] = ()
    mailings: Sequence[bytes] = ()


def workspaces(store: database.Database) -> list[int]:
    """Every workspace."""
    with store.reading() as connection:
        return list(connection.execute(sa.select(schema.workspaces.c.id)).scalars())


def forget(
    store: database.Database, workspace_id: int, kind: Kind, after: bytes, before: int, at_most: int
) -> Bite:
    """Look at so many of a workspace beyond the id `after`; forget those finished before the instant `before` (µs)."""
    if kind == "jobs":
        return _forget_job(store, workspace_id, after, before)
    with store.reading() as connection:
        if kind == "events":
            looked_at, going = _old_events(connection, workspace_id, after, before, at_most)
        elif kind == "runs":
            looked_at, going = _old_runs(connection, workspace_id, after, before, at_most)
        elif kind == "messages":
            looked_at, going = _old_messages(connection, workspace_id, after, before, at_most)
        elif kind == "requests":
            looked_at, going = _old_requests(connection, workspace_id, after, before, at_most)
        else:
            looked_at, old = old_mailings.found(connection, workspace_id, after, before, at_most)
            going = _Going(mailings=old)
    reached = looked_at[-1] if looked_at else after
    if not any(going):
        return Bite(0, reached, len(looked_at) == at_most)
    forgotten = _forget(store, workspace_id, going, before)
    if forgotten is None:
        return Bite(0, after, False)
    return Bite(forgotten, reached, len(looked_at) == at_most)


# ── what may go ─────────────────────────────────────────────────────────────────────────────────────


def _old_events(
    connection: sa.Connection, workspace_id: int, after: bytes, before: int, at_most: int
) -> tuple[list[bytes], _Going]:
    decided = (_DECISIONS.workspace_id == _EVENTS.workspace_id) & (_DECISIONS.event_id == _EVENTS.id)
    query = (
        sa.select(_EVENTS.id, _DECISIONS.decided_at, _DECISIONS.status)
        .join_from(schema.events, schema.decisions, decided, isouter=True)
        .where(*_span(schema.events, workspace_id, after, before))
        .order_by(_EVENTS.id)
        .limit(at_most)
    )
    found = connection.execute(query).all()
    old = {
        row.id: row.decided_at
        for row in found
        if row.status in _FINAL_EVENTS and row.decided_at is not None and row.decided_at < before
    }
    return [row.id for row in found], _of_events(connection, workspace_id, old, before)


def _of_events(
    connection: sa.Connection, workspace_id: int, decided: Mapping[bytes, int], before: int
) -> _Going:
    """Those of these events of which everything is finished, with all that came of them.

    Runs lie under the instant of the event's decision; what they asked for, messages and runs of other automations,
    under the instants of their steps.
    """
    waiting: set[bytes] = set()
    ran: list[tuple[bytes, bytes]] = []
    instants = sorted(set(decided.values()))
    # What turns made of others is passed over where it lies: a turn looks at many events that are not side by side.
    about = (min(decided), max(decided)) if decided else (START, START)
    for at in instants:  # grows while it is walked
        for run in _made_at(connection, workspace_id, schema.runs, ("status", "state"), at, about):
            if run.event_id not in decided:
                continue
            ran.append((run.event_id, run.id))
            records = runs.read(run.state)
            if run.status in runs.IN_PROGRESS or _ended_at(records) >= before:
                waiting.add(run.event_id)
            instants += {record.started_at for record in records}.difference(instants)
    sent: list[tuple[bytes, bytes]] = []
    for at in instants:
        names = ("state", "settled_at", "route")
        for one in _made_at(connection, workspace_id, schema.messages, names, at, about):
            if one.event_id not in decided:
                continue
            sent.append((one.event_id, one.id))
            if not _is_over(one, before):
                waiting.add(one.event_id)
    return _Going(
        [event_id for event_id in decided if event_id not in waiting],
        [run_id for event_id, run_id in ran if event_id not in waiting],
        [message_id for event_id, message_id in sent if event_id not in waiting],
    )


def _made_at(
    connection: sa.Connection,
    workspace_id: int,
    table: sa.Table,
    names: Sequence[str],
    at: int,
    about: tuple[bytes, bytes],
) -> Iterator[Any]:
    """The rows of a workspace that were made at an instant (µs), of events from the one id to the other."""
    head, found = ids.head(at), table.c
    query = sa.select(found.id, found.event_id, *(found[name] for name in names)).where(
        found.workspace_id == workspace_id,
        found.id.between(head + bytes(8), head + b"\xff" * 8),
        found.event_id.between(*about),
    )
    yield from connection.execute(query)


def _old_runs(
    connection: sa.Connection, workspace_id: int, after: bytes, before: int, at_most: int
) -> tuple[list[bytes], _Going]:
    hangs = (_EVENTS.workspace_id == _RUNS.workspace_id) & (_EVENTS.id == _RUNS.event_id)
    query = (
        sa.select(_RUNS.id, _RUNS.status, _RUNS.state, _EVENTS.id.label("event_id"))
        .join_from(schema.runs, schema.events, hangs, isouter=True)
        .where(*_span(schema.runs, workspace_id, after, before))
        .order_by(_RUNS.id)
        .limit(at_most)
    )
    found = connection.execute(query).all()
    ended = {
        row.id: records
        for row in found
        if row.event_id is None
        and row.status not in runs.IN_PROGRESS
        and _ended_at(records := runs.read(row.state)) < before
    }
    waiting = _in_batches(connection, workspace_id, ended)
    return [row.id for row in found], _Going(runs=[run_id for run_id in ended if run_id not in waiting])


def _in_batches(
    connection: sa.Connection, workspace_id: int, ended: Mapping[bytes, Sequence[runs.Record]]
) -> set[bytes]:
    """Those of these runs whose item is in a batch that is not over: it may yet come to be theirs (E18)."""
    named = {
        run_id: ids.parse(record.output[plans.BATCH].get("id", ""))
        for run_id, records in ended.items()
        for record in records[-1:]
        if isinstance(record.output, dict) and plans.BATCH in record.output
    }
    if not named:
        return set()
    query = sa.select(_BATCHES.id).where(
        _BATCHES.workspace_id == workspace_id, _BATCHES.id.in_(set(named.values()))
    )
    there = set(connection.execute(query).scalars())
    return {run_id for run_id, batch_id in named.items() if batch_id in there}


def _old_messages(
    connection: sa.Connection, workspace_id: int, after: bytes, before: int, at_most: int
) -> tuple[list[bytes], _Going]:
    hangs = (_EVENTS.workspace_id == _MESSAGES.workspace_id) & (_EVENTS.id == _MESSAGES.event_id)
    asked = (_RUNS.workspace_id == _MESSAGES.workspace_id) & (_RUNS.id == _MESSAGES.run_id)
    query = (
        sa.select(
            _MESSAGES.id,
            _MESSAGES.state,
            _MESSAGES.settled_at,
            _MESSAGES.route,
            _EVENTS.id.label("event_id"),
            _RUNS.id.label("run_id"),
        )
        .join_from(schema.messages, schema.events, hangs, isouter=True)
        .join(schema.runs, asked, isouter=True)
        .where(*_span(schema.messages, workspace_id, after, before))
        .order_by(_MESSAGES.id)
        .limit(at_most)
    )
    found = connection.execute(query).all()
    return [row.id for row in found], _Going(
        messages=[
            row.id for row in found if row.event_id is None and row.run_id is None and _is_over(row, before)
        ]
    )


def _old_requests(
    connection: sa.Connection, workspace_id: int, after: bytes, before: int, at_most: int
) -> tuple[list[bytes], _Going]:
    """A request goes after all its messages: until then it says what they were about, or what they are to be."""
    query = (
        sa.select(_REQUESTS.id, _REQUESTS.due_at)
        .where(*_span(schema.requests, workspace_id, after, before))
        .order_by(_REQUESTS.id)
        .limit(at_most)
    )
    found = connection.execute(query).all()
    due = [row.id for row in found if row.due_at < before]
    kept: set[bytes | None] = set()
    if due:
        sent = sa.select(_MESSAGES.request_id).distinct().where(_MESSAGES.request_id.in_(due))
        kept.update(connection.execute(sent).scalars())
        waits = sa.select(schema.timers.c.id).where(
            waiting_requests.IS_REQUEST,
            schema.timers.c.workspace_id == workspace_id,
            schema.timers.c.id.in_(due),
        )
        kept.update(connection.execute(waits).scalars())
    return [row.id for row in found], _Going(requests=[one for one in due if one not in kept])


def _span(
    table: sa.Table, workspace_id: int, after: bytes, before: int
) -> tuple[sa.ColumnElement[bool], ...]:
    last = ids.head(before) + bytes(8)
    return table.c.workspace_id == workspace_id, table.c.id > after, table.c.id < last


def _ended_at(records: Sequence[runs.Record]) -> int:
    """When a run took its last step or answer (µs), or would have gone on if it was canceled; 0 where it took none."""
    return max((record.settled_at or _until(record) for record in records), default=0)


def _until(record: runs.Record) -> int:
    return max(record.started_at, runs.waits_until(record) or 0)


def _is_over(message: Any, before: int) -> bool:
    """Whether nothing comes of a message any more, since before an instant (µs)."""
    if message.state not in _FINAL_MESSAGES:
        return False
    escalation = None if message.route is None else routes.read(message.route).escalation
    # So long it may go on by another channel.
    wait = 0 if escalation is None else escalation.after * 1000
    return (message.settled_at or 0) + wait < before


# ── its going ───────────────────────────────────────────────────────────────────────────────────────


def _forget(store: database.Database, workspace_id: int, going: _Going, before: int) -> int | None:
    """Delete all of it; gives how many events, runs and messages. None where another process is at it."""
    with store.writing() as connection:
        if not store.is_sqlite and not connection.execute(_TRY_LOCK, {"lock": _LOCK}).scalar_one():
            return None
        decided = (_DECISIONS.status.in_(_FINAL_EVENTS), _DECISIONS.decided_at < before)
        gone = _delete(connection, workspace_id, schema.decisions.c.event_id, going.events, *decided)
        places.forget(connection, workspace_id, gone, list(going.runs))
        # What was tried again in the meantime came to nothing before: an event that failed has no runs.
        _delete(connection, workspace_id, _EVENTS.id, gone)
        ran = _delete(connection, workspace_id, _RUNS.id, going.runs)
        _delete(connection, workspace_id, schema.starts.c.run_id, ran)
        sent = _delete(connection, workspace_id, _MESSAGES.id, going.messages)
        _delete(connection, workspace_id, schema.message_references.c.message_id, sent)
        asked = _delete(connection, workspace_id, _REQUESTS.id, going.requests)
        _delete(connection, workspace_id, schema.archives.c.request_id, [*sent, *asked])
        walked = _delete(connection, workspace_id, schema.fanouts.c.id, going.mailings)
        _delete(connection, workspace_id, schema.cursors.c.id, old_mailings.cursors(walked))
        return len(gone) + len(ran) + len(sent) + len(asked)


def _forget_job(store: database.Database, workspace_id: int, after: bytes, before: int) -> Bite:
    """Some of the users of the next bulk job, and at last the job; one that is under way is passed by.

    What it asked for goes by itself. One that was never run can be run no more: it may have lost users.
    """
    jobs, users = schema.bulk_jobs.c, schema.bulk_users.c
    query = sa.select(jobs.id, jobs.state).where(*_span(schema.bulk_jobs, workspace_id, after, before))
    with store.writing() as connection:
        found = connection.execute(query.order_by(jobs.id).limit(1)).one_or_none()
        if found is None:
            return Bite(0, after, False)
        state = found.state
        if state == bulk.State.CREATED:
            never_run = jobs.workspace_id == workspace_id, jobs.id == found.id, jobs.state == state
            ends = sa.update(schema.bulk_jobs).where(*never_run)
            ends = ends.values(state=int(bulk.State.ERROR), error=_NEVER_RUN)
            # Whoever has run it meanwhile has it whole.
            state = bulk.State.ERROR if connection.execute(ends).rowcount else bulk.State.PROCESSING
        if state == bulk.State.PROCESSING:
            return Bite(0, found.id, True)
        mine = (users.workspace_id == workspace_id, users.job_id == found.id)
        first = connection.execute(sa.select(sa.func.min(users.ordinal)).where(*mine)).scalar_one()
        if first is not None:
            some = sa.delete(schema.bulk_users).where(*mine, users.ordinal < first + _USERS_AT_ONCE)
            return Bite(connection.execute(some).rowcount, after, True)
        _delete(connection, workspace_id, jobs.id, [found.id])
        return Bite(1, found.id, True)


_USERS_AT_ONCE = 2_000
_NEVER_RUN = "it was not run for as long as is kept"
_TRY_LOCK = sa.text("SELECT pg_try_advisory_xact_lock(:lock)")


def _delete(
    connection: sa.Connection,
    workspace_id: int,
    key: sa.Column[Any],
    chosen: Collection[bytes],
    *only: sa.ColumnElement[bool],
) -> list[bytes]:
    """Delete rows by their ids, in the order of the key; gives the ids of those that were there."""
    ordered = sorted(chosen)
    gone: list[bytes] = []
    for first in range(0, len(ordered), _KEYS_AT_ONCE):
        some = ordered[first : first + _KEYS_AT_ONCE]
        removed = (
            sa.delete(key.table)
            .where(key.table.c.workspace_id == workspace_id, columns.among(connection, key, some), *only)
            .returning(key)
        )
        gone += connection.execute(removed).scalars()
    return gone
