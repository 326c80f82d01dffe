"""Messages as they are asked for and shown, whatever table they are read from.

Law: no SQL and no decisions here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from heliograph.core import ids, messages, reports
from heliograph.store import rows


class Sent(NamedTuple):
    """A message with its attempts, and the type of the event that it speaks of."""

    row: rows.Message
    event_type: str | None
    attempts: tuple[messages.Attempt, ...]
    known: reports.Known = reports.NOTHING
    """What reports have told of it."""
    is_delayed: bool = False
    """Whether it is a request that is not due yet."""
    recipients: str = ""
    """Whom a request names that waits and is for many."""

    @property
    def status(self) -> str:
        """How it stands, in Courier's words."""
        return "DELAYED" if self.is_delayed else reports.status(messages.State(self.row.state), self.known)

    @property
    def recipient(self) -> str:
        """The contact's id; for a message to no contact, its address."""
        return self.row.contact_id or self.row.address or self.recipients

    @property
    def created_at(self) -> int:
        """When it was decided on (µs)."""
        return ids.created_at(self.row.id)


class Filter(NamedTuple):
    """Which messages are asked for; None = any."""

    message_id: bytes | None = None
    recipient: str | None = None
    """A contact's id; for messages to no contact, their address."""
    statuses: Collection[str] | None = None
    """In Courier's words."""
    event_type: str | None = None
    template_id: str | None = None
    tenant_id: str | None = None
    created_after: int | None = None
    before: bytes | None = None
    """The id of the last message that was seen."""
    trace: str | None = None
    """What their request was traced by, or its id: of a request to send, or of a run's send to a list."""
    tags: Collection[str] | None = None
    """Any of those that their request was tagged with."""
    archived: bool = True
    """Whether those are listed that were archived."""
    list_id: str | None = None
    """The list that they were sent to."""
    providers: Collection[str] | None = None
    """Any of those by which it was tried to hand them over."""
    references: Collection[str] | None = None
    """Any of those that a provider gave for what it took."""
