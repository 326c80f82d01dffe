"""Fan-out: from one campaign to its people, a cursor in each partition (a chapter of the turn).

Law: a person stands in one partition and is judged once, in the turn that takes their cursor over them; what that
turn makes of them and where the cursor then stands are one transaction, so a fan-out that was killed goes on where it
was. What a fan-out goes by is written down as it begins. Jobs are messages that no run asked for: their cursor counts
how they end, and their campaign hears when a partition has nothing open any more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog

from heliograph.core import campaigns, effects, ids, messages, schedule, segments, templates
from heliograph.engine import desk as desks
from heliograph.store import definitions, rows

_log = structlog.get_logger(__name__)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

AT_ONCE = 8
"""So many partitions of a fan-out are in line at a time; the end of one is the beginning of another."""
MOST_PEOPLE = 1_000
"""The most people whom one step of a cursor judges."""
MOST_TRIES = 5
"""A step that failed as often is given up, and its campaign fails."""
NO_ADDRESS = "no_address"

_PLANNED, _UNROUTABLE = int(messages.State.PLANNED), int(messages.State.UNROUTABLE)
_EMAIL = "email"


class Group(msgspec.Struct, frozen=True):
    """The communication group of one action, in the version that is sent."""

    id: str
    version: int
    reads: tuple[str, ...]
    """The names that its texts read."""


class Body(msgspec.Struct, frozen=True):
    """What a fan-out goes by, as it was when it began."""

    tenant_id: str | None
    include: list[list[dict[str, Any]]]
    """The conditions of each included segment; of everybody's segment none."""
    exclude: list[list[dict[str, Any]]]
    groups: list[Group]
    """Of each action."""


_body = msgspec.json.Decoder(Body)


class Course(NamedTuple):
    """A fan-out, ready to judge people."""

    automation_id: bytes
    body: Body
    is_in: segments.Member


def course(row: rows.Fanout) -> Course:
    """A stored fan-out, compiled."""
    body = _body.decode(row.body)
    member = segments.audience(segments.compiled(body.include), segments.compiled(body.exclude))
    return Course(row.automation_id, body, member)


class Limits(NamedTuple):
    """What an installation has set for campaigns."""

    lock_window: int
    """How long before its time (µs) a campaign can be changed no more."""
    grace: int
    """A campaign that is later than this (µs) does not run (A5)."""


# ── the campaign ────────────────────────────────────────────────────────────────────────────────────


def partition_of(workspace_id: int, automation_id: bytes) -> int:
    """The partition in which a campaign's own turns are taken."""
    return ids.partition_of_subject(workspace_id, campaigns.subject(automation_id))


def standing(row: rows.Campaign) -> campaigns.Standing:
    """How a stored campaign stands."""
    return campaigns.Standing(campaigns.State(row.state), *row[4:9], bool(row.is_stopping))


def stand(row: rows.Campaign, now: campaigns.Standing) -> rows.Campaign:
    """The campaign's row for this standing."""
    return rows.Campaign(row.workspace_id, row.automation_id, row.partition, int(now.state), *now[1:])


def is_starting(row: rows.Campaign, now: int, limits: Limits) -> bool:
    """Whether a look at the clock lets a campaign run: then what it goes by has to be read."""
    before = standing(row)
    after = campaigns.at_time(before, now, limits.lock_window, limits.grace)
    return after.state is campaigns.State.RUNNING and before.state is not campaigns.State.RUNNING


def look_at_clock(
    desk: desks.Desk, row: rows.Campaign, limits: Limits, source: definitions.Campaign | None
) -> None:
    """Let a campaign go where time leads it; `source` is what it goes by, where it is to run now."""
    before = standing(row)
    after = campaigns.at_time(before, desk.now, limits.lock_window, limits.grace)
    if after.state is campaigns.State.RUNNING and before.state is not campaigns.State.RUNNING:
        made = None if source is None else _pinned(source)
        if isinstance(made, Body):
            assert source is not None
            _begin(desk, row, source.version, made)
        else:
            fault = made or "it is not there any more"
            after = campaigns.failed(after._replace(started_at=None), fault, desk.now)
    if after != before:
        desk.put_campaign(stand(row, after))
    wake_at = campaigns.next_look(after, limits.lock_window)
    if wake_at is not None and after != before:
        desk.writes.timers.append(timer(row, wake_at))


def timer(row: rows.Campaign, wake_at: int) -> rows.Timer:
    """The timer by which a campaign is looked at."""
    return rows.Timer(
        row.partition, wake_at, row.workspace_id, int(effects.Timer.CAMPAIGN), row.automation_id
    )


