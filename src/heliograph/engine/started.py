"""Started: runs that no rule started, how they begin, go on, and are canceled (a chapter of the turn).

Law: a run begins by one keyed insert, whoever starts it (launching.py); its first step is taken by the turn that starts
it where that may, else at its time by a turn of its partition, and each further one when an answer or the next timer
comes. What a door's runs do and see is the door's to say; here they are only moved. A cancel comes through the inbox,
before any timer: from then on no step begins, and of the run's messages none goes out that nobody holds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from heliograph.core import batches, effects, outlooks, plans, runs
from heliograph.engine import (
    askings,
    batch_words,
    batching,
    budgets,
    faults,
    known_plans,
    launching,
    looking,
    mailing,
    match,
    reporting,
    requested,
    run,
    throttling,
)
from heliograph.engine import desk as desks
from heliograph.store import database, definitions, rows

Key = tuple[int, bytes]

_RUN = int(effects.Timer.RUN)
TIMERS = frozenset({effects.Timer.RUN, effects.Timer.BATCH})
_OTHERS = batching.INBOX | batch_words.WORDS | reporting.INBOX | requested.WORDS
INBOX = frozenset({effects.Inbox.CANCEL}) | _OTHERS

Wanted = looking.Wanted
Origin = looking.Origin


class Door(Protocol):
    """What runs of one door do and see."""

    def plan(self, row: rows.Run, start: rows.Start, definition: bytes | str | None) -> plans.Plan:
        """What it does; `definition` is its automation's in the version with which the run began."""

    def is_own(self, row: rows.Run) -> bool:
        """Whether the run brought its plan with it, so that there is no definition."""

    def depth(self, start: rows.Start) -> int:
        """How many events or runs have caused each other before."""

    def wanted(self, desk: desks.Desk, row: rows.Run, start: rows.Start, plan: plans.Plan) -> Wanted:
        """What its next steps look at."""

    def scene(
        self, desk: desks.Desk, row: rows.Run, start: rows.Start, plan: plans.Plan, workspace: match.Workspace
    ) -> plans.Scene:
        """What its next steps see."""

    def ended(
        self, desk: desks.Desk, row: rows.Run, start: rows.Start, records: Sequence[runs.Record]
    ) -> None:
        """It has come to its end, and left these records."""


