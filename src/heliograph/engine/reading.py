"""Reading: what a turn's inputs look at, read in bulk before the first of them is decided (a chapter of the turn).

Law: a statement for each table, whatever many inputs there are. What cannot be known beforehand (lists that texts name
about what came before in this turn) is read when it is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from heliograph.core import effects, plans, pseudonyms, templates
from heliograph.engine import bounds, departed, knowledge, looking, match, records, saving
from heliograph.engine import desk as desks
from heliograph.engine import wanted as wanted_records
from heliograph.store import database, rows

_Input = TypeVar("_Input", rows.Inbox, rows.Event)
_Met = tuple[rows.Event, match.Trigger | None]


class Reading:
    """What the turns of one connection read."""

    def __init__(
        self,
        session: database.Session,
        known: knowledge.Knowledge,
        limits: bounds.Limits,
        culprits: Mapping[tuple[int, bytes], Exception],
    ):
        """`culprits` are inputs whose turn failed with them alone: nothing is read for them."""
        self._session, self._knowledge, self._limits, self._culprits = session, known, limits, culprits
        self._workspaces, self._plan = known.workspaces, known.plan
        self._connection: Any = None
        """That of the present turn's transaction."""
        self._departed = departed.NOBODY
        """Of those whom the present turn's earlier events are about."""

    def read(self, connection: Any, taken: rows.Taken, desk: desks.Desk) -> None:
        """Put on the desk what these inputs look at."""
        hot, self._connection = self._session.hot, connection
        for workspace_id, version in taken.versions.items():
            self._knowledge.know(workspace_id, version)
        retried = {(t.workspace_id, t.id) for t in taken.timers if t.kind == effects.Timer.EVENT}
        inbox = self._healthy(taken.inbox)
        resumed = {(i.workspace_id, i.run_id) for i in inbox if i.run_id is not None}
        due_again = {(t.workspace_id, t.id) for t in taken.timers if t.kind == effects.Timer.SEND}
        due_again |= {(i.workspace_id, i.id) for i in inbox if i.kind == effects.Inbox.LET_GO}
        if resumed:
            desk.runs = hot.read_runs(connection, resumed)
            retried |= self._knowledge.going_on(desk.runs.values())
        if retried:
            desk.events = {(e.workspace_id, e.id): e for e in hot.read_events(connection, retried)}
            desk.attempts = hot.read_attempts(connection, retried)
            theirs = [one for one in desk.events.values() if one.workspace_id in taken.erasing]
            about = {(one.workspace_id, one.contact_id) for one in theirs if one.contact_id is not None}
            self._departed = departed.among(connection, hot, about)
        if due_again:
            desk.messages = hot.read_messages(connection, due_again)
        self._read_people(connection, inbox, self._healthy(taken.events), desk)

    def is_of_deleted(self, event: rows.Event) -> bool:
        """Whether whom an earlier event is about was deleted since."""
        had = self._departed.had(event, event.contact_id)
        return had or pseudonyms.is_name(event.contact_id)

    def _healthy(self, taken: Sequence[_Input]) -> Sequence[_Input]:
        """Without the culprits: looking at what they are about may be what failed."""
        if not self._culprits:
            return taken
        return [row for row in taken if (row.workspace_id, row.id) not in self._culprits]

    def _read_people(
        self, connection: Any, inboxes: Sequence[rows.Inbox], events: Sequence[rows.Event], desk: desks.Desk
    ) -> None:
        hot, wanted = self._session.hot, wanted_records.Wanted(set(), set(), set(), set())
        known = self._healthy(tuple(desk.events.values()))
        for event in known:
            # A run that goes on may be of a rule that is gone: what it writes has to be known all the same.
            wanted.add_people(event)
        spaces = self._workspaces
        met = [(e, spaces[e.workspace_id].trigger(e.tenant_id, e.event_type)) for e in (*events, *known)]
        for event, trigger in met:
            if trigger is not None:
                wanted.add(event, trigger)
        for inbox in inboxes:
            if inbox.kind in records.INBOX:
                wanted.conversations.add((inbox.workspace_id, records.conversation_in(inbox)))
            elif inbox.kind == effects.Inbox.PROFILE:
                wanted.contacts.add((inbox.workspace_id, saving.contact_in(inbox)))
        if wanted.contacts:
            desk.contacts = hot.read_contacts(connection, wanted.contacts)
            desk.contacts_looked_up |= wanted.contacts
        if wanted.conversations:
            desk.conversations = hot.read_conversations(connection, wanted.conversations)
        if wanted.cooldowns:
            desk.cooldowns = hot.read_cooldowns(connection, wanted.cooldowns)
        wanted.add_lists(desk.runs.values(), self._plan)
        self._read_lists(connection, wanted.lists, met, desk)

    def _read_lists(
        self, connection: Any, wanted: set[tuple[int, str]], met: Sequence[_Met], desk: desks.Desk
    ) -> None:
        """Those lists, and those that the rules which these events meet name by texts."""
        for event, trigger in met:
            if trigger is not None and trigger.list_texts:
                scene = match.scene_of(self._workspaces[event.workspace_id], event, desk, self._limits)
                wanted |= looking.lists_said(event.workspace_id, scene, trigger.list_texts)
        desk.lists_looked_up |= wanted
        desk.know_lists(self._session.hot.read_lists(connection, wanted))

    def scene(
        self,
        desk: desks.Desk,
        workspace: match.Workspace,
        event: rows.Event,
        list_texts: Sequence[templates.Text],
    ) -> plans.Scene:
        """What the rules of an event see, with the lists that these texts name."""
        scene = match.scene_of(workspace, event, desk, self._limits)
        if list_texts:
            # Nearly all were read with the others; those are left that what came before in this turn has changed.
            unseen = looking.lists_said(event.workspace_id, scene, list_texts) - desk.lists_looked_up
            if unseen:
                desk.lists_looked_up |= unseen
                desk.know_lists(self._session.hot.read_lists(self._connection, unseen))
            scene.lists = desk.lists.get(event.workspace_id, plans.NO_LISTS)
        return scene
