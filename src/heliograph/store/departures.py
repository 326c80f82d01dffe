"""Departures: somebody is deleted, and what is under way for them ends (engine.md E22).

Law: in the transaction that deletes them their runs are told to end, what is planned for them is canceled, and who they
were is noted: from there on erasures.py takes them out of history.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import effects, events, ids, messages, pseudonyms, rules, runs, tenants
from heliograph.store import answers, database, identities, requests, schema, statistics
from heliograph.store.erasure_rows import Whose

_MESSAGES, _STARTS, _RUNS = schema.messages.c, schema.starts.c, schema.runs.c
_encode = msgspec.json.encode
_AT_ONCE = 500
OPEN = (int(messages.State.PLANNED), int(messages.State.HELD), int(messages.State.DELAYED))
"""How a message stands that may yet go out."""


class Erasure(NamedTuple):
    """Somebody who is being taken out of history."""

    workspace_id: int
    id: bytes
    user_id: str
    who: pseudonyms.Pseudonym
    reached: bytes
    until: bytes
    tenant_id: str | None
    """The tenant that deleted them, to which what is another tenant's is somebody else's; None = the workspace."""

    @property
    def whose(self) -> Whose:
        """Who they are, and who deleted them."""
        return Whose(self.workspace_id, self.user_id, self.tenant_id)

    @property
    def last(self) -> bytes:
        """Nothing beyond this id is theirs: it is of whoever came back."""
        return ids.head(ids.created_at(self.id)) + b"\xff" * 8

    def is_of(self, tenant_id: str | None) -> bool:
        """Whether a row of this tenant (None: of the workspace) may be theirs."""
        return tenants.reaches(self.tenant_id, tenant_id)

    @property
    def partition(self) -> int:
        """Where their runs are moved."""
        return rules.partition_of_person(self.workspace_id, self.user_id)


def begin(
    store: database.Database,
    connection: sa.Connection,
    whose: Whose,
    profile: Mapping[str, Any],
    now: int,
) -> None:
    """Let what is under way for somebody end here, and note that they are to go; their partition is locked."""
    workspace_id, user_id, tenant_id = whose
    identity = identities.fresh(now)
    who = pseudonyms.of_contact(identity, user_id, profile)
    connection.execute(
        sa.insert(schema.erasures).values(
            workspace_id=workspace_id,
            id=identity,
            user_id=user_id,
            pseudonym=_encode(who),
            tenant_id=tenant_id,
        )
    )
    requests.cancel_of(connection, whose, now, messages.CONTACT_DELETED)
    cancel_messages(store, connection, whose, now)
    # What a delivery has in hand goes on; where it comes back it goes nowhere any more (engine/admission.py).
    connection.execute(
        sa.update(schema.messages)
        .where(
            _MESSAGES.workspace_id == workspace_id,
            _MESSAGES.contact_id == user_id,
            schema.is_reached(_MESSAGES.tenant_id, tenant_id),
            sa.or_(
                _MESSAGES.state.in_(OPEN),
                # Nothing follows any more what they had (engine/escalating.py).
                sa.cast(_MESSAGES.route, sa.Text).contains('"escalation"'),
            ),
        )
        .values(contact_id=who.name, address=None)
    )
    _cancel_runs(connection, whose)
    changes = schema.consent_changes.c
    # What is said to the workspace has an empty tenant there.
    said = sa.true() if tenant_id is None else changes.tenant_id.in_(("", tenant_id))
    connection.execute(
        sa.update(schema.consent_changes)
        .where(changes.workspace_id == workspace_id, changes.user_id == user_id, said)
        .values(user_id=who.name)
    )
    sends, members = schema.recent_sends.c, schema.tenant_users.c
    connection.execute(
        sa.delete(schema.recent_sends).where(sends.workspace_id == workspace_id, sends.user_id == user_id)
    )
    connection.execute(
        sa.update(schema.tenant_users)
        .where(
            members.workspace_id == workspace_id,
            members.user_id == user_id,
            schema.is_reached(members.tenant_id, tenant_id),
        )
        .values(profile=None)
    )


def cancel_messages(store: database.Database, connection: sa.Connection, whose: Whose, now: int) -> None:
    """Let what is planned for somebody go out no more, but for what is in hand; who waits for it is told."""
    workspace_id, user_id, tenant_id = whose
    theirs = (
        _MESSAGES.workspace_id == workspace_id,
        _MESSAGES.contact_id == user_id,
        schema.is_reached(_MESSAGES.tenant_id, tenant_id),
    )
    open_ones = sa.select(_MESSAGES.id).where(*theirs, _MESSAGES.state.in_(OPEN))
    planned = connection.execute(open_ones).scalars().all()
    canceled, told = messages.State.CANCELED, messages.CONTACT_DELETED
    # In parts: nobody knows how many there are, and a statement takes so many values.
    for first in range(0, len(planned), _AT_ONCE):
        some = planned[first : first + _AT_ONCE]
        keys = [(workspace_id, identity) for identity in some]
        store.hot.cancel_messages(connection.connection.driver_connection, now, keys)
        stopped = (
            _MESSAGES.workspace_id == workspace_id,
            _MESSAGES.id.in_(some),
            _MESSAGES.state == int(canceled),
        )
        connection.execute(sa.update(schema.messages).where(*stopped).values(error=told))
        ended = connection.execute(sa.select(*answers.COLUMNS).where(*stopped)).all()
        answers.tell(connection, workspace_id, map(answers.Ended._make, ended), canceled, told)


def _cancel_runs(connection: sa.Connection, whose: Whose) -> None:
    """Lay a cancel into the inbox of every run for somebody that is under way: their next turns end them."""
    workspace_id, user_id, tenant_id = whose
    theirs = sa.select(_STARTS.run_id).join_from(
        schema.starts,
        schema.runs,
        (_RUNS.workspace_id == _STARTS.workspace_id) & (_RUNS.id == _STARTS.run_id),
    )
    theirs = theirs.where(
        _STARTS.workspace_id == workspace_id,
        _STARTS.contact_id == user_id,
        schema.is_reached(_STARTS.tenant_id, tenant_id),
        _RUNS.status.in_([int(status) for status in runs.IN_PROGRESS]),
    )
    found = list(connection.execute(theirs).scalars())
    answers.cancel_runs(connection, workspace_id, found, _encode(messages.CONTACT_DELETED))


def end_events(connection: sa.Connection, workspace_id: int, chosen: Collection[bytes], now: int) -> None:
    """Let those of somebody's events that nobody has decided meet no rule any more; their partition is locked."""
    due, decisions, timers = schema.due, schema.decisions, schema.timers
    gone: dict[str, Any] = {"status": events.State.PROCESSED, "available_at": None, "decided_at": now}
    gone["error"] = messages.CONTACT_DELETED
    places = {ids.partition_of(identity) for identity in chosen}
    in_line = sa.delete(due).where(
        due.c.partition.in_(places), due.c.workspace_id == workspace_id, due.c.event_id.in_(chosen)
    )
    new = list(connection.execute(in_line.returning(due.c.event_id)).scalars())
    version = sa.select(schema.workspaces.c.definitions_version).where(schema.workspaces.c.id == workspace_id)
    seen = {"workspace_id": workspace_id, "attempts": 0, "definitions_version": connection.scalar(version)}
    answers.put(connection, decisions, [{**seen, **gone, "event_id": identity} for identity in new])
    statistics.recount(connection, workspace_id, new, total=1, processed=1)
    open_ones = (
        decisions.c.workspace_id == workspace_id,
        decisions.c.event_id.in_(chosen),
        decisions.c.status.in_([events.State.PENDING, events.State.HELD]),
    )
    again = list(connection.execute(sa.select(decisions.c.event_id).where(*open_ones)).scalars())
    if not again:
        return
    connection.execute(sa.update(decisions).where(*open_ones).values(gone))
    statistics.recount(connection, workspace_id, again, processed=1)
    # When one is tried again is not told by its row: a pause puts it off.
    connection.execute(
        sa.delete(timers).where(
            schema.timers_are(effects.Timer.EVENT),
            timers.c.workspace_id == workspace_id,
            timers.c.id.in_(again),
        )
    )
