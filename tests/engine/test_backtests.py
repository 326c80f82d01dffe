"""Backtests as they run: they say what the engine did, in bites, beside others, and end when nobody waits."""

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from heliograph import errors, testing
from heliograph.core import backtests as core
from heliograph.core import ids, rules, runs
from heliograph.engine import backtest, backtests
from heliograph.store import schema

TAG = [{"type": "add_tags", "tags": ["a"], "target": "contact"}]
SATURDAY = 1_767_434_400_000_000
"""2026-01-03 10:00 UTC (µs)."""
RULES: dict[str, dict[str, Any]] = {
    "stops": {
        "conditions": [{"field": "n", "operator": "equals", "value": 0}],
        "stop_on_match": True, "cooldown_secs": 7 * 3600, "priority": 1,
    },
    "cools": {"cooldown_secs": 5 * 3600, "priority": 2},
    "half": {"rollout_percentage": 50, "cooldown_secs": 3600, "priority": 3},
    "weekdays": {
        "conditions": [{"field": "contact.plan", "operator": "equals", "value": "pro"}],
        "schedule_settings": {"windows": [{"days": ["mon"], "start": "00:00", "end": "23:00"}]},
        "priority": 4,
    },
}  # fmt: skip
COMMON = {"trigger_type": "custom.a", "conditions": [], "actions": TAG}


@pytest.fixture
def world(database_url: str) -> Iterator[testing.World]:
    """A world on each database in turn."""
    with testing.World(database_url, start=SATURDAY) as made:
        yield made


def lived(world: testing.World) -> dict[str, str]:
    """Three days with four rules at work; gives their ids by name."""
    made = {name: world.rule(name=name, **{**COMMON, **rule}) for name, rule in RULES.items()}
    for number in range(5):
        world.contact(f"c{number}", plan="pro" if number % 2 else "free")
    for hour in range(0, 72, 2):
        world.events(
            [
                {
                    "event_type": "custom.b" if hour % 8 == 6 else "custom.a",
                    "payload": {"n": (hour + one) % 4},
                }
                | ({"contact_id": f"c{(hour + one) % 7}"} if one else {"conversation_id": f"k{hour % 3}"})
                for one in range(4)
            ]
        )
        world.pass_time(hours=2)
    return made


def told(world: testing.World, **given: Any) -> core.Backtest:
    """The answer to a request, run in this thread."""
    with world.app.store.reading() as connection:
        asked = backtest.order(connection, world.workspace_id, None, given, world.clock.now())
    *_, last = backtest.run(world.app.store, asked, lambda _: None, lambda: 0.0)
    assert isinstance(last, core.Backtest)
    return last


def done(world: testing.World, rule_id: str) -> Counter[str]:
    """What the engine made of a rule's events: how many of its runs acted, and which gates held back others."""
    query = sa.select(schema.runs.c.outcome, schema.runs.c.reason).where(
        schema.runs.c.automation_id == ids.parse(rule_id)
    )
    with world.app.store.reading() as connection:
        return Counter(
            "executed" if row.outcome in runs.MATCHED else str(rules.read_skip(row.reason)[0])
            for row in connection.execute(query)
        )


