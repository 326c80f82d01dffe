"""The source of one function of a judge (judges.py puts them together).

Law: what is written agrees with `predicates.holds`, and names for each group at fault its first leaf at fault (E13):
in a group of which all or none must hold, the first that does not do as it should; in an `any`, where all fail, the
first of all. A group that does as it should clears all within it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from heliograph.core import judge_comparisons, predicates

Key = tuple[predicates.Place, str | None]
"""What a variable holds: a place's value as it is (None), as it was before, or read as a kind."""

Answer = tuple[int, predicates.Place, bool]
"""What the answer that one leaf is at fault depends on: its number, its place, and whether it looks back."""

BEFORE: Final = "before"
"""The kind of a variable that holds what a place held before the event."""

_DEEPEST_INLINE: Final = 4
_ROOTS: Final = {
    "payload": "facts.payload",
    "contact": "facts.contact or EMPTY",
    "conversation": "facts.conversation or EMPTY",
    "previous": "previous_of(facts) or EMPTY",
}


class Variables:
    """What a function reads of the facts: each place once, and at once only where it is `eager`."""

    def __init__(self, names: judge_comparisons.Names) -> None:
        self.names = names
        self.known: dict[Key, str] = {}
        self.looks: dict[Key, str] = {}
        self.eager: set[Key] = set()
        self.roots: set[str] = set()

    def name(self, key: Key) -> str:
        """The variable that holds this."""
        if key not in self.known:
            look = self.look(key)
            self.known[key] = f"v{len(self.known)}"
            self.looks[key] = look
        return self.known[key]

    def read(self, key: Key) -> str:
        """An expression that gives this and leaves it in its variable."""
        name = self.name(key)
        if key in self.eager:
            return name
        return f"({name} if {name} is not U else ({name} := {self.looks[key]}))"

    def read_at_once(self, key: Key) -> None:
        """Have this read at the head of the function."""
        raw = (key[0], None)
        self.eager |= {raw, key}
        self.name(raw)
        self.name(key)

    def look(self, key: Key) -> str:
        """An expression that looks this up in the facts."""
        place, kind = key
        if kind is None:
            return self.look_raw(place)
        if kind == BEFORE:
            return f"before({self.names.bind(place)}, facts)"
        return f"coerced({self.names.bind(kind)}, {self.read((place, None))})"

    def look_raw(self, place: predicates.Place) -> str:
        """An expression that gives a JSON value or MISSING."""
        if not place.keys:
            return "previous_of(facts)" if place.root == "previous" else f"facts.{place.root}"
        if place.root not in _ROOTS:  # a text has no members
            return "M"
        self.roots.add(place.root)
        first, *rest = place.keys
        found = f"{place.root}.get({self.names.bind(first)}, M)"
        if len(rest) > _DEEPEST_INLINE or any(predicates.index_of(key) is not None for key in rest):
            return f"follow({found}, {self.names.bind(tuple(rest))})"
        for key in rest:
            found = f"(t.get({self.names.bind(key)}, M) if type(t := {found}) is dict else M)"
        return found

    def head(self) -> Iterator[str]:
        """The lines with which the function begins."""
        for root in sorted(self.roots):
            yield f"{root} = {_ROOTS[root]}"
        late = [name for key, name in self.known.items() if key not in self.eager]
        if late:
            yield f"{' = '.join(late)} = U"
        for key, name in self.known.items():
            if key in self.eager:
                yield f"{name} = {self.looks[key]}"


