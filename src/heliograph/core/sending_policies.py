"""Sending policies: when a workspace disturbs nobody, and how often it writes to one person at most.

Law: quiet hours and caps are each the most special ones that were set: for a message's template before those for its
topic, before those for everything, and of each a tenant's before the workspace's. An empty list sets none. A cap counts
what was let go to one contact in a period that ends now; what waits, or is kept back, does not count.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import consent, delays, documents, quiet_hours, readers

WRITABLE: Final = ("quiet_hours", "caps", "tracking", "topics")
_RULES: Final = WRITABLE[:3]
TRACKED: Final = ("opens", "clicks")
"""What e-mails may tell of their readers by themselves."""
_CAP: Final = ("limit", "period", "channel", "name")
MOST_CAPS, MOST_TOPICS, MOST_ALLOWED = 20, 500, 1_000
ANY_CHANNEL: Final = "*"
_LONGEST_NAME = 100


class Cap(msgspec.Struct, frozen=True, omit_defaults=True):
    """So many messages to one person in a period, at most."""

    limit: int
    period: str
    """ISO 8601, such as `P1D`; 60 days at most."""
    channel: str | None = None
    """The channel that it counts; None: whatever comes by any."""
    name: str | None = None

    @property
    def told(self) -> str:
        """What a message says that was kept back by it."""
        where = "" if self.channel is None else f" by {self.channel}"
        limit = f"{self.limit} in {self.period}{where}"
        return limit if self.name is None else f"{self.name} ({limit})"


class Rules(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was set, for everything or for a topic; None where nothing was."""

    quiet_hours: list[dict[str, Any]] | None = None
    """Windows, as they were written."""
    caps: list[Cap] | None = None
    tracking: list[str] | None = None
    """Of TRACKED."""


class Policy(Rules, frozen=True, omit_defaults=True):
    """What a tenant set, or the workspace itself."""

    topics: dict[str, Rules] = {}
    """By the id of a topic or of a template."""

    @property
    def all_rules(self) -> Sequence[Rules]:
        """What was set for everything, and for each topic."""
        return self, *self.topics.values()

    @property
    def paces(self) -> bool:
        """Whether anything may have to wait by it, or be kept back."""
        return any((one.quiet_hours, one.caps) != (None, None) for one in self.all_rules)

    @property
    def tracks(self) -> bool:
        """Whether it says what is tracked."""
        return any(one.tracking is not None for one in self.all_rules)


NOTHING_SET: Final = Policy()
_policy = msgspec.json.Decoder(Policy)


def read(stored: bytes | str | None) -> Policy:
    """A stored policy; where nothing was set, an empty one."""
    return NOTHING_SET if stored is None else _policy.decode(stored)


# ── what holds for a message ────────────────────────────────────────────────────────────────────────


class Limit(NamedTuple):
    """A cap, ready to count."""

    counter: str
    """What it counts, by name: caps of one channel that were set in one place share a counter."""
    most: int
    period: int
    """Microseconds."""
    told: str
    is_of_channel: bool = False
    """Whether it counts what comes by one channel alone."""


class Terms(NamedTuple):
    """What holds for a message."""

    quiet: quiet_hours.Windows
    limits: tuple[Limit, ...]


FREE: Final = Terms((), ())


def terms(
    policies: Mapping[str, Policy], tenant_id: str | None, topics: Sequence[str], channel: str
) -> Terms:
    """What holds for a message of these topics, the most special first.

    `policies` is by tenant; an empty text is the workspace.
    """
    found = _special(policies, tenant_id, topics)
    quiet = next((rules.quiet_hours for _, _, rules in found if rules.quiet_hours is not None), [])
    limits: tuple[Limit, ...] = ()
    for name, topic, rules in found:
        if rules.caps is not None:
            limits = tuple(_limit(name, topic, cap) for cap in rules.caps if cap.channel in (None, channel))
            break
    return Terms(quiet_hours.check(quiet, "quiet_hours"), limits)


def _special(
    policies: Mapping[str, Policy], tenant_id: str | None, topics: Sequence[str]
) -> list[tuple[str, str, Rules]]:
    """(tenant, topic, what it set) for a message of these topics, the most special first."""
    said = [(name, policies[name]) for name in dict.fromkeys((tenant_id or "", "")) if name in policies]
    found = [
        (name, topic, policy.topics[topic])
        for topic in topics
        for name, policy in said
        if topic in policy.topics
    ]
    return found + [(name, consent.EVERYTHING, policy) for name, policy in said]


class Tracking(NamedTuple):
    """What a workspace says of what its e-mails tell of their readers."""

    policies: Mapping[str, Policy]
    """By tenant; an empty text is the workspace."""
    topics: Mapping[str, str]
    """Of templates."""

    def of(self, tenant_id: str | None, template_id: str | None, topic: str | None) -> Collection[str] | None:
        """What an e-mail tells, of this topic or of its template's; None where nothing was said."""
        if topic is None and template_id is not None:
            topic = self.topics.get(template_id)
        about = [one for one in (template_id, topic) if one is not None]
        found = _special(self.policies, tenant_id, about)
        return next((rules.tracking for _, _, rules in found if rules.tracking is not None), None)


