"""Text messages: the form of Twilio's requests, and what its answers mean."""

import asyncio
import base64
import json
from urllib.parse import parse_qs

import pytest

from heliograph import channels, clock
from heliograph.channels import sms, webhook
from tests.channels import http_sink
from tests.channels.http_sink import Act, HttpSink

AT = 1_795_400_000_000_000
ACCEPTED, TEMPORARY = channels.Outcome.ACCEPTED, channels.Outcome.TEMPORARY
PERMANENT, UNCERTAIN = channels.Outcome.PERMANENT, channels.Outcome.UNCERTAIN


def sent(
    script: http_sink.Script, *, allowed: bool = True, by: str = "", **account: str
) -> tuple[channels.Answer, HttpSink]:
    """The answer to one text message, and the service that was asked."""

    async def play() -> tuple[channels.Answer, HttpSink]:
        async with HttpSink(script) as sink:
            hosts = (f"127.0.0.1:{sink.port}",) if allowed else ()
            door = webhook.HttpDoor(clock.ManualClock(AT).now, hosts)
            given = {"user": "AC1", "sender": "+15005550006", **account}
            to = sms.Account("AC1", "to ken", base=f"http://127.0.0.1:{sink.port}/", **given)
            channel = sms.TwilioChannel(to, webhook.WebhookChannel(door))
            words = channels.Words("A title", "Grüße & 50 % off + more")
            outgoing = channels.Outgoing("id-1", "sms", "+442079460100", words, by, AT + 60_000_000)
            try:
                return await channel.send(outgoing), sink
            finally:
                await channel.close()
                await door.close()

    return asyncio.run(play())


def told(line: str, **body: object) -> http_sink.Script:
    """A service that always answers this."""
    return lambda _: http_sink.reply(line, json.dumps(body).encode(), "Content-Type: application/json")


def test_a_message_may_name_its_sender() -> None:
    """It is from whom the message says, and not from whom its provider does; neither by its messaging service."""
    for service in ("", "MG1"):
        _, sink = sent(told("201 Created", sid="SM1"), by="Shop", service=service)
        (call,) = sink.calls
        form = parse_qs(call.body.decode(), strict_parsing=True)
        assert (form["From"], form.get("MessagingServiceSid")) == (["Shop"], None)


@pytest.mark.parametrize("sid", ["\ud800", "SM\0", "S" * 201, 7])
def test_a_name_that_no_ledger_takes_is_none(sid: object) -> None:
    """A message that was taken is, whatever the service calls it."""
    answer, _ = sent(told("201 Created", sid=sid))
    assert (answer.outcome, answer.reference) == (ACCEPTED, None)


@pytest.mark.parametrize("code", [[21211], {"a": 1}, "\0", "x" * 300, 21211.5, 10**30, True, None])
def test_a_code_that_is_none_is_left_out(code: object) -> None:
    """A message that was refused is, whatever the service says of the reason."""
    answer, _ = sent(told("400 Bad Request", code=code, message="No"))
    assert (answer.outcome, answer.code, answer.text) == (PERMANENT, "400", "No")


def test_a_text_message_is_posted_as_a_form() -> None:
    """Path, login, number, sender and text as Twilio takes them, and where it is to tell what became of it."""
    answer, sink = sent(told("201 Created", sid="SM1", status="queued"), callback="https://h.example/in/t")
    assert (answer.outcome, answer.reference, answer.code) == (ACCEPTED, "SM1", "201")
    (call,) = sink.calls
    assert (call.method, call.target) == ("POST", "/2010-04-01/Accounts/AC1/Messages.json")
    assert call.headers["authorization"] == "Basic " + base64.b64encode(b"AC1:to ken").decode()
    assert parse_qs(call.body.decode(), strict_parsing=True) == {
        "To": ["+442079460100"],
        "From": ["+15005550006"],
        "Body": ["Grüße & 50 % off + more"],
        "StatusCallback": ["https://h.example/in/t?message=id-1"],
    }
    _, other = sent(told("201 Created", sid="SM1"), service="MG1", user="SK1")
    form = parse_qs(other.calls[0].body.decode())
    assert (form.get("From"), form["MessagingServiceSid"]) == (None, ["MG1"])
    assert other.calls[0].headers["authorization"] == "Basic " + base64.b64encode(b"SK1:to ken").decode()


@pytest.mark.parametrize(
    ("script", "outcome", "code", "blames_provider"),
    [
        (told("400 Bad", code=21211, message="invalid To"), PERMANENT, "400 21211", False),
        (told("400 Bad", code=21610, message="said STOP"), PERMANENT, "400 21610", False),
        (told("400 Bad", code=21606, message="From is not yours"), PERMANENT, "400 21606", True),
        (told("401 No", code=20003, message="who are you"), TEMPORARY, "misconfigured", True),
        (told("404 No", code=20404, message="no such account"), TEMPORARY, "misconfigured", True),
        (told("429 Slow", code=20429, message="too many"), TEMPORARY, "429 20429", True),
        (told("503 Down"), TEMPORARY, "503", True),
        (lambda _: Act.DROP, UNCERTAIN, "lost", False),
    ],
)
def test_what_an_answer_means(
    script: http_sink.Script, outcome: channels.Outcome, code: str, blames_provider: bool
) -> None:
    """A number's fault ends there; a fault of the account or the service is the provider's, and no token is told."""
    answer, _ = sent(script)
    assert (answer.outcome, answer.code, answer.blames_provider) == (outcome, code, blames_provider)
    assert "to ken" not in repr(answer)


def test_a_service_behind_our_walls_is_not_reached() -> None:
    """The address that a workspace gives is judged like any other: nothing is sent, and an operator is told."""
    answer, sink = sent(told("201 Created"), allowed=False)
    assert (answer.outcome, answer.code, answer.blames_provider) == (TEMPORARY, "misconfigured", True)
    assert sink.calls == []
