"""Consent: what a contact wants to hear of, on which channels (engine.md E14, E20).

Law: the most special word counts: on the template of a message, else on its topic, else on everything (`*`); a tenant's
word before the workspace's own. For who said nothing the topic's default counts, the tenant's before the workspace's;
where there is none they have agreed. A topic that is REQUIRED goes out whatever was said.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import documents

EVERYTHING: Final = "*"
"""The topic that stands for whatever has no word of its own."""
STATUSES: Final = ("OPTED_IN", "OPTED_OUT", "REQUIRED")
CLASSES: Final = ("direct_message", "email", "push", "sms", "webhook", "inbox")
"""The classes of channels that a preference may name."""
MOST_TOPICS = 50
_LONGEST = 255
_KNOWN = ("status", "has_custom_routing", "custom_routing")


class Topic(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody said of a topic."""

    status: str
    routing: tuple[str, ...] | None = None
    """The only channels on which they want it; None = on all."""


class Consent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody said to a tenant, or to the workspace itself."""

    topics: dict[str, Topic] = {}


_consent = msgspec.json.Decoder(Consent)
NOTHING_SAID: Final = Consent()
AGREED: Final = Topic("OPTED_IN")
"""What is taken to be said of a topic without a default of its own."""


def read(stored: bytes | str | None) -> Consent:
    """A stored consent; of who said nothing, an empty one."""
    return NOTHING_SAID if stored is None else _consent.decode(stored)


def refuses(
    said: Sequence[Consent],
    channel: str,
    topics: Collection[str],
    defaults: Sequence[Mapping[str, Topic]] = (),
) -> bool:
    """Whether somebody wants no message on this channel.

    `said` is their words, the tenant's first; `topics` what the message is about, the most special first; `defaults`
    what is taken to be said by whoever said nothing, by topic, the tenant's first.
    """
    by_default = [default[topic] for topic in topics for default in defaults if topic in default]
    if any(one.status == "REQUIRED" for one in by_default):
        return False
    for topic in topics:
        for consent in said:
            if topic in consent.topics:
                return _refuses(consent.topics[topic], channel)
    for consent in said:
        if EVERYTHING in consent.topics:
            # Who wants everything has not asked for what is only sent on request.
            if _refuses(consent.topics[EVERYTHING], channel):
                return True
            break
    return bool(by_default) and _refuses(by_default[0], channel)


def agrees(said: Sequence[Consent], channel: str, topics: Collection[str]) -> bool:
    """Whether somebody said that they want such messages on this very channel; the arguments are those of `refuses`."""
    for topic in (*topics, EVERYTHING):
        for consent in said:
            found = consent.topics.get(topic)
            if found is not None:
                return found.status == "OPTED_IN" and found.routing is not None and channel in found.routing
    return False


ASKED_FIRST: Final = b'{"needs_consent":true}'
"""The `content` of a message that goes only to those who said that they want it."""


def _refuses(topic: Topic, channel: str) -> bool:
    if topic.status == "REQUIRED":
        return False
    if topic.status == "OPTED_OUT":
        return True
    return topic.routing is not None and channel in CLASSES and channel not in topic.routing


def without_channel(consent: Consent, topic: str, channel: str) -> Consent:
    """After somebody said that they want nothing of a topic on a channel any more."""
    before = consent.topics.get(topic, Topic("OPTED_IN"))
    wanted = CLASSES if before.routing is None else before.routing
    kept = tuple(one for one in wanted if one != channel)
    after = Topic("OPTED_IN", kept) if kept else Topic("OPTED_OUT")
    return Consent({**consent.topics, topic: after if before.status != "OPTED_OUT" else before})


def with_channel(consent: Consent, topic: str, channel: str) -> Consent:
    """After somebody said that they want to hear of a topic on a channel again."""
    before = consent.topics.get(topic)
    if before is None:
        return consent
    wanted = () if before.status == "OPTED_OUT" else before.routing
    if wanted is None:
        return consent
    routing = tuple(one for one in CLASSES if one in wanted or one == channel)
    after = Topic("OPTED_IN", None if routing == CLASSES else routing)
    return Consent({**consent.topics, topic: after})


class Change(NamedTuple):
    """What somebody said anew of a topic; None: nothing, so that the topic's default counts."""

    topic_id: str
    before: Topic | None
    after: Topic | None


