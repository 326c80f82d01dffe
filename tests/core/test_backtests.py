"""What a backtest says about the present state: a match is certain where no other record could undo it."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import conditions, predicates
from tests.core import condition_strategies


@given(condition_strategies.documents, condition_strategies.facts, st.data())
def test_a_condition_holds_whatever_some_leaves_say(
    document: object, facts: conditions.Facts, data: st.DataObject
) -> None:
    """That is so exactly where it holds for every answer that those leaves could give."""
    condition = conditions.parse(document)
    numbers = st.integers(0, max(len(condition.leaves) - 1, 0))
    unknown = data.draw(st.frozensets(numbers, max_size=6)) if condition.leaves else frozenset()

    def holds(answers: dict[int, bool]) -> bool:
        leaves = condition.leaves
        return predicates.group_holds(
            condition.root,
            lambda n: (
                answers[n]
                if n in answers
                else predicates.is_true(leaves[n], *predicates.look(leaves[n], facts))
            ),
        )

    every = itertools.product((False, True), repeat=len(unknown))
    wanted = all(holds(dict(zip(unknown, answers, strict=True))) for answers in every)
    assert conditions.holds_whatever(condition, facts, unknown) is wanted
