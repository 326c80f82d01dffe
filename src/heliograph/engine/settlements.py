"""Settlements: what is stored of a message when its channel has answered (a chapter of delivery).

Law: pure: from a claim and an answer to the ledger's next state; core.messages decides it, here it becomes rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from heliograph import channels, errors
from heliograph.core import effects, fetches, messages, plans, provider_reports, reports, routes
from heliograph.engine import onward, replies
from heliograph.store import request_rows, rows

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_changed = msgspec.structs.replace
_MESSAGE = int(effects.Kind.MESSAGE)

HELD = channels.Answer(channels.Outcome.TEMPORARY, "", None, "held")
PASSED_BY = channels.Answer(channels.Outcome.TEMPORARY, "", None, "passed_by")
STOPPED = channels.Answer(channels.Outcome.TEMPORARY, "", None, "stopped")
REPORTED = channels.Answer(channels.Outcome.TEMPORARY, "", None, "reported")
SUPPRESSED = channels.Answer(channels.Outcome.TEMPORARY, "", None, "suppressed")
UNTAKEN = {str(answer.code): answer for answer in (STOPPED, REPORTED, SUPPRESSED)}
"""What is stored of a message that was claimed and goes nowhere, by its code."""
NO_PROVIDER = messages.NO_PROVIDER
LOST = channels.Answer(
    channels.Outcome.UNCERTAIN, "", None, "lost", "the delivery that held it ended before it stored an answer"
)


PUT_OFF = "put_off"
_CODES_OF_UNSENT = frozenset((PUT_OFF, NO_PROVIDER))


def put_off(wait: int) -> channels.Answer:
    """Not now, but after a while (µs), because of a limit of the provider's: no attempt."""
    return channels.Answer(channels.Outcome.TEMPORARY, "", None, PUT_OFF, retry_after=wait / 1_000_000)


class Terms(NamedTuple):
    """What an installation has set for its deliveries."""

    worker: str
    """This delivery's name in claims."""
    lease: int
    """How long a claim holds (µs)."""
    misfire_grace: int
    """What is due longer than this (µs) is held (E33)."""
    policy: messages.Policy


def settled(
    claimed: rows.Claimed,
    answer: channels.Answer,
    terms: Terms,
    claimed_at: int,
    now: int,
    others: Mapping[str, bool] | None = None,
    *,
    is_told_of: bool = False,
) -> rows.Settled:
    """What is stored of a message after an answer: its new state, its attempts, and what follows from them.

    `others` is the other providers of its channel and whether they are up, where the fault was the provider's own;
    `is_told_of`, whether its provider reports on what it took.
    """
    message = claimed.message
    if _is_plainly_taken(message, answer):
        return _taken(message, answer, claimed_at, now, answer.reference if is_told_of else None)
    return _settled(claimed, answer, terms, claimed_at, now, others, is_told_of)


def _is_plainly_taken(message: rows.Message, answer: channels.Answer) -> bool:
    """Whether the first who was asked took a message that has one way, as most are."""
    return (
        answer.outcome is channels.Outcome.ACCEPTED
        and message.attempts is None
        and message.route is None
        and message.kind == _MESSAGE
        and answer.code not in _CODES_OF_UNSENT
    )


def _taken(
    message: rows.Message, answer: channels.Answer, claimed_at: int, now: int, reference: str | None
) -> rows.Settled:
    """What `_settled` says of such a message, at a third of its cost."""
    state = messages.State.SIMULATED if answer.code == messages.SIMULATED else messages.State.ACCEPTED
    attempt = messages.Attempt(
        claimed_at, "accepted", answer.provider, answer.code, answer.text, answer.reference, now
    )
    if message.run_id is None:
        reply = replies.to_cursor(message, state)
    else:
        reply = replies.to_run(message, plans.Status.SUCCEEDED)
    return rows.Settled(
        *(message.workspace_id, message.id, claimed_at, int(state), now),
        _encode((attempt,)),
        None,
        None,
        reply,
        reference=reference,
    )


