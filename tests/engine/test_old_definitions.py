"""What becomes of definitions that newer ones follow."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from heliograph import testing


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Nobody looks for garbage: what is given up goes by itself, or stays."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collector")
def test_old_definitions_are_given_up(lone_world: testing.World) -> None:
    """Whoever changes definitions all day long fills no memory: once a turn knows the newer ones, the old are gone."""
    world = lone_world
    world.contact("ana", email="ana@example.com")
    start = {"type": "invoke_automation", "template": "hello"}
    world.rule(name="r", trigger_type="custom.a", actions=[start])
    known: list[weakref.ref[object]] = []
    for number in range(3):
        world.template("letter", subject="s", text=f"text {number}")
        world.journey("hello", {"action": "send", "recipient": "ana", "template": "letter"})
        world.event("custom.a", contact_id="ana")
        world.run_until_idle()
        now_known = world.turns._knowledge.workspaces[world.workspace_id]
        known += [weakref.ref(now_known), weakref.ref(now_known.library)]
        del now_known
    assert [mail.text.strip() for mail in world.mailbox.received] == ["text 0", "text 1", "text 2"]
    assert [one() is None for one in known] == [True] * 4 + [False] * 2
