"""Definitions as they are kept: versions, the number that turns go by, templates, and changes at the same time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from alembic import migration, operations, script

from heliograph.core import control, rules
from heliograph.core import journeys as core_journeys
from heliograph.store import (
    automations,
    database,
    definitions,
    journeys,
    migrations,
    schema,
    templates,
    workspaces,
)

RULE = rules.define(
    {"name": "one", "trigger_type": "custom.a", "actions": [{"type": "add_tags", "tags": ["x"]}]}
)


@pytest.fixture
def store(database_url: str) -> Iterator[database.Database]:
    """An empty database with its one workspace, whose id is 1."""
    made = database.Database(database_url)
    made.migrate()
    with made.writing() as connection:
        assert workspaces.ensure(connection, "default", 1) == 1
    yield made
    made.close()


def version(store: database.Database) -> int:
    """The number by which turns know definitions."""
    with store.reading() as connection:
        return definitions.load(connection, 1).version


def named(store: database.Database, rule: automations.Rule, name: str, at: int) -> automations.Rule:
    """The rule after a change of its name."""
    with store.writing() as connection:
        stored = automations.lock_rule(connection, 1, None, rule.id)
        assert stored is not None
        changed = msgspec.structs.replace(stored.definition, name=name)
        return automations.change_rule(connection, 1, stored, changed, at, "somebody")


def create(store: database.Database, at: int) -> automations.Rule:
    """RULE, stored."""
    with store.writing() as connection:
        return automations.create_rule(connection, 1, None, RULE, at, "somebody")


def test_every_change_of_a_rule_is_a_version(store: database.Database) -> None:
    """Each version is kept with the instant from which it holds; versions of one instant stay in order."""
    rule = create(store, 10)
    named(store, rule, "two", 20)
    named(store, rule, "three", 20)
    with store.reading() as connection:
        kept = connection.execute(
            sa.select(schema.automation_versions).order_by(schema.automation_versions.c.version)
        ).all()
    assert [(row.version, row.valid_from) for row in kept] == [(1, 10), (2, 20), (3, 20)]
    assert [msgspec.json.decode(row.definition)["name"] for row in kept] == ["one", "two", "three"]


def test_every_change_lets_turns_read_again(store: database.Database) -> None:
    """Rules, templates and the control record raise the workspace's number, each time by one."""
    seen = [version(store)]
    rule = create(store, 10)
    seen.append(version(store))
    named(store, rule, "two", 20)
    seen.append(version(store))
    with store.writing() as connection:
        stored = automations.lock_rule(connection, 1, None, rule.id)
        assert stored is not None
        automations.delete_rule(connection, 1, stored, 30)
    seen.append(version(store))
    with store.writing() as connection:
        templates.put(connection, 1, "welcome", {"text": "hi"}, 40)
    seen.append(version(store))
    with store.writing() as connection:
        workspaces.raise_version(connection, 1)
        workspaces.write_control(connection, 1, control.Control(is_paused=True, updated_at=50))
    seen.append(version(store))
    assert seen == list(range(seen[0], seen[0] + 6))


def test_a_change_that_fails_leaves_nothing(store: database.Database) -> None:
    """Where a transaction ends in an error neither the rule nor the number has changed."""
    rule, before = create(store, 10), version(store)

    def fail() -> None:
        with store.writing() as connection:
            stored = automations.lock_rule(connection, 1, None, rule.id)
            assert stored is not None
            automations.change_rule(connection, 1, stored, RULE, 20, None)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with store.reading() as connection:
        assert automations.read_rule(connection, 1, None, rule.id) == rule
    assert version(store) == before


def test_changes_at_the_same_time_stand_in_line(store: database.Database) -> None:
    """Of many programs that change one rule at once each builds on what the one before left."""
    rule = create(store, 10)

    def longer(number: int) -> None:
        with store.writing() as connection:
            stored = automations.lock_rule(connection, 1, None, rule.id)
            assert stored is not None
            changed = msgspec.structs.replace(stored.definition, name=f"{stored.definition.name}.")
            automations.change_rule(connection, 1, stored, changed, 20 + number, None)

    with ThreadPoolExecutor(4) as programs:
        list(programs.map(longer, range(12)))
    with store.reading() as connection:
        found = automations.read_rule(connection, 1, None, rule.id)
    assert found is not None
    assert (found.definition.name, found.version) == ("one" + "." * 12, 13)


@pytest.mark.parametrize("change", ["put", "delete"])
def test_a_journey_is_deleted_as_it_stands(store: database.Database, change: str) -> None:
    """Who deletes a journey while somebody else changes or deletes it waits for them, and deletes what is left."""
    with store.writing() as connection:
        journeys.put(connection, 1, None, journey("before"), 10)

    def delete() -> bool:
        with store.writing() as connection:
            found = journeys.lock(connection, 1, None, "welcome")
            if found is not None:
                journeys.delete(connection, 1, found, 20)
            return found is not None

    with ThreadPoolExecutor(1) as others:
        with store.writing() as connection:
            if change == "put":
                journeys.put(connection, 1, None, journey("after"), 15)
            else:
                found = journeys.lock(connection, 1, None, "welcome")
                assert found is not None
                journeys.delete(connection, 1, found, 15)
            second = others.submit(delete)
            while not store.is_sqlite and not connection.exec_driver_sql(WAITS).scalar():
                assert not second.done()
        assert second.result() is (change == "put")
    with store.reading() as connection:
        assert journeys.find(connection, 1, None, "welcome") is None


WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')"


def journey(name: str) -> core_journeys.Definition:
    """A journey of this name."""
    return core_journeys.Definition(id="welcome", name=name, steps=[])


def test_the_control_record_has_versions_too(store: database.Database) -> None:
    """Each change is kept from its instant on; of two in one instant the later one holds."""
    for at, paused in ((10, True), (20, False), (20, True)):
        with store.writing() as connection:
            workspaces.write_control(connection, 1, control.Control(is_paused=paused, updated_at=at))
    with store.reading() as connection:
        kept = connection.execute(
            sa.select(schema.control_versions).order_by(schema.control_versions.c.valid_from)
        ).all()
        held = workspaces.read_control(connection, 1)
    told = [(row.valid_from, msgspec.json.decode(row.control)["is_paused"]) for row in kept]
    assert told == [(10, True), (20, True)]
    assert held == control.Control(is_paused=True, updated_at=20)


def steered(store: database.Database, at: int, *, until: int | None = None, **given: Any) -> int:
    """When the newest pause ended, by what turns read after a change of the control record."""
    with store.writing() as connection:
        changed = control.Control(**given, paused_until=until, updated_at=at)
        workspaces.write_control(connection, 1, changed)
        return definitions.load(connection, 1).pause_ended_at


def test_turns_read_when_the_newest_pause_ended(store: database.Database) -> None:
    """A pause ends when somebody ends it, or by itself; while it holds it ends at its `paused_until`, if ever."""
    assert steered(store, 10, hold_deliveries=True) == 0
    assert steered(store, 20, is_paused=True) == 0
    assert steered(store, 30) == 30
    assert steered(store, 40, sandbox=True) == 30
    assert steered(store, 50, is_paused=True, until=60) == 60
    assert steered(store, 55, is_paused=True, until=70) == 70
    assert steered(store, 80) == 70
    assert steered(store, 90, is_paused=True, until=200) == 200
    assert steered(store, 100) == 100
    assert steered(store, 110, is_paused=True) == 0


def test_what_turns_read_does_not_grow_with_the_changes_of_a_control_record(store: database.Database) -> None:
    """However often a workspace was held, and never paused, none of that is read with its definitions."""
    for at in range(50):
        steered(store, at, hold_deliveries=at % 2 == 0)
    asked: list[str] = []
    sa.event.listen(store._engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
    with store.reading() as connection:
        definitions.load(connection, 1)
    assert asked
    assert not [one for one in asked if "control_versions" in one]


def test_an_older_database_knows_when_its_pause_ended(store: database.Database) -> None:
    """The step that writes it down finds it among the versions."""
    steered(store, 10, is_paused=True, until=40)
    steered(store, 20)
    steered(store, 30, hold_deliveries=True)
    step = script.ScriptDirectory(str(migrations._FOLDER)).get_revision("0037")
    with store.writing() as connection:
        connection.execute(sa.text("ALTER TABLE workspaces DROP COLUMN pause_ended_at"))
        with operations.Operations.context(migration.MigrationContext.configure(connection)):
            step.module.upgrade()
        found = connection.execute(sa.select(schema.workspaces.c.id, schema.workspaces.c.pause_ended_at))
        assert dict(found.all()) == {1: 20}


def test_templates_are_put_read_and_listed(store: database.Database) -> None:
    """A template keeps its number, gets a version with each change, and none where nothing changed."""
    contents: list[dict[str, Any]] = [
        {"text": "a", "subject": "s"},
        {"subject": "s", "text": "a"},
        {"text": "b"},
    ]
    made = []
    for at, content in enumerate(contents):
        with store.writing() as connection:
            made.append(templates.put(connection, 1, "welcome", content, 10 + at))
    assert [one.version for one in made] == [1, 1, 2]
    with store.writing() as connection:
        templates.put(connection, 1, "again", {"text": "c"}, 20)
    with store.reading() as connection:
        listed = templates.listed(connection, 1)
        assert templates.read(connection, 1, "welcome") == listed[1]
        assert templates.read(connection, 1, "nothing") is None
        assert templates.names(connection, 1) == {"again", "welcome"}
    assert [(one.id, one.number, one.version) for one in listed] == [("again", 2, 1), ("welcome", 1, 2)]
    assert [one.published and one.published.text for one in listed] == ["c", "b"]


def test_workspaces_are_made_once(store: database.Database) -> None:
    """Asking for a workspace by its name makes it the first time alone."""
    with store.writing() as connection:
        other = workspaces.ensure(connection, "other", 2)
        assert workspaces.ensure(connection, "other", 3) == other == workspaces.find(connection, "other")
        assert workspaces.names(connection) == ["default", "other"]
        assert workspaces.find(connection, "none") is None
        assert [workspaces.next_number(connection, other, "templates") for _ in range(3)] == [1, 2, 3]
        assert workspaces.next_number(connection, 1, "templates") == 1