def _settled(
    claimed: rows.Claimed,
    answer: channels.Answer,
    terms: Terms,
    claimed_at: int,
    now: int,
    others: Mapping[str, bool] | None,
    is_told_of: bool,
) -> rows.Settled:
    """The same for every message and every answer."""
    message = claimed.message
    route = routes.read(message.route)
    unsent = _unsent(message, answer, terms, now, route)
    before = messages.read_attempts(message.attempts)
    if unsent is not None:
        lost = claimed if messages.was_lost(before, message.channel) else None
        return _changed(unsent, claimed_at=claimed_at, lost=lost)
    if message.kind == effects.Kind.FETCH:
        answer = _fetched(message, answer)
    attempt = messages.Attempt(
        claimed_at,
        answer.outcome.value,
        answer.provider,
        answer.code,
        answer.text,
        answer.reference,
        now,
        message.channel if route.ways or route.since else None,
    )
    attempts = messages.kept((*before, attempt))
    if message.kind == effects.Kind.FETCH:
        after = messages.following_fetch(attempts, now, answer.retry_after or 0)
    else:
        after = messages.following(
            message.id, attempts, _policy(message, terms), now, answer.retry_after or 0, others, route
        )
    taken = (messages.State.ACCEPTED, messages.State.SIMULATED)
    told = None if after.state in taken else _told(answer, message.kind)
    if answer is LOST and after.state is messages.State.PLANNED and now - claimed_at > terms.misfire_grace:
        after, told = after._replace(state=messages.State.HELD, retry_at=None), _LATE
    return rows.Settled(
        message.workspace_id,
        message.id,
        claimed_at,
        int(after.state),
        None if after.state in (messages.State.PLANNED, messages.State.HELD) else now,
        _encode(attempts),
        told,
        _retry(message, after) or _escalation(message, after, route, now),
        _reply(message, after, answer, told),
        claimed if after.state is messages.State.FAILED else None,
        _moved(message, route, now) if after.goes_on else None,
        _bounce(message, answer, now) if after.goes_on or after.state is messages.State.FAILED else None,
        answer.reference if is_told_of else None,
        claimed if after.state in _NOT_TAKEN and messages.was_lost(attempts, message.channel) else None,
    )


_NOT_TAKEN = frozenset({messages.State.PLANNED, messages.State.HELD, messages.State.FAILED})
_LATE = "held: it was due for longer than the misfire grace"
"""What is said of a message that goes on with an operator's word alone (E33)."""


def _unsent(
    message: rows.Message, answer: channels.Answer, terms: Terms, now: int, route: routes.Route
) -> rows.Settled | None:
    """What is stored of a message that was claimed and not handed over; None of one that was."""
    if answer is HELD:
        return _untried(message, messages.State.HELD, _LATE)
    if answer is STOPPED:
        job = replies.to_cursor(message, messages.State.CANCELED)
        return _untried(message, messages.State.CANCELED, "stopped", reply=job, settled_at=now)
    if answer in (PASSED_BY, REPORTED) or answer.code == PUT_OFF:
        wait = int((answer.retry_after or 0) * 1_000_000)
        again_at = _later(message.id, terms.lease, now) if answer is PASSED_BY else now + wait
        retry = messages.Following(messages.State.PLANNED, again_at, None)
        return _untried(message, messages.State.PLANNED, None, _retry(message, retry))
    if answer is SUPPRESSED:
        return _passed_by(message, route, routes.Passed(message.channel, messages.SUPPRESSED, at=now), answer)
    if answer.code == NO_PROVIDER:
        passed = routes.Passed(message.channel, messages.NO_PROVIDER, answer.text, now)
        return _passed_by(message, route, passed, answer)
    return None


def _bounce(message: rows.Message, answer: channels.Answer, now: int) -> reports.Word | None:
    """What the address of a message is told that was refused: as much as if it had come back."""
    if answer.blames_provider or message.kind != effects.Kind.MESSAGE or message.address is None:
        return None
    bounce = provider_reports.refusal(message.channel, answer.code)
    return None if bounce is None else reports.Word(message.address, reports.What.BOUNCED, now, bounce)


