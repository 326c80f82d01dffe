"""The rows that pass between the engine and the two hot files: plain tuples, in the order of the columns.

Law: no SQL and no decisions here; a field's meaning stands once, in schema.py. Numbers that stand for words
(states, kinds, outcomes) are the enums of core.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph.core import ids, reports
from heliograph.store import (
    alert_rows,
    batch_rows,
    bulk_rows,
    calendar_rows,
    fanout_rows,
    list_rows,
    policy_rows,
    report_rows,
    request_rows,
    step_rows,
)


class Event(NamedTuple):
    """A row of `events`: what came in, as it came in; `payload` and `previous` are JSON text."""

    workspace_id: int
    id: bytes
    partition: int
    tenant_id: str | None
    event_type: str
    contact_id: str | None
    conversation_id: str | None
    source: str
    channel_source: str | None
    occurred_at: int | None
    depth: int
    payload: bytes | str
    previous: bytes | str | None


class Key(NamedTuple):
    """A row of `idempotency_keys`."""

    workspace_id: int
    key: str
    event_id: bytes
    fingerprint: bytes
    expires_at: int


class Decision(NamedTuple):
    """A row of `decisions`: what became of an event, and by which definitions."""

    workspace_id: int
    event_id: bytes
    status: int
    attempts: int
    available_at: int | None
    decided_at: int | None
    definitions_version: int
    error: str | None


class Run(NamedTuple):
    """A row of `runs`."""

    workspace_id: int
    id: bytes
    automation_id: bytes
    version: int
    event_id: bytes | None
    start_key: str | None
    status: int
    outcome: int
    reason: str | None
    trace: bytes | str | None
    state: bytes | str | None

    def moved(self, status: int, outcome: int, state: bytes) -> Run:
        """The run after it has moved: `status` and `outcome` are of core.runs, `state` is its records."""
        return Run(*self[:6], status, outcome, self.reason, self.trace, state)


PASSED_RUN = (
    "workspace_id",
    "id",
    "automation_id",
    "version",
    "event_id",
    "outcome",
    "reason",
    "trace",
)
"""What is known of a run that ended where it began."""


class Message(NamedTuple):
    """A row of `messages`; `content` and `data` are JSON text: the pinned text and what fills it."""

    workspace_id: int
    id: bytes
    partition: int
    tenant_id: str | None
    kind: int
    channel: str
    automation_id: bytes | None
    run_id: bytes | None
    visit: int
    ordinal: int
    event_id: bytes | None
    contact_id: str | None
    address: str | None
    template_id: str | None
    template_version: int | None
    content: bytes | str | None
    data: bytes | str | None
    state: int
    settled_at: int | None
    attempts: bytes | str | None
    error: str | None
    request_id: bytes | None = None
    """The request to send that it was made for, where it was one."""
    route: bytes | str | None = None
    """JSON text of core.routes.Route: the ways that follow, and until when; None: there is this way alone."""


class Inbox(NamedTuple):
    """A row of `inbox`; `run_id` is the run that waits for it, where one does."""

    partition: int
    workspace_id: int
    id: bytes
    kind: int
    run_id: bytes | None
    body: bytes | str
    attempts: int


class Timer(NamedTuple):
    """A row of `timers`."""

    partition: int
    wake_at: int
    workspace_id: int
    kind: int
    id: bytes


class Contact(NamedTuple):
    """What a turn reads and writes of `contacts`; `profile` and `tags` are JSON text."""

    workspace_id: int
    user_id: str
    partition: int
    tenant_id: str | None
    profile: bytes | str
    tags: bytes | str
    created_at: int
    updated_at: int


class Conversation(NamedTuple):
    """What a turn reads and writes of `conversations`; `attributes` and `tags` are JSON text."""

    workspace_id: int
    id: str
    partition: int
    tenant_id: str | None
    attributes: bytes | str
    tags: bytes | str
    created_at: int
    updated_at: int
    contact_id: str | None
    channel: str | None
    status: str
    priority: str
    agent_id: str | None
    division_id: str | None


class Note(NamedTuple):
    """A row of `notes`."""

    workspace_id: int
    conversation_id: str
    id: bytes
    author: str
    """`rule:<id>`, or `key:<id>` of who wrote it over HTTP."""
    text: str


class Start(NamedTuple):
    """A row of `starts`: what a run was started with; `body` is the JSON of its door's own."""

    workspace_id: int
    run_id: bytes
    partition: int
    door: int
    """core.effects.Door"""
    tenant_id: str | None
    contact_id: str | None
    token: str | None
    body: bytes | str


