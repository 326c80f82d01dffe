"""Routing trees: the channels, providers and nested routings that a `routing` lists (courier-wire.md 2.1).

Law: pure. A provider that is listed stands for its channel, narrowed to it. A kind's channel is known here; whose own
name it is, and so of which channel, only the workspace knows: such an entry is open until it is placed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from heliograph import errors
from heliograph.core import courier_fields, ids, people, providers

CHANNELS = ("email", "sms", "push", "direct_message", "webhook", "inbox", "banner")
NAMES: Mapping[str, str] = {**{name: name for name in CHANNELS}, "chat": "direct_message"}
METHODS = ("single", "all")
DEEPEST, MOST = 4, 20
_LONGEST_NAME = 128


class Node(msgspec.Struct, frozen=True, array_like=True):
    """Channels, and how many of them."""

    method: str
    channels: tuple[str | Node, ...]
    provider: str | None = None
    """By whom alone it goes on the one channel that there is then; none where nobody knows yet which one that is."""


BY_EMAIL = Node("single", ("email",))
ANYWHERE = Node("single", people.CHANNELS)
"""By whichever channel somebody is reached."""


def read(reading: courier_fields.Read, given: object, path: str, depth: int = 1) -> Node | None:
    """What a `routing` lists."""
    if not isinstance(given, dict) or depth > DEEPEST:
        what = f'an object, {DEEPEST} deep at most: {{"method": "single", "channels": ["email"]}}'
        reading.fault(path, f"is {what}" if depth == 1 else f"is a channel, a provider, or {what}")
        return None
    reading.known(given, ("method", "channels"), path)
    method, listed = given.get("method"), given.get("channels")
    if method not in METHODS:
        reading.fault(f"{path}.method", errors.unknown("method", method, METHODS))
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST:
        reading.fault(f"{path}.channels", f"is a list of 1 to {MOST} channels and providers")
        return None
    found: list[str | Node] = []
    for place, one in enumerate(listed):
        at = f"{path}.channels[{place}]"
        if not isinstance(one, str):
            node = read(reading, one, at, depth + 1)
            found += [] if node is None else [node]
        elif one in NAMES:
            found.append(NAMES[one])
        elif ids.name_fault(one, "main-mail", _LONGEST_NAME) is None:
            found.append(_by(one, providers.KINDS[one].channel if one in providers.KINDS else None))
        else:
            reading.fault(at, lack(one, ()))
    return Node(str(method), tuple(found))


def lack(name: str, known: Iterable[str]) -> str:
    """That a name is neither a channel's nor a provider's; `known` is the names of the workspace's own providers."""
    there = ", ".join([*sorted(known), *providers.KINDS])
    return (
        f"there is no channel and no provider {name!r}: channels are {', '.join(CHANNELS)}; providers {there}"
    )


def _by(provider: str, channel: str | None) -> Node:
    return Node("single", () if channel is None else (channel,), provider)


def open_names(node: Node, path: str) -> Iterator[tuple[str, str]]:
    """(place, name) of every provider in a tree that is named by its own name."""
    for place, one in enumerate(node.channels):
        if isinstance(one, Node):
            at = f"{path}.channels[{place}]"
            if one.provider is None:
                yield from open_names(one, at)
            elif not one.channels:
                yield at, one.provider


def missing(node: Node, known: Mapping[str, str]) -> str | None:
    """What is wrong with the first provider in a tree that there is not; `known` is the channel of each that is."""
    found = next((name for _, name in open_names(node, "") if name not in known), None)
    return None if found is None else lack(found, known)


def placed(node: Node, known: Mapping[str, str]) -> Node:
    """A tree in which the channels of these providers are told; the same one where it names none."""
    if node.provider is not None:
        channel = known.get(node.provider)
        return node if node.channels or channel is None else _by(node.provider, channel)
    if next(open_names(node, ""), None) is None:
        return node
    channels = tuple(placed(one, known) if isinstance(one, Node) else one for one in node.channels)
    return Node(node.method, channels)


def named(node: Node) -> list[str]:
    """The channels that a tree names, each once, in order."""
    found: list[str] = []
    for one in node.channels:
        found += [one] if isinstance(one, str) else named(one)
    return list(dict.fromkeys(found))
