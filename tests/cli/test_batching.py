"""`batch`: what journeys collect, seen and released from the command line."""

from heliograph import testing as helpers
from tests.cli import program

COLLECT = {
    "action": "add-to-batch",
    "batch_id": "comments",
    "wait_period": "PT10M",
    "max_wait_period": "PT1H",
    "retain": {"type": "first", "count": 10},
}


def test_batches_are_listed_and_released(house: str, tell: program.Tell) -> None:
    """Key, items, status and owner stand in a line; a release is done by the engine; an unknown one is refused."""
    with helpers.World(house) as world:
        assert tell("batch", "list").out == "No batch is open in the workspace default.\n"
        owner = world.invoke(None, COLLECT, data={"n": 1})
        world.run_until_idle()
        world.invoke(None, COLLECT, data={"n": 2})
        world.run_until_idle()
        (line,) = [one for one in tell("batch", "list").lines if "comments" in one]
        identity, key, *rest = line.split()
        assert (key, rest[-1]) == ("comments", owner)
        assert ("open" in rest, "2" in rest) == (True, True)
        assert tell("batch", "list", "--key", "likes").out.startswith("No batch")
        assert (
            tell("batch", "release", identity).out
            == "2 items of 'comments' are released within five seconds.\n"
        )
        world.run_until_idle()
        assert world.run(owner).status == "PROCESSED"
        refused = tell("batch", "release", identity)
        assert (refused.code, "there is no open batch" in refused.err) == (1, True)
