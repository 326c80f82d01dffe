"""Files that say how people are reached and what they may choose: strategies, topics in sections, lists, audiences.

Law: each is read by the reader of its endpoint; what nobody knows is a fault here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from heliograph import errors
from heliograph.core import (
    audience_filters,
    documents,
    ids,
    lists,
    preference_topics,
    readers,
    routing_strategies,
)


class Topic(NamedTuple):
    """A topic as a file has it."""

    section_id: str
    definition: preference_topics.Topic


class Said(NamedTuple):
    """What a file says: the id, how it is called, and what it is."""

    id: str
    name: str
    content: Any


def strategy(identity: object, fields: Mapping[str, Any]) -> Said:
    """A routing strategy. Raises errors.InvalidInput with every fault."""
    faults = documents.unknown_keys(fields, routing_strategies.WRITABLE, "") + _id_faults(identity, "urgent")
    content, ignored = _read(faults, lambda: routing_strategies.define(fields, ""))
    strange = [errors.Fault(place, "is none of the fields that there are") for place in ignored]
    _refuse([*faults, *(one for one in strange if "." in one.path or "[" in one.path)])
    return Said(str(identity), content.name, content)


def section(identity: object, fields: Mapping[str, Any]) -> Said:
    """A section of topics. Raises errors.InvalidInput with every fault."""
    faults = documents.unknown_keys(fields, preference_topics.SECTION, "") + _id_faults(identity, "letters")
    content = _read(faults, lambda: preference_topics.define_section(fields))
    _refuse(faults)
    return Said(str(identity), content.name, content)


def topic(identity: object, fields: Mapping[str, Any]) -> Said:
    """A topic, which names its `section`. Raises errors.InvalidInput with every fault."""
    known = ("section", *preference_topics.TOPIC)
    faults = documents.unknown_keys(fields, known, "") + _id_faults(identity, "news")
    if ids.name_fault(fields.get("section"), "letters"):
        faults.append(errors.Fault("section", "is required: the id of a preference_section"))
    content = _read(faults, lambda: preference_topics.define_topic(fields))
    _refuse(faults)
    return Said(str(identity), content.name, Topic(fields["section"], content))


def group(identity: object, fields: Mapping[str, Any]) -> Said:
    """A list. Raises errors.InvalidInput with every fault."""
    faults = documents.unknown_keys(fields, ("name", "preferences"), "")
    fault = lists.id_fault(identity)
    faults += [errors.Fault("id", fault)] if fault else []
    name = _read(faults, lambda: readers.name(fields.get("name"), "name"))
    preferences = _read(faults, lambda: lists.check_preferences(fields.get("preferences"), "preferences"))
    _refuse(faults)
    return Said(str(identity), str(name), preferences)


def audience(identity: object, fields: Mapping[str, Any]) -> Said:
    """An audience. Raises errors.InvalidInput with every fault."""
    faults = documents.unknown_keys(fields, ("name", "description", "filter"), "")
    faults += _id_faults(identity, "paying")
    name = _read(faults, lambda: readers.name(fields.get("name", identity), "name"))
    said = fields.get("description")
    described = _read(faults, lambda: "" if said is None else readers.description(said, "description"))
    found = fields.get("filter")
    if found is not None:
        _read(faults, lambda: audience_filters.parse(found))
    _refuse(faults)
    return Said(str(identity), name, {"name": name, "description": described, "filter": found})


def _id_faults(identity: object, example: str) -> list[errors.Fault]:
    fault = ids.name_fault(identity, example)
    return [errors.Fault("id", fault)] if fault else []


def _read(faults: list[errors.Fault], reading: Callable[[], Any]) -> Any:
    """What is read; what is wrong with it is collected, and ends the reading where nothing comes of it."""
    try:
        return reading()
    except errors.InvalidInput as refusal:
        raise errors.InvalidInput(faults=[*faults, *refusal.faults]) from None


def _refuse(faults: list[errors.Fault]) -> None:
    if faults:
        raise errors.InvalidInput(faults=faults)
