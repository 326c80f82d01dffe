"""Chains: the messages that one person is sent, and the ways that each of them may go.

Law: pure. A channel for which somebody has no address, or whose condition does not hold of them, is passed by; so is a
provider that there is no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph.core import people, providers, routes, routing, routing_trees, script_conditions


class Ways(NamedTuple):
    """By which ways one person is written to."""

    chains: list[tuple[routes.Way, ...]]
    """Of each message that they are sent, the ways that it may go, in order."""
    passed: tuple[routes.Passed, ...]
    """The channels that were passed by."""


def ways(
    by: routing.Routing,
    profile: people.Profile,
    data: Mapping[str, Any],
    looks: Mapping[str, dict[str, Any]],
) -> Ways:
    """The messages that one person is sent.

    `looks` is what a message's `content` says on single channels: of its look, where they name a brand, and the like.
    """
    alone = _alone(by)
    if alone is not None:
        address = people.address_of(profile, alone) if alone in people.CHANNELS else None
        if address is None:
            return Ways([], (routes.Passed(alone, routes.NO_ADDRESS),))
        return Ways([(routes.Way(alone, address, looks.get(alone, {})),)], ())
    planning = _Planning(by, profile, data, looks)
    chains = [_each_once(chain) for chain in planning.resolved(by.root)]
    return Ways(chains, tuple(planning.passed.values()))


class _Planning:
    """The ways of one person: those that can be gone, and what was passed by."""

    def __init__(
        self,
        by: routing.Routing,
        profile: people.Profile,
        data: Mapping[str, Any],
        looks: Mapping[str, dict[str, Any]],
    ):
        self._by, self._profile, self._looks = by, profile, looks
        seen = {"data": data, "profile": profile, **{k: v for k, v in data.items() if k != "profile"}}
        self._seen: Mapping[str, Any] = seen
        self._never = tuple(
            name
            for name, one in by.providers.items()
            if one.condition is not None and not _holds(one.condition, seen)
        )
        self.passed: dict[tuple[str, str], routes.Passed] = {}

    def resolved(self, node: str | routing_trees.Node) -> list[tuple[routes.Way, ...]]:
        """The messages that a part of the tree makes, each with its ways."""
        if isinstance(node, str):
            found = self._way(node)
            return [] if found is None else [(one,) for one in _by_each(found, self._by.channels.get(node))]
        if node.provider is not None:
            found = self._narrowed(node, node.provider)
            return [] if found is None else [(found,)]
        parts = [part for one in node.channels if (part := self.resolved(one))]
        if node.method == "all":
            return [chain for part in parts for chain in part]
        # The first that can be gone decides: where that is an `all`, it is what is sent.
        if not parts or len(parts[0]) > 1:
            return parts[0] if parts else []
        return [tuple(one for part in parts for chain in part for one in chain)]

    def _narrowed(self, node: routing_trees.Node, provider: str) -> routes.Way | None:
        """The way of a channel by one provider alone."""
        if node.channels:
            return self._way(str(node.channels[0]), provider)
        self._pass_by(provider, routes.NO_PROVIDER, f"there is no provider {provider!r}")
        return None

    def _way(self, channel: str, provider: str | None = None) -> routes.Way | None:
        said = self._by.channels.get(channel, _NOTHING_SAID)
        address = people.address_of(self._profile, channel) if channel in people.CHANNELS else None
        if address is None:
            self._pass_by(channel, routes.NO_ADDRESS)
        elif said.condition is not None and not _holds(said.condition, self._seen):
            self._pass_by(channel, routes.CONDITION)
        elif provider in self._never:
            self._pass_by(channel, routes.CONDITION, f"of the provider {provider!r}")
        else:
            override = _said_there(self._by, channel, said)
            own = {**self._looks.get(channel, {}), **({"override": override} if override else {})}
            via = _via(self._by, said, self._never, provider)
            return routes.Way(channel, address, own, said.limit, via)
        return None

    def _pass_by(self, channel: str, why: str, text: str = "") -> None:
        self.passed[channel, text] = routes.Passed(channel, why, text)


def _alone(by: routing.Routing) -> str | None:
    """The channel of a routing that names one and says nothing else, as most do: there is nothing to resolve."""
    channels = by.root.channels
    is_bare = len(channels) == 1 and not (by.channels or by.providers or by.utm)
    return channels[0] if is_bare and isinstance(channels[0], str) else None


_NOTHING_SAID = routing.Channel()


def _said_there(by: routing.Routing, channel: str, said: routing.Channel) -> dict[str, Any]:
    """What is said of a message on a channel instead, by whatever provider (`by`: by one, or those of one kind)."""
    found = dict(said.override)
    if channel == "email" and (utm := {**by.utm, **said.utm}):
        found["utm"] = utm
    own = {
        name: {
            **_of_provider(name, one, channel),
            **({"utm": one.utm} if one.utm and channel == "email" else {}),
        }
        for name, one in by.providers.items()
    }
    if own := {name: override for name, override in own.items() if override}:
        found["by"] = own
    return found


def _of_provider(name: str, one: routing.Provider, channel: str) -> Mapping[str, Any]:
    if name not in providers.KINDS:
        return one.by_name.get(channel, {})
    return one.override if providers.channel_of(name) == channel else {}


def _via(
    by: routing.Routing, said: routing.Channel, never: tuple[str, ...], alone: str | None
) -> routes.Via | None:
    limits = {name: one.limit for name, one in by.providers.items() if one.limit is not None}
    only = said.providers if alone is None else (alone,)
    found = routes.Via(only, never, said.provider_limit, limits)
    return None if found == _ANY else found


def _by_each(way: routes.Way, said: routing.Channel | None) -> list[routes.Way]:
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
    """A chain that goes nowhere twice: neighbours on one channel are one way, by the providers of both in turn."""
    found: list[routes.Way] = []
    for one in chain:
        same = [place for place, other in enumerate(found) if _leads_as(other, one)]
        if same and same[-1] == len(found) - 1:
            found[-1] = msgspec.structs.replace(found[-1], via=_in_turn(found[-1].via, one.via))
        elif not any(_covers(found[place].via, one.via) for place in same):
            found.append(one)
    return tuple(found)


def _leads_as(way: routes.Way, other: routes.Way) -> bool:
    return (way.channel, way.address) == (other.channel, other.address)


def _covers(via: routes.Via | None, other: routes.Via | None) -> bool:
    """Whether who is asked on one way was asked on the other before."""
    if via is None or not via.only:
        return True
    return other is not None and bool(other.only) and {*other.only} <= {*via.only}


def _in_turn(via: routes.Via | None, after: routes.Via | None) -> routes.Via | None:
    """By the providers of one way, then by those of the next, on the same channel."""
    if via is None or not via.only:
        return via
    then = after or _ANY
    if then.only:
        return msgspec.structs.replace(via, only=tuple(dict.fromkeys((*via.only, *then.only))))
    return msgspec.structs.replace(via, only=(), first=via.only)


def _holds(condition: str, seen: Mapping[str, Any]) -> bool:
    return script_conditions.read(condition).holds(lambda root: seen.get(root, script_conditions.UNDEFINED))
