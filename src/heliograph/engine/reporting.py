"""Reporting: what becomes known of messages after they were handed over (a chapter of the turn).

Law: a report is taken in by the partition of its message, and changes nothing but the message; the run that asked for
it is told only where nobody knew yet whether it was handed over, and the cursor that made it where it counts in another
way from now on. What an address is worth is decided in the partition of the address. What the engine tells of it by
itself are events, written where somebody listens (engine.md E10).
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from heliograph.core import effects, ids, notices, plans, reports, routes, rules
from heliograph.core.messages import State
from heliograph.engine import desk as desks
from heliograph.engine import onward, posting, records, replies
from heliograph.store import database, report_rows, rows

Key = tuple[int, bytes]

INBOX = frozenset({effects.Inbox.REPORT, effects.Inbox.ADDRESS, effects.Inbox.REPEAT})
_UNCERTAIN = int(State.UNCERTAIN)
_CLOSED = frozenset({State.UNCERTAIN, State.FAILED})
"""The states out of which a report leads, of what was counted there."""
_AT_HAND_OVER = 2
_VISITS = {what: number for number, what in enumerate(reports.What)}
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class Door(Protocol):
    """What knows how deep the runs of one door are."""

    def depth(self, start: rows.Start) -> int:
        """How many events or runs have caused each other before."""


class Reporting:
    """The reports of the turns of one connection."""

    def __init__(self, session: database.Session, doors: Mapping[int, Door]):
        self._session, self._doors = session, doors
        self._messages: dict[Key, rows.Message] = {}
        self._reached: dict[Key, report_rows.Reached] = {}
        self._accounts: dict[tuple[int, str], reports.Account] = {}
        self._events: dict[Key, rows.Event] = {}
        self._depths: dict[Key, int] = {}
        """Of runs that no rule started, of which the present turn's messages are."""

    def settle(
        self, connection: Any, worker: str, answers: Sequence[rows.Settled], now: int
    ) -> list[rows.Settled]:
        """Store answers, and give those of claims that are this worker's.

        What was not taken now, though an earlier answer was lost, stands as it was reported, if it was.
        """
        keys = {
            (one.workspace_id, one.message_id) for one in answers if one.lost is not None or _escalates(one)
        }
        told = self._session.hot.read_reached(connection, keys) if keys else {}
        known = {key: one.known for key, one in told.items() if one.reached is not None}
        standing = [_as_reported(one, known.get((one.workspace_id, one.message_id)), now) for one in answers]
        settled: list[rows.Settled] = self._session.hot.settle(connection, worker, standing)
        return settled

    def tell_failed(self, connection: Any, desk: desks.Desk, settled: Collection[rows.Settled]) -> None:
        """Tell of the messages that have failed for good, where anybody listens; and their addresses, why they did.

        What nobody knows of a message a report may have told before: then it is known.
        """
        lost = set()
        for one in settled:
            if one.bounce is not None:
                _owe(desk, (one.workspace_id, one.message_id), one.bounce, _AT_HAND_OVER)
            elif one.state == _UNCERTAIN:
                lost.add((one.workspace_id, one.message_id))
        if lost:
            self._end_reported(connection, desk, lost)
        heard = [
            (one.failed, one.error)
            for one in settled
            if one.failed is not None
            and desk.listens(one.workspace_id, one.failed.message.tenant_id, notices.MESSAGE_FAILED)
        ]
        if not heard:
            return
        depths = self._depths_of(connection, [claimed.message for claimed, _ in heard])
        for claimed, error in heard:
            depth = _depth(claimed.message, claimed.event, depths)
            notice = notices.Notice(notices.MESSAGE_FAILED, {"error": error}, None)
            records.tell_of_message(desk, claimed.message, claimed.event, depth, notice, 0)

    def _end_reported(self, connection: Any, desk: desks.Desk, lost: Collection[Key]) -> None:
        """Of messages whose answer was lost, those that were reported before stand as they were reported."""
        told = self._session.hot.read_reached(connection, lost)
        known = {key: one for key, one in told.items() if one.reached is not None}
        if known:
            for message in self._session.hot.read_messages(connection, known.keys()).values():
                _resolve(desk, message)
            desk.writes.reports.reached |= known

    # ── reading, in bulk ────────────────────────────────────────────────────────────────────────────

    def read(self, connection: Any, taken: rows.Taken, culprits: Collection[Key], desk: desks.Desk) -> None:
        """The messages of which something is told, and how the addresses stand."""
        inbox = [i for i in taken.inbox if i.kind in INBOX and (i.workspace_id, i.id) not in culprits]
        if not inbox:
            return
        hot = self._session.hot
        told = {(i.workspace_id, reports.message_of(i.body)) for i in inbox if i.kind == effects.Inbox.REPORT}
        self._messages = hot.read_messages(connection, told) if told else {}
        for key, known in desk.writes.reports.reached.items():
            # What was lost and is known by now: whoever waits is told already.
            if key in self._messages and known.reached is not None:
                self._messages[key] = self._messages[key]._replace(state=known.reached)
        self._reached = hot.read_reached(connection, told) if told else {}
        addresses = {(m.workspace_id, m.address) for m in self._messages.values() if m.address is not None}
        addresses |= {
            (i.workspace_id, reports.read_word(i.body).address)
            for i in inbox
            if i.kind == effects.Inbox.ADDRESS
        }
        stored = hot.read_soft_bounces(connection, addresses) if addresses else {}
        accounts = {key: reports.read_account(row) for key, row in stored.items()}
        self._accounts = {key: account for key, account in accounts.items() if account is not None}
        heard = [
            one
            for one in self._messages.values()
            if any(desk.listens(one.workspace_id, one.tenant_id, name) for name in notices.OF_REPORTS)
        ]
        spoken_of = {(one.workspace_id, one.event_id) for one in heard if one.event_id is not None}
        self._events = {}
        if spoken_of:
            self._events = {(e.workspace_id, e.id): e for e in hot.read_events(connection, spoken_of)}
        self._depths = self._depths_of(connection, heard)

    def _depths_of(self, connection: Any, found: Collection[rows.Message]) -> dict[Key, int]:
        """A message of a run that no rule started speaks of no event: how deep it is, the run was told at its start."""
        keys = {(m.workspace_id, m.run_id) for m in found if m.event_id is None and m.run_id is not None}
        starts = self._session.hot.read_starts(connection, keys) if keys else {}
        return {key: self._doors[start.door].depth(start) for key, start in starts.items()}

    # ── one input ───────────────────────────────────────────────────────────────────────────────────

    def inbox(self, desk: desks.Desk, inbox: rows.Inbox) -> None:
        """Take in an inbox row of a kind of INBOX."""
        if inbox.kind == effects.Inbox.REPORT:
            self._report(desk, inbox)
        elif inbox.kind == effects.Inbox.ADDRESS:
            self._hear(desk, inbox)
        else:
            _repeat(desk, inbox)

    def _report(self, desk: desks.Desk, inbox: rows.Inbox) -> None:
        message = self._messages.get((inbox.workspace_id, reports.message_of(inbox.body)))
        if message is None or not _takes(message):
            return
        key = (message.workspace_id, message.id)
        before = desk.writes.reports.reached.get(key, self._reached[key]).known
        told = reports.within(reports.read(inbox.body), ids.created_at(message.id), desk.now)
        after = reports.take_in(before, told)
        if after == before:
            return
        is_counted = _is_counted_otherwise(message, before, after)
        if is_counted and message.state not in reports.AFTER:
            after = after.early(is_early=True)
        event = None if message.event_id is None else self._events.get((key[0], message.event_id))
        depth = _depth(message, event, self._depths)
        told_of = notices.of_reports(before, after)
        if message.address is not None:
            account = self._accounts.get((message.workspace_id, message.address))
            # One that another input of this turn opens, or one of the turns since, does not count: with more inputs or
            # fewer, a turn would know it or not.
            counts = account is not None and account.since < ids.created_at(inbox.id)
            for word in reports.words(message.address, before, after, counts=counts):
                _owe(desk, key, word)
        if message.state in _CLOSED and after.reached is not None:
            _resolve(desk, message)
            self._messages[key] = message._replace(state=int(after.reached))
        if is_counted and not after.told.is_early:
            desk.writes.inbox += _counted_anew(message, inbox, after)
        if after.is_lost and not before.is_lost and message.state in reports.AFTER and message.route:
            timer = onward.escalation(message, routes.read(message.route), desk.now, after)
            desk.writes.timers += [] if timer is None else [timer]
        for notice in told_of:
            records.tell_of_message(desk, message, event, depth, notice, _place(notice))
        desk.writes.reports.reached[key] = report_rows.of(*key, after)

    def _hear(self, desk: desks.Desk, inbox: rows.Inbox) -> None:
        """An address hears of a message that went there."""
        word = reports.read_word(inbox.body)
        key = (inbox.workspace_id, word.address)
        account, suppressed = reports.hear(self._accounts.get(key), word, desk.now)
        if suppressed is not None:
            known = desk.writes.reports.suppressed.get(key)
            # Of two reasons of one moment the graver one stands, whichever came first.
            if known is None or suppressed == reports.COMPLAINT:
                desk.writes.reports.suppressed[key] = (suppressed, desk.now)
        self._accounts[key] = account
        desk.writes.reports.soft_bounces[key] = reports.write_account(account)


