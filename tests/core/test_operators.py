"""What the operators of conditions mean, case by case (rules.md 3.3 and R24 to R33)."""

from datetime import datetime
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import conditions, operators, values
from tests.core import condition_strategies as some

PAYLOAD = {
    "text": "Please refund me",
    "total": 120.5,
    "count": 1,
    "big": 9007199254740993,
    "zero": 0,
    "flag": True,
    "nothing": None,
    "empty": "",
    "tags": ["vip", "new", 1],
    "ones": [1],
    "address": {"city": "Jakarta", "zip": "10110"},
    "items": [{"sku": "a"}, {"sku": "b", "0": "zero"}],
    "at": "2026-03-01T09:00:00+01:00",
    "day": "2026-03-01",
    "source": "the payload's own",
    "message": {"text": "hello"},
    "status": "closed",
    "previous": {"status": "open", "gone": 1, "count": 1.0, "message": {"text": "hi"}, "tags": None},
}
FACTS = conditions.Facts(
    event_type="contact_updated",
    source="api",
    channel_source=None,
    payload=PAYLOAD,
    previous=None,
    contact={"tags": ["gold"], "email": "a@b.c", "status": "new"},
    conversation=None,
)


def is_true(field: str, operator: str, value: object = None, met: conditions.Facts = FACTS) -> bool:
    """What one leaf says of the facts, by the interpreter and by the judge alike."""
    leaf = {"field": field, "operator": operator}
    takes = conditions.OPERATORS[operator].takes
    condition = conditions.parse([leaf if takes == "nothing" else {**leaf, "value": value}])
    found = conditions.holds(condition, met)
    assert (conditions.compile_judge([condition])(met) == [None]) is found
    assert conditions.compile_judge([condition] * 8)(met).count(None) == (8 if found else 0)
    return found


@pytest.mark.parametrize(("field", "operator", "value", "expected"), [
    # equality is that of JSON: nothing is coerced (E9, R24)
    ("count", "equals", 1, True),
    ("count", "equals", 1.0, True),
    ("count", "equals", "1", False),
    ("count", "equals", True, False),
    ("count", "not_equals", "1", True),
    ("zero", "equals", False, False),
    ("flag", "equals", True, True),
    ("flag", "equals", 1, False),
    ("big", "equals", 9007199254740993, True),
    ("big", "equals", 9007199254740992.0, False),
    ("text", "equals", "please refund me", False),
    ("ones", "equals", [1.0], True),
    ("ones", "equals", [True], False),
    ("address", "equals", {"zip": "10110", "city": "Jakarta"}, True),
    ("address", "equals", {"city": "Jakarta"}, False),
    # null is a value, but counts as missing for exists (R25)
    ("nothing", "equals", None, True),
    ("absent", "equals", None, False),
    ("absent", "not_equals", None, True),
    ("nothing", "exists", None, False),
    ("nothing", "not_exists", None, True),
    ("absent", "exists", None, False),
    ("empty", "exists", None, True),
    ("zero", "exists", None, True),
    # order: numbers with numbers, instants with instants (R28)
    ("total", "greater_than", 120, True),
    ("total", "greater_than", 120.5, False),
    ("total", "greater_or_equal", 120.5, True),
    ("total", "less_or_equal", 120.5, True),
    ("total", "less_than", 121, True),
    ("total", "greater_than", "120", False),
    ("flag", "greater_than", 0, False),
    ("text", "greater_than", 1, False),
    ("text", "greater_than", "A", False),
    ("absent", "less_than", 1, False),
    ("nothing", "less_than", 1, False),
    ("big", "greater_than", 9007199254740992.0, True),
    ("at", "greater_or_equal", "2026-03-01T08:00:00Z", True),
    ("at", "greater_than", "2026-03-01T08:00:00Z", False),
    ("at", "less_than", "2026-03-01T08:00:00.000001Z", True),
    ("at", "equals", "2026-03-01T08:00:00Z", False),
    ("day", "less_than", "2026-03-02T00:00:00Z", False),
    ("at", "greater_than", "2026-02-01", False),
    # lists of values (R29)
    ("text", "in", ["a", "Please refund me"], True),
    ("count", "in", ["1", True], False),
    ("count", "in", [1.0], True),
    ("tags", "in", ["x", "vip"], True),
    ("tags", "in", [True], False),
    ("tags", "not_in", ["x"], True),
    ("tags", "in", [], False),
    ("absent", "not_in", ["x"], True),
    ("absent", "in", [None], False),
    ("nothing", "in", [None], True),
    ("items", "in", [{"sku": "a"}], True),
    # contains: a part of a string, an element of an array
    ("text", "contains", "refund", True),
    ("text", "contains", "Refund", False),
    ("text", "contains", 1, False),
    ("tags", "contains", "vip", True),
    ("tags", "contains", "vi", False),
    ("tags", "contains", 1.0, True),
    ("tags", "contains", True, False),
    ("total", "contains", "1", False),
    ("total", "not_contains", "1", True),
    ("absent", "not_contains", "x", True),
    ("address", "contains", "city", False),
    ("items", "contains", {"sku": "a"}, True),
    # strings: case matters, a pattern may match anywhere: R26, R27
    ("text", "starts_with", "Please", True),
    ("text", "starts_with", "please", False),
    ("tags", "starts_with", "v", False),
    ("text", "ends_with", "me", True),
    ("total", "ends_with", "5", False),
    ("text", "matches", "ref.nd", True),
    ("text", "matches", "^ref", False),
    ("text", "matches", "(?i)PLEASE", True),
    ("count", "matches", "1", False),
    ("absent", "matches", "", False),
    # paths: the context's own names win, numbers are positions (R32, R33)
    ("source", "equals", "api", True),
    ("payload.source", "equals", "the payload's own", True),
    ("payload.text", "starts_with", "Please", True),
    ("message.text", "equals", "hello", True),
    ("items.1.sku", "equals", "b", True),
    ("items.01.sku", "exists", None, False),
    ("items.-1.sku", "exists", None, False),
    ("items.2.sku", "exists", None, False),
    ("items.1.0", "equals", "zero", True),
    ("items.sku", "exists", None, False),
    ("address.city.0", "exists", None, False),
    ("text.0", "exists", None, False),
    ("contact.tags", "contains", "gold", True),
    ("contact.tags.0", "equals", "gold", True),
    ("conversation.status", "exists", None, False),
    ("conversation", "equals", None, True),
    ("channel_source", "equals", None, True),
    ("channel_source.x", "not_exists", None, True),
    ("event_type", "starts_with", "contact_", True),
    ("previous.status", "equals", "open", True),
    # what has changed: R30
    ("status", "changed", None, True),
    ("payload.status", "changed", None, True),
    ("status", "changed_to", "closed", True),
    ("status", "changed_to", "open", False),
    ("count", "changed", None, False),
    ("total", "changed", None, False),
    ("gone", "changed", None, True),
    ("gone", "changed_to", None, False),
    ("tags", "changed", None, True),
    ("message.text", "changed_to", "hello", True),
    ("contact.status", "changed_to", "new", True),
    ("conversation.status", "changed", None, False),
])  # fmt: skip
def test_means(field: str, operator: str, value: object, expected: bool) -> None:
    """Each operator says of each kind of value what the specification says."""
    assert is_true(field, operator, value) is expected


