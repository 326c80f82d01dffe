"""Calls through the HTTP door: what becomes of them, whatever the other side does."""

import asyncio
import gzip
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from heliograph import channels, clock
from heliograph.channels import webhook
from tests.channels import certificates
from tests.channels.http_sink import Act, Call, HttpSink, Said, Script, reply

ACCEPTED, TEMPORARY = channels.Outcome.ACCEPTED, channels.Outcome.TEMPORARY
PERMANENT, UNCERTAIN = channels.Outcome.PERMANENT, channels.Outcome.UNCERTAIN
TRUSTED = ssl.create_default_context()
NOW = 1_795_400_000_000_000
POST = channels.HttpRequest("POST", (("Content-Type", "application/json"),), b'{"a": 1}')


async def everywhere_here(host: str, port: int) -> list[str]:
    """A resolver for which every name is this machine."""
    return ["127.0.0.1"]


def door(port: int = 80, **given: object) -> webhook.HttpDoor:
    """A door for which shop.example and other.example are this machine, and allowed at this port."""
    usual: dict[str, object] = {
        "allowed_hosts": (f"shop.example:{port}", f"other.example:{port}"),
        "resolver": everywhere_here,
        "trusted": TRUSTED,
    }
    return webhook.HttpDoor(clock.ManualClock(NOW).now, **(usual | given))  # type: ignore[arg-type]


def call(
    script: Script,
    request: channels.HttpRequest = POST,
    path: str = "/hook",
    expires_at: int = NOW + 1,
) -> tuple[channels.Answer, list[Call]]:
    """Sends one call through the channel; gives the answer and what the server saw."""

    async def play() -> tuple[channels.Answer, list[Call]]:
        async with HttpSink(script) as sink:
            opened = door(sink.port)
            outgoing = channels.Outgoing(
                "id-1", "webhook", f"http://shop.example:{sink.port}{path}", request, "", expires_at
            )
            answer = await webhook.WebhookChannel(opened).send(outgoing)
            await opened.close()
        return answer, sink.calls

    return asyncio.run(play())


def fetch(
    script: Script, request: channels.HttpRequest = POST, max_body: int = 1000
) -> tuple[webhook.HttpAnswer, HttpSink]:
    """Makes one request through the door; gives the answer and the server."""

    async def play() -> tuple[webhook.HttpAnswer, HttpSink]:
        async with HttpSink(script) as sink:
            opened = door(sink.port)
            answer = await opened.request(f"http://shop.example:{sink.port}/", request, max_body=max_body)
            await opened.close()
        return answer, sink

    return asyncio.run(play())


def always(said: Said) -> Script:
    return lambda _: said


# ── what arrives ────────────────────────────────────────────────────────────────────────────────────


def test_a_call_arrives_as_it_was_made() -> None:
    """Method, path, headers and body arrive; the host is the name, and the ledger's id the idempotency key."""
    request = channels.HttpRequest("PUT", (("X-A", "a"), ("idempotency-key", "x")), b"\x00body")
    answer, (seen,) = call(always(reply("201 Created", b"made")), request, "/a%2Fb?c=d%20e#f")
    assert (answer.outcome, answer.provider, answer.code) == (ACCEPTED, "http", "201")
    assert (seen.method, seen.target, seen.body) == ("PUT", "/a%2Fb?c=d%20e", b"\x00body")
    assert seen.headers["host"].startswith("shop.example:")
    assert seen.headers["idempotency-key"] == "id-1"
    assert seen.headers["user-agent"].startswith("Heliograph/")


def test_spaces_around_a_header_are_no_part_of_it() -> None:
    """A value that was filled from a name with a space behind it is sent without."""
    request = channels.HttpRequest("POST", (("X-Name", " Ana "), ("X-Empty", " ")), b"{}")
    answer, (seen,) = call(always(reply("200 OK")), request)
    assert answer.outcome is ACCEPTED
    assert (seen.headers["x-name"], seen.headers["x-empty"]) == ("Ana", "")


@pytest.mark.parametrize("written", [" {}", "{}\n", "\t{} \r\n"])
def test_spaces_around_an_address_are_no_part_of_it(written: str) -> None:
    """A URL that was copied with a line break behind it, or filled with a space, is called without."""

    async def play() -> tuple[channels.Answer, HttpSink]:
        async with HttpSink(always(reply("200 OK"))) as sink:
            url = written.format(f"http://shop.example:{sink.port}/a")
            outgoing = channels.Outgoing("id", "webhook", url, POST, "", NOW + 1)
            opened = door(sink.port)
            answer = await webhook.WebhookChannel(opened).send(outgoing)
            await opened.close()
        return answer, sink

    answer, sink = asyncio.run(play())
    assert answer.outcome is ACCEPTED
    assert [seen.target for seen in sink.calls] == ["/a"]