def _escalates(one: rows.Settled) -> bool:
    """Whether it is to be looked at later whether anybody took notice of a message."""
    return one.retry is not None and one.retry.kind == effects.Timer.ESCALATION


def _as_reported(one: rows.Settled, known: reports.Known | None, now: int) -> rows.Settled:
    """What is stored of a message by an answer, where this was reported of it before."""
    reached = None if known is None else known.reached
    if known is None or reached is None:
        return one
    if one.lost is None:
        assert one.retry is not None
        return msgspec.structs.replace(one, retry=one.retry._replace(wake_at=now)) if known.is_lost else one
    message = one.lost.message
    route = routes.read(message.route)
    return rows.Settled(
        *(one.workspace_id, one.message_id, one.claimed_at, int(reached), now, one.attempts, None),
        onward.escalation(message, route, now, known),
        _told_handed_over(message),
    )


def _told_handed_over(message: rows.Message) -> rows.Inbox | None:
    if message.run_id is None:
        return replies.to_cursor(message, State.ACCEPTED)
    return replies.to_run(message, plans.Status.SUCCEEDED)


def _repeat(desk: desks.Desk, inbox: rows.Inbox) -> None:
    """Send a message again, as a new one that no run asked for: whether its recipient wants it is asked anew."""
    values, repeats = _decode(inbox.body)
    message = posting.received(inbox._replace(body=_encode(values)))
    posting.release(desk, message)
    key = (message.workspace_id, message.id)
    known = reports.Known(told=reports.Told(repeats=repeats))
    desk.writes.reports.reached[key] = report_rows.of(*key, known)


