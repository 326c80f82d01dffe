"""What is found out once for a plan, a step or a template says the same as what is found out each time."""

from __future__ import annotations

import dataclasses
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import expressions, frames, journeys, outgoing, outlooks, plans, runs

_WORDS = st.sampled_from(["continue", "wait", "stop"])
_STEPS = [
    {"action": "send"},
    {"action": "send", "recipient": "ana", "template": "hello"},
    {"action": "send", "message": {"to": {"user_id": "bea"}, "template": "hello"}},
    {"action": "delay", "duration": "1 day"},
    {"action": "get-profile", "user_id": "cy", "path": "data.cy"},
    {"action": "cancel", "cancelation_token": "token"},
]
_CHARACTERS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
"""What ids are made of: no database takes others."""
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


_ANSWERS = st.tuples(st.integers(0, 4), st.sampled_from(list(plans.Status)[1:]))


@given(
    st.lists(_WORDS, max_size=5),
    st.lists(st.tuples(_STATUSES, st.integers(0, 2)), max_size=5),
    st.lists(_ANSWERS, max_size=3),
)
def test_whether_a_run_goes_on_is_known_before_it_has_heard(
    words: list[str], stand: list[tuple[int, int]], answers: list[tuple[int, plans.Status]]
) -> None:
    """What is said of a run and its answers is what holds of the run once it has taken them in."""
    plan = plans.plan(tuple(Step(word) for word in words))
    records = [runs.Record(status, 1, asked=asked) for status, asked in stand[: len(words)]]
    replies = [runs.Reply(visit, 0, status, None, None) for visit, status in answers if visit < len(records)]
    heard = runs.take_in(records, replies, 2)
    assert runs.would_go_on(plan, records, replies, 2) == runs.may_go_on(plan, heard)


@given(
    st.none() | st.text(_CHARACTERS, max_size=3), st.lists(st.sampled_from(_STEPS), min_size=1, max_size=4)
)
def test_who_is_looked_up_is_whom_the_steps_name(recipient: str | None, steps: list[Any]) -> None:
    """The profiles that are known to be needed of a plan, and those that are asked of a run, are those of its steps."""
    evaluator: Any = None
    plan = journeys.read_steps(steps, evaluator)
    run = frames.Run(b"r" * 16, expressions.Context({}, {}, None, "hello", recipient), evaluator, {})
    scope = run.scope(1, frozenset())
    named = {one for step in plan.steps if isinstance(step, frames.Step) for one in step.people(run, scope)}
    ahead = outlooks.of_plan(plan).ahead[0]
    own = {recipient} if ahead.is_own and recipient else set()
    assert own | {one for step in ahead.naming for one in step.people(run, scope)} == named


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
