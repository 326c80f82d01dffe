"""What is kept of a judgement, and how it is shown."""

from typing import Any

import msgspec
import pytest
from hypothesis import given

from heliograph.core import conditions
from tests.core import condition_strategies as some

VIP: Any = {
    "all": [
        {"field": "message.text", "operator": "contains", "value": "refund"},
        {"any": [
            {"field": "contact.tags", "operator": "contains", "value": "vip"},
            {"field": "channel_source", "operator": "equals", "value": "email"},
        ]},
    ],
    "none": [{"field": "total", "operator": "less_than", "value": 10}],
}  # fmt: skip


def facts(payload: dict[str, Any], **more: Any) -> conditions.Facts:
    """Facts of a bare event."""
    bare = {"event_type": "custom.a", "source": "api", "channel_source": None, "previous": None}
    return conditions.Facts(**{**bare, "payload": payload, "contact": None, "conversation": None, **more})


def note(leaf: dict[str, Any], payload: dict[str, Any]) -> str | None:
    """The note that a leaf's trace bears; that of a stored answer is the same."""
    condition = conditions.parse([leaf])
    [observation] = conditions.observe(condition, facts(payload))
    [failing] = conditions.compile_judge([condition])(facts(payload))
    if failing is not None:
        stored = conditions.unpack(conditions.pack_failing(failing))
        assert conditions.trace_json(condition, stored)[0].get("note") == observation.note
    return observation.note


def test_a_trace_shows_every_leaf() -> None:
    """The whole trace has a row for each leaf, in the shape of the wire, whether it mattered or not (R36)."""
    condition = conditions.parse(VIP)
    met = facts({"message": {"text": "a refund"}, "total": 5}, channel_source="email")
    rows = conditions.trace_json(condition, conditions.observe(condition, met))
    assert rows == [
        {"path": "all[0]", "field": "message.text", "operator": "contains", "value": "refund",
         "observed": "a refund", "result": True},
        {"path": "all[1].any[0]", "field": "contact.tags", "operator": "contains", "value": "vip",
         "observed": None, "result": False, "note": "field is missing"},
        {"path": "all[1].any[1]", "field": "channel_source", "operator": "equals", "value": "email",
         "observed": "email", "result": True},
        {"path": "none[0]", "field": "total", "operator": "less_than", "value": 10,
         "observed": 5, "result": True},
    ]  # fmt: skip


def test_an_answer_shows_the_leaves_at_fault() -> None:
    """A judge's answer is shown in the same shape; under `none` it is the leaf that was true that is at fault."""
    condition = conditions.parse(VIP)
    [failing] = conditions.compile_judge([condition])(facts({"message": {"text": "a refund"}, "total": 5}))
    assert failing is not None
    rows = conditions.trace_json(condition, failing)
    assert [(row["path"], row["observed"], row["result"]) for row in rows] == [
        ("all[1].any[0]", None, False),
        ("none[0]", 5, True),
    ]
    assert rows[0]["note"] == "field is missing"
    assert conditions.trace_json(condition, conditions.unpack(conditions.pack_failing(failing))) == rows


@pytest.mark.parametrize(("operator", "value", "observed", "expected"), [
    ("greater_than", 1, "5", "type mismatch: string compared with number"),
    ("greater_than", "5", 5, "type mismatch: number compared with string"),
    ("greater_than", "5", "6", "type mismatch: of strings only ISO 8601 instants, with their offset, have an order"),
    ("greater_than", "2026-01-01T00:00:00Z", "soon", "type mismatch: string compared with instant"),
    ("greater_than", "2026-01-01T00:00:00Z", 5, "type mismatch: number compared with instant"),
    ("greater_than", "2026-01-01T00:00:00Z", None, "type mismatch: null compared with instant"),
    ("greater_than", 1, None, "type mismatch: null compared with number"),
    ("greater_than", 1, 0, None),
    ("equals", 1, "1", "type mismatch: string compared with number"),
    ("equals", 1, True, "type mismatch: boolean compared with number"),
    ("not_equals", 1, "1", "type mismatch: string compared with number"),
    ("equals", None, "x", None),
    ("equals", "x", None, None),
    ("in", [1, "x"], True, "type mismatch: boolean compared with number or string"),
    ("in", [1], [2], None),
    ("in", [], 5, None),
    ("contains", "x", 5, "type mismatch: number compared with string"),
    ("contains", 5, "x", "type mismatch: string compared with number"),
    ("contains", 5, [], None),
    ("starts_with", "x", [], "type mismatch: array compared with string"),
    ("matches", "x", {}, "type mismatch: object compared with string"),
    ("exists", None, None, None),
])  # fmt: skip
def test_notes_what_could_not_be_compared(
    operator: str, value: object, observed: object, expected: str | None
) -> None:
    """Where a type did not fit, the trace says which met which."""
    leaf = {"field": "f", "operator": operator, "value": value}
    assert note(leaf, {"f": observed}) == expected
    assert note(leaf, {}) == "field is missing"