class Started:
    """The started runs of the turns of one connection."""

    def __init__(
        self,
        store: database.Database,
        session: database.Session,
        doors: Mapping[int, Door],
        grace: int,
        scripted: Callable[[], int],
    ):
        """`doors` is by core.effects.Door; what is due longer than `grace` (µs) is held (E33).

        `scripted` tells how many microseconds were spent on people's expressions in all.
        """
        self._store, self._session, self._doors, self._grace = store, session, doors, grace
        self._budget = budgets.Budget(scripted)
        self._batches = batching.Batches(session, grace)
        self._launching = launching.Launching(session, grace)
        self.reporting = reporting.Reporting(session, doors)
        self._moved: set[Key] = set()
        """Runs that this turn has moved: they may have got beyond what was read for them."""
        self._ending: set[Key] = set()
        """Runs whose cancel this turn has: nothing else of theirs comes before it."""
        self._plans = known_plans.KnownPlans()

    # ── reading, in bulk ────────────────────────────────────────────────────────────────────────────

    def read(self, connection: Any, taken: rows.Taken, culprits: Collection[Key], desk: desks.Desk) -> None:
        """The runs whose time has come or that are to be canceled, what they began with, and what they look at."""
        hot = self._session.hot
        self._budget.begin()
        self._batches.read(connection, taken, culprits)
        self.reporting.read(connection, taken, culprits, desk)
        self._moved.clear()
        groups = throttling.groups_of([i for i in taken.inbox if (i.workspace_id, i.id) not in culprits])
        if groups:
            desk.passes |= hot.read_passes(connection, groups)
        self._ending = {
            (i.workspace_id, i.run_id)
            for i in taken.inbox
            if i.kind == effects.Inbox.CANCEL and i.run_id is not None
        }
        keys = self._ending | {(t.workspace_id, t.id) for t in taken.timers if t.kind == effects.Timer.RUN}
        # A message that is to be tried again may be of a run that was canceled meanwhile.
        keys |= {(m.workspace_id, m.run_id) for m in desk.messages.values() if m.run_id is not None}
        keys -= {*culprits, *desk.runs}
        if keys:
            desk.runs |= hot.read_runs(connection, keys)
        handed = {
            (i.workspace_id, i.run_id): i
            for i in taken.inbox
            if i.kind == effects.Inbox.RELEASED and i.run_id
        }
        found = {
            key: row
            for key, row in desk.runs.items()
            if row.start_key is not None
            and (row.status in runs.IN_PROGRESS or _is_canceled(row) or key in handed)
        }
        if found:
            desk.starts = hot.read_starts(connection, found.keys())
            # What follows a batch may be about people who are named in its items.
            going = {
                key: batch_words.foreseen(row, handed[key], desk.now) if key in handed else row
                for key, row in found.items()
                if key not in culprits and key in desk.starts and not _is_canceled(row)
            }
            moving = run.moving(taken, going, lambda row: self._plan(row, desk.starts[row[:2]]), desk.now)
            self._read_wanted(connection, moving, desk)
        self._budget.begin_deciding()

    def _read_wanted(self, connection: Any, moving: Mapping[Key, rows.Run], desk: desks.Desk) -> None:
        # What a run looks at may be people's expressions already.
        rest: Iterable[rows.Run] = (row for key, row in moving.items() if self._budget.admits(key))
        while rest:
            rest = self._look(connection, rest, desk)

    def _look(self, connection: Any, moving: Iterable[rows.Run], desk: desks.Desk) -> list[rows.Run]:
        """Read what these look at; gives those that name more now."""
        looks, rest = looking.Looks(), []
        for row in moving:
            start = desk.starts[row[:2]]
            plan = self._plan(row, start)
            if plan is not None:
                wanted = self._doors[start.door].wanted(desk, row, start, plan)
                looks.add(row.workspace_id, wanted)
                if wanted.says_more:
                    rest.append(row)
        looks.read(connection, self._session.hot, desk)
        return rest

    def _plan(self, row: rows.Run, start: rows.Start) -> plans.Plan | None:
        """The plan that a run began with, whatever became of its automation since."""
        key = (row.automation_id, row.version)
        plan = self._plans.get(key)
        if plan is None:
            door = self._doors[start.door]
            if door.is_own(row):
                return door.plan(row, start, None)
            with self._store.reading() as connection:
                definition = definitions.version_of(connection, *key)
            if definition is None:
                return None
            plan = door.plan(row, start, definition)
            self._plans.put(key, plan)
        return plan

    def invoke(self, workspace: match.Workspace, asked: plans.Invocation) -> effects.Start | str:
        """The start of a journey that a rule's action asks for, or why there is none."""
        door: Any = self._doors[effects.Door.JOURNEY]
        found: effects.Start | str = door.invoke(workspace, asked)
        return found

    # ── one input ───────────────────────────────────────────────────────────────────────────────────

    def timer(
        self, desk: desks.Desk, workspace: match.Workspace, timer: rows.Timer, fault: Exception | None
    ) -> None:
        """The time of a run or batch has come; `fault` is why its turn failed with it alone, if it did."""
        if timer.kind == effects.Timer.BATCH:
            self._batches.timer(desk, timer, fault)
            return
        row = desk.runs.get((timer.workspace_id, timer.id))
        if fault is None and row is not None and row.status == runs.Status.WAITING:
            if self._is_sent_away(desk, (row.workspace_id, row.id)):
                desk.writes.timers.append(timer)
                desk.goes_on = True
                return
            try:
                self._woken(desk, workspace, timer, row)
            except Exception as raised:  # noqa: BLE001 - a decision that raises marks its own input (E2)
                fault = raised
        if fault is not None:
            faults.failed_timer(desk, timer, fault)

    def _woken(self, desk: desks.Desk, workspace: match.Workspace, timer: rows.Timer, row: rows.Run) -> None:
        if desk.now - timer.wake_at > self._grace:
            desk.put_run(row._replace(status=int(runs.Status.HELD)))
            return
        records = runs.read(row.state)
        self._move(desk, workspace, row, records, runs.woken(records, timer.wake_at), timer.wake_at)

    def reply(self, desk: desks.Desk, workspace: match.Workspace, inbox: rows.Inbox, row: rows.Run) -> None:
        """Let a started run take in one answer."""
        records = runs.read(row.state)
        if row.status not in (*runs.IN_PROGRESS, runs.Status.DONE):
            return
        if row.status == runs.Status.WAITING and self._is_put_off(desk, inbox):
            return
        # One that is done may be done for now: its item is in a batch, which may yet come to be its own.
        if row.status != runs.Status.WAITING:
            answered = runs.take_in(records, (run.reply_in(inbox),), desk.now)
            desk.put_run(row._replace(state=runs.write(answered)))
            return
        self._move(desk, workspace, row, records, (run.reply_in(inbox),))

    def inbox(self, desk: desks.Desk, workspace: match.Workspace, inbox: rows.Inbox) -> None:
        """Take in an inbox row of a kind of INBOX."""
        if inbox.kind in batching.INBOX:
            self._batches.inbox(desk, inbox)
        elif inbox.kind in reporting.INBOX:
            self.reporting.inbox(desk, inbox)
        elif inbox.kind in batch_words.WORDS:
            self._hear(desk, workspace, inbox)
        elif inbox.kind in requested.WORDS:
            self._hear_of_request(desk, workspace, inbox)
        else:
            self._cancel(desk, inbox)

    def _hear(self, desk: desks.Desk, workspace: match.Workspace, inbox: rows.Inbox) -> None:
        """Let a run hear of the batch that its item is in; one that was canceled takes its item out."""
        assert inbox.run_id is not None
        key, word = (inbox.workspace_id, inbox.run_id), batches.read_word(inbox.body)
        row, is_released = desk.runs.get(key), inbox.kind == effects.Inbox.RELEASED
        if row is None or row.status == runs.Status.CANCELED:
            batch_words.answer(desk, effects.Inbox.LEAVE, key, word.visit, word.batch_id, word.item)
            return
        if is_released and self._is_put_off(desk, inbox):
            return
        records = runs.read(row.state)
        if is_released:
            self._move(desk, workspace, row, records, (batch_words.release_in(records, word),))
            batch_words.answer(desk, effects.Inbox.TAKEN, key, word.visit, word.batch_id, word.item)
        else:
            batch_words.note(desk, row, records, word)

    def _hear_of_request(self, desk: desks.Desk, workspace: match.Workspace, inbox: rows.Inbox) -> None:
        """Let a run hear what the request has become that its step asked for."""
        assert inbox.run_id is not None
        row = desk.runs.get((inbox.workspace_id, inbox.run_id))
        if row is None or _is_canceled(row):
            requested.stop(desk, inbox)
            return
        if row.status == runs.Status.WAITING and self._is_put_off(desk, inbox):
            return
        records = requested.noted(row, inbox, desk.now)
        if row.status == runs.Status.WAITING:
            self._move(desk, workspace, row, records, ())
        else:
            desk.put_run(row._replace(state=runs.write(records)))

    def _is_put_off(self, desk: desks.Desk, inbox: rows.Inbox) -> bool:
        """Whether the run waits for the next turn, and the input with it."""
        assert inbox.run_id is not None
        if not self._is_sent_away(desk, (inbox.workspace_id, inbox.run_id)):
            return False
        desk.writes.inbox.append(inbox)
        desk.goes_on = True
        return True

    def _is_sent_away(self, desk: desks.Desk, key: Key) -> bool:
        """Whether a run goes on in the next turn: this one has no time for it, or lets its cancel come before that."""
        if desk.called_off:
            start = desk.starts[key]
            if not desk.called_off.isdisjoint((key[0], who, start.token) for who in (None, start.tenant_id)):
                return True
        return key in self._ending or not self._budget.admits(key)

    def _move(
        self,
        desk: desks.Desk,
        workspace: match.Workspace,
        row: rows.Run,
        records: Sequence[runs.Record],
        replies: Sequence[runs.Reply],
        woken_at: int | None = None,
    ) -> None:
        start = desk.starts[row.workspace_id, row.id]
        plan = self._plan(row, start)
        if plan is None:
            return
        is_known = not replies and (row.workspace_id, row.id) not in self._moved
        self._moved.add((row.workspace_id, row.id))
        scene, heard = None, runs.take_in(records, replies, desk.now)
        if runs.may_go_on(plan, heard):
            scene = self._doors[start.door].scene(desk, row, start, plan, workspace)
            scene.rule_id = row.automation_id
        moved = runs.go_on(plan, heard, scene, desk.now)
        if moved.goes_on:
            if is_known and len(moved.records) == len(records):
                raise RuntimeError("a step looks at what it did not name beforehand")
            # One that was woken keeps its place among those.
            at = desk.now if woken_at is None else woken_at
            desk.writes.timers.append(rows.Timer(start.partition, at, row.workspace_id, _RUN, row.id))
            desk.goes_on = True
        # From here on nothing is decided any more.
        desk.put_run(row.moved(int(moved.status), int(moved.outcome), runs.write(moved.records)))
        if outlooks.of_plan(plan).ahead[0].keyed:
            looking.keep_keys(desk, row, start.tenant_id, records, moved.records, askings.messages_of(start))
        if moved.asked:
            self._ask(desk, workspace, row, start, 0 if scene is None else scene.depth, moved.asked)
        if moved.status is runs.Status.CANCELED:
            askings.stop_messages(desk, row, start, moved.records)
        if moved.status not in runs.IN_PROGRESS:
            self._doors[start.door].ended(desk, row, start, moved.records)

    def _ask(
        self,
        desk: desks.Desk,
        workspace: match.Workspace,
        row: rows.Run,
        start: rows.Start,
        depth: int,
        asked: Sequence[tuple[int, int, effects.Effect]],
    ) -> None:
        """Carry out what a run's steps ask for."""
        origin = askings.origin_of(start, depth)
        for visit, ordinal, effect in asked:
            if isinstance(effect, effects.SendMany):
                topic = workspace.wishes.topic_of(effect.template_id)
                mailing.begin(desk, start, (row.id, visit), depth, effect, topic)
            elif isinstance(effect, effects.SendRequest):
                requested.begin(desk, start, (row.id, visit), effect)
            else:
                run.carry_out(desk, origin, row.id, row.automation_id, visit, ordinal, effect)

    # ── starting and canceling ──────────────────────────────────────────────────────────────────────

    def _cancel(self, desk: desks.Desk, inbox: rows.Inbox) -> None:
        """Cancel a run, or a message of one that was canceled in another partition."""
        if inbox.run_id is None:
            desk.cancel_message(inbox.workspace_id, inbox.id)
            return
        key = (inbox.workspace_id, inbox.run_id)
        row, start = desk.runs.get(key), desk.starts.get(key)
        if row is None or start is None:
            return
        if _is_canceled(row):
            # An operator has dropped it: what it had put in line is left to us.
            askings.stop_messages(desk, row, start, runs.read(row.state))
        elif row.status in runs.IN_PROGRESS:
            askings.cancel(desk, row, start, askings.reason_in(inbox))
        else:
            # An answer that this turn took before has ended it.
            return
        self._doors[start.door].ended(desk, row, start, ())

    def begin(
        self,
        connection: Any,
        desk: desks.Desk,
        workspaces: Mapping[int, match.Workspace],
        plan_of: launching.PlanOf,
        taken: rows.Taken,
        most: int,
    ) -> None:
        """Start and cancel what is to be, and take the first steps of `most` runs; `plan_of` is that of rules' runs."""
        asked, self._launching.spared = desk.writes.launches, ()
        new = self._launching.carry_out(connection, desk, plan_of, taken.partitions, most)
        if not new:
            return
        self._read_wanted(connection, {key: one.run for key, one in new.items()}, desk)

        def take(one: rows.Launch) -> None:
            at, known = launching.begins_at(desk, in_time=True), workspaces[one.run[0]]
            self.timer(desk, known, rows.Timer(one.start.partition, at, one.run[0], _RUN, one.run.id), None)

        self._launching.take_first_steps(desk, asked, new.values(), take)

    def carry_out(self, connection: Any, desk: desks.Desk, plan_of: launching.PlanOf) -> None:
        """Write what batches came to, and start, cancel and stop what the first steps asked for."""
        self._batches.carry_out(connection, desk)
        self._launching.carry_out(connection, desk, plan_of, (), 0)
        if desk.writes.canceled:
            self._session.hot.cancel_messages(connection, desk.now, desk.writes.canceled)


def _is_canceled(row: rows.Run) -> bool:
    return row.status == runs.Status.CANCELED
