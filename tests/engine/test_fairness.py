"""Fairness: who has little waiting is served beside who has much. Counted in turns, never in seconds."""

from heliograph import testing
from tests.engine import acts

BACKLOG = 3_000


def rule(world: testing.World, workspace_id: int) -> None:
    acts.rule_in(
        world,
        workspace_id,
        trigger_type="custom.a",
        actions=[{"type": "notify", "emails": ["a@example.com"], "text": "x"}],
    )


def crowd(count: int, name: str) -> list[dict[str, object]]:
    return [{"event_type": "custom.a", "contact_id": f"{name}{number}"} for number in range(count)]


def fill(world: testing.World, workspace_id: int, count: int, name: str) -> list[str]:
    made: list[str] = []
    for first in range(0, count, 1_000):
        made += acts.events_in(world, workspace_id, list(crowd(min(1_000, count - first), f"{name}{first}-")))
    return made


def steadily(world: testing.World) -> None:
    """Let the size of turns not follow this machine's speed."""
    world.turns._limits = world.turns._limits._replace(seconds=1e9)


def test_a_quiet_workspace_is_decided_in_the_next_turn(world: testing.World) -> None:
    """Behind thousands of events of another workspace, the two of a quiet one are decided at once."""
    steadily(world)
    quiet = acts.workspace(world, "quiet")
    for workspace_id in (world.workspace_id, quiet):
        rule(world, workspace_id)
    fill(world, world.workspace_id, BACKLOG, "noisy")
    world.turns.take()
    mine = acts.events_in(world, quiet, list(crowd(2, "q")))
    world.turns.take()
    assert set(mine) <= acts.decided(world)
    assert len(acts.decided(world)) < BACKLOG / 2, "the backlog is still there"


def test_many_noisy_ones_leave_room_for_a_quiet_one(world: testing.World) -> None:
    """With twelve workspaces behind their work, a thirteenth is served within one walk round."""
    steadily(world)
    noisy = [acts.workspace(world, f"noisy{number}") for number in range(12)]
    for workspace_id in noisy:
        fill(world, workspace_id, 600, f"n{workspace_id}-")
    quiet = acts.workspace(world, "quiet")
    mine = acts.events_in(world, quiet, list(crowd(2, "q")))
    turns = 0
    while not set(mine) <= acts.decided(world):
        world.turns.take()
        turns += 1
        assert turns <= 13
    assert len(acts.decided(world)) < 600 * 12 / 2 + 2


def test_a_quiet_workspace_is_delivered_beside_a_backlog(world: testing.World) -> None:
    """Its message is among the next that are claimed, however many of another workspace wait."""
    quiet = acts.workspace(world, "quiet")
    for workspace_id in (world.workspace_id, quiet):
        rule(world, workspace_id)
    fill(world, world.workspace_id, 1_500, "noisy")
    while world.turns.take().inputs:
        pass
    (mine,) = acts.events_in(world, quiet, list(crowd(1, "q")))
    while world.turns.take().inputs:
        pass
    for _ in range(2):
        world._loop.run_until_complete(world.delivery.step())
    found = {mail.message_id for mail in world.mailbox.received}
    mine_ids, world.workspace_id = world.workspace_id, quiet
    (message,) = world.explain(mine).messages
    world.workspace_id = mine_ids
    assert message.id in found
    assert len(found) < 1_500


def test_nobody_is_left_behind(world: testing.World) -> None:
    """Whatever the shares are, everything of everybody is decided in the end, each event once."""
    steadily(world)
    made = {
        acts.workspace(world, name): size
        for name, size in (("a", 700), ("b", 3), ("c", 90), ("d", 1), ("e", 250))
    }
    ids = {one for workspace_id, size in made.items() for one in fill(world, workspace_id, size, "x")}
    inputs = 0
    while (report := world.turns.take()).inputs:
        inputs += report.inputs
    assert inputs == len(ids) == sum(made.values())
    assert acts.decided(world) == ids
