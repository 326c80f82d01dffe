"""What becomes of definitions that newer ones follow."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from heliograph import testing
from heliograph.core import journeys, outlooks, plans
from heliograph.core.steps import lists
from heliograph.engine import known_plans


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


@pytest.mark.usefixtures("no_collector")
def test_what_is_found_out_of_a_plan_goes_with_it(lone_world: testing.World) -> None:
    """Runs that bring steps of their own leave nothing of them behind, however many there are."""
    step = {"action": "send", "if": "data.n > 1", "recipient": "${data.who}", "template": "letter"}
    plan = journeys.read_steps([step] * 5, lone_world.app.sandbox)
    assert outlooks.of_plan(plan) is outlooks.of_plan(plan)
    assert (lists.named(plan), lists.texts(plan)) == (frozenset(), ())
    gone = weakref.ref(plan)
    del plan
    assert gone() is None


def test_so_many_plans_are_known() -> None:
    """Whoever publishes again and again fills no memory: the plans that were asked for last are known."""
    known, large = known_plans.KnownPlans(), known_plans.MOST_STEPS // 2
    for version in range(3):
        known.put((b"a", version), plans.Plan((object(),) * large, ()))  # type: ignore[arg-type]
        known.get((b"a", 0))
    assert [known.get((b"a", version)) is not None for version in range(3)] == [True, False, True]
