"""Push and chat by Apprise, through a real service: its JSON notification."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import apprise as library
import pytest

from heliograph import channels, clock, errors, guard
from heliograph.channels import apprise
from heliograph.channels.apprise import confinement
from tests.channels import http_sink
from tests.channels.http_sink import HttpSink

WORDS = channels.Words("News", "Hello")
NOBODY = guard.Guard()
"""Allows no host."""
AT = 1_795_400_000_000_000
NOW = clock.ManualClock(AT).now


def sent(
    script: http_sink.Script,
    address: str = "device:1 #a",
    host: str = "127.0.0.1",
    allowed: str = "HOST:PORT",
    words: channels.Words = WORDS,
    expires_at: int = AT + 1,
    query: str = "",
) -> tuple[channels.Answer, HttpSink]:
    """The answer to one message, and the service that was asked."""

    async def play() -> tuple[channels.Answer, HttpSink]:
        async with HttpSink(script) as sink:
            entry = allowed.replace("HOST", host).replace("PORT", str(sink.port))
            url = f"json://{host}:{sink.port}/{apprise.PLACE}{query}"
            channel = apprise.AppriseChannel("push", url, guard.Guard([entry]), NOW)
            outgoing = channels.Outgoing("id-1", "push", address, words, "", expires_at)
            try:
                return await channel.send(outgoing), sink
            finally:
                await channel.close()

    return asyncio.run(play())


def test_nothing_is_begun_when_its_claim_is_over() -> None:
    """What waited behind a slow service for too long is not handed over: it may be somebody else's by now."""
    answer, sink = sent(lambda _: http_sink.reply(), expires_at=AT)
    assert (answer.outcome, answer.code, sink.calls) == (channels.Outcome.TEMPORARY, "lease_over", [])


def test_a_message_goes_where_its_recipient_is() -> None:
    """Title and text arrive; the address stands in the URL, and one that would lead elsewhere is refused."""
    answer, sink = sent(lambda _: http_sink.reply())
    assert answer.outcome is channels.Outcome.ACCEPTED
    (call,) = sink.calls
    assert call.target in ("/device:1%20%23a", "/device%3A1%20%23a")
    said = json.loads(call.body)
    assert (said["title"], said["message"]) == ("News", "Hello")
    for address in ("../admin", "a?b=c", "a%2Fb"):
        answer, sink = sent(lambda _: http_sink.reply(), address)
        assert (answer.outcome, answer.code) == (channels.Outcome.PERMANENT, "malformed")
        assert sink.calls == []


def test_data_goes_beside_the_words() -> None:
    """A service that takes data for a program has it; of one that takes none the answer says that it has not."""
    data = (("order", "7"), ("title", "x"))
    answer, sink = sent(lambda _: http_sink.reply(), words=WORDS._replace(data=data))
    said = json.loads(sink.calls[0].body)
    assert (said["title"], said["data"], answer.text) == ("News", {"order": "7", "title": "x"}, "")
    for url, held in (
        ("fcm://project/key/device/?mode=legacy", "data_kwargs"),
        ("onesignal://app@key/device/", "postback_data"),
    ):
        service = library.Apprise.instantiate(url)
        assert apprise.give(service, data)
        assert getattr(service, held) == dict(data)
    assert not apprise.give(library.Apprise.instantiate("xml://localhost/"), data)


def test_what_is_not_taken_is_tried_again() -> None:
    """The library does not say why: the message is not lost for it."""
    answer, sink = sent(lambda _: http_sink.reply("400 Bad Request"))
    assert (answer.outcome, answer.code) == (channels.Outcome.TEMPORARY, "refused")
    assert len(sink.calls) == 1


