"""Conditions of Elemental content: JavaScript's own answers, without running JavaScript."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import app, javascript
from heliograph.core import expressions, script_conditions, scripts

DATA: dict[str, Any] = {
    "name": "Ana",
    "plan": "gold",
    "zero": 0,
    "two": 2,
    "half": 0.5,
    "text": "12",
    "endless": "inf",
    "grouped": "1_2",
    "signed": " +.5 ",
    "empty": "",
    "yes": True,
    "no": False,
    "none": None,
    "list": ["tea", 2, None],
    "deep": {"a": {"b": "c"}},
}


@pytest.fixture(scope="module")
def evaluator() -> Iterator[javascript.Sandbox]:
    """What runs JavaScript."""
    sandbox = app.sandbox()
    yield sandbox
    sandbox.close()


def holds(source: str) -> bool:
    """Whether a condition holds of DATA."""
    seen = {"data": DATA}
    return script_conditions.read(source).holds(lambda root: seen.get(root, script_conditions.UNDEFINED))


PATHS = st.sampled_from(
    [f"data.{name}" for name in DATA] + ["data.missing", "data.list.length", "data.deep.a.b", "data.list[1]"]
)
LITERALS = st.one_of(
    st.sampled_from(["null", "undefined", "true", "false", "''", "'gold'", "2", "0.5", "'2'"]),
    st.integers(-3, 3).map(str),
    st.text(alphabet="abcé'\"\\ ", max_size=4).map(json.dumps),
    st.text(alphabet="abcg'\" 12", max_size=4).map(lambda text: f"`{text}`"),
)
TERMS = st.one_of(PATHS, LITERALS)
COMPARED = st.tuples(TERMS, st.sampled_from(["===", "!==", "==", "!=", "<", "<=", ">", ">="]), TERMS).map(
    " ".join
)
ASKED = st.tuples(
    st.sampled_from(["data.name", "data.plan", "data.text"]),
    st.sampled_from(["includes", "startsWith", "endsWith"]),
    LITERALS,
).map(lambda parts: f"{parts[0]}.{parts[1]}({parts[2]})")
CONDITIONS = st.recursive(
    st.one_of(TERMS, COMPARED, ASKED),
    lambda inner: st.one_of(
        inner.map(lambda one: f"!({one})"),
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(lambda parts: f"({' '.join(parts)})"),
    ),
    max_leaves=6,
)


@given(CONDITIONS)
def test_a_condition_holds_where_it_does_in_javascript(evaluator: javascript.Sandbox, source: str) -> None:
    """On any data, a condition that is read here is as true as the engine of JavaScript says."""
    answer = evaluator.evaluate(source, expressions.Want.TRUTH, {"data": DATA, "refs": {}}, 0, 1)
    assert answer.fault is None
    assert holds(source) is answer.value


@pytest.mark.parametrize(
    "source", ["data.missing.deeper === 1", "nothing.at.all", "data.name.a.b()"[:-2], "-data.name > 1"]
)
def test_what_is_missing_is_undefined(source: str) -> None:
    """Nothing raises: a path that ends early is undefined, which is not true."""
    assert not holds(source)


@pytest.mark.parametrize(
    "source", ["data.plan === `gold`", "!(data.plan < `gold`)", "data.text.includes(`12`)"]
)
def test_a_text_may_stand_in_backquotes(source: str) -> None:
    """It is the text between them."""
    assert holds(source)


def test_a_path_may_be_as_long_as_a_condition() -> None:
    """Nothing raises, however many names it has."""
    assert holds("!data" + ".a" * 990)


def test_a_place_may_have_any_number_of_digits() -> None:
    """Where it is as long as no number may be there is nothing there, and nothing raises."""
    told = {"list": [1], "place": "1" * 5000}
    assert script_conditions.read("data.list[data.place] === undefined").holds(lambda _: told)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "data.",
        "data.name(",
        "alert(1)",
        "data.name = 1",
        "a + 1",
        "`${a}`",
        "() => 1",
        "x" * 3000,
        "(" * 60 + "1" + ")" * 60,
    ],
)
def test_the_rest_of_the_language_is_refused(source: str) -> None:
    """What is no condition of ours is told when it is read, however deep or long it is."""
    with pytest.raises(scripts.Malformed):
        script_conditions.read(source)
