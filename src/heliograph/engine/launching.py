"""Launching: runs begin, and others are canceled, as a turn has decided it (a chapter of started.py).

Law: one keyed insert for all that begin. A run whose time has come, in a partition that the turn has, needs no timer to
be found by: the turn takes its first step itself, and writes it as it stands then. What that step cancels began before
it: not what inputs have started that come after its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Sequence
from typing import Any

from heliograph.core import plans
from heliograph.engine import desk as desks
from heliograph.engine import run
from heliograph.store import database, rows

PlanOf = Callable[[rows.Run], plans.Plan | None]


class Launching:
    """What turns of one connection start and cancel."""

    def __init__(self, session: database.Session, grace: int):
        """What is due longer than `grace` (µs) is held (E33): no turn takes its step unasked."""
        self._session, self._grace = session, grace
        self.spared: Collection[bytes] = ()
        """New runs that no first step of the present turn cancels."""

    def carry_out(
        self, connection: Any, desk: desks.Desk, plan_of: PlanOf, partitions: Collection[int], most: int
    ) -> dict[tuple[int, bytes], rows.Launch]:
        """Start and cancel what the desk says, in the order in which it was decided.

        Gives those of the new runs, by (workspace, run), that stand on the desk alone, because their first step is to
        be taken now: `most` of them, in these partitions. `plan_of` gives the plan of a rule's run: one of this turn
        hears at once whether it started something.
        """
        asked, desk.writes.launches = desk.writes.launches, []
        made = {row[1]: n for n, row in enumerate(desk.writes.runs)} if asked else {}
        stepping: dict[tuple[int, bytes], rows.Launch] = {}
        for kind, group in itertools.groupby(asked, type):
            if kind is rows.TokenCancel:
                # Whom it reaches is looked for in the tables.
                self._session.hot.put_started(connection, desk.writes.started.values())
                desk.writes.started = {}
                self._session.hot.cancel_by_token(connection, {*group}, self.spared)
                desk.goes_on = True
                continue
            launches = [one for one in group if isinstance(one, rows.Launch)]
            free = self._session.hot.take_keys(connection, launches)
            due = [one for one in free if 0 <= desk.now - one.wake_at <= self._grace]
            at_once = [one for one in due if one.start.partition in partitions][: most - len(stepping)]
            now = {one.run[:2]: one for one in at_once}
            desk.let_start(now)
            stepping |= now
            late = {one.run[:2] for one in due if one.run[:2] not in now}
            waiting = [
                one._replace(wake_at=begins_at(desk, in_time=False)) if one.run[:2] in late else one
                for one in free
                if one.run[:2] not in now
            ]
            begun = self._session.hot.put_waiting(connection, waiting) | {one.run.id for one in at_once}
            desk.goes_on = desk.goes_on or bool(late)
            _tell(desk, launches, begun, made, plan_of)
        return stepping

    def take_first_steps(
        self,
        desk: desks.Desk,
        asked: Sequence[rows.Launch | rows.TokenCancel],
        new: Collection[rows.Launch],
        take: Callable[[rows.Launch], None],
    ) -> None:
        """Let the runs that stand on the desk alone take their first steps, of all that was `asked` for, in order."""
        called_off, cancelers = frozenset(desk.called_off), list[_Canceler]()
        for one in new:
            mark = len(desk.writes.launches)
            take(one)
            if len(desk.writes.launches) > mark:
                said = desk.writes.launches[mark:]
                cancelers += [(what, one) for what in said if isinstance(what, rows.TokenCancel)]
                # Those that begin after it take their first steps all the same.
                desk.called_off = {*called_off}
        if cancelers:
            self.spared = _began_later(asked, cancelers, desk.writes.runs)


_BEFORE = 100_000
"""So far back (µs) a turn puts when runs of its own instant begin, to have instants for an order: ids tell none."""


def begins_at(desk: desks.Desk, *, in_time: bool) -> int:
    """When a run of now begins if not in this turn: in the order of these calls, and first of all those in time."""
    desk.launched += 1
    return desk.now - max(0, (2 if in_time else 1) * _BEFORE - desk.launched)


_Canceler = tuple[rows.TokenCancel, rows.Launch]
"""What a new run has called off with its first step, and the run."""


def _began_later(
    asked: Sequence[rows.Launch | rows.TokenCancel],
    cancelers: Sequence[_Canceler],
    made: Sequence[Sequence[Any]],
) -> set[bytes]:
    """Of all that a turn was asked to start, in order, the runs whom none of these has reached by its token.

    `made` is the rules' runs of this turn, by which it is known whom one event has started.
    """
    events, last = {row[1]: row[4] for row in made}, dict(cancelers)
    by: dict[bytes, list[rows.TokenCancel]] = {}
    for what, canceler in last.items():
        by.setdefault(canceler.run.id, []).append(what)
    called_off: dict[rows.TokenCancel, bytes | None] = {}
    found = set()
    for one in asked:
        if isinstance(one, rows.Launch):
            asker = None if one.asked_by is None else one.asked_by[0]
            source = None if asker is None else events.get(asker, asker)
            workspace_id, _, _, _, tenant_id, _, token, _ = one.start
            reaching = last.keys() & {(workspace_id, None, token), (workspace_id, tenant_id, token)}
            if reaching and all(called_off.get(what, source) != source for what in reaching):
                found.add(one.run.id)
            called_off.update(dict.fromkeys(by.get(one.run.id, ()), source))
    return found


def _tell(
    desk: desks.Desk,
    launches: Sequence[rows.Launch],
    begun: Collection[bytes],
    made: dict[bytes, int],
    plan_of: PlanOf,
) -> None:
    """Let those who asked for runs hear whether they began; `made` has the places of this turn's own runs."""
    desk.close()  # as they were made these are counted like any others
    for one in launches:
        if one.asked_by is None:
            continue
        told, place = run.told_of(one, begun), made.get(one.asked_by[0])
        if place is None or not run.hear_now(desk, told, place, plan_of):
            desk.writes.inbox.append(run.heard_later(one, told))
