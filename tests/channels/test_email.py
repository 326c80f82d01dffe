"""E-mail: what arrives, and what a server's refusals mean.

`mails` of the sink is what a server took to the last dot, so each test can hold the answer against the truth.
"""

import asyncio
import gc

import aiosmtplib
import aiosmtplib.protocol
import pytest

from heliograph import channels, errors
from heliograph.channels import email
from heliograph.channels.email import session
from tests.channels import smtp_sink
from tests.channels.post import (
    ACCEPTED,
    BIG,
    CONTENT,
    PERMANENT,
    PLAIN,
    TEMPORARY,
    Post,
    at,
    both_ways,
    deliver,
    one_answer,
)
from tests.channels.smtp_sink import Act, Sink, Step

# ── what arrives ────────────────────────────────────────────────────────────────────────────────────


@both_ways
@pytest.mark.parametrize(
    "content", [CONTENT, b".\r\n..\r\n.hidden\r\n\r\n.\r\n", BIG], ids=["usual", "dots", "big"]
)
def test_what_was_sent_arrives(extensions: tuple[bytes, ...], content: bytes) -> None:
    """The server takes every octet of a message and its envelope, lines of dots and nine megabytes too."""
    answer, sink = one_answer(None, extensions, content)
    assert (answer.outcome, answer.provider, answer.code) == (ACCEPTED, "smtp", "250")
    assert sink.mails == [smtp_sink.Mail("shop@example.com", "anna@example.org", content, 1)]


@pytest.mark.parametrize(
    ("said", "reference"),
    [
        (b"250 2.0.0 Ok: queued as 4XyZ12", "4XyZ12"),
        (
            b"250 Ok 0000014644fe5ef6-9a483358-9170-4cb4-a269-f5dcdf415321-000000",
            "0000014644fe5ef6-9a483358-9170-4cb4-a269-f5dcdf415321-000000",
        ),
        (b"250 OK id=1rABCD-0001", "1rABCD-0001"),
        (b"250-2.0.0 Ok:\r\n250 queued as <a@b>", "a@b"),
        (b"250 thanks", None),
    ],
)
def test_the_servers_reference_is_kept(said: bytes, reference: str | None) -> None:
    """Under which id the server queued a message is in the answer, where the server says it."""
    answer, _ = one_answer(at("END", said))
    assert (answer.outcome, answer.reference) == (ACCEPTED, reference)


def test_bare_line_ends_smuggle_nothing() -> None:
    """Line ends that some servers see and others do not are made plain before they travel."""
    answer, sink = one_answer(content=b"Subject: a\n\nfirst\n.\r\nMAIL FROM:<eve@x.org>\r.\rend")
    assert answer.outcome is ACCEPTED
    assert [mail.content for mail in sink.mails] == [
        b"Subject: a\r\n\r\nfirst\r\n.\r\nMAIL FROM:<eve@x.org>\r\n.\r\nend\r\n"
    ]


@both_ways
def test_connections_are_kept_and_shared(extensions: tuple[bytes, ...]) -> None:
    """Forty messages at once take four connections and arrive once each."""

    async def story(sink: Sink, post: Post) -> None:
        answers = await asyncio.gather(*(post.send(f"a{n}@example.org") for n in range(40)))
        assert {answer.outcome for answer in answers} == {ACCEPTED}

    sink = deliver(story, None, extensions, connections=4)
    assert sorted(mail.recipient for mail in sink.mails) == sorted(f"a{n}@example.org" for n in range(40))
    assert sink.connections <= 4


def test_a_connection_carries_no_more_than_it_may() -> None:
    """After so many messages a connection says goodbye and the next one is opened."""

    async def story(sink: Sink, post: Post) -> None:
        for _ in range(7):
            assert (await post.send()).outcome is ACCEPTED

    sink = deliver(story, messages=3)
    assert [mail.connection for mail in sink.mails] == [1, 1, 1, 2, 2, 2, 3]
    assert sum(step.name == "QUIT" for step in sink.steps) == 3


def test_who_opened_a_connection_leaves_nothing_in_memory() -> None:
    """However many connections are opened, nothing that only opened them is kept, and no collector is needed."""
    kept: list[object] = []

    async def story(sink: Sink, post: Post) -> None:
        gc.collect()
        gc.disable()
        try:
            for _ in range(20):
                assert (await post.send()).outcome is ACCEPTED
            kinds = (aiosmtplib.SMTP, aiosmtplib.protocol.SMTPProtocol)
            kept.extend(type(one).__name__ for one in gc.get_objects() if isinstance(one, kinds))
        finally:
            gc.enable()

    sink = deliver(story, messages=1)
    assert sink.connections == 20
    assert kept == []


