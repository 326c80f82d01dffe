"""Pacing: whether a message goes now, later, or not at all (a chapter of admission).

Law: who sleeps is written to when they wake, by the clock of their own zone (engine.md E32); who has had as much as
they are to have in a time gets no more. Both are decided for one message after the other in the order in which they
were made, so a turn of many counts what turns of one count; what is counted is written with what goes out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph.core import delays, messages, quiet_hours, routes, sending_policies, tenants
from heliograph.engine import desk as desks
from heliograph.engine import match
from heliograph.engine import onward as onwards
from heliograph.store import policy_rows, rows

_encode = msgspec.json.Encoder().encode
_profile = msgspec.json.Decoder(dict[str, Any])
_tenant = msgspec.json.Decoder(tenants.Definition)
_counts = msgspec.json.Decoder(sending_policies.Counts)


class End(NamedTuple):
    """How a message is to stand that does not go now."""

    state: messages.State
    error: str | None
    wake_at: int | None = None
    """When it is looked at again."""

    def of(self, message: rows.Message, now: int) -> rows.Message:
        """The message as it stands then."""
        if self.wake_at is None:
            return message._replace(state=int(self.state), settled_at=now, error=self.error)
        if self.error == messages.WAITS:
            return message._replace(state=int(self.state), error=self.error)
        attempts = messages.put_off(messages.read_attempts(message.attempts), now, self.wake_at)
        return message._replace(state=int(self.state), attempts=_encode(attempts), error=self.error)


class Standing(NamedTuple):
    """How a message stands after it was asked about."""

    message: rows.Message
    """On the way that it goes."""
    end: End | None
    """None: it goes."""


Onward = Callable[[rows.Message, End], Standing]
"""From a message that would end so to how it stands on the next way that is wanted, else in that end."""


def pace(
    connection: Any,
    hot: Any,
    desk: desks.Desk,
    paced: Sequence[rows.Message],
    workspace_of: Callable[[int], match.Workspace],
    onward: Onward,
) -> dict[tuple[int, bytes], Standing]:
    """How those of these messages stand that do not go now or go another way, by (workspace, id).

    Each is to a contact.
    """
    bound = [one for one in paced if _is_bound(one, workspace_of)]
    if not bound:
        return {}
    known = hot.read_recipients(connection, {_key(one) for one in bound})
    counts: dict[tuple[int, str], sending_policies.Counts] = {}
    expiries: dict[tuple[int, str], int] = {}
    for (workspace_id, user_id, _), recipient in known.items():
        counts[workspace_id, user_id] = {} if recipient.counts is None else _counts.decode(recipient.counts)
        expiries[workspace_id, user_id] = recipient.expires_at
    standing: dict[tuple[int, bytes], Standing] = {}
    for planned, profile in _in_order(desk, bound, known):
        stands = Standing(planned, None)
        while stands.end is None:
            message = stands.message
            quiet, limits = workspace_of(message.workspace_id).wishes.terms(message)
            # What is too late is held by day and by night: a morning would let it go unasked (E33).
            if quiet and planned.id not in desk.late:
                zone = _zone(profile, known[_key(message)], workspace_of(message.workspace_id).zone)
                until = quiet_hours.ends(quiet, zone, desk.now)
                if until is not None and until > desk.now:
                    stands = Standing(message, _waits(message, until))
                    break
            limits = _still_to_count(message, limits)
            if not limits:
                break
            person = (message.workspace_id, message.contact_id or "")
            made = sending_policies.count(counts[person], limits, desk.now)
            if isinstance(made, sending_policies.Limit):
                end = End(messages.State.CAPPED, f"{messages.CAPPED}: {made.told}")
                # Who has had enough by whatever channel has had enough by the next one too.
                stands = onward(message, end) if made.is_of_channel else Standing(message, end)
                continue
            counts[person] = made
            expiries[person] = max(expiries[person], *(desk.now + limit.period for limit in limits))
            desk.writes.paced.recent[person] = policy_rows.RecentSends(
                *person, _encode(made), expiries[person]
            )
            break
        if stands != (planned, None):
            standing[planned[:2]] = stands
    return standing


def _is_bound(message: rows.Message, workspace_of: Callable[[int], match.Workspace]) -> bool:
    """Whether anything may hold for a message, on this way or on a later one."""
    wishes = workspace_of(message.workspace_id).wishes
    if wishes.terms(message) != sending_policies.FREE:
        return True
    following = () if message.route is None else routes.read(message.route).ways
    return any(
        wishes.terms(message._replace(channel=way.channel)) != sending_policies.FREE for way in following
    )


def _still_to_count(
    message: rows.Message, limits: tuple[sending_policies.Limit, ...]
) -> tuple[sending_policies.Limit, ...]:
    """The caps that have not counted a message: what was let go before, and is tried again, was counted then."""
    if not onwards.was_let_go(message):
        return limits
    # By another channel: whatever counts all of them has counted it.
    return tuple(one for one in limits if one.is_of_channel) if onwards.is_fresh(message) else ()


def _key(message: rows.Message) -> tuple[int, str, str]:
    return message.workspace_id, message.contact_id or "", message.tenant_id or ""


def _waits(message: rows.Message, until: int) -> End:
    """It waits; what was let go before only waits longer, and is not counted again."""
    if onwards.was_let_go(message):
        return End(messages.State.PLANNED, message.error, until)
    return End(messages.State.DELAYED, messages.QUIET_HOURS, until)


def _in_order(
    desk: desks.Desk,
    bound: Sequence[rows.Message],
    known: Mapping[tuple[int, str, str], policy_rows.Recipient],
) -> Iterator[tuple[rows.Message, bytes | str | None]]:
    """The messages in the order in which they were made or their time came, each with its recipient's profile then."""
    places: dict[tuple[int, bytes], tuple[int, int]] = {}
    for number, one in enumerate(desk.due_again):
        places[one.message[:2]] = (one.after, number - len(desk.due_again))
    for number, made in enumerate(desk.writes.messages):
        places.setdefault(made[:2], (number, 0))
    for message in sorted(bound, key=lambda one: places[one[:2]]):
        after, number = places[message[:2]]
        person = (message.workspace_id, message.contact_id or "")
        changed = desk.writes.contacts.get(person)
        profile = known[_key(message)].profile if changed is None else changed.profile
        for change in desk.contact_changes.get(person, ()):
            came_later = (
                change.after > after if number == 0 else change.due_again > number + len(desk.due_again)
            )
            if came_later:
                profile = None if change.before is None else change.before.profile
                break
        yield message, profile


def _zone(profile: bytes | str | None, recipient: policy_rows.Recipient, of_workspace: str | None) -> str:
    """The zone by whose clock somebody lives: of their profile, else their tenant's, else the workspace's (E32)."""
    people = [_profile.decode(one) for one in (recipient.own, profile) if one is not None]
    levels = [_tenant.decode(one) for one in recipient.levels if one is not None]
    told = [*people, *(one.user_profile for one in levels), *(one.properties for one in levels)]
    return delays.zone_told(told, of_workspace)
