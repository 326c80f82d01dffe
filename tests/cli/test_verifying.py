"""`verify`: counts and rows agree, and the ledger holds what was asked for, or it is told where they do not."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from heliograph import channels, testing
from heliograph.core import effects, ids, messages
from heliograph.store import facts, schema
from tests.cli import program

DAY = 24 * 3600 * 1_000_000


def test_statistics_are_verified(house: str, tell: program.Tell) -> None:
    """It says how many days agree, or shows each difference and ends with 1."""
    with testing.World(house) as world:
        world.rule(trigger_type="custom.a", actions=[{"type": "add_tags", "tags": ["a"]}])
        world.event("custom.a", contact_id="ana")
        world.run_until_idle()
        told = tell("verify", "statistics")
        assert (told.code, told.out) == (0, "The statistics of 1 day agree with their rows.\n")
        with world.app.store.writing() as connection:
            connection.execute(sa.update(schema.event_statistics).values(processed=7))
        told = tell("verify", "statistics")
    assert told.code == 1
    assert "2026-01-01" in told.out
    assert "1, 7, 0" in told.out
    assert "1 counts differ" in told.err


def test_what_is_forgotten_is_not_compared(
    house: str, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counts and campaigns stay when their rows are old and go, also where nothing has happened since: all is well."""
    monkeypatch.setenv("HELIOGRAPH_RETENTION_DAYS", "10")
    with testing.World(house, retention_days=10) as world:
        world.contact("ana", email="ana@example.com")
        world.rule(trigger_type="custom.a", actions=[{"type": "add_tags", "tags": ["a"]}])
        world.campaign(group=world.communication_group(subject="News", text_body="New"))
        world.event("custom.a", contact_id="ana")
        world.run_until_idle()
        world.clock.move(11 * DAY)
        assert asyncio.run(world.app.housekeeping().prune()) == 3
        told = tell("verify", "statistics")
        assert (told.code, told.lines[-1]) == (
            0,
            "The statistics of 0 days agree with their rows. Older ones (1) may be forgotten, and were not looked at.",
        )
        told = tell("verify", "deliveries")
        assert told.code == 0, told.out + told.err

        with world.app.store.writing() as connection:
            facts.note_clock(connection, "scaled")
        world.event("custom.a", contact_id="ana")
        world.run_until_idle()
        with world.app.store.writing() as connection:
            connection.execute(sa.update(schema.event_statistics).values(processed=7))
        told = tell("verify", "statistics")
    assert (told.code, "2026-01-12" in told.out, "2026-01-01" in told.out) == (1, True, False)


def test_an_empty_workspace_agrees(lone_house: str, tell: program.Tell) -> None:
    """Where nothing has happened there is nothing to differ."""
    with testing.World(lone_house):
        pass
    assert tell("verify", "statistics").out == "The statistics of 0 days agree with their rows.\n"


def play(world: testing.World) -> None:
    """Messages and calls of every door, some of which wait, one of them uncertain."""
    for name in ("ana", "ben", "cleo"):
        world.contact(name, email=f"{name}@example.com", birthdate="1990-01-03")
    world.template("hello", subject="Hello", text="Hello")
    world.rule(
        trigger_type="custom.a",
        actions=[
            {"type": "send_message", "text": "Hello"},
            {"type": "add_tags", "tags": ["a"], "target": "contact"},
            {"type": "notify", "emails": ["one@example.com", "two@example.com"], "text": "Look"},
            {"type": "call_webhook", "url": "https://hooks.example/a"},
            {"type": "invoke_automation", "template": "walk"},
        ],
    )
    world.journey(
        "walk",
        {"action": "send", "message": {"to": [{"user_id": "ana"}, {"user_id": "ben"}], "template": "hello"}},
        {"action": "delay", "duration": "1 hour"},
        {
            "action": "fetch-data",
            "webhook": {"url": "https://data.example/", "method": "GET"},
            "merge_strategy": "replace",
        },
        {"action": "send", "recipient": "cleo", "template": "hello"},
    )
    world.subscribe("news", "ana", "ben")
    world.date_automation(template="hello", actiontimediff=0)
    world.events([{"event_type": "custom.a", "contact_id": name} for name in ("ana", "ben")])
    world.calls.answer = testing.answering({"a": 1})
    world.pass_time(hours=2)
    world.invoke(None, {"action": "send-list", "list": "news", "template": "hello"})
    world.campaign(group=world.communication_group(subject="News", text_body="New"))
    world.pass_time(days=3)
    world.mailbox.answer = lambda _: channels.Answer(channels.Outcome.UNCERTAIN, "world", None, None, "cut")
    world.event("custom.a", contact_id="cleo")
    world.run_until_idle()
    world.mailbox.answer = lambda _: channels.Answer(
        channels.Outcome.TEMPORARY, "world", None, "451", "later"
    )
    world.event("custom.a", contact_id="ben")
    world.run_until_idle()


def test_deliveries_are_proved(house: str, tell: program.Tell) -> None:
    """A ledger that is whole is said to be so, with what is uncertain; each thing that is broken in it is found."""
    with testing.World(house, uncertain_policy="at_most_once") as world:
        play(world)
        told = tell("verify", "deliveries")
        assert told.code == 0, told.out + told.err
        assert told.lines[-1].startswith("No effect stands there twice, none is missing")
        uncertain = [one for one in world.ledger() if one.row.state == messages.State.UNCERTAIN]
        assert uncertain
        assert f"{len(uncertain):,} are uncertain" in told.out
        assert ids.text(uncertain[0].row.id) in told.out
        assert "heliograph uncertain resend ID" in told.out

        ledger = schema.messages.c
        waiting = next(one.row for one in world.ledger() if one.row.state == messages.State.PLANNED)
        of_rule = next(one.row for one in world.ledger() if one.row.event_id and one.row.ordinal == 1)
        job = next(
            one.row for one in world.ledger() if one.row.run_id is None and one.row.contact_id == "cleo"
        )

        def without(row: Any) -> sa.Delete:
            return sa.delete(schema.messages).where(ledger.id == row.id)

        def again(row: Any, **changed: Any) -> sa.Insert:
            return sa.insert(schema.messages).values({**row._asdict(), **changed})

        def beside(row: Any, at: int = 0) -> bytes:
            head = ids.head(ids.created_at(row.id) + at)
            return head + ids.foot(99, row.partition, 99)

        timers = schema.timers.c
        broken: dict[str, list[Any]] = {
            "asked for a message (2) that is not there": [without(of_rule)],
            "another message has its effect key": [again(of_rule, id=beside(of_rule))],
            "made at another time than its step was taken": [again(of_rule, id=beside(of_rule, 5))],
            "its run did not ask for it": [again(of_rule, id=beside(of_rule), ordinal=7)],
            "1 jobs were counted, 0 are there": [without(job)],
            "it wrote to somebody twice": [again(job, id=beside(job))],
            "it stands in no line": [
                sa.delete(schema.timers).where(timers.kind == effects.Timer.SEND, timers.id == waiting.id)
            ],
        }
        for what, statements in broken.items():
            with world.app.store.writing() as connection:
                for statement in statements:
                    connection.execute(statement)
            told = tell("verify", "deliveries")
            assert (told.code, what in told.out) == (1, True), (what, told.out)
            assert "are not as they must be" in told.err
            with world.app.store.writing() as connection:
                connection.execute(
                    sa.delete(schema.messages).where(
                        ledger.id.in_([beside(of_rule), beside(of_rule, 5), beside(job)])
                    )
                )
                for row in (of_rule, job):
                    connection.execute(without(row))
                    connection.execute(again(row))