def _takes(message: rows.Message) -> bool:
    """Whether a report is kept of a message: of one that has failed, where an answer was lost before."""
    if message.state != State.FAILED:
        return message.state in reports.TAKES
    return onward.may_be_out(message)


def _depth(message: rows.Message, event: rows.Event | None, depths: Mapping[Key, int]) -> int:
    if event is not None:
        return event.depth
    return depths.get((message.workspace_id, message.run_id or b""), 0)


def _place(notice: notices.Notice) -> int:
    """What tells the notices of one message from each other, by which their ids are told from each other."""
    link = notice.payload.get("link") or notice.payload.get("bounce") or ""
    return 1 + (zlib.crc32(f"{notice.event_type}\x1f{link}".encode("utf-8", "surrogatepass")) & 0xFFFFFF)


def _owe(desk: desks.Desk, key: Key, word: reports.Word, since: int = 0) -> None:
    """Let an address hear of a message that went there; `since` tells who says so.

    Of what a turn tells it hears of what arrived first: bounces of before that are then known not to count.
    """
    workspace_id, message_id = key
    partition = rules.partition_of_person(workspace_id, word.address)
    ordinal = since + int(word.bounce == reports.HARD)
    made = ids.of_effect(message_id, _VISITS[word.what], ordinal, desk.head, partition)
    identity = ids.ranked(made, word.what.rank)
    kind = int(effects.Inbox.ADDRESS)
    desk.writes.inbox.append(
        rows.Inbox(partition, workspace_id, identity, kind, None, reports.write_word(word), 0)
    )


def _is_counted_otherwise(message: rows.Message, before: reports.Known, after: reports.Known) -> bool:
    """Whether a message of a fan-out bounced, or arrived after all: its cursor counts it in another way then."""
    was, now = ((known.reached is State.BOUNCED) for known in (before, after))
    return was is not now and message.run_id is None and message.automation_id is not None


def _counted_anew(message: rows.Message, inbox: rows.Inbox, after: reports.Known) -> list[rows.Inbox]:
    """What the cursor is told that counted a message as one that did not bounce, or that did."""
    ways = (State.DELIVERED, State.BOUNCED)
    now, before = reversed(ways) if after.reached is State.BOUNCED else ways
    told = replies.to_cursor(message, now, before=before)
    # It was told before, under the message's id, that this was handed over: that word may lie there still.
    return [] if told is None else [told._replace(id=inbox.id)]


def _resolve(desk: desks.Desk, message: rows.Message) -> None:
    """Nobody knew whether it was handed over: it was. Whoever waits for it is told."""
    before = State(message.state) if message.state in _CLOSED else State.UNCERTAIN
    if message.run_id is not None:
        # Of one that has failed its run was told, and is told nothing twice.
        told = replies.to_run(message, plans.Status.SUCCEEDED) if before is State.UNCERTAIN else None
    else:
        told = replies.to_cursor(message, State.ACCEPTED, before=before)
    if told is not None:
        desk.writes.inbox.append(told)
