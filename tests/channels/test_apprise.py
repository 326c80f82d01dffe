"""Push and chat by Apprise, through a real service: its JSON notification."""

import asyncio
import json
import sys

import pytest

from heliograph import channels, errors
from heliograph.channels import apprise
from tests.channels import http_sink
from tests.channels.http_sink import HttpSink


def sent(script: http_sink.Script, address: str = "device:1 #a") -> tuple[channels.Answer, HttpSink]:
    """The answer to one message, and the service that was asked."""

    async def play() -> tuple[channels.Answer, HttpSink]:
        async with HttpSink(script) as sink:
            channel = apprise.AppriseChannel("push", f"json://127.0.0.1:{sink.port}/{apprise.PLACE}")
            words = channels.Words("News", "Hello")
            outgoing = channels.Outgoing("id-1", "push", address, words, "", 2**62)
            try:
                return await channel.send(outgoing), sink
            finally:
                await channel.close()

    return asyncio.run(play())


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


def test_what_is_not_taken_is_tried_again() -> None:
    """The library does not say why: the message is not lost for it."""
    answer, sink = sent(lambda _: http_sink.reply("400 Bad Request"))
    assert (answer.outcome, answer.code) == (channels.Outcome.TEMPORARY, "refused")
    assert len(sink.calls) == 1


@pytest.mark.parametrize("url", ["nonsense://x", "json://", "syslog://", "dbus://"])
def test_a_url_that_is_no_service_is_refused(url: str) -> None:
    """Neither what Apprise does not know, nor the machine itself."""
    with pytest.raises(errors.BadSetting, match="Apprise knows no service"):
        apprise.AppriseChannel("push", url)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not installed it is told how."""
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(errors.BadSetting, match=r"pip install heliograph\[apprise\]"):
        apprise.AppriseChannel("push", "json://push.example.com")
