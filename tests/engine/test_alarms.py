"""Alerts at work: who is to know hears of an alarming rule, once, and of its end."""

import base64
import hashlib
import hmac
from typing import Any

import msgspec
import pytest

from heliograph import channels, testing
from heliograph.core import effects
from heliograph.store import webhook_secrets
from tests import tables
from tests.engine import acts

DOWN = "https://down.example.com/"
HOOK = "https://hooks.example.com/alerts"
STRICT = {"min_matched_runs": 5, "failure_rate_threshold_pct": 5, "critical_threshold_pct": 60}
TOLD = {**STRICT, "channels": {"emails": ["ops@example.com", "Boss@example.com"], "webhook_url": HOOK}}


def answered(outgoing: channels.Outgoing) -> channels.Answer:
    """One server is down for good, the others are well."""
    if outgoing.address == DOWN:
        return channels.Answer(channels.Outcome.PERMANENT, "world", None, "410", "gone")
    return testing.accepted(outgoing)


@pytest.fixture
def rule(world: testing.World) -> str:
    """A rule that calls where the event says, and of which people are told."""
    world.calls.answer = answered
    call = {"type": "call_webhook", "url": "{{payload.url}}"}
    return world.rule(name="Calls {{ x }}", trigger_type="custom.a", actions=[call], alert_settings=TOLD)


def call(world: testing.World, good: int, bad: int) -> None:
    """So many events whose call succeeds, and fails."""
    urls = ["https://up.example.com/"] * good + [DOWN] * bad
    world.events([{"event_type": "custom.a", "payload": {"url": url}} for url in urls])
    world.run_until_idle()


def mails(world: testing.World, address: str = "ops@example.com") -> list[str]:
    """The subjects that an address has received."""
    return [mail.subject for mail in world.mailbox.to(address)]


def notices(world: testing.World) -> list[dict[str, Any]]:
    """The bodies of the webhooks."""
    found = [request.body for url, request in world.calls.received if url == HOOK]
    return [msgspec.json.decode(body) for body in found]


def test_an_alarm_is_told_once_and_ended_once(world: testing.World, rule: str) -> None:
    """From crossing its threshold on, everybody hears of a rule once a period, and once of its end."""
    call(world, good=4, bad=0)
    world.pass_time(minutes=5)
    assert not world.mailbox.received, "too few matched"
    call(world, good=4, bad=2)
    assert not world.mailbox.received, "it is looked at when the minute is over"
    world.pass_time(minutes=2)
    assert mails(world) == mails(world, "boss@example.com") == ["[warning] Calls {{ x }}: its actions fail"]
    text = world.mailbox.received[0].text
    assert "20.00 % failed (2 of 10); alarming from 5 %, critical from 60 %." in text
    assert "Counted in the last 7 days: 10 matched, 8 executed, 0 pending." in text
    (told,) = notices(world)
    assert (told["type"], told["rule_id"]) == ("alert.opened", rule)
    assert told["data"] == {
        "rule_name": "Calls {{ x }}",
        "alert_level": "warning",
        "reasons": ["failure_rate"],
        "matched_runs": 10,
        "executed_runs": 8,
        "pending_runs": 0,
        "failure_rate_pct": 20.0,
        "window_days": 7,
        "since": told["timestamp"],
    }
    call(world, good=0, bad=1)
    world.pass_time(hours=23)
    assert len(mails(world)) == 1
    world.pass_time(hours=1)
    assert len(mails(world)) == 2, "a reminder, a day after the first"
    call(world, good=0, bad=10)
    world.pass_time(minutes=2)
    assert mails(world)[2] == "[critical] Calls {{ x }}: its actions fail"
    call(world, good=400, bad=0)
    world.pass_time(minutes=2)
    assert mails(world)[3:] == ["[recovered] Calls {{ x }}"]
    types = [one["type"] for one in notices(world)]
    assert types == ["alert.opened", "alert.continued", "alert.worsened", "alert.recovered"]
    assert notices(world)[-1]["data"]["alert_level"] is None
    world.pass_time(days=3)
    assert len(mails(world)) == 4


