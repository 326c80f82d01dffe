"""Admission: which of the planned messages their recipients want, and when (a chapter of the turn).

Law: it is decided in the turn that releases a message, in its recipient's partition, for all of a turn at once
(engine.md E20); nothing is read for workspaces in which nobody ever said or set anything. A message that is not wanted
ends there, and whoever waits for it is told that it was skipped. Whether it goes now is pacing.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from heliograph.core import consent, effects, ids, messages, plans, pseudonyms, runs
from heliograph.engine import desk as desks
from heliograph.engine import match, pacing, run, wishes
from heliograph.store import policy_rows, rows

_PLANNED, _UNROUTABLE = int(messages.State.PLANNED), int(messages.State.UNROUTABLE)
_WAITING = frozenset({messages.State.PLANNED, messages.State.DELAYED})
Key = tuple[int, bytes]


def wake(desk: desks.Desk, timer: rows.Timer) -> None:
    """The time of a message of an earlier turn has come."""
    key = (timer.workspace_id, timer.id)
    message = desk.messages.get(key)
    if message is None or message.state not in _WAITING:
        return
    asked_by = None if message.run_id is None else desk.runs.get((message.workspace_id, message.run_id))
    if asked_by is not None and asked_by.status == runs.Status.CANCELED:
        desk.cancel_message(*key)
    else:
        desk.due_again.append(desks.DueAgain(message, timer.wake_at, len(desk.writes.messages)))


def admit(
    connection: Any, hot: Any, desk: desks.Desk, workspace_of: Callable[[int], match.Workspace]
) -> None:
    """Let those messages go that are wanted, and wanted now."""
    again = [one for one in desk.due_again if _still_waits(desk, one.message)]
    looked_at = [one for one in desk.planned if one.kind == effects.Kind.MESSAGE]
    looked_at += [one.message for one in again if one.message.kind == effects.Kind.MESSAGE]
    ended = {
        one.message[:2]: pacing.End(messages.State.CANCELED, messages.CONTACT_DELETED)
        for one in again
        if _is_of_nobody(one.message)
    }
    asked = [
        one
        for one in looked_at
        if one[:2] not in ended and (workspace_of(one.workspace_id).wishes.asks or _needs_consent(one))
    ]
    if asked:
        ended |= _unwanted(connection, hot, asked, workspace_of)
    paced = [
        one
        for one in looked_at
        if one.contact_id is not None and workspace_of(one.workspace_id).wishes.paces and one[:2] not in ended
    ]
    if paced:
        ended |= pacing.pace(connection, hot, desk, paced, workspace_of)
    if ended:
        _end_planned(desk, ended)
    for one in again:
        _go_on(desk, one, ended.get(one.message[:2]))


def _still_waits(desk: desks.Desk, message: rows.Message) -> bool:
    """Whether nothing that came after its time has canceled it."""
    return desk.messages[message[:2]].state in _WAITING


def _is_of_nobody(message: rows.Message) -> bool:
    """Whether its recipient was deleted while a delivery had it in hand (store/departures.py)."""
    return message.address is None and (message.contact_id or "").startswith(pseudonyms.PREFIX)


def _end_planned(desk: desks.Desk, ended: Mapping[Key, pacing.End]) -> None:
    """Let new messages stand as was decided."""
    changed = {}
    for one in desk.planned:
        end = ended.get(one[:2])
        if end is not None:
            changed[one.id] = end.of(one, desk.now)
            _tell(desk, changed[one.id])
            if end.wake_at is not None:
                desk.writes.timers.append(_timer(one, end.wake_at))
    desk.planned = [one for one in desk.planned if one.id not in changed]
    desk.writes.messages = [changed.get(one.id, one) for one in desk.writes.messages]


def _go_on(desk: desks.Desk, one: desks.DueAgain, end: pacing.End | None) -> None:
    """Let a message of an earlier turn stand in line, or as was decided."""
    message = one.message
    if end is None:
        desk.writes.send_due.append((message.partition, message.workspace_id, message.id, one.wake_at))
        if message.state != _PLANNED:
            _change(desk, message._replace(state=_PLANNED, error=None))
        return
    after = end.of(message, desk.now)
    if end.wake_at is not None:
        desk.writes.timers.append(_timer(message, end.wake_at))
    _change(desk, after)
    _tell(desk, after)


def _change(desk: desks.Desk, after: rows.Message) -> None:
    desk.writes.paced.messages.append(
        policy_rows.MessageChange(
            after.workspace_id, after.id, after.state, after.settled_at, after.attempts, after.error
        )
    )


def _timer(message: rows.Message, wake_at: int) -> rows.Timer:
    kind = int(effects.Timer.SEND)
    return rows.Timer(message.partition, wake_at, message.workspace_id, kind, message.id)


# ── who wants what ──────────────────────────────────────────────────────────────────────────────────


def _unwanted(
    connection: Any,
    hot: Any,
    looked_at: Collection[rows.Message],
    workspace_of: Callable[[int], match.Workspace],
) -> dict[Key, pacing.End]:
    said = _said(hot.read_consents(connection, _contacts(looked_at)))
    suppressing: dict[int, dict[str, set[str]]] = {}
    addresses = {(one.workspace_id, one.address) for one in looked_at if one.address is not None}
    for workspace_id, address, tenant_id in hot.read_suppressions(connection, addresses):
        suppressing.setdefault(workspace_id, {}).setdefault(address, set()).add(tenant_id)
    refused = {}
    for one in looked_at:
        wished = workspace_of(one.workspace_id).wishes
        reason = _refusal(one, wished, said, suppressing.get(one.workspace_id, {}))
        if reason is not None:
            refused[one[:2]] = pacing.End(messages.State.UNROUTABLE, reason)
    return refused


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
    if message.run_id is not None:
        desk.writes.inbox.append(run.reply_to(message, plans.Status.SKIPPED, message.error))
    elif message.automation_id is not None:
        body = messages.job_body(message.automation_id, message.visit, messages.State(message.state))
        kind, partition = int(effects.Inbox.JOB), ids.partition_of(message.id)
        desk.writes.inbox.append(rows.Inbox(partition, message.workspace_id, message.id, kind, None, body, 0))
