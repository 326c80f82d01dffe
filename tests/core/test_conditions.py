"""Conditions as they are written: what is accepted, and how what is not is shown its place."""

from typing import Any

import pytest

from heliograph import errors
from heliograph.core import conditions

LEAF = {"field": "a", "operator": "equals", "value": 1}


def faults(written: object, path: str = "conditions", **more: Any) -> list[tuple[str, str]]:
    """The places and messages for which a condition is refused."""
    with pytest.raises(errors.InvalidInput) as refusal:
        conditions.parse(written, path, **more)
    return [(fault.path, fault.message) for fault in refusal.value.faults]


def facts(payload: dict[str, Any]) -> conditions.Facts:
    """Facts of a bare event."""
    return conditions.Facts("custom.a", "api", None, payload, None, None, None)


@pytest.mark.parametrize("written", [None, {}, [], {"all": []}, {"none": []}, {"all": [], "none": []}])
def test_nothing_asked_always_holds(written: Any) -> None:
    """No conditions, however they are written, always match (R34)."""
    condition = conditions.parse(written)
    assert conditions.holds(condition, facts({}))
    assert conditions.compile_judge([condition])(facts({})) == [None]
    assert conditions.leaves(condition) == ()


@pytest.mark.parametrize(("written", "paths"), [
    ([LEAF, LEAF], ["[0]", "[1]"]),
    ([LEAF, {"any": [LEAF]}], ["[0]", "[1].any[0]"]),
    ({"all": [LEAF, {"any": [LEAF, LEAF]}, LEAF]}, ["all[0]", "all[1].any[0]", "all[1].any[1]", "all[2]"]),
    ({"none": [LEAF], "any": [{"all": [LEAF], "none": [LEAF]}]}, ["none[0]", "any[0].all[0]", "any[0].none[0]"]),
])  # fmt: skip
def test_leaves_stand_as_in_the_document(written: Any, paths: list[str]) -> None:
    """Leaves are numbered in the order in which they are written, each with its path."""
    found = conditions.leaves(conditions.parse(written))
    assert [leaf.path for leaf in found] == paths
    assert {(leaf.field, leaf.operator, leaf.value) for leaf in found} == {("a", "equals", 1)}


@pytest.mark.parametrize(("written", "holds"), [
    ({"all": [LEAF], "none": [{"field": "b", "operator": "exists"}]}, True),
    ({"all": [LEAF], "any": [{"field": "b", "operator": "exists"}]}, False),
    ([LEAF, {"none": [LEAF]}], False),
])  # fmt: skip
def test_several_keys_are_and_ed(written: Any, holds: bool) -> None:
    """An object with more than one group asks for all of them."""
    assert conditions.holds(conditions.parse(written), facts({"a": 1})) is holds


def nested(depth: int) -> Any:
    """A leaf under so many groups."""
    found: Any = LEAF
    for level in range(depth):
        found = {("any", "all")[level % 2]: [found]}
    return found


def test_groups_may_be_nested_five_deep() -> None:
    """Five groups within each other are accepted, the sixth is refused at its place; leaves do not count (R35)."""
    assert len(conditions.leaves(conditions.parse(nested(5)))) == 1
    [(path, message)] = faults(nested(6))
    assert path == "conditions.all[0].any[0].all[0].any[0].all[0].any"
    assert "5 deep at most" in message


def test_a_condition_has_a_hundred_leaves_at_most() -> None:
    """The hundred and first leaf is refused, once, whatever else follows; so is the hundred and first group."""
    assert len(conditions.leaves(conditions.parse([LEAF] * 100))) == 100
    assert [path for path, _ in faults([LEAF] * 150)] == ["conditions[100]"]
    assert [path for path, _ in faults([{"all": []}] * 150)] == ["conditions[99].all"]


def test_a_flood_of_faults_is_cut() -> None:
    """A document that is wrong all over costs a hundred faults, not a minute."""
    assert len(faults([{"al": 1, "anny": 2}] * 100_000)) == 100
    assert len(faults([{"al": []}] * 100_000)) == 100
    assert len(faults([{f"x{n}": n for n in range(100_000)}])) <= 110


