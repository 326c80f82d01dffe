"""The guard of the HTTP door: nothing behind our own walls is reached, whatever leads there."""

import asyncio
import ssl
from collections.abc import Iterable
from pathlib import Path

import pytest

from heliograph import channels, clock
from heliograph.channels import webhook
from tests.channels import certificates
from tests.channels.http_sink import Call, HttpSink, Script, reply

FORBIDDEN = webhook.Fate.FORBIDDEN
TRUSTED = ssl.create_default_context()
GET = channels.HttpRequest("GET", timeout=5)
PUBLIC = "2d00::1"  # judged public; given to nobody


class Names:
    """A resolver that gives each name its addresses, one answer after the other, the last for ever."""

    def __init__(self, **answers: Iterable[str]):
        self.answers = {name.replace("_", "."): list(given) for name, given in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        if host not in self.answers:
            raise OSError("no such name")
        given = self.answers[host]
        return (given.pop(0) if len(given) > 1 else given[0]).split()


def visit(
    url: str,
    script: Script = lambda _: reply(),
    *,
    names: Names | None = None,
    allowed: tuple[str, ...] = (),
    request: channels.HttpRequest = GET,
    host: str = "127.0.0.1",
) -> tuple[webhook.HttpAnswer, list[Call]]:
    """Asks for a URL, in which PORT is that of a server on this machine; gives the answer and what it saw."""

    async def play() -> tuple[webhook.HttpAnswer, list[Call]]:
        async with HttpSink(script, host) as sink:
            door = webhook.HttpDoor(
                clock.ManualClock(0).now,
                [entry.replace("PORT", str(sink.port)) for entry in allowed],
                names or Names(),
                TRUSTED,
            )
            answer = await door.request(url.replace("PORT", str(sink.port)), request)
            await door.close()
        return answer, sink.calls

    return asyncio.run(play())


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("[::1]", "loopback"),
        ("[::ffff:127.0.0.1]", "IPv4-mapped loopback"),
        ("[::ffff:7f00:1]", "IPv4-mapped loopback"),
        ("[64:ff9b::7f00:1]", "NAT64 loopback"),
        ("[2002:7f00:1::]", "6to4 loopback"),
        ("169.254.169.254", "cloud metadata"),
        ("[fd00:ec2::254]", "cloud metadata"),
        ("10.0.0.1", "private"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("0.0.0.0", "unspecified"),
        ("0x7f000001", "in disguise"),
        ("2130706433", "in disguise"),
        ("127.1", "in disguise"),
        ("127.0.0.1.", "in disguise"),
    ],
)
def test_an_address_of_our_own_is_not_reached(host: str, kind: str) -> None:
    """Every form of an inner address is refused for good, and the text says what it is."""
    answer, seen = visit(f"http://{host}:PORT/")
    assert answer.fate is FORBIDDEN
    assert kind in answer.text
    assert seen == []


@pytest.mark.parametrize(
    "host", ["[fe80::1%25lo]", "0177.0.0.1", "0x7f.0x0.0x0.0x1", "127。0。0。1", "[x", "a%00b", "①②⑦.0.0.1"]
)
def test_a_host_that_only_some_would_understand_is_not_reached(host: str) -> None:
    """What one parser reads as a name and another as an address gets nowhere."""
    answer, seen = visit(f"http://{host}:PORT/")
    assert answer.fate in (FORBIDDEN, webhook.Fate.MALFORMED)
    assert seen == []


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "::ffff:10.0.0.1", "169.254.169.254", f"{PUBLIC} 127.0.0.1"]
)
def test_a_name_of_our_own_is_not_reached(address: str) -> None:
    """A name that leads inside, if only with one of its addresses, is refused; the text names the setting."""
    answer, seen = visit("http://inside.example:PORT/", names=Names(inside_example=[address]))
    assert answer.fate is FORBIDDEN
    assert "HELIOGRAPH_ALLOWED_HOSTS" in answer.text
    assert "127.0.0.1" not in answer.text  # the caller learns the class, not our map
    assert seen == []


def test_the_channel_refuses_for_good() -> None:
    """A call to an inner address is PERMANENT: trying again cannot make it right."""

    async def play() -> channels.Answer:
        door = webhook.HttpDoor(clock.ManualClock(0).now, resolver=Names(), trusted=TRUSTED)
        outgoing = channels.Outgoing("id", "webhook", "http://127.0.0.1/", GET, "", 1)
        return await webhook.WebhookChannel(door).send(outgoing)

    answer = asyncio.run(play())
    assert (answer.outcome, answer.code) == (channels.Outcome.PERMANENT, "forbidden")
    assert "loopback" in answer.text
    assert "HELIOGRAPH_ALLOWED_HOSTS" in answer.text


