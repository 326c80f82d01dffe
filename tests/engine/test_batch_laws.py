"""Batches and the laws of the turn: one input or many, few items or many, leave and cost the same."""

import itertools
from unittest import mock

import hypothesis
import pytest
from hypothesis import strategies as st

from heliograph import testing
from heliograph.engine import budgets
from heliograph.engine import turn as turns
from tests.engine import acts, plays
from tests.engine.test_one_or_many import EXAMPLES, PHASES
from tests.engine.test_statements import Tally, counting, turn

__all__ = ["counting"]

# Of one subject alone: there is no order between subjects (engine.md E26), so none between those of one batch.
_collect = st.fixed_dictionaries(
    {
        "name": st.just("A rule"),
        "trigger_type": st.sampled_from(plays.TYPES),
        "actions": st.just(
            [
                {
                    "type": "invoke_automation",
                    "template": "digest",
                    "data": {"of": "{{contact.id}}|{{conversation.id}}"},
                }
            ]
        ),
    }
)
digests = st.builds(
    plays.Play,
    st.lists(_collect, min_size=1, max_size=2).map(tuple),
    st.lists(
        st.tuples(
            st.sampled_from((0, 1, 400, 700)), st.lists(plays.happening, min_size=2, max_size=7).map(tuple)
        ),
        min_size=2,
        max_size=3,
    ).map(tuple),
    st.just(()),
    st.just(()),
    st.just(()),
    st.none(),
    st.just(()),
)
"""Events that journeys collect."""


def _happening(event_type: str, n: int, **who: str | None) -> dict[str, object]:
    return {"event_type": event_type, "contact_id": None, "conversation_id": None, "payload": {"n": n}, **who}


def _collecting(event_type: str) -> dict[str, object]:
    data = {"of": "{{contact.id}}|{{conversation.id}}"}
    action = {"type": "invoke_automation", "template": "digest", "data": data}
    return {"name": "A rule", "trigger_type": event_type, "actions": [action]}


# The batch of nobody's events has ana's partition, where an event of hers waits while the two items come in.
_OF_NOBODY = plays.Play(
    tuple(map(_collecting, plays.TYPES)),
    (
        (
            700,
            (
                _happening("custom.b", 4),
                _happening("custom.a", 7),
                _happening("custom.a", 5, contact_id="ana", conversation_id="k1"),
            ),
        ),
    ),
)


# Two journeys begin for each of two events, of one subject and at one instant.
_TWICE = plays.Play(
    (_collecting("custom.a"), _collecting("custom.a")),
    ((0, tuple(_happening("custom.a", n, contact_id="ana", conversation_id="k1") for n in (1, 2, 5))),),
)


@pytest.mark.torture
def test_batches_in_one_turn_or_in_many(world: testing.World) -> None:
    """What journeys collect is released in the same batches, whether a turn takes one item or all that are there."""
    stage = plays.Stage(world)
    made: list[int] = []

    @hypothesis.settings(max_examples=EXAMPLES // 2, phases=PHASES)
    @hypothesis.given(digests)
    @hypothesis.example(_OF_NOBODY)
    def same(play: plays.Play) -> None:
        left = stage.give_both(play)
        made.append(sum(row["run_id"] is not None for row in left["messages"]))

    same()
    assert sum(made) > EXAMPLES // 2, "batches are released"


@pytest.mark.torture
def test_batches_in_turns_that_have_no_time(world: testing.World) -> None:
    """Where a turn has no time for all people's expressions, runs that wait for the next one keep their order."""
    stage = plays.Stage(world)

    def short_of_time(inputs: int) -> turns.Turns:
        made = world.app.turns(world._session)
        acts.sized(made, inputs)
        # Each run that asks has taken two fifths of what a turn has.
        made._started._budget._scripted = itertools.count(0, 2 * budgets.SCRIPTED_AT_MOST // 5).__next__
        return made

    @hypothesis.settings(max_examples=EXAMPLES // 2, phases=PHASES)
    @hypothesis.given(digests)
    @hypothesis.example(_TWICE)
    def same(play: plays.Play) -> None:
        with mock.patch.object(stage, "turns", short_of_time):
            hurried = stage.give(play, 500)
        assert hurried == stage.give(play, 1)

    same()


def test_batches_ask_as_much_for_many_as_for_few(world: testing.World, counting: Tally) -> None:
    """Turns in which 60 items join 20 batches, and in which these are released, ask as much as those of 6 and 2."""
    acts.sized(world.turns, 10_000)
    step = {
        "action": "add-to-batch",
        "batch_id": {"$ref": "data.of"},
        "wait_period": "PT10M",
        "max_wait_period": "PT1H",
        "retain": {"type": "last", "count": 2},
    }
    asked = []
    for batches in (2, 2, 20):
        for number in range(3 * batches):
            world.invoke(None, step, data={"of": f"{batches}-{number % batches}", "n": number})
        counts = []
        for minutes in (0, 11):
            world.clock.at += minutes * 60_000_000
            while (took := turn(world, counting))[0]:
                counts.append(took[1])
        asked.append(counts)
    _, few, many = asked
    assert len(many) == len(few)
    assert max(many) <= max(few)