def test_a_backtest_of_what_happened_says_what_happened(
    world: testing.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules that were at work all the while come out as they went, gate by gate, however small the bites are."""
    made = lived(world)
    whole = {name: told(world, rule_id=identity) for name, identity in made.items()}
    for name, found in whole.items():
        was = done(world, made[name])
        assert found.executed == was["executed"] > 0, name
        held = found.held_back
        assert found.matched == found.executed + sum(msgspec.structs.astuple(held)), name
        assert (held.rollout, held.cooldown) == (was["rollout"], was["cooldown"]) or name in (
            "stops",
            "weekdays",
        )
        assert sum(day.events for day in found.daily) == found.events == 4 * 27
    assert whole["cools"].held_back.stopped_by_rule > 0
    assert whole["weekdays"].held_back.schedule > 0
    monkeypatch.setattr(backtest, "EVENTS_AT_ONCE", 7)
    monkeypatch.setattr(backtest, "BYTES_AT_ONCE", 20)
    assert {name: told(world, rule_id=identity) for name, identity in made.items()} == whole


def job(world: testing.World) -> backtests.Job:
    """A backtest of a rule that is not stored."""
    rule = {"trigger_type": "custom.a", "conditions": []}
    with world.app.store.reading() as connection:
        asked = backtest.order(connection, world.workspace_id, None, {"rule": rule}, world.clock.now())
    return backtests.Job(world.app.store.url, asked)


async def heard(lines: AsyncGenerator[backtests.Told, None]) -> list[backtests.Told]:
    """Everything that is said."""
    async with contextlib.aclosing(lines):
        return [line async for line in lines]


def test_a_process_of_its_own_gives_the_same_answer(world: testing.World) -> None:
    """What a backtest says beside others is what it says here, and its last word is the answer."""
    world.events([{"event_type": "custom.a", "contact_id": "ana"}] * 3)
    asked = job(world)
    *_, here = backtests.words(asked, lambda _: None)
    *_, apart = asyncio.run(heard(backtests.apart(asked)))
    assert bytes(apart.result) == bytes(here.result)
    assert msgspec.json.decode(apart.result, type=core.Backtest).executed == 3


def test_a_process_ends_when_nobody_waits(world: testing.World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever stops listening ends it; one that was ended by somebody else is told as a fault."""
    started: list[int] = []
    begun = asyncio.Event()
    start = asyncio.create_subprocess_exec

    async def noted(*arguments: Any, **given: Any) -> asyncio.subprocess.Process:
        child = await start(*arguments, **given)
        started.append(child.pid)
        begun.set()
        return child

    async def left() -> None:
        async with contextlib.aclosing(backtests.apart(job(world))) as lines:
            await anext(lines)

    async def ended() -> list[backtests.Told]:
        saying = asyncio.create_task(heard(backtests.apart(job(world))))
        await begun.wait()
        os.kill(started[1], 9)
        return await saying

    monkeypatch.setattr(asyncio, "create_subprocess_exec", noted)
    asyncio.run(left())
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)
    begun.clear()
    (line,) = asyncio.run(ended())
    assert "was ended" in (line.fault or "")


def test_no_more_run_at_once_than_was_said(world: testing.World) -> None:
    """One more than may run is refused with a time to wait; a place is free again when one ends, however it ends."""

    async def forever(_: backtests.Job) -> AsyncGenerator[backtests.Told, None]:
        yield backtests.Told(progress=backtest.Progress(0, 1))
        yield backtests.Told(fault="broken")

    async def tried() -> None:
        asked = job(world).asked
        some = backtests.Backtests("", 1, forever)
        async with contextlib.aclosing(some.run(asked)) as first:
            await anext(first)
            with pytest.raises(errors.TooManyBacktests) as refusal:
                some.refuse_more()
            assert (refusal.value.status, refusal.value.retry_after) == (429, 5)
        for _ in range(2):
            with pytest.raises(errors.Unavailable, match="broken"):
                await heard(some.run(asked))
        some.refuse_more()

    asyncio.run(tried())


def test_a_database_that_is_away_is_told(tmp_path: Any) -> None:
    """A backtest that cannot read says so in one line."""
    with testing.World() as world:
        asked = job(world).asked
    gone = backtests.Job(f"sqlite:///{tmp_path}/heliograph.db", asked)
    (tmp_path / "heliograph.db").write_bytes(b"nothing that SQLite reads" * 100)
    (line,) = backtests.words(gone, lambda _: None)
    assert "cannot be used" in (line.fault or "")


def test_rules_that_stop_come_in_their_line(world: testing.World) -> None:
    """A rule that another one before it has stopped begins no cooldown, whichever of the two was made first."""
    send = [{"type": "send_message", "text": "Hello"}]
    common = {"trigger_type": "custom.a", "actions": send}
    world.rule(**common, priority=2, stop_on_match=True, cooldown_secs=3600)
    first = {"field": "payload.n", "operator": "equals", "value": 1}
    world.rule(**common, priority=1, stop_on_match=True, conditions=[first])
    last = world.rule(**common, priority=3)
    for number in (1, 2):
        world.event("custom.a", contact_id="ana", payload={"n": number})
        world.pass_time(minutes=10)
    assert not done(world, last)["executed"]
    assert told(world, rule_id=last).held_back.stopped_by_rule == 2
