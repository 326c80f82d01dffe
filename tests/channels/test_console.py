"""The console: every message is one line that a person can read."""

import asyncio
import io

from heliograph import channels, clock
from heliograph.channels import console
from heliograph.core import mime

AT = 1_795_400_000_000_000
LETTER = mime.Letter(
    "id-1",
    AT,
    mime.Mailbox("shop@example.com"),
    mime.Mailbox("anna@example.org"),
    "Größe?",
    "Hi\nAnna ☺",
    "<p>Hi</p>",
)


def printed(content: bytes | channels.HttpRequest, channel: str = "console") -> str:
    """What one message looks like on the console."""
    stream = io.StringIO()
    outgoing = channels.Outgoing("id-1", channel, "anna@example.org", content, "", 0)
    answer = asyncio.run(console.ConsoleChannel(clock.ManualClock(AT).now, stream).send(outgoing))
    assert (answer.outcome, answer.provider) == (channels.Outcome.ACCEPTED, "console")
    return stream.getvalue()


def test_a_text_is_one_line() -> None:
    """A text of several lines is printed as one, with the time, the address and the ledger's id."""
    assert printed(b"Hello\n  Anna") == "2026-11-23 02:13:20Z console anna@example.org: Hello Anna (id-1)\n"


def test_an_email_is_printed_by_subject_and_text() -> None:
    """Where the console stands in for e-mail, the finished message is read back to its words."""
    assert printed(mime.compose(LETTER), "email") == (
        "2026-11-23 02:13:20Z email anna@example.org: Größe? · Hi Anna ☺ (id-1)\n"
    )


def test_nothing_can_forge_a_line() -> None:
    """Escapes of a terminal, line breaks of any alphabet and endless texts are made harmless."""
    line = printed("a\x1b[2Jb\u2028c\x00d\x85e".encode() + b"x" * 10_000)
    assert line.count("\n") == 1
    assert line.rstrip("\n").isprintable()
    assert len(line) < 400


def test_a_call_is_printed_too() -> None:
    """A webhook's request shows its method and body."""
    assert "POST {}" in printed(channels.HttpRequest(body=b"{}"), "webhook")


def test_a_closed_console_loses_nothing() -> None:
    """Where nothing can be printed the message waits."""
    stream = io.StringIO()
    stream.close()
    outgoing = channels.Outgoing("id-1", "console", "anna@example.org", b"Hi", "", 0)
    answer = asyncio.run(console.ConsoleChannel(lambda: AT, stream).send(outgoing))
    assert answer.outcome is channels.Outcome.TEMPORARY
