"""The turn: some partitions, one transaction. Read what is due, decide all of it in memory, write it in bulk.

What channels answered is stored by the turn, which lets the runs go on that waited for it; what it plans it claims
at once where the delivery beside it has room.

Law: a turn of n inputs leaves the same rows as n turns of one. A decision that raises marks its own input and
the rest commits; a database that refuses the writes halves the batch until the culprit stands alone. A crash
leaves nothing half done. match.py and run.py are its chapters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from heliograph import errors
from heliograph.core import effects, events, ids
from heliograph.core.steps import lists
from heliograph.engine import (
    admission,
    alarms,
    bounds,
    bulk,
    calendar,
    campaign,
    escalating,
    faults,
    handover,
    knowledge,
    match,
    posting,
    reading,
    requests,
    run,
    started,
    walks,
)
from heliograph.engine import desk as desks
from heliograph.store import database, rows

_log = structlog.get_logger(__name__)

_REPLY = int(effects.Inbox.REPLY)

Limits = bounds.Limits
Report = bounds.Report


class Turns:
    """Takes turns on one database connection; keeps compiled definitions between them."""

    def __init__(  # noqa: PLR0913 - everything a turn works with is handed in
        self,
        store: database.Database,
        session: database.Session,
        now: Callable[[], int],
        stopwatch: Callable[[], float],
        limits: Limits,
        handed: handover.Handover,
        doors: Mapping[int, started.Door],
        *,
        scripted: Callable[[], int],
        hurried: Callable[[], bool],
    ):
        """`stopwatch` gives seconds that only ever grow, to measure by. `doors` are those whose runs no rule starts.

        `scripted` tells what their expressions have taken in all (µs), `hurried` whether somebody waits for the turns.
        """
        self._store, self._session, self._now, self._stopwatch = store, session, now, stopwatch
        self._limits, self._handover = limits, handed
        self._size, self._start = bounds.Size(limits, hurried), 0
        self._taken: list[tuple[int, bytes]] = []
        """(workspace, id) of what the present turn took."""
        self._culprits: dict[tuple[int, bytes], Exception] = {}
        """Inputs whose turn failed with them alone: they are marked instead of decided."""
        self._refused: dict[tuple[int, bytes], Exception] = {}
        """Answers that the database would not store."""
        self._marked: tuple[int, bytes] | None = None
        """The input that was marked last, until a turn is not refused."""
        self._storing = self._is_careful = False
        """Whether answers are being stored; whether a turn was refused: until one is not, no input begins another."""
        self._is_crowded = False
        """Whether the last turn had room for no events."""
        self._latest, self._counts = 0, (0, 0)
        """The instant of the last turn, and how many debts and runs turns of this instant have put in order."""
        self._started = started.Started(store, session, doors, limits.misfire_grace, scripted)
        self._knowledge = knowledge.Knowledge(store, self._started.invoke)
        self._workspaces, self._plan = self._knowledge.workspaces, self._knowledge.plan
        self._reading = reading.Reading(session, self._knowledge, limits, self._culprits)
        self._calendar = calendar.Calendar(session, lambda known: self._workspaces[known].definitions)
        self._alarms = alarms.Alarms(session, lambda known: self._workspaces[known])
        self._walks = walks.Walks(store, session, campaign.Limits(limits.lock_window, limits.misfire_grace))
        self._requests = requests.Requests(store, session, lambda known: self._workspaces[known], limits)
        self._bulk = bulk.Bulk(session, limits.misfire_grace)
        self._escalating = escalating.Escalating(session, limits.misfire_grace)
        chapters = (
            (walks.TIMERS, self._walks.timer),
            (calendar.TIMERS, self._calendar.timer),
            (alarms.TIMERS, self._alarms.timer),
            (requests.TIMERS, self._requests.timer),
            (bulk.TIMERS, self._bulk.timer),
            (escalating.TIMERS, self._escalating.timer),
        )
        self._chapters = {int(kind): decide for kinds, decide in chapters for kind in kinds}
        """Who decides timers, by their kinds."""

    # ── one turn ────────────────────────────────────────────────────────────────────────────────────

    def take(self) -> Report:
        """One turn over everything that is due, up to the limit."""
        try:
            report = self._turn(self._size.inputs)
        except (errors.DatabaseUnreachable, errors.DatabaseLocked, errors.DiskFull, errors.Unavailable):
            self._handover.is_refused = True
            raise
        except Exception as fault:
            # The batch is halved until the culprit stands alone; where nothing was taken, none is to blame.
            if not self._taken:
                raise
            _log.warning("turn_refused", error=str(fault), inputs=len(self._taken), exc_info=fault)
            if len(self._taken) == 1 and self._is_careful:
                (one,) = self._taken
                # What was marked and is refused again is an answer: it is not what its run is told that is refused.
                is_answer = self._storing or one == self._marked
                (self._refused if is_answer else self._culprits)[one] = fault
                self._marked = one
            self._size.halve(len(self._taken))
            self._is_careful = True
            return Report(0, 0, False, True, self._now())
        else:
            self._handover.is_refused = False
            return report
        finally:
            self._handover.over()

    def _turn(self, limit: int) -> Report:
        hot, self._taken, self._storing = self._session.hot, [], False
        self._knowledge.forget_looks()
        most_answers = limit - limit // bounds.NOT_ANSWERS
        answers = self._handover.answers(most_answers)
        began = self._stopwatch()
        with self._session.transaction() as connection:
            now = max(self._now(), hot.last_now(connection))
            self._taken = [(answer.workspace_id, answer.message_id) for answer in answers]
            settled = self._settled(connection, answers, now) if answers else []
            wanted = limit - self._untold(answers, settled)
            told = [a.reply for a in settled if a.reply]
            taken = hot.take(connection, now, wanted, self._start, told, self._is_crowded)
            inputs = [(row.workspace_id, row.id) for row in (*taken.inbox, *taken.timers, *taken.events)]
            # An answer and what its run is told of it have one id.
            self._taken = list(dict.fromkeys([*self._taken, *inputs]))
            if not self._taken:
                return Report(0, 0, False, False, now)
            # Another worker, by a clock that is ahead, may have had them until they were locked.
            now = max(now, taken.last_now)
            desk = desks.Desk(now, *(self._counts if now == self._latest else (0, 0)))
            desk.listens = self._knowledge.listens
            desk.groups = lambda known: self._workspaces[known].definitions.moving
            desk.writes.timers += [answer.retry for answer in settled if answer.retry]
            self._reading.read(connection, taken, desk)
            self._started.reporting.tell_failed(connection, desk, settled)
            room = limit * bounds.PEOPLE_PER_INPUT
            self._walks.read(connection, taken, self._culprits, desk, room)
            self._calendar.read(connection, taken.timers, self._culprits, now, room)
            self._started.read(connection, taken, self._culprits, desk)
            self._alarms.read(connection, taken.timers, self._culprits, desk)
            self._requests.read(connection, taken, self._culprits, desk)
            self._bulk.read(connection, taken, self._culprits, limit)
            self._escalating.read(connection, taken.timers, self._culprits, desk)
            for inbox in taken.inbox:
                self._attempt_inbox(desk, inbox)
            for timer in taken.timers:
                self._timer(desk, timer)
            for event in taken.events:
                self._attempt_event(desk, event)
            most = 0 if self._is_careful else limit
            self._started.begin(connection, desk, self._workspaces, self._plan, taken, most)
            claimed = self._claimed(connection, desk, taken)
            self._started.carry_out(connection, desk, self._plan)
            desk.close()
            self._alarms.note(desk)
            hot.write(connection, desk.writes, taken.partitions, now)
            written = self._stopwatch()
        self._is_careful, self._marked, self._latest, self._counts = False, None, now, desk.counts
        self._handover.stored(len(answers))
        if claimed:
            self._handover.give(claimed, lambda space: self._workspaces[space].version)
        self._start, self._is_crowded = taken.reached, taken.crowded
        worked = max(len(inputs), len(answers), desk.judged // bounds.PEOPLE_PER_INPUT)
        ended = self._stopwatch()
        self._size.learn(limit, worked, ended - began, ended - written, len(taken.versions))
        more = taken.more or len(answers) == most_answers or bool(desk.writes.due or desk.writes.inbox)
        return Report(len(inputs), len(answers), posting.may_go(desk, taken), more or desk.goes_on, now)

    def _settled(self, connection: Any, answers: Sequence[rows.Settled], now: int) -> list[rows.Settled]:
        """Store the answers, but for those that the database refuses: their claims stay until their leases end."""
        storable = []
        for answer in answers:
            fault = self._refused.pop((answer.workspace_id, answer.message_id), None)
            if fault is None:
                storable.append(answer)
            else:
                _log.error("answer_refused", message_id=ids.text(answer.message_id), error=str(fault))
        self._storing = True
        settled = self._started.reporting.settle(connection, self._handover.worker, storable, now)
        self._storing = False
        return settled

    def _untold(self, answers: Sequence[rows.Settled], settled: Sequence[rows.Settled]) -> int:
        """How many answers count of which nobody is told: after a refused turn all of them, for each to stand alone."""
        return len(answers) - sum(one.reply is not None for one in settled) if self._is_careful else 0

    def _claimed(self, connection: Any, desk: desks.Desk, taken: rows.Taken) -> list[rows.Claimed]:
        """Put in line what is to go out, and claim at once what the delivery has room for."""
        if not (desk.planned or desk.due_again):
            return []
        admission.admit(connection, self._session.hot, desk, self._workspaces.__getitem__, taken.erasing)
        hand = self._handover
        return posting.claim(desk, taken, hand.rooms(), hand.worker, hand.lease)

    # ── one input ───────────────────────────────────────────────────────────────────────────────────

    def _attempt_event(self, desk: desks.Desk, event: rows.Event) -> None:
        tries = desk.attempts.get((event.workspace_id, event.id), 0) + 1
        fault = self._culprits.pop((event.workspace_id, event.id), None)
        workspace = self._workspaces[event.workspace_id]
        made: match.Made | None = None
        late: tuple[events.State, str] | None = None
        if fault is None:
            try:
                late = bounds.late(desk, self._limits, workspace.pause_ended_at, event)
                made = None if late is not None else self._match(desk, workspace, event)
            except Exception as raised:  # noqa: BLE001 - a decision that raises marks its own input (E2)
                fault = raised
        if fault is not None:
            faults.failed_event(desk, event, tries, workspace.version, fault)
            return
        # From here on nothing is decided any more: what raises now fails the turn, not the input alone.
        if made is not None:
            self._put(desk, event, made)
        status, error = late or (events.State.PROCESSED, None)
        self._decided(desk, workspace, event, status, tries, error)

    def _match(self, desk: desks.Desk, workspace: match.Workspace, event: rows.Event) -> match.Made | None:
        trigger = workspace.trigger(event.tenant_id, event.event_type)
        if trigger is None:
            return None
        scene = self._reading.scene(desk, workspace, event, trigger.list_texts)
        return match.match(trigger, event, scene, desk.cooldowns, desk.head)

    def _put(self, desk: desks.Desk, event: rows.Event, made: match.Made) -> None:
        """Everything was decided: only now may the desk change."""
        desk.writes.runs += made.runs
        desk.writes.passed_runs += made.passed
        for rule_id, subject in made.matched:
            desk.matched(event.workspace_id, rule_id, subject)
        for run_id, rule_id, visit, ordinal, effect in made.asked:
            run.carry_out(desk, event, run_id, rule_id, visit, ordinal, effect)

    def _decided(
        self,
        desk: desks.Desk,
        workspace: match.Workspace,
        event: rows.Event,
        status: events.State,
        tries: int,
        error: str | None,
    ) -> None:
        desk.decide(
            rows.Decision._make(
                (event.workspace_id, event.id, int(status), tries, None, desk.now, workspace.version, error)
            )
        )
        desk.count_event(event, processed=int(status is not events.State.HELD))

    def _timer(self, desk: desks.Desk, timer: rows.Timer) -> None:
        key = (timer.workspace_id, timer.id)
        if timer.kind == effects.Timer.EVENT:
            event = desk.events.get(key)
            wake_at = self._workspaces[timer.workspace_id].looks_after_pause_at(desk.now)
            if event is not None and wake_at is not None:
                desk.writes.timers.append(timer._replace(wake_at=wake_at))
            elif event is not None:
                self._attempt_event(desk, event)
            return
        fault = self._culprits.pop(key, None)
        decide = self._chapters.get(timer.kind)
        if decide is not None:
            decide(desk, timer, fault)
            return
        if timer.kind in started.TIMERS:
            self._started.timer(desk, self._workspaces[timer.workspace_id], timer, fault)
            return
        if fault is not None:
            faults.failed_timer(desk, timer, fault)
            return
        self._wake(desk, timer, timer.wake_at)

    def _wake(self, desk: desks.Desk, message: rows.Timer | rows.Inbox, due_at: int) -> None:
        admission.wake(desk, (message.workspace_id, message.id), due_at, self._limits.misfire_grace)

    def _attempt_inbox(self, desk: desks.Desk, inbox: rows.Inbox) -> None:
        fault = self._culprits.pop((inbox.workspace_id, inbox.id), None)
        if fault is not None:
            faults.failed_inbox(desk, inbox, fault)
            return
        try:
            self._inbox(desk, inbox)
        except Exception as raised:  # noqa: BLE001 - a decision that raises marks its own input (E2)
            faults.failed_inbox(desk, inbox, raised)

    def _inbox(self, desk: desks.Desk, inbox: rows.Inbox) -> None:
        if inbox.kind == _REPLY:
            self._resume(desk, inbox)
        elif inbox.kind == effects.Inbox.LET_GO:
            self._wake(desk, inbox, desk.now)
        elif inbox.kind in run.DEBTS:
            run.DEBTS[inbox.kind](desk, inbox)
        elif inbox.kind in walks.INBOX:
            self._walks.inbox(desk, inbox)
        elif inbox.kind in requests.INBOX:
            self._requests.inbox(desk, inbox)
        elif inbox.kind in started.INBOX:
            self._started.inbox(desk, self._workspaces[inbox.workspace_id], inbox)

    def _resume(self, desk: desks.Desk, inbox: rows.Inbox) -> None:
        assert inbox.run_id is not None
        row = desk.runs.get((inbox.workspace_id, inbox.run_id))
        if row is not None and row.start_key is not None:
            self._started.reply(desk, self._workspaces[row.workspace_id], inbox, row)
            return
        plan = None if row is None else self._plan(row)
        if row is None or plan is None:
            return
        event = None if row.event_id is None else desk.events.get((row.workspace_id, row.event_id))
        if event is None:
            run.end(desk, plan, row, inbox)
            return
        scene = self._reading.scene(desk, self._workspaces[row.workspace_id], event, lists.texts(plan))
        scene.rule_id = row.automation_id
        scene.contact_is_deleted = self._reading.is_of_deleted(event)
        for visit, ordinal, effect in run.resume(desk, plan, row, run.reply_in(inbox), scene):
            run.carry_out(desk, event, row.id, row.automation_id, visit, ordinal, effect)