def _limit(tenant: str, topic: str, cap: Cap) -> Limit:
    counter = msgspec.json.encode([tenant, topic, cap.channel or ANY_CHANNEL]).decode()
    period = delays.parse_period(cap.period, "period")
    return Limit(counter, cap.limit, period, cap.told, cap.channel is not None)


# ── counting ────────────────────────────────────────────────────────────────────────────────────────

Counts = dict[str, list[int]]
"""When messages were let go, by counter, the oldest first."""


def count(counts: Mapping[str, Sequence[int]], limits: Collection[Limit], now: int) -> Counts | Limit:
    """The counts after one more message was let go; the cap that keeps it back, where one does."""
    for limit in limits:
        if sum(at > now - limit.period for at in counts.get(limit.counter, ())) >= limit.most:
            return limit
    longest: dict[str, int] = {}
    for limit in limits:
        longest[limit.counter] = max(longest.get(limit.counter, 0), limit.period)
    kept = {
        name: list(told) for name, told in counts.items() if told and told[-1] > now - delays.LONGEST_PERIOD
    }
    for name, period in longest.items():
        kept[name] = [*(at for at in kept.get(name, ()) if at > now - period), now]
    return kept


# ── what people write ───────────────────────────────────────────────────────────────────────────────


def define(given: object) -> Policy:
    """The policy that says this. Raises errors.InvalidInput with every fault at its place."""
    reader = readers.Reader(given, "", WRITABLE)
    said = _rules(reader)
    topics: dict[str, Rules] = reader.take("topics", _topics, {})
    reader.close()
    return Policy(**said, topics=topics)


def _rules(reader: readers.Reader) -> dict[str, Any]:
    return {
        "quiet_hours": reader.take("quiet_hours", _quiet_hours, None),
        "caps": reader.take("caps", _caps, None),
        "tracking": reader.take("tracking", _tracking, None),
    }


def _topics(given: object, path: str) -> dict[str, Rules]:
    if not isinstance(given, dict) or len(given) > MOST_TOPICS:
        raise errors.InvalidInput.at(path, f"is an object by topic, of {MOST_TOPICS} at most")
    made: dict[str, Rules] = {}
    faults: list[errors.Fault] = []
    for topic, rules in given.items():
        place = documents.below(path, topic)
        try:
            if topic == consent.EVERYTHING:
                raise errors.InvalidInput.at(place, "is set beside `topics`: what holds for everything")
            reader = readers.Reader(rules, place, _RULES)
            said = _rules(reader)
            reader.close()
            made[consent.check_topic_id(topic, place)] = Rules(**said)
        except errors.InvalidInput as refusal:
            faults += refusal.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
    return made


def _quiet_hours(given: object, path: str) -> list[dict[str, Any]]:
    quiet_hours.check(given, path)
    assert isinstance(given, list)
    return [dict(one) for one in given]


def _tracking(given: object, path: str) -> list[str]:
    if not isinstance(given, list):
        raise errors.InvalidInput.at(path, f"is a list of {' and '.join(TRACKED)}, empty for neither")
    strange = next((one for one in given if one not in TRACKED), None)
    if strange is not None:
        raise errors.InvalidInput.at(path, errors.unknown("kind of tracking", strange, TRACKED))
    return [one for one in TRACKED if one in given]


def _caps(given: object, path: str) -> list[Cap]:
    return list(readers.each(given, path, _cap, "caps", MOST_CAPS))


def _cap(given: object, path: str) -> Cap:
    reader = readers.Reader(given, path, _CAP)
    limit = reader.need("limit", _limit_of, 1)
    period = reader.need("period", _period, "P1D")
    channel = reader.take("channel", _channel, None)
    name = reader.take("name", _name, None)
    reader.close()
    return Cap(limit, period, channel, name)


def _limit_of(given: object, path: str) -> int:
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= MOST_ALLOWED:
        return given
    raise errors.InvalidInput.at(path, f"is a whole number, 1 to {MOST_ALLOWED:,}")


def _period(given: object, path: str) -> str:
    delays.parse_period(given, path)
    return str(given).strip()


def _channel(given: object, path: str) -> str:
    if isinstance(given, str) and given in consent.CLASSES:
        return given
    raise errors.InvalidInput.at(path, errors.unknown("channel", given, consent.CLASSES))


def _name(given: object, path: str) -> str:
    if isinstance(given, str) and 1 <= len(given) <= _LONGEST_NAME and given.isprintable():
        return given
    raise errors.InvalidInput.at(path, f"is a text of 1 to {_LONGEST_NAME} characters on one line")
