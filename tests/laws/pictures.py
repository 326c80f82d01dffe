"""The picture of ARCHITECTURE: one piece of data through each door, drawn from the code's own tables of states.

Law: what is inside a noun is its table of states and nothing else; between nouns stand the ways that a law cannot read
from the code, each with the states at which it leaves and arrives, which have to be there. `python -m
tests.laws.pictures` prints it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any, NamedTuple

from heliograph.core import batches, campaigns, dates, events, messages, runs

Transitions = Mapping[Any, Iterable[IntEnum]]
"""From a state (None: before it exists) to those that may follow."""


class Noun(NamedTuple):
    """Something that has states."""

    name: str
    told: str
    transitions: Transitions


class Way(NamedTuple):
    """How one noun lets another one begin or go on; `door` is who goes there."""

    start: str
    at: IntEnum | None
    end: str
    becomes: IntEnum | None
    door: str
    what: str


NOUNS = (
    Noun("event", "event", events.TRANSITIONS),
    Noun("date", "date automation", dates.TRANSITIONS),
    Noun("campaign", "campaign", campaigns.TRANSITIONS),
    Noun("run", "run", runs.TRANSITIONS),
    Noun("batch", "batch", batches.TRANSITIONS),
    Noun("message", "message", messages.TRANSITIONS),
)
WAYS = (
    Way("event", events.State.PROCESSED, "run", None, "rule", "one for each event and rule"),
    Way("event", events.State.PROCESSED, "run", None, "journey", "by its trigger, one for each entry key"),
    Way("", None, "run", None, "journey", "invoked, one for each request"),
    Way("run", runs.Status.WAITING, "run", None, "journey", "invoked by a step, one for each effect"),
    Way("date", dates.State.ACTIVE, "run", None, "date", "one for each person and year"),
    Way("run", runs.Status.WAITING, "message", None, "rule, journey, date", "one for each effect"),
    Way("run", runs.Status.WAITING, "batch", None, "journey", "an item of each"),
    Way("batch", batches.State.RELEASED, "run", runs.Status.WAITING, "journey", "all items to its owner"),
    Way("campaign", campaigns.State.RUNNING, "message", None, "campaign", "one for each action and person"),
    Way(
        "message", messages.State.ACCEPTED, "run", runs.Status.WAITING, "rule, journey, date", "how it ended"
    ),
    Way(
        "message", messages.State.ACCEPTED, "campaign", campaigns.State.COMPLETED, "campaign", "how all ended"
    ),
)
"""Every way between nouns, door by door."""


def drawn() -> str:
    """The picture, as a mermaid diagram."""
    lines = ["stateDiagram-v2"]
    for noun in NOUNS:
        lines += [f'    state "{noun.told}" as {noun.name} {{', *_inside(noun), "    }"]
    ends: dict[tuple[str, str], list[str]] = {}
    for way in WAYS:
        ends.setdefault((way.start or "[*]", way.end), []).append(f"{way.door}, {way.what}")
    lines += [f"    {start} --> {end}: {'; '.join(told)}" for (start, end), told in ends.items()]
    return "\n".join(lines) + "\n"


def _inside(noun: Noun) -> Iterator[str]:
    for start, ends in noun.transitions.items():
        for end in sorted(ends):
            yield f"        {_state(noun, start)} --> {_state(noun, end)}"
    for state in filter(None, noun.transitions):
        yield f"        {_state(noun, state)}: {state.name.lower()}"


def _state(noun: Noun, state: IntEnum | None) -> str:
    return "[*]" if state is None else f"{noun.name}_{state.name.lower()}"


def faults() -> list[str]:
    """Ways that leave at, or arrive in, a state that their noun does not have."""
    tables = {noun.name: noun.transitions for noun in NOUNS}
    found = []
    for way in WAYS:
        if way.start and way.at not in tables[way.start]:
            found.append(f"{way.start} has no {way.at!r}")
        if way.becomes not in tables[way.end]:
            found.append(f"{way.end} has no {way.becomes!r}")
    return found


if __name__ == "__main__":
    sys.stdout.write(drawn())