class Function:
    """A function that judges some conditions, by position, from their leaf `start` on, into the list `out`."""

    def __init__(
        self, names: judge_comparisons.Names, conditions: Mapping[int, predicates.Condition], start: int
    ) -> None:
        self.variables = Variables(names)
        self.shared = _shared(conditions.values(), start)
        self.groups = 0
        self.body: list[str] = []
        for condition in conditions.values():
            for number in _order(condition.root)[start : start + 1]:
                leaf = condition.leaves[number]
                self.variables.read_at_once((leaf.place, leaf.meaning.kind))
        for position, condition in conditions.items():
            self.judge(position, condition, start)

    def written(self, signature: str, opening: Iterable[str], closing: str) -> Iterator[str]:
        """The lines of the whole function, `opening` standing behind what it reads at once."""
        yield f"def {signature}:"
        if self.shared:
            yield f"    {' = '.join(self.shared.values())} = None"
        for line in (*self.variables.head(), *opening, *self.body, closing):
            yield f"    {line}"

    def judge(self, position: int, condition: predicates.Condition, start: int) -> None:
        """Write the lines that judge one condition."""
        if is_plain(condition.root):
            self.chain(f"out[{position}]", condition, start)
            return
        found = self.group(condition.root, condition.leaves, wanted=True, indent="")
        order = _order(condition.root)
        self.body.append(f"out[{position}] = " + (found if order == sorted(order) else f"in_order({found})"))

    def chain(self, target: str, condition: predicates.Condition, start: int) -> None:
        """A list of leaves that must all hold, or none: the first at fault is the answer."""
        word = "if"
        for number, leaf in list(enumerate(condition.leaves))[start:]:
            fault = self.fault(leaf, wanted=condition.root.kind == "all")
            self.body.append(f"{word} {fault}: {target} = {self.failing(number, leaf)}")
            word = "elif"
        self.body.append(f"{'' if word == 'if' else 'else: '}{target} = None")

    def group(
        self, group: predicates.Group, leaves: Sequence[predicates.Leaf], *, wanted: bool, indent: str
    ) -> str:
        """Write the lines that judge a group, and name the variable in which they leave the answer.

        That is None where the group's truth is as wanted, else its own first leaf at fault and what is at fault in
        the groups within.
        """
        found = f"g{self.groups}"
        self.groups += 1
        wanted_within = wanted is not (group.kind == "none")
        numbers = [number for number in group.members if isinstance(number, int)]
        faults = [self.fault(leaves[number], wanted=wanted_within) for number in numbers]
        pairs = [self.pair(number, leaves[number]) for number in numbers]
        # In an `any` that is to hold, all must be at fault; it is the other way round in one that is not to hold.
        write, add, inner = _ONE_IS_ENOUGH if wanted is not (group.kind == "any") else _ALL_MUST_BE
        self.body += [indent + line for line in write(found, faults, pairs)]
        for member in group.members:
            if isinstance(member, predicates.Group):
                self.body += [f"{indent}if {found} is not None:"] if inner else []
                within = self.group(member, leaves, wanted=wanted_within, indent=indent + inner)
                self.body.append(indent + inner + add.format(found=found, within=within))
        return found

    def fault(self, leaf: predicates.Leaf, *, wanted: bool) -> str:
        """An expression that is true where the leaf's truth is not the wanted one."""
        test = compared(self.variables, leaf)
        return test if leaf.meaning.negative is wanted else f"not {test}"

    def pair(self, number: int, leaf: predicates.Leaf) -> str:
        """The answer that one leaf is at fault, as it stands in the source."""
        seen = self.variables.name((leaf.place, None))
        if not leaf.meaning.looks_back:
            return f"(({number}, {seen}),)"
        before = self.variables.name((leaf.place, BEFORE))
        return f"(({~number} if {before} is M and {seen} is not M else {number}, {seen}),)"

    def failing(self, number: int, leaf: predicates.Leaf) -> str:
        """The answer that one leaf is at fault; where several conditions may give it, it is made once."""
        shared = self.shared.get(_answer(number, leaf))
        pair = self.pair(number, leaf)
        return f"{shared} = {shared} or {pair}" if shared else pair


def _first_of(found: str, faults: Sequence[str], pairs: Sequence[str]) -> Iterator[str]:
    """The group is at fault when one member is: its own first such leaf, so far."""
    for position, (fault, pair) in enumerate(zip(faults, pairs, strict=True)):
        yield f"{'elif' if position else 'if'} {fault}: {found} = {pair}"
    yield f"{'else: ' if faults else ''}{found} = None"


def _all_of(found: str, faults: Sequence[str], pairs: Sequence[str]) -> Iterator[str]:
    """The group is at fault when every member is: its own first leaf, so far."""
    yield f"{found} = {pairs[0]} if {' and '.join(faults)} else None" if faults else f"{found} = ()"


_ONE_IS_ENOUGH: Final = (
    _first_of,
    "if {within} is not None: {found} = {within} if {found} is None else {found} + {within}",
    "",
)
_ALL_MUST_BE: Final = (_all_of, "{found} = None if {within} is None else {found} + {within}", "    ")


def compared(variables: Variables, leaf: predicates.Leaf) -> str:
    """An expression, in brackets, that is true where the positive operator of the leaf is."""
    decides, _, kind, wanted = leaf.meaning
    key = (leaf.place, kind)
    before = variables.read((leaf.place, BEFORE)) if leaf.meaning.looks_back else ""
    first, again = variables.read(key), variables.name(key)
    asked = judge_comparisons.Asked(variables.names, first, again, before, wanted)
    return f"({judge_comparisons.written(decides, asked)})"


def is_plain(group: predicates.Group) -> bool:
    """Whether a group is a list of leaves of which all, or none, must hold."""
    return group.kind != "any" and all(isinstance(member, int) for member in group.members)


def _order(group: predicates.Group) -> list[int]:
    """The leaves' numbers in the order in which they are asked: a group's own before those within."""
    own = [member for member in group.members if isinstance(member, int)]
    within = [member for member in group.members if isinstance(member, predicates.Group)]
    return own + [number for member in within for number in _order(member)]


def _shared(conditions: Iterable[predicates.Condition], start: int) -> dict[Answer, str]:
    """Names for the answers that more than one condition may give."""
    plain = [condition.leaves for condition in conditions if is_plain(condition.root)]
    seen = Counter(_answer(n, leaf) for leaves in plain for n, leaf in enumerate(leaves) if n >= start)
    return {answer: f"f{n}" for n, answer in enumerate(answer for answer in seen if seen[answer] > 1)}


def _answer(number: int, leaf: predicates.Leaf) -> Answer:
    return number, leaf.place, leaf.meaning.looks_back
