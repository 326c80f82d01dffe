"""Walks: what a turn reads for fan-outs, and who decides what was taken of them (a chapter of the turn).

Law: everything is read before anything is decided; a turn walks over so many people and no more, and a cursor for
which there was no room keeps its place in the line. Definitions are compiled once for each fan-out.
"""

from __future__ import annotations

import functools
from collections.abc import Collection
from typing import Any

from heliograph.core import campaigns, effects, ids
from heliograph.engine import campaign, courses, crowds, fanout, faults, looking, mailing
from heliograph.engine import desk as desks
from heliograph.store import database, definitions, fanout_rows, report_rows, rows

_HEARD = (effects.Inbox.WALKED, effects.Inbox.SETTLED)
TIMERS = frozenset({effects.Timer.CURSOR, effects.Timer.CAMPAIGN})
INBOX = frozenset({effects.Inbox.JOB, *_HEARD})


class Walks:
    """The fan-outs of the turns of one connection."""

    def __init__(self, store: database.Database, session: database.Session, limits: campaign.Limits):
        self._store, self._session, self._limits = store, session, limits
        self._courses: dict[tuple[int, bytes], campaign.Course | courses.Course] = {}
        self._sources: dict[tuple[int, bytes], definitions.Campaign | None] = {}
        """What the campaigns go by that the present turn lets run."""
        self._runs: dict[tuple[int, bytes], rows.Run] = {}
        """The runs that asked for the mailings which the present turn walks over."""
        self._steps = fanout.Steps(0)
        self._reached: dict[tuple[int, bytes], report_rows.Reached] = {}
        """What reports have told of the messages of which the present turn hears that they were sent."""
        self._connection: Any = None
        """That of the present turn's transaction."""

    # ── reading, in bulk ────────────────────────────────────────────────────────────────────────────

    def read(
        self,
        connection: Any,
        taken: rows.Taken,
        culprits: Collection[tuple[int, bytes]],
        desk: desks.Desk,
        room: int,
    ) -> None:
        """How campaigns stand, how far cursors have come, and the next people of these: at most `room`."""
        hot, self._connection = self._session.hot, connection
        inbox = [i for i in taken.inbox if i.kind in INBOX and (i.workspace_id, i.id) not in culprits]
        timers = [t for t in taken.timers if t.kind in TIMERS]
        if not (inbox or timers):
            return
        walking = [(t.workspace_id, t.id) for t in timers if t.kind == effects.Timer.CURSOR]
        looked_at = {(t.workspace_id, t.id) for t in timers if t.kind == effects.Timer.CAMPAIGN} - {*culprits}
        jobs = [row for row in inbox if row.kind == effects.Inbox.JOB]
        counting = {fanout.cursor_of_job(row) for row in jobs}
        ended = fanout.sent(jobs)
        self._reached = hot.read_reached(connection, ended) if ended else {}
        heard = fanout.heard(inbox)
        desk.cursors = hot.read_cursors(connection, {*walking, *counting})
        fanouts = {(c.workspace_id, c.fanout_id) for c in desk.cursors.values()}
        self._know(connection, fanouts | {(key[0], ids.of_fanout(key[1])) for key in heard})
        walkers = [desk.cursors[key] for key in walking if key in desk.cursors]
        walked = [(c.workspace_id, self._course(c)) for c in walkers]
        owners = {(w, c.automation_id) for w, c in walked if isinstance(c, campaign.Course)}
        askers = {(w, c.run_id) for w, c in walked if isinstance(c, courses.Course) and c.run_id is not None}
        self._runs = hot.read_runs(connection, askers - desk.runs.keys()) if askers else {}
        desk.campaigns = hot.read_campaigns(connection, {*heard, *looked_at, *owners})
        parts = [campaign.cursors_of(desk.campaigns[key]) for key in heard if key in desk.campaigns]
        parts += [mailing.cursors_of(*key) for key in heard if key not in desk.campaigns]
        desk.cursors |= hot.read_cursors(
            connection, {key for part in parts for key in part} - desk.cursors.keys()
        )
        self._read_sources(desk, looked_at)
        self._steps = fanout.Steps(room)
        looks = looking.Looks()
        for cursor in walkers:
            if (cursor.workspace_id, cursor.id) not in culprits and self._is_running(desk, cursor):
                self._steps.read(self._walk_of(connection, cursor), cursor)
                self._look(looks, cursor)
        looks.read(connection, hot, desk)

    def _look(self, looks: looking.Looks, cursor: fanout_rows.Cursor) -> None:
        """At what has to be known of a cursor's next people besides."""
        course, found = self._course(cursor), self._steps.of(cursor)
        if isinstance(course, courses.Course) and found is not None:
            places = mailing.places(course, (person.user_id for person in found[0]))
            looks.add(cursor.workspace_id, looking.Wanted(tenants=places))

    def _look_at_joined(self, desk: desks.Desk, cursor: fanout_rows.Cursor, course: courses.Course) -> None:
        """At whom earlier decisions of this turn may have put among a cursor's next people."""
        joined = mailing.joined(desk, cursor, course)
        if joined:
            looks = looking.Looks()
            places = mailing.places(course, joined)
            looks.add(cursor.workspace_id, looking.Wanted(joined, tenants=places))
            looks.read(self._connection, self._session.hot, desk)

    def _walk_of(self, connection: Any, cursor: fanout_rows.Cursor) -> fanout.Walk[Any]:
        hot, course = self._session.hot, self._course(cursor)
        if isinstance(course, campaign.Course):
            return functools.partial(hot.walk_contacts, connection)
        return crowds.walk_of(connection, hot, course.body)

    def _read_sources(self, desk: desks.Desk, looked_at: Collection[tuple[int, bytes]]) -> None:
        self._sources = {}
        for key in looked_at:
            row = desk.campaigns.get(key)
            if row is not None and campaign.is_starting(row, desk.now, self._limits):
                with self._store.reading() as connection:
                    self._sources[key] = definitions.campaign(connection, *key)

    def _know(self, connection: Any, keys: set[tuple[int, bytes]]) -> None:
        unknown = keys - self._courses.keys()
        if unknown and len(self._courses) > 1_000:
            self._courses.clear()
            unknown = keys
        if unknown:
            for key, row in self._session.hot.read_fanouts(connection, unknown).items():
                made = courses.read(row) if courses.is_one(row) else campaign.course(row)
                self._courses[key] = made

    def _course(self, cursor: fanout_rows.Cursor) -> campaign.Course | courses.Course:
        return self._courses[cursor.workspace_id, cursor.fanout_id]

    def _is_running(self, desk: desks.Desk, cursor: fanout_rows.Cursor) -> bool:
        course = self._course(cursor)
        if isinstance(course, courses.Course):
            if course.run_id is None:
                return True
            key = (cursor.workspace_id, course.run_id)
            return mailing.goes_on(desk.runs.get(key) or self._runs.get(key))
        row = desk.campaigns.get((cursor.workspace_id, course.automation_id))
        return row is not None and row.state == campaigns.State.RUNNING

    # ── one input ───────────────────────────────────────────────────────────────────────────────────

    def timer(self, desk: desks.Desk, timer: rows.Timer, fault: Exception | None) -> None:
        """Decide a timer of a kind of TIMERS; `fault` is why its turn failed with it alone, if it did."""
        if timer.kind == effects.Timer.CURSOR:
            self._walk(desk, timer, fault)
        elif fault is not None:
            faults.failed_timer(desk, timer, fault)
        else:
            row = desk.campaigns.get((timer.workspace_id, timer.id))
            if row is not None:
                source = self._sources.get((timer.workspace_id, timer.id))
                campaign.look_at_clock(desk, row, self._limits, source)

    def _walk(self, desk: desks.Desk, timer: rows.Timer, fault: Exception | None) -> None:
        cursor = desk.cursors.get((timer.workspace_id, timer.id))
        if cursor is None or cursor.done_at is not None:
            return
        if fault is None:
            try:
                self._step(desk, timer, cursor)
            except Exception as raised:  # noqa: BLE001 - a decision that raises marks its own input (E2)
                fault = raised
        if fault is not None:
            fanout.failed(desk, cursor, self._course(cursor).automation_id, fault)

    def _step(self, desk: desks.Desk, timer: rows.Timer, cursor: fanout_rows.Cursor) -> None:
        course = self._course(cursor)
        if not self._is_running(desk, cursor):
            fanout.finish(desk, cursor, course.automation_id)
            return
        found = self._steps.of(cursor)
        if found is None:
            desk.writes.timers.append(timer)
            desk.goes_on = True
            return
        people, is_last = found
        planned, launched = len(desk.planned), len(desk.writes.launches)
        if isinstance(course, courses.Course):
            self._look_at_joined(desk, cursor, course)
            mailing.step(desk, cursor, course, people, is_last=is_last)
        else:
            campaign.step(desk, cursor, course, people, is_last=is_last)
        if desk.now - course.due_at > self._limits.grace:
            _are_late(desk, planned, launched, course.due_at)

    def inbox(self, desk: desks.Desk, inbox: rows.Inbox) -> None:
        """Take in an inbox row of a kind of INBOX."""
        if inbox.kind == effects.Inbox.JOB:
            fanout.count(desk, inbox, self._reached.get((inbox.workspace_id, inbox.id)))
            return
        automation_id = fanout.told_of(inbox)
        row = desk.campaigns.get((inbox.workspace_id, automation_id))
        course = self._courses.get((inbox.workspace_id, ids.of_fanout(automation_id)))
        if isinstance(course, courses.Course):
            mailing.hear(desk, inbox.workspace_id, course)
        elif row is not None and course is not None:
            campaign.hear(desk, row, len(course.body.groups))


def _are_late(desk: desks.Desk, planned: int, launched: int, due_at: int) -> None:
    """What was made behind these places goes out with an operator's word alone: it is due since long (E33)."""
    desk.late |= {message.id: due_at for message in desk.planned[planned:]}
    launches = desk.writes.launches
    launches[launched:] = [
        one._replace(wake_at=due_at) if isinstance(one, rows.Launch) else one for one in launches[launched:]
    ]
