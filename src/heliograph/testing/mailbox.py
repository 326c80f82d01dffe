"""Channels that are stand-ins: they keep what they are given and answer as they are told to.

Law: nothing leaves the process.
"""

from __future__ import annotations

import email
import email.message
import email.policy
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from heliograph import channels


class Mail(NamedTuple):
    """An e-mail that a World's mailbox received."""

    recipient: str
    subject: str
    text: str
    html: str | None
    message_id: str
    """The ledger's id of the message."""
    raw: bytes


class Mailbox:
    """A channel that keeps what it is given and answers as it is told to."""

    name = "email"
    provider = "world"
    concurrency = 100

    def __init__(self) -> None:
        self.received: list[Mail] = []
        self.answer: Callable[[channels.Outgoing], channels.Answer] = accepted
        """What it answers; a message counts as received when the answer is ACCEPTED or UNCERTAIN."""

    def send_now(self, outgoing: channels.Outgoing) -> channels.Answer:
        """Keep it, and answer."""
        answer = self.answer(outgoing)
        if answer.outcome in (channels.Outcome.ACCEPTED, channels.Outcome.UNCERTAIN):
            self.received.append(_mail(outgoing))
        return answer

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """The same, for who waits."""
        return self.send_now(outgoing)

    async def close(self) -> None:
        """Nothing is open."""

    def to(self, address: str) -> list[Mail]:
        """What an address received, oldest first."""
        return [mail for mail in self.received if mail.recipient == address]


class Calls:
    """A channel that keeps the webhooks it is given and answers as it is told to."""

    name = "webhook"
    provider = "world"
    concurrency = 100

    def __init__(self) -> None:
        self.received: list[tuple[str, channels.HttpRequest]] = []
        """(address, request), oldest first."""
        self.answer: Callable[[channels.Outgoing], channels.Answer] = accepted

    def send_now(self, outgoing: channels.Outgoing) -> channels.Answer:
        """Keep it, and answer."""
        assert isinstance(outgoing.content, channels.HttpRequest)
        self.received.append((outgoing.address, outgoing.content))
        return self.answer(outgoing)

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """The same, for who waits."""
        return self.send_now(outgoing)

    async def close(self) -> None:
        """Nothing is open."""


class Outbox:
    """A provider of a workspace: it keeps what it is given and answers as it is told to."""

    concurrency = 100

    def __init__(self, channel: str):
        self.name = channel
        self.received: list[channels.Outgoing] = []
        """What it took, oldest first."""
        self.asked = 0
        self.answer: Callable[[channels.Outgoing], channels.Answer] = accepted

    def send_now(self, outgoing: channels.Outgoing) -> channels.Answer:
        """Keep it, and answer."""
        self.asked += 1
        answer = self.answer(outgoing)
        if answer.outcome in (channels.Outcome.ACCEPTED, channels.Outcome.UNCERTAIN):
            self.received.append(outgoing)
        return answer

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """The same, for who waits."""
        return self.send_now(outgoing)

    async def close(self) -> None:
        """Nothing is open."""


def down(_: channels.Outgoing) -> channels.Answer:
    """What a provider answers that cannot be reached."""
    outcome = channels.Outcome.TEMPORARY
    return channels.Answer(outcome, "", None, "unreachable", "no connection", blames_provider=True)


def refusing(_: channels.Outgoing) -> channels.Answer:
    """What a provider answers that takes nothing of ours."""
    outcome = channels.Outcome.PERMANENT
    return channels.Answer(outcome, "", None, "550 5.7.1", "not from you", blames_provider=True)


def accepted(outgoing: channels.Outgoing) -> channels.Answer:
    """Taken."""
    return channels.Answer(channels.Outcome.ACCEPTED, "world", outgoing.message_id, "250", "ok")


def answering(given: Any, status: int = 200) -> Callable[[channels.Outgoing], channels.Answer]:
    """What another program answers: this JSON, with this status."""
    outcome = channels.Outcome.ACCEPTED if status < 300 else channels.Outcome.PERMANENT
    if status >= 500 or status == 429:
        outcome = channels.Outcome.TEMPORARY
    body = given if isinstance(given, str) else json.dumps(given)
    detail = {"status": status, "headers": {}, "body": body}
    return lambda _: channels.Answer(outcome, "world", None, str(status), str(status), detail)


def _mail(outgoing: channels.Outgoing) -> Mail:
    assert isinstance(outgoing.content, bytes)
    parsed = email.message_from_bytes(outgoing.content, policy=email.policy.default)
    assert isinstance(parsed, email.message.EmailMessage)
    plain, html = parsed.get_body(("plain",)), parsed.get_body(("html",))
    return Mail(
        outgoing.address,
        str(parsed["Subject"]),
        str(plain.get_content()).rstrip("\r\n") if plain is not None else "",
        str(html.get_content()) if html is not None else None,
        outgoing.message_id,
        outgoing.content,
    )