def _passed_by(
    message: rows.Message, route: routes.Route, passed: routes.Passed, answer: channels.Answer
) -> rows.Settled:
    """A message that nothing goes by on its channel: it goes the next way, or ends here."""
    after, error = messages.ended(messages.State.UNROUTABLE, route, passed.at), passed.text or passed.why
    if after.goes_on:
        unsent = _untried(message, after.state, error, _retry(message, after))
        return _changed(unsent, moved=_moved(message, route, passed.at, passed))
    if passed.why == messages.SUPPRESSED:
        after = after._replace(reply=plans.Status.SKIPPED)
    reply = _reply(message, after, answer, error)
    return _untried(message, after.state, error, reply=reply, settled_at=passed.at)


def _moved(
    message: rows.Message, route: routes.Route, now: int, passed: routes.Passed | None = None
) -> request_rows.Moved:
    """How a message goes on by the next way of its route."""
    way, rest = routes.onward(route, now, passed)
    rest = msgspec.structs.replace(rest, is_fresh=True)
    return onward.place(onward.moved(message, way, route, rest))


def _fetched(message: rows.Message, answer: channels.Answer) -> channels.Answer:
    """The answer to a fetch with the data that it brought, or with what was asked for in vain."""
    if answer.outcome is channels.Outcome.ACCEPTED:
        try:
            return answer._replace(
                detail={fetches.FETCHED: fetches.read_answer((answer.detail or {}).get("body", ""))}
            )
        except errors.HeliographError as fault:
            text = f"the answer is no object in JSON: {fault.message}"
            answer = answer._replace(outcome=channels.Outcome.PERMANENT, code="no_data", text=text)
    asked = fetches.told(_decode(message.content or b"{}"))
    is_status = bool(answer.detail) and answer.code not in ("no_data", "too_large", "lost")
    said = f"answered {answer.text}" if is_status else answer.text
    text = f"Fetch failed: {asked}: {said}"[: channels.LONGEST_TEXT]
    return answer._replace(text=text, detail=None)


def _later(message_id: bytes, lease: int, now: int) -> int:
    """When a message of a slow channel is looked at again: spread out, so that they do not come back at once."""
    spread = int.from_bytes(message_id[-2:], "big") / 65536
    return now + int(lease / 12 * (1 + 5 * spread))


def _policy(message: rows.Message, terms: Terms) -> messages.Policy:
    return terms.policy._replace(outages_count=True) if message.kind == effects.Kind.CALL else terms.policy


def _told(answer: channels.Answer, kind: int) -> str:
    if kind == effects.Kind.FETCH:
        return answer.text
    return f"{answer.code}: {answer.text}" if answer.code else answer.text


def _untried(
    message: rows.Message,
    state: messages.State,
    error: str | None,
    retry: rows.Timer | None = None,
    reply: rows.Inbox | None = None,
    settled_at: int | None = None,
) -> rows.Settled:
    """A message that was claimed and not handed over: its attempts stay as they are. `_settled` says of which claim."""
    attempts, unsaid = _encode(messages.read_attempts(message.attempts)), 0
    return rows.Settled(
        message.workspace_id, message.id, unsaid, int(state), settled_at, attempts, error, retry, reply
    )


def _retry(message: rows.Message, after: messages.Following) -> rows.Timer | None:
    if after.retry_at is None:
        return None
    return rows.Timer(message.partition, after.retry_at, message.workspace_id, effects.Timer.SEND, message.id)


def _escalation(
    message: rows.Message, after: messages.Following, route: routes.Route, now: int
) -> rows.Timer | None:
    handed_over = after.state in (messages.State.ACCEPTED, messages.State.UNCERTAIN)
    return onward.escalation(message, route, now) if handed_over else None


def _reply(
    message: rows.Message, after: messages.Following, answer: channels.Answer, error: str | None
) -> rows.Inbox | None:
    if message.run_id is None:
        is_open = after.state in (messages.State.PLANNED, messages.State.HELD)
        return None if is_open else replies.to_cursor(message, after.state)
    if after.reply is None:
        return None
    output = None if message.kind == effects.Kind.MESSAGE else answer.detail
    return replies.to_run(message, after.reply, output, error if after.reply is plans.Status.FAILED else None)