def test_an_idle_connection_is_closed() -> None:
    """A connection that nobody needs any more goes away by itself, with a goodbye; the next message opens one."""

    async def story(sink: Sink, post: Post) -> None:
        await post.send()
        await asyncio.wait_for(sink.is_deserted.wait(), 20)
        assert sink.steps[-1].name == "QUIT"
        assert (await post.send()).outcome is ACCEPTED

    assert deliver(story, waits=session.Waits(idle=0.02)).connections == 2


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("step", "reply", "blames_provider"),
    [
        ("RCPT", b"550 5.1.1 nobody here", False),
        ("RCPT", b"550 no such user", False),
        ("RCPT", b"552 5.2.2 full", False),
        ("RCPT", b"550 5.7.1 relaying denied", True),
        ("RCPT", b"554 not for you", True),
        ("MAIL", b"553 5.1.8 who are you", True),
        ("END", b"554 5.7.1 spam", True),
        ("END", b"552 too large", True),
        ("RCPT", b"450 4.2.0 greylisted", False),
    ],
)
def test_a_refusal_says_whether_another_server_might_take_it(
    step: str, reply: bytes, blames_provider: bool
) -> None:
    """A recipient whom nobody knows is refused everywhere; us, or our words, another server may take."""
    answer, _ = one_answer(at(step, reply))
    assert answer.blames_provider is blames_provider


def test_a_server_that_is_down_blames_itself() -> None:
    """A connection that breaks before the hand-over, and one that cannot be opened, are no fault of the message."""
    dropped, _ = one_answer(at("DATA", Act.DROP))
    refused, _ = one_answer(at("GREETING", b"554 no"))
    assert (dropped.blames_provider, refused.blames_provider) == (True, True)


@both_ways
@pytest.mark.parametrize(
    ("step", "reply", "outcome", "code"),
    [
        ("MAIL", b"451 4.3.0 later", TEMPORARY, "451 4.3.0"),
        ("RCPT", b"450 4.2.1 mailbox busy", TEMPORARY, "450 4.2.1"),
        ("DATA", b"451 later", TEMPORARY, "451"),
        ("END", b"452 4.3.1 disk full", TEMPORARY, "452 4.3.1"),
        ("MAIL", b"553 5.1.8 bad sender", PERMANENT, "553 5.1.8"),
        ("RCPT", b"550 5.1.1 no such user", PERMANENT, "550 5.1.1"),
        ("DATA", b"554 no valid recipients", PERMANENT, "554"),
        ("END", b"554-5.7.1 spam,\r\n554 says the filter", PERMANENT, "554 5.7.1"),
        ("MAIL", b"421 4.3.2 closing", TEMPORARY, "421 4.3.2"),
        ("RCPT", b"421 4.3.2 closing", TEMPORARY, "421 4.3.2"),
        ("END", b"421 4.3.2 closing", TEMPORARY, "421 4.3.2"),
    ],
)
def test_a_refusal_is_said_as_it_is(
    step: str, reply: bytes, outcome: channels.Outcome, code: str, extensions: tuple[bytes, ...]
) -> None:
    """4xx at any stage means later, 5xx means never; the server's own code and words are kept."""
    answer, _ = one_answer(at(step, reply), extensions)
    assert (answer.outcome, answer.code) == (outcome, code)
    assert reply.decode().rpartition("\n")[2][4:] in answer.text


@both_ways
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "END"])
@pytest.mark.parametrize("reply", [b"450 later", b"550 never"])
def test_one_bad_recipient_is_one_bad_message(step: str, reply: bytes, extensions: tuple[bytes, ...]) -> None:
    """After a refusal the next message goes out, over the same connection, to its own recipient alone."""

    def script(asked: Step) -> bytes | None:
        if asked.message == 1 and step in ("MAIL", "RCPT") and asked.name in ("RCPT", "DATA"):
            return b"503 bad sequence" if asked.name != step else reply
        return reply if (asked.name, asked.message) == (step, 1) else None

    async def story(sink: Sink, post: Post) -> None:
        assert (await post.send("bad@example.org")).outcome in (TEMPORARY, PERMANENT)
        del sink.mails[:]
        assert (await post.send("good@example.org")).outcome is ACCEPTED

    sink = deliver(story, script, extensions)
    assert [mail.recipient for mail in sink.mails] == ["good@example.org"]
    assert sink.connections == 1
    assert any(asked.name == "RSET" for asked in sink.steps) == (step != "END")


def test_a_server_that_wants_data_after_a_refusal_gets_none() -> None:
    """Where a pipelining server refuses the recipient and asks for the message all the same, it is left."""
    answer, sink = one_answer(at("RCPT", b"550 5.1.1 no such user"))
    assert answer.outcome is PERMANENT
    assert sink.mails == []
    assert not any(step.name == "END" for step in sink.steps)