async def _half() -> AsyncIterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{"


@pytest.mark.parametrize("said", [lambda _: http_sink.Act.DROP, lambda _: _half()])
def test_what_was_asked_and_not_answered_may_have_been_taken(said: http_sink.Script) -> None:
    """The library calls it not taken: sent again as such it would come twice and nobody could count it."""
    answer, sink = sent(said, query="?rto=1")
    assert (answer.outcome, answer.code) == (channels.Outcome.UNCERTAIN, "lost")
    assert len(sink.calls) == 1


def test_a_service_that_is_down_has_nothing() -> None:
    """What could not be begun is tried again, as for any other channel."""

    async def play() -> channels.Answer:
        channel = apprise.AppriseChannel("push", "json://127.0.0.1:9/", guard.Guard(["127.0.0.1:9"]), NOW)
        return await channel.send(channels.Outgoing("id-1", "push", "ana", WORDS, "", 2**62))

    answer = asyncio.run(play())
    assert (answer.outcome, answer.code) == (channels.Outcome.TEMPORARY, "refused")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001"])
def test_a_service_behind_our_own_walls_is_not_reached(host: str) -> None:
    """However its address is written; the message waits, and its account names the setting that would allow it."""
    answer, sink = sent(lambda _: http_sink.reply(), host=host, allowed="other.example:PORT")
    assert (answer.outcome, answer.code) == (channels.Outcome.TEMPORARY, "misconfigured")
    assert answer.blames_provider
    assert "loopback" in answer.text
    assert f"name {host}:{sink.port} in HELIOGRAPH_ALLOWED_HOSTS" in answer.text
    assert sink.calls == []


def test_a_service_that_the_operator_names_is_reached() -> None:
    """By the name in the setting, whatever it leads to."""
    answer, sink = sent(lambda _: http_sink.reply(), host="localhost")
    assert answer.outcome is channels.Outcome.ACCEPTED
    assert len(sink.calls) == 1


def test_a_service_cannot_lead_inside() -> None:
    """A redirect is followed by the library, and judged all the same."""

    async def play() -> None:
        async with HttpSink(lambda _: http_sink.reply()) as inner:
            onward = http_sink.reply("302 Found", b"", f"Location: http://127.0.0.1:{inner.port}/secret")
            async with HttpSink(lambda _: onward) as outer:
                guarded = guard.Guard([f"127.0.0.1:{outer.port}"])
                channel = apprise.AppriseChannel("push", f"json://127.0.0.1:{outer.port}/", guarded, NOW)
                outgoing = channels.Outgoing("id-1", "push", "ana", WORDS, "", 2**62)
                answer = await channel.send(outgoing)
                assert (answer.outcome, answer.code) == (channels.Outcome.TEMPORARY, "misconfigured")
                assert (len(outer.calls), inner.calls) == (1, [])

    asyncio.run(play())


def test_a_proxy_is_asked_for_nothing_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library goes by a proxy, what a workspace's address leads to is judged as well as the proxy."""

    async def play(url: str, *allowed: str) -> tuple[channels.Answer, list[str]]:
        async with HttpSink(lambda _: http_sink.reply()) as proxy:
            monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
            guarded = guard.Guard([f"127.0.0.1:{proxy.port}", *allowed])
            channel = apprise.AppriseChannel("push", url, guarded, NOW)
            outgoing = channels.Outgoing("id-1", "push", "ana", WORDS, "", 2**62)
            return await channel.send(outgoing), [call.target for call in proxy.calls]

    for url in ("json://127.0.0.1:9/", "json://localhost:9/", "json://169.254.169.254/", "json://[::1]:9/"):
        answer, asked = asyncio.run(play(url))
        assert (answer.outcome, answer.code, asked) == (channels.Outcome.TEMPORARY, "misconfigured", [])
    for url, entry in (("json://127.0.0.1:9/", "127.0.0.1:9"), ("json://nowhere.invalid/", "x.example")):
        answer, asked = asyncio.run(play(url, entry))
        assert (answer.outcome, len(asked)) == (channels.Outcome.ACCEPTED, 1)


def test_a_service_is_held_as_it_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a service does before it has a message to send is judged as what it does with one."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    seen: list[str] = []

    def made(_: str, **__: object) -> object:
        with contextlib.suppress(OSError):
            seen.append(secret.read_text())
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", 1))
        return object()

    monkeypatch.setattr(library.Apprise, "instantiate", made)
    with pytest.raises(errors.BadSetting):
        apprise.AppriseChannel("push", "json://somewhere", NOBODY, NOW)
    assert seen == []


def test_a_name_that_is_allowed_speaks_for_no_other() -> None:
    """What was resolved before does not let through a name that is connected to as it is."""
    guarded = guard.Guard(["allowed.example:1"])

    def work() -> None:
        for look in (socket.getaddrinfo, lambda host, _: socket.gethostbyname(host)):
            with contextlib.suppress(OSError):
                look("allowed.example", 1)
            with contextlib.suppress(OSError), socket.socket() as made:
                made.connect(("localhost", 1))

    with pytest.raises(guard.Forbidden, match="localhost"):
        confinement.held(guarded, work)

    def other() -> None:
        with contextlib.suppress(OSError):
            socket.getaddrinfo("allowed.example", 1)
        address = socket.gethostbyname("localhost")
        with contextlib.suppress(OSError), socket.socket() as made:
            made.connect((address, 1))

    with pytest.raises(guard.Forbidden, match="localhost"):
        confinement.held(guarded, other)


def test_no_file_is_read_for_a_message(tmp_path: Path) -> None:
    """A URL may name files (templates, keys): none of ours is opened, written, or sent anywhere."""
    secret = tmp_path / "secret"
    secret.write_text("x")
    for work in (secret.read_text, lambda: secret.write_text("y"), lambda: Path("/etc/passwd").read_text()):
        with pytest.raises(PermissionError):
            confinement.held(NOBODY, work)
    assert confinement.held(NOBODY, lambda: Path(json.__file__).read_text())
    assert secret.read_text() == "x"


@pytest.mark.parametrize(
    "work",
    [
        lambda made: made(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("169.254.169.254", 53)),
        lambda made: made(socket.AF_UNIX, socket.SOCK_STREAM).connect("/nowhere"),
        lambda made: made(socket.AF_INET, socket.SOCK_STREAM).connect(("localhost", 1)),
        lambda _: socket.create_connection(("127.0.0.1", 1)),
    ],
    ids=["datagram", "unix", "unresolved", "stream"],
)
def test_no_way_leads_around_the_guard(work: Callable[[Callable[..., socket.socket]], object]) -> None:
    """Whatever kind of socket a service is reached by; and what a library makes of the refusal does not hide it."""
    with contextlib.ExitStack() as open_ones:

        def made(*kind: int) -> socket.socket:
            return open_ones.enter_context(socket.socket(*kind))

        def swallowed() -> bool:
            with contextlib.suppress(OSError):
                work(made)
            return False

        for attempt in (lambda: work(made), swallowed):
            with pytest.raises(guard.Forbidden):
                confinement.held(NOBODY, attempt)


def test_no_program_is_started_for_a_message() -> None:
    """Nor is anybody else hindered."""
    with pytest.raises(PermissionError):
        confinement.held(NOBODY, lambda: subprocess.run(["/bin/true"], check=True))
    assert subprocess.run(["/bin/true"], check=True).returncode == 0


@pytest.mark.parametrize("url", ["nonsense://x", "json://", "syslog://", "dbus://", "xmpp://u:p@h"])
def test_a_url_that_is_no_service_is_refused(url: str) -> None:
    """Neither what Apprise does not know, nor the machine itself, nor what cannot be held to the guard."""
    with pytest.raises(errors.BadSetting, match="Apprise knows no service"):
        apprise.AppriseChannel("push", url, NOBODY, NOW)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it is told how."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(errors.BadSetting, match=r"pip install heliograph\[apprise\]"):
        apprise.AppriseChannel("push", "json://push.example.com", NOBODY, NOW)
