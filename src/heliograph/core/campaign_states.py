"""The seven states of a campaign as a table, and what moves it from one to the next.

Law: people set draft, active and deactivated; every other state comes of time and of what became of the jobs
(segments-and-campaigns.md A1 to A5). Pure: from a standing and what was seen to a standing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from heliograph import errors


class State(IntEnum):
    """How a campaign stands; its name in lower case is its `status` on the wire."""

    DRAFT = 1
    ACTIVE = 2
    """Enabled: it will run at its time, and may still be changed or called off."""
    SCHEDULED = 3
    """About to run: it can be changed no more."""
    RUNNING = 4
    """Its audience is judged, its jobs are made and sent."""
    COMPLETED = 5
    FAILED = 6
    DEACTIVATED = 7


TRANSITIONS: Mapping[State | None, frozenset[State]] = {
    None: frozenset({State.DRAFT}),
    State.DRAFT: frozenset({State.ACTIVE}),
    State.ACTIVE: frozenset({State.DRAFT, State.DEACTIVATED, State.SCHEDULED}),
    State.SCHEDULED: frozenset({State.RUNNING, State.FAILED}),
    State.RUNNING: frozenset({State.COMPLETED, State.FAILED}),
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.DEACTIVATED: frozenset({State.DRAFT, State.ACTIVE}),
}
"""Where a campaign may go; None is before it exists."""

BY_PEOPLE: Final = frozenset({State.DRAFT, State.ACTIVE, State.DEACTIVATED})
"""What a client may set; a campaign in one of these may be changed."""

STATUSES: Final = tuple(state.name.lower() for state in State)


# ── moving ─────────────────────────────────────────────────────────────────────────────────────────


class Standing(NamedTuple):
    """How a campaign stands."""

    state: State
    due_at: int | None = None
    """When it is to run; of a draft None."""
    started_at: int | None = None
    settled_at: int | None = None
    action: int = 0
    """The action whose jobs are made, or were made last."""
    error: str | None = None
    """Why it failed."""
    is_stopping: bool = False
    """Stopped, while jobs are still open: nobody hands over any of them."""


def set_by_people(standing: Standing, wanted: State, due_at: int | None, now: int) -> Standing:
    """The standing after a client set a state; `due_at` is when it is to run (None: at once).

    Raises errors.Conflict where it cannot go there.
    """
    if wanted not in BY_PEOPLE:
        raise errors.Conflict(
            f"nobody sets {wanted.name.lower()!r}: a campaign comes to it by itself; set draft, active or deactivated"
        )
    if wanted is not standing.state and wanted not in TRANSITIONS[standing.state]:
        raise errors.Conflict(refusal(standing.state, f"become {wanted.name.lower()!r}"))
    if wanted is not State.ACTIVE:
        return Standing(wanted)
    if due_at is not None:
        return Standing(State.ACTIVE, due_at)
    if standing.state is State.ACTIVE and standing.due_at is not None:
        # One that was to run at once already keeps the instant.
        return Standing(State.ACTIVE, min(now, standing.due_at))
    return Standing(State.ACTIVE, now)


def refusal(state: State, what: str) -> str:
    """Why a campaign in this state cannot do something."""
    hint = {
        State.SCHEDULED: "it is about to run",
        State.RUNNING: "it runs: it can be stopped",
        State.COMPLETED: "it has run: make a duplicate",
        State.FAILED: "it has ended: make a duplicate",
    }.get(state, f"from there it may go to {', '.join(_names(TRANSITIONS[state] & BY_PEOPLE))}")
    return f"a campaign that is {state.name.lower()!r} cannot {what}: {hint}"


def _names(states: frozenset[State]) -> list[str]:
    return [state.name.lower() for state in sorted(states)]


def stopped(standing: Standing, now: int) -> Standing:
    """The standing after somebody stopped it. Raises errors.Conflict where it does not run."""
    if standing.state is not State.RUNNING:
        raise errors.Conflict(
            f"a campaign that is {standing.state.name.lower()!r} cannot be stopped: only a running one can"
        )
    return standing._replace(state=State.FAILED, settled_at=now, error="stopped", is_stopping=True)


def at_time(standing: Standing, now: int, lock_window: int, grace: int) -> Standing:
    """The standing after the clock was looked at: scheduled shortly before it is due, then running (A1, A5)."""
    due_at = standing.due_at
    if due_at is None:
        return standing
    if standing.state is State.ACTIVE and now >= due_at - lock_window:
        standing = standing._replace(state=State.SCHEDULED)
    if standing.state is State.SCHEDULED and now >= due_at:
        if now - due_at > grace:
            return failed(standing, "missed_window", now)
        return standing._replace(state=State.RUNNING, started_at=now)
    return standing


def next_look(standing: Standing, lock_window: int) -> int | None:
    """When the clock is to be looked at next; None: nothing more comes of time."""
    if standing.due_at is None:
        return None
    if standing.state is State.ACTIVE:
        return max(0, standing.due_at - lock_window)
    return standing.due_at if standing.state is State.SCHEDULED else None


def failed(standing: Standing, error: str, now: int) -> Standing:
    """The standing of one that could not run."""
    return standing._replace(state=State.FAILED, settled_at=now, error=error)


class Progress(NamedTuple):
    """What has become of a campaign's people and jobs so far: sums."""

    partitions: int = 0
    """How many partitions are judged whole."""
    judged: int = 0
    """People who were looked at."""
    jobs: int = 0
    sent: int = 0
    failed: int = 0
    skipped: int = 0
    uncertain: int = 0
    """Jobs of which nobody knows whether they were handed over, and which are not tried again."""
    error: str | None = None
    """Why the people of a partition could not be judged."""

    @property
    def pending(self) -> int:
        """Jobs that are not ended."""
        return self.jobs - self.sent - self.failed - self.skipped - self.uncertain

    def of_stopped(self) -> Progress:
        """The same of a campaign that was stopped: what is open will not be sent, and counts as skipped at once."""
        return self._replace(skipped=self.skipped + self.pending)


def added(parts: Sequence[Progress]) -> Progress:
    """The sums of these."""
    if not parts:
        return Progress()
    sums = [sum(column) for column in zip(*(part[:-1] for part in parts), strict=True)]
    error = next((part.error for part in parts if part.error is not None), None)
    return Progress._make((*sums, error))


def progressed(
    standing: Standing, latest: Progress, whole: Progress, partitions: int, actions: int, now: int
) -> Standing:
    """The standing after jobs were made or ended (A3, A4, A11); one whose `action` grew is to start that action.

    `latest` is the progress of its present action, `whole` of all of them.
    """
    all_made = latest.partitions >= partitions
    if standing.is_stopping:
        return standing._replace(is_stopping=not all_made or whole.pending > 0)
    if standing.state is not State.RUNNING:
        return standing
    if whole.error is not None:
        return failed(standing, whole.error, now)._replace(is_stopping=True)
    if all_made and standing.action + 1 < actions:
        return standing._replace(action=standing.action + 1)
    return _ended(standing, whole, now) if all_made and not whole.pending else standing


def _ended(standing: Standing, whole: Progress, now: int) -> Standing:
    if whole.failed and not (whole.sent or whole.uncertain):
        return failed(standing, "every job failed", now)
    return standing._replace(state=State.COMPLETED, settled_at=now)
