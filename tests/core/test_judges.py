"""The fast judge says what the definition says, and names what was at fault."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import conditions, judges, predicates
from tests.core import condition_strategies as some

Leaf = dict[str, Any]


def facts(payload: dict[str, Any], **more: Any) -> conditions.Facts:
    """Facts of a bare event."""
    given_by_default = {"event_type": "custom.a", "source": "api", "channel_source": None, "previous": None}
    return conditions.Facts(
        **{**given_by_default, "payload": payload, "contact": None, "conversation": None, **more}
    )


def equals(field: str, value: object) -> Leaf:
    """The leaf that most conditions begin with."""
    return {"field": field, "operator": "equals", "value": value}


def holds(group: conditions.Group, truth: Sequence[bool]) -> bool:
    """What a group says, told in another way than the code tells it."""
    answers = [truth[member] if isinstance(member, int) else holds(member, truth) for member in group.members]
    return {"all": False not in answers, "any": True in answers, "none": True not in answers}[group.kind]


def blame(group: conditions.Group, truth: Sequence[bool], wanted: bool = True) -> list[int] | None:
    """The first leaf at fault of each group at fault, by their definition."""
    if holds(group, truth) is wanted:
        return None
    within = wanted is not (group.kind == "none")
    found = [member for member in group.members if isinstance(member, int) and truth[member] is not within][
        :1
    ]
    for member in group.members:
        if isinstance(member, conditions.Group):
            found += blame(member, truth, within) or []
    return sorted(found)


def check(written: list[Any], met: conditions.Facts) -> None:
    """Judge all conditions at once and compare each answer with the definition."""
    parsed = [conditions.parse(document) for document in written]
    answers = conditions.compile_judge(parsed)(met)
    assert len(answers) == len(parsed)
    for condition, answer in zip(parsed, answers, strict=True):
        trace = conditions.observe(condition, met)
        truth = [observation.result for observation in trace]
        at_fault = blame(condition.root, truth)
        assert conditions.holds(condition, met) is holds(condition.root, truth) is (answer is None)
        assert at_fault == (None if answer is None else [predicates.leaf_of(number) for number, _ in answer])
        for number, observed in answer or ():
            shown = None if observed is conditions.MISSING else observed
            assert shown is trace[predicates.leaf_of(number)].observed


@given(st.lists(some.documents, max_size=4), some.facts)
def test_judge_agrees_with_the_definition(written: list[Any], met: conditions.Facts) -> None:
    """Whatever the conditions and the facts, the generated function, the interpreter and the trace agree."""
    check(written, met)


@given(st.lists(some.alike(), min_size=5, max_size=9), st.lists(some.documents, max_size=2), some.facts)
def test_index_changes_no_answer(alike: list[Any], others: list[Any], met: conditions.Facts) -> None:
    """Conditions that a look-up picks are judged as those that are asked one by one."""
    check([*alike[:3], *others, *alike[3:]], met)


@given(some.documents, some.facts)
def test_compiled_trace_is_the_plain_one(written: Any, met: conditions.Facts) -> None:
    """The quick way to a packed trace gives the same bytes as the plain way."""
    condition = conditions.parse(written)
    plain = conditions.pack_trace(conditions.observe(condition, met))
    assert conditions.compile_trace(condition)(met) == plain


@pytest.mark.parametrize("operator", ["changed", "not_exists", "not_equals", "exists", "equals"])
def test_compiled_trace_notes_what_is_missing(operator: str) -> None:
    """A leaf that is true of a missing field says so, on the quick way too."""
    leaf = {"field": "gone", "operator": operator}
    condition = conditions.parse([{**leaf, "value": 1} if "equals" in operator else leaf])
    for met in (facts({}, previous={"gone": 1}), facts({"gone": 1}), facts({"gone": None})):
        plain = conditions.pack_trace(conditions.observe(condition, met))
        assert conditions.compile_trace(condition)(met) == plain


VALUES = [None, True, False, 0, 1, 1.0, 0.5, "", "a", "1", [], ["a"], [1], [True], [None, "x"], {}, {"a": 1}]


@pytest.mark.parametrize("is_indexed", [True, False])
def test_equality_index_tells_values_apart(is_indexed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an index or without: true is not 1, a missing field is not null, what cannot be a key is no error."""
    monkeypatch.setattr(judges, "INDEX_FROM", 1 if is_indexed else 1000)
    written: list[Any] = [[equals("x", value)] for value in VALUES]
    written += [
        [{"field": "x", "operator": "in", "value": choices}] for choices in ([1, "a"], [True], [None], [])
    ]
    for value in VALUES:
        check(written, facts({"x": value}))
    check(written, facts({}))


