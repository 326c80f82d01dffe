"""Mailing: a fan-out over a list, asked for by a run, and what is made of each person (a chapter of the turn).

Law: what it goes by is written down as the run asks for it. An item is a message, or, where there is something to ask
about each recipient first, a run of their own; its cursor counts how it ends, and the run hears once, when nothing is
open any more. A run that was canceled writes to nobody whom its cursors have not come to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph.core import campaigns, effects, ids, journeys, lists, messages, people, plans, runs
from heliograph.engine import desk as desks
from heliograph.engine import fanout, run
from heliograph.store import list_rows, rows

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_PLANNED, _UNROUTABLE = int(messages.State.PLANNED), int(messages.State.UNROUTABLE)
_EMAIL = "email"
NO_ADDRESS, NO_PROFILE = "no_address", "no_profile"


class Body(msgspec.Struct, frozen=True):
    """What a mailing goes by, as it was when it began."""

    tenant_id: str | None
    list_id: str
    visit: int
    template_id: str
    template_version: int
    look: dict[str, Any] | None
    data: dict[str, Any]
    request: dict[str, Any] | None = None
    strategy: str = "replace"
    source: tuple[str, ...] = ()
    """What the runs of recipients say where they come from."""
    depth: int = 0


_body = msgspec.json.Decoder(Body)


class Course(NamedTuple):
    """A mailing, ready to walk."""

    automation_id: bytes
    """The id of the effect that asked for it."""
    run_id: bytes
    body: Body


def course(row: rows.Fanout) -> Course:
    """A stored mailing."""
    assert row.run_id is not None
    return Course(row.automation_id, row.run_id, _body.decode(row.body))


def identity_of(run_id: bytes, visit: int, head: bytes) -> bytes:
    """The id of the effect by which the step of a visit, taken at the instant of `head`, asked for a mailing."""
    return ids.of_effect(run_id, visit, 0, head, ids.partition_of(run_id))


def token_of(identity: bytes) -> str:
    """The token of the runs that a mailing starts: no token of a journey begins like this."""
    return f"\x1fmailing:{ids.text(identity)}"


def begin(
    desk: desks.Desk, start: rows.Start, run_id: bytes, visit: int, depth: int, asked: effects.SendMany
) -> None:
    """Lay out a mailing that a run asks for."""
    identity = identity_of(run_id, visit, desk.head)
    request = None if asked.request is None else dict(asked.request)
    source = (f"send-list/{asked.list_id}", f"run/{ids.wire(run_id)}")
    body = Body(
        start.tenant_id,
        asked.list_id,
        visit,
        asked.template_id,
        asked.template_version,
        None if asked.look is None else dict(asked.look),
        dict(asked.data),
        request,
        asked.strategy,
        source,
        depth,
    )
    fanout_id = ids.of_fanout(identity)
    desk.writes.fanouts.append(
        rows.Fanout(start.workspace_id, fanout_id, identity, 1, _encode(body), desk.now, run_id)
    )
    fanout.begin_part(desk, start.workspace_id, fanout_id, 0)


def cursors_of(workspace_id: int, identity: bytes) -> list[tuple[int, bytes]]:
    """The keys of a mailing's cursors."""
    fanout_id = ids.of_fanout(identity)
    return [(workspace_id, ids.of_cursor(fanout_id, 0, partition)) for partition in range(ids.PARTITIONS)]


# ── its people ──────────────────────────────────────────────────────────────────────────────────────


def step(
    desk: desks.Desk,
    cursor: rows.Cursor,
    course: Course,
    found: Sequence[list_rows.Subscriber],
    *,
    is_last: bool,
) -> None:
    """Make the items of a cursor's next people; then it stands behind them."""
    walked = _as_they_are(desk, cursor, course, found, is_last=is_last)
    made: list[rows.Message] = []
    launched: list[rows.Launch] = []
    for person in walked:
        if course.body.tenant_id is not None and person.tenant_id not in (None, course.body.tenant_id):
            continue
        refusal = _refusal(course, person)
        ordinal = cursor.jobs + len(made) + len(launched)
        if course.body.request is not None and refusal is None:
            launched.append(_launch(desk, cursor, course, person, ordinal))
        else:
            made.append(_message(desk, cursor, course, person, ordinal, refusal))
    # Everything was decided: only now does the desk change.
    desk.writes.launches += launched
    desk.goes_on = desk.goes_on or bool(launched)
    fanout.move(desk, cursor, course.automation_id, walked, made, is_last=is_last, launched=len(launched))


def _as_they_are(
    desk: desks.Desk,
    cursor: rows.Cursor,
    course: Course,
    found: Sequence[list_rows.Subscriber],
    *,
    is_last: bool,
) -> Sequence[list_rows.Subscriber]:
    """The next people as earlier decisions of this turn left them, and those whom these put on the list."""
    wanted = (cursor.workspace_id, course.body.list_id, cursor.partition)
    whole = {person.user_id: person for person in found}
    for key, row in desk.writes.subscriptions.items():
        if key[:3] == wanted and row.user_id > cursor.place and (is_last or row.user_id <= found[-1].user_id):
            before = whole.get(row.user_id)
            contact = desk.contacts.get((cursor.workspace_id, row.user_id))
            preferences = row.preferences if before is None else row.preferences or before.preferences
            whole[row.user_id] = (
                list_rows.Subscriber(row.user_id, preferences, None, None, None)
                if contact is None
                else _of(contact, preferences)
            )
    for user_id, person in whole.items():
        changed = desk.writes.contacts.get((cursor.workspace_id, user_id))
        if changed is not None:
            whole[user_id] = _of(changed, person.preferences)
    return [whole[user_id] for user_id in sorted(whole)]


