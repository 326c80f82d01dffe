"""The desk of one turn: what was read of the store, what the turn has changed of it, what it will write.

Law: a decision looks at the desk and sees what earlier decisions of the same turn left, so a turn of n inputs
leaves the same rows as n turns of one. Everything is read in bulk before the first decision and written in bulk
after the last; nothing here touches the database.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph.core import (
    conversations,
    effects,
    ids,
    messages,
    people,
    plans,
    rules,
    runs,
    schedule,
    segment_moves,
    statistics,
)
from heliograph.store import alert_rows, birthdays, fanout_rows, list_rows, report_rows, rows, step_rows

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_NO_FOOT = bytes(8)
_COUNTED = ("workspace_id", "automation_id", "outcome")
_OF_RUN = operator.itemgetter(*map(rows.Run._fields.index, _COUNTED))
_OF_PASSED_RUN = operator.itemgetter(*map(rows.PASSED_RUN.index, _COUNTED))


RunChange = tuple[int, int, str | None, bytes]
"""How a run that was there is to stand, as rows.Writes.run_changes has it."""


class DueAgain(NamedTuple):
    """A message that waited, and when its time came."""

    message: rows.Message
    wake_at: int
    after: int
    """How many messages this turn had made by then."""


class ContactChange(NamedTuple):
    """A contact as it was before the turn changed it."""

    after: int
    """How many messages the turn had made by then."""
    due_again: int
    """Likewise those whose time had come."""
    before: rows.Contact | None


class _Tally(NamedTuple):
    """What was counted, and is not put together yet; whose day is asked of the head of their ids."""

    settled: Counter[tuple[int, bytes, bytes, bool]]
    """Runs that waited: (workspace, rule, head, whether it was executed)."""
    events: Counter[tuple[int, str | None, bytes, bool, int, int]]
    """(workspace, tenant, head, whether it is looked at for the first time, processed, failed)"""
    runs: int
    passed_runs: int
    """So many of `writes.runs`, and of these, are counted."""


class Desk:
    """The state of one turn in memory."""

    def __init__(self, now: int, debts: int = 0, launched: int = 0):
        """`debts` are those that turns of the same instant have laid into inboxes before; `launched` likewise, runs."""
        self.now, self.head, self.debts, self.launched = now, ids.head(now), debts, launched
        self.writes = rows.Writes()
        self.contacts: dict[tuple[int, str], rows.Contact] = {}
        self.contacts_looked_up: set[tuple[int, str]] = set()
        """Those that were asked for: who is not in `contacts` is not stored."""
        self.conversations: dict[tuple[int, str], rows.Conversation] = {}
        self.cooldowns: dict[tuple[int, bytes, str], int] = {}
        self.runs: dict[tuple[int, bytes], rows.Run] = {}
        self.events: dict[tuple[int, bytes], rows.Event] = {}
        self.attempts: dict[tuple[int, bytes], int] = {}
        self.messages: dict[tuple[int, bytes], rows.Message] = {}
        self.reached: dict[tuple[int, bytes], report_rows.Reached] = {}
        """What reports have told of those messages that runs ask about."""
        self.tenant_profiles: dict[tuple[int, str, str], step_rows.TenantProfile] = {}
        self.tenant_profiles_looked_up: set[tuple[int, str, str]] = set()
        """(workspace, user_id, tenant); where there is no tenant, they are not in `tenant_profiles`."""
        self.step_keys: dict[tuple[int, str, str], step_rows.StepKey] = {}
        self.step_keys_looked_up: set[tuple[int, str, str]] = set()
        """(workspace, action, key)"""
        self.passes: dict[tuple[int, str], tuple[Sequence[int], int]] = {}
        """When the last runs of throttled groups passed, and until when that matters, by (workspace, group)."""
        self.starts: dict[tuple[int, bytes], rows.Start] = {}
        self.called_off: set[tuple[int, str | None, str | None]] = set()
        """(workspace, tenant, token) of runs that this turn has canceled; of no tenant: whosever they are."""
        self.lists: dict[int, dict[str, str | None]] = {}
        """The tenants of lists that are there, by workspace and id."""
        self.lists_looked_up: set[tuple[int, str]] = set()
        self.campaigns: dict[tuple[int, bytes], fanout_rows.Campaign] = {}
        self.cursors: dict[tuple[int, bytes], fanout_rows.Cursor] = {}
        self.alerts: dict[tuple[int, bytes], alert_rows.Alert] = {}
        self.planned: list[rows.Message] = []
        """New messages that are to go out."""
        self.due_again: list[DueAgain] = []
        """Messages of earlier turns whose time has come."""
        self.contact_changes: dict[tuple[int, str], list[ContactChange]] = {}
        """How contacts were before this turn changed them, in order."""
        self.late: dict[bytes, int] = {}
        """Since when (µs) messages are due that are too late to go out without an operator's word (E33)."""
        self.judged = 0
        """How many people of fan-outs and of the calendar were looked at."""
        self.goes_on = False
        """Whether a timer was set that is due at once."""
        self.listens: Callable[[int, str | None, str], bool] = lambda *_: False
        """(workspace, tenant, event type) to whether any rule or journey waits for such events."""
        self.groups: Callable[[int], segment_moves.Groups] = lambda _: segment_moves.NOBODY
        """The segments of a workspace of whose moves somebody waits to hear; known once `listens` was asked of it."""
        # What a run of (plan, state) that takes no further step is to be after an answer, by the answer's body: most
        # answers of a turn say the same to runs that stand the same.
        self.answered: dict[tuple[plans.Plan, Any, Any], RunChange] = {}
        self._tally = _Tally(Counter(), Counter(), 0, 0)
        self._roots: dict[tuple[str, int, str], dict[str, Any]] = {}

    counts = property(operator.attrgetter("debts", "launched"))
    """What the next turn of the same instant begins with."""

    # ── the records, as conditions and texts see them ───────────────────────────────────────────────

    def contact(self, workspace_id: int, user_id: str) -> Mapping[str, Any]:
        """The contact's profile with its `id` and `tags`; `{id}` alone where none is stored."""
        key = ("contact", workspace_id, user_id)
        if key not in self._roots:
            row = self.contacts.get((workspace_id, user_id))
            if row is None:
                # Whoever looks at them later in this turn may have them read.
                return root(user_id, None, None)
            self._roots[key] = root(user_id, row.profile, row.tags)
        return self._roots[key]

    def conversation(self, workspace_id: int, conversation_id: str) -> Mapping[str, Any]:
        """How the conversation stands, with its `id` and `tags`; `{id}` alone where none is stored."""
        key = ("conversation", workspace_id, conversation_id)
        if key not in self._roots:
            row = self.conversations.get((workspace_id, conversation_id))
            self._roots[key] = conversation_root(conversation_id, row)
        return self._roots[key]

    # ── changes ─────────────────────────────────────────────────────────────────────────────────────

    def save_profile(self, workspace_id: int, tenant_id: str | None, effect: effects.SaveProfile) -> None:
        """Write a contact's profile."""
        row = self._contact_row(workspace_id, tenant_id, effect.contact_id)
        before = _decode(row.profile)
        profile = people.written(effect.strategy, before, effect.fields)
        birthdays.note(self.writes, row, before, profile, self.now)
        self._put_contact(row._replace(profile=_encode(profile), updated_at=self.now))

    def save_tags(self, workspace_id: int, tenant_id: str | None, effect: effects.SaveTags) -> None:
        """Put tags on a contact, or take them off."""
        row = self._contact_row(workspace_id, tenant_id, effect.contact_id)
        tags = _encode(conversations.tagged(_decode(row.tags), effect.add, effect.remove))
        self._put_contact(row._replace(tags=tags, updated_at=self.now))

    def conversation_row(
        self, workspace_id: int, identity: str, otherwise: Mapping[str, str | None]
    ) -> rows.Conversation:
        """A conversation; where none is stored, a new one, of which `otherwise` has tenant, contact and channel."""
        found = self.conversations.get((workspace_id, identity))
        if found is not None:
            return found
        partition = ids.partition_of_subject(workspace_id, rules.cooldown_subject(None, identity))
        return rows.Conversation(
            workspace_id,
            identity,
            partition,
            otherwise.get("tenant_id"),
            b"{}",
            b"[]",
            self.now,
            self.now,
            otherwise.get("contact_id"),
            otherwise.get("channel"),
            conversations.FIRST_STATUS,
            conversations.FIRST_PRIORITY,
            None,
            None,
        )

    def put_conversation(self, row: rows.Conversation) -> None:
        """Let a conversation stand like this."""
        key = (row.workspace_id, row.id)
        self.conversations[key] = self.writes.conversations[key] = row
        self._roots.pop(("conversation", *key), None)

    def know_lists(self, found: Mapping[tuple[int, str], str | None]) -> None:
        """Lists were read: the tenant of each that is there, by (workspace, id)."""
        for (workspace_id, list_id), tenant_id in found.items():
            self.lists.setdefault(workspace_id, {})[list_id] = tenant_id

    def subscribe(self, workspace_id: int, effect: effects.Subscribe) -> None:
        """Put a contact on a list."""
        partition = rules.partition_of_person(workspace_id, effect.contact_id)
        key = (workspace_id, effect.list_id, partition, effect.contact_id)
        preferences: bytes | str | None = None if effect.preferences is None else _encode(effect.preferences)
        before = self.writes.subscriptions.get(key)
        if preferences is None and before is not None:
            preferences = before.preferences
        self.writes.subscriptions[key] = list_rows.Subscription(
            *key, list_rows.BY_AUTOMATION, preferences, self.now, self.now
        )

    def _contact_row(self, workspace_id: int, tenant_id: str | None, user_id: str) -> rows.Contact:
        found = self.contacts.get((workspace_id, user_id))
        if found is not None:
            return found
        partition = rules.partition_of_person(workspace_id, user_id)
        return rows.Contact(workspace_id, user_id, partition, tenant_id, b"{}", b"[]", self.now, self.now)

    def _put_contact(self, row: rows.Contact) -> None:
        key = (row.workspace_id, row.user_id)
        change = ContactChange(len(self.writes.messages), len(self.due_again), self.contacts.get(key))
        self.contact_changes.setdefault(key, []).append(change)
        self.contacts[key] = self.writes.contacts[key] = row
        self._roots.pop(("contact", *key), None)

    def matched(self, workspace_id: int, rule_id: bytes, subject: str) -> None:
        """Start the cooldown of a rule for a subject."""
        key = (workspace_id, rule_id, subject)
        self.cooldowns[key] = self.writes.cooldowns[key] = self.now

    def put_run(self, row: rows.Run) -> None:
        """Let a run stand like this."""
        key = (row.workspace_id, row.id)
        self.runs[key] = row
        new = self.writes.started.get(key)
        if new is not None:
            self.writes.started[key] = (row, new[1])
            return
        self.writes.run_changes[key] = (int(row.status), int(row.outcome), row.reason, _bytes(row.state))

    def let_start(self, begun: Mapping[tuple[int, bytes], rows.Launch]) -> None:
        """Let these runs begin: they are written as they stand at the end."""
        for key, one in begun.items():
            self.runs[key], self.starts[key] = one.run, one.start
            self.writes.started[key] = (one.run, one.start)

    def cancel_message(self, workspace_id: int, message_id: bytes) -> None:
        """Let a message not go out, unless somebody holds it."""
        key = (workspace_id, message_id)
        canceled = int(messages.State.CANCELED)
        for message in self.planned:
            if (message.workspace_id, message.id) == key:
                self.planned.remove(message)
                place = self.writes.messages.index(message)
                self.writes.messages[place] = message._replace(
                    state=canceled, settled_at=self.now, error="canceled"
                )
                return
        if key in self.messages:
            self.messages[key] = self.messages[key]._replace(state=canceled)
        self.writes.canceled.append(key)

    def cancel_by_token(self, workspace_id: int, tenant_id: str | None, token: str) -> None:
        """Let every run in progress that has this token be canceled: none takes another step in this turn.

        A tenant reaches its own runs; None: every run in the workspace.
        """
        self.writes.launches.append(rows.TokenCancel(workspace_id, tenant_id, token))
        self.called_off.add((workspace_id, tenant_id, token))

    def put_step_key(self, row: step_rows.StepKey) -> None:
        """Remember what a step with a key did, unless one did it before whose key still holds."""
        key = row[:3]
        known = self.step_keys.get(key)
        if known is None or known.expires_at <= self.now:
            self.step_keys[key] = self.writes.kept.step_keys[key] = row

    def put_campaign(self, row: fanout_rows.Campaign) -> None:
        """Let a campaign stand like this."""
        key = (row.workspace_id, row.automation_id)
        self.campaigns[key] = self.writes.campaigns[key] = row

    def put_cursor(self, row: fanout_rows.Cursor) -> None:
        """Let a fan-out's cursor stand here."""
        key = (row.workspace_id, row.id)
        self.cursors[key] = self.writes.cursors[key] = row

    def put_alert(self, key: tuple[int, bytes], row: alert_rows.Alert | None) -> None:
        """Let this be what has been told of a rule."""
        self.writes.alerts[key] = row
        self.alerts.pop(key, None)
        if row is not None:
            self.alerts[key] = row

    def decide(self, row: rows.Decision) -> None:
        """Let this be what has become of an event."""
        is_first = self._is_first(row.workspace_id, row.event_id)
        (self.writes.decisions if is_first else self.writes.decided_again).append(row)

    def _is_first(self, workspace_id: int, event_id: bytes) -> bool:
        """Whether an event is looked at for the first time."""
        return not self.attempts or (workspace_id, event_id) not in self.attempts

    # ── counts ──────────────────────────────────────────────────────────────────────────────────────

    def counted(self, workspace_id: int, rule_id: bytes, days: statistics.Window) -> statistics.Counts:
        """What this turn has counted so far of a rule's runs of these days."""
        self.close()
        found = statistics.Counts()
        for (workspace, rule, day), counts in self.writes.rule_counts.items():
            if (workspace, rule) == (workspace_id, rule_id) and days.first <= day <= days.last:
                found = found.plus(statistics.Counts(*counts))
        return found

    def close(self) -> None:
        """Put together what was counted so far, and new runs as they stand."""
        settled, seen, runs_before, passed_before = self._tally
        writes = self.writes
        made = Counter(map(_OF_RUN, writes.runs[runs_before:]))
        made.update(map(_OF_PASSED_RUN, writes.passed_runs[passed_before:]))
        for (workspace_id, rule_id, outcome), count in made.items():
            self._rule_counts(workspace_id, rule_id, self.now, _counts(outcome, count))
        for (workspace_id, rule_id, made_at, executed), count in settled.items():
            counts = (0, 0, count * executed, -count)
            self._rule_counts(workspace_id, rule_id, ids.created_at(made_at + _NO_FOOT), counts)
        for (workspace_id, tenant_id, head, is_first, processed, failed), count in seen.items():
            of_day = (workspace_id, tenant_id or "", ids.created_at(head + _NO_FOOT) // schedule.DAY)
            event_counts = writes.event_counts.setdefault(of_day, [0, 0, 0])
            event_counts[0] += count * is_first
            event_counts[1] += count * processed
            event_counts[2] += count * failed
        self._tally = _Tally(Counter(), Counter(), len(writes.runs), len(writes.passed_runs))

    def count_settled(self, workspace_id: int, rule_id: bytes, run_id: bytes, *, executed: bool) -> None:
        """A run that waited has settled; it counts on the day it was made."""
        self._tally.settled[workspace_id, rule_id, run_id[:8], executed] += 1

    def _rule_counts(
        self, workspace_id: int, rule_id: bytes, at: int, more: tuple[int, int, int, int]
    ) -> None:
        key = (workspace_id, rule_id, at // schedule.DAY)
        counts = self.writes.rule_counts.get(key)
        if counts is None:
            self.writes.rule_counts[key] = list(more)
        else:
            counts[0] += more[0]
            counts[1] += more[1]
            counts[2] += more[2]
            counts[3] += more[3]

    def count_event(self, event: rows.Event, *, processed: int = 0, failed: int = 0) -> None:
        """An event that was looked at, and whether that was the end of it; it counts on the day it came in."""
        workspace_id, identity = event.workspace_id, event.id
        is_first = self._is_first(workspace_id, identity)
        self._tally.events[workspace_id, event.tenant_id, identity[:8], is_first, processed, failed] += 1


def _counts(outcome: int, count: int) -> tuple[int, int, int, int]:
    """So many new runs of one outcome: (total, matched, executed, pending)."""
    matched = count if outcome in runs.MATCHED else 0
    executed = count if outcome == runs.Outcome.EXECUTED else 0
    pending = count if outcome == runs.Outcome.PENDING else 0
    return count, matched, executed, pending


def _bytes(state: bytes | str | None) -> bytes:
    return state.encode() if isinstance(state, str) else state or b"[]"


def root(identity: str, record: bytes | str | None, tags: bytes | str | None) -> dict[str, Any]:
    """A stored profile (JSON texts) as conditions and texts see it; `{id}` alone where none is stored."""
    if record is None:
        return {"id": identity}
    return {**_decode(record), "id": identity, "tags": _decode(tags or b"[]")}


def conversation_root(identity: str, row: rows.Conversation | None) -> dict[str, Any]:
    """A stored conversation as conditions and texts see it; `{id}` alone where none is stored."""
    if row is None:
        return {"id": identity}
    return {
        "id": identity,
        "contact_id": row.contact_id,
        "channel": row.channel,
        "status": row.status,
        "priority": row.priority,
        "agent_id": row.agent_id,
        "division_id": row.division_id,
        "attributes": _decode(row.attributes),
        "tags": _decode(row.tags),
    }
