"""How runs of rules begin: the quick way for plans of one step is the general one."""

from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import effects, plans, runs

NOW = 1_790_000_000_000_000


class Step(NamedTuple):
    """A step that answers what it was made with."""

    answer: plans.Outcome | errors.RenderFailed
    on_error: str
    kind: str = "a"

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """That, or why it cannot."""
        if isinstance(self.answer, errors.RenderFailed):
            raise self.answer
        return self.answer


EFFECT = effects.Cancel("token")
ANSWERS = st.one_of(
    st.builds(
        plans.Outcome,
        st.sampled_from(plans.Status),
        st.integers(0, 3).map(lambda count: (EFFECT,) * count),
        st.sampled_from([None, {}, {"a": 1}, {plans.REQUESTED: None}, "text"]),
        st.sampled_from([None, "why"]),
        st.sampled_from([None, *plans.End]),
    ),
    st.just(errors.RenderFailed.at("text", "why")),
)
STEPS: Any = st.builds(Step, ANSWERS, st.sampled_from(["continue", "wait", "stop"]))


@given(st.lists(STEPS, max_size=3), st.integers(0, 5))
def test_a_run_begins_as_it_would_advance(steps: list[Step], later: int) -> None:
    """Whatever its steps answer, a run that begins stands, is kept and asks as `advance` and `write` say."""
    plan, now = plans.plan(tuple(steps)), NOW + later
    moved = runs.advance(plan, (), (), plans.NOWHERE, now)
    expected = (int(moved.status), int(moved.outcome), runs.write(moved.records), moved.asked)
    assert runs.begin(plan, plans.NOWHERE, now) == expected
