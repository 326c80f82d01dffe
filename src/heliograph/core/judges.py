"""The fast judge: one generated function for all the conditions of a trigger type.

Law: a judge agrees with `predicates.holds` on all facts and never raises. The source that is generated holds no
text of a user: constants are bound by name, and so are the keys of paths.

What makes it fast: a value is looked up once for all conditions of a function, and only when one asks for it;
comparisons are written out for the type of their constant; and where many conditions begin with `equals` or `in`
on the same field, a dict picks those that can hold, each lot with a function of its own, while all the others
share one answer. The first leaf stays the first: it is the one that a run which did not match must name (E13).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, cast

from heliograph.core import judge_comparisons, judge_functions, predicates, traces

Judge = Callable[[predicates.Facts], list[predicates.Failing | None]]
"""For each condition None where it holds, else why not. One Failing object may stand for many conditions."""

INDEX_FROM: Final = 4
"""So many conditions must begin with the same field before a look-up beats asking each."""

WIDEST_INDEXED: Final = 16
"""An `in` of more values is asked, not indexed: each value would carry its code."""

_SCALARS: Final = (str, int, float, bool, type(None))


def compile_judge(conditions: Sequence[predicates.Condition]) -> Judge:
    """One function for these conditions, in their order; making it takes about 0.1 ms a condition."""
    names = judge_comparisons.Names()
    lots = sorted(_lots(conditions), key=lambda lot: len(lot.positions), reverse=True)
    inside = {position for lot in lots for position in lot.positions}
    asked = {position: found for position, found in enumerate(conditions) if position not in inside}
    main = judge_functions.Function(names, asked, 0)
    for lot in lots:
        main.variables.read_at_once((lot.place, None))
    index = [line for number, lot in enumerate(lots) for line in _index(names, conditions, lot, number)]
    opening = _opening(main, lots, len(conditions))
    lines = [*index, *main.written("judge(facts)", opening, "return out")]
    return cast(Judge, _made("judge", lines, names))


def compile_trace(condition: predicates.Condition) -> Callable[[predicates.Facts], bytes]:
    """A function that gives `pack_trace(observe(condition, facts))`, in a fraction of the time.

    It is quick where the leaves' positive operators are true of what they see, or are asked of what they can be asked
    of; the others are observed the plain way.
    """
    names = judge_comparisons.Names()
    variables = judge_functions.Variables(names)
    entries = [_entry(variables, number, leaf) for number, leaf in enumerate(condition.leaves)]
    closing = f"return pack(({''.join(f'{entry}, ' for entry in entries)}))"
    lines = ["def trace(facts):", *(f"    {line}" for line in (*variables.head(), closing))]
    return cast(Callable[[predicates.Facts], bytes], _made("trace", lines, names))


def _entry(variables: judge_functions.Variables, number: int, leaf: predicates.Leaf) -> str:
    test, raw = judge_functions.compared(variables, leaf), variables.name((leaf.place, None))
    bind, negative = variables.names.bind, leaf.meaning.negative
    held, not_held = (f"({number}, {raw}, {answer}, None)" for answer in (not negative, negative))
    slow = f"observation({number}, {bind(leaf)}, facts)"
    unnoted = traces.unnoted(leaf)
    if unnoted:
        slow = f"{not_held} if type({raw}) in {bind(unnoted)} else {slow}"
    return f"{held} if {test} and {raw} is not M else {slow}"


def _made(name: str, lines: list[str], names: judge_comparisons.Names) -> object:
    """The function of this name that the source defines."""
    namespace = {**_TOOLS, **names.bound}
    # The source is made of names and numbers of ours alone: what a user wrote is a value in the namespace.
    exec(compile("\n".join(lines), "<judge>", "exec"), namespace)  # noqa: S102
    return namespace[name]


# ── the equality index ──────────────────────────────────────────────────────────────────────────────


class _Lot(NamedTuple):
    """Conditions, by position, that begin with a comparison of the same field with a few constants."""

    place: predicates.Place
    positions: tuple[int, ...]


def _lots(conditions: Sequence[predicates.Condition]) -> list[_Lot]:
    found: dict[predicates.Place, list[int]] = {}
    for position, condition in enumerate(conditions):
        if judge_functions.is_plain(condition.root) and condition.leaves and _is_indexable(condition):
            found.setdefault(condition.leaves[0].place, []).append(position)
    return [_Lot(place, tuple(lot)) for place, lot in found.items() if len(lot) >= INDEX_FROM]


def _is_indexable(condition: predicates.Condition) -> bool:
    decides, negative, kind, _ = condition.leaves[0].meaning
    if condition.root.kind != "all" or negative or kind is not None or decides not in ("equals", "in"):
        return False
    choices = _choices(condition.leaves[0])
    return len(choices) <= WIDEST_INDEXED and all(isinstance(choice, _SCALARS) for choice in choices)


def _choices(leaf: predicates.Leaf) -> list[Any]:
    wanted = leaf.meaning.wanted
    return wanted if leaf.meaning.decides == "in" and isinstance(wanted, list) else [wanted]


def _index(
    names: judge_comparisons.Names, conditions: Sequence[predicates.Condition], lot: _Lot, number: int
) -> Iterator[str]:
    """The functions of a lot, one for each set of conditions that a value picks, and the dict that picks."""
    picks: dict[tuple[bool, Any], list[int]] = {}
    for position in lot.positions:
        for choice in _choices(conditions[position].leaves[0]):
            # True and 1 are the same key to a dict, and not the same value to a condition.
            chosen = picks.setdefault((isinstance(choice, bool), choice), [])
            chosen += [position] if position not in chosen else []
    buckets: dict[tuple[int, ...], str] = {}
    for chosen in picks.values():
        if tuple(chosen) not in buckets:
            name = buckets[tuple(chosen)] = f"b{number}_{len(buckets)}"
            picked = {position: conditions[position] for position in chosen}
            yield from judge_functions.Function(names, picked, 1).written(f"{name}(facts, out)", [], "return")
    # An array is in a list when one of its elements is; it equals no scalar.
    with_lists = {p: conditions[p] for p in lot.positions if conditions[p].leaves[0].meaning.decides == "in"}
    yield from judge_functions.Function(names, with_lists, 0).written(f"a{number}(facts, out)", [], "return")
    for kind, is_bool in (("i", False), ("t", True)):
        keyed = {key[1]: buckets[tuple(found)] for key, found in picks.items() if key[0] is is_bool}
        entries = [f"{names.bind(choice)}: {bucket}" for choice, bucket in keyed.items()]
        yield f"{kind}{number} = {{{', '.join(entries)}}}"
    yield f"x{number}, p{number} = i{number}.get, picker(i{number}, t{number}, a{number})"


def _opening(main: judge_functions.Function, lots: Sequence[_Lot], count: int) -> Iterator[str]:
    """The lines that give every condition of the lots the shared answer, and then ask those that are picked."""
    for number, lot in enumerate(lots):
        raw = main.variables.name((lot.place, None))
        yield f"d{number} = ((0, {raw}),)"
        yield f"c{number} = x{number}({raw}) if type({raw}) is str else p{number}({raw})"
    yield f"out = [{'d0' if lots else 'None'}] * {count}"
    for number, lot in enumerate(lots):
        if number:
            yield f"for i in {main.variables.names.bind(lot.positions)}: out[i] = d{number}"
        yield f"if c{number} is not None: c{number}(facts, out)"


def _picker(
    plain: dict[Any, object], truths: dict[Any, object], of_lists: object
) -> Callable[[object], object]:
    """The look-up for values that may be no strings: what cannot be a key picks nothing."""

    def pick(value: object) -> object:
        if isinstance(value, bool):
            return truths.get(value)
        if isinstance(value, list):
            return of_lists
        return None if isinstance(value, dict) else plain.get(value)

    return pick


_TOOLS: Final[dict[str, object]] = {
    **judge_comparisons.TOOLS,
    "picker": _picker,
    "pack": traces.pack_trace,
    "observation": traces.observation,
}