def test_previous_of_the_event_beats_the_payloads() -> None:
    """A top-level `previous` is what was before; only without one is `payload.previous` read."""
    own = conditions.Facts("custom.a", "api", None, PAYLOAD, {"status": "closed"}, None, None)
    assert not is_true("status", "changed", met=own)
    assert is_true("previous.status", "equals", "closed", met=own)
    no_object = conditions.Facts("custom.a", "api", None, {"a": 1, "previous": 5}, None, None, None)
    assert not is_true("a", "changed", met=no_object)
    assert is_true("previous", "equals", None, met=no_object)


@pytest.mark.parametrize(
    ("event_type", "previous", "expected"),
    [
        ("conversation_status_changed", {"status": "open"}, True),
        ("conversation_status_changed", {"conversation": {"status": "open"}}, True),
        ("contact_updated", {"status": "open"}, False),
        ("contact_updated", {"conversation": {"status": "open"}}, True),
    ],
)
def test_what_a_record_was_before(event_type: str, previous: dict[str, Any], expected: bool) -> None:
    """An event about a conversation gives its old values bare; another event must say whose they are."""
    met = conditions.Facts(event_type, "api", None, {}, previous, None, {"status": "closed"})
    assert is_true("conversation.status", "changed", met=met) is expected


@given(some.leaves(), some.facts)
def test_negative_operators_negate_their_twins(leaf: dict[str, Any], met: conditions.Facts) -> None:
    """What a negative operator says is always the opposite of its twin, missing fields and mismatches included."""
    twins = {"equals": "not_equals", "in": "not_in", "contains": "not_contains", "exists": "not_exists"}
    positive = conditions.OPERATORS[leaf["operator"]].decides
    if positive in twins:
        asked = [conditions.parse([{**leaf, "operator": name}]) for name in (positive, twins[positive])]
        assert conditions.holds(asked[0], met) is not conditions.holds(asked[1], met)
        judged = [conditions.compile_judge([condition])(met)[0] is None for condition in asked]
        assert judged[0] is not judged[1]


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from([0.0, 1.0, 0.5])
    | st.sampled_from(["", "1", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)


@given(json_values, json_values)
def test_sameness_is_that_of_canonical_json(one: Any, other: Any) -> None:
    """Two values are equal exactly when RFC 8785 writes them alike."""
    assert operators.same(one, other) is (rfc8785.dumps(one) == rfc8785.dumps(other))
    assert operators.same(one, one)


def test_sameness_bears_any_depth() -> None:
    """Values nested beyond the depth of calls are compared, not fatal."""
    one: Any = 1
    other: Any = 1.0
    for _ in range(5_000):
        one, other = [one], [other]
    assert operators.same(one, other)
    assert not operators.same(one, [other])


# ── instants ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.5Z", 1_500_000),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01 01:00+01", 0),
        ("1970-01-01T05:30:00+05:30", 0),
        ("1969-12-31T19:00:00-0500", 0),
        ("1970-01-01T00:00:00.123456789Z", 123_456),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00+14:00", -62_135_647_200_000_000),
        ("1970-01-01T00:00:00", None),
        ("1970-01-01", None),
        ("19700101T000000Z", None),
        ("1970-W01-4T00:00:00Z", None),
        ("1970-01-01T24:00:00Z", None),
        ("1970-01-01T23:59:60Z", None),
        ("1970-02-30T00:00:00Z", None),
        ("1970-01-01T00:00:00,5Z", None),
        ("1970-01-01T00:00:0٠Z", None),
        ("1970-01-01T00:00:00Z\n", None),
        (" 1970-01-01T00:00:00Z", None),
        ("", None),
    ],
)
def test_reads_instants(text: str, expected: int | None) -> None:
    """An ISO 8601 date and time with an offset is an instant; a zone is never guessed."""
    assert values.instant(text) == expected


