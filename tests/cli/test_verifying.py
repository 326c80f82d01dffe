"""`verify statistics`: counts and rows agree, or it is told where they do not."""

import sqlalchemy as sa

from heliograph import testing
from heliograph.store import schema
from tests.cli import program


def test_statistics_are_verified(house: str, tell: program.Tell) -> None:
    """It says how many days agree, or shows each difference and ends with 1."""
    with testing.World(house) as world:
        world.rule(trigger_type="custom.a", actions=[{"type": "add_tags", "tags": ["a"]}])
        world.event("custom.a", contact_id="ana")
        world.run_until_idle()
        told = tell("verify", "statistics")
        assert (told.code, told.out) == (0, "The statistics of 1 days agree with their rows.\n")
        with world.app.store.writing() as connection:
            connection.execute(sa.update(schema.event_statistics).values(processed=7))
        told = tell("verify", "statistics")
    assert told.code == 1
    assert "2026-01-01" in told.out
    assert "1, 7, 0" in told.out
    assert "1 counts differ" in told.err


def test_an_empty_workspace_agrees(lone_house: str, tell: program.Tell) -> None:
    """Where nothing has happened there is nothing to differ."""
    with testing.World(lone_house):
        pass
    assert tell("verify", "statistics").out == "The statistics of 0 days agree with their rows.\n"