class Launch(NamedTuple):
    """A run that is to begin at `wake_at`, unless one with its start key is there."""

    run: Run
    start: Start
    wake_at: int
    asked_by: tuple[bytes, int, int] | None = None
    """(run, visit, ordinal) of the effect that hears whether it was started."""

    @property
    def key(self) -> tuple[bytes, str] | None:
        """The automation and the start key that somebody named; None where the run is unique by its own id."""
        name = self.run.start_key
        return None if name is None or name == ids.text(self.run.id) else (self.run.automation_id, name)


class TokenCancel(NamedTuple):
    """Every run in progress that has this token is to be canceled: a tenant's, or any in the workspace."""

    workspace_id: int
    tenant_id: str | None
    token: str


class Taken(NamedTuple):
    """What a turn took: each list in the order in which it is to be decided."""

    partitions: tuple[int, ...]
    inbox: list[Inbox]
    timers: list[Timer]
    events: list[Event]
    more: bool
    """Whether something was left lying that is due."""
    versions: Mapping[int, int]
    """The definitions' version of every workspace that something was taken of."""
    held: Collection[int]
    """Those of them whose deliveries are on hold."""
    erasing: Collection[int] = ()
    """Those of them in which somebody is being taken out of history."""
    reached: int = 0
    """The workspace after which the next walk over them begins."""
    last_now: int = 0
    """The latest instant at which others had taken these partitions, where they may have since it was asked."""
    crowded: bool = False
    """Whether answers and timers left no room for events: the next turn is to look for who has a share."""


