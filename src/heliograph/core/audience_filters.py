"""Courier's audiences: people who pass a tree of filters over their profiles (courier-wire 2.1).

Law: a filter is one of the operators that rules and segments have, so one evaluator judges them all (operators.py);
values are texts on that wire, and are read as what they are compared with. Texts are compared letter by letter.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from heliograph import errors
from heliograph.core import conditions, documents, operators, predicates, segments, values

OPERATORS: Final[Mapping[str, tuple[str, str | None]]] = {
    "EQ": ("equals", "string"),
    "NEQ": ("not_equals", "string"),
    "GT": ("greater_than", "number"),
    "GTE": ("greater_or_equal", "number"),
    "LT": ("less_than", "number"),
    "LTE": ("less_or_equal", "number"),
    "EXISTS": ("exists", None),
    "INCLUDES": ("contains", "string"),
    "OMIT": ("not_contains", "string"),
    "STARTS_WITH": ("starts_with", "string"),
    "ENDS_WITH": ("ends_with", "string"),
    "IS_BEFORE": ("less_than", "date-time"),
    "IS_AFTER": ("greater_than", "date-time"),
    "MEMBER_OF": ("equals", "string"),
}
"""What each asks, and as what both sides are read."""
JOINS: Final[Mapping[str, str]] = {"AND": "all", "OR": "any"}
ACCOUNT: Final = "account_id"
"""The path under which a person's tenants stand."""
MOST_FILTERS, DEEPEST = 100, 8
_KEYS = ("operator", "path", "value", "filters")


def view(
    user_id: str, tenant_id: str | None, profile: Mapping[str, Any], joined: Collection[str] = ()
) -> dict[str, Any]:
    """A person as filters see them; `joined`: those of the tenants that these name which the person is with."""
    account = [*joined, *((tenant_id,) if tenant_id else ())] if joined else tenant_id
    return {**segments.view(user_id, tenant_id, profile), ACCOUNT: account}


def tenants_of(given: object, bound: str | None) -> frozenset[str]:
    """The tenants of which a filter asks who is with them; of those of a tenant (`bound`) it asks that one alone."""
    return frozenset(one for one in _tenants_of(given) if bound in (None, one))


def _tenants_of(given: object) -> Iterator[str]:
    if not isinstance(given, dict):
        return
    for one in given.get("filters") or ():
        yield from _tenants_of(one)
    if given.get("operator") == "MEMBER_OF":
        value = given.get("value")
        yield from (one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str))


def parse(given: object, path: str = "filter") -> conditions.Condition:
    """The condition that a filter is. Raises errors.InvalidInput with every fault at its place."""
    reader = _Reader()
    root = reader.read(given, path, 1)
    if reader.faults:
        raise errors.InvalidInput(faults=reader.faults[: documents.MAX_FAULTS])
    group = root if isinstance(root, predicates.Group) else predicates.Group("all", (root,))
    return predicates.Condition(group, tuple(reader.leaves))


