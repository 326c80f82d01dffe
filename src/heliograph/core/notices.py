"""Notices: what the engine tells by itself, as events, when our own records change (engine.md E10).

Law: nothing is told of a write that changes nothing. `previous` has the values before it under the names that the
payload has, so that `changed` and `changed_to` of a rule mean the change itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from heliograph.core import conversations, operators, reports, schedule

CONTACT_CREATED, CONTACT_UPDATED = "contact_created", "contact_updated"
ASSIGNED, STATUS_CHANGED = "conversation_assigned", "conversation_status_changed"
TAGGED = "conversation_tagged"
MESSAGE_FAILED = "message_failed"
MESSAGE_DELIVERED, MESSAGE_OPENED = "message_delivered", "message_opened"
MESSAGE_CLICKED, MESSAGE_BOUNCED = "message_clicked", "message_bounced"

SEGMENT_ENTERED, SEGMENT_LEFT = "segment_entered", "segment_left"

OF_CONTACTS = (CONTACT_CREATED, CONTACT_UPDATED)
OF_SEGMENTS = (SEGMENT_ENTERED, SEGMENT_LEFT)
OF_CONVERSATIONS = (ASSIGNED, STATUS_CHANGED, TAGGED)
OF_REPORTS = (MESSAGE_DELIVERED, MESSAGE_OPENED, MESSAGE_CLICKED, MESSAGE_BOUNCED)

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
    names = [name for name in {**before, **after} if not operators.same(before.get(name), after.get(name))]
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


def of_reports(before: reports.Known, after: reports.Known) -> list[Notice]:
    """What is told of a message of which more is known now; beside this the payload says what message it is.

    Each is told once; a click once for each link.
    """
    found = []
    for event_type, name in ((MESSAGE_DELIVERED, "delivered_at"), (MESSAGE_OPENED, "opened_at")):
        at = getattr(after, name)
        if at is not None and getattr(before, name) is None:
            found.append(Notice(event_type, {name: schedule.write_instant(at)}, None))
    if after.clicked_at is not None:
        told: list[str | None] = [link for link in after.told.links if link not in before.told.links]
        if not told and before.clicked_at is None:
            told = [None]
        at = schedule.write_instant(after.clicked_at)
        found += [Notice(MESSAGE_CLICKED, {"clicked_at": at, "link": link}, None) for link in told]
    bounce = after.told.bounce
    if bounce is not None and (before.told.bounce is None or before.told.bounce.kind != bounce.kind):
        at = schedule.write_instant(bounce.at)
        payload = {"bounced_at": at, "bounce": bounce.kind, "error": bounce.words}
        found.append(Notice(MESSAGE_BOUNCED, payload, None))
    return found
