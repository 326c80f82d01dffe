"""Outlooks: what the steps look at that a journey's run still has before it.

Law: of the plan alone, and found once for each: a turn asks for every run that it moves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from heliograph.core import frames, plans


class Ahead(NamedTuple):
    """The steps of a plan from one of them on."""

    is_own: bool
    """Whether any of them needs the profile of the run's own recipient."""
    naming: tuple[frames.Step, ...]
    """Those of them that may need other profiles."""
    placing: tuple[frames.Step, ...]
    """Those that ask what is said of people in tenants."""
    keyed: tuple[frames.Step, ...]
    """Those that are to be done once."""
    listing: tuple[frames.Step, ...]
    """Those that name lists."""
    read: tuple[int, ...]
    """The visits of the steps of whose outcome they may read."""
    fields: frozenset[str]
    """What their fields may look at, without their conditions (as frames.Kind.reads says it)."""
    looks: bool
    """Whether their fields say more of what they look at, which is asked of each run."""
    asks: bool
    """Whether these look at earlier steps."""


class Outlook(NamedTuple):
    """What a plan's steps say of each other."""

    refs: Mapping[str, int]
    """The visit of each step that has a name."""
    leaves: Mapping[int, frames.Leaves]
    """What becomes of the run's context by the step of each visit."""
    ahead: tuple[Ahead, ...]
    """What is left to be taken, by how many steps were taken."""


@plans.once
def of_plan(plan: plans.Plan) -> Outlook:
    """The outlook of a plan's runs."""
    refs = frames.refs_of(plan.steps)
    ahead = tuple(_from(plan.steps[taken:], refs) for taken in range(len(plan.steps) + 1))
    return Outlook(refs, frames.leaves_of(plan.steps), ahead)


def _is_own(step: frames.Step) -> bool:
    """Whether it needs the profile of its run's recipient and no other: such a kind says so by this name."""
    return bool(getattr(step.body, "is_own", False))


def _from(left: tuple[plans.Step, ...], refs: Mapping[str, int]) -> Ahead:
    steps = tuple(step for step in left if isinstance(step, frames.Step))
    reads = frozenset().union(*(step.reads for step in steps))
    naming = tuple(step for step in steps if not _is_own(step))
    placing = tuple(step for step in steps if step.is_placing)
    keyed = tuple(step for step in steps if step.has_key)
    listing = tuple(step for step in steps if hasattr(step.body, "lists"))
    fields = frozenset[str]().union(*(step.body.reads for step in steps))
    return Ahead(
        any(map(_is_own, steps)),
        naming,
        placing,
        keyed,
        listing,
        tuple(visit for ref, visit in refs.items() if frames.is_read(ref, reads)),
        fields,
        bool(naming or placing or keyed or listing),
        any(frames.is_read(ref, fields) for ref in refs),
    )