@given(st.datetimes(min_value=datetime(1600, 1, 1), max_value=datetime(2900, 1, 1)))  # noqa: DTZ001
def test_both_ways_to_an_instant_agree(moment: datetime) -> None:
    """The quick reading of the usual form gives what the general one gives."""
    whole = moment.replace(microsecond=0).isoformat()
    assert values.instant(f"{whole}Z") == values.instant(f"{whole}+00:00") == values.instant(f"{whole}.000Z")


# ── declared types ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("kind", "operator", "value", "observed", "expected"), [
    ("number", "equals", "10", 10, True),
    ("number", "equals", 10, " 10.0 ", True),
    ("number", "equals", [1, "2"], 2, True),
    ("number", "not_equals", [1, "2"], 3, True),
    ("number", "equals", 1, True, False),
    ("number", "equals", 1, "one", False),
    ("number", "not_equals", 1, "one", True),
    ("number", "not_equals", 1, None, True),
    ("number", "equals", 1, [3, "1"], True),
    ("number", "greater_than", "9", "10", True),
    ("number", "greater_than", [9], 10, True),
    ("number", "greater_than", 9, "ten", False),
    ("integer", "less_than", 9, 8.5, True),
    ("string", "equals", 5, "5", True),
    ("string", "equals", "5", 5.0, True),
    ("string", "equals", "true", True, True),
    ("string", "greater_than", 9, "10", True),
    ("string", "equals", "a", {"a": 1}, False),
    ("boolean", "equals", "true", True, True),
    ("boolean", "equals", True, "TRUE", True),
    ("boolean", "equals", True, 1, False),
    ("date", "equals", "2026-03-01", "2026-03-01T23:00:00Z", True),
    ("date", "less_than", "2026-03-01", "2026-02-28", True),
    ("date", "less_than", "2026-03-01", "yesterday", False),
    ("date-time", "equals", "2026-03-01T09:00:00Z", "2026-03-01T10:00:00+01:00", True),
    ("date-time", "greater_than", "2026-03-01", "2026-03-01T00:00:01Z", True),
    ("email", "equals", " A@B.c", "a@b.C ", True),
    ("array", "equals", "a", ["a", "b"], True),
    ("number", "contains", "1", "21", True),
    ("number", "exists", None, "not a number", True),
])  # fmt: skip
def test_coerces_to_the_declared_type(
    kind: str, operator: str, value: object, observed: object, expected: bool
) -> None:
    """A field with a declared type is compared after both sides are read as that type (A14 to A17)."""
    condition = conditions.parse([{"field": "f", "operator": operator, "value": value}], types={"f": kind})
    met = conditions.Facts("", "", None, {"f": observed}, None, None, None)
    assert conditions.holds(condition, met) is expected
    assert (conditions.compile_judge([condition])(met) == [None]) is expected


@given(
    st.sampled_from(["string", "number", "boolean", "date", "date-time", "email", "instant", "array"]),
    some.values,
)
def test_coercion_never_raises(kind: str, value: object) -> None:
    """Whatever a profile holds, reading it as a type gives a value or says that it is none."""
    read = values.coerced(kind, value)
    assert operators.same(values.coerced(kind, value), read)
