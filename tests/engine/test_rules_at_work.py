"""Rules at work: what each of their fields does when events come in."""

import asyncio
from typing import Any

import msgspec
import pytest

from heliograph import testing
from heliograph.core import ids, rules
from heliograph.store import automations
from tests.engine import acts
from tests.engine.test_workers import Engine, furnish, until

HOUR = 3_600 * 1_000_000


def tag(what: str, **more: Any) -> dict[str, Any]:
    actions = [{"type": "add_tags", "tags": [what]}]
    return {"name": what, "trigger_type": "custom.a", "actions": actions, **more}


def happen(world: testing.World, contact: str | None = "ana", **payload: Any) -> str:
    event = world.event("custom.a", contact_id=contact, payload=payload)
    world.run_until_idle()
    return event


def names(world: testing.World, event: str) -> list[str]:
    """The names of the rules that ran, in order."""
    return [run.rule_name for run in world.explain(event).runs]


@pytest.mark.spec("S4-288")
def test_an_inactive_rule_never_runs(world: testing.World) -> None:
    """A rule that is not active leaves no run and does nothing, until it is switched on."""
    rule = world.rule(**tag("on", is_active=False))
    event = happen(world)
    assert world.explain(event).event.status == "processed"
    assert acts.outcomes(world, event) == []
    acts.edit(world, rule, is_active=True)
    assert acts.outcomes(world, happen(world)) == ["executed"]
    acts.edit(world, rule, is_active=False)
    assert acts.outcomes(world, happen(world)) == []
    assert acts.contact(world, "ana")["tags"] == '["on"]'


@pytest.mark.spec("S4-289")
def test_rules_are_met_in_the_order_of_priority_then_of_age(world: testing.World) -> None:
    """Lower numbers first; of equal ones the older first."""
    for name, priority in (("third", 7), ("fourth", 7), ("first", -1), ("second", 0), ("last", 100)):
        world.rule(**tag(name, priority=priority))
        world.clock.move(1_000_000)
    event = happen(world)
    assert names(world, event) == ["first", "second", "third", "fourth", "last"]
    assert msgspec.json.decode(acts.contact(world, "ana")["tags"]) == names(world, event)


@pytest.mark.spec("S4-290")
def test_stop_on_match_keeps_later_rules_out(world: testing.World) -> None:
    """A rule that matched and stops is the last for that event; one that did not match stops nothing."""
    world.rule(**tag("before", priority=1))
    wanted = [{"field": "payload.stop", "operator": "equals", "value": True}]
    world.rule(**tag("stops", priority=2, stop_on_match=True, conditions=wanted))
    world.rule(**tag("after", priority=3))
    assert names(world, happen(world, stop=True)) == ["before", "stops"]
    event = happen(world, stop=False)
    assert names(world, event) == ["before", "stops", "after"]
    assert acts.outcomes(world, event) == ["executed", "not_matched", "executed"]


@pytest.mark.spec("S4-291")
def test_a_cooldown_keeps_a_rule_from_repeating_itself(world: testing.World) -> None:
    """Within the period a rule does not act twice for one contact; for another contact and afterwards it does."""
    world.rule(**tag("hot", cooldown_secs=3_600))
    assert acts.outcomes(world, happen(world)) == ["executed"]
    world.clock.move(HOUR - 1)
    skipped = happen(world)
    (run,) = world.explain(skipped).runs
    assert (run.result.outcome, run.result.reason, run.matched) == ("skipped", "cooldown", False)
    assert acts.outcomes(world, happen(world, "bob")) == ["executed"]
    world.clock.move(1)
    assert acts.outcomes(world, happen(world)) == ["executed"], "the skipped one did not begin it anew"
    assert acts.outcomes(world, happen(world)) == ["skipped"]


@pytest.mark.spec("S4-291")
def test_a_cooldown_holds_within_one_turn(world: testing.World) -> None:
    """Of many events of one contact that are decided at once, the first alone is acted on."""
    world.rule(**tag("hot", cooldown_secs=60))
    events = world.events([{"event_type": "custom.a", "contact_id": "ana"}] * 50)
    assert world.turns.take().inputs == 50
    assert [acts.outcomes(world, event) for event in events] == [["executed"]] + [["skipped"]] * 49


@pytest.mark.spec("S4-292")
def test_conditions_must_hold_and_none_always_do(world: testing.World) -> None:
    """A rule without conditions acts on every event of its type, another only where its conditions hold."""
    nothing: tuple[Any, ...] = (None, [], {})
    for index, empty in enumerate(nothing):
        world.rule(**tag("always", priority=index, conditions=empty))
    wanted = {"all": [{"field": "payload.n", "operator": "greater_than", "value": 5}]}
    world.rule(**tag("sometimes", priority=9, conditions=wanted))
    assert acts.outcomes(world, happen(world, n=6)) == ["executed"] * 4
    event = happen(world, n=5)
    assert acts.outcomes(world, event) == ["executed"] * 3 + ["not_matched"]
    (leaf,) = world.explain(event).runs[3].result.conditions
    assert (leaf.field, leaf.operator, leaf.value, leaf.observed, leaf.result) == (
        "payload.n",
        "greater_than",
        5,
        5,
        False,
    )