def test_conditions_that_an_index_passes_over_share_one_answer() -> None:
    """The engine may pack an answer once for all conditions that failed on the same first comparison."""
    parsed = [conditions.parse([equals("sku", f"s{n}"), equals("size", n)]) for n in range(20)]
    answers = conditions.compile_judge(parsed)(facts({"sku": "s3", "size": 9}))
    assert answers[3] == ((1, 9),)
    assert {id(answer) for n, answer in enumerate(answers) if n != 3} == {id(answers[0])}
    assert answers[0] == ((0, "s3"),)


def test_two_indexes_keep_the_order_of_conditions() -> None:
    """Conditions picked by different fields answer each at its own place."""
    fields = ["a", "b", "a", "c"] * 4
    parsed = [conditions.parse([equals(field, n)]) for n, field in enumerate(fields)]
    answers = conditions.compile_judge(parsed)(facts({"a": 2, "b": 5, "c": 99}))
    assert [n for n, answer in enumerate(answers) if answer is None] == [2, 5]
    assert answers[0] == ((0, 2),)
    assert answers[1] == ((0, 5),)
    assert answers[3] == ((0, 99),)


def test_text_of_users_is_never_code() -> None:
    """Names and values that would break out of a source text are compared as they are."""
    nasty = '"]}); import os #\n\\'
    written = [
        [equals(nasty.replace(".", ""), nasty), {"field": "x", "operator": "in", "value": [nasty]}]
    ] * 5
    check(written, facts({nasty: nasty, "x": [nasty]}))
    condition = conditions.parse(written[0])
    assert conditions.compile_judge([condition])(facts({nasty: nasty, "x": nasty})) == [None]


def test_the_largest_conditions_compile() -> None:
    """A hundred leaves, in a list and in groups five deep, are judged like any other."""
    flat = [equals(f"f{n}", n) for n in range(100)]
    deep: Any = {"any": flat[:96]}
    for kind in ("none", "all", "none", "all"):
        deep = {kind: [equals("x", 1), deep]}
    payload = {f"f{n}": n for n in range(100)}
    for met in (payload, {**payload, "f99": 0, "x": 1}, {"x": 1}, {}):
        check([flat, {"any": flat}, {"none": flat}, deep], facts(met))


def test_no_conditions_no_answers() -> None:
    """A trigger type without rules has a judge too."""
    assert conditions.compile_judge([])(facts({})) == []


@pytest.mark.parametrize(
    ("document", "payload", "expected"),
    [
        ({"all": [equals("a", 1), {"any": [equals("b", 1), equals("c", 1)]}]}, {}, [0, 1]),
        ({"all": [equals("a", 1), {"any": [equals("b", 1), equals("c", 1)]}]}, {"c": 1}, [0]),
        ({"all": [{"any": [equals("b", 1)]}, equals("a", 1), equals("d", 1)]}, {}, [0, 1]),
        ({"any": [equals("a", 1), {"all": [equals("b", 1), equals("c", 1)]}]}, {"b": 1}, [0, 2]),
        ({"none": [equals("a", 1), equals("b", 1)]}, {"b": 1}, [1]),
        ({"none": [{"all": [equals("a", 1), equals("b", 1)]}]}, {"a": 1, "b": 1}, [0]),
        ({"all": [equals("a", 1)], "none": [equals("b", 1)]}, {"b": 1}, [0, 1]),
        ({"none": [{"all": []}]}, {}, []),
    ],
)
def test_names_the_first_leaf_of_each_group_at_fault(
    document: Any, payload: dict[str, Any], expected: list[int]
) -> None:
    """A run that did not match shows, for each group that failed, the first leaf that made it fail."""
    [answer] = conditions.compile_judge([conditions.parse(document)])(facts(payload))
    assert answer is not None
    assert [leaf for leaf, _ in answer] == expected
