"""Message: one thing handed to the outside, its states as a table, and what follows from an answer.

Law: what the ledger says of a message is decided here and nowhere else. A message is handed over once; where an
answer was lost it may have been handed over, and every such possibility keeps its name (engine.md E21).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from heliograph.core import ids, outgoing, plans, routes, schedule


class State(IntEnum):
    """How a message stands in the ledger."""

    PLANNED = 1
    """Waiting to be claimed, or (in table `claims`) held by a delivery, or to be tried again."""
    HELD = 2
    """Due for too long; an operator releases or drops it (E33)."""
    ACCEPTED = 3
    """The provider took it."""
    FAILED = 4
    UNROUTABLE = 5
    """The recipient has no address for the channel, or the channel no provider."""
    CANCELED = 6
    UNCERTAIN = 7
    """It may have been handed over, and is not sent again before an operator or a report says what became of it."""
    DELIVERED = 8
    """A report says that it arrived (core.reports)."""
    BOUNCED = 9
    """A report says that it came back."""
    DELAYED = 10
    """It waits until its recipient's quiet hours end."""
    CAPPED = 11
    """Its recipient has had as much as they are to have in a time: it goes nowhere."""
    SIMULATED = 12
    """Its workspace plays in a sandbox: it was rendered and went to nobody."""


TAKEN = frozenset({State.ACCEPTED, State.DELIVERED, State.BOUNCED})
"""The provider took it, whatever became of it then."""

OPTED_OUT, SUPPRESSED, CONTACT_DELETED = "opted_out", "suppressed", "contact_deleted"
NO_PROVIDER, CAPPED = routes.NO_PROVIDER, "capped"
UNPUBLISHED = outgoing.UNPUBLISHED
"""Why a message is UNROUTABLE though there is a way: its template has no published version."""
UNWANTED = frozenset({OPTED_OUT, SUPPRESSED})
"""Why a message is UNROUTABLE though there is a way: its recipient wants none, or nothing is sent there any more."""


TRANSITIONS: Mapping[State | None, frozenset[State]] = {
    None: frozenset({State.PLANNED, State.UNROUTABLE, State.DELAYED, State.CAPPED}),
    State.PLANNED: frozenset(
        {
            State.PLANNED,
            State.HELD,
            State.ACCEPTED,
            State.FAILED,
            State.UNROUTABLE,
            State.CANCELED,
            State.UNCERTAIN,
            State.DELIVERED,
            State.BOUNCED,
            State.SIMULATED,
        }
    ),
    State.DELAYED: frozenset({State.PLANNED, State.DELAYED, State.UNROUTABLE, State.CAPPED, State.CANCELED}),
    State.HELD: frozenset({State.PLANNED, State.CANCELED}),
    State.ACCEPTED: frozenset({State.DELIVERED, State.BOUNCED}),
    State.FAILED: frozenset({State.DELIVERED, State.BOUNCED}),
    State.UNROUTABLE: frozenset(),
    State.CANCELED: frozenset(),
    State.CAPPED: frozenset(),
    State.SIMULATED: frozenset(),
    State.UNCERTAIN: frozenset({State.PLANNED, State.ACCEPTED, State.FAILED, State.DELIVERED, State.BOUNCED}),
    State.DELIVERED: frozenset({State.BOUNCED}),
    State.BOUNCED: frozenset({State.DELIVERED}),
}
"""Where a message may go; None is before it exists. Out of UNCERTAIN it goes at an operator's word, or a report's.

A planned message is delivered, or bounced, at once where a report came before its channel's answer was stored; a failed
one is where the answer to an attempt was lost that had handed it over.
"""

COURIER_STATUS: Mapping[State, str] = {
    State.PLANNED: "ENQUEUED",
    State.HELD: "DELAYED",
    State.ACCEPTED: "SENT",
    State.FAILED: "UNDELIVERABLE",
    State.UNROUTABLE: "UNROUTABLE",
    State.CANCELED: "CANCELED",
    State.UNCERTAIN: "SENT",
    State.DELIVERED: "DELIVERED",
    State.BOUNCED: "UNDELIVERABLE",
    State.DELAYED: "DELAYED",
    State.CAPPED: "THROTTLED",
    State.SIMULATED: "SIMULATED",
}
"""How the Courier wire names each state (engine.md, States); what was opened or clicked: reports.status."""


class Attempt(msgspec.Struct, frozen=True, omit_defaults=True):
    """One try to hand a message over."""

    at: int
    """When it was claimed (µs)."""
    outcome: str
    """`accepted`, `temporary`, `permanent` or `uncertain`."""
    provider: str
    code: str | None = None
    text: str = ""
    reference: str | None = None
    settled_at: int | None = None
    channel: str | None = None
    """By which channel, of a message that may go by several."""