@pytest.mark.spec("S4-293")
def test_actions_are_taken_in_order_and_each_is_accounted_for(world: testing.World) -> None:
    """What a later action writes stands over what an earlier one wrote; the run says what became of each."""
    world.rule(
        trigger_type="custom.a",
        actions=[
            {"type": "update_contact", "fields": {"plan": "first"}},
            {"type": "add_tags", "tags": ["one"]},
            {"type": "send_message", "text": "nobody to send to"},
            {"type": "update_contact", "fields": {"plan": "second"}},
            {"type": "add_tags", "tags": ["two"]},
        ],
    )
    event = happen(world)
    (run,) = world.explain(event).runs
    assert [(action.index, action.type, action.status) for action in run.result.actions] == [
        (0, "update_contact", "succeeded"),
        (1, "add_tags", "succeeded"),
        (2, "send_message", "failed"),
        (3, "update_contact", "succeeded"),
        (4, "add_tags", "succeeded"),
    ]
    assert "no e-mail address" in str(run.result.actions[2].error)
    stored = acts.contact(world, "ana")
    assert msgspec.json.decode(stored["profile"])["plan"] == "second"
    assert stored["tags"] == '["one","two"]'


@pytest.mark.spec("S4-294")
def test_a_retried_event_has_one_run_of_each_rule(world: testing.World) -> None:
    """An event whose first try failed in the database is decided once in the end: one run of each rule."""
    for number in range(3):
        world.rule(**tag(f"t{number}", priority=number))
    acts.refuse(world, "contacts", "user_id", "ana")
    event = happen(world)
    assert acts.outcomes(world, event) == []
    acts.relent(world, "contacts")
    world.pass_time(minutes=10)
    assert acts.outcomes(world, event) == ["executed"] * 3
    assert len({run.rule_id for run in world.explain(event).runs}) == 3


@pytest.mark.spec("S4-294")
def test_two_workers_make_one_run_of_each_rule(ready_postgres_url: str) -> None:
    """Two workers on one database decide a crowd of events: every event has one run of the rule."""
    people_count = 60
    workspace_id = furnish(ready_postgres_url, people_count)
    both = Engine(ready_postgres_url), Engine(ready_postgres_url)
    with testing.World(ready_postgres_url) as watching:

        async def play() -> None:
            async with both[0].working(), both[1].working():
                for index, first in enumerate(range(0, people_count, 10)):
                    engine = both[index % 2]
                    engine.workspace_id = workspace_id
                    await engine.accept(first, 10)
                await until(lambda: len(acts.decided(watching)) == people_count)

        asyncio.run(play())
        assert all(
            acts.outcomes(watching, event) in (["executed"], ["pending"]) for event in acts.decided(watching)
        )


@pytest.mark.spec("S4-128")
def test_a_rule_rests_outside_its_schedule(world: testing.World) -> None:
    """Outside its windows a rule is not considered at all; within them it acts."""
    windows = [{"days": ["thu"], "start": "09:00", "end": "17:00"}]
    world.rule(**tag("office", schedule_settings={"timezone": "UTC", "windows": windows}))
    for hour, outcomes in ((8, []), (9, ["executed"]), (16, ["executed"]), (17, []), (24 + 10, [])):
        world.clock.at = testing.START + hour * HOUR
        assert acts.outcomes(world, happen(world)) == outcomes, f"at {hour} o'clock"


@pytest.mark.spec("S4-132")
def test_a_rollout_is_stable_and_only_ever_widens(world: testing.World) -> None:
    """0 % is nobody and 100 % everybody; between, whoever is in stays in, every time and as the share grows."""
    rule = world.rule(**tag("rolled", rollout_percentage=0))
    people = [f"c{number}" for number in range(80)]

    def inside() -> set[str]:
        events = world.events([{"event_type": "custom.a", "contact_id": name} for name in people])
        world.run_until_idle()
        found = {name: acts.outcomes(world, event) for name, event in zip(people, events, strict=True)}
        assert {outcome for (outcome,) in found.values()} <= {"executed", "skipped"}
        return {name for name, outcomes in found.items() if outcomes == ["executed"]}

    assert inside() == set()
    widened: list[set[str]] = []
    for share in (30, 30, 60, 100):
        acts.edit(world, rule, rollout_percentage=share)
        widened.append(inside())
    assert widened[0] == widened[1]
    assert widened[1] < widened[2] < widened[3] == set(people)
    assert 0 < len(widened[0]) < len(people)


def test_a_rule_of_a_tenant_sees_its_tenant_alone(world: testing.World) -> None:
    """A tenant's rule meets that tenant's events; the workspace's own meets everybody's."""
    world.rule(**tag("all", priority=1))
    with world.app.store.writing() as connection:
        mine = rules.define(tag("mine", priority=2))
        automations.create_rule(connection, world.workspace_id, "t1", mine, world.clock.now(), None)
    ingest = world.app.ingest
    body = b'{"event_type":"custom.a","contact_id":"ana"}'
    batch = ingest.read(body, "application/json", world.workspace_id, "t1")
    (theirs,) = world._loop.run_until_complete(ingest.accept(batch))
    world.run_until_idle()
    assert names(world, ids.text(theirs)) == ["all", "mine"]
    assert names(world, happen(world)) == ["all"]