@pytest.mark.parametrize("operator", [{"operator": "changed"}, {"operator": "changed_to", "value": "x"}])
@pytest.mark.parametrize("observed", [1, "y", "y" * 400, None])
def test_notes_a_field_without_a_past(operator: dict[str, Any], observed: object) -> None:
    """A field that cannot have changed, since nothing says what it was, is noted as such, and stored so."""
    leaf = {"field": "f", **operator}
    assert note(leaf, {"f": observed}) == "no previous value"
    assert note(leaf, {"f": observed, "previous": {"f": observed}}) != "no previous value"
    assert note(leaf, {}) == "field is missing"


def test_an_answer_of_old_is_still_shown() -> None:
    """What was stored before a leaf's past was, is shown as it was."""
    condition = conditions.parse([{"field": "f", "operator": "changed"}])
    [row] = conditions.trace_json(condition, conditions.unpack(b"[[0,1]]"))
    assert (row["observed"], row["result"], row.get("note")) == (1, False, None)


def test_leaves_that_look_back_share_no_answer_with_others() -> None:
    """Of rules that begin with the same field, only those that ask for its past say that it has none."""
    written = [
        [{"field": "f", "operator": "changed"}],
        [{"field": "f", "operator": "equals", "value": "x"}],
    ] * 2
    parsed = [conditions.parse(one) for one in written]
    answers = conditions.compile_judge(parsed)(facts({"f": "y"}))
    rows = [conditions.trace_json(one, answer or ()) for one, answer in zip(parsed, answers, strict=True)]
    assert [row.get("note") for [row] in rows] == ["no previous value", None] * 2


LONG: list[tuple[Any, str]] = [
    ("é" * 257, "é" * 255 + "…"),
    (["x" * 400], '["' + "x" * 253 + "…"),
    (["é"] * 100, ('["é"' + ',"é"' * 99)[:255] + "…"),
    ({"k": list(range(200))}, ('{"k":[' + ",".join(map(str, range(200))))[:255] + "…"),
    (10**300, "1" + "0" * 254 + "…"),
]


@pytest.mark.parametrize(("observed", "shown"), LONG)
def test_long_values_are_cut(observed: Any, shown: str) -> None:
    """What is longer than 256 characters is shown and stored cut, a container by its JSON text (E13)."""
    condition = conditions.parse([{"field": "f", "operator": "equals", "value": False}])
    trace = conditions.observe(condition, facts({"f": observed}))
    [failing] = conditions.compile_judge([condition])(facts({"f": observed}))
    assert failing is not None
    for judged in (trace, failing, conditions.unpack(conditions.pack_trace(trace))):
        assert conditions.trace_json(condition, judged)[0]["observed"] == shown
    stored = conditions.unpack(conditions.pack_failing(failing))
    # The stored answer still knows what it was that was cut.
    assert conditions.trace_json(condition, stored) == conditions.trace_json(condition, trace)
    assert len(shown) == 256


@pytest.mark.parametrize("observed", ["é" * 256, ["x" * 252], {"k": "é" * 248}, 10**255 - 1, None, 0.5])
def test_values_of_256_characters_are_whole(observed: Any) -> None:
    """What fits is stored as it is."""
    packed = conditions.pack_failing(((7, observed),))
    assert conditions.unpack(packed) == ((7, observed),)


@given(some.documents, some.facts)
def test_what_is_packed_is_unpacked(written: Any, met: conditions.Facts) -> None:
    """Stored traces and answers are shown as they would have been at once; they are JSON that anybody can read."""
    condition = conditions.parse(written)
    trace = conditions.observe(condition, met)
    packed = conditions.pack_trace(trace)
    assert conditions.trace_json(condition, conditions.unpack(packed)) == conditions.trace_json(
        condition, trace
    )
    assert conditions.pack_trace(conditions.unpack(packed)) == packed  # type: ignore[arg-type]
    assert isinstance(msgspec.json.decode(packed), list)


@given(some.documents, some.facts)
def test_an_answer_shows_leaves_as_the_trace_does(written: Any, met: conditions.Facts) -> None:
    """A run that did not match shows a leaf with the words with which a dry run shows it."""
    condition = conditions.parse(written)
    trace = conditions.trace_json(condition, conditions.observe(condition, met))
    for failing in conditions.compile_judge([condition])(met):
        rows = conditions.trace_json(condition, conditions.unpack(conditions.pack_failing(failing or ())))
        assert rows == [row for row in trace if row["path"] in {row["path"] for row in rows}]


@given(some.documents, some.facts)
def test_an_answer_that_is_packed_is_unpacked(written: Any, met: conditions.Facts) -> None:
    """What a judge said is shown from the store as it would have been at once, and packs to the same bytes again."""
    condition = conditions.parse(written)
    for failing in conditions.compile_judge([condition])(met):
        shown = None if failing is None else conditions.trace_json(condition, failing)
        stored = conditions.unpack(conditions.pack_failing(failing or ()))
        assert shown is None or conditions.trace_json(condition, stored) == shown
        assert conditions.pack_failing(stored) == conditions.pack_failing(failing or ())  # type: ignore[arg-type]


def test_an_answer_without_leaves_is_stored_too() -> None:
    """A condition that can never hold, having no leaf to blame, still did not hold."""
    [failing] = conditions.compile_judge([conditions.parse({"none": [{"all": []}]})])(facts({}))
    assert failing == ()
    assert conditions.unpack(conditions.pack_failing(())) == ()
