"""The plainest conditions: what is answered without the sandbox is what the sandbox answers."""

from collections.abc import Iterator

import hypothesis
import pytest
from hypothesis import strategies as st

from heliograph import javascript
from heliograph.core import expressions, plain_conditions, scripts

DATA = {
    "n": 3,
    "zero": 0,
    "half": 0.5,
    "large": 2**60,
    "text": "three",
    "empty": "",
    "digits": "3",
    "yes": True,
    "no": False,
    "none": None,
    "list": [],
    "user": {"plan": "pro", "__proto__": 1, "status": "OPENED"},
}
CONTEXT = expressions.Context(
    data=DATA,
    profile={"plan": "free"},
    recipient="ana",
    steps={
        "first": expressions.send_reference(["SENT"]),
        "second": expressions.send_reference(["OPENED", "CLICKED"]),
        "pause": expressions.step_reference("PROCESSED"),
    },
)
GIVEN = {name: getattr(CONTEXT, name) for name in scripts.ROOTS} | {"refs": CONTEXT.steps}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[javascript.Sandbox]:
    """What answers everything."""
    made = javascript.Sandbox(lambda: 0)
    yield made
    made.close()


def told(source: str) -> bool | None:
    """What is answered without it."""
    found = plain_conditions.read(scripts.tokens(source))
    return None if found is None else found.holds(GIVEN)


_path = st.sampled_from(
    [
        *(f"data.{name}" for name in DATA),
        *("data", "data.gone", "data.gone.deeper", "data.user.plan", "data.user.__proto__", "data.toString"),
        *("refs.data.n", "refs.data.user.status", "profile.plan", "recipient", "brand", "refs.gone.status"),
        *("refs.first.status", "refs.second.status", "refs.pause.status", "refs.second.counts"),
    ]
)
_literal = st.sampled_from(
    [
        "3",
        "0",
        "0.5",
        "10",
        "true",
        "false",
        "null",
        "'three'",
        '"pro"',
        "''",
        "'3'",
        "'SENT'",
        "undefined",
        "-1",
        "MessageStatus.Opened",
        "MessageStatus.Sent",
        "MessageStatus.Enqueued",
        "[]",
        "`three`",
    ]
)
_mark = st.sampled_from(["===", "!==", "==", "!=", "<", "<=", ">", ">="])
_term = st.one_of(
    st.tuples(_path, _mark, st.one_of(_literal, _path)).map(" ".join),
    st.tuples(_literal, _mark, _path).map(" ".join),
    _path,
    _path.map("!{}".format),
)
_condition = st.tuples(st.lists(_term, min_size=1, max_size=3), st.sampled_from([" && ", " || "])).map(
    lambda drawn: drawn[1].join(drawn[0])
)


@hypothesis.settings(max_examples=300)
@hypothesis.given(_condition)
def test_what_is_answered_is_what_javascript_says(sandbox: javascript.Sandbox, source: str) -> None:
    """Whatever is compared with whatever: without the sandbox the answer is the sandbox's, or there is none."""
    answer = told(source)
    if answer is not None:
        wanted = expressions.script(source, "if", sandbox)
        scope = expressions.Scope(CONTEXT, sandbox, 0, 0)
        assert (answer, None) == wanted.answer(scope, expressions.Want.TRUTH)


@pytest.mark.parametrize(
    ("source", "answer"),
    [
        ("refs.first.status === 'SENT'", True),
        ("refs.first.status < MessageStatus.Opened", True),
        ("refs.second.status < MessageStatus.Opened", False),
        ("data.user.plan === 'pro' && data.n > 2", True),
        ("profile.plan !== 'free' || data.yes", True),
        ("data.none == null", True),
    ],
)
def test_the_commonest_are_answered(source: str, answer: bool) -> None:
    """What people ask of messages and of their data needs no sandbox."""
    assert told(source) is answer


@pytest.mark.parametrize(
    "source",
    [
        "data.gone",
        "data.gone.deeper === 1",
        "data.toString",
        "data.large > 1",
        "data.text < 'u'",
        "data.n == '3'",
        "data.n + 1 === 4",
        "(data.n)",
        "data.list.length === 0",
        "data?.n",
        "data['n'] === 3",
        "data.yes || a && b",
    ],
)
def test_the_rest_is_left_to_the_sandbox(source: str) -> None:
    """What is missing may throw, what is mixed is turned into each other, and the rest of the language is large."""
    assert told(source) is None
