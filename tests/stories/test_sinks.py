"""The sinks of the demo and of the kill tests: what they count is what they were given, before they say so."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from http import HTTPStatus
from pathlib import Path

import aiosmtplib
import pytest

from examples.shop import sinks, smtp_sink, webhook_sink

LETTER = b"Message-ID: <one@example.com>\r\nSubject: Hello\r\n\r\n..dots\r\nbody\r\n"
DIALOGUE = (
    b"EHLO test\r\nMAIL FROM:<a@example.com> SIZE=100\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<c@example.com>\r\nDATA\r\n"
    + LETTER
    + b".\r\nmail from:<a@example.com>\r\nrcpt to:<b@example.com>\r\ndata\r\n.\r\nRSET\r\nNOOP\r\nHELP\r\nQUIT\r\n"
)


def letter(number: int) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "shop@example.com", "anna@example.com"
    message["Message-ID"] = f"<{number}@example.com>"
    message.set_content(f"Letter number {number}\n.\n.. and a line of dots\n")
    return message


async def spoken(port: int, *pieces: bytes) -> bytes:
    """All that the server answers to these pieces, each sent by itself, until it hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    try:
        return await reader.read()
    finally:
        writer.close()


def with_smtp(
    story: Callable[[smtp_sink.SmtpSink, aiosmtplib.SMTP], Awaitable[None]], log: Path | None = None
) -> None:
    """Play a story with a fresh sink and a client that is connected to it."""

    async def play() -> None:
        async with smtp_sink.SmtpSink(log=log) as sink:
            client = aiosmtplib.SMTP(hostname="127.0.0.1", port=sink.port)
            await client.connect()
            await story(sink, client)
            client.close()

    asyncio.run(play())


# ── SMTP ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", [1, 7, 64, 4096])
def test_a_dialogue_is_answered_the_same_however_it_is_cut(size: int) -> None:
    """Commands and letters sent all at once or byte by byte give the same answers, in order."""

    async def play() -> None:
        async with smtp_sink.SmtpSink() as sink:
            pieces = [DIALOGUE[start : start + size] for start in range(0, len(DIALOGUE), size)]
            answers = (await spoken(sink.port, *pieces)).split(b"\r\n")
            codes = [line[:3] for line in answers if line[3:4] != b"-"]
            assert b" ".join(codes) == b"220 250 250 250 250 354 250 250 250 354 250 250 250 500 221 "
            assert sink.counts()["messages"] == 2
            assert sink.last[0].recipients == ("b@example.com", "c@example.com")
            assert sink.last[0].content == LETTER.replace(b"..dots", b".dots")
            assert sink.last[1].content == b""

    asyncio.run(play())


def test_every_copy_of_a_message_is_counted() -> None:
    """Each Message-ID is known with the number of its copies, so a repeat cannot hide."""

    async def story(sink: smtp_sink.SmtpSink, client: aiosmtplib.SMTP) -> None:
        for number in (1, 2, 1, 1):
            await client.send_message(letter(number))
        assert sink.message_ids == {"<1@example.com>": 3, "<2@example.com>": 1}
        assert sink.counts() | {"messages": 4, "distinct": 2, "repeats": 2, "connections": 1} == sink.counts()
        assert b"\r\n.\r\n.. and a line of dots\r\n" in sink.last[-1].content

    with_smtp(story)


def test_only_the_last_messages_are_kept_whole() -> None:
    """However many come, the memory they take does not grow with their size."""

    async def play() -> None:
        async with smtp_sink.SmtpSink(keep=2) as sink:
            for number in (1, 2, 3):
                await aiosmtplib.send(letter(number), hostname="127.0.0.1", port=sink.port)
            assert [received.message_id for received in sink.last] == ["<2@example.com>", "<3@example.com>"]
            assert sink.received == 3

    asyncio.run(play())


def test_the_log_holds_a_message_before_its_sender_is_told(tmp_path: Path) -> None:
    """Whatever happens after the 250, the Message-ID is in the file; a later sink goes on with the same file."""
    log = tmp_path / "ids"

    async def story(sink: smtp_sink.SmtpSink, client: aiosmtplib.SMTP) -> None:
        written = len(log.read_text().splitlines())
        await client.send_message(letter(written + 1))
        assert log.read_text().splitlines()[written:] == [f"<{written + 1}@example.com>"]

    with_smtp(story, log)
    with_smtp(story, log)
    assert log.read_text() == "<1@example.com>\n<2@example.com>\n"