def test_a_reply_too_many_is_not_taken_for_an_acceptance() -> None:
    """A server that says one thing more than it was asked has not accepted what it has not seen."""
    answer, sink = one_answer(at("DATA", b"354 go on\r\n250 accepted"))
    assert answer.outcome is TEMPORARY
    assert sink.mails == []


def test_a_refusal_in_the_middle_of_the_message_counts() -> None:
    """A server that refuses a big message while it is still being written has refused it."""
    said: list[bytes] = []

    def script(step: Step) -> bytes | Act | None:
        if step.name == "CONTENT":
            conversation = next(iter(sinks[0].open))
            if not said:
                said.append(b"552 5.3.4 too big\r\n")
                conversation.transport.write(said[0])
        return None

    sinks: list[Sink] = []

    async def story(sink: Sink, post: Post) -> None:
        sinks.append(sink)
        answer = await post.send(content=BIG)
        assert (answer.outcome, answer.code) == (PERMANENT, "552 5.3.4")

    assert deliver(story, script).mails == []


# ── addresses ───────────────────────────────────────────────────────────────────────────────────────


def test_an_address_beyond_ascii_needs_a_server_that_knows_it() -> None:
    """With SMTPUTF8 the address travels as it is; without, the message can never go and says why."""

    async def story(sink: Sink, post: Post) -> None:
        answers.append(await post.send("änna@münchen.example"))
        answers.append(await post.send())

    for extensions, outcome in ((smtp_sink.EXTENSIONS, ACCEPTED), (PLAIN, PERMANENT)):
        answers: list[channels.Answer] = []
        sink = deliver(story, None, extensions)
        assert [answer.outcome for answer in answers] == [outcome, ACCEPTED]
        if outcome is ACCEPTED:
            assert sink.mails[0].recipient == "änna@xn--mnchen-3ya.example"
            assert any("SMTPUTF8" in step.argument for step in sink.steps if step.name == "MAIL")
        else:
            assert "SMTPUTF8" in answers[0].text
        assert sink.connections == 1


@pytest.mark.parametrize(
    ("address", "sender"),
    [
        ("anna", "shop@example.com"),
        ("a@x.org>\r\nRCPT TO:<b@x.org", "shop@example.com"),
        ("a@x.org", "shop\r\n"),
    ],
)
def test_what_is_no_address_never_reaches_a_server(address: str, sender: str) -> None:
    """An address that is none is refused before a word is said."""

    async def story(sink: Sink, post: Post) -> None:
        answer = await post.send(address, sender=sender)
        assert (answer.outcome, answer.code) == (PERMANENT, "malformed")

    assert deliver(story).connections == 0


def test_a_message_without_content_is_malformed() -> None:
    """What is no e-mail is refused, never a traceback."""

    async def story(sink: Sink, post: Post) -> None:
        request = channels.HttpRequest()
        answer = await post.channel.send(channels.Outgoing("i", "email", "a@x.org", request, "", 2**62))
        assert (answer.outcome, answer.code) == (PERMANENT, "malformed")

    deliver(story)


# ── the setting ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", email.Server("mail.example", 25)),
        ("smtp://mail.example?security=tls", email.Server("mail.example", 465, "tls")),
        (
            "smtp://u%40x:p%3A%2F@h:2525?security=starttls&connections=2&messages=5&ca_file=/ca.pem&hello=me.example&verdict=9",
            email.Server(
                "h", 2525, "starttls", "u@x", "p:/", "/ca.pem", "me.example", 2, 5,
                session.Waits(verdict=9),
            ),
        ),
        ("smtp://[::1]:1025/", email.Server("::1", 1025)),
    ],
)  # fmt: skip
def test_the_url_says_everything(url: str, server: email.Server) -> None:
    """One setting holds the host, the login and every option."""
    assert email.server(url) == server
    assert "p:/" not in repr(email.server(url))


@pytest.mark.parametrize(
    "url",
    ["", "mail.example", "smtps://mail.example", "smtp://", "smtp://h:99999", "smtp://h?security=ssl",
     "smtp://h?conections=3", "smtp://h?connections=0", "smtp://h?connections=x", "smtp://h/path"],
)  # fmt: skip
def test_a_wrong_url_names_the_setting(url: str) -> None:
    """A setting that cannot be used says so at the start, by its name."""
    with pytest.raises(errors.BadSetting, match="HELIOGRAPH_SMTP_URL"):
        email.server(url)


def test_a_ca_file_that_is_none_is_refused_at_the_start() -> None:
    """Certificates that cannot be read stop the program, not the first message."""
    with pytest.raises(errors.BadSetting, match="ca_file"):
        email.SmtpChannel(email.server("smtp://h?security=tls&ca_file=/nowhere.pem"), lambda: 0)