def test_a_webhook_is_signed_anew_in_each_attempt(world: testing.World, rule: str) -> None:
    """Each attempt has the same id, its own second, and signatures by every secret that still counts."""
    with world.app.store.writing() as connection:
        old = webhook_secrets.read(connection, world.workspace_id, world.clock.now(), world.app.store.safe)
        new = webhook_secrets.replace(connection, world.workspace_id, world.clock.now(), world.app.store.safe)
    busy = iter([acts.busy, testing.accepted])
    world.calls.answer = lambda one: next(busy)(one) if one.address == HOOK else answered(one)
    call(world, good=0, bad=5)
    world.pass_time(minutes=10)
    sent = [request for url, request in world.calls.received if url == HOOK]
    assert len(sent) == 2
    seen = [dict(request.headers) for request in sent]
    assert seen[0]["webhook-id"] == seen[1]["webhook-id"]
    assert seen[0]["webhook-timestamp"] < seen[1]["webhook-timestamp"]
    for request, headers in zip(sent, seen, strict=True):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request.body
        made = [
            "v1," + base64.b64encode(hmac.digest(_key(secret), signed, hashlib.sha256)).decode()
            for secret in (new, *old)
        ]
        assert headers["webhook-signature"].split(" ") == made
        assert headers["Content-Type"] == "application/json"
    with world.app.store.reading() as connection:
        later = world.clock.now() + 86_400_000_000
        assert webhook_secrets.read(connection, world.workspace_id, later, world.app.store.safe) == [new]


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


def test_a_rule_that_went_quiet_is_noticed_within_the_hour(world: testing.World) -> None:
    """A rule that used to match and does no more is told of, though nothing happens; asleep or paused it is not."""
    quiet = {**TOLD, "window_days": 1}
    made = {
        name: world.rule(
            name=name,
            trigger_type=f"custom.{name}",
            actions=[{"type": "add_tags", "tags": ["x"]}],
            alert_settings=quiet,
        )
        for name in ("quiet", "asleep")
    }
    for hours in (24, 24, 24, 23):
        for name in made:
            world.events([{"event_type": f"custom.{name}", "contact_id": "c"}] * 6)
        world.pass_time(hours=hours)
    assert mails(world) == []
    acts.edit(world, made["asleep"], is_active=False)
    world.pass_time(hours=20)
    assert mails(world) == [], "by now it has matched five times on other days"
    world.pass_time(hours=1)
    assert mails(world) == ["[warning] quiet: it went quiet"]
    assert "It did not match at all; 6 times are usual." in world.mailbox.received[0].text
    world.pass_time(days=30)
    assert mails(world)[-1] == "[recovered] quiet"
    assert tables.rows(world.app.store, "timers") == [], "nobody looks at a rule for ever"
    assert tables.rows(world.app.store, "alerts") == []


def test_who_is_added_hears_of_what_is_alarming_already(world: testing.World, rule: str) -> None:
    """Settings that are changed count at once; with alerts switched off, or the rule gone, nobody hears any more."""
    acts.edit(world, rule, alert_settings=STRICT)
    call(world, good=0, bad=6)
    world.pass_time(hours=1)
    assert not world.mailbox.received
    acts.edit(world, rule, alert_settings={**STRICT, "channels": {"emails": ["new@example.com"]}})
    world.run_until_idle()
    assert mails(world, "new@example.com") == ["[critical] Calls {{ x }}: its actions fail"]
    acts.edit(world, rule, alert_settings={"enabled": False, "channels": {"emails": ["new@example.com"]}})
    world.pass_time(days=2)
    assert len(world.mailbox.received) == 1
    assert tables.rows(world.app.store, "alerts") == []


def test_a_rule_that_nobody_watches_costs_nothing(world: testing.World) -> None:
    """Without anybody to tell, no timer is set, however many runs there are."""
    world.rule(trigger_type="custom.a", actions=[{"type": "add_tags", "tags": ["x"]}], alert_settings=STRICT)
    world.events([{"event_type": "custom.a", "contact_id": f"c{number}"} for number in range(20)])
    world.run_until_idle()
    assert tables.rows(world.app.store, "timers") == []


def test_a_look_that_fails_comes_again(
    world: testing.World, rule: str, told: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look that raises is told in the log, holds up nothing else, and is made again later."""
    call(world, good=0, bad=6)
    with monkeypatch.context() as broken:
        broken.setattr("heliograph.core.alert_notices.follow", lambda *_: 1 / 0)
        world.pass_time(minutes=2)
    assert "timer_failed" in [entry["event"] for entry in told]
    assert not world.mailbox.received
    world.pass_time(hours=2)
    assert len(mails(world)) == 1


def test_alerts_wait_while_deliveries_are_held(world: testing.World, rule: str) -> None:
    """A hold stops alerts as it stops every message, and loses none."""
    call(world, good=0, bad=6)
    acts.steer(world, hold_deliveries=True)
    world.pass_time(minutes=10)
    assert not world.mailbox.received
    acts.steer(world, hold_deliveries=False)
    world.run_until_idle()
    assert len(mails(world)) == 1
    kinds = {row["kind"] for row in tables.rows(world.app.store, "timers")}
    assert kinds == {effects.Timer.ALARM}
