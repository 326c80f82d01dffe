"""The source of one comparison in a judge.

Law: what is written agrees with `operators.satisfied`, and holds no text of a user: constants are bound by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from heliograph.core import operators, predicates, values


class Names:
    """The constants of the source, each under a name of ours."""

    def __init__(self) -> None:
        self.bound: dict[str, object] = {}

    def bind(self, value: object) -> str:
        """A name that means this value in the source."""
        name = f"k{len(self.bound)}"
        self.bound[name] = value
        return name


class Asked(NamedTuple):
    """A comparison to be written out."""

    names: Names
    first: str
    """an expression for the observed value; it stands in what is written once, before `again`"""
    again: str
    """the variable that holds it from then on"""
    before: str
    """an expression for what the field was before the event, where the operator looks back"""
    wanted: object

    def bound(self, value: object) -> str:
        """A name that means this value in the source."""
        return self.names.bind(value)


def written(decides: str, asked: Asked) -> str:
    """An expression that is true where the positive operator `decides` is."""
    return _TESTS[decides](asked)


def _equals(asked: Asked) -> str:
    wanted = asked.wanted
    if wanted is None or isinstance(wanted, bool):
        return f"{asked.first} is {wanted}"
    if isinstance(wanted, values.CONTAINERS):
        return f"same({asked.first}, {asked.bound(wanted)})"
    test = f"{asked.first} == {asked.bound(wanted)}"
    # To Python True is 1 and False 0.
    return f"{test} and {asked.again} is not {bool(wanted)}" if wanted in (0, 1) else test


def _in(asked: Asked) -> str:
    wanted = asked.wanted if isinstance(asked.wanted, list) else []
    slow = f"among({{}}, {asked.bound(_choices(wanted))})"
    if not all(isinstance(choice, str) for choice in wanted):
        return slow.format(asked.first)
    quick = f"{asked.again} in {asked.bound(frozenset(wanted))}"
    return f"{quick} if type({asked.first}) is str else {slow.format(asked.again)}"


def _contains(asked: Asked) -> str:
    wanted = asked.bound(asked.wanted)
    if isinstance(asked.wanted, str):
        return f"(type({asked.first}) is str or type({asked.again}) is list) and {wanted} in {asked.again}"
    return f"type({asked.first}) is list and has({asked.again}, {wanted})"


def _exists(asked: Asked) -> str:
    return f"{asked.first} is not M and {asked.again} is not None"


def _changed(asked: Asked) -> str:
    return f"changed({asked.first}, {asked.before})"


def _changed_to(asked: Asked) -> str:
    return f"{_changed(asked)} and same({asked.again}, {asked.bound(asked.wanted)})"


def _ordered(sign: str) -> Callable[[Asked], str]:
    def test(asked: Asked) -> str:
        if not values.is_number(asked.wanted):
            return f"{asked.first} is NEVER"
        is_number = f"(type({asked.first}) is int or type({asked.again}) is float)"
        return f"{is_number} and {asked.again} {sign} {asked.bound(asked.wanted)}"

    return test


def _text(call: str) -> Callable[[Asked], str]:
    """A test of strings; `call` has places for the value and the constant."""

    def test(asked: Asked) -> str:
        return f"type({asked.first}) is str and {call.format(asked.again, asked.bound(asked.wanted))}"

    return test


def _matches(asked: Asked) -> str:
    found = operators.searcher(asked.wanted) if isinstance(asked.wanted, str) else bool
    return f"type({asked.first}) is str and {asked.bound(found)}({asked.again})"


_TESTS: Final[Mapping[str, Callable[[Asked], str]]] = {
    "equals": _equals,
    "in": _in,
    "contains": _contains,
    "exists": _exists,
    "changed": _changed,
    "changed_to": _changed_to,
    "greater_than": _ordered(">"),
    "less_than": _ordered("<"),
    "greater_or_equal": _ordered(">="),
    "less_or_equal": _ordered("<="),
    "starts_with": _text("{}.startswith({})"),
    "ends_with": _text("{}.endswith({})"),
    "matches": _matches,
}


# ── what the source calls ───────────────────────────────────────────────────────────────────────────


class _Choices(NamedTuple):
    """The values of an `in`, told apart as JSON tells them apart and Python does not."""

    plain: frozenset[str | float | None]
    truths: frozenset[bool]
    containers: tuple[object, ...]


def _choices(wanted: Sequence[Any]) -> _Choices:
    truths = frozenset(choice for choice in wanted if isinstance(choice, bool))
    containers = tuple(choice for choice in wanted if isinstance(choice, values.CONTAINERS))
    plain = frozenset(choice for choice in wanted if not isinstance(choice, (bool, *values.CONTAINERS)))
    return _Choices(plain, truths, containers)


def _among(value: object, choices: _Choices) -> bool:
    if isinstance(value, list):
        return any(_is_one_of(element, choices) for element in value)
    return _is_one_of(value, choices)


def _is_one_of(value: object, choices: _Choices) -> bool:
    if isinstance(value, bool):
        return value in choices.truths
    if isinstance(value, values.CONTAINERS):
        return any(operators.same(value, container) for container in choices.containers)
    return value in choices.plain


def _has(elements: list[object], wanted: object) -> bool:
    return any(operators.same(element, wanted) for element in elements)


def _has_changed(observed: object, before: object) -> bool:
    return before is not values.MISSING and not operators.same(observed, before)


def _in_order(found: predicates.Failing | None) -> predicates.Failing | None:
    return None if found is None else tuple(sorted(found, key=lambda pair: predicates.leaf_of(pair[0])))


TOOLS: Final[Mapping[str, object]] = {
    "M": values.MISSING,
    "U": object(),
    "NEVER": object(),
    "EMPTY": {},
    "among": _among,
    "before": predicates.value_before,
    "changed": _has_changed,
    "coerced": values.coerced,
    "follow": predicates.follow,
    "has": _has,
    "in_order": _in_order,
    "previous_of": predicates.previous_of,
    "same": operators.same,
}
"""Everything that the source names and does not bind."""
