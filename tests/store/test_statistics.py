"""What is counted agrees with the rows that it speaks of, whatever happened to them."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import migration, operations, script

from heliograph import channels, testing
from heliograph.core import ids
from heliograph.engine import match
from heliograph.store import held, history, migrations, schema, statistics
from tests import tables

DAY_SECONDS = 86_400


@pytest.fixture
def world(database_url: str) -> Iterator[testing.World]:
    """A world on each database in turn."""
    with testing.World(database_url) as made:
        yield made


def differences(world: testing.World) -> list[statistics.Difference]:
    """Everything that was counted wrongly."""
    found: list[statistics.Difference] = []
    with world.app.store.reading() as connection:
        days = statistics.days_of(connection, world.workspace_id)
    for day in days:
        with world.app.store.reading() as connection:
            found += statistics.differences(connection, world.workspace_id, day)
    return found


def later(_outgoing: channels.Outgoing) -> channels.Answer:
    """Not now."""
    return channels.Answer(channels.Outcome.TEMPORARY, "x", None, "4", "later")


def live(world: testing.World, monkeypatch: pytest.MonkeyPatch) -> str:
    """Three days with everything that can become of an event and a run; gives an event that failed."""
    world.contact("ana", email="ana@example.com")
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "hello"}])
    world.rule(trigger_type="custom.a", rollout_percentage=0, actions=[{"type": "add_tags", "tags": ["a"]}])
    world.rule(
        trigger_type="custom.a",
        conditions=[{"field": "b", "operator": "exists"}],
        actions=[{"type": "emit_event", "event_type": "custom.b"}],
    )
    world.events(
        [{"event_type": "custom.a", "contact_id": one, "payload": {"b": 1}} for one in ("ana", "ben")]
    )
    world.pass_time(days=1)
    world.mailbox.answer = later
    world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    real = match.match

    def failing(trigger: Any, event: Any, *rest: Any) -> Any:
        if event.contact_id == "poison":
            raise RuntimeError("a fault of the program")
        return real(trigger, event, *rest)

    monkeypatch.setattr(match, "match", failing)
    failed = world.event("custom.a", contact_id="poison")
    world.pass_time(days=1)
    world.event("custom.a", contact_id="poison")
    world.run_until_idle()
    world.events([{"event_type": "custom.a", "contact_id": one} for one in ("late", "later")])
    world.clock.move(2 * DAY_SECONDS * 1_000_000)
    world.run_until_idle()
    monkeypatch.setattr(match, "match", real)
    return failed


def test_counts_agree_with_their_rows(world: testing.World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Matched, skipped, failed, waiting, poisoned, held, retried and dropped: each counts as what it is."""
    failed = ids.parse(live(world, monkeypatch))
    assert failed is not None
    assert differences(world) == []
    with world.app.store.writing() as connection:
        late = [one.id for one in held.listed(connection, world.workspace_id, 9) if one.what == "event"]
        assert len(late) >= 2
        assert held.drop(connection, world.workspace_id, late[:1], world.clock.now()) == 1
        assert held.release(connection, world.workspace_id, late[1:], world.clock.now()) == len(late) - 1
        assert history.retry_event(connection, world.workspace_id, None, failed, world.clock.now())
    assert differences(world) == []
    world.run_until_idle()
    assert differences(world) == []


def test_triggers_of_journeys_count_as_the_rules_that_they_are(world: testing.World) -> None:
    """What events made of a journey's trigger is counted and found again; the journey's own runs are not."""
    wait = {"action": "delay", "duration": "1 day"}
    trigger = {"event_type": "custom.a", "conditions": [{"field": "n", "operator": "less_than", "value": 2}]}
    world.journey("once", wait, trigger={**trigger, "once": True})
    world.journey("invoked", wait)
    world.rule(trigger_type="custom.a", actions=[{"type": "invoke_automation", "template": "invoked"}])
    world.events(
        [{"event_type": "custom.a", "contact_id": one, "payload": {"n": n}} for n, one in enumerate("aabc")]
    )
    world.run_until_idle()
    assert differences(world) == []
    with world.app.store.reading() as connection:
        counted = connection.execute(sa.select(sa.func.sum(schema.rule_statistics.c.total))).scalar_one()
        made = connection.execute(sa.select(sa.func.count()).select_from(schema.runs)).scalar_one()
    assert (counted, made) == (8, 8 + 5)
    world.pass_time(days=2)
    assert differences(world) == []


def test_a_count_that_is_wrong_is_found(world: testing.World) -> None:
    """A difference names the day, what was counted, and both counts."""
    rule = world.rule(trigger_type="custom.a", actions=[{"type": "add_tags", "tags": ["a"]}])
    world.event("custom.a", contact_id="ana")
    world.run_until_idle()
    with world.app.store.writing() as connection:
        connection.execute(sa.update(schema.rule_statistics).values(executed=5))
        connection.execute(sa.delete(schema.event_statistics))
    day = testing.START // (DAY_SECONDS * 1_000_000)
    assert differences(world) == [
        statistics.Difference(day, rule, (1, 1, 1, 0), (1, 1, 5, 0)),
        statistics.Difference(day, "events", (1, 1, 0), (0, 0, 0)),
    ]


def test_an_older_database_is_counted_anew(world: testing.World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step that brought counts by tenant counts every event that was looked at, whatever was counted before."""
    live(world, monkeypatch)
    step = script.ScriptDirectory(str(migrations._FOLDER)).get_revision("0006")
    with world.app.store.writing() as connection:
        before = connection.execute(sa.select(schema.event_statistics)).all()
        with operations.Operations.context(migration.MigrationContext.configure(connection)):
            step.module.upgrade()
        after = connection.execute(sa.select(schema.event_statistics)).all()
    assert sum(row.total for row in after) == sum(row.total for row in before) > 0
    assert differences(world) == []


def test_what_a_window_costs_does_not_grow_with_runs(world: testing.World) -> None:
    """However many runs there were, a rule's day is one row a lane."""
    world.rule(trigger_type="custom.a", actions=[{"type": "add_tags", "tags": ["a"]}])
    for _ in range(3):
        world.events([{"event_type": "custom.a", "contact_id": f"c{number}"} for number in range(50)])
        world.run_until_idle()
    assert len(tables.rows(world.app.store, "rule_statistics")) <= ids.PARTITIONS
    assert len(tables.rows(world.app.store, "runs")) == 150
