"""Messages as lines of text, for trying things out without a mail server.

Law: one message, one line, whatever the message holds; nothing in it can move the cursor or forge a line.
"""

from __future__ import annotations

import email
import email.policy
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from heliograph import channels

LONGEST_LINE = 300


class ConsoleChannel:
    """Prints what would have been sent; may stand in for e-mail, so finished MIME is read back first."""

    name = provider = "console"
    concurrency = 1

    def __init__(self, now: Callable[[], int], stream: TextIO | None = None):
        self._now, self._stream = now, stream

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """Prints `2026-11-23 02:13:20Z email anna@example.org: Your order · On its way. (id)`."""
        second = datetime.fromtimestamp(self._now() // 1_000_000, UTC)
        head = f"{second:%Y-%m-%d %H:%M:%S}Z {outgoing.channel} {outgoing.address}"
        line = _printable(f"{head}: {_words(outgoing.content)}")[:LONGEST_LINE]
        try:
            print(f"{line} ({outgoing.message_id})", file=self._stream or sys.stdout, flush=True)
        except (OSError, ValueError) as fault:  # a closed stream is a ValueError
            return channels.Answer(
                channels.Outcome.TEMPORARY, "console", None, "unreachable", f"cannot print: {fault}"
            )
        return channels.Answer(channels.Outcome.ACCEPTED, "console", outgoing.message_id)

    async def close(self) -> None:
        """Nothing is held open."""


def _words(content: bytes | channels.HttpRequest | channels.Words) -> str:
    if isinstance(content, channels.Words):
        return content.text
    if not isinstance(content, bytes):
        return f"{content.method} {content.body.decode('utf-8', 'replace')}"
    message = email.message_from_bytes(content, policy=email.policy.default)
    part = message.get_body(("plain", "html")) if message["message-id"] else None
    if part is None:
        return content.decode("utf-8", "replace")
    return f"{message['subject']} · {part.get_content()}"


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))
