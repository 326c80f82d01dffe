"""What bounds a turn, and what a turn tells of itself.

Law: values, and one decision about time; how much of its bounds a turn uses, its own pace decides (turn.py).
"""

from __future__ import annotations

from typing import NamedTuple

from heliograph.core import events, ids
from heliograph.engine import desk as desks
from heliograph.store import rows


class Limits(NamedTuple):
    """What bounds a turn."""

    inputs: int
    """The most inputs it takes."""
    seconds: float
    """About how long it may take, commit and all: the next turn is made smaller or larger to keep to it."""
    max_event_age: int
    """Events older than this (µs) when a pause ends are not matched any more (C14)."""
    misfire_grace: int
    """What is due longer than this (µs) is held (E33)."""
    default_subject: str
    default_region: str | None
    lock_window: int
    """How long before its time (µs) a campaign can be changed no more."""


FIRST_INPUTS = 64
"""The most inputs of the first turns: how much fits in the time, they find out."""
PEOPLE_PER_INPUT = 2
"""A turn that may take n inputs judges so many times n people of fan-outs, so both follow the same pace."""


LEAST = 32
"""A slow turn is made smaller down to this many inputs: one that is slow whatever it takes would only do less."""
NOT_ANSWERS = 4
"""Where much is sent many answers come back: one part in so many of a turn is for what comes in beside them."""


class Report(NamedTuple):
    """What a turn did."""

    inputs: int
    answers: int
    """How many answers of channels were stored."""
    messages: int
    """How many messages were put in line."""
    more: bool
    """Whether it left something lying that is due."""
    now: int


def late(
    desk: desks.Desk, limits: Limits, control_updated_at: int, event: rows.Event
) -> tuple[events.State, str] | None:
    """What becomes of an event that has waited too long to be decided, and why; None where it is not too late."""
    waited = desk.now - ids.created_at(event.id)
    if waited > limits.max_event_age and control_updated_at >= ids.created_at(event.id):
        return events.State.PROCESSED, "expired_while_paused"
    if waited > limits.misfire_grace and (event.workspace_id, event.id) not in desk.attempts:
        return events.State.HELD, "held: it waited longer than the misfire grace"
    return None