@pytest.mark.parametrize(
    ("entry", "passes"),
    [
        ("inside.example", False),
        ("INSIDE.example:PORT", True),
        ("inside.example:PORT", True),
        ("inside.example:1", False),
        ("example", False),
        ("side.example", False),
        ("127.0.0.1", False),
    ],
)
def test_an_allowed_host_is_reached(entry: str, passes: bool) -> None:
    """A setting opens exactly the host and port that it names, 80 and 443 where it names none, and nothing else."""
    answer, seen = visit(
        "http://inside.example:PORT/", names=Names(inside_example=["127.0.0.1"]), allowed=(entry,)
    )
    assert (answer.status == 200) is passes
    assert len(seen) == passes


def test_an_allowed_ipv6_address_is_reached() -> None:
    """An IPv6 address stands in brackets before its port."""
    answer, _ = visit("http://[::1]:PORT/", allowed=("[::1]:PORT",), host="::1")
    assert answer.status == 200


def test_a_name_that_changes_between_look_and_connection_gains_nothing() -> None:
    """The name is looked up once; what was judged is connected to, and not what the name says a moment later."""
    names = Names(rebinding_example=[PUBLIC, "127.0.0.1"])
    answer, seen = visit("http://rebinding.example:PORT/", names=names, request=GET._replace(timeout=0.5))
    assert answer.fate is webhook.Fate.UNSENT
    assert names.asked == ["rebinding.example"]
    assert seen == []


def test_a_name_that_nobody_knows_is_said_once() -> None:
    """A name without an address is an attempt that was not begun, whose text names the host once."""
    answer, _ = visit("http://none.example/", names=Names())
    assert (answer.fate, answer.text) == (
        webhook.Fate.UNSENT,
        "none.example cannot be resolved: no such name",
    )


# ── redirects ───────────────────────────────────────────────────────────────────────────────────────


def redirecting(status: str, location: str) -> Script:
    """A server that sends /  elsewhere, once."""
    return lambda call: reply() if call.target != "/" else reply(status, b"", f"Location: {location}")


@pytest.mark.parametrize(
    "location",
    ["http://127.0.0.1:1/x", "http://[::ffff:127.0.0.1]/", "http://inside.example/", "//169.254.169.254/latest",
     "http://2130706433/", "file:///etc/passwd", "gopher://shop.example/", "http://u:p@shop.example/", "http://[x"],
)  # fmt: skip
def test_a_redirect_is_judged_anew(location: str) -> None:
    """A host that we may reach cannot send us to one that we may not, nor to another kind of place."""
    names = Names(shop_example=["127.0.0.1"], inside_example=["10.0.0.1"])
    answer, seen = visit(
        "http://shop.example:PORT/",
        redirecting("302 Found", location),
        names=names,
        allowed=("shop.example:PORT",),
    )
    assert answer.fate is FORBIDDEN
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("status", "method"),
    [
        ("301 Moved Permanently", "POST"),
        ("302 Found", "POST"),
        ("303 See Other", "GET"),
        ("307 Temporary Redirect", "POST"),
        ("308 Permanent Redirect", "POST"),
    ],
)
def test_a_redirected_call_stays_a_call(status: str, method: str) -> None:
    """The method and the body follow a redirect; only 303 asks for a GET of the result."""
    request = channels.HttpRequest("POST", (("Authorization", "Bearer x"),), b"body")
    answer, (_, second) = visit(
        "http://shop.example:PORT/",
        redirecting(status, "/next?a=b"),
        names=Names(shop_example=["127.0.0.1"]),
        allowed=("shop.example:PORT",),
        request=request,
    )
    assert answer.status == 200
    assert answer.url.endswith("/next?a=b")
    assert (second.method, second.target) == (method, "/next?a=b")
    assert second.body == (b"body" if method == "POST" else b"")
    assert second.headers["authorization"] == "Bearer x"


def test_credentials_do_not_follow_to_another_host() -> None:
    """Only headers that say nothing about us travel on when a redirect leads to another host or port."""
    secrets = (
        ("Authorization", "Bearer x"),
        ("X-Api-Key", "y"),
        ("Cookie", "z"),
        ("Content-Type", "text/plain"),
    )
    answer, (_, second) = visit(
        "http://shop.example:PORT/",
        lambda call: redirecting("307 Temporary Redirect", f"http://other.example:{port_of(call)}/next")(
            call
        ),
        names=Names(shop_example=["127.0.0.1"], other_example=["127.0.0.1"]),
        allowed=("shop.example:PORT", "other.example:PORT"),
        request=channels.HttpRequest("POST", secrets, b"body"),
    )
    assert answer.status == 200
    assert set(second.headers) == {
        "host",
        "accept",
        "user-agent",
        "content-type",
        "content-length",
        "accept-encoding",
    }


