"""Conditions: read from JSON, judged, and told why.

Law: a condition is read here and nowhere else, all its faults are found at once, and what a user wrote is what
they read back. This module is also the door to the rest: predicates.py holds the values and the definition of
what they mean, operators.py the operators, judges.py the fast judge, traces.py what is kept of a judgement.

A condition is null, {} or [] (it always holds), a list of leaves and groups (all must hold), or an object of
`all`, `any` and `none` lists (several keys: all of them). A leaf is {field, operator, value}.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

from heliograph import errors
from heliograph.core import documents, judges, operators, predicates, traces, values

ROOTS = predicates.ROOTS
OPERATORS = operators.OPERATORS
MISSING = values.MISSING
Facts = predicates.Facts
Leaf = predicates.Leaf
Group = predicates.Group
Condition = predicates.Condition
Failing = predicates.Failing
Judge = judges.Judge
Observation = traces.Observation
Cut = traces.Cut

holds = predicates.holds
holds_whatever = predicates.holds_whatever
compile_judge = judges.compile_judge
compile_trace = judges.compile_trace
observe = traces.observe
trace_json = traces.trace_json
pack_failing = traces.pack_failing
pack_trace = traces.pack_trace
unpack = traces.unpack

MOST_LEAVES: Final = 100
MOST_GROUPS: Final = 100
MOST_DEPTH: Final = 5
LONGEST_FIELD: Final = 255

_KINDS: Final = ("all", "any", "none")
_LEAF_KEYS: Final = ("field", "operator", "value")
_SYMBOLS: Final[Mapping[str, str]] = {
    "=": "equals",
    "==": "equals",
    "eq": "equals",
    "is": "equals",
    "!=": "not_equals",
    "ne": "not_equals",
    ">": "greater_than",
    "gt": "greater_than",
    "<": "less_than",
    "lt": "less_than",
    ">=": "greater_or_equal",
    "gte": "greater_or_equal",
    "<=": "less_or_equal",
    "lte": "less_or_equal",
    "regex": "matches",
}


def parse(
    source: object, path: str = "conditions", *, types: Mapping[str, str] | None = None
) -> predicates.Condition:
    """Read a condition from decoded JSON; InvalidInput lists every fault with its place under `path`.

    `types` maps fields to declared types (values.coerced): such a field is compared after both sides are
    read as its type, and `equals` takes a list too, meaning any of it. Other fields are compared uncoerced.
    """
    reader = _Reader(path, types or {})
    root = reader.top(source)
    if reader.faults:
        raise errors.InvalidInput(faults=reader.faults[: documents.MAX_FAULTS])
    return predicates.Condition(root, tuple(reader.leaves))


def leaves(condition: predicates.Condition) -> tuple[predicates.Leaf, ...]:
    """All leaves as they stand in the document; a leaf's number is its index here."""
    return condition.leaves


def is_always(condition: predicates.Condition) -> bool:
    """Whether the condition asks for nothing, so that it holds of everything."""
    return not condition.leaves and predicates.group_holds(condition.root, lambda _number: False)


def roots_read(condition: predicates.Condition) -> frozenset[str]:
    """The roots whose contents decide the condition (`ROOTS`); a field without a root reads the payload."""
    named = (leaf.field.partition(".")[0] for leaf in condition.leaves)
    looks_back = any(leaf.meaning.looks_back for leaf in condition.leaves)
    found = {name if name in ROOTS else "payload" for name in named}
    return frozenset(found | {"previous"} if looks_back else found)