def changes(before: Consent, after: Consent) -> list[Change]:
    """What is said differently now, topic by topic."""
    found = [
        Change(topic_id, before.topics.get(topic_id), after.topics.get(topic_id))
        for topic_id in {**before.topics, **after.topics}
    ]
    return [one for one in found if one.before != one.after]


# ── reading what people write ───────────────────────────────────────────────────────────────────────


def check_topics(
    given: object, path: str = "topics", *, key: str = "topic_id", least: int = 1, most: int = MOST_TOPICS
) -> tuple[dict[str, Topic], list[str]]:
    """Topics by id, which stands under `key`, and the keys that were passed over.

    Raises errors.InvalidInput with every fault.
    """
    if not isinstance(given, list) or not least <= len(given) <= most:
        raise errors.InvalidInput.at(path, f"is a list of {least} to {most} topics")
    found: dict[str, Topic] = {}
    faults: list[errors.Fault] = []
    ignored: list[str] = []
    for index, one in enumerate(given):
        place = documents.below(path, index)
        try:
            identity = check_topic_id(one.get(key) if isinstance(one, dict) else None, f"{place}.{key}")
            found[identity] = check_topic(one, place)
            ignored += [f"{place}.{name}" for name in one.keys() - {key, *_KNOWN}]
        except errors.InvalidInput as fault:
            faults += fault.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
    return found, ignored


def check_topic_id(given: object, path: str) -> str:
    """The id of a topic, such as a template's. Raises errors.InvalidInput."""
    if documents.is_text(given, _LONGEST):
        return given
    raise errors.InvalidInput.at(path, f"is a text of 1 to {_LONGEST} characters")


def passed_over(given: Mapping[str, Any], path: str) -> list[str]:
    """Where in what is said of a topic stands what nobody knows."""
    return [documents.below(path, name) for name in given.keys() - {*_KNOWN}]


def check_topic(given: object, path: str) -> Topic:
    """What somebody says of a topic. Raises errors.InvalidInput."""
    if not isinstance(given, dict):
        raise errors.InvalidInput.at(path, 'is an object such as {"status": "OPTED_OUT"}')
    faults = []
    status, routing = given.get("status"), given.get("custom_routing")
    if status not in STATUSES:
        faults.append(errors.Fault(documents.below(path, "status"), f"is one of {', '.join(STATUSES)}"))
    if routing is not None and not _is_routing(routing):
        faults.append(
            errors.Fault(documents.below(path, "custom_routing"), f"is a list of {', '.join(CLASSES)}")
        )
    is_custom = given.get("has_custom_routing")
    if is_custom is not None and not isinstance(is_custom, bool):
        faults.append(errors.Fault(documents.below(path, "has_custom_routing"), "is true or false"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    custom = is_custom if is_custom is not None else routing is not None
    return Topic(str(status), tuple(routing or ()) if custom else None)


def _is_routing(given: object) -> bool:
    return isinstance(given, list) and all(isinstance(one, str) and one in CLASSES for one in given)


def shown(topic: Topic) -> dict[str, Any]:
    """A topic as the wire has it."""
    return {
        "status": topic.status,
        "has_custom_routing": topic.routing is not None,
        "custom_routing": list(topic.routing or ()),
    }


# ── addresses that nothing is sent to ───────────────────────────────────────────────────────────────

REASONS: Final = ("bounce", "complaint", "manual", "unsubscribe")


def is_suppressed(rows: Mapping[str, Collection[str]], address: str, tenant_id: str | None) -> bool:
    """Whether nothing is sent to an address: `rows` is the tenants (empty: everybody) that suppress each."""
    suppressing = rows.get(address, ())
    return "" in suppressing or (tenant_id is not None and tenant_id in suppressing)
