"""Escalating: messages of which nobody took notice go on by their next channel (a chapter of the turn).

Law: whether they do is decided when their time is over, or as soon as their address turns out to take no mail, by what
reports have told until then, in the partition of the message. The one that follows is written in the transaction that
takes the timer, and the first one's route is closed in it: there is one follower, or none. It is planned as any new
message is, so whether its recipient wants it there is asked anew; no run waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from heliograph.core import effects, escalations, ids, messages, pseudonyms, routes, runs
from heliograph.engine import desk as desks
from heliograph.engine import faults, onward, posting
from heliograph.store import database, report_rows, rows

Key = tuple[int, bytes]
TIMERS = frozenset({effects.Timer.ESCALATION})


class Escalating:
    """The messages of the turns of one connection whose time is over."""

    def __init__(self, session: database.Session, misfire_grace: int):
        """`misfire_grace` is how late (µs) one may go on without an operator's word (engine.md E33)."""
        self._session, self._misfire_grace = session, misfire_grace
        self._messages: dict[Key, rows.Message] = {}
        self._reached: dict[Key, report_rows.Reached] = {}
        self._runs: dict[Key, rows.Run] = {}

    def read(
        self, connection: Any, timers: Iterable[rows.Timer], culprits: Collection[Key], desk: desks.Desk
    ) -> None:
        """These messages, what was told of them, and the runs that asked for them."""
        keys = {(t.workspace_id, t.id) for t in timers if t.kind in TIMERS} - {*culprits}
        if not keys:
            return
        hot = self._session.hot
        self._messages = hot.read_messages(connection, keys)
        self._reached = hot.read_reached(connection, keys)
        asked_by = {(m.workspace_id, m.run_id) for m in self._messages.values() if m.run_id is not None}
        unread = asked_by - desk.runs.keys()
        self._runs = hot.read_runs(connection, unread) if unread else {}

    def timer(self, desk: desks.Desk, timer: rows.Timer, fault: Exception | None) -> None:
        """Let a message go on, unless somebody took notice of it."""
        if fault is not None:
            faults.failed_timer(desk, timer, fault)
            return
        key = (timer.workspace_id, timer.id)
        message = self._messages.get(key)
        if message is None or message.address is None or self._is_over(desk, message):
            return
        known = (desk.writes.reports.reached.get(key) or self._reached[key]).known
        before = routes.read(message.route)
        if not escalations.goes_on(messages.State(message.state), before, known, desk.now):
            return
        way, rest = routes.onward(before, desk.now)
        identity = ids.of_effect(message.id, 0, 0, desk.head, message.partition)
        shown = ids.shown(message.id, message.request_id)
        kept, fresh = escalations.parted(before, rest, shown, ids.text(identity), desk.now)
        closed = message._replace(route=routes.write(kept))
        desk.writes.paced.moved.append((*key, onward.place(closed)))
        # A bounce sets a second timer, which this turn may have taken too.
        self._messages[key] = closed
        if desk.now - timer.wake_at > self._misfire_grace:
            desk.late[identity] = timer.wake_at
        posting.release(desk, _following(onward.moved(message, way, before, fresh), identity))

    def _is_over(self, desk: desks.Desk, message: rows.Message) -> bool:
        """Whether its recipient was deleted, or the run that asked for it canceled."""
        if pseudonyms.is_name(message.contact_id):
            return True
        if message.run_id is None:
            return False
        key = (message.workspace_id, message.run_id)
        asked_by = desk.runs.get(key) or self._runs.get(key)
        return asked_by is not None and asked_by.status == runs.Status.CANCELED


def _following(message: rows.Message, identity: bytes) -> rows.Message:
    """The message that follows this one, whose way it goes by: of the same request, and for no run."""
    return message._replace(
        id=identity,
        automation_id=None,
        run_id=None,
        visit=0,
        ordinal=0,
        state=int(messages.State.PLANNED),
        settled_at=None,
        attempts=None,
        error=None,
    )
