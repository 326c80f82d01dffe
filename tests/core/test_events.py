"""Events: their types, their states, and a fingerprint that is the standard's to the byte."""

import json
import math
import re
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import documents, events

characters = st.characters(exclude_categories=["Cs"]) | st.sampled_from(
    '\0\x1f\x7f"\\/éß\ue000\uffff\U0001f600'
)
texts = st.text(characters, max_size=5)
numbers = (
    st.integers(-(2**60), 2**60)
    | st.sampled_from([2**53 - 1, 2**53, -(2**53), 10**30])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(0, 10).map(lambda x: round(x, 2))
    | st.integers(-(2**60), 2**60).map(float)
    | st.builds(lambda x, n: x * 10.0**n, st.floats(-10, 10), st.integers(-12, 25))
)
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=5)
)


def with_great_numbers_as_strings(value: Any) -> Any:
    """The payload as C26 says that it is hashed."""
    if isinstance(value, dict):
        return {key: with_great_numbers_as_strings(child) for key, child in value.items()}
    if isinstance(value, list):
        return [with_great_numbers_as_strings(child) for child in value]
    return str(value) if type(value) is int and abs(value) >= 2**53 else value


@given(values)
@example({"\ue000": 1, "\U0001f600": 2})
@example({"a": [1e15, 1e16, 1e21, 1e-5, 1e-6, 1e-7, -0.0, 0.1, 123456789012345.6, 5e-324]})
def test_the_fast_way_gives_the_canonical_form(value: Any) -> None:
    """Whatever the payload, the bytes that are hashed are those of RFC 8785."""
    assert events.canonical(value) == rfc8785.dumps(with_great_numbers_as_strings(value))


@pytest.mark.spec("S4-298")
@given(values)
def test_what_was_received_decides_and_not_how_it_was_written(value: Any) -> None:
    """Key order, spacing and escapes leave the fingerprint as it is."""
    written = json.dumps(value, sort_keys=True, indent=1).encode()
    assert events.fingerprint(documents.read(written)) == events.fingerprint(value)


@pytest.mark.parametrize(
    ("body", "fingerprint"),
    [
        (b"{}", "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
        (b'{"n":1}', "2bfd14f43d17fc7cea24e0917a8879b4b2f880b8baeec1b9d90fbaad655e71bd"),
        (b'{"n":1.0}', "2bfd14f43d17fc7cea24e0917a8879b4b2f880b8baeec1b9d90fbaad655e71bd"),
    ],
)
def test_golden_fingerprints(body: bytes, fingerprint: str) -> None:
    """The fingerprints that are written down hold for ever: 64 hex digits of SHA-256."""
    assert events.fingerprint(documents.read(body)) == fingerprint


def test_great_whole_numbers_are_hashed_as_strings() -> None:
    """A number that a double cannot hold is hashed by its digits, so neighbours differ."""
    expected = sha256(b'{"id":"9007199254740993"}').hexdigest()
    assert events.fingerprint({"id": 9007199254740993}) == expected
    assert events.fingerprint({"id": 9007199254740991}) == sha256(b'{"id":9007199254740991}').hexdigest()


@pytest.mark.parametrize("bad", [math.nan, math.inf, "\ud800"])
def test_what_json_does_not_have_has_no_fingerprint(bad: object) -> None:
    """A payload that cannot be written as JSON is refused with the place."""
    with pytest.raises(errors.InvalidInput) as refusal:
        events.fingerprint({"a": [0, bad]})
    assert refusal.value.faults[0].path == "payload.a[1]"


@given(st.text("aZ9_.\n é", max_size=6) | st.text("a1_.", min_size=60, max_size=66))
def test_a_type_is_judged_by_its_pattern(text: str) -> None:
    """A text is an event's type exactly where the whole of it fits the published pattern."""
    fits = re.fullmatch(events.TYPE_PATTERN.rstrip("$"), text) is not None
    assert (events.type_fault(text) is None) == fits


@pytest.mark.parametrize("text", [None, 1, "", "Order", "order paid", "order\n", "1a", "a" * 65])
def test_what_is_no_type(text: object) -> None:
    """What cannot be a type is refused with what one looks like."""
    assert "order.paid" in (events.type_fault(text) or "")


def test_known_types() -> None:
    """Types of the product and custom ones are known; others are only well formed."""
    assert all(events.type_fault(name) is None for name in events.KNOWN_TYPES + events.ENGINE_TYPES)
    assert all(map(events.is_known, (*events.KNOWN_TYPES, *events.ENGINE_TYPES, "custom.order")))
    assert not events.is_known("foo_bar")


def test_states_are_a_whole_table() -> None:
    """Every state can be reached, says where it may go, and only a decided event stays as it is."""
    assert set(events.TRANSITIONS) == {None, *events.State}
    assert set().union(*events.TRANSITIONS.values()) == set(events.State)
    assert [state for state, following in events.TRANSITIONS.items() if not following] == [
        events.State.PROCESSED
    ]
