"""Looking: what the next steps of runs look at, read in bulk, and the keys that they leave (a chapter of started.py).

Law: what a step looks at was asked for beforehand, whether it is there or not; what was not asked for is Unseen.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any

import msgspec

from heliograph import errors
from heliograph.core import (
    fetches,
    frames,
    ids,
    messages,
    plans,
    reports,
    runs,
    schedule,
    step_keys,
    templates,
)
from heliograph.engine import desk as desks
from heliograph.store import rows, step_rows

_DELIVERED = int(messages.State.DELIVERED)

MessagesOf = Callable[[bytes, int, runs.Record], Sequence[bytes]]
"""(run, visit, record) to the messages that the step asked for."""


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """What the next steps of a run look at."""

    contacts: Collection[str] = ()
    messages: Collection[bytes] = ()
    tenants: Collection[tuple[str, str]] = ()
    """(user_id, tenant)"""
    keys: Collection[tuple[str, str]] = ()
    """(action, key) of steps"""
    lists: Collection[str] = ()
    cursors: Collection[tuple[int, bytes]] = ()
    """Where sends to lists have come to."""
    says_more: bool = False
    """Whether it names more once these are read."""


class Origin(msgspec.Struct, frozen=True, gc=False):
    """What the effects of a started run inherit from."""

    workspace_id: int
    partition: int
    tenant_id: str | None
    contact_id: str | None
    depth: int = 0
    id: bytes | None = None
    channel_source: str | None = None


class Looks:
    """What the runs of one turn look at."""

    def __init__(self) -> None:
        self._contacts: set[tuple[int, str]] = set()
        self._messages: set[tuple[int, bytes]] = set()
        self._tenants: set[tuple[int, str, str]] = set()
        self._keys: set[tuple[int, str, str]] = set()
        self._lists: set[tuple[int, str]] = set()
        self._cursors: set[tuple[int, bytes]] = set()

    def add(self, workspace_id: int, wanted: Wanted) -> None:
        """A run of this workspace looks at this."""
        for user_id in wanted.contacts:
            self._contacts.add((workspace_id, user_id))
        for message_id in wanted.messages:
            self._messages.add((workspace_id, message_id))
        for place in wanted.tenants:
            self._tenants.add((workspace_id, *place))
        for key in wanted.keys:
            self._keys.add((workspace_id, *key))
        for list_id in wanted.lists:
            self._lists.add((workspace_id, list_id))
        self._cursors.update(wanted.cursors)

    def read(self, connection: Any, hot: ModuleType, desk: desks.Desk) -> None:
        """Put it on the desk."""
        keys = self._keys - desk.step_keys_looked_up
        if keys:
            desk.step_keys_looked_up |= keys
            desk.step_keys |= hot.read_step_keys(connection, keys)
        tenants = self._tenants - desk.tenant_profiles_looked_up
        if tenants:
            desk.tenant_profiles_looked_up |= tenants
            desk.tenant_profiles |= hot.read_tenant_profiles(connection, tenants)
        contacts = self._contacts - desk.contacts_looked_up
        if contacts:
            desk.contacts_looked_up |= contacts
            desk.contacts |= hot.read_contacts(connection, contacts)
        sent = self._messages - desk.messages.keys()
        if sent:
            found = hot.read_messages(connection, sent)
            desk.messages |= found
            # Of any other message, reports say nothing that its state does not (reports.status).
            delivered = [key for key, message in found.items() if message.state == _DELIVERED]
            if delivered:
                desk.reached |= hot.read_reached(connection, delivered)
        if self._lists:
            desk.lists_looked_up |= self._lists
            desk.know_lists(hot.read_lists(connection, self._lists))
        cursors = self._cursors - desk.cursors.keys()
        if cursors:
            desk.cursors |= hot.read_cursors(connection, cursors)


def lists_said(
    workspace_id: int, scene: plans.Scene, texts: Iterable[templates.Text]
) -> set[tuple[int, str]]:
    """The lists that texts of a rule's actions name in this scene."""
    found = set()
    for text in texts:
        # One that cannot be filled fails its action.
        with contextlib.suppress(errors.RenderFailed):
            found.add((workspace_id, scene.said(text)))
    return found


def standings(
    desk: desks.Desk, workspace_id: int, sent: Mapping[int, Sequence[bytes]]
) -> dict[int, Sequence[str | None]]:
    """How the messages of earlier sends stand, in Courier's words, by visit; None for one that was not read."""
    return {
        visit: [
            _status(desk, key) if key in desk.messages else None
            for key in ((workspace_id, message_id) for message_id in message_ids)
        ]
        for visit, message_ids in sent.items()
    }


def _status(desk: desks.Desk, key: tuple[int, bytes]) -> str:
    state, fresh = desk.messages[key].state, desk.writes.reports.reached.get(key)
    if fresh is not None and fresh.reached is not None and state in reports.AFTER:
        # What this turn was told before it comes to the step.
        return reports.status(messages.State(fresh.reached), fresh.known)
    reached = desk.reached.get(key)
    return _UNREPORTED[state] if reached is None else reports.status(messages.State(state), reached.known)


_UNREPORTED = {int(state): reports.status(state, reports.NOTHING) for state in messages.State}
"""How a message stands of which no report tells, by its state."""


def keep_keys(
    desk: desks.Desk,
    row: rows.Run,
    tenant_id: str | None,
    before: Sequence[runs.Record],
    after: Sequence[runs.Record],
    messages_of: MessagesOf,
) -> None:
    """Remember the keys that steps have used in this move."""
    for visit, record in enumerate(after):
        kept = step_keys.kept_in(record)
        if kept is None or (visit < len(before) and before[visit].status == record.status):
            continue
        key, expires_at = scoped_key(tenant_id, kept.key), _expires_at(kept)
        encoded = msgspec.json.encode(_answer(row.id, visit, record, messages_of))
        desk.put_step_key(step_rows.StepKey(row.workspace_id, kept.action, key, row.id, encoded, expires_at))


def used_by_itself(
    run_id: bytes,
    records: Sequence[runs.Record],
    place: tuple[str, str],
    now: int,
    messages_of: MessagesOf,
) -> frames.Used | None:
    """What a run's own steps have done with this key, by what they left: its turn remembers it when they are taken."""
    for visit, record in enumerate(records):
        kept = step_keys.kept_in(record)
        if kept is not None and (kept.action, kept.key) == place and _expires_at(kept) > now:
            return frames.Used(ids.wire(run_id), _answer(run_id, visit, record, messages_of))
    return None


def _expires_at(kept: step_keys.Kept) -> int:
    return schedule.parse_instant(kept.expires_at, "expires_at")


def _answer(run_id: bytes, visit: int, record: runs.Record, messages_of: MessagesOf) -> Any:
    """What a step with a key came to: what it was answered, else its messages."""
    fetched = record.output.get(fetches.FETCHED)
    return fetched if fetched is not None else [ids.text(one) for one in messages_of(run_id, visit, record)]


def scoped_key(tenant_id: str | None, key: str) -> str:
    """The key of a step as it is stored: what tenants do is no business of each other, whatever they are called."""
    if tenant_id is None:
        return f"/{key}" if "/" in key else key
    return ids.in_tenant(tenant_id, key)