class _Reader:
    """One walk over one document, gathering its leaves and its faults."""

    def __init__(self, prefix: str, types: Mapping[str, str]) -> None:
        self.prefix = prefix
        self.types = types
        self.faults: list[errors.Fault] = []
        self.leaves: list[predicates.Leaf] = []
        self.seen = {"leaves": 0, "groups": 0}

    def fault(self, path: str, message: str) -> None:
        self.faults.append(errors.Fault(self.place(path), message))

    def place(self, path: str) -> str:
        """The path of a fault, as the sender of the whole document sees it."""
        return f"{self.prefix}.{path}" if self.prefix and path and path[0] != "[" else self.prefix + path

    # ── groups ──

    def top(self, source: object) -> predicates.Group:
        if isinstance(source, list):
            return self.group("all", source, "", 1)
        if source is None or source == {}:
            return predicates.Group("all", ())
        if isinstance(source, dict) and not source.keys() & set(_LEAF_KEYS):
            return self.groups(source, "", 1)
        hint = "put the condition in a list" if isinstance(source, dict) else "expected a list or an object"
        self.fault("", f'{hint}: [{{"field": …, "operator": …, "value": …}}] or {{"all": […]}}')
        return predicates.Group("all", ())

    def groups(self, written: dict[str, Any], path: str, depth: int) -> predicates.Group:
        """An object of one or more of all, any, none: several keys are AND-ed."""
        self.faults += documents.unknown_keys(written, _KINDS, self.place(path))
        kinds = [kind for kind in written if kind in _KINDS]
        found = [self.group(kind, written[kind], documents.below(path, kind), depth) for kind in kinds]
        return found[0] if len(found) == 1 else predicates.Group("all", tuple(found))

    def group(self, kind: str, written: object, path: str, depth: int) -> predicates.Group:
        members: Iterable[int | predicates.Group] = ()
        if self.is_over("groups", MOST_GROUPS, path):
            return predicates.Group(kind, ())
        if not isinstance(written, list):
            self.fault(path, f"expected a list of conditions, not {values.name_of(written)}")
        elif depth > MOST_DEPTH:
            self.fault(path, f"groups may be nested {MOST_DEPTH} deep at most: move this one further out")
        elif kind == "any" and not written:
            self.fault(path, 'an empty "any" can never hold: leave it out, or give it a condition')
        else:
            members = self.members(written, path, depth)
        return predicates.Group(kind, tuple(members))

    def members(self, written: list[Any], path: str, depth: int) -> Iterator[int | predicates.Group]:
        for position, member in enumerate(written):
            if len(self.faults) >= documents.MAX_FAULTS:
                return
            place = documents.below(path, position)
            if isinstance(member, dict) and self.is_group(member, place):
                yield self.groups(member, place, depth + 1)
            elif not self.is_over("leaves", MOST_LEAVES, place):
                yield len(self.leaves)
                self.leaf(member, place)

    def is_group(self, written: dict[str, Any], path: str) -> bool:
        if not written.keys() & set(_LEAF_KEYS):
            return any(documents.nearest(key, _KINDS) for key in islice(written, len(_KINDS)))
        if written.keys() & set(_KINDS):
            self.fault(path, "a group and a condition cannot share one object: make two of it")
        return False

    def is_over(self, what: str, most: int, path: str) -> bool:
        self.seen[what] += 1
        if self.seen[what] == most + 1:
            self.fault(
                path, f'a condition has at most {most} {what}: use "in" for many values, or a second rule'
            )
        return self.seen[what] > most

    # ── leaves ──

    def leaf(self, written: object, path: str) -> None:
        if not isinstance(written, dict):
            expected = 'expected {"field": …, "operator": …, "value": …} or a group'
            self.fault(path, f"{expected}, not {values.name_of(written)}")
            return
        self.faults += documents.unknown_keys(written, (*_LEAF_KEYS, *_KINDS), self.place(path))
        field = self.field(written, documents.below(path, "field"))
        name = self.operator(written, documents.below(path, "operator"))
        meaning = self.meaning(name, field, written, documents.below(path, "value"))
        if meaning is not None:
            value, place = written.get("value"), predicates.place_of(field)
            self.leaves.append(predicates.Leaf(path, field, name, value, place, meaning))

    def field(self, leaf: dict[str, Any], path: str) -> str:
        field = leaf.get("field")
        if "field" not in leaf:
            self.fault(path, "is required")
        elif not isinstance(field, str) or not field:
            self.fault(path, 'expected a dotted path such as "message.text" or "contact.tags"')
        elif len(field) > LONGEST_FIELD:
            self.fault(path, f"a path has at most {LONGEST_FIELD} characters, this one has {len(field)}")
        elif "" in field.split("."):
            self.fault(path, "a path has no empty names: write a.b, not a..b or .a")
        return field if isinstance(field, str) else ""

    def operator(self, leaf: dict[str, Any], path: str) -> str:
        """The operator's name, or nothing where it has none."""
        name = leaf.get("operator")
        if isinstance(name, str) and name in OPERATORS:
            return name
        if "operator" not in leaf:
            self.fault(path, "is required")
        elif not isinstance(name, str):
            self.fault(path, f"expected one of {', '.join(OPERATORS)}")
        elif name in _SYMBOLS:
            self.fault(path, f'unknown operator "{name}", did you mean "{_SYMBOLS[name]}"?')
        else:
            self.fault(path, documents.unknown("operator", name, OPERATORS))
        return ""

    def meaning(self, name: str, field: str, leaf: dict[str, Any], path: str) -> operators.Meaning | None:
        if not name:
            return None
        if "value" not in leaf and OPERATORS[name].takes != "nothing":
            self.fault(path, f'is required: "{name}" compares with it')
            return None
        try:
            return operators.meaning(name, leaf.get("value"), self.types.get(field))
        except ValueError as error:
            self.fault(path, str(error))
            return None
