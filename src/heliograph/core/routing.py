"""Routing: by which channels a message may go, and by which of them it goes to one person.

Law: pure. `single` is one message that goes on from channel to channel until one takes it; `all` is a message for each
channel. What is nested is resolved when the message is planned. A channel for which somebody has no address, or whose
condition does not hold of them, is passed by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import courier_fields, documents, overrides, people, routes, script_conditions, scripts

CHANNELS = ("email", "sms", "push", "direct_message", "webhook", "inbox")
NAMES: Mapping[str, str] = {**{name: name for name in CHANNELS}, "chat": "direct_message"}
METHODS = ("single", "all")
DEEPEST, MOST = 4, 20
LONGEST_TIMEOUT = 30 * 86_400_000
"""Milliseconds."""
USUAL_TIMEOUT = 259_200_000
"""Milliseconds after which a message is given up, where its request says nothing else."""
_CHANNEL = ("brand_id", "if", "override", "timeouts")


class Node(msgspec.Struct, frozen=True, array_like=True):
    """Channels, and how many of them."""

    method: str
    channels: tuple[str | Node, ...]


class Channel(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is said of a message on one channel."""

    brand: str | None = None
    condition: str | None = None
    override: dict[str, Any] = {}
    limit: int | None = None
    """Milliseconds after which the next channel is gone to."""


class Routing(msgspec.Struct, frozen=True, omit_defaults=True):
    """By which channels a message goes."""

    root: Node = Node("single", ("email",))
    channels: dict[str, Channel] = {}


BY_EMAIL = Routing()
"""The routing of a message of which none is said."""


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def read(reading: courier_fields.Read, message: Mapping[str, Any], path: str) -> Routing:
    """What a message says of its channels."""
    root = BY_EMAIL.root
    given = message.get("routing")
    if given is not None:
        root = _node(reading, given, f"{path}.routing", 1) or root
    limits = reading.mapping(reading.mapping(message, "timeout", path), "channel", f"{path}.timeout")
    channels: dict[str, Channel] = {}
    said = reading.mapping(message, "channels", path)
    for name in {**said, **limits}:
        place = documents.below(f"{path}.channels", name)
        if name not in NAMES:
            reading.fault(place, errors.unknown("channel", name, CHANNELS))
            continue
        own = reading.mapping(said, name, f"{path}.channels")
        limit = reading.milliseconds(limits, name, f"{path}.timeout.channel", LONGEST_TIMEOUT)
        channels[NAMES[name]] = _channel(reading, own, name, place, limit)
    return Routing(root, channels)


def _node(reading: courier_fields.Read, given: object, path: str, depth: int) -> Node | None:
    if not isinstance(given, dict) or depth > DEEPEST:
        reading.fault(
            path, f'is an object, {DEEPEST} deep at most: {{"method": "single", "channels": ["email"]}}'
        )
        return None
    reading.known(given, ("method", "channels"), path)
    method, listed = given.get("method"), given.get("channels")
    if method not in METHODS:
        reading.fault(f"{path}.method", errors.unknown("method", method, METHODS))
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST:
        reading.fault(f"{path}.channels", f"is a list of 1 to {MOST} channels")
        return None
    found: list[str | Node] = []
    for place, one in enumerate(listed):
        at = f"{path}.channels[{place}]"
        if isinstance(one, str) and one in NAMES:
            found.append(NAMES[one])
        elif isinstance(one, str):
            reading.fault(at, errors.unknown("channel", one, CHANNELS))
        elif (node := _node(reading, one, at, depth + 1)) is not None:
            found.append(node)
    return Node(str(method), tuple(found))


def _channel(
    reading: courier_fields.Read, given: Mapping[str, Any], name: str, path: str, limit: int | None
) -> Channel:
    reading.known(given, _CHANNEL, path)
    condition = reading.text(given, "if", path, script_conditions.LONGEST)
    if condition is not None:
        try:
            script_conditions.read(condition)
        except scripts.Malformed as refusal:
            reading.fault(f"{path}.if", str(refusal))
    override = reading.mapping(given, "override", path)
    found: dict[str, Any] = {}
    if NAMES[name] == "email":
        try:
            found = overrides.of_email({"email": override}, path)
        except (errors.InvalidInput, errors.RenderFailed) as refusal:
            reading.faults += refusal.faults
    elif override:
        reading.ignored.append(f"{path}.override")
    timeouts = reading.mapping(given, "timeouts", path)
    reading.known(timeouts, ("channel",), f"{path}.timeouts")
    own = reading.milliseconds(timeouts, "channel", f"{path}.timeouts", LONGEST_TIMEOUT)
    brand = reading.text(given, "brand_id", path)
    return Channel(brand=brand, condition=condition, override=found, limit=own or limit)


# ── planning ────────────────────────────────────────────────────────────────────────────────────────


class Ways(NamedTuple):
    """By which ways one person is written to."""

    chains: list[tuple[routes.Way, ...]]
    """Of each message that they are sent, the ways that it may go, in order."""
    passed: tuple[routes.Passed, ...]
    """The channels that were passed by."""


def ways(
    routing: Routing, profile: people.Profile, data: Mapping[str, Any], looks: Mapping[str, dict[str, Any]]
) -> Ways:
    """The messages that one person is sent.

    `looks` is what a message's `content` says of its look, on the channels that name a brand.
    """
    seen: Mapping[str, Any] = {
        "data": data,
        "profile": profile,
        **{k: v for k, v in data.items() if k != "profile"},
    }
    passed: dict[str, routes.Passed] = {}

    def way(channel: str) -> routes.Way | None:
        said = routing.channels.get(channel, _NOTHING_SAID)
        address = people.address_of(profile, channel) if channel in people.CHANNELS else None
        if address is None or not (said.condition is None or _holds(said.condition, seen)):
            why = routes.NO_ADDRESS if address is None else routes.CONDITION
            passed[channel] = routes.Passed(channel, why)
            return None
        own = {**looks.get(channel, {}), **({"override": said.override} if said.override else {})}
        return routes.Way(channel, address, own, said.limit)

    def resolved(node: str | Node) -> list[tuple[routes.Way, ...]]:
        if isinstance(node, str):
            found = way(node)
            return [] if found is None else [(found,)]
        parts = [part for one in node.channels if (part := resolved(one))]
        if node.method == "all":
            return [chain for part in parts for chain in part]
        # The first that can be gone decides: where that is an `all`, it is what is sent.
        if not parts or len(parts[0]) > 1:
            return parts[0] if parts else []
        return [tuple(one for part in parts for chain in part for one in chain)]

    chains = [_each_once(chain) for chain in resolved(routing.root)]
    return Ways(chains, tuple(passed.values()))


_NOTHING_SAID = Channel()


def _each_once(chain: tuple[routes.Way, ...]) -> tuple[routes.Way, ...]:
    return tuple({(one.channel, one.address): one for one in reversed(chain)}.values())[::-1]


def _holds(condition: str, seen: Mapping[str, Any]) -> bool:
    return script_conditions.read(condition).holds(lambda root: seen.get(root, script_conditions.UNDEFINED))


def named(node: Node) -> list[str]:
    """The channels that a routing names, each once, in order."""
    found: list[str] = []
    for one in node.channels:
        found += [one] if isinstance(one, str) else named(one)
    return list(dict.fromkeys(found))
