"""What the core may ask of the shell.

Law: an effect is a value, named by its key (run, visit, ordinal); nothing happens here. The turn carries out
effects on our own records in its transaction; what concerns the outside becomes a ledger row that `deliver`
works off; what concerns another subject becomes an inbox row in that subject's partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

from heliograph.core import routes


class Inbox(IntEnum):
    """What an inbox row brings to its subject."""

    REPLY = 1
    """The outside answered an effect that a run waits for."""
    DELIVER = 2
    """A message for this subject, decided in another partition."""
    TAG = 3
    """Tags to put on or take off, decided in another partition by an older Heliograph: now it is CHANGE."""
    PROFILE = 4
    """A profile to be written, decided in another partition."""
    THROTTLE = 31
    """A run asks whether it may pass, in the partition of its group."""
    CANCEL = 5
    """A run of this partition is to be canceled, or a message in it whose run was."""
    JOB = 6
    """A message of a fan-out has come to its end, which its cursor counts."""
    WALKED = 7
    """A fan-out has judged all people of a partition, which its automation hears."""
    SETTLED = 8
    """All messages of a fan-out in a partition have ended, which its automation hears."""
    CHANGE = 12
    """A conversation of this partition is to be changed, decided in another one."""
    JOIN = 20
    """A run's item for a batch."""
    LEAVE = 21
    """A run whose item is in a batch was canceled."""
    TAKEN = 22
    """The owner of a batch has its items: the batch is over."""
    ORDER = 23
    """An operator's word about a batch: `release` or `drop`."""
    JOINED = 24
    """A run hears that its item is in a batch."""
    OWNER = 25
    """A run hears that the batch is its own now, the owner before it having been canceled."""
    RELEASED = 26
    """The owner of a batch is handed its items."""
    SUBSCRIBE = 30
    """A contact of this partition is to be on a list, decided in another one."""
    REPORT = 40
    """A provider tells what became of a message of this partition (core.reports)."""
    ADDRESS = 41
    """An address of this partition hears that a message bounced there, or arrived."""
    MADE = 33
    """A run hears what the request to send has become that its step asked for."""
    RECALL = 43
    """A request to send is to be taken back, whose run was canceled."""
    REPEAT = 42
    """A message for this subject is to be sent again, as a new one."""
    LET_GO = 44
    """An operator lets a message of this partition go, which is asked about again."""


class Timer(IntEnum):
    """What wakes when a timer is due."""

    EVENT = 1
    """An event whose decision failed is tried again."""
    SEND = 2
    """A message whose delivery failed for a time is due again."""
    RUN = 3
    """A run begins, or goes on after it has waited."""
    CURSOR = 4
    """A fan-out goes on in a partition."""
    CAMPAIGN = 5
    """A campaign is to be looked at: it is about to run, or due."""
    CALENDAR = 6
    """A day has begun for a date automation, or what it says has changed."""
    BIRTHDAYS = 7
    """Birthdays have become known in a partition."""
    WALK = 8
    """A date automation goes on through the birthdays of a partition."""
    ALARM = 9
    """A rule is looked at, whether it is alarming and whether somebody is to be told."""
    REQUEST = 10
    """A request to send is due."""
    BULK = 11
    """A bulk job goes on."""
    ESCALATION = 12
    """Whether anybody took notice of a message is looked at, which else goes on by its next channel."""
    LINE = 13
    """Deliveries of a workspace are held no more: what is in line may go. Nothing is decided of it."""
    BATCH = 20
    """A batch may be due."""


class Door(IntEnum):
    """What starts runs, beside rules."""

    JOURNEY = 1
    """An invocation, from outside or by a step."""
    DATE = 2
    """The calendar."""


class Kind(IntEnum):
    """What a row of the ledger is."""

    MESSAGE = 1
    """Something a person receives."""
    CALL = 2
    """A request to another program (`call_webhook`)."""
    FETCH = 3
    """A request for another program's data, for which a run waits (`fetch-data`)."""