def _pinned(source: definitions.Campaign) -> Body | str:
    """What a campaign goes by from now on, or why it cannot run (A3, A22)."""
    definition = source.definition
    missing = [
        identity
        for identity in (*definition.include_segments, *definition.exclude_segments)
        if identity not in source.segments
    ]
    if missing:
        return f"the segment {missing[0]!r} is not there any more"
    groups = []
    for identity in campaigns.groups_of(definition):
        if identity not in source.groups:
            return f"the communication group {identity!r} is not there any more"
        version, content = source.groups[identity]
        groups.append(Group(identity, version, _reads(content)))
    return Body(
        source.tenant_id,
        [
            list(source.segments[identity].conditions)
            for identity in definition.include_segments
            # A deactivated segment adds nobody, and still keeps people out: fewer messages rather than more (A22).
            if source.segments[identity].status == "active"
        ],
        [list(source.segments[identity].conditions) for identity in definition.exclude_segments],
        groups,
    )


def _reads(content: Mapping[str, Any]) -> tuple[str, ...]:
    texts = [content[name] for name in ("subject", "text", "html") if content.get(name)]
    return tuple(sorted(frozenset().union(*(templates.roots_read(text) for text in texts))))


def _begin(desk: desks.Desk, row: rows.Campaign, version: int, body: Body) -> None:
    fanout_id = ids.of_fanout(row.automation_id)
    desk.writes.fanouts.append(
        rows.Fanout(row.workspace_id, fanout_id, row.automation_id, version, _encode(body), desk.now)
    )
    begin_part(desk, row.workspace_id, fanout_id, 0)


