"""Admission: which of the planned messages their recipients want (a chapter of the turn).

Law: it is decided in the turn that releases a message, in its recipient's partition, for all of a turn at once
(engine.md E20); nothing is read for workspaces in which nobody ever said anything. A message that is not wanted ends
there, and whoever waits for it is told that it was skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from heliograph.core import consent, effects, ids, messages, plans
from heliograph.engine import desk as desks
from heliograph.engine import run
from heliograph.store import rows

_UNROUTABLE = int(messages.State.UNROUTABLE)


def admit(connection: Any, hot: Any, desk: desks.Desk, asks: Callable[[int], bool]) -> None:
    """Let those planned messages go that are wanted; `asks` says of a workspace whether anybody said anything."""
    looked_at = [one for one in desk.planned if one.kind == effects.Kind.MESSAGE and asks(one.workspace_id)]
    if not looked_at:
        return
    said = _said(hot.read_consents(connection, _contacts(looked_at)))
    suppressing: dict[int, dict[str, set[str]]] = {}
    addresses = {(one.workspace_id, one.address) for one in looked_at if one.address is not None}
    for workspace_id, address, tenant_id in hot.read_suppressions(connection, addresses):
        suppressing.setdefault(workspace_id, {}).setdefault(address, set()).add(tenant_id)
    refused = {}
    for one in looked_at:
        reason = _refusal(one, said, suppressing.get(one.workspace_id, {}))
        if reason is not None:
            refused[one.id] = one._replace(state=_UNROUTABLE, settled_at=desk.now, error=reason)
    if refused:
        desk.planned = [one for one in desk.planned if one.id not in refused]
        desk.writes.messages = [refused.get(one.id, one) for one in desk.writes.messages]
        desk.writes.inbox += [_told(one) for one in refused.values() if _waits(one)]


def _contacts(found: Collection[rows.Message]) -> set[tuple[int, str]]:
    return {(one.workspace_id, one.contact_id) for one in found if one.contact_id is not None}


def _said(found: Collection[tuple[int, str, str, Any]]) -> Mapping[tuple[int, str, str], consent.Consent]:
    return {(space, user_id, tenant): consent.read(body) for space, user_id, tenant, body in found}


def _refusal(
    message: rows.Message,
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
    topics = () if message.template_id is None else (message.template_id,)
    return messages.OPTED_OUT if words and consent.refuses(words, message.channel, topics) else None


def _waits(message: rows.Message) -> bool:
    return message.run_id is not None or message.automation_id is not None


def _told(message: rows.Message) -> rows.Inbox:
    """What a run is told, or the cursor of a fan-out."""
    if message.run_id is not None:
        return run.reply_to(message, plans.Status.SKIPPED, message.error)
    assert message.automation_id is not None
    body = messages.job_body(message.automation_id, message.visit, messages.State.UNROUTABLE)
    kind = int(effects.Inbox.JOB)
    return rows.Inbox(ids.partition_of(message.id), message.workspace_id, message.id, kind, None, body, 0)
