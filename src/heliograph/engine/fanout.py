"""Fan-out: from one definition to many people, a cursor in each partition (a chapter of the turn).

Law: a person stands in one partition and is judged once, in the turn that takes their cursor over them; what that
turn makes of them and where the cursor then stands are one transaction, so a fan-out that was killed goes on where it
was. Jobs are messages that no run asked for: their cursor counts how they end, and their automation hears when a
partition was walked, and when nothing of it is open any more. What is made of people stands elsewhere (campaign.py).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
import structlog

from heliograph.core import campaigns, effects, ids, messages, schedule
from heliograph.engine import desk as desks
from heliograph.store import fanout_rows, list_rows, report_rows, rows

_log = structlog.get_logger(__name__)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

AT_ONCE = 8
"""So many partitions of a fan-out are in line at a time; the end of one is the beginning of another."""
MOST_PEOPLE = 1_000
"""The most people whom one step of a cursor judges."""
MOST_TRIES = 5
"""A step that failed as often is given up, and its campaign fails."""

_PLANNED = int(messages.State.PLANNED)


def begin_part(desk: desks.Desk, workspace_id: int, fanout_id: bytes, part: int) -> None:
    """Lay out the cursors of a part of a fan-out, and set the first of them going."""
    for partition in range(ids.PARTITIONS):
        identity = ids.of_cursor(fanout_id, part, partition)
        desk.put_cursor(
            fanout_rows.Cursor(
                workspace_id, identity, partition, fanout_id, part, "", 0, 0, 0, 0, 0, 0, None, 0, None
            )
        )
        if partition < AT_ONCE:
            _set_going(desk, workspace_id, identity, partition)


def _set_going(desk: desks.Desk, workspace_id: int, cursor_id: bytes, partition: int) -> None:
    desk.writes.timers.append(
        rows.Timer(partition, desk.now, workspace_id, int(effects.Timer.CURSOR), cursor_id)
    )
    desk.goes_on = True


# ── a cursor ────────────────────────────────────────────────────────────────────────────────────────


Person = TypeVar("Person", rows.Contact, list_rows.Subscriber)
Walk = Callable[[int, int, str, int], Sequence[Person]]
"""(workspace, partition, after whom, how many) to the next people."""


class Steps:
    """What the cursors of one turn walk over, read before anything is decided."""

    def __init__(self, room: int):
        """`room` is how many people the turn judges in all."""
        self.room = room
        self._people: dict[tuple[int, bytes], tuple[Sequence[Any], bool]] = {}

    def read(self, walk: Walk[Any], cursor: fanout_rows.Cursor) -> None:
        """Read the next people of a cursor, where there is room for them."""
        want = min(self.room, MOST_PEOPLE)
        if want > 0 and cursor.done_at is None:
            people = walk(cursor.workspace_id, cursor.partition, cursor.place, want)
            self.room -= len(people)
            self._people[cursor.workspace_id, cursor.id] = people, len(people) < want

    def of(self, cursor: fanout_rows.Cursor) -> tuple[Sequence[Any], bool] | None:
        """The next people of a cursor and whether they are the last; None where there was no room."""
        return self._people.get((cursor.workspace_id, cursor.id))


def as_they_are(
    desk: desks.Desk, cursor: fanout_rows.Cursor, people: Sequence[rows.Contact], *, is_last: bool
) -> Sequence[rows.Contact]:
    """The next people as earlier decisions of this turn left them, and those whom these made."""
    changed = [
        row
        for row in desk.writes.contacts.values()
        if row.workspace_id == cursor.workspace_id
        and row.partition == cursor.partition
        and row.user_id > cursor.place
        and (is_last or row.user_id <= people[-1].user_id)
    ]
    if not changed:
        return people
    whole = {row.user_id: row for row in (*people, *changed)}
    return [whole[user_id] for user_id in sorted(whole)]


def move(
    desk: desks.Desk,
    cursor: fanout_rows.Cursor,
    automation_id: bytes,
    walked: Sequence[rows.Contact] | Sequence[list_rows.Subscriber],
    made: Sequence[rows.Message],
    *,
    is_last: bool,
    launched: int = 0,
) -> None:
    """Let a cursor stand behind these people; it goes on unless they are the last.

    Of them these jobs were made, and `launched` more that are runs of their own.
    """
    planned = [message for message in made if message.state == _PLANNED]
    desk.writes.messages += made
    desk.planned += planned
    desk.judged += len(walked)
    moved = cursor._replace(
        place=walked[-1].user_id if walked else cursor.place,
        judged=cursor.judged + len(walked),
        jobs=cursor.jobs + len(made) + launched,
        skipped=cursor.skipped + len(made) - len(planned),
        attempts=0,
    )
    if is_last:
        finish(desk, moved, automation_id)
    else:
        desk.put_cursor(moved)
        _set_going(desk, cursor.workspace_id, cursor.id, cursor.partition)


def finish(desk: desks.Desk, cursor: fanout_rows.Cursor, automation_id: bytes) -> None:
    """A cursor has come to its end: another one begins, and the automation hears of it."""
    # Nobody goes on from where it stands: the last one's name is not kept.
    desk.put_cursor(cursor._replace(place="", done_at=desk.now))
    following = cursor.partition + AT_ONCE
    if following < ids.PARTITIONS:
        _set_going(
            desk,
            cursor.workspace_id,
            ids.of_cursor(cursor.fanout_id, cursor.part, following),
            following,
        )
    _tell(desk, cursor, automation_id, effects.Inbox.WALKED)


def _tell(desk: desks.Desk, cursor: fanout_rows.Cursor, automation_id: bytes, kind: effects.Inbox) -> None:
    # Each is said once for each cursor, and its id is its own: no word can be lost for another one.
    partition = campaigns.partition_of(cursor.workspace_id, automation_id)
    desk.writes.inbox.append(
        rows.Inbox(
            partition, cursor.workspace_id, cursor.id, int(kind), None, _encode(ids.text(automation_id)), 0
        )
    )


def told_of(inbox: rows.Inbox) -> bytes:
    """The automation that an inbox row of kind WALKED or SETTLED is for."""
    identity = ids.parse(_decode(inbox.body))
    assert identity is not None
    return identity


def failed(desk: desks.Desk, cursor: fanout_rows.Cursor, automation_id: bytes, fault: Exception) -> None:
    """A step that could not be taken: again later, and after the last try it ends here, and its error is heard of."""
    tries = cursor.attempts + 1
    error = f"{type(fault).__name__}: {fault}"[:500]
    _log.error("fanout_failed", cursor=ids.text(cursor.id), attempts=tries, error=error, exc_info=fault)
    tried = cursor._replace(attempts=tries)
    if tries >= MOST_TRIES:
        finish(desk, tried._replace(error=error), automation_id)
        return
    desk.put_cursor(tried)
    retry_at = schedule.event_retry_at(tries, desk.now)
    desk.writes.timers.append(
        rows.Timer(cursor.partition, retry_at, cursor.workspace_id, int(effects.Timer.CURSOR), cursor.id)
    )


# ── what became of a job ────────────────────────────────────────────────────────────────────────────

_COUNTED: Mapping[int, str] = {
    messages.State.ACCEPTED: "sent",
    messages.State.DELIVERED: "sent",
    messages.State.BOUNCED: "failed",
    messages.State.FAILED: "failed",
    messages.State.UNCERTAIN: "uncertain",
    messages.State.CANCELED: "skipped",
    messages.State.UNROUTABLE: "skipped",
    messages.State.CAPPED: "skipped",
    messages.State.SIMULATED: "sent",
}
_SENT = "sent"


def progress(cursor: fanout_rows.Cursor) -> campaigns.Progress:
    """How far a cursor has come, and what became of its jobs."""
    return campaigns.Progress(int(cursor.done_at is not None), *cursor[6:12], cursor.error)


def cursor_of_job(inbox: rows.Inbox) -> tuple[int, bytes]:
    """The key of the cursor that counts the job of an inbox row of kind JOB."""
    automation, part, *_ = _decode(inbox.body)
    identity = ids.parse(automation)
    assert identity is not None
    return inbox.workspace_id, ids.of_cursor(ids.of_fanout(identity), part, inbox.partition)


def sent(jobs: Iterable[rows.Inbox]) -> set[tuple[int, bytes]]:
    """The messages that were sent, by what these rows of kind JOB tell of them."""
    return {(job.workspace_id, job.id) for job in jobs if _COUNTED[_decode(job.body)[2]] == _SENT}


def count(desk: desks.Desk, inbox: rows.Inbox, reached: report_rows.Reached | None) -> None:
    """Count how a job ended; the last one of a partition that was walked is told to the automation.

    `reached` is what reports had told of it before the turn, where it was sent.
    """
    automation, _, state, *before = _decode(inbox.body)
    cursor = desk.cursors.get(cursor_of_job(inbox))
    if cursor is None:
        return
    told = desk.writes.reports.reached.get((inbox.workspace_id, inbox.id), reached)
    if told is not None and told.reached is not None and _COUNTED[state] == _SENT:
        known = told.known
        if known.told.is_early:
            # What was told before its end is counted with it; what is told from now on is counted when it is told.
            state = told.reached
            after = report_rows.of(told.workspace_id, told.id, known.early(is_early=False))
            desk.writes.reports.reached[told.workspace_id, told.id] = after
    for counted, more in [(state, 1), *((one, -1) for one in before)]:
        name = _COUNTED[counted]
        cursor = cursor._replace(**{name: getattr(cursor, name) + more})
    desk.put_cursor(cursor)
    if not before and cursor.done_at is not None and not progress(cursor).pending:
        identity = ids.parse(automation)
        assert identity is not None
        _tell(desk, cursor, identity, effects.Inbox.SETTLED)


def heard(inbox: Iterable[rows.Inbox]) -> Collection[tuple[int, bytes]]:
    """The automations, by (workspace, automation_id), that hear something of these."""
    kinds = (effects.Inbox.WALKED, effects.Inbox.SETTLED)
    return {(row.workspace_id, told_of(row)) for row in inbox if row.kind in kinds}
