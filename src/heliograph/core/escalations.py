"""Escalation: a message of which nobody takes notice goes on by the channels that are left (core.timeouts).

Law: pure. Its time runs from the hand-over. What follows is a message of its own, with the ways that are left and the
same terms, so that the first one keeps what is told of it; there is one at most.
"""

from __future__ import annotations

import msgspec

from heliograph.core import messages, reports, routes

_MAY_GO_ON = messages.TAKEN | {messages.State.UNCERTAIN}


def is_met(criterion: str, known: reports.Known) -> bool:
    """Whether somebody has taken notice; who calls a message spam has, and is sent no more of it."""
    if known.told.complained_at is not None or known.clicked_at is not None:
        return True
    if criterion == routes.ENGAGED:
        return False
    if known.opened_at is not None or criterion == routes.VIEWED:
        return known.opened_at is not None
    return known.reached is messages.State.DELIVERED


def goes_on(state: messages.State, route: routes.Route, known: reports.Known, now: int) -> bool:
    """Whether a message whose time is over is followed by another."""
    return (
        state in _MAY_GO_ON
        and route.escalation is not None
        and routes.is_open(route, now)
        and not is_met(route.escalation.criterion, known)
    )


def parted(
    before: routes.Route, rest: routes.Route, first: str, follower: str, now: int
) -> tuple[routes.Route, ...]:
    """The routes of a message and of the one that follows it; `rest` is what follows the latter's way."""
    kept = msgspec.structs.replace(before, ways=(), escalated=routes.Escalated(now, follower))
    fresh = msgspec.structs.replace(
        rest, since=0, passed=(), is_fresh=False, not_before=None, escalated=None, follows=first
    )
    return kept, fresh
