"""Admission: which of the planned messages their recipients want, and when (a chapter of the turn).

Law: it is decided in the turn that releases a message, in its recipient's partition, for all of a turn at once
(engine.md E20); nothing is read for workspaces in which nobody ever said or set anything. A message that is not wanted
ends there, and whoever waits for it is told that it was skipped. Whether it goes now is pacing.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from heliograph.core import consent, effects, messages, plans, pseudonyms, routes, runs
from heliograph.engine import departed, match, pacing, replies, wishes
from heliograph.engine import desk as desks
from heliograph.engine import onward as onwards
from heliograph.store import policy_rows, rows

_PLANNED = int(messages.State.PLANNED)
_MESSAGE = int(effects.Kind.MESSAGE)
_OF_ALL = ""
"""The tenant of a suppression that holds for the whole workspace."""
_WAITING = frozenset({messages.State.PLANNED, messages.State.DELAYED})
Key = tuple[int, bytes]


def wake(desk: desks.Desk, key: Key, due_at: int, grace: int) -> None:
    """The time of a message of an earlier turn has come; what is due longer than `grace` (µs) is late (E33)."""
    message = desk.messages.get(key)
    if message is None or message.state not in _WAITING:
        return
    asked_by = None if message.run_id is None else desk.runs.get((message.workspace_id, message.run_id))
    if asked_by is not None and asked_by.status == runs.Status.CANCELED:
        desk.cancel_message(*key)
    else:
        if desk.now - due_at > grace:
            desk.late[message.id] = due_at
        desk.due_again.append(desks.DueAgain(message, due_at, len(desk.writes.messages)))


def admit(
    connection: Any,
    hot: Any,
    desk: desks.Desk,
    workspace_of: Callable[[int], match.Workspace],
    erasing: Collection[int] = (),
) -> None:
    """Let those messages go that are wanted, and wanted now; `erasing` are workspaces in which somebody is to go."""
    again = [one for one in desk.due_again if _still_waits(desk, one.message)]
    waiting = {
        one[:2]: pacing.Standing(one, end)
        for one in desk.planned
        if one.route is not None and (end := _waits(one, desk.now))
    }
    looked_at = [one for one in desk.planned if one.kind == _MESSAGE]
    if waiting:
        looked_at = [one for one in looked_at if one[:2] not in waiting]
    looked_at += [one.message for one in again if one.message.kind == _MESSAGE]
    deleted = pacing.End(messages.State.CANCELED, messages.CONTACT_DELETED)
    standing = waiting | {
        one.message[:2]: pacing.Standing(one.message, deleted) for one in again if _is_of_nobody(one.message)
    }
    if erasing:
        gone = _of_deleted(connection, hot, [one for one in desk.planned if one.workspace_id in erasing])
        standing |= {one[:2]: pacing.Standing(one, deleted) for one in gone}
    standing |= _reported(connection, hot, desk, [one.message for one in again])
    fresh = desk.writes.reports.suppressed
    told = {workspace_id for workspace_id, _ in fresh}
    asked = [
        one
        for one in looked_at
        if one[:2] not in standing
        and (workspace_of(one.workspace_id).wishes.asks or _needs_consent(one) or one.workspace_id in told)
    ]
    refusal = _refusals(connection, hot, asked, workspace_of, fresh) if asked else _nobody_refuses
    onward = _onward(refusal, desk.now)
    for message in asked:
        reason = refusal(message)
        if reason is not None:
            standing[message[:2]] = onward(message, pacing.End(messages.State.UNROUTABLE, reason))
    paced = [one for one in looked_at if one.contact_id is not None]
    paced = [one for one in paced if workspace_of(one.workspace_id).wishes.paces]
    now_on = [standing[one[:2]] if one[:2] in standing else pacing.Standing(one, None) for one in paced]
    going = [one.message for one in now_on if one.end is None]
    if going:
        standing |= pacing.pace(connection, hot, desk, going, workspace_of, onward)
    if standing:
        _stand_planned(desk, standing)
    for one in again:
        _go_on(desk, one, standing.get(one.message[:2]))


def _reported(
    connection: Any, hot: Any, desk: desks.Desk, again: Sequence[rows.Message]
) -> dict[Key, pacing.Standing]:
    """Messages of which a report says that they were handed over, though the answer was lost: they end there."""
    lost = {one[:2]: one for one in again if onwards.may_be_out(one)}
    if not lost:
        return {}
    told = {**hot.read_reached(connection, lost.keys()), **desk.writes.reports.reached}
    looks = (
        onwards.escalation(message, routes.read(message.route), desk.now, told[key].known)
        for key, message in lost.items()
        if message.route is not None and told[key].reached is not None
    )
    desk.writes.timers += [timer for timer in looks if timer is not None]
    return {
        key: pacing.Standing(message, pacing.End(messages.State(told[key].reached), None))
        for key, message in lost.items()
        if told[key].reached is not None
    }


def _still_waits(desk: desks.Desk, message: rows.Message) -> bool:
    """Whether nothing that came after its time has canceled it."""
    return desk.messages[message[:2]].state in _WAITING


def _waits(message: rows.Message, now: int) -> pacing.End | None:
    """How a new message stands whose recipient's clock does not say yet that it goes: it is asked about then."""
    at = routes.not_before(message.route)
    return pacing.End(messages.State.DELAYED, messages.WAITS, at) if at > now else None


