"""Routing: by which channels a message may go, and what is said of it on each.

Law: pure. `single` is one message that goes on from channel to channel until one takes it; `all` is a message for each
channel. What is nested is resolved when the message is planned (core.chains).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from heliograph import errors
from heliograph.core import (
    courier_fields,
    documents,
    overrides,
    plans,
    providers,
    routes,
    routing_trees,
    script_conditions,
    scripts,
    timeouts,
)

CHANNEL = ("brand_id", "if", "override", "timeouts", "providers", "routing_method", "metadata")
PROVIDER = ("override", "if", "timeouts", "metadata")
_UTM = ("source", "medium", "campaign", "term", "content")


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

    root: routing_trees.Node = routing_trees.BY_EMAIL
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
        root = routing_trees.read(reading, given, f"{path}.routing") or root
    timeout = reading.mapping(message, "timeout", path)
    limits = reading.mapping(timeout, "channel", f"{path}.timeout")
    channels: dict[str, Channel] = {}
    said = reading.mapping(message, "channels", path)
    for name in {**said, **limits}:
        place = documents.below(f"{path}.{'channels' if name in said else 'timeout.channel'}", name)
        if name not in routing_trees.NAMES:
            reading.fault(place, errors.unknown("channel", name, routing_trees.CHANNELS))
            continue
        own = reading.mapping(said, name, f"{path}.channels")
        limit = reading.milliseconds(limits, name, f"{path}.timeout.channel", timeouts.LONGEST)
        channels[routing_trees.NAMES[name]] = _channel(reading, own, name, place, limit)
    metadata = reading.mapping(message, "metadata", path)
    utm = _utm(reading, metadata, f"{path}.metadata")
    said_of = _providers(reading, message, timeout, path)
    escalation = timeouts.escalation(reading, timeout, f"{path}.timeout")
    return Routing(root, channels, said_of, utm, strategy, given is None, escalation)


def missing(said: Routing, brand: str | None, library: plans.Library) -> str | None:
    """What a message names of its workspace and there is not, in words; None: nothing. `brand` is the one it names."""
    looks = (library.missing(one.brand, None) for one in said.channels.values())
    return (
        library.missing(brand, said.strategy)
        or next((why for why in looks if why is not None), None)
        or routing_trees.missing(said.root, library.providers)
    )


def chosen(said: Routing, own: str | None, library: plans.Library) -> Routing:
    """What holds of what a message says, and of its template's `own` strategy: its own, then that, then the default.

    What the message says of a channel or a provider wins over what the strategy says of it.
    """
    if said.strategy is None and not said.is_left_open:
        root = routing_trees.placed(said.root, library.providers)
        return said if root is said.root else msgspec.structs.replace(said, root=root)
    names = [said.strategy] if said.strategy is not None else [own, plans.DEFAULT_STRATEGY]
    strategies: Mapping[str, Routing] = library.strategies
    found = next((strategies[name] for name in names if name is not None and name in strategies), BY_EMAIL)
    return Routing(
        routing_trees.placed(found.root, library.providers),
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
        reading.known(own, PROVIDER, place)
        override = reading.mapping(own, "override", place)
        utm = _own_utm(reading, own, place)
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


def _own_utm(reading: courier_fields.Read, own: Mapping[str, Any], place: str) -> dict[str, str]:
    """What the `metadata` of a channel or a provider says, which holds nothing else."""
    metadata = reading.mapping(own, "metadata", place)
    reading.known(metadata, ("utm",), f"{place}.metadata")
    return _utm(reading, metadata, f"{place}.metadata")


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


def _channel(
    reading: courier_fields.Read, given: Mapping[str, Any], name: str, path: str, limit: int | None
) -> Channel:
    reading.known(given, CHANNEL, path)
    override = reading.mapping(given, "override", path)
    limits = reading.mapping(given, "timeouts", path)
    reading.known(limits, ("channel", "provider"), f"{path}.timeouts")
    own, by_provider = (
        reading.milliseconds(limits, key, f"{path}.timeouts", timeouts.LONGEST)
        for key in ("channel", "provider")
    )
    listed, method = given.get("providers") or [], given.get("routing_method") or "single"
    if (
        not isinstance(listed, list)
        or len(listed) > routing_trees.MOST
        or not all(isinstance(one, str) for one in listed)
    ):
        reading.fault(f"{path}.providers", f"is a list of at most {routing_trees.MOST} names of providers")
        listed = []
    if method not in routing_trees.METHODS:
        reading.fault(f"{path}.routing_method", errors.unknown("method", method, routing_trees.METHODS))
    elif method == "all" and not listed:
        reading.fault(f"{path}.providers", "is required where `routing_method` is `all`")
    return Channel(
        brand=reading.text(given, "brand_id", path),
        condition=_condition(reading, given, path),
        override=_override(reading, routing_trees.NAMES[name], override, f"{path}.override"),
        limit=own or limit,
        providers=tuple(dict.fromkeys(listed)),
        method=str(method),
        provider_limit=by_provider,
        utm=_own_utm(reading, given, path),
    )
