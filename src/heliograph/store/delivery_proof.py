"""The proof of the ledger: no effect key twice, none missing, every message in line or ended.

Law: reading alone, in bites, while the engine goes on. What looks wrong is looked at once more before it is told: it
may only have been on its way. The walk goes along the keys of the tables, and keeps in memory the ids of what waits in
line, nothing else.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph.core import delivery_checks, ids, requests, routes
from heliograph.core.delivery_checks import Entry
from heliograph.core.messages import State
from heliograph.store import database, delivery_walks, schema

_MOST_TOLD = 1_000


class Fault(NamedTuple):
    """Something that is not as it must be."""

    what: str
    id: bytes
    """Of the message, the run, the request or the campaign."""


class Proof(NamedTuple):
    """What was looked at, and what is wrong."""

    messages: int
    runs: int
    """Those that asked for something."""
    requests: int
    """To send."""
    jobs: int
    """Of fan-outs."""
    waiting: int
    held: int
    uncertain: int
    faults: Sequence[Fault]
    """A thousand at most."""


class _Tally:
    def __init__(self) -> None:
        self.messages = self.runs = self.requests = self.jobs = self.held = self.uncertain = 0
        self.waiting: list[bytes] = []
        self.faults: list[Fault] = []

    def tell(self, what: str, identity: bytes) -> None:
        if len(self.faults) < _MOST_TOLD:
            self.faults.append(Fault(what, identity))


Seen = Callable[[float], None]
"""Told how far it has come, from 0 to 1."""


def prove(
    store: database.Database, workspace_id: int, seen: Seen, forgotten_before: int | None = None
) -> Proof:
    """Look at all of a workspace's ledger; what is older than `forgotten_before` (µs) may be forgotten in part."""
    tally, walk = _Tally(), delivery_walks.Walk(store, workspace_id)
    last = _last(store, workspace_id)
    if last is not None:
        for entries in _by_instant(walk, tally, last, seen):
            _check(walk, tally, entries)
        for page in walk.runs(last):
            _check_runs(walk, tally, page)
            seen(0.6 + 0.2 * walk.share(page[-1].id, last))
        for page in walk.requests(last):
            _check_requests(walk, tally, page, forgotten_before)
            seen(0.8 + 0.1 * walk.share(page[-1].id, last))
    for fanout in walk.fanouts():
        _check_fanout(walk, tally, fanout, forgotten_before)
    seen(0.95)
    for identity in walk.nowhere(tally.waiting):
        tally.tell("it stands in no line, nobody holds it, and nothing wakes it", identity)
    seen(1.0)
    return Proof(
        tally.messages,
        tally.runs,
        tally.requests,
        tally.jobs,
        len(tally.waiting),
        tally.held,
        tally.uncertain,
        tally.faults,
    )


# ── what stands in the ledger ───────────────────────────────────────────────────────────────────────


def _by_instant(walk: delivery_walks.Walk, tally: _Tally, last: bytes, seen: Seen) -> Iterator[list[Entry]]:
    """The entries of runs, those of one instant together: they lie side by side."""
    kept: list[Entry] = []
    for page in walk.messages(last):
        for row in page:
            tally.messages += 1
            tally.held += row.state == State.HELD
            tally.uncertain += row.state == State.UNCERTAIN
            if row.state in delivery_walks.WAITING:
                tally.waiting.append(row.id)
            if row.run_id is not None:
                kept.append(Entry(row.id, row.run_id, row.visit, row.ordinal, ids.created_at(row.id)))
        _check_followers(walk, tally, page)
        if kept and kept[-1].at != kept[0].at:
            at = kept[-1].at
            yield [one for one in kept if one.at != at]
            kept = [one for one in kept if one.at == at]
        seen(0.6 * walk.share(page[-1].id, last))
    yield kept


def _check_followers(walk: delivery_walks.Walk, tally: _Tally, page: Sequence[Any]) -> None:
    """Each message that follows another is the one that this was followed by: so there is no second one."""
    follows = {row.id: named for row in page if (named := routes.followed(row.route)[0]) is not None}
    if not follows:
        return
    parents = {one: ids.parse(named) or ids.of_wire(named) or b"" for one, named in follows.items()}
    followed = walk.followed({*parents.values()})
    for one, parent in parents.items():
        if parent in followed and followed[parent] != ids.text(one):
            tally.tell(f"it follows {follows[one]}, which was followed by another, or by none", one)