@pytest.mark.parametrize(("written", "path", "said"), [
    ("x", "conditions", "expected a list or an object"),
    (0, "conditions", "expected a list or an object"),
    (False, "conditions", "expected a list or an object"),
    (LEAF, "conditions", "put the condition in a list"),
    ({"al": [LEAF]}, "conditions.al", 'did you mean "all"?'),
    ({"all": LEAF}, "conditions.all", "expected a list of conditions, not object"),
    ({"all": None}, "conditions.all", "expected a list of conditions, not null"),
    ({"any": []}, "conditions.any", "can never hold"),
    ({"all": [LEAF, {"any": []}]}, "conditions.all[1].any", "can never hold"),
    ([1], "conditions[0]", "not number"),
    ([[LEAF]], "conditions[0]", "or a group, not array"),
    ([{"anny": [LEAF]}], "conditions[0].anny", 'did you mean "any"?'),
    ([{**LEAF, "all": []}], "conditions[0]", "make two of it"),
    ([{**LEAF, "values": 1}], "conditions[0].values", 'did you mean "value"?'),
    ([{"operator": "exists"}], "conditions[0].field", "is required"),
    ([{**LEAF, "field": 1}], "conditions[0].field", "dotted path"),
    ([{**LEAF, "field": ""}], "conditions[0].field", "dotted path"),
    ([{**LEAF, "field": "a..b"}], "conditions[0].field", "no empty names"),
    ([{**LEAF, "field": "a" * 256}], "conditions[0].field", "at most 255"),
    ([{"field": "a", "value": 1}], "conditions[0].operator", "is required"),
    ([{**LEAF, "operator": None}], "conditions[0].operator", "expected one of equals, not_equals"),
    ([{**LEAF, "operator": "equal"}], "conditions[0].operator", 'unknown operator "equal", did you mean "equals"?'),
    ([{**LEAF, "operator": "Equals"}], "conditions[0].operator", 'did you mean "equals"?'),
    ([{**LEAF, "operator": ">="}], "conditions[0].operator", 'did you mean "greater_or_equal"?'),
    ({"all": [LEAF, {"any": [{**LEAF, "operator": "xyzzy"}]}]}, "conditions.all[1].any[0].operator", "it is one of"),
    ([{"field": "a", "operator": "equals"}], "conditions[0].value", "is required"),
    ([{"field": "a", "operator": "in", "value": "x"}], "conditions[0].value", "takes a list of values, not string"),
    ([{"field": "a", "operator": "not_in", "value": None}], "conditions[0].value", "not null"),
    ([{"field": "a", "operator": "greater_than", "value": True}], "conditions[0].value", "not boolean"),
    ([{"field": "a", "operator": "less_than", "value": [1]}], "conditions[0].value", "not array"),
    ([{"field": "a", "operator": "starts_with", "value": 1}], "conditions[0].value", "takes a string, not number"),
    ([{"field": "a", "operator": "exists", "value": False}], "conditions[0].value", "takes no value"),
    ([{"field": "a", "operator": "changed", "value": "x"}], "conditions[0].value", "takes no value"),
    ([{"field": "a", "operator": "matches", "value": 1}], "conditions[0].value", "takes a string"),
    ([{"field": "a", "operator": "matches", "value": "("}], "conditions[0].value", "RE2 cannot read this pattern"),
    ([{"field": "a", "operator": "matches", "value": r"(a)\1"}], "conditions[0].value", "RE2 cannot read"),
    ([{"field": "a", "operator": "matches", "value": "(?=a)"}], "conditions[0].value", "RE2 cannot read"),
    ([{"field": "a", "operator": "matches", "value": "a{1001}"}], "conditions[0].value", "RE2 cannot read"),
    ([{"field": "a", "operator": "matches", "value": "\ud800"}], "conditions[0].value", "RE2 cannot read"),
    ([{"field": "a", "operator": "matches", "value": "a" * 257}], "conditions[0].value", "at most 256"),
])  # fmt: skip
def test_refuses_with_a_place_and_a_mend(written: Any, path: str, said: str) -> None:
    """What is wrong with a condition is said at its place, with what to do about it."""
    found = faults(written)
    assert found[0][0] == path
    assert said in found[0][1]


def test_finds_all_faults_at_once() -> None:
    """One answer names every leaf that is wrong, and under the path that the caller gives."""
    written = {"all": [{"field": 1, "operator": "eq", "value": 1}, {"any": []}, LEAF], "nun": []}
    assert [path for path, _ in faults(written, "rule.conditions")] == [
        "rule.conditions.nun",
        "rule.conditions.all[0].field",
        "rule.conditions.all[0].operator",
        "rule.conditions.all[1].any",
    ]
    assert [path for path, _ in faults([{"field": "a"}], "")] == ["[0].operator"]
    assert [path for path, _ in faults({"all": 1}, "")] == ["all"]


@pytest.mark.parametrize("leaf", [
    {"field": "a", "operator": "exists", "value": None},
    {"field": "a", "operator": "exists", "value": True},
    {"field": "a", "operator": "equals", "value": None},
    {"field": "a", "operator": "greater_than", "value": "not an instant"},
    {"field": "a", "operator": "in", "value": []},
    {"field": "a" * 255, "operator": "matches", "value": "a" * 256},
])  # fmt: skip
def test_accepts(leaf: dict[str, Any]) -> None:
    """What has a meaning is accepted, odd as it may be."""
    assert len(conditions.leaves(conditions.parse([leaf]))) == 1


@pytest.mark.parametrize(("kind", "operator", "value", "said"), [
    ("number", "equals", "ten", "the field holds a number, and this is none"),
    ("number", "greater_than", "ten", "the field holds a number"),
    ("number", "greater_than", [1, 2], "exactly one number"),
    ("number", "less_than", None, "exactly one number"),
    ("string", "less_than", "ten", "the field holds a number"),
    ("boolean", "not_equals", ["yes"], "the field holds a boolean"),
    ("date", "less_than", "2026-02-30", "the field holds a date"),
    ("date-time", "equals", "2026-01-01T00:00:00", "the field holds a date-time"),
])  # fmt: skip
def test_refuses_what_is_not_of_the_declared_type(kind: str, operator: str, value: object, said: str) -> None:
    """A value that can never be met by a field of the declared type is refused when it is written (A17)."""
    written = [{"field": "f", "operator": operator, "value": value}]
    [(path, message)] = faults(written, types={"f": kind})
    assert path == "conditions[0].value"
    assert said in message


@pytest.mark.parametrize(("field", "operator", "roots"), [
    ("contact.tags", "exists", {"contact"}),
    ("conversation", "exists", {"conversation"}),
    ("message.text", "exists", {"message"}),
    ("payload.contact", "exists", {"payload"}),
    ("anything", "exists", {"payload"}),
    ("event_type", "exists", {"event_type"}),
    ("contact.tags", "changed", {"contact", "previous"}),
])  # fmt: skip
def test_tells_what_it_reads(field: str, operator: str, roots: set[str]) -> None:
    """The roots that a condition reads are known beforehand, so that only they are loaded."""
    leaf = {"field": field, "operator": operator}
    assert conditions.roots_read(conditions.parse({"any": [leaf]})) == roots
    assert roots <= set(conditions.ROOTS)
    assert conditions.roots_read(conditions.parse(None)) == frozenset()