class Deliver(msgspec.Struct, frozen=True, gc=False):
    """Hand something to the outside, once, and bring back the answer."""

    kind: Kind
    channel: str
    contact_id: str | None
    address: str | None
    """Where it goes; None where the recipient has no address for the channel."""
    template_id: str | None
    template_version: int | None
    content: Mapping[str, Any] | None
    """The texts as written; `deliver` fills them."""
    data: Mapping[str, Any]
    """What fills them, beside the event itself."""
    fault: str | None
    """Why it cannot go out at all, where that is known already."""
    route: routes.Route = routes.DIRECT
    """The ways that follow, and what else it goes by."""
    request_id: bytes | None = None
    """The mailing whose messages it is one of, where its run is one of many."""


class SaveProfile(NamedTuple):
    """Write a contact's profile by a merge strategy (the contact is made where there is none)."""

    contact_id: str
    fields: Mapping[str, Any]
    strategy: str = "overwrite"
    answers: bool = False
    """Whether the run waits until it is written."""


class SaveTags(NamedTuple):
    """Put tags on a contact, or take them off (the contact is made where there is none)."""

    contact_id: str
    add: tuple[str, ...]
    remove: tuple[str, ...]


class ChangeConversation(NamedTuple):
    """Change a conversation, which is made where there is none (rules.md R15)."""

    id: str
    fields: Mapping[str, Any]
    """Of `status`, `priority`, `agent_id`, `division_id`: those that are set."""
    add: tuple[str, ...] = ()
    """Tags to put on."""
    remove: tuple[str, ...] = ()
    """Tags to take off."""
    note: str | None = None
    """What is noted down."""


class Emit(NamedTuple):
    """Let an event of our own come in, behind what is waiting."""

    event_type: str
    payload: Mapping[str, Any]
    contact_id: str | None
    conversation_id: str | None


class Subscribe(NamedTuple):
    """Put a contact on a list; who is on it stays."""

    list_id: str
    contact_id: str
    preferences: Mapping[str, Any] | None = None
    """What they prefer there; None leaves it as it is."""


class Wait(NamedTuple):
    """Let the run go on when an instant has come."""

    until: int


class Start(NamedTuple):
    """Start a run, and bring back whether it was started."""

    door: Door
    automation_id: bytes
    version: int
    start_key: str | None
    """What it is unique by among the runs of its automation; None: the effect itself."""
    contact_id: str | None
    token: str | None
    body: Mapping[str, Any]
    """What it is started with."""


class JoinBatch(NamedTuple):
    """Add the run's data to a batch, and bring back its items or that it belongs to somebody else's run."""

    batch_key: str
    scope: str
    """One of batches.SCOPES."""
    user_id: str | None
    """Whose batch it is, in the scope `user`."""
    category_key: str
    wait: int
    """Microseconds without a further item after which the batch is released."""
    max_wait: int
    """Microseconds after the first item at which it is released in any case."""
    max_items: int | None
    retain_type: str
    retain_count: int
    sort_key: str | None
    data: Mapping[str, Any]


class Throttle(NamedTuple):
    """Ask whether the run may pass, as one of its group."""

    group: tuple[str | None, ...]
    max_allowed: int
    period: int
    """Microseconds within which so many pass."""


class SendMany(NamedTuple):
    """Write to everybody on a list, and bring back what became of it."""

    list_id: str
    template_id: str
    template_version: int
    look: Mapping[str, Any] | None
    """The brand in whose look it is drawn, as a message's `content` says it."""
    data: Mapping[str, Any]
    request: Mapping[str, Any] | None
    """What is asked about each of them first."""
    strategy: str
    """How what is answered is merged into the data."""
    override: Mapping[str, Any] | None = None
    """What is said of its e-mails instead."""
    letter: Any = None
    """A core.outgoing.Letter, where a strategy says more than that it goes by e-mail."""


class SendRequest(NamedTuple):
    """Ask for what `POST /send` would be asked, and bring back what became of it."""

    said: Any
    """A core.requests.Request."""
    due_at: int
    """When (µs) it is taken up."""


class Cancel(NamedTuple):
    """Cancel every run in progress that has this token."""

    token: str


Effect = (
    Deliver
    | SaveProfile
    | SaveTags
    | Subscribe
    | SendMany
    | SendRequest
    | ChangeConversation
    | Emit
    | Wait
    | Start
    | JoinBatch
    | Throttle
    | Cancel
)