def port_of(call: Call) -> str:
    """The port that a request was made to."""
    return call.headers["host"].rpartition(":")[2]


def test_redirects_end_after_three() -> None:
    """A server that sends us round and round is left after three steps, with its last answer."""
    answer, seen = visit(
        "http://shop.example:PORT/",
        lambda call: reply("302 Found", b"", f"Location: {call.target}x"),
        names=Names(shop_example=["127.0.0.1"]),
        allowed=("shop.example:PORT",),
    )
    assert (answer.status, [call.target for call in seen]) == (302, ["/", "/x", "/xx", "/xxx"])
    assert answer.text == "302 Found, and was sent on 3 times before"


def test_a_redirect_without_a_place_is_an_answer() -> None:
    """A redirect that does not say where to is given as it is."""
    answer, _ = visit(
        "http://shop.example:PORT/",
        lambda _: reply("302 Found", b"nowhere"),
        names=Names(shop_example=["127.0.0.1"]),
        allowed=("shop.example:PORT",),
    )
    assert (answer.status, answer.body) == (302, b"nowhere")


def test_what_is_secret_is_not_sent_on_in_the_clear(tmp_path: Path) -> None:
    """A call over https is not sent on over plain http, unless to a host that the operator named."""
    context, ca_file = certificates.make(tmp_path, "shop.example")

    async def play(*allowed: str) -> tuple[webhook.HttpAnswer, int]:
        async with HttpSink() as plain:
            there = redirecting("307 Temporary Redirect", f"http://plain.example:{plain.port}/")
            async with HttpSink(there, tls=context) as sink:
                door = webhook.HttpDoor(
                    clock.ManualClock(0).now,
                    [f"shop.example:{sink.port}", *(f"{name}:{plain.port}" for name in allowed)],
                    Names(shop_example=["127.0.0.1"], plain_example=["127.0.0.1"]),
                    ssl.create_default_context(cafile=ca_file),
                )
                url = f"https://shop.example:{sink.port}/"
                answer = await door.request(url, channels.HttpRequest("POST", (), b"body", timeout=5))
                await door.close()
        return answer, len(plain.calls)

    refused, seen = asyncio.run(play())
    assert (refused.fate, seen) == (FORBIDDEN, 0)
    assert "plain.example would be asked over plain http" in refused.text
    followed, seen = asyncio.run(play("plain.example"))
    assert (followed.status, seen) == (200, 1)


# ── fetches ─────────────────────────────────────────────────────────────────────────────────────────

FETCH = GET._replace(fetches=True)


def test_a_fetch_takes_https_alone() -> None:
    """Plain http is asked of nobody whom the operator did not name, nor is a redirect to it followed (J8)."""
    names = Names(shop_example=[PUBLIC], other_example=["127.0.0.1"])
    answer, seen = visit("http://shop.example:PORT/", names=names, request=FETCH)
    assert (answer.fate, seen) == (FORBIDDEN, [])
    assert "plain http" in answer.text
    answer, seen = visit(
        "http://other.example:PORT/",
        redirecting("302 Found", "http://shop.example/"),
        names=names,
        allowed=("other.example:PORT",),
        request=FETCH,
    )
    assert (answer.fate, len(seen)) == (FORBIDDEN, 1)


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other"])
def test_a_redirected_fetch_asks_for_the_result(status: str) -> None:
    """A POST becomes a GET that speaks of no body, and five steps are gone (A71)."""
    answer, seen = visit(
        "http://shop.example:PORT/",
        lambda call: reply(status, b"", f"Location: {call.target}x"),
        names=Names(shop_example=["127.0.0.1"]),
        allowed=("shop.example:PORT",),
        request=FETCH._replace(method="POST", headers=(("Content-Type", "text/plain"),), body=b"body"),
    )
    assert (answer.status, answer.text) == (int(status[:3]), f"{status}, and was sent on 5 times before")
    assert [call.headers.get("content-type") for call in seen] == ["text/plain", *[None] * 5]
    assert [(call.method, call.body) for call in seen] == [("POST", b"body"), *[("GET", b"")] * 5]