def test_the_answer_is_kept() -> None:
    """Status, telling headers and body are in the detail; what a database could not store is not."""
    said = reply(
        "202 Accepted", b"ok\x00\xff", "X-Request-Id: r-7", "Content-Type: text/plain", "Set-Cookie: a=b"
    )
    answer, _ = call(always(said))
    assert answer.reference == "r-7"
    assert answer.detail == {
        "status": 202,
        "headers": {"content-length": "4", "content-type": "text/plain", "x-request-id": "r-7"},
        "body": "ok��",
    }
    assert answer.text == "202 Accepted ok��"


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("200 OK", ACCEPTED),
        ("204 No Content", ACCEPTED),
        ("400 Bad Request", PERMANENT),
        ("401 Unauthorized", PERMANENT),
        ("404 Not Found", PERMANENT),
        ("410 Gone", PERMANENT),
        ("304 Not Modified", PERMANENT),
        ("408 Request Timeout", TEMPORARY),
        ("425 Too Early", TEMPORARY),
        ("429 Too Many Requests", TEMPORARY),
        ("500 Internal Server Error", TEMPORARY),
        ("503 Service Unavailable", TEMPORARY),
    ],
)
def test_a_status_means_what_it_says(status: str, outcome: channels.Outcome) -> None:
    """2xx was taken, 5xx and the few that ask for patience mean later, everything else means never."""
    answer, _ = call(always(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()))
    assert (answer.outcome, answer.code) == (outcome, status[:3])
    assert answer.text == status


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("7", 7.0),
        ("Mon, 23 Nov 2026 02:15:20 GMT", 120.0),
        ("Mon, 23 Nov 2020 02:15:20 GMT", 0.0),
        ("Mon Nov 23 02:15:20 2026", 120.0),
        ("Mon, 23 Nov 2026 02:15:20 -0000", 120.0),
        ("99999999999999", 86_400.0),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after_is_honoured(
    monkeypatch: pytest.MonkeyPatch, written: str, seconds: float | None
) -> None:
    """A number of seconds or a date, at most a day, becomes the wait before the next attempt; no zone is UTC."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    answer, _ = call(always(reply("429 Too Many Requests", b"", f"Retry-After: {written}")))
    assert answer.retry_after == seconds
    monkeypatch.undo()
    time.tzset()


# ── what breaks ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("act", [Act.DROP, Act.SILENCE])
def test_a_lost_answer_is_uncertain(act: Act) -> None:
    """A call that was written and not answered may have been acted on: UNCERTAIN, and it was seen."""
    answer, seen = call(always(act), POST._replace(timeout=1))
    assert (answer.outcome, answer.code) == (UNCERTAIN, "lost")
    assert "Error" not in answer.text, "what happened, and not what a library calls it"
    assert len(seen) == 1


@pytest.mark.parametrize(
    "said", [b"SMTP ready\r\n\r\n", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000]
)
def test_an_answer_that_is_none_is_uncertain(said: bytes) -> None:
    """What is not HTTP, or no whole head, does not say what became of the call."""
    answer, _ = call(always(said), POST._replace(timeout=1))
    assert answer.outcome is UNCERTAIN


def test_a_dead_server_is_temporary() -> None:
    """Where nobody listens nothing was written: the call waits."""

    async def play() -> channels.Answer:
        async with HttpSink() as sink:
            url = f"http://shop.example:{sink.port}/"
        outgoing = channels.Outgoing("id", "webhook", url, POST, "", NOW + 1)
        return await webhook.WebhookChannel(door(sink.port)).send(outgoing)

    answer = asyncio.run(play())
    assert (answer.outcome, answer.code) == (TEMPORARY, "unreachable")


def test_a_name_that_leads_nowhere_is_temporary() -> None:
    """A name that is not resolved today may be tomorrow."""

    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    async def nothing(host: str, port: int) -> list[str]:
        return []

    for resolver in (nowhere, nothing):
        answer = asyncio.run(door(resolver=resolver).request("http://shop.example/", POST))
        assert answer.fate is webhook.Fate.UNSENT
        assert "shop.example" in answer.text


def test_a_slow_resolver_is_not_waited_for() -> None:
    """The time-out is for all of a request, looking up its name included."""

    async def slow(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    answer = asyncio.run(door(resolver=slow).request("http://shop.example/", POST._replace(timeout=0.02)))
    assert (answer.fate, answer.text) == (webhook.Fate.UNSENT, "no answer within 0.02 s")


async def drip() -> AsyncIterator[bytes]:
    """An answer whose body never ends."""
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    yield b"drop"
    await asyncio.Event().wait()


def test_a_body_that_drips_does_not_hold_the_answer() -> None:
    """When the status is here and the body does not end in time, the answer stands with what was read."""
    answer, _ = fetch(lambda _: drip(), POST._replace(timeout=1))
    assert (answer.fate, answer.status, answer.body) == (webhook.Fate.ANSWERED, 200, b"drop")
    assert not answer.is_whole


@pytest.mark.parametrize(("size", "is_whole"), [(999, True), (1000, True), (1001, False)])
def test_a_body_that_just_fits_is_whole(size: int, is_whole: bool) -> None:
    """A body of exactly the limit is whole, one octet more is not."""
    answer, _ = fetch(always(reply("200 OK", b"0" * size)))
    assert (len(answer.body), answer.is_whole) == (min(size, 1000), is_whole)


@pytest.mark.parametrize("packed", [False, True])
def test_no_more_of_a_body_is_read_than_asked(packed: bool) -> None:
    """A body of eight megabytes, packed or not, ends at the limit and says that it is not whole."""
    body = b"0" * 8_000_000
    said = reply("200 OK", gzip.compress(body), "Content-Encoding: gzip") if packed else reply("200 OK", body)
    answer, _ = fetch(always(said))
    assert (answer.status, answer.body, answer.is_whole) == (200, b"0" * 1000, False)


def test_a_packed_body_is_unpacked() -> None:
    """What a server sends packed is given as it was; what cannot be unpacked is not whole."""
    answer, _ = fetch(always(reply("200 OK", gzip.compress(b"hello"), "Content-Encoding: gzip")))
    assert (answer.body, answer.is_whole) == (b"hello", True)
    answer, _ = fetch(always(reply("200 OK", b"no gzip", "Content-Encoding: gzip")))
    assert (answer.status, answer.is_whole) == (200, False)


def test_data_that_is_not_whole_says_why() -> None:
    """What came too slowly and what cannot be unpacked are told apart, and both are tried again."""
    packed = always(reply("200 OK", b"no gzip", "Content-Encoding: gzip"))
    for said, why in (
        (lambda _: drip(), "not all of the answer came: no answer within 1 s"),
        (packed, "the answer cannot be unpacked"),
    ):
        answer, _ = call(said, POST._replace(fetches=True, timeout=1))
        assert (answer.outcome, answer.code, answer.text) == (TEMPORARY, "lost", why)


@pytest.mark.parametrize("fetches", [True, False])
def test_data_is_not_guessed_from_other_letters(fetches: bool) -> None:
    """What a fetch is answered is UTF-8, or no data; a call was taken, whatever is said of it."""
    said = reply("200 OK", '{"name": "Müller"}'.encode("latin-1"))
    answer, _ = call(always(said), POST._replace(fetches=fetches))
    assert answer.outcome is (PERMANENT if fetches else ACCEPTED)
    assert ("UTF-8" in answer.text) is fetches


def test_an_expired_claim_is_not_called() -> None:
    """At the instant a claim runs out nothing is written any more, though the connection may stand."""
    answer, seen = call(always(reply()), expires_at=NOW)
    assert (answer.outcome, answer.code, seen) == (TEMPORARY, "lease_over", [])


@pytest.mark.parametrize(
    ("url", "request_"),
    [
        ("ftp://shop.example/", POST),
        ("shop.example", POST),
        ("http://", POST),
        ("http://shop.example:99999/", POST),
        ("http://user:secret@shop.example/", POST),
        ("http://shop.example/", POST._replace(method="GET /x HTTP/1.1\r\nX:")),
        ("http://shop.example/", POST._replace(headers=(("X", "a\r\nY: b"),))),
        ("http://shop.example/", POST._replace(headers=(("X Y", "a"),))),
        ("http://shop.example/", POST._replace(headers=(("Host", "elsewhere"),))),
        ("http://shop.example/", POST._replace(headers=(("Transfer-Encoding", "chunked"),))),
    ],
)
def test_what_cannot_be_called_says_why(url: str, request_: channels.HttpRequest) -> None:
    """A URL or header that cannot be sent is refused for good, without a word to anybody."""

    async def play() -> channels.Answer:
        outgoing = channels.Outgoing("id", "webhook", url, request_, "", NOW + 1)
        return await webhook.WebhookChannel(door()).send(outgoing)

    answer = asyncio.run(play())
    assert (answer.outcome, answer.code) == (PERMANENT, "malformed")
    assert answer.text
    assert "secret" not in answer.text


# ── many requests ───────────────────────────────────────────────────────────────────────────────────


def together(story: Callable[[webhook.HttpDoor, HttpSink], Awaitable[None]], script: Script) -> HttpSink:
    """Plays a story of several requests against one server."""

    async def play() -> HttpSink:
        async with HttpSink(script) as sink:
            opened = door(sink.port)
            await story(opened, sink)
            await opened.close()
        return sink

    return asyncio.run(play())


def test_connections_are_kept_and_nothing_else() -> None:
    """Requests share a connection; a cookie that one is given does not travel with the next."""

    async def story(opened: webhook.HttpDoor, sink: HttpSink) -> None:
        for _ in range(3):
            assert (await opened.request(f"http://shop.example:{sink.port}/", POST)).status == 200

    sink = together(story, always(reply("200 OK", b"", "Set-Cookie: session=secret; Path=/")))
    assert sink.connections == 1
    assert all("cookie" not in seen.headers for seen in sink.calls)


@pytest.mark.parametrize("more", [reply("200 OK", b"forged"), b"\n", b"and the rest of a body"])
def test_what_comes_after_an_answer_answers_nothing(more: bytes) -> None:
    """A server that says more than its answer is not listened to on that connection again."""

    async def story(opened: webhook.HttpDoor, sink: HttpSink) -> None:
        for _ in range(3):
            answer = await opened.request(f"http://shop.example:{sink.port}/", POST)
            assert (answer.status, answer.body) == (200, b"true")

    sink = together(story, always(reply("200 OK", b"true") + more))
    assert sink.connections == len(sink.calls) == 3


def test_a_connection_that_the_server_closed_is_not_used_again() -> None:
    """A server that closes after each answer gets every call on a new connection."""

    async def story(opened: webhook.HttpDoor, sink: HttpSink) -> None:
        for n in range(4):
            assert (await opened.request(f"http://shop.example:{sink.port}/{n}", POST)).status == 200

    sink = together(story, always(reply("200 OK", b"", "Connection: close")))
    assert [seen.target for seen in sink.calls] == ["/0", "/1", "/2", "/3"]


def test_the_environment_sends_nobody_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy or login that stands in the environment is not used."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch(always(reply()))[0].status == 200


@pytest.mark.parametrize("ends", ["close", "abort"])
def test_a_server_that_hangs_up_while_tls_begins_is_temporary(ends: str) -> None:
    """Nothing was written by then; the ledger says what happened, and not what a library calls it."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        getattr(writer.transport, ends)()

    async def play() -> webhook.HttpAnswer:
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        opened = door(port)
        answer = await opened.request(f"https://shop.example:{port}/", POST)
        await opened.close()
        server.close()
        return answer

    answer = asyncio.run(play())
    assert answer.fate is webhook.Fate.UNSENT
    assert answer.text.startswith("shop.example: ")
    assert "closed" in answer.text or "the server hung up" in answer.text


def test_tls_is_checked_against_the_name(tmp_path: Path) -> None:
    """The checked address is connected to, but the certificate and the Host are those of the name."""
    context, ca_file = certificates.make(tmp_path, "shop.example")

    async def play() -> list[webhook.HttpAnswer]:
        async with HttpSink(tls=context) as sink:
            opened = door(sink.port, trusted=ssl.create_default_context(cafile=ca_file))
            answers = [
                await opened.request(f"https://{host}:{sink.port}/", POST)
                for host in ("shop.example", "other.example")
            ]
            await opened.close()
        assert [seen.headers["host"] for seen in sink.calls] == [f"shop.example:{sink.port}"]
        return answers

    right, wrong = asyncio.run(play())
    assert right.status == 200
    assert wrong.fate is webhook.Fate.UNSENT
    assert "certificate" in wrong.text.lower()