def _is_of_nobody(message: rows.Message) -> bool:
    """Whether its recipient was deleted while a delivery had it in hand (store/departures.py)."""
    return message.address is None and pseudonyms.is_name(message.contact_id)


def _of_deleted(connection: Any, hot: Any, planned: Sequence[rows.Message]) -> list[rows.Message]:
    """New messages that were asked for before their recipient was deleted: their requests name others too (E22)."""
    theirs = [one for one in planned if one.kind == _MESSAGE]
    gone = departed.among(connection, hot, _contacts(theirs))
    return [one for one in theirs if gone.had(one, one.contact_id)]


def _stand_planned(desk: desks.Desk, standing: Mapping[Key, pacing.Standing]) -> None:
    """Let new messages stand as was decided."""
    changed = {}
    planned = []
    for one in desk.planned:
        message, end = standing.get(one[:2]) or (one, None)
        if end is None:
            planned.append(message)
        else:
            message = end.of(message, desk.now)
            _tell(desk, message)
            if end.wake_at is not None:
                desk.writes.timers.append(_timer(one, end.wake_at))
        if message is not one:
            changed[one.id] = message
    desk.planned = planned
    desk.writes.messages = [changed.get(one.id, one) for one in desk.writes.messages]


def _go_on(desk: desks.Desk, one: desks.DueAgain, stands: pacing.Standing | None) -> None:
    """Let a message of an earlier turn stand in line, or as was decided."""
    message, end = stands or (one.message, None)
    if end is None:
        desk.writes.send_due.append((message.partition, message.workspace_id, message.id, one.wake_at))
        if message.state != _PLANNED:
            message = message._replace(state=_PLANNED, error=None)
        if onwards.is_fresh(message):
            message = onwards.counted(message)
        if message is not one.message:
            _change(desk, one.message, message)
        return
    after = end.of(message, desk.now)
    if end.wake_at is not None:
        desk.writes.timers.append(_timer(message, end.wake_at))
    _change(desk, one.message, after)
    _tell(desk, after)


def _change(desk: desks.Desk, before: rows.Message, after: rows.Message) -> None:
    is_moved = after.route != before.route
    desk.writes.paced.messages.append(
        policy_rows.MessageChange(
            after.workspace_id,
            after.id,
            after.state,
            after.settled_at,
            after.attempts,
            after.error,
            onwards.place(after) if is_moved else None,
        )
    )


def _timer(message: rows.Message, wake_at: int) -> rows.Timer:
    kind = int(effects.Timer.SEND)
    return rows.Timer(message.partition, wake_at, message.workspace_id, kind, message.id)


# ── who wants what ──────────────────────────────────────────────────────────────────────────────────


Refusal = Callable[[rows.Message], str | None]
"""Why a message is not wanted on the way that it is on; None: it is."""


def _nobody_refuses(_: rows.Message) -> None:
    """Nobody ever said what they want to hear of."""


