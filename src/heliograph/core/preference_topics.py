"""Topics: what a workspace writes about, in sections, as the people who may choose see it.

Law: a topic has one status for whoever said nothing of it: OPTED_IN, OPTED_OUT, or REQUIRED, which nobody can refuse.
On Courier's wire a section is a workspace preference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from heliograph import errors
from heliograph.core import consent, ids

SECTION: Final = ("name", "description", "has_custom_routing", "routing_options")
TOPIC: Final = (
    *("name", "default_status", "description", "routing_options", "allowed_preferences"),
    *("include_unsubscribe_header", "topic_data"),
)
PAGE: Final = ("heading", "description", "brand_id")
ALLOWED: Final = ("snooze", "channel_preferences")
MOST_SECTIONS, MOST_TOPICS = 50, 200
_LONGEST_NAME, _LONGEST_TEXT, _MOST_DATA = 200, 2_000, 10_000


class Section(msgspec.Struct, frozen=True, omit_defaults=True):
    """A group of topics."""

    name: str
    description: str | None = None
    has_custom_routing: bool = False
    routing_options: list[str] = []


class Topic(msgspec.Struct, frozen=True, omit_defaults=True):
    """What messages are about."""

    name: str
    default_status: str
    description: str | None = None
    routing_options: list[str] = []
    """The channels on which it goes to whoever said nothing; empty: all."""
    allowed_preferences: list[str] = []
    include_unsubscribe_header: bool = False
    topic_data: dict[str, Any] = {}

    @property
    def default(self) -> consent.Topic:
        """What is taken to be said by whoever said nothing."""
        return consent.Topic(self.default_status, tuple(self.routing_options) or None)


class PageTopic(msgspec.Struct, frozen=True, omit_defaults=True):
    """A topic as the page of preferences shows it."""

    id: str
    name: str
    description: str | None = None


class PageSection(msgspec.Struct, frozen=True, omit_defaults=True):
    """A section as the page of preferences shows it."""

    name: str
    topics: list[PageTopic]
    description: str | None = None


class Page(msgspec.Struct, frozen=True, omit_defaults=True):
    """The page on which people choose, as it was published."""

    sections: list[PageSection] = []
    heading: str | None = None
    description: str | None = None
    brand_id: str | None = None
    """In whose look it is drawn; None: in that of the default brand, an empty text: in none."""


def define_page(given: Mapping[str, Any]) -> Page:
    """The page that says this, with no sections yet. Raises errors.InvalidInput with every fault."""
    heading, description, brand = (given.get(name) for name in PAGE)
    faults = _length_faults(
        {"heading": (heading, _LONGEST_NAME), "description": (description, _LONGEST_TEXT)}
    )
    if brand is not None and (not isinstance(brand, str) or not brand):
        faults.append(errors.Fault("brand_id", "is a brand's id, default, none, or null"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    chosen = {None: None, "default": None, "none": ""}.get(brand, brand)
    return Page(heading=heading or None, description=description or None, brand_id=chosen)


def check_id(given: object, path: str = "id") -> str | None:
    """The id that somebody names, None where they name none. Raises errors.InvalidInput."""
    fault = None if given is None else ids.name_fault(given, "news")
    if fault:
        raise errors.InvalidInput.at(path, fault)
    return None if given is None else str(given)


def define_section(given: Mapping[str, Any]) -> Section:
    """The section that says this; what nobody knows is passed over. Raises errors.InvalidInput with every fault."""
    faults = [*_text_faults(given), *_routing_faults(given), *_flag_faults(given, "has_custom_routing")]
    if faults:
        raise errors.InvalidInput(faults=faults)
    return Section(**_kept(given, SECTION))


def define_topic(given: Mapping[str, Any]) -> Topic:
    """The topic that says this; what nobody knows is passed over. Raises errors.InvalidInput with every fault."""
    faults = [
        *_text_faults(given),
        *_routing_faults(given),
        *_flag_faults(given, "include_unsubscribe_header"),
    ]
    if given.get("default_status") not in consent.STATUSES:
        faults.append(errors.Fault("default_status", f"is one of {', '.join(consent.STATUSES)}"))
    allowed, data = given.get("allowed_preferences"), given.get("topic_data")
    if allowed is not None and not _all_of(allowed, ALLOWED):
        faults.append(errors.Fault("allowed_preferences", f"is a list of {' and '.join(ALLOWED)}"))
    if data is not None and (not isinstance(data, dict) or len(str(data)) > _MOST_DATA):
        faults.append(errors.Fault("topic_data", f"is an object of at most {_MOST_DATA:,} characters"))
    if given.get("digest") is not None:
        faults.append(
            errors.Fault("digest", "is not supported: collect with the step add-to-batch of a journey")
        )
    if faults:
        raise errors.InvalidInput(faults=faults)
    return Topic(**_kept(given, TOPIC))


def _kept(given: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: given[name] for name in names if given.get(name) is not None}


def _text_faults(given: Mapping[str, Any]) -> list[errors.Fault]:
    name, description = given.get("name"), given.get("description")
    faults = []
    if name is None:
        faults.append(errors.Fault("name", "is required"))
    elif not isinstance(name, str) or not 1 <= len(name.strip()) <= _LONGEST_NAME:
        faults.append(errors.Fault("name", f"is a text of 1 to {_LONGEST_NAME} characters"))
    return [*faults, *_length_faults({"description": (description, _LONGEST_TEXT)})]


def _length_faults(given: Mapping[str, tuple[object, int]]) -> list[errors.Fault]:
    """What is wrong with texts that may be left out, each with how many characters it may have."""
    return [
        errors.Fault(name, f"is a text of at most {most:,} characters")
        for name, (text, most) in given.items()
        if text is not None and (not isinstance(text, str) or len(text) > most)
    ]


def _routing_faults(given: Mapping[str, Any]) -> list[errors.Fault]:
    routing = given.get("routing_options")
    if routing is None or _all_of(routing, consent.CLASSES):
        return []
    return [errors.Fault("routing_options", f"is a list of {', '.join(consent.CLASSES)}")]


def _flag_faults(given: Mapping[str, Any], name: str) -> list[errors.Fault]:
    return [] if isinstance(given.get(name), bool | None) else [errors.Fault(name, "is true or false")]


def _all_of(given: object, known: tuple[str, ...]) -> bool:
    return isinstance(given, list) and all(isinstance(one, str) and one in known for one in given)