class Following(NamedTuple):
    """What follows from an attempt: the state, when to try again, and what a waiting run is told."""

    state: State
    retry_at: int | None
    reply: plans.Status | None
    goes_on: bool = False
    """Whether it is tried on the next way of its route."""


class Policy(NamedTuple):
    """What an installation has set for its deliveries."""

    attempts: int
    """How often a message is tried before it counts as failed."""
    repeat_uncertain: bool
    """Whether a message whose answer was lost is sent again (`at_least_once`)."""
    outages_count: bool = False
    """Whether a server that cannot be reached uses up attempts: a call's does, but no e-mail is lost to an outage."""


SIMULATED = "simulated"
"""The code of the attempt of a message that was to reach nobody."""
WAITS = "delay"
"""Why a message is DELAYED that waits for the time of its request, by its recipient's clock."""
QUIET_HOURS = "quiet_hours"
"""The code of an attempt that was put off before it was begun: its recipient's quiet hours had to end first."""

UNCOUNTED = frozenset({"lease_over", "misconfigured", QUIET_HOURS})
"""Attempts that ended for a reason of ours: a message never fails for them (channels.OUR_CODES)."""

KEPT_ATTEMPTS = 50
"""The newest attempts that the ledger keeps; those of unknown end are always kept."""


def without_provider(channel: str) -> str:
    """Why a message goes nowhere where nobody is set up for its channel."""
    return f"no provider is set for the channel {channel!r}"