def test_recipients_are_refused_as_the_switch_says() -> None:
    """A reply set for an address answers its RCPT, `*` stands for all others, and nothing refused is counted."""

    async def story(sink: smtp_sink.SmtpSink, client: aiosmtplib.SMTP) -> None:
        sink.switches.replies = {"anna@example.com": "451 4.3.0 Later"}
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as later:
            await client.send_message(letter(1))
        assert [refused.code for refused in later.value.recipients] == [451]
        sink.switches.replies = {"*": "550 5.1.1 No such person"}
        with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as never:
            await client.send_message(letter(1))
        assert [refused.code for refused in never.value.recipients] == [550]
        assert (sink.received, sink.refused) == (0, 2)

    with_smtp(story)


def test_a_message_is_refused_as_the_switch_says() -> None:
    """A reply set for messages takes the place of the 250, and the message is not counted."""

    async def story(sink: smtp_sink.SmtpSink, client: aiosmtplib.SMTP) -> None:
        sink.switches.data_reply = "452 4.3.1 The disk is full"
        with pytest.raises(aiosmtplib.SMTPDataError, match="disk is full"):
            await client.send_message(letter(1))
        assert sink.received == 0

    with_smtp(story)


@pytest.mark.parametrize(("switch", "counted"), [("drop_next", 1), ("lose_next", 0)])
def test_a_connection_breaks_where_the_answer_should_be(switch: str, counted: int) -> None:
    """A dropped message is counted and its sender does not know; a lost one is not; the next goes through."""

    async def story(sink: smtp_sink.SmtpSink, client: aiosmtplib.SMTP) -> None:
        setattr(sink.switches, switch, 1)
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await client.send_message(letter(1))
        assert (sink.received, sink.broken) == (counted, 1)
        await client.connect()
        await client.send_message(letter(1))
        assert sink.message_ids == {"<1@example.com>": counted + 1}

    with_smtp(story)


def test_a_slow_sink_keeps_the_order() -> None:
    """While an answer waits nothing that came after it is answered, and nothing is forgotten."""

    async def play() -> None:
        async with smtp_sink.SmtpSink() as sink:
            sink.switches.delay = 0.001
            answers = await spoken(sink.port, DIALOGUE)
            assert (
                answers.index(b"2.0.0 Received")
                < answers.index(b"2.0.0 Nothing done")
                < answers.index(b"221 ")
            )
            assert sink.received == 2

    asyncio.run(play())


def test_whoever_waits_for_messages_is_woken_by_them() -> None:
    """`until` returns once so many have come, at once where they have come already."""

    async def story(sink: smtp_sink.SmtpSink, client: aiosmtplib.SMTP) -> None:
        waiting = asyncio.create_task(sink.until(2))
        await client.send_message(letter(1))
        assert not waiting.done()
        await client.send_message(letter(2))
        await waiting
        await sink.until(1)

    with_smtp(story)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (b"RCPT TO:<a@example.com>\r\n", b"503"),
        (b"DATA\r\n", b"503"),
        (b"MAIL FROM:nobody\r\n", b"501"),
        (b"MAIL FROM:<>\r\nRCPT TO:<>\r\n", b"501"),
        (b"MAIL FROM:<a@example.com>\r\nMAIL FROM:<a@example.com>\r\n", b"503"),
        (b"VRFY anna\r\n", b"500"),
    ],
)
def test_what_breaks_the_protocol_is_answered(said: bytes, code: bytes) -> None:
    """A command that is out of place, unknown or unreadable gets an error and counts nothing."""

    async def play() -> None:
        async with smtp_sink.SmtpSink() as sink:
            answers = (await spoken(sink.port, said, b"QUIT\r\n")).split(b"\r\n")
            assert code in [line[:3] for line in answers]
            assert sink.received == 0

    asyncio.run(play())


def test_a_line_without_an_end_is_not_waited_for() -> None:
    """Whoever never ends a line is told so and hung up on."""

    async def play() -> None:
        async with smtp_sink.SmtpSink() as sink:
            assert b"\r\n500 " in await spoken(sink.port, b"x" * 5000)

    asyncio.run(play())


# ── webhooks ────────────────────────────────────────────────────────────────────────────────────────


