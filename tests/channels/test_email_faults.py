"""E-mail: what breaks at any moment, and what the ledger may believe of it.

`mails` of the sink is what a server took to the last dot, so each test can hold the answer against the truth.
"""

import asyncio

import pytest

from heliograph import channels
from heliograph.channels.email import session
from heliograph.core import messages
from tests.channels.post import (
    ACCEPTED,
    BIG,
    CONTENT,
    HURRIED,
    TEMPORARY,
    UNCERTAIN,
    Post,
    at,
    both_ways,
    deliver,
    one_answer,
)
from tests.channels.smtp_sink import Act, Sink, Step

# ── broken connections ──────────────────────────────────────────────────────────────────────────────


@both_ways
@pytest.mark.parametrize("act", [Act.DROP, Act.SILENCE])
@pytest.mark.parametrize("step", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA"])
def test_what_breaks_before_the_message_is_tried_again(
    step: str, act: Act, extensions: tuple[bytes, ...]
) -> None:
    """A connection that breaks, or a server that falls silent, before the message was written is TEMPORARY."""
    answer, sink = one_answer(at(step, act), extensions, waits=HURRIED)
    assert (answer.outcome, answer.code) == (TEMPORARY, "unreachable")
    assert sink.mails == []


@both_ways
@pytest.mark.parametrize("act", [Act.DROP, Act.SILENCE])
def test_a_lost_answer_is_uncertain(act: Act, extensions: tuple[bytes, ...]) -> None:
    """When the whole message was written and no answer came, the server may have it: UNCERTAIN, and it has."""
    answer, sink = one_answer(at("END", act), extensions, waits=session.Waits(verdict=0.05))
    assert (answer.outcome, answer.code) == (UNCERTAIN, "lost")
    assert len(sink.mails) == 1


def test_a_big_message_that_breaks_in_the_middle_was_not_taken() -> None:
    """A connection that breaks while most of the message is still here is TEMPORARY: no end, no message."""
    answer, sink = one_answer(at("CONTENT", Act.DROP), content=BIG)
    assert (answer.outcome, answer.code) == (TEMPORARY, "unreachable")
    assert sink.mails == []


@both_ways
def test_a_big_message_is_not_ended_when_its_time_is_over(extensions: tuple[bytes, ...]) -> None:
    """A server that reads so slowly that the claim runs out does not get the end: somebody else may have begun."""

    async def play() -> tuple[channels.Answer, Sink]:
        async with Sink(extensions=extensions) as sink:
            post = Post(sink.port)
            reads: list[Step] = []

            def script(step: Step) -> None:
                # The first time nothing of it is there yet.
                reads.append(step)
                if step.name == "CONTENT" and sum(one.name == "CONTENT" for one in reads) == 2:
                    post.clock.at += 61_000_000

            sink.script = script
            answer = await post.send(content=BIG)
            await post.channel.close()
            return answer, sink

    answer, sink = asyncio.run(play())
    assert (answer.outcome, answer.code) == (TEMPORARY, "too_slow")
    assert sink.mails == []
    assert answer.code not in messages.UNCOUNTED, "it is tried a few times, and not for ever"


@pytest.mark.parametrize("said", [b"354 more", b"123 what", b"299 odd but taken"])
def test_an_odd_answer_to_the_message_is_believed_only_if_it_accepts(said: bytes) -> None:
    """A code that neither takes nor refuses a finished message leaves it UNCERTAIN."""
    answer, _ = one_answer(at("END", said))
    assert answer.outcome is (ACCEPTED if said.startswith(b"2") else UNCERTAIN)


@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request", b"250-" + b"x" * 70_000, b"25"])
def test_what_speaks_no_smtp_is_left(words: bytes) -> None:
    """A server whose replies are none, or never end, is left before it gets the message."""
    answer, sink = one_answer(at("MAIL", words), waits=HURRIED)
    assert answer.outcome is TEMPORARY
    assert sink.mails == []


@both_ways
@pytest.mark.parametrize("goodbye", [Act.DROP, b"421 4.4.2 idle too long"])
def test_a_connection_closed_between_messages_is_opened_again(
    goodbye: bytes | Act, extensions: tuple[bytes, ...]
) -> None:
    """A server that closes a used connection just as the next message begins costs nothing: it is sent at once."""

    def script(step: Step) -> bytes | Act | None:
        return goodbye if (step.connection, step.message, step.name) == (1, 2, "MAIL") else None

    async def story(sink: Sink, post: Post) -> None:
        for n in range(3):
            assert (await post.send(f"a{n}@example.org")).outcome is ACCEPTED

    sink = deliver(story, script, extensions)
    assert [(mail.recipient, mail.connection) for mail in sink.mails] == [
        ("a0@example.org", 1),
        ("a1@example.org", 2),
        ("a2@example.org", 2),
    ]


def test_a_restarted_server_costs_nothing() -> None:
    """When the server closed every idle connection, the next messages find new ones."""

    async def story(sink: Sink, post: Post) -> None:
        for _ in range(2):
            answers = await asyncio.gather(*(post.send() for _ in range(12)))
            assert {answer.outcome for answer in answers} == {ACCEPTED}
            sink.drop_all()

    assert len(deliver(story, connections=3).mails) == 24


def test_a_connection_that_breaks_at_once_is_not_tried_for_ever() -> None:
    """Only a used connection is replaced without a word: a server that drops every message gets one try."""
    answer, sink = one_answer(at("MAIL", Act.DROP))
    assert answer.outcome is TEMPORARY
    assert sink.connections == 1


def test_a_cancelled_send_leaves_no_half_conversation() -> None:
    """A send that is given up takes its connection with it: the next message does not read its replies."""

    async def story(sink: Sink, post: Post) -> None:
        first = asyncio.create_task(post.send("first@example.org"))
        await asyncio.wait_for(is_halfway.wait(), 20)
        first.cancel()
        assert (await post.send("second@example.org")).outcome is ACCEPTED

    def script(step: Step) -> Act | None:
        if (step.name, step.connection) != ("DATA", 1):
            return None
        is_halfway.set()
        return Act.SILENCE

    is_halfway = asyncio.Event()
    sink = deliver(story, script)
    assert [(mail.recipient, mail.connection) for mail in sink.mails] == [("second@example.org", 2)]


def test_close_says_goodbye() -> None:
    """Closing the channel ends every idle connection with QUIT, and one at work as soon as it is done."""

    async def story(sink: Sink, post: Post) -> None:
        await asyncio.gather(*(post.send() for _ in range(6)))
        await post.channel.close()
        await asyncio.wait_for(sink.is_deserted.wait(), 20)
        await post.send()
        await asyncio.wait_for(sink.is_deserted.wait(), 20)

    sink = deliver(story, connections=3)
    assert sum(step.name == "QUIT" for step in sink.steps) == sink.connections


# ── the lease ───────────────────────────────────────────────────────────────────────────────────────


def test_an_expired_claim_is_not_handed_over() -> None:
    """At the instant a claim runs out nothing is begun any more, and the server hears nothing."""

    async def story(sink: Sink, post: Post) -> None:
        now = post.clock.now()
        answer = await post.channel.send(channels.Outgoing("id", "email", "a@x.org", CONTENT, "s@x.org", now))
        assert (answer.outcome, answer.code) == (TEMPORARY, "lease_over")

    assert deliver(story).connections == 0


@both_ways
def test_a_claim_that_runs_out_on_the_way_is_not_handed_over(extensions: tuple[bytes, ...]) -> None:
    """When the server took its time before DATA, the message is not written although everything stands ready."""
    posts: list[Post] = []

    def script(step: Step) -> None:
        if step.name == "DATA" and step.connection == 1:
            posts[0].clock.at += 60_000_000

    async def story(sink: Sink, post: Post) -> None:
        posts.append(post)
        answer = await post.send()
        assert (answer.outcome, answer.code) == (TEMPORARY, "lease_over")
        assert sink.mails == []
        assert (await post.send()).outcome is ACCEPTED

    assert len(deliver(story, script, extensions).mails) == 1


# ── the server as a whole ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("greeting", [b"554 go away", b"421 too many connections", Act.DROP])
def test_a_server_that_lets_nobody_in_is_left_in_peace(greeting: bytes | Act) -> None:
    """Twenty messages knock once; after the rest one knocks again, and when the server is well all go out."""

    async def story(sink: Sink, post: Post) -> None:
        for knocks in (1, 2):
            answers = await asyncio.gather(*(post.send() for _ in range(20)))
            assert {(answer.outcome, answer.code) for answer in answers} == {(TEMPORARY, "unreachable")}
            assert all(answer.retry_after == knocks for answer in answers)
            assert sink.connections == knocks
            post.clock.at += knocks * 1_000_000
        sink.script = lambda _: None
        answers = await asyncio.gather(*(post.send() for _ in range(20)))
        assert {answer.outcome for answer in answers} == {ACCEPTED}

    assert len(deliver(story, at("GREETING", greeting), connections=4).mails) == 20


@pytest.mark.parametrize("step", ["GREETING", "RCPT", "END"])
def test_a_servers_words_are_safe_to_keep(step: str) -> None:
    """Words that are no text, move a cursor or go on for pages are kept as one short line of text."""
    answer, _ = one_answer(at(step, b"454-4.7.0 a\xff\x00\x1b[2J\r\n454 " + b"b" * 3000))
    assert answer.outcome is TEMPORARY
    assert "4.7.0 a��" in answer.text
    assert answer.text.isprintable()
    assert len(answer.text) == channels.LONGEST_TEXT


def test_the_rest_grows_to_a_minute_and_ends() -> None:
    """A dead server is tried ever more rarely, at least once a minute, whatever the clock does."""

    async def story(sink: Sink, post: Post) -> None:
        rests = []
        for _ in range(9):
            rests.append((await post.send()).retry_after or 0)
            post.clock.at += int(rests[-1] * 1_000_000)
        assert rests == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        post.clock.at -= 3_600_000_000
        assert sink.connections == 9
        await post.send()
        assert sink.connections == 10

    deliver(story, at("GREETING", Act.DROP))


def test_a_dead_server_is_temporary() -> None:
    """Where nothing listens, the message waits and the text says where nothing was."""

    async def play() -> None:
        async with Sink() as sink:
            port = sink.port
        answer = await Post(port).send()
        assert (answer.outcome, answer.code) == (TEMPORARY, "unreachable")
        assert f"no connection to 127.0.0.1:{port}" in answer.text

    asyncio.run(play())


@pytest.mark.parametrize("reply", [b"530 5.7.0 authentication required", b"535 5.7.8 login expired"])
def test_a_server_that_wants_a_login_fails_no_message(reply: bytes) -> None:
    """A login that the server misses in the middle is the operator's business: later, and which setting."""
    answer, _ = one_answer(at("MAIL", reply))
    assert (answer.outcome, answer.code) == (TEMPORARY, "misconfigured")
    assert "HELIOGRAPH_SMTP_URL" in answer.text
    assert answer.retry_after == 1


def test_an_old_server_is_greeted_the_old_way() -> None:
    """A server that knows no EHLO gets HELO, and the message a command at a time."""
    answer, sink = one_answer(at("EHLO", b"502 unknown"))
    assert answer.outcome is ACCEPTED
    assert "HELO" in [step.name for step in sink.steps]
