"""A channel to a sink of its own, and stories played between the two."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from heliograph import channels, clock
from heliograph.channels import email
from heliograph.channels.email import session
from heliograph.channels.email.signing import Signer
from tests.channels import smtp_sink
from tests.channels.smtp_sink import Act, Sink

ACCEPTED, TEMPORARY = channels.Outcome.ACCEPTED, channels.Outcome.TEMPORARY
PERMANENT, UNCERTAIN = channels.Outcome.PERMANENT, channels.Outcome.UNCERTAIN
CONTENT = b"From: shop@example.com\r\nSubject: Hello\r\n\r\nHello Anna\r\n"
BIG = CONTENT + b"0123456789abcdef\r\n" * 500_000
HURRIED = session.Waits(reply=0.05, verdict=0.05, idle=30)
PLAIN: tuple[bytes, ...] = ()
both_ways = pytest.mark.parametrize("extensions", [smtp_sink.EXTENSIONS, PLAIN], ids=["pipelining", "plain"])


class Post:
    """A channel to a sink, with a clock that is moved by hand."""

    def __init__(self, port: int, signer: Signer | None = None, **server: object):
        self.clock = clock.ManualClock(1_795_400_000_000_000)
        to = email.Server("127.0.0.1", port)._replace(**server)  # type: ignore[arg-type]
        self.channel = email.SmtpChannel(to, self.clock.now, signer)

    async def send(
        self, address: str = "anna@example.org", content: bytes = CONTENT, sender: str = "shop@example.com"
    ) -> channels.Answer:
        return await self.channel.send(
            channels.Outgoing("id-1", "email", address, content, sender, self.clock.now() + 60_000_000)
        )


def deliver(
    story: Callable[[Sink, Post], Awaitable[None]],
    script: smtp_sink.Script | None = None,
    extensions: tuple[bytes, ...] = smtp_sink.EXTENSIONS,
    **server: object,
) -> Sink:
    """Plays a story against a sink, one connection at a time unless said otherwise; gives the sink."""

    async def play() -> Sink:
        async with Sink(script, extensions) as sink:
            post = Post(sink.port, **{"connections": 1, **server})  # type: ignore[arg-type]
            try:
                await story(sink, post)
            finally:
                await post.channel.close()
            return sink

    return asyncio.run(play())


def one_answer(
    script: smtp_sink.Script | None = None,
    extensions: tuple[bytes, ...] = smtp_sink.EXTENSIONS,
    content: bytes = CONTENT,
    **server: object,
) -> tuple[channels.Answer, Sink]:
    """Sends one message; gives the answer and the sink."""
    answers = []

    async def story(sink: Sink, post: Post) -> None:
        answers.append(await post.send(content=content))

    sink = deliver(story, script, extensions, **server)
    return answers[0], sink


def at(name: str, what: bytes | Act, message: int | None = None) -> smtp_sink.Script:
    """A script that does one thing at one step."""
    return lambda step: what if step.name == name and message in (None, step.message) else None
