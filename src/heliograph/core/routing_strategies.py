"""Routing strategies: by which channels messages go that say nothing of it themselves, in Courier's words.

Law: what is stored can be read as a message's own routing is; a fault is found when a strategy is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from heliograph import errors
from heliograph.core import courier_fields, documents, plans, routing

DEFAULT: Final = plans.DEFAULT_STRATEGY
"""The id of the strategy that is taken where neither the message nor its template names one."""
WRITABLE: Final = ("name", "description", "tags", "routing", "channels", "providers")
_MOST_TAGS, _LONGEST = 50, 1_000


class Definition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A strategy as people write and read it."""

    name: str
    description: str | None = None
    tags: list[str] | None = None
    routing: dict[str, Any]
    channels: dict[str, Any] = {}
    providers: dict[str, Any] = {}
    creator: str = ""
    updater: str | None = None

    def same(self, other: Definition) -> bool:
        """Whether it says the same, whoever says it."""
        return documents.is_same(
            msgspec.structs.replace(other, creator=self.creator, updater=self.updater), self
        )


def define(given: Mapping[str, Any], creator: str) -> tuple[Definition, list[str]]:
    """A strategy from what people write, and the places of what was passed over.

    Raises errors.InvalidInput with every fault at its place.
    """
    reading = courier_fields.Read()
    name = reading.text(given, "name", "")
    if name is None and not reading.faults:
        reading.fault("name", "is required")
    description = reading.text(given, "description", "", _LONGEST)
    tags = given.get("tags")
    if tags is not None and not _are_tags(tags):
        reading.fault("tags", f"is a list of at most {_MOST_TAGS} texts of at most 255 characters")
    if given.get("routing") is None:
        reading.fault("routing", 'is required: {"method": "single", "channels": ["email"]}')
    said = {part: given[part] for part in ("routing", "channels", "providers") if given.get(part) is not None}
    if routing.read(reading, said, "").strategy is not None:
        reading.fault(
            "routing.strategy_id", "is said by messages and templates: a strategy lists its channels"
        )
    if reading.faults:
        raise errors.InvalidInput(faults=[_at_top(one) for one in reading.faults[: documents.MAX_FAULTS]])
    definition = Definition(name=name or "", description=description, tags=tags, creator=creator, **said)
    return definition, [place.lstrip(".") for place in reading.ignored]


def _are_tags(given: object) -> bool:
    if not isinstance(given, list) or len(given) > _MOST_TAGS:
        return False
    return all(isinstance(one, str) and 1 <= len(one) <= courier_fields.LONGEST_TEXT for one in given)


def _at_top(fault: errors.Fault) -> errors.Fault:
    """A fault of a document that has no name of its own."""
    return errors.Fault(fault.path.lstrip("."), fault.message)


def routing_of(definition: Definition) -> routing.Routing:
    """By which channels a message goes that is sent by this strategy."""
    said = {"routing": definition.routing, "channels": definition.channels, "providers": definition.providers}
    return routing.read(courier_fields.Read(), said, "")