def _of(contact: rows.Contact, preferences: bytes | str | None) -> list_rows.Subscriber:
    return list_rows.Subscriber(
        contact.user_id, preferences, contact.tenant_id, contact.profile, contact.tags
    )


def _refusal(course: Course, person: list_rows.Subscriber) -> str | None:
    """Why nothing is sent to somebody, if so."""
    prefers = None if person.preferences is None else _decode(person.preferences)
    if lists.is_opted_out(prefers, course.body.template_id, None):
        return messages.OPTED_OUT
    if person.profile is None:
        return NO_PROFILE
    if course.body.request is None and people.email_of(_decode(person.profile)) is None:
        return NO_ADDRESS
    return None


def _message(
    desk: desks.Desk,
    cursor: rows.Cursor,
    course: Course,
    person: list_rows.Subscriber,
    ordinal: int,
    refusal: str | None,
) -> rows.Message:
    body = course.body
    profile: Mapping[str, Any] = {} if person.profile is None else _decode(person.profile)
    contact = {**profile, "id": person.user_id}
    filling = {"data": body.data, "profile": profile, "contact": contact}
    return rows.Message(
        cursor.workspace_id,
        ids.of_job(cursor.id, ordinal, person.user_id, _EMAIL, desk.head),
        cursor.partition,
        body.tenant_id,
        int(effects.Kind.MESSAGE),
        _EMAIL,
        course.automation_id,
        None,
        cursor.part,
        0,
        None,
        person.user_id,
        people.email_of(profile),
        body.template_id,
        body.template_version,
        None if refusal or body.look is None else _encode(body.look),
        None if refusal else _encode(filling),
        _UNROUTABLE if refusal else _PLANNED,
        desk.now if refusal else None,
        None,
        refusal,
    )


def _launch(
    desk: desks.Desk, cursor: rows.Cursor, course: Course, person: list_rows.Subscriber, ordinal: int
) -> rows.Launch:
    """The run of one recipient, about whom something is asked first."""
    body = course.body
    held = journeys.Body(
        body.source,
        data=body.data,
        template=body.template_id,
        recipient=person.user_id,
        depth=body.depth,
        mailing=ids.text(course.automation_id),
        request=body.request,
        strategy=body.strategy,
        template_version=body.template_version,
        look=body.look,
    )
    asked = effects.Start(
        effects.Door.JOURNEY,
        journeys.OWN,
        0,
        f"{ids.text(course.automation_id)}:{person.user_id}",
        person.user_id,
        token_of(course.automation_id),
        msgspec.to_builtins(held),
    )
    identity = ids.of_job(cursor.id, ordinal, person.user_id, "run", desk.head)
    return run.launch(cursor.workspace_id, identity, body.tenant_id, asked, desk.now)


# ── how it ends ─────────────────────────────────────────────────────────────────────────────────────


def hear(desk: desks.Desk, workspace_id: int, course: Course) -> None:
    """One of its partitions has come further: the run is told when all of them have come to their end."""
    found = [
        desk.cursors[key] for key in cursors_of(workspace_id, course.automation_id) if key in desk.cursors
    ]
    whole = campaigns.added([fanout.progress(one) for one in found])
    if whole.partitions < ids.PARTITIONS or whole.pending:
        return
    status = plans.Status.FAILED if whole.error else plans.Status.SUCCEEDED
    output = {"counts": counts(whole)}
    body = messages.answer_body(course.body.visit, 0, status, output, whole.error)
    partition, kind = ids.partition_of(course.run_id), int(effects.Inbox.REPLY)
    desk.writes.inbox.append(
        rows.Inbox(partition, workspace_id, course.automation_id, kind, course.run_id, body, 0)
    )


def counts(whole: campaigns.Progress) -> dict[str, int]:
    """How many items stand how, in Courier's words."""
    found = {
        "ENQUEUED": whole.pending,
        "SENT": whole.sent + whole.uncertain,
        "UNDELIVERABLE": whole.failed,
        "UNROUTABLE": whole.skipped,
    }
    return {status: count for status, count in found.items() if count}


def ended(desk: desks.Desk, start: rows.Start, run_id: bytes, body: journeys.Body, records: Any) -> None:
    """The run of one recipient has ended: its cursor counts it."""
    identity = ids.parse(body.mailing or "")
    if identity is None:
        return
    sent = records[-1].status if records else plans.Status.SKIPPED
    state = _ENDS.get(plans.Status(sent), messages.State.CANCELED)
    desk.writes.inbox.append(
        rows.Inbox(
            start.partition,
            start.workspace_id,
            run_id,
            int(effects.Inbox.JOB),
            None,
            messages.job_body(identity, 0, state),
            0,
        )
    )


_ENDS: Mapping[plans.Status, messages.State] = {
    plans.Status.SUCCEEDED: messages.State.ACCEPTED,
    plans.Status.FAILED: messages.State.FAILED,
}


def goes_on(row: rows.Run | None) -> bool:
    """Whether the mailing of a run goes on: until the run is canceled, from when on nothing of it begins."""
    return row is not None and row.status != runs.Status.CANCELED