def kept(attempts: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """The attempts to store."""
    old = [attempt for attempt in attempts[:-KEPT_ATTEMPTS] if attempt.outcome == "uncertain"]
    return (*old, *attempts[-KEPT_ATTEMPTS:])


_attempts = msgspec.json.Decoder(tuple[Attempt, ...])
_encode = msgspec.json.Encoder().encode


def read_attempts(stored: bytes | str | None) -> tuple[Attempt, ...]:
    """The attempts of a stored message, oldest first."""
    return _attempts.decode(stored) if stored else ()


def was_lost(attempts: Sequence[Attempt], channel: str) -> bool:
    """Whether the answer to any attempt by a channel was lost: then a report may say that it was handed over."""
    return any(one.outcome == "uncertain" and one.channel in (None, channel) for one in attempts)


def refused_by(attempts: Sequence[Attempt]) -> frozenset[str]:
    """The providers that refused a message for good, of one that is still to go out."""
    return frozenset(attempt.provider for attempt in attempts if attempt.outcome == "permanent")


def _onward(
    message_id: bytes, attempts: Sequence[Attempt], now: int, others: Mapping[str, bool]
) -> Following | None:
    """What follows where another provider takes a message over; None where there is none for it."""
    refused, is_refused = refused_by(attempts), attempts[-1].outcome == "permanent"
    # Two that fail in turns are not asked in turns without a rest.
    lately = set() if is_refused else {attempt.provider for attempt in attempts[-1 - len(others) :]}
    willing = {name: is_up for name, is_up in others.items() if name not in refused}
    if any(is_up and name not in lately for name, is_up in willing.items()):
        return Following(State.PLANNED, now, None)
    if is_refused and willing:
        return Following(State.PLANNED, schedule.delivery_retry_at(len(attempts), now, message_id), None)
    return None


def following(
    message_id: bytes,
    attempts: Sequence[Attempt],
    policy: Policy,
    now: int,
    wait: float = 0,
    others: Mapping[str, bool] | None = None,
    route: routes.Route = routes.DIRECT,
) -> Following:
    """What follows from the last of these attempts; `wait` is the least number of seconds the provider asked for.

    `others` is given where the fault was the provider's own: the others of the channel, and whether they are up.
    Where a channel has failed for good, the message goes on with the next way of its route.
    """
    attempts = [attempt for attempt in attempts if attempt.channel == attempts[-1].channel]
    outcome = attempts[-1].outcome
    if outcome == "accepted":
        taken = State.SIMULATED if attempts[-1].code == SIMULATED else State.ACCEPTED
        return Following(taken, None, plans.Status.SUCCEEDED)
    onward = _onward(message_id, attempts, now, others) if others and outcome != "uncertain" else None
    if onward is not None:
        return onward
    free = UNCOUNTED if policy.outages_count else UNCOUNTED | {"unreachable"}
    # A route may come to a channel twice, by other providers: what was tried there before counts no more.
    here = [attempt for attempt in attempts if attempt.at >= route.since] or attempts[-1:]
    is_used_up = sum(attempt.code not in free for attempt in here) >= policy.attempts
    if outcome == "uncertain" and (is_used_up or not policy.repeat_uncertain):
        return Following(State.UNCERTAIN, None, None)
    if outcome == "permanent" or is_used_up:
        return ended(State.FAILED, route, now)
    tried = len(begun(here))
    retry_at = max(schedule.delivery_retry_at(tried, now, message_id), now + int(wait * 1_000_000))
    left_at = routes.next_provider_at(route, [(one.provider, one.at) for one in attempts], now)
    if left_at is not None and outcome != "uncertain":
        retry_at = min(retry_at, left_at)
    deadline = routes.deadline(route, ids.created_at(message_id))
    if deadline is not None and retry_at >= deadline and outcome != "uncertain":
        return ended(State.FAILED, route, now)
    return Following(State.PLANNED, retry_at, None)


def ended(state: State, route: routes.Route, now: int) -> Following:
    """What follows where the way that a message goes has come to its end: the next way, or this state."""
    if routes.is_open(route, now):
        return Following(State.PLANNED, now, None, goes_on=True)
    return Following(state, None, _REPLIES[state])


FETCH_ATTEMPTS, MOST_FETCH_ATTEMPTS = 3, 20
_FETCH_WAIT, _LONGEST_FETCH_WAIT = 1.0, 10.0
"""Seconds before the second attempt of a fetch, and the most that a server may ask for (A25)."""


def following_fetch(attempts: Sequence[Attempt], now: int, wait: float = 0) -> Following:
    """What follows from the last attempt of a fetch, for which a run waits: three in all, a second or two apart (J8).

    An answer that was lost counts as a network's fault: who asks for data may ask again. One that was lost with the
    process that held it is no fault of the other side, and counts only where that happens again and again.
    """
    outcome = attempts[-1].outcome
    if outcome == "accepted":
        return Following(State.ACCEPTED, None, plans.Status.SUCCEEDED)
    counted = sum(attempt.code not in UNCOUNTED and bool(attempt.provider) for attempt in attempts)
    if outcome == "permanent" or counted >= FETCH_ATTEMPTS or len(attempts) >= MOST_FETCH_ATTEMPTS:
        return Following(State.FAILED, None, plans.Status.FAILED)
    seconds = wait if 0 < wait <= _LONGEST_FETCH_WAIT else _FETCH_WAIT * 2 ** (max(counted, 1) - 1)
    return Following(State.PLANNED, now + int(seconds * 1_000_000), None)


def possibly_repeated(attempts: Sequence[Attempt]) -> bool:
    """Whether the recipient may have had it more than once: an attempt of unknown end was followed by another."""
    return any(attempt.outcome == "uncertain" for attempt in begun(attempts)[:-1])


def put_off(attempts: Sequence[Attempt], now: int, until: int) -> tuple[Attempt, ...]:
    """The attempts of a message that waits for the end of its recipient's quiet hours."""
    text = f"until {schedule.write_instant(until)}"
    return kept((*attempts, Attempt(now, "temporary", "", QUIET_HOURS, text, None, now)))


def begun(attempts: Sequence[Attempt]) -> list[Attempt]:
    """Those of these attempts that were not put off before they were begun."""
    return [attempt for attempt in attempts if attempt.code != QUIET_HOURS]


def reply_of(state: State) -> plans.Status | None:
    """What a run is told of a message that ended without an attempt."""
    return _REPLIES.get(state)


_REPLIES: Mapping[State, plans.Status] = {
    State.ACCEPTED: plans.Status.SUCCEEDED,
    State.FAILED: plans.Status.FAILED,
    State.UNROUTABLE: plans.Status.FAILED,
    State.CANCELED: plans.Status.SKIPPED,
    State.DELIVERED: plans.Status.SUCCEEDED,
    State.BOUNCED: plans.Status.SUCCEEDED,
    State.CAPPED: plans.Status.SKIPPED,
    State.SIMULATED: plans.Status.SUCCEEDED,
}


def answer_body(visit: int, ordinal: int, status: plans.Status, output: Any, error: str | None) -> bytes:
    """The reply as it lies in an inbox; `runs.Reply` is read from it."""
    if output is None and error is None:
        return _plain_answer(visit, ordinal, status)
    return _encode((visit, ordinal, int(status), output, error))


@lru_cache(maxsize=1024)
def _plain_answer(visit: int, ordinal: int, status: plans.Status) -> bytes:
    return _encode((visit, ordinal, int(status), None, None))


def job_body(automation_id: bytes, part: int, state: State, *, before: State | None = None) -> bytes:
    """What the cursor of a fan-out is told of a message of its own that has ended, as it lies in an inbox.

    `before` is the state in which it was counted already.
    """
    told = (ids.text(automation_id), part, int(state))
    return _encode(told if before is None else (*told, int(before)))