def _refusals(
    connection: Any,
    hot: Any,
    looked_at: Collection[rows.Message],
    workspace_of: Callable[[int], match.Workspace],
    fresh: Collection[tuple[int, str]],
) -> Refusal:
    """Who wants what, on every way of these messages; `fresh` is the addresses that this turn itself suppresses."""
    said = _said(hot.read_consents(connection, _contacts(looked_at)))
    suppressing: dict[int, dict[str, set[str]]] = {}
    for workspace_id, address in fresh:
        suppressing.setdefault(workspace_id, {}).setdefault(address, set()).add(_OF_ALL)
    for workspace_id, address, tenant_id in hot.read_suppressions(connection, _addresses(looked_at)):
        suppressing.setdefault(workspace_id, {}).setdefault(address, set()).add(tenant_id)

    def refusal(message: rows.Message) -> str | None:
        wished = workspace_of(message.workspace_id).wishes
        return _refusal(message, wished, said, suppressing.get(message.workspace_id, {}))

    return refusal


def _onward(refusal: Refusal, now: int) -> pacing.Onward:
    """How a message stands that would end: on the next way on which it is wanted, else as its last way ended."""

    def onward(message: rows.Message, end: pacing.End) -> pacing.Standing:
        following: rows.Message | None = message
        reason = end.error
        while reason is not None:
            why, _, text = reason.partition(": ")
            following = onwards.passed_by(message, why, text, now)
            if following is None:
                return pacing.Standing(message, end)
            message, reason = following, refusal(following)
            end = pacing.End(messages.State.UNROUTABLE, reason)
        return pacing.Standing(message, None)

    return onward


def _addresses(found: Collection[rows.Message]) -> set[tuple[int, str]]:
    """Where these messages go, or may go later."""
    addresses = {(one.workspace_id, one.address) for one in found if one.address is not None}
    for one in found:
        if one.route is not None:
            addresses |= {(one.workspace_id, way.address) for way in routes.read(one.route).ways}
    return addresses


def _contacts(found: Collection[rows.Message]) -> set[tuple[int, str]]:
    return {(one.workspace_id, one.contact_id) for one in found if one.contact_id is not None}


def _said(found: Collection[tuple[int, str, str, Any]]) -> Mapping[tuple[int, str, str], consent.Consent]:
    return {(space, user_id, tenant): consent.read(body) for space, user_id, tenant, body in found}


def _refusal(
    message: rows.Message,
    wished: wishes.Wishes,
    said: Mapping[tuple[int, str, str], consent.Consent],
    suppressing: Mapping[str, Collection[str]],
) -> str | None:
    if message.address is not None and consent.is_suppressed(suppressing, message.address, message.tenant_id):
        return messages.SUPPRESSED
    if message.contact_id is None:
        return None
    tenants = ("",) if message.tenant_id is None else (message.tenant_id, "")
    keys = [(message.workspace_id, message.contact_id, tenant) for tenant in tenants]
    words = [said[key] for key in keys if key in said]
    defaults = wished.defaults(message.tenant_id)
    if consent.refuses(words, message.channel, wished.topics(message), defaults):
        return messages.OPTED_OUT
    if _needs_consent(message) and not consent.agrees(words, message.channel, wished.topics(message)):
        return messages.OPTED_OUT
    return None


def _needs_consent(message: rows.Message) -> bool:
    """Whether silence does not count as a yes."""
    if message.channel != "sms" or message.content is None:
        return False
    return message.content in (consent.ASKED_FIRST, consent.ASKED_FIRST.decode())


# ── who is told ─────────────────────────────────────────────────────────────────────────────────────


def _tell(desk: desks.Desk, message: rows.Message) -> None:
    """Tell the run that waits for a message that has ended, or the cursor of a fan-out."""
    if message.state in _WAITING:
        return
    state = messages.State(message.state)
    is_taken = state in messages.TAKEN
    if message.run_id is not None:
        status = plans.Status.SUCCEEDED if is_taken else plans.Status.SKIPPED
        told: rows.Inbox | None = replies.to_run(message, status, None, message.error)
    else:
        told = replies.to_cursor(message, messages.State.ACCEPTED if is_taken else state)
    if told is not None:
        desk.writes.inbox.append(told)
