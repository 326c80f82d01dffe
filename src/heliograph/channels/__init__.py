"""The only way out: what every channel is given, and what it answers.

Law: a channel hands one message or call over and says truthfully what became of it; it decides nothing and
remembers nothing about messages. The provider's faults are answers, never exceptions. `UNCERTAIN` is said
exactly when the other side may or may not have taken what was handed over: retrying then is a policy, not a
repair. Instants are integers, microseconds since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple, Protocol

import msgspec

LONGEST_TEXT = 500
"""Characters of a provider's words that the ledger keeps."""


class HttpRequest(NamedTuple):
    """What a webhook sends; where to is the address of the Outgoing."""

    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    timeout: float = 10.0  # seconds for all of it: name, connection, redirects, answer
    fetches: bool = (
        False  # for data: https alone but for allowed hosts, five redirects, which end as a GET; 1 MiB
    )


class Words(NamedTuple):
    """What a channel shows that shows words alone: sms, push, chat."""

    title: str  # one line, which a text message does not have
    text: str
    data: tuple[tuple[str, str], ...] = ()  # what a program beside its reader is told, for push


class Outgoing(msgspec.Struct, frozen=True):
    """One message or call, rendered and ready to go."""

    message_id: str  # the ledger's id, a UUID in text: the same in every attempt
    channel: str  # "email" | "sms" | "push" | "direct_message" | "webhook"
    address: str  # an e-mail address; a number in E.164 for sms; a URL for webhook; a token or name for push and chat
    content: (
        bytes | HttpRequest | Words
    )  # finished MIME for email; text in UTF-8 or MIME for console; a request for webhook; words for the others
    sender: str  # the envelope's sender, for email; for sms a number or name, where the message says from whom it is
    expires_at: int  # the claim's lease (µs): the hand-over is never begun at or after it


class Outcome(Enum):
    """What became of one hand-over."""

    ACCEPTED = "accepted"
    """The other side took responsibility."""
    TEMPORARY = "temporary"
    """It was not taken; a later attempt may succeed."""
    PERMANENT = "permanent"
    """It was not taken, and never will be as it is."""
    UNCERTAIN = "uncertain"
    """It was handed over and the answer was lost."""

    # An outcome is itself and no other: the library would look up its name for each hash.
    __hash__ = object.__hash__


class Answer(NamedTuple):
    """What a channel says of one hand-over."""

    outcome: Outcome
    provider: str  # who answered: "smtp", "http", "console"
    reference: str | None = None  # the provider's own id of what it took
    code: str | None = (
        None  # the provider's code ("250", "550 5.1.1", "429"), or one word of ours (see OUR_CODES)
    )
    text: str = ""  # the provider's words, or ours, ≤ 500 characters
    detail: Mapping[str, Any] | None = (
        None  # webhook: {"status", "headers", "body"}, of which 64 KiB, or all of it where it fetches
    )
    retry_after: float | None = None  # seconds to wait before the next attempt, where somebody said so
    blames_provider: bool = False  # the fault is the provider's, not the message's: another may take it


OUR_CODES = {
    "lease_over": "the claim ran out before the hand-over could begin; nothing was sent",
    "too_slow": "the server read so slowly that the time to hand over was up before the end; it has nothing",
    "unreachable": "no connection, or it broke before the hand-over began",
    "misconfigured": "a setting is wrong (login, TLS): only an operator can mend it, so no message should fail for it",
    "malformed": "the message itself cannot travel",
    "forbidden": "the address is behind our own walls and no setting allows it",
    "too_large": "the answer to a fetch is larger than is read",
    "no_data": "the answer to a fetch is no object in JSON",
    "lost": "the hand-over was begun and the answer never came",
}
"""The codes that are said where no provider gave one, and what they mean."""


class Channel(Protocol):
    """One way out."""

    name: str
    concurrency: int  # how many messages it wants in flight at once

    async def send(self, outgoing: Outgoing) -> Answer:
        """Hands one message over. Never raises for the other side's faults; a cancelled send may have been taken."""

    async def close(self) -> None:
        """Lets go of all connections."""
