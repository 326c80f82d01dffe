"""Errors document themselves."""

import re

import pytest

from heliograph import errors


def every_class() -> list[type[errors.HeliographError]]:
    """The whole tree of errors."""
    found, waiting = [], [errors.HeliographError]
    while waiting:
        found.append(waiting.pop())
        waiting += found[-1].__subclasses__()
    return found


def test_codes_are_unique() -> None:
    """A code on the wire or in a log names one kind of error."""
    codes = [each.code for each in every_class()]
    assert sorted(codes) == sorted(set(codes))


@pytest.mark.parametrize("error", every_class(), ids=lambda error: error.__name__)
def test_an_error_says_what_it_is(error: type[errors.HeliographError]) -> None:
    """Every error has a docstring of its own (its default message), a readable code and an HTTP status."""
    assert error.__dict__.get("__doc__")
    assert error().message == error.default_message()
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.__dict__["code"])
    assert 400 <= error.status <= 599


def test_errors_live_in_one_place() -> None:
    """Every class of the tree is defined in errors.py."""
    assert {each.__module__ for each in every_class()} == {"heliograph.errors"}