def _check(walk: delivery_walks.Walk, tally: _Tally, entries: list[Entry]) -> None:
    for _, group in itertools.groupby(entries, key=lambda one: one.at):
        for entry in delivery_checks.twice(list(group)):
            tally.tell("another message has its effect key", entry.id)
    asked = {
        row.id: {step.visit: step for step in walk.asked(row)}
        for row in walk.runs_of({e.run_id for e in entries})
    }
    for entry in entries:
        # A run that is not there was forgotten before its messages.
        fault = delivery_checks.misplaced(entry, asked[entry.run_id]) if entry.run_id in asked else None
        if fault is not None:
            tally.tell(fault, entry.id)


# ── what runs have asked for ────────────────────────────────────────────────────────────────────────


def _check_runs(walk: delivery_walks.Walk, tally: _Tally, page: Sequence[Any]) -> None:
    told = {row.id: walk.asked(row) for row in page}
    told = {identity: steps for identity, steps in told.items() if steps}
    tally.runs += len(told)
    there: set[tuple[bytes, int, int]] = set()
    for at in sorted({step.at for steps in told.values() for step in steps}):
        there |= walk.keys_at(at)
    suspects = {
        identity: steps
        for identity, steps in told.items()
        if any(delivery_checks.missing(identity, steps, there))
    }
    for identity, steps in suspects.items():
        # One for somebody else may have been on its way to their partition.
        anew: set[tuple[bytes, int, int]] = walk.keys_on_their_way({step.at for step in steps})
        for step in steps:
            anew |= walk.keys_at(step.at, fresh=True)
        for visit, ordinal in delivery_checks.missing(identity, steps, anew):
            tally.tell(
                f"its step {visit + 1} asked for a message ({ordinal + 1}) that is not there", identity
            )


# ── what requests to send have become ───────────────────────────────────────────────────────────────


def _check_requests(
    walk: delivery_walks.Walk, tally: _Tally, page: Sequence[Any], forgotten_before: int | None
) -> None:
    tally.requests += len(page)
    said = {row.id: requests.stored(row.body) for row in page}
    # First which of them wait: what is taken up meanwhile has its messages in the same transaction.
    waiting = walk.waiting_requests([*said])
    made = walk.of_requests([*said])
    groups = {row.id: _groups(row, said[row.id]) for row in page}
    fanouts = walk.fanouts_of([one for named in groups.values() for one in named.values()])
    for row in page:
        there = made[row.id]
        # What was canceled before it was taken up is one message, whoever it is for.
        # What a run asked for stands in its records, and was looked at with them.
        if row.id in waiting or said[row.id].asked_by or (row.id in there and not said[row.id].is_single):
            continue
        walked = {place for place, one in groups[row.id].items() if one in fanouts}
        is_kept = forgotten_before is None or row.due_at >= forgotten_before
        places = len(said[row.id].to)
        for what in delivery_checks.recipients(places, walked, [*there.values()], is_kept=is_kept):
            tally.tell(what, row.id)


def _groups(row: Any, said: requests.Request) -> dict[int, bytes]:
    """The effects by which a request walks over its groups, by their places."""
    head = ids.head(ids.created_at(row.id))
    return {
        place: ids.of_effect(row.id, place, 0, head, row.partition)
        for place, one in enumerate(said.to)
        if one.is_group
    }


# ── what fan-outs have made ─────────────────────────────────────────────────────────────────────────


def _check_fanout(
    walk: delivery_walks.Walk, tally: _Tally, fanout: Any, forgotten_before: int | None
) -> None:
    for identity in walk.doubled(fanout.automation_id):
        tally.tell("it wrote to somebody twice in one part", identity)
    made, counted = walk.made(fanout.automation_id), walk.counted(fanout.id)
    tally.jobs += sum(made.values())
    is_kept = forgotten_before is None or fanout.created_at >= forgotten_before
    for place in sorted(made.keys() | counted.keys()):
        there, known = made.get(place, 0), counted.get(place, 0)
        if there > known or (there < known and is_kept):
            part, partition = place
            what = f"part {part + 1}, partition {partition}: {known:,} jobs were counted, {there:,} are there"
            tally.tell(what, fanout.automation_id)


def _last(store: database.Database, workspace_id: int) -> bytes | None:
    """The newest of what is there now: what comes meanwhile is for the next time."""
    with store.reading() as connection:
        found = [
            connection.execute(
                sa.select(table.c.id)
                .where(table.c.workspace_id == workspace_id)
                .order_by(table.c.id.desc())
                .limit(1)
            ).scalar_one_or_none()
            for table in (schema.messages, schema.runs, schema.requests)
        ]
    return max((one for one in found if one is not None), default=None)
