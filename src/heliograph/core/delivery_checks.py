"""What the ledger must hold by the records of the runs: which effects were asked for that are messages or calls.

Law: told from a run's records alone, so that it can be compared with what the ledger has.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from heliograph.core import plans, runs

SENDING = frozenset({"send_message", "notify", "call_webhook"})
"""The actions of rules whose effects stand in the ledger."""


class Asked(NamedTuple):
    """What one step of a run asked of the outside."""

    visit: int
    at: int
    """When (µs)."""
    number: int
    """How many messages or calls."""
    is_open: bool = False
    """Whether it has not heard yet how many they are."""


def asked(records: Sequence[runs.Record], kinds: Sequence[str] | None) -> Iterator[Asked]:
    """What a run asked of the outside; `kinds` is the actions of its rule, None where no rule started it."""
    for visit, record in enumerate(records):
        count = _of_journey(record) if kinds is None else _of_rule(record, kinds, visit)
        is_open = _is_open(record)
        if count or is_open:
            yield Asked(visit, record.started_at, count, is_open)


def _of_rule(record: runs.Record, kinds: Sequence[str], visit: int) -> int:
    return record.asked if visit < len(kinds) and kinds[visit] in SENDING else 0


def _is_open(record: runs.Record) -> bool:
    output: Any = record.output
    return isinstance(output, dict) and plans.REQUESTED in output and plans.MADE not in output


def _of_journey(record: runs.Record) -> int:
    """A step that sends names its recipients, one that fetches what it asks for and how that is merged."""
    output: Any = record.output
    if not isinstance(output, dict) or plans.MAILING in output:
        return 0
    if plans.MADE in output:
        return len(output[plans.MADE])
    if plans.RECIPIENTS in output:
        return len(output[plans.RECIPIENTS])
    return int(plans.REQUEST in output and "merge_strategy" in output)


class Entry(NamedTuple):
    """A row of the ledger that a run asked for."""

    id: bytes
    run_id: bytes
    visit: int
    ordinal: int
    at: int
    """When it was made (µs)."""

    @property
    def key(self) -> tuple[bytes, int, int]:
        """Its effect key."""
        return self.run_id, self.visit, self.ordinal


def misplaced(entry: Entry, told: Mapping[int, Asked]) -> str | None:
    """What is wrong with an entry by what its run has asked for, by visit; None where nothing is.

    Each stands at the instant of its step: of two with one key, one would stand elsewhere, or both side by side.
    """
    step = told.get(entry.visit)
    if step is None or (entry.ordinal >= step.number and not step.is_open):
        return "its run did not ask for it"
    if step.at != entry.at:
        return "it was made at another time than its step was taken"
    return None


def twice(entries: Sequence[Entry]) -> Iterator[Entry]:
    """Those of these that have the effect key of one before."""
    seen: set[tuple[bytes, int, int]] = set()
    for entry in entries:
        if entry.key in seen:
            yield entry
        seen.add(entry.key)


def missing(
    run_id: bytes, told: Collection[Asked], there: Collection[tuple[bytes, int, int]]
) -> Iterator[tuple[int, int]]:
    """(visit, ordinal) of what a run asked for and is not there."""
    for step in told:
        for ordinal in range(step.number):
            if (run_id, step.visit, ordinal) not in there:
                yield step.visit, ordinal


def recipients(
    places: int, walked: Collection[int], there: Sequence[tuple[int, int]], *, is_kept: bool
) -> Iterator[str]:
    """What is wrong with what a request to send has become.

    It names recipients at so many `places`; those `walked` over are groups with a fan-out of their own, each other one
    has messages, of which `there` tells (place, ordinal). Not `is_kept`: some of them may be forgotten.
    """
    ordinals: dict[int, set[int]] = {}
    for place, ordinal in there:
        seen = ordinals.setdefault(place, set())
        if ordinal in seen:
            yield f"its recipient {place + 1} has the same message ({ordinal + 1}) twice"
        seen.add(ordinal)
        if place >= places or place in walked:
            yield f"it has a message for a recipient ({place + 1}) that it has not asked for"
    for place in range(places if is_kept else 0):
        of_place = ordinals.get(place, set())
        if place not in walked and of_place != set(range(max(1, len(of_place)))):
            yield f"its recipient {place + 1} has no message"
