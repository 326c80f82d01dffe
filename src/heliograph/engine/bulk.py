"""Bulk: the users of a job become requests to send, some of them in each turn (a chapter of the turn).

Law: the requests of a step, and where the job then stands, are one transaction: a job that was killed goes on where it
was, and asks for nobody's message twice. Everything is read before anything is decided.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog

from heliograph.core import bulk, effects, ids, requests, rules, schedule
from heliograph.engine import departed
from heliograph.engine import desk as desks
from heliograph.store import bulk_rows, database, request_rows, rows

_log = structlog.get_logger(__name__)
_to = msgspec.json.Decoder(requests.To)
_encode = msgspec.json.Encoder().encode

TIMERS = frozenset({effects.Timer.BULK})
MOST_USERS = 500
"""The most users whom one step of a job sees to."""
MOST_TRIES = 5
"""A step that failed as often is given up, and its job fails."""


class _Walking(NamedTuple):
    """A job, and the next of its users, without those who were deleted since it was made."""

    job: bulk_rows.Job
    users: Sequence[bulk_rows.User]
    is_last: bool


class Bulk:
    """The bulk jobs of the turns of one connection."""

    def __init__(self, session: database.Session, grace: int):
        """What is due longer than `grace` (µs) goes on with an operator's word alone (E33)."""
        self._session, self._grace = session, grace
        self._jobs: dict[tuple[int, bytes], bulk_rows.Job] = {}
        self._walking: dict[tuple[int, bytes], _Walking] = {}

    def read(
        self,
        connection: Any,
        taken: rows.Taken,
        culprits: Collection[tuple[int, bytes]],
        room: int,
    ) -> None:
        """The jobs of these timers, and of some of them the next users: `room` in all."""
        self._jobs, self._walking = {}, {}
        keys = {(t.workspace_id, t.id) for t in taken.timers if t.kind in TIMERS}
        if not keys:
            return
        hot = self._session.hot
        self._jobs = hot.read_bulk_jobs(connection, keys)
        for key, job in self._jobs.items():
            want = min(room, MOST_USERS)
            if job.state == bulk.State.PROCESSING and want > 0 and key not in culprits:
                users = hot.read_bulk_users(connection, *key, job.place, want)
                room -= len(users)
                if job.workspace_id in taken.erasing:
                    users = _without_deleted(connection, hot, job, users)
                self._walking[key] = _Walking(job, users, len(users) < want)

    def timer(self, desk: desks.Desk, timer: rows.Timer, fault: Exception | None) -> None:
        """Let a job go on; `fault` is why its turn failed with it alone, if it did."""
        key = (timer.workspace_id, timer.id)
        job, walking = self._jobs.get(key), self._walking.get(key)
        if job is None or job.state != bulk.State.PROCESSING:
            return
        if fault is None and walking is None:
            desk.writes.timers.append(timer)
            desk.goes_on = True
            return
        made: list[tuple[int, request_rows.Request]] = []
        if walking is not None and fault is None:
            try:
                made = _made(desk, walking)
            except Exception as raised:  # noqa: BLE001 - a decision that raises marks its own input (E2)
                fault = raised
        if fault is not None:
            _failed(desk, job, timer, fault)
            return
        assert walking is not None
        # Everything was decided: only now does the desk change.
        due_at = timer.wake_at if desk.now - timer.wake_at > self._grace else desk.now
        _move(desk, walking, timer, made, due_at)


def _without_deleted(
    connection: Any, hot: Any, job: bulk_rows.Job, users: Sequence[bulk_rows.User]
) -> list[bulk_rows.User]:
    """The users of a job with nobody for those who were deleted since it was made (E22)."""
    named = [None if user.said is None else _to.decode(user.said).user_id for user in users]
    keys = {(job.workspace_id, one) for one in named if one is not None}
    gone = departed.among(connection, hot, keys)
    return [
        user._replace(said=None) if gone.had(job, one) else user
        for user, one in zip(users, named, strict=True)
    ]


def _made(desk: desks.Desk, walking: _Walking) -> list[tuple[int, request_rows.Request]]:
    """The requests of a job's next users, each with its user's place."""
    job = walking.job
    said = requests.stored(job.said)
    tags = _encode(said.tags) if said.tags else None
    made = []
    for user in walking.users:
        if user.said is None:
            continue
        asked = bulk.request_of(said, _to.decode(user.said))
        partition = rules.partition_of_person(job.workspace_id, asked.subject or "")
        identity = ids.of_debt(job.id, 0, user.ordinal, desk.head, partition, user.ordinal)
        tenant_id = asked.to[0].tenant_id or asked.tenant_id
        row = request_rows.Request(
            *(job.workspace_id, identity, partition, tenant_id, _encode(asked), desk.now),
            *(asked.event, asked.trace_id, tags, None),
        )
        made.append((user.ordinal, row))
    return made


def _move(
    desk: desks.Desk,
    walking: _Walking,
    timer: rows.Timer,
    made: Sequence[tuple[int, request_rows.Request]],
    due_at: int,
) -> None:
    """Let a job stand behind its next users, due at `due_at`; it goes on unless they are the last."""
    job, count = walking.job, len(walking.users)
    writes = desk.writes.bulk
    state = bulk.State.COMPLETED if walking.is_last else bulk.State.PROCESSING
    writes.jobs.append(
        job._replace(
            state=int(state),
            place=job.place + count,
            failures=job.failures + count - len(made),
            attempts=0,
        )
    )
    for ordinal, row in made:
        writes.requests.append(row)
        writes.users.append((job.workspace_id, job.id, ordinal, row.id))
        desk.writes.timers.append(
            rows.Timer(row.partition, due_at, row.workspace_id, int(effects.Timer.REQUEST), row.id)
        )
    if not walking.is_last:
        desk.writes.timers.append(timer._replace(wake_at=due_at))
    desk.judged += count
    desk.goes_on = True


def _failed(desk: desks.Desk, job: bulk_rows.Job, timer: rows.Timer, fault: Exception) -> None:
    """A step that could not be taken: again later, and after the last try the job ends here."""
    tries = job.attempts + 1
    error = f"{type(fault).__name__}: {fault}"[:500]
    _log.error("bulk_failed", job=ids.text(job.id), attempts=tries, error=error, exc_info=fault)
    is_over = tries >= MOST_TRIES
    state = bulk.State.ERROR if is_over else bulk.State.PROCESSING
    desk.writes.bulk.jobs.append(job._replace(state=int(state), attempts=tries, error=error))
    if not is_over:
        retry_at = schedule.event_retry_at(tries, desk.now)
        desk.writes.timers.append(timer._replace(wake_at=retry_at))
