"""What is said of a value of the wrong kind, for every complaint that the decoder makes of our types."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest

from heliograph.core import refusals

_ONE_TO_FIVE = Annotated[int, msgspec.Meta(ge=1, le=5)]


@pytest.mark.parametrize(
    ("value", "kind", "said"),
    [
        ("x", int | None, "takes a whole number or null, not a text"),
        (1, str, "takes a text, not a whole number"),
        (None, bool, "takes true or false, not null"),
        (True, float, "takes a number, not true or false"),
        ([], dict[str, Any], "takes an object, not a list"),
        ({}, list[int] | None, "takes a list or null, not an object"),
        (0, _ONE_TO_FIVE, "takes a whole number of at least 1"),
        (6, _ONE_TO_FIVE, "takes a whole number of at most 5"),
        (-1.0, Annotated[float, msgspec.Meta(gt=0)], "takes a number of more than 0"),
        (100, Annotated[float, msgspec.Meta(lt=99.5)], "takes a number of less than 99.5"),
        ("", Annotated[str, msgspec.Meta(min_length=1)], "takes at least 1 character"),
        ("abc", Annotated[str, msgspec.Meta(max_length=2)], "takes at most 2 characters"),
        ([], Annotated[list[int], msgspec.Meta(min_length=2)], "takes at least 2 elements"),
        ({"a": 1}, Annotated[dict[str, int], msgspec.Meta(max_length=0)], "takes at most 0 keys"),
        ("c", Literal["a", "b"], "invalid enum value 'c'"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_what_would_be_taken(value: object, kind: Any, said: str) -> None:
    """What the decoder complains of is said in plain words, which name what would be taken."""
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.convert(value, kind)
    assert refusals.plainly(str(refusal.value)) == said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (_ONE_TO_FIVE, "a whole number from 1 to 5"),
        (Annotated[int, msgspec.Meta(ge=1, description="From 1 on.")], "a whole number of at least 1"),
        (Annotated[float, msgspec.Meta(le=1)], "a number of at most 1"),
        (Annotated[int, msgspec.Meta(description="Any.")], "a whole number"),
        (Annotated[str, msgspec.Meta(min_length=1)], "a text"),
        (bool, "true or false"),
        (list[int], None),
        (Literal["a"], None),
    ],
)
def test_a_field_says_what_it_takes(kind: Any, said: str | None) -> None:
    """A type that stands for a text, a truth or a number is put into words, with its bounds."""
    assert refusals.wanted(kind) == said


def test_what_may_be_left_out_is_asked_of_what_was_given() -> None:
    """Null, or nothing, belongs to a type only as long as no value was given."""
    assert refusals.given(_ONE_TO_FIVE | None) == _ONE_TO_FIVE
    assert refusals.given(bool | msgspec.UnsetType) is bool
    assert refusals.given(str) is str
