"""Wanted: the records that a turn's events need, gathered before they are read in bulk (a chapter of the turn).

Law: what a decision of this turn looks at is named here or by looking.py; what nobody looks at is not read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from heliograph.core import plans, rules
from heliograph.core.steps import lists
from heliograph.engine import match
from heliograph.store import rows

_OF_CONVERSATIONS = frozenset({"conversation", "channel_source"})


class Wanted(NamedTuple):
    """The records that a turn's events need."""

    contacts: set[tuple[int, str]]
    conversations: set[tuple[int, str]]
    cooldowns: set[tuple[int, bytes, str]]
    lists: set[tuple[int, str]]

    def add_people(self, event: rows.Event) -> None:
        """Whom an event is about, whatever its rules read."""
        if event.contact_id is not None:
            self.contacts.add((event.workspace_id, event.contact_id))
        if event.conversation_id is not None:
            self.conversations.add((event.workspace_id, event.conversation_id))

    def add_lists(
        self, waiting: Iterable[rows.Run], plan_of: Callable[[rows.Run], plans.Plan | None]
    ) -> None:
        """The lists that runs of rules name which go on: it may be a version that is none any more."""
        of_plans = {(row.automation_id, row.version): row for row in waiting if row.event_id is not None}
        for row in of_plans.values():
            plan = plan_of(row)
            if plan is not None:
                self.lists.update((row.workspace_id, list_id) for list_id in lists.named(plan))

    def add(self, event: rows.Event, trigger: match.Trigger) -> None:
        """What the rules of one event's type read."""
        workspace_id = event.workspace_id
        if event.contact_id is not None and "contact" in trigger.reads:
            self.contacts.add((workspace_id, event.contact_id))
        # A conversation's channel is that of its events that name none (rules.md R8).
        if event.conversation_id is not None and not trigger.reads.isdisjoint(_OF_CONVERSATIONS):
            self.conversations.add((workspace_id, event.conversation_id))
        if trigger.lists:
            self.lists.update((workspace_id, list_id) for list_id in trigger.lists)
        if trigger.has_cooldowns:
            subject = rules.cooldown_subject(event.contact_id, event.conversation_id)
            self.cooldowns.update((workspace_id, r.id, subject) for r in trigger.rules if r.cooldown_secs)
