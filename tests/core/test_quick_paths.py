"""What is found out once for a plan, a step or a template says the same as what is found out each time."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import expressions, frames, outgoing, plans, runs

_WORDS = st.sampled_from(["continue", "wait", "stop"])
_STATUSES = st.sampled_from([int(status) for status in plans.Status])


@dataclasses.dataclass(frozen=True)
class Step:
    """A step that is waited for, or not."""

    on_error: str
    kind: str = "step"

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Nothing."""
        return plans.done()


@given(st.lists(_WORDS, max_size=5), st.lists(_STATUSES, max_size=5))
def test_a_run_goes_on_unless_a_step_before_holds_it_up(words: list[str], statuses: list[int]) -> None:
    """A step that is waited for holds up the next one while it is pending, and one that stops when it has failed."""
    statuses = statuses[: len(words)]
    plan = plans.plan(tuple(Step(word) for word in words))
    held = {"wait": [plans.Status.PENDING], "stop": [plans.Status.PENDING, plans.Status.FAILED]}
    is_held = any(status in held.get(word, []) for word, status in zip(words, statuses, strict=False))
    records = [runs.Record(status, 1) for status in statuses]
    assert runs.may_go_on(plan, records) == (len(statuses) < len(words) and not is_held)


@given(st.sampled_from(["a", "b", None]), st.sampled_from(["brand", "other", None]), st.text(max_size=3))
def test_a_letter_is_the_same_for_every_run(own: str | None, brand: str | None, subject: str) -> None:
    """The letter that runs have in common says what one of their own would say; another library's is another one."""
    pin = plans.Pin("hello", 2, own)
    for brands in ({}, {"brand": 3}, {"a": 4}):
        library = plans.Library({"hello": pin}, brands)
        alone = outgoing.letter_of(pin, library, brand, default_subject=subject)
        assert outgoing.plain_letter(pin, library, brand, subject) == alone


@given(st.frozensets(st.sampled_from(["refs", "refs.one", "refs.two", "data"])))
def test_a_step_sees_the_steps_that_it_reads(reads: frozenset[str]) -> None:
    """Of the steps before it, a step sees those that it says it reads, and no others."""
    evaluator: Any = None
    run = frames.Run(b"r" * 16, expressions.Context({}, {}), evaluator, {"one": 0, "two": 1, "later": 2})
    run.look(2, [runs.Record(int(plans.Status.SUCCEEDED), 1)] * 2)
    wanted = {name for name in ("one", "two") if "refs" in reads or f"refs.{name}" in reads}
    assert run.scope(1, reads).context.steps.keys() == wanted
