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
from heliograph.core import (
    courier_fields,
    documents,
    overrides,
    people,
    plans,
    providers,
    routes,
    script_conditions,
    scripts,
    timeouts,
)

CHANNELS = ("email", "sms", "push", "direct_message", "webhook", "inbox", "banner")
NAMES: Mapping[str, str] = {**{name: name for name in CHANNELS}, "chat": "direct_message"}
METHODS = ("single", "all")
DEEPEST, MOST = 4, 20
_PLACE = '{"sms": {"providers": ["twilio"]}}'
_CHANNEL = ("brand_id", "if", "override", "timeouts", "providers", "routing_method", "metadata")
_PROVIDER = ("override", "if", "timeouts", "metadata")
_UTM = ("source", "medium", "campaign", "term", "content")


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
    providers: tuple[str, ...] = ()
    """The only providers that it goes by, in order; none: all that there are."""
    method: str = "single"
    """`all`: a message by each of its providers."""
    provider_limit: int | None = None
    """Milliseconds after which the next provider is gone to."""
    utm: dict[str, str] = {}


class Provider(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is said of a message by one provider."""

    condition: str | None = None
    override: dict[str, Any] = {}
    limit: int | None = None
    """Milliseconds after which the next provider is gone to."""
    utm: dict[str, str] = {}
    by_name: dict[str, dict[str, Any]] = {}
    """As `override`, of one that is named by its own name: by channel, because its kind is not known here."""


class Routing(msgspec.Struct, frozen=True, omit_defaults=True):
    """By which channels a message goes."""

    root: Node = Node("single", ("email",))
    channels: dict[str, Channel] = {}
    providers: dict[str, Provider] = {}
    """By the name of each, or by its kind."""
    utm: dict[str, str] = {}
    """What the links of its e-mail tell of where their reader comes from."""
    strategy: str | None = None
    """The strategy that it names instead of channels."""
    is_left_open: bool = False
    """Whether it says nothing of which channels: then its template does, or the workspace."""
    escalation: routes.Escalation | None = None


BY_EMAIL = Routing()
"""The routing of a message of which nobody says any."""
ANYWHERE = Node("single", people.CHANNELS)
"""By whichever channel somebody is reached."""
LEFT_OPEN = Routing(is_left_open=True)
"""The routing of a message that says none itself."""


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def read(reading: courier_fields.Read, message: Mapping[str, Any], path: str) -> Routing:
    """What a message says of its channels."""
    root, strategy = BY_EMAIL.root, None
    given = message.get("routing")
    if isinstance(given, dict) and given.keys() == {"strategy_id"}:
        strategy = reading.text(given, "strategy_id", f"{path}.routing")
    elif given is not None:
        root = _node(reading, given, f"{path}.routing", 1) or root
    timeout = reading.mapping(message, "timeout", path)
    limits = reading.mapping(timeout, "channel", f"{path}.timeout")
    channels: dict[str, Channel] = {}
    said = reading.mapping(message, "channels", path)
    for name in {**said, **limits}:
        place = documents.below(f"{path}.{'channels' if name in said else 'timeout.channel'}", name)
        if name not in NAMES:
            reading.fault(place, errors.unknown("channel", name, CHANNELS))
            continue
        own = reading.mapping(said, name, f"{path}.channels")
        limit = reading.milliseconds(limits, name, f"{path}.timeout.channel", timeouts.LONGEST)
        channels[NAMES[name]] = _channel(reading, own, name, place, limit)
    metadata = reading.mapping(message, "metadata", path)
    utm = _utm(reading, metadata, f"{path}.metadata")
    said_of = _providers(reading, message, timeout, path)
    escalation = timeouts.escalation(reading, timeout, f"{path}.timeout")
    return Routing(root, channels, said_of, utm, strategy, given is None, escalation)


def chosen(said: Routing, own: str | None, strategies: Mapping[str, Routing]) -> Routing:
    """What holds of what a message says, and of its template's `own` strategy: its own, then that, then the default.

    What the message says of a channel or a provider wins over what the strategy says of it.
    """
    if said.strategy is None and not said.is_left_open:
        return said
    names = [said.strategy] if said.strategy is not None else [own, plans.DEFAULT_STRATEGY]
    found = next((strategies[name] for name in names if name is not None and name in strategies), BY_EMAIL)
    return Routing(
        found.root,
        {**found.channels, **said.channels},
        {**found.providers, **said.providers},
        {**found.utm, **said.utm},
        escalation=said.escalation,
    )


def _providers(
    reading: courier_fields.Read, message: Mapping[str, Any], timeout: Mapping[str, Any], path: str
) -> dict[str, Provider]:
    said = reading.mapping(message, "providers", path)
    limits = reading.mapping(timeout, "provider", f"{path}.timeout")
    found: dict[str, Provider] = {}
    for name in {**said, **limits}:
        place = documents.below(f"{path}.providers", name)
        own = reading.mapping(said, name, f"{path}.providers")
        reading.known(own, _PROVIDER, place)
        override = reading.mapping(own, "override", place)
        utm = _utm(reading, reading.mapping(own, "metadata", place), f"{place}.metadata")
        by_name: dict[str, dict[str, Any]] = {}
        if override and name not in providers.KINDS:
            # Of what kind it is only the workspace knows (store.requests.check).
            by_name, override = overrides.of_any_channel(override, f"{place}.override"), {}
            if not by_name:
                reading.fault(f"{place}.override", "is not served: no channel takes such fields")
        if override:
            channel = providers.channel_of(name)
            override = _override(reading, channel, override, f"{place}.override")
            if overrides.copies(override):
                reading.fault(f"{place}.override", "takes no copies: `cc` and `bcc` stand with the channel")
        limit = reading.milliseconds(limits, name, f"{path}.timeout.provider", timeouts.LONGEST)
        found[name] = Provider(
            condition=_condition(reading, own, place),
            override=override,
            limit=reading.milliseconds(own, "timeouts", place, timeouts.LONGEST) or limit,
            utm=utm,
            by_name=by_name,
        )
    return found


def _utm(reading: courier_fields.Read, metadata: Mapping[str, Any], path: str) -> dict[str, str]:
    given = reading.mapping(metadata, "utm", path)
    reading.known(given, _UTM, f"{path}.utm")
    found = {name: reading.text(given, name, f"{path}.utm") for name in _UTM}
    return {name: value for name, value in found.items() if value is not None}


def _condition(reading: courier_fields.Read, given: Mapping[str, Any], path: str) -> str | None:
    condition = reading.text(given, "if", path, script_conditions.LONGEST)
    if condition is not None:
        try:
            script_conditions.read(condition)
        except scripts.Malformed as refusal:
            reading.fault(f"{path}.if", str(refusal))
    return condition


def _override(
    reading: courier_fields.Read, channel: str, given: Mapping[str, Any], path: str
) -> dict[str, Any]:
    try:
        found, ignored = overrides.of_channel(channel, given, path)
    except (errors.InvalidInput, errors.RenderFailed) as refusal:
        reading.faults += refusal.faults
        return {}
    reading.ignored += ignored
    return found


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
            told = errors.unknown("channel", one, CHANNELS)
            reading.fault(at, f"{told}; providers are named in `channels`, as {_PLACE}")
        elif (node := _node(reading, one, at, depth + 1)) is not None:
            found.append(node)
    return Node(str(method), tuple(found))


def _channel(
    reading: courier_fields.Read, given: Mapping[str, Any], name: str, path: str, limit: int | None
) -> Channel:
    reading.known(given, _CHANNEL, path)
    override = reading.mapping(given, "override", path)
    limits = reading.mapping(given, "timeouts", path)
    reading.known(limits, ("channel", "provider"), f"{path}.timeouts")
    own, by_provider = (
        reading.milliseconds(limits, key, f"{path}.timeouts", timeouts.LONGEST)
        for key in ("channel", "provider")
    )
    listed, method = given.get("providers") or [], given.get("routing_method") or "single"
    if not isinstance(listed, list) or len(listed) > MOST or not all(isinstance(one, str) for one in listed):
        reading.fault(f"{path}.providers", f"is a list of at most {MOST} names of providers")
        listed = []
    if method not in METHODS:
        reading.fault(f"{path}.routing_method", errors.unknown("method", method, METHODS))
    elif method == "all" and not listed:
        reading.fault(f"{path}.providers", "is required where `routing_method` is `all`")
    return Channel(
        brand=reading.text(given, "brand_id", path),
        condition=_condition(reading, given, path),
        override=_override(reading, NAMES[name], override, f"{path}.override"),
        limit=own or limit,
        providers=tuple(dict.fromkeys(listed)),
        method=str(method),
        provider_limit=by_provider,
        utm=_utm(reading, reading.mapping(given, "metadata", path), f"{path}.metadata"),
    )


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
    alone = _alone(routing)
    if alone is not None:
        address = people.address_of(profile, alone) if alone in people.CHANNELS else None
        if address is None:
            return Ways([], (routes.Passed(alone, routes.NO_ADDRESS),))
        return Ways([(routes.Way(alone, address, looks.get(alone, {})),)], ())
    seen: Mapping[str, Any] = {
        "data": data,
        "profile": profile,
        **{k: v for k, v in data.items() if k != "profile"},
    }
    passed: dict[str, routes.Passed] = {}
    never = tuple(
        name
        for name, one in routing.providers.items()
        if one.condition is not None and not _holds(one.condition, seen)
    )

    def way(channel: str) -> routes.Way | None:
        said = routing.channels.get(channel, _NOTHING_SAID)
        address = people.address_of(profile, channel) if channel in people.CHANNELS else None
        if address is None or not (said.condition is None or _holds(said.condition, seen)):
            why = routes.NO_ADDRESS if address is None else routes.CONDITION
            passed[channel] = routes.Passed(channel, why)
            return None
        override = _said_there(routing, channel, said)
        own = {**looks.get(channel, {}), **({"override": override} if override else {})}
        return routes.Way(channel, address, own, said.limit, _via(routing, said, never))

    def resolved(node: str | Node) -> list[tuple[routes.Way, ...]]:
        if isinstance(node, str):
            found = way(node)
            return [] if found is None else [(one,) for one in _by_each(found, routing.channels.get(node))]
        parts = [part for one in node.channels if (part := resolved(one))]
        if node.method == "all":
            return [chain for part in parts for chain in part]
        # The first that can be gone decides: where that is an `all`, it is what is sent.
        if not parts or len(parts[0]) > 1:
            return parts[0] if parts else []
        return [tuple(one for part in parts for chain in part for one in chain)]

    chains = [_each_once(chain) for chain in resolved(routing.root)]
    return Ways(chains, tuple(passed.values()))


def _alone(routing: Routing) -> str | None:
    """The channel of a routing that names one and says nothing else, as most do: there is nothing to resolve."""
    channels = routing.root.channels
    is_bare = len(channels) == 1 and not (routing.channels or routing.providers or routing.utm)
    return channels[0] if is_bare and isinstance(channels[0], str) else None


_NOTHING_SAID = Channel()


def _said_there(routing: Routing, channel: str, said: Channel) -> dict[str, Any]:
    """What is said of a message on a channel instead, by whatever provider (`by`: by one, or those of one kind)."""
    found = dict(said.override)
    if channel == "email" and (utm := {**routing.utm, **said.utm}):
        found["utm"] = utm
    by = {
        name: {
            **_of_provider(name, one, channel),
            **({"utm": one.utm} if one.utm and channel == "email" else {}),
        }
        for name, one in routing.providers.items()
    }
    if by := {name: override for name, override in by.items() if override}:
        found["by"] = by
    return found


def _of_provider(name: str, one: Provider, channel: str) -> Mapping[str, Any]:
    if name not in providers.KINDS:
        return one.by_name.get(channel, {})
    return one.override if providers.channel_of(name) == channel else {}


def _via(routing: Routing, said: Channel, never: tuple[str, ...]) -> routes.Via | None:
    limits = {name: one.limit for name, one in routing.providers.items() if one.limit is not None}
    found = routes.Via(said.providers, never, said.provider_limit, limits)
    return None if found == _ANY else found


def _by_each(way: routes.Way, said: Channel | None) -> list[routes.Way]:
    """A way, or one by each of its providers."""
    if said is None or said.method != "all" or way.via is None:
        return [way]
    return [
        msgspec.structs.replace(way, via=msgspec.structs.replace(way.via, only=(name,)))
        for name in way.via.only
        if name not in way.via.never
    ]


_ANY = routes.Via()


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