class _Reader:
    """Reads a tree of filters, and collects its faults."""

    def __init__(self) -> None:
        self.leaves: list[predicates.Leaf] = []
        self.faults: list[errors.Fault] = []

    def read(self, given: object, path: str, depth: int) -> int | predicates.Group:
        """A group or a filter."""
        nothing = predicates.Group("all", ())
        if not isinstance(given, dict):
            return self._wrong(
                path, 'is an object such as {"operator": "EQ", "path": "plan", "value": "pro"}'
            )
        self.faults += documents.unknown_keys(given, _KEYS, path)
        operator = given.get("operator")
        if "filters" not in given:
            return self._leaf(given, operator, path)
        if not isinstance(operator, str) or operator not in JOINS:
            self._wrong(f"{path}.operator", errors.unknown("operator", operator, tuple(JOINS)))
            return nothing
        filters = given["filters"]
        if not isinstance(filters, list) or not filters or depth >= DEEPEST:
            self._wrong(f"{path}.filters", f"is a list of filters, not empty, {DEEPEST} deep at most")
            return nothing
        members = [self.read(one, f"{path}.filters[{index}]", depth + 1) for index, one in enumerate(filters)]
        return predicates.Group(JOINS[operator], tuple(members))

    def _leaf(self, given: Mapping[str, Any], operator: object, path: str) -> int | predicates.Group:
        if not isinstance(operator, str) or operator not in OPERATORS:
            return self._wrong(f"{path}.operator", errors.unknown("operator", operator, tuple(OPERATORS)))
        field, value = given.get("path"), given.get("value")
        if not isinstance(field, str) or not field or "" in field.split("."):
            return self._wrong(f"{path}.path", 'is a path into the profile, such as "address.city"')
        if operator == "MEMBER_OF" and field != ACCOUNT:
            return self._wrong(f"{path}.path", f'is "{ACCOUNT}", which is what somebody may be a member of')
        if isinstance(value, list) and value and operator in ("EQ", "INCLUDES"):
            choices = [self._asked(operator, field, one, f"{path}.value[{i}]") for i, one in enumerate(value)]
            return predicates.Group("any", tuple(choices))
        if isinstance(value, list) and value and operator in ("NEQ", "OMIT"):
            choices = [self._asked(operator, field, one, f"{path}.value[{i}]") for i, one in enumerate(value)]
            return predicates.Group("all", tuple(choices))
        return self._asked(operator, field, value, f"{path}.value")

    def _asked(self, operator: str, field: str, value: object, place: str) -> int | predicates.Group:
        name, kind = OPERATORS[operator]
        if operator == "EXISTS":
            name = "not_exists" if value in (False, "false") else "exists"
            value = None
        elif not isinstance(value, str | int | float | bool):
            return self._wrong(place, "is required: a text, as which it is compared")
        elif kind is not None and values.coerced(kind, value) is values.UNFIT:
            told = {"number": "a number", "date-time": "a moment in ISO 8601"}.get(kind, "a text")
            return self._wrong(place, f'is {told}: "{operator}" compares with it')
        keys = tuple(field.split("."))
        meaning = operators.meaning(name, value, kind)
        self.leaves.append(
            predicates.Leaf(
                place, f"contact.{field}", name, value, predicates.Place("contact", keys), meaning
            )
        )
        return self._counted(place)

    def _counted(self, place: str) -> int:
        if len(self.leaves) > MOST_FILTERS:
            self.faults.append(errors.Fault(place, f"is beyond the {MOST_FILTERS} filters that there may be"))
        return len(self.leaves) - 1

    def _wrong(self, path: str, message: str) -> predicates.Group:
        self.faults.append(errors.Fault(path, message))
        return predicates.Group("all", ())


def known(given: object, path: str = "filter") -> tuple[Any, list[str]]:
    """A filter without what nobody knows of it, and where that stood."""
    if not isinstance(given, dict):
        return given, []
    passed_over = [documents.below(path, name) for name in given.keys() - {*_KEYS}]
    kept = {name: value for name, value in given.items() if name in _KEYS}
    if isinstance(kept.get("filters"), list):
        members = [known(one, f"{path}.filters[{index}]") for index, one in enumerate(kept["filters"])]
        kept["filters"] = [one for one, _ in members]
        passed_over += [place for _, places in members for place in places]
    return kept, passed_over


def whole(filter_: object, operator: object) -> dict[str, Any] | None:
    """The filter of a request, whose `operator` may stand beside it. Raises errors.InvalidInput."""
    if filter_ is None:
        return None
    if not isinstance(filter_, dict):
        raise errors.InvalidInput.at("filter", 'is an object such as {"operator": "AND", "filters": […]}')
    if operator is not None and operator not in tuple(JOINS):
        raise errors.InvalidInput.at("operator", errors.unknown("operator", operator, tuple(JOINS)))
    if "filters" in filter_ and filter_.get("operator") is None:
        return {**filter_, "operator": operator or "AND"}
    return filter_


def grouped(filter_: dict[str, Any] | None) -> dict[str, Any] | None:
    """A filter as answers tell it: as a group, which is all that Courier's clients know at the top."""
    return filter_ if filter_ is None or "filters" in filter_ else {"operator": "AND", "filters": [filter_]}