def request(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: sink", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def asked(sink: webhook_sink.WebhookSink, *requests: bytes) -> list[tuple[int, object]]:
    """The status and content of the answer to each request, all on one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sink.port)
    answers: list[tuple[int, object]] = []
    try:
        for sent in requests:
            writer.write(sent)
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = int(head.lower().partition("content-length:")[2].split()[0])
            answers.append((int(head.split()[1]), json.loads(await reader.readexactly(length))))
    finally:
        writer.close()
    return answers


def with_http(story: Callable[[webhook_sink.WebhookSink], Awaitable[None]]) -> None:
    async def play() -> None:
        async with webhook_sink.WebhookSink() as sink:
            await story(sink)

    asyncio.run(play())


def test_webhooks_are_counted_by_their_key() -> None:
    """Each idempotency key is known with the number of its calls, by either name of the header."""

    async def story(sink: webhook_sink.WebhookSink) -> None:
        calls = [
            request("POST", "/hook/refunds", b'{"n": 1}', Idempotency_Key="a"),
            request("PUT", "/hook/refunds", Idempotency_Key="a"),
            request("POST", "/elsewhere", webhook_id="b"),
            request("GET", "/no-key"),
        ]
        answers = await asked(sink, *calls, request("GET", "/counts"), request("GET", "/idempotency-keys"))
        assert [status for status, _ in answers] == [200] * 6
        assert answers[0][1] == {"received": "a"}
        assert answers[4][1] == {
            "smtp": sink.smtp.counts(),
            "http": {"calls": 4, "distinct": 2, "repeats": 1},
        }
        assert answers[5][1] == {"a": 2, "b": 1}
        assert sink.last[0] == webhook_sink.Call("POST", "/hook/refunds", sink.last[0].headers, b'{"n": 1}')

    with_http(story)


def test_webhooks_fail_as_the_switch_says() -> None:
    """The switch's status answers every webhook, counted all the same, and no path of the sink's own."""

    async def story(sink: webhook_sink.WebhookSink) -> None:
        sink.switches.status = HTTPStatus.SERVICE_UNAVAILABLE
        answers = await asked(sink, request("POST", "/hook"), request("GET", "/counts"))
        assert [status for status, _ in answers] == [503, 200]
        sink.switches.drop_next, sink.switches.lose_next = 1, 1
        for _ in ("dropped", "lost"):
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await asked(sink, request("POST", "/hook"))
        assert sink.received == 2

    with_http(story)


def test_switches_are_set_over_http_or_not_at_all() -> None:
    """A request sets the switches of both sinks; one that names an unknown switch or a wrong value sets none."""

    async def story(sink: webhook_sink.WebhookSink) -> None:
        good = request("PUT", "/switches", b'{"smtp": {"replies": {"*": "450 no"}}, "http": {"status": 500}}')
        unknown = request("PUT", "/switches", b'{"http": {"status": 200, "delai": 1}}')
        wrong = request("PUT", "/switches", b'{"smtp": {"delay": "long"}, "http": {"status": 200}}')
        broken = request("PUT", "/switches", b"{")
        statuses = [status for status, _ in await asked(sink, good, unknown, wrong, broken)]
        assert statuses == [200, 400, 400, 400]
        assert sink.smtp.switches.replies == {"*": "450 no"}
        assert sink.switches == webhook_sink.Switches(status=HTTPStatus.INTERNAL_SERVER_ERROR)

    with_http(story)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_a_request_that_cannot_be_read_is_refused(said: bytes, status: int) -> None:
    """What is not plain HTTP/1.1 with a length is answered with an error and not counted."""

    async def story(sink: webhook_sink.WebhookSink) -> None:
        assert (await spoken(sink.port, said)).startswith(b"HTTP/1.1 %d " % status)
        assert sink.received == 0

    with_http(story)


# ── the process ─────────────────────────────────────────────────────────────────────────────────────


def test_sinks_run_as_a_process_of_their_own(tmp_path: Path) -> None:
    """Both are reachable once the block begins, tell what they received and take switches, and end with it."""
    with sinks.started(log=tmp_path / "ids") as running:
        asyncio.run(aiosmtplib.send(letter(1), hostname="127.0.0.1", port=running.smtp))
        running.switch(smtp={"data_reply": "550 5.0.0 No more"})
        with pytest.raises(aiosmtplib.SMTPDataError):
            asyncio.run(aiosmtplib.send(letter(2), hostname="127.0.0.1", port=running.smtp))
        assert running.ask("/counts")["smtp"]["messages"] == 1
        assert running.ask("/message-ids") == {"<1@example.com>": 1}
        assert running.ask("/messages")[0]["recipients"] == ["anna@example.com"]
    assert (tmp_path / "ids").read_text() == "<1@example.com>\n"
    with pytest.raises(OSError, match="refused"):
        running.ask("/counts")
