"""What is taken to be said by a tenant's people who said nothing, as requests and answers have it."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from heliograph.core import consent
from heliograph.web import courier


class DefaultBody(msgspec.Struct, kw_only=True):
    """What is taken to be said of a topic by the tenant's people who said nothing."""

    status: courier.TopicStatus
    has_custom_routing: bool | None = None
    custom_routing: list[courier.ChannelClass] | None = None


class DefaultItemBody(DefaultBody, kw_only=True):
    """The same, of which topic."""

    id: str


class DefaultsBody(msgspec.Struct):
    """What is taken to be said of each topic; of those that are not here, what those above the tenant say."""

    items: list[DefaultItemBody] | None = None


class DefaultItem(msgspec.Struct, kw_only=True):
    """A topic, and what is taken to be said of it."""

    id: str
    status: courier.TopicStatus
    has_custom_routing: bool
    custom_routing: list[courier.ChannelClass]


class DefaultItems(msgspec.Struct):
    """What a tenant has set."""

    items: list[DefaultItem]


def told(found: Mapping[str, consent.Topic]) -> DefaultItems:
    """What a tenant has set, by topic."""
    return DefaultItems([DefaultItem(id=name, **consent.shown(one)) for name, one in found.items()])