class Writes:
    """Everything that a turn leaves behind, one list for each table; written with bulk statements at its end."""

    __slots__ = (
        "alerts",
        "batches",
        "birthdays",
        "bulk",
        "campaigns",
        "canceled",
        "claims",
        "contacts",
        "conversations",
        "cooldowns",
        "cursors",
        "decided_again",
        "decisions",
        "due",
        "ended_walks",
        "event_counts",
        "events",
        "fanouts",
        "forgotten_birthdays",
        "forgotten_timers",
        "inbox",
        "kept",
        "launches",
        "messages",
        "moved_walks",
        "notes",
        "paced",
        "rule_counts",
        "passed_runs",
        "reports",
        "run_changes",
        "runs",
        "send_due",
        "started",
        "subscriptions",
        "timers",
        "walks",
    )

    def __init__(self) -> None:
        self.alerts: dict[tuple[int, bytes], alert_rows.Alert | None] = {}
        self.events: list[Event] = []
        self.due: list[tuple[int, int, bytes]] = []  # (partition, workspace_id, event_id)
        self.decisions: list[Decision] = []  # of events that had none
        self.decided_again: list[Decision] = []  # instead of those that stand
        self.runs: list[tuple[Any, ...]] = []
        """rows.Run, or a plain tuple of the same"""
        self.passed_runs: list[tuple[int, bytes, bytes, int, bytes, int, str | None, bytes]] = []
        """Runs that ended where they began, as PASSED_RUN has them; most runs are such, and the fewer values a row
        binds the cheaper it is."""
        self.run_changes: dict[tuple[int, bytes], tuple[int, int, str | None, bytes]] = {}
        """(workspace_id, id) to (status, outcome, reason, state)"""
        # Runs that begin and take their first steps in this turn, as they stand.
        self.started: dict[tuple[int, bytes], tuple[Run, Start]] = {}
        self.messages: list[Message] = []
        self.send_due: list[tuple[int, int, bytes, int]] = []
        """(partition, workspace_id, message_id, due_at)"""
        self.claims: list[tuple[int, bytes, int, int, str]] = []
        """(workspace_id, message_id, lease_until, claimed_at, claimed_by)"""
        self.canceled: list[tuple[int, bytes]] = []
        """(workspace_id, id) of messages that are not to go out, unless somebody holds them"""
        self.timers: list[Timer] = []
        self.inbox: list[Inbox] = []
        self.launches: list[Launch | TokenCancel] = []
        """In the order in which they were decided; engine/started.py carries out these and `canceled`."""
        self.kept, self.paced, self.bulk = step_rows.Kept(), policy_rows.Writes(), bulk_rows.Writes()
        self.contacts: dict[tuple[int, str], Contact] = {}
        self.birthdays: dict[tuple[int, str], calendar_rows.Birthday] = {}
        self.forgotten_birthdays: list[tuple[int, int, int, str]] = []
        """(workspace_id, partition, birthday, user_id), which are no more, or are known anew"""
        self.walks: list[calendar_rows.Walk] = []  # new ones
        self.moved_walks: list[tuple[str, int, bytes]] = []
        """(place, workspace_id, id)"""
        self.ended_walks: list[tuple[int, bytes]] = []
        """(workspace_id, id)"""
        self.batches, self.reports = batch_rows.Writes(), report_rows.Writes()
        self.forgotten_timers: list[Timer] = []
        """Those that were set by an earlier turn and are set no more."""
        self.subscriptions: dict[tuple[int, str, int, str], list_rows.Subscription] = {}
        """(workspace_id, list_id, partition, user_id) to who is to be on a list"""
        self.conversations: dict[tuple[int, str], Conversation] = {}
        self.notes: list[Note] = []
        self.cooldowns: dict[tuple[int, bytes, str], int] = {}
        """(workspace_id, automation_id, subject) to matched_at"""
        self.campaigns: dict[tuple[int, bytes], fanout_rows.Campaign] = {}
        self.fanouts: list[fanout_rows.Fanout] = []
        self.cursors: dict[tuple[int, bytes], fanout_rows.Cursor] = {}
        """New ones, and those of the turn's partitions that were changed."""
        self.rule_counts: dict[tuple[int, bytes, int], list[int]] = {}
        """(workspace_id, automation_id, day) to [total, matched, executed, pending]"""
        self.event_counts: dict[tuple[int, str, int], list[int]] = {}
        """(workspace_id, tenant_id or nothing, day) to [total, processed, failed]"""


class Claimed(NamedTuple):
    """A message that a delivery holds until `lease_until`, with the event that it speaks of."""

    message: Message
    due_at: int
    lease_until: int
    event: Event | None
    is_suppressed: bool = False
    """Whether nothing is sent to its address any more, as it was claimed."""


class Settled(msgspec.Struct, frozen=True, array_like=True):
    """What a delivery stores about one message: its new state, and what follows from it."""

    workspace_id: int
    message_id: bytes
    claimed_at: int  # when the claim was made that it ends, and no later one
    state: int
    settled_at: int | None
    attempts: bytes
    error: str | None
    retry: Timer | None  # or when it is looked at whether anybody took notice of it
    reply: Inbox | None
    failed: Claimed | None = None
    """What was claimed, where it has failed for good."""
    moved: request_rows.Moved | None = None
    """By which way it goes on, where it does by another one."""
    bounce: reports.Word | None = None  # what its address is told of a refusal that says as much as a bounce
    reference: str | None = None  # what its provider calls it, where that reports on it
    lost: Claimed | None = None
    """What was claimed, of one that was not taken now but may have been before: then it stands as it is reported."""

    @property
    def yields(self) -> bool:
        """Whether it ends here, unless a report tells that it was handed over."""
        return self.lost is not None and self.settled_at is not None


def first_answers(settled: Sequence[Settled]) -> list[Settled]:
    """Of each claim its first answer: one that was on its way when its claim was called lost is told before that."""
    return [*{(one.message_id, one.claimed_at): one for one in reversed(settled)}.values()][::-1]
