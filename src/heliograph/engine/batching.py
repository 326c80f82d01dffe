"""Batching: what a turn does for the batches of its partitions (a chapter of the turn; core/batches.py decides).

Law: everything about a group happens in one partition, one thing after the other, so an item is in one batch and a
batch is released once. The items stay until the owner has said that it has them: an owner that was canceled on the
way gives them back, and the run of the oldest other item gets them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from heliograph.core import batch_items, batches, effects, ids, schedule
from heliograph.engine import batch_words, faults
from heliograph.engine import desk as desks
from heliograph.store import database, rows

Key = tuple[int, bytes]

INBOX = frozenset({effects.Inbox.JOIN, effects.Inbox.LEAVE, effects.Inbox.TAKEN, effects.Inbox.ORDER})
RELEASE, DROP = "release", "drop"
"""What an operator may order."""

_OPEN = int(batches.State.OPEN)
_order = msgspec.json.Decoder(str)


class Batches:
    """The batches of the turns of one connection."""

    def __init__(self, session: database.Session, grace: int):
        """What is due longer than `grace` (µs) is held (E33)."""
        self._session, self._grace = session, grace
        self._forget()

    def _forget(self) -> None:
        self._batches: dict[Key, batches.Batch] = {}
        """As they stand now, by (workspace, id); those that are over are absent."""
        self._of_group: dict[Key, Key] = {}
        self._timers: dict[Key, int] = {}
        """Where timers stand in the store."""
        self._items: dict[Key, dict[int, batches.Item]] = {}
        """Items that may leave, or own what is left: those read for it, and those that came in this turn."""
        self._new: dict[Key, list[batches.Item]] = {}
        self._joins: dict[Key, batches.Join] = {}
        self._changed: dict[Key, None] = {}
        self._released: dict[Key, None] = {}

    # ── reading, in bulk ────────────────────────────────────────────────────────────────────────────

    def read(self, connection: Any, taken: rows.Taken, culprits: Collection[Key]) -> None:
        """The batches that items join, that are due or spoken of, and who may own those whose owner leaves."""
        self._forget()
        inbox = [i for i in taken.inbox if i.kind in INBOX and (i.workspace_id, i.id) not in culprits]
        due = {(t.workspace_id, t.id) for t in taken.timers if t.kind == effects.Timer.BATCH}
        hot = self._session.hot
        leaving: dict[Key, list[int]] = {}
        for one in inbox:
            if one.kind == effects.Inbox.JOIN:
                self._joins[one.workspace_id, one.id] = batches.read_join(one.body)
            elif one.kind == effects.Inbox.LEAVE:
                leaving.setdefault(_spoken_of(one), []).append(batches.read_leave(one.body).item)
        keys = due | {_spoken_of(one) for one in inbox if one.kind != effects.Inbox.JOIN}
        if keys:
            self._know(hot.read_batches(connection, keys))
        groups = {(key[0], batches.group_of(key[0], join)) for key, join in self._joins.items()}
        if groups:
            self._know(hot.read_open_batches(connection, groups))
        self._read_leaving(connection, leaving)
        for key in due:
            self._timers.pop(key, None)

    def _read_leaving(self, connection: Any, leaving: Mapping[Key, Sequence[int]]) -> None:
        spans = {
            span
            for key, numbers in leaving.items()
            if key in self._batches
            for span in batches.to_look_at(self._batches[key], numbers)
        }
        if spans:
            for item in self._session.hot.read_batch_items(connection, spans, whole=False):
                self._items.setdefault((item.workspace_id, item.batch_id), {})[item.number] = item

    def _know(self, found: Mapping[Key, batches.Batch]) -> None:
        self._batches |= found
        for key, batch in found.items():
            if batch.group_id is not None:
                self._of_group[batch.workspace_id, batch.group_id] = key
            if batch.timer_at is not None:
                self._timers[key] = batch.timer_at

    # ── one input ───────────────────────────────────────────────────────────────────────────────────

    def inbox(self, desk: desks.Desk, inbox: rows.Inbox) -> None:
        """Take in an inbox row of a kind of INBOX."""
        if inbox.kind == effects.Inbox.JOIN:
            self._join(desk, inbox)
            return
        key = _spoken_of(inbox)
        batch = self._batches.get(key)
        if batch is None:
            return
        if inbox.kind == effects.Inbox.ORDER:
            self._obey(desk, key, batch, _order.decode(inbox.body))
            return
        item = batches.read_leave(inbox.body).item
        if inbox.kind == effects.Inbox.LEAVE:
            self._leave(desk, key, batch, item)
        elif batch.owner_item == item:
            self._end(desk, key)

    def timer(self, desk: desks.Desk, timer: rows.Timer, fault: Exception | None) -> None:
        """A batch may be due; `fault` is why its turn failed with it alone, if it did."""
        if fault is not None:
            faults.failed_timer(desk, timer, fault)
            return
        key = (timer.workspace_id, timer.id)
        batch = self._batches.get(key)
        if batch is None or batch.state != _OPEN:
            return
        self._put(key, batch)
        reason = batches.why_due(batch, desk.now)
        if reason is not None:
            self._close(desk, key, batch, reason, timer.wake_at)

    def _join(self, desk: desks.Desk, inbox: rows.Inbox) -> None:
        join, workspace_id = self._joins[inbox.workspace_id, inbox.id], inbox.workspace_id
        group = (workspace_id, batches.group_of(workspace_id, join))
        key = self._of_group.get(group)
        if key is not None:
            before = self._batches[key]
            reason = batches.why_due(before, desk.now)
            if reason is not None:
                # Its time is over, whatever the timer's place in the line.
                self._close(desk, key, before, reason, self._timers.get(key, 0))
                key = None
        if key is None:
            identity = ids.of_effect(join.run_id, join.visit, 0, inbox.id[:8], inbox.partition)
            key = (workspace_id, identity)
            batch = batches.opened(workspace_id, identity, join, desk.now)
            self._of_group[group] = key
        else:
            batch = batches.joined(self._batches[key], join, desk.now)
        item = batches.latest_item(batch, join, desk.now)
        self._put(key, batch)
        self._items.setdefault(key, {})[item.number] = item
        self._new.setdefault(key, []).append(item)
        desk.writes.batches.items.append(item)
        batch_words.tell(desk, effects.Inbox.JOINED, item, batch_words.joined(batch, item))
        if batches.is_full(batch):
            self._close(desk, key, batch, batches.MAX_ITEMS, desk.now)

    def _leave(self, desk: desks.Desk, key: Key, batch: batches.Batch, number: int) -> None:
        items = self._items.get(key, {})
        is_owner = number == batch.owner_item
        # Of a batch that is on its way the owner alone can leave; who left before has nothing more to leave.
        is_late = batch.state == batches.State.RELEASED and not is_owner
        if batch.state == batches.State.DROPPED or is_late or number not in items:
            return
        del items[number]
        left = batches.without(batch, number, list(items.values()))
        desk.writes.batches.left.append((*key, number))
        if left is None:
            self._end(desk, key)
            return
        self._put(key, left)
        if is_owner:
            told = batch_words.joined(left, items[left.owner_item])
            told["instead_of"] = ids.wire(batch.owner_run_id)
            batch_words.tell(desk, effects.Inbox.OWNER, items[left.owner_item], told)

    def _obey(self, desk: desks.Desk, key: Key, batch: batches.Batch, order: str) -> None:
        # Dropped it stays, whatever word came on top of the one that says so.
        if batch.state == batches.State.DROPPED or (order == DROP and batch.state == batches.State.HELD):
            kind, run_id = int(effects.Inbox.CANCEL), batch.owner_run_id
            desk.writes.inbox.append(
                rows.Inbox(ids.partition_of(run_id), key[0], run_id, kind, run_id, b"null", 0)
            )
            self._end(desk, key)
        elif order == RELEASE and batch.state in (_OPEN, batches.State.HELD, batches.State.LET_GO):
            self._release(desk, key, batch, batch.reason or batches.BY_OPERATOR)

    # ── closing ─────────────────────────────────────────────────────────────────────────────────────

    def _close(self, desk: desks.Desk, key: Key, batch: batches.Batch, reason: str, timer_at: int) -> None:
        """Release it, or hold it where it was due too long ago."""
        due_at = max(batches.due_at(batch), timer_at)
        if reason != batches.MAX_ITEMS and desk.now - due_at > self._grace:
            self._put(key, batches.held(batch, reason))
        else:
            self._release(desk, key, batch, reason)

    def _release(self, desk: desks.Desk, key: Key, batch: batches.Batch, reason: str) -> None:
        self._put(key, batches.released(batch, reason, desk.now))
        self._released[key] = None

    def _put(self, key: Key, batch: batches.Batch) -> None:
        before = self._batches.get(key)
        if before is not None and before.group_id is not None and batch.group_id is None:
            del self._of_group[before.workspace_id, before.group_id]
        self._batches[key] = batch
        self._changed[key] = None
        if batch.state == batches.State.RELEASED:
            # Once more, where the owner that it was released to has left.
            self._released[key] = None

    def _end(self, desk: desks.Desk, key: Key) -> None:
        batch = self._batches.pop(key)
        if batch.group_id is not None:
            self._of_group.pop((batch.workspace_id, batch.group_id), None)
        self._changed.pop(key, None)
        self._released.pop(key, None)
        desk.writes.batches.ended.append(key)
        self._unset(desk, key, batch.partition)

    # ── the end of the turn ─────────────────────────────────────────────────────────────────────────

    def carry_out(self, connection: Any, desk: desks.Desk) -> None:
        """Hand over what was released, and set the timers of what is open."""
        if self._released:
            self._hand_over(connection, desk)
        for key in self._changed:
            batch = self._batches[key]
            if batch.state == _OPEN:
                self._set(desk, key, batch)
            else:
                self._unset(desk, key, batch.partition)
            desk.writes.batches.changed[key] = self._batches[key]._replace(timer_at=self._timers.get(key))

    def _set(self, desk: desks.Desk, key: Key, batch: batches.Batch) -> None:
        """A timer stands at the latest where the batch is due; one that stands earlier is set anew when it is taken."""
        wake_at, stands_at = max(batches.due_at(batch), desk.now), self._timers.get(key)
        if stands_at is not None and stands_at <= wake_at:
            return
        self._unset(desk, key, batch.partition)
        self._timers[key] = wake_at
        desk.writes.timers.append(_timer(batch.partition, wake_at, key))
        desk.goes_on = desk.goes_on or wake_at <= desk.now

    def _unset(self, desk: desks.Desk, key: Key, partition: int) -> None:
        stands_at = self._timers.pop(key, None)
        if stands_at is not None:
            desk.writes.forgotten_timers.append(_timer(partition, stands_at, key))

    def _hand_over(self, connection: Any, desk: desks.Desk) -> None:
        spans = [batch_items.to_pass_on(self._batches[key]) for key in self._released]
        gone = set(desk.writes.batches.left)
        found: dict[Key, dict[int, batches.Item]] = {key: {} for key in self._released}
        for item in (
            *self._session.hot.read_batch_items(connection, spans, whole=True),
            *self._fresh(spans),
        ):
            if (item.workspace_id, item.batch_id, item.number) not in gone:
                found[item.workspace_id, item.batch_id][item.number] = item
        for key, items in found.items():
            batch = self._batches[key]
            kept = batch_items.retained(batch, items.values())
            told = batch_words.described(batch) | {
                "owner": True,
                "item": batch.owner_item,
                "size": batch.size,
                "retained": len(kept),
                "reason": batch.reason,
                "released_at": schedule.write_instant(batch.released_at or desk.now),
            }
            owner = batches.owners_item(batch)
            batch_words.tell(desk, effects.Inbox.RELEASED, owner, told, batch_items.gained(batch, kept))

    def _fresh(self, spans: Iterable[batches.Span]) -> Iterable[batches.Item]:
        for span in spans:
            for item in self._new.get((span.workspace_id, span.batch_id), ()):
                if span.first <= item.number <= span.last:
                    yield item


def _spoken_of(inbox: rows.Inbox) -> Key:
    if inbox.kind == effects.Inbox.ORDER:
        return inbox.workspace_id, inbox.id
    return inbox.workspace_id, batches.read_leave(inbox.body).batch_id


def _timer(partition: int, wake_at: int, key: Key) -> rows.Timer:
    return rows.Timer(partition, wake_at, key[0], int(effects.Timer.BATCH), key[1])