def begin_part(desk: desks.Desk, workspace_id: int, fanout_id: bytes, part: int) -> None:
    """Lay out the cursors of a part of a fan-out, and set the first of them going."""
    for partition in range(ids.PARTITIONS):
        identity = ids.of_cursor(fanout_id, part, partition)
        desk.put_cursor(
            rows.Cursor(
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


def cursors_of(row: rows.Campaign) -> list[tuple[int, bytes]]:
    """The keys of every cursor that a campaign has so far."""
    fanout_id = ids.of_fanout(row.automation_id)
    return [
        (row.workspace_id, ids.of_cursor(fanout_id, part, partition))
        for part in range(row.action + 1)
        for partition in range(ids.PARTITIONS)
    ]


def hear(desk: desks.Desk, row: rows.Campaign, actions: int) -> None:
    """Let a campaign take in that one of its partitions has come further."""
    found = [desk.cursors[key] for key in cursors_of(row) if key in desk.cursors]
    before = standing(row)
    latest = campaigns.added([_progress(one) for one in found if one.part == row.action])
    whole = campaigns.added([_progress(one) for one in found])
    after = campaigns.progressed(before, latest, whole, ids.PARTITIONS, actions, desk.now)
    if after == before:
        return
    if after.action != before.action:
        begin_part(desk, row.workspace_id, ids.of_fanout(row.automation_id), after.action)
    desk.put_campaign(stand(row, after))


def _progress(cursor: rows.Cursor) -> campaigns.Progress:
    return campaigns.Progress(int(cursor.done_at is not None), *cursor[6:12], cursor.error)


# ── a cursor ────────────────────────────────────────────────────────────────────────────────────────


Walk = Callable[[int, int, str, int], Sequence[rows.Contact]]
"""(workspace, partition, after whom, how many) to the next contacts."""


class Steps:
    """What the cursors of one turn walk over, read before anything is decided."""

    def __init__(self, room: int):
        """`room` is how many people the turn judges in all."""
        self.room = room
        self._people: dict[tuple[int, bytes], tuple[Sequence[rows.Contact], bool]] = {}

    def read(self, walk: Walk, cursor: rows.Cursor) -> None:
        """Read the next people of a cursor, where there is room for them."""
        want = min(self.room, MOST_PEOPLE)
        if want > 0 and cursor.done_at is None:
            people = walk(cursor.workspace_id, cursor.partition, cursor.place, want)
            self.room -= len(people)
            self._people[cursor.workspace_id, cursor.id] = people, len(people) < want

    def of(self, cursor: rows.Cursor) -> tuple[Sequence[rows.Contact], bool] | None:
        """The next people of a cursor and whether they are the last; None where there was no room."""
        return self._people.get((cursor.workspace_id, cursor.id))


def step(
    desk: desks.Desk, cursor: rows.Cursor, course: Course, people: Sequence[rows.Contact], *, is_last: bool
) -> None:
    """Judge the next people of a cursor and make their jobs; then it stands behind them."""
    walked = _as_they_are(desk, cursor, people, is_last=is_last)
    group = course.body.groups[cursor.part]
    made: list[rows.Message] = []
    for person in walked:
        if course.body.tenant_id is not None and person.tenant_id != course.body.tenant_id:
            continue
        seen = segments.view(person.user_id, person.tenant_id, _decode(person.profile))
        if course.is_in(seen):
            made.append(_job(desk, cursor, course, group, person, seen, cursor.jobs + len(made)))
    # Everything was decided: only now does the desk change.
    desk.writes.messages += made
    planned = [message for message in made if message.state == _PLANNED]
    desk.planned += planned
    moved = cursor._replace(
        place=walked[-1].user_id if walked else cursor.place,
        judged=cursor.judged + len(walked),
        jobs=cursor.jobs + len(made),
        skipped=cursor.skipped + len(made) - len(planned),
        attempts=0,
        error=None,
    )
    if is_last:
        finish(desk, moved, course.automation_id)
    else:
        desk.put_cursor(moved)
        _set_going(desk, cursor.workspace_id, cursor.id, cursor.partition)


def _as_they_are(
    desk: desks.Desk, cursor: rows.Cursor, people: Sequence[rows.Contact], *, is_last: bool
) -> Sequence[rows.Contact]:
    """The people as earlier decisions of this turn left them, and those whom these made."""
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


def _job(
    desk: desks.Desk,
    cursor: rows.Cursor,
    course: Course,
    group: Group,
    person: rows.Contact,
    seen: Mapping[str, Any],
    ordinal: int,
) -> rows.Message:
    address = seen["email"]
    return rows.Message(
        cursor.workspace_id,
        ids.of_job(cursor.id, ordinal, person.user_id, _EMAIL, desk.head),
        cursor.partition,
        course.body.tenant_id,
        int(effects.Kind.MESSAGE),
        _EMAIL,
        course.automation_id,
        None,
        cursor.part,
        0,
        None,
        person.user_id,
        address,
        group.id,
        group.version,
        None,
        _data(group, person, seen),
        _UNROUTABLE if address is None else _PLANNED,
        desk.now if address is None else None,
        None,
        NO_ADDRESS if address is None else None,
    )


def _data(group: Group, person: rows.Contact, seen: Mapping[str, Any]) -> bytes | None:
    """What fills the texts: the merge fields by their own names, and the contact, where they are read."""
    data = {name: seen[name] for name in group.reads if name not in templates.ROOTS and name in seen}
    if "contact" in group.reads:
        data["contact"] = {**seen, "id": person.user_id, "tags": _decode(person.tags)}
    if "tenant" in group.reads:
        data["tenant"] = {"id": person.tenant_id}
    return _encode(data) if data else None


def finish(desk: desks.Desk, cursor: rows.Cursor, automation_id: bytes) -> None:
    """A cursor has come to its end: another one begins, and the campaign hears of it."""
    desk.put_cursor(cursor._replace(done_at=desk.now))
    following = cursor.partition + AT_ONCE
    if following < ids.PARTITIONS:
        _set_going(
            desk,
            cursor.workspace_id,
            ids.of_cursor(cursor.fanout_id, cursor.part, following),
            following,
        )
    _tell(desk, cursor, automation_id, effects.Inbox.WALKED)


def _tell(desk: desks.Desk, cursor: rows.Cursor, automation_id: bytes, kind: effects.Inbox) -> None:
    # Each is said once for each cursor, and its id is its own: no word can be lost for another one.
    partition = partition_of(cursor.workspace_id, automation_id)
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


def failed(desk: desks.Desk, cursor: rows.Cursor, automation_id: bytes, fault: Exception) -> None:
    """A step that could not be taken: again later, and after the last try the campaign fails (A3)."""
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
    messages.State.FAILED: "failed",
    messages.State.UNCERTAIN: "uncertain",
    messages.State.CANCELED: "skipped",
    messages.State.UNROUTABLE: "skipped",
}


def cursor_of_job(inbox: rows.Inbox) -> tuple[int, bytes]:
    """The key of the cursor that counts the job of an inbox row of kind JOB."""
    automation, part, _ = _decode(inbox.body)
    identity = ids.parse(automation)
    assert identity is not None
    return inbox.workspace_id, ids.of_cursor(ids.of_fanout(identity), part, inbox.partition)


def count(desk: desks.Desk, inbox: rows.Inbox) -> None:
    """Count how a job ended; the last one of a partition that was judged whole is told to the campaign."""
    automation, _, state = _decode(inbox.body)
    cursor = desk.cursors.get(cursor_of_job(inbox))
    if cursor is None:
        return
    name = _COUNTED[state]
    cursor = cursor._replace(**{name: getattr(cursor, name) + 1})
    desk.put_cursor(cursor)
    if cursor.done_at is not None and not _progress(cursor).pending:
        identity = ids.parse(automation)
        assert identity is not None
        _tell(desk, cursor, identity, effects.Inbox.SETTLED)


def heard(inbox: Iterable[rows.Inbox]) -> Collection[tuple[int, bytes]]:
    """The campaigns, by (workspace, automation_id), that hear something of these."""
    kinds = (effects.Inbox.WALKED, effects.Inbox.SETTLED)
    return {(row.workspace_id, told_of(row)) for row in inbox if row.kind in kinds}
