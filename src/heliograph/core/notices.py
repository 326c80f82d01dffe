"""Notices: what the engine tells by itself, as events, when our own records change (engine.md E10).

Law: nothing is told of a write that changes nothing. `previous` has the values before it under the names that the
payload has, so that `changed` and `changed_to` of a rule mean the change itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from heliograph.core import conversations

CONTACT_CREATED, CONTACT_UPDATED = "contact_created", "contact_updated"
ASSIGNED, STATUS_CHANGED = "conversation_assigned", "conversation_status_changed"
TAGGED = "conversation_tagged"
MESSAGE_FAILED = "message_failed"

OF_CONTACTS = (CONTACT_CREATED, CONTACT_UPDATED)
OF_CONVERSATIONS = (ASSIGNED, STATUS_CHANGED, TAGGED)

SOURCE = "engine"


class Notice(NamedTuple):
    """One event of the engine's own."""

    event_type: str
    payload: Mapping[str, Any]
    previous: Mapping[str, Any] | None


def of_contact(
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any],
    tags_before: Sequence[str] = (),
    tags_after: Sequence[str] = (),
) -> list[Notice]:
    """What a write to a contact is told as; `before` is the profile, None where there was no contact.

    An update names the attributes that differ, with their values after and before; what is gone is null.
    """
    if before is None:
        return [Notice(CONTACT_CREATED, {**after, "tags": list(tags_after)}, None)]
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    payload = {name: after.get(name) for name in names}
    previous = {name: before.get(name) for name in names}
    if list(tags_before) != list(tags_after):
        payload["tags"], previous["tags"] = list(tags_after), list(tags_before)
    return [Notice(CONTACT_UPDATED, payload, previous)] if payload else []


def of_conversation(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Notice]:
    """What a write to a conversation is told as; both have the fields of core.conversations.FRESH."""
    known = conversations.FRESH if before is None else before
    found = []
    for event_type, names in ((ASSIGNED, ("agent_id", "division_id")), (STATUS_CHANGED, ("status",))):
        if any(known[name] != after[name] for name in names):
            found.append(
                Notice(
                    event_type, {name: after[name] for name in names}, {name: known[name] for name in names}
                )
            )
    if known["tags"] != after["tags"]:
        added = [tag for tag in after["tags"] if tag not in known["tags"]]
        removed = [tag for tag in known["tags"] if tag not in after["tags"]]
        payload = {"tags": after["tags"], "added": added, "removed": removed}
        found.append(Notice(TAGGED, payload, {"tags": known["tags"]}))
    return found
