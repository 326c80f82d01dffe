"""Mailing: a fan-out over a list, asked for by a run, and what is made of each person (a chapter of the turn).

Law: what it goes by is written down as the run asks for it. An item is a message, or, where there is something to ask
about each recipient first, a run of their own; its cursor counts how it ends, and the run hears once, when nothing is
open any more. A run that was canceled writes to nobody whom its cursors have not come to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from heliograph.core import (
    audience_filters,
    campaigns,
    effects,
    ids,
    journey_starts,
    lists,
    messages,
    outgoing,
    people,
    plans,
    routes,
    routing,
    runs,
    tenants,
)
from heliograph.engine import courses, fanout, run
from heliograph.engine import desk as desks
from heliograph.store import fanout_rows, list_rows, rows

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_PLANNED, _UNROUTABLE = int(messages.State.PLANNED), int(messages.State.UNROUTABLE)
NO_PROFILE = "no_profile"


def identity_of(run_id: bytes, visit: int, head: bytes) -> bytes:
    """The id of the effect by which the step of a visit, taken at the instant of `head`, asked for a mailing."""
    return ids.of_effect(run_id, visit, 0, head, ids.partition_of(run_id))


def begin(
    desk: desks.Desk,
    start: rows.Start,
    key: tuple[bytes, int],
    depth: int,
    asked: effects.SendMany,
    topic: str | None,
) -> None:
    """Lay out a mailing that the step of a run asks for; `key` is (run, visit), `topic` what it is about."""
    run_id, visit = key
    identity = identity_of(run_id, visit, desk.head)
    request = None if asked.request is None else dict(asked.request)
    source = (f"send-list/{asked.list_id}", f"run/{ids.wire(run_id)}")
    body = courses.Body(
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
        topic=topic,
        override=None if asked.override is None else dict(asked.override),
        said=None if asked.letter is None else msgspec.structs.replace(asked.letter, topic=topic),
    )
    fanout_id = ids.of_fanout(identity)
    desk.writes.fanouts.append(
        fanout_rows.Fanout(start.workspace_id, fanout_id, identity, 1, _encode(body), desk.now, run_id)
    )
    fanout.begin_part(desk, start.workspace_id, fanout_id, 0)


def begin_of_request(
    desk: desks.Desk, workspace_id: int, mailed: tuple[bytes, courses.Body], run_id: bytes | None, due_at: int
) -> None:
    """Lay out a mailing, due since `due_at`, that a request asks for; `run_id` is whose step asked for that."""
    identity, body = mailed
    fanout_id = ids.of_fanout(identity)
    desk.writes.fanouts.append(
        fanout_rows.Fanout(
            workspace_id, fanout_id, identity, courses.OF_REQUEST, _encode(body), due_at, run_id
        )
    )
    fanout.begin_part(desk, workspace_id, fanout_id, 0)


def cursors_of(workspace_id: int, identity: bytes) -> list[tuple[int, bytes]]:
    """The keys of a mailing's cursors."""
    fanout_id = ids.of_fanout(identity)
    return [(workspace_id, ids.of_cursor(fanout_id, 0, partition)) for partition in range(ids.PARTITIONS)]


# ── its people ──────────────────────────────────────────────────────────────────────────────────────


def step(
    desk: desks.Desk,
    cursor: fanout_rows.Cursor,
    course: courses.Course,
    found: Sequence[list_rows.Subscriber],
    *,
    is_last: bool,
) -> None:
    """Make the items of a cursor's next people; then it stands behind them."""
    walked = _as_they_are(desk, cursor, course, found, is_last=is_last)
    made: list[rows.Message] = []
    launched: list[rows.Launch] = []
    for person in walked:
        if not _is_meant(desk, cursor, course, person):
            continue
        refusal = _refusal(course, person)
        ordinal = cursor.jobs + len(made) + len(launched)
        if course.body.request is not None and refusal is None:
            launched.append(_launch(desk, cursor, course, person, ordinal))
        else:
            made += _messages(desk, cursor, course, person, ordinal, refusal)
    # Everything was decided: only now does the desk change.
    desk.writes.launches += launched
    fanout.move(desk, cursor, course.automation_id, walked, made, is_last=is_last, launched=len(launched))


def _is_meant(
    desk: desks.Desk, cursor: fanout_rows.Cursor, course: courses.Course, person: list_rows.Subscriber
) -> bool:
    """Whether somebody who is walked over is one of those whom it is for."""
    body = course.body
    # Who has no profile is nobody's; the workspace's own are no more theirs than another tenant's.
    if body.tenant_id is not None and person.profile is not None and person.tenant_id != body.tenant_id:
        return False
    known = {
        one: desk.tenant_profiles.get((cursor.workspace_id, person.user_id, one)) for one in course.asks_of
    }
    joined = {one for one, there in known.items() if there is not None and there.own is not None}
    if body.member_of is not None and body.member_of not in {*joined, person.tenant_id}:
        return False
    if course.is_in is None:
        return True
    profile = {} if person.profile is None else _decode(person.profile)
    seen = audience_filters.view(person.user_id, person.tenant_id, profile, joined)
    return course.is_in(seen, person.tenant_id)


def _as_they_are(
    desk: desks.Desk,
    cursor: fanout_rows.Cursor,
    course: courses.Course,
    found: Sequence[list_rows.Subscriber],
    *,
    is_last: bool,
) -> Sequence[list_rows.Subscriber]:
    """The next people as earlier decisions of this turn left them, and those whom these let in."""
    whole = {person.user_id: person for person in found}
    last = None if is_last else found[-1].user_id
    if course.body.audience is None:
        _add_subscribed(desk, cursor, course, whole, last)
    for (workspace_id, user_id), row in desk.writes.contacts.items():
        before = whole.get(user_id)
        if workspace_id == cursor.workspace_id and before is not None:
            whole[user_id] = _of(row, before)
        elif course.body.audience is not None and _follows(cursor, row, last):
            whole[user_id] = _of(row, list_rows.Subscriber(user_id))
    return [whole[user_id] for user_id in sorted(whole)]


def _follows(cursor: fanout_rows.Cursor, row: rows.Contact, last: str | None) -> bool:
    """Whether a cursor comes to a contact in this step."""
    mine = row.workspace_id == cursor.workspace_id and row.partition == cursor.partition
    return mine and row.user_id > cursor.place and (last is None or row.user_id <= last)


def _add_subscribed(
    desk: desks.Desk,
    cursor: fanout_rows.Cursor,
    course: courses.Course,
    whole: dict[str, list_rows.Subscriber],
    last: str | None,
) -> None:
    """Add whom this turn put on one of the lists, up to the last of those who were read."""
    wanted = {(cursor.workspace_id, list_id, cursor.partition) for list_id in course.body.lists}
    for key, row in desk.writes.subscriptions.items():
        if key[:3] in wanted and row.user_id > cursor.place and (last is None or row.user_id <= last):
            one = whole.get(row.user_id, list_rows.Subscriber(row.user_id))
            if len(wanted) == 1:
                one = one._replace(preferences=row.preferences or one.preferences)
            else:
                said = row.preferences or one.by_list.get(row.list_id)
                one = one._replace(by_list={**one.by_list, row.list_id: said})
            contact = desk.contacts.get((cursor.workspace_id, row.user_id))
            whole[row.user_id] = one if contact is None else _of(contact, one)


def _of(contact: rows.Contact, one: list_rows.Subscriber) -> list_rows.Subscriber:
    return one._replace(tenant_id=contact.tenant_id, profile=contact.profile, tags=contact.tags)


def _refusal(course: courses.Course, person: list_rows.Subscriber) -> str | None:
    """Why nothing is sent to somebody, if so."""
    letter, topic = course.letter, course.letter.topic or course.body.topic
    # On several lists at once, one on which they want it is enough.
    if all(
        one is not None and lists.is_opted_out(_decode(one), letter.template_id, topic)
        for one in (person.by_list.values() or (person.preferences,))
    ):
        return messages.OPTED_OUT
    if person.profile is None:
        return NO_PROFILE
    is_by_email = letter.routing == routing.BY_EMAIL
    if course.body.request is None and is_by_email and people.email_of(_decode(person.profile)) is None:
        return routes.NO_ADDRESS
    return None


def _messages(
    desk: desks.Desk,
    cursor: fanout_rows.Cursor,
    course: courses.Course,
    person: list_rows.Subscriber,
    ordinal: int,
    refusal: str | None,
) -> list[rows.Message]:
    """What one person is sent, and whoever is to have a copy of it."""
    body = course.body
    asked = outgoing.messages(course.letter, _recipient(desk, cursor, body, person), refusal)
    return [
        rows.Message(
            cursor.workspace_id,
            ids.of_job(cursor.id, ordinal + place, person.user_id, one.channel, desk.head),
            cursor.partition,
            body.spoken_for or body.tenant_id,
            int(one.kind),
            one.channel,
            course.automation_id,
            None,
            cursor.part,
            0,
            None,
            one.contact_id,
            one.address,
            one.template_id,
            one.template_version,
            None if one.fault or one.content is None else _encode(one.content),
            None if one.fault or not one.data else _encode(one.data),
            _UNROUTABLE if one.fault else _PLANNED,
            desk.now if one.fault else None,
            None,
            one.fault,
            None if body.request_id is None else ids.parse(body.request_id),
            routes.write(one.route),
        )
        for place, one in enumerate(asked)
    ]


def _recipient(
    desk: desks.Desk, cursor: fanout_rows.Cursor, body: courses.Body, person: list_rows.Subscriber
) -> outgoing.Recipient:
    profile: Mapping[str, Any] = {} if person.profile is None else _decode(person.profile)
    there = desk.tenant_profiles.get((cursor.workspace_id, person.user_id, body.spoken_for or ""))
    if there is None:
        return outgoing.Recipient(person.user_id, profile, body.data)
    place = tenants.placed(body.spoken_for or "", there.levels, there.own)
    return outgoing.Recipient(person.user_id, place.profile(profile), body.data, place.seen)


def places(course: courses.Course, people: Iterable[str]) -> set[tuple[str, str]]:
    """Of whom it has to be known what is said of them in a tenant: (user_id, tenant)."""
    named = {*course.asks_of, course.body.spoken_for} - {None}
    return {(user_id, str(tenant_id)) for user_id in people for tenant_id in named}


def joined(desk: desks.Desk, cursor: fanout_rows.Cursor, course: courses.Course) -> set[str]:
    """Whom this turn has put among those who are walked over, wherever they stand."""
    here = (cursor.workspace_id, cursor.partition)
    if course.body.audience is not None:
        changed = desk.writes.contacts.values()
        return {row.user_id for row in changed if (row.workspace_id, row.partition) == here}
    lists = {(here[0], list_id, here[1]) for list_id in course.body.lists}
    return {key[3] for key in desk.writes.subscriptions if key[:3] in lists}


def _launch(
    desk: desks.Desk,
    cursor: fanout_rows.Cursor,
    course: courses.Course,
    person: list_rows.Subscriber,
    ordinal: int,
) -> rows.Launch:
    """The run of one recipient, about whom something is asked first."""
    body = course.body
    held = journey_starts.Body(
        body.source,
        data=body.data,
        template=body.template_id,
        recipient=person.user_id,
        depth=body.depth,
        mailing=ids.text(course.automation_id),
        request=body.request,
        strategy=body.strategy,
        template_version=body.template_version or 0,
        look=body.look,
        override=body.override,
        topic=body.topic,
        letter=body.said,
    )
    asked = effects.Start(
        effects.Door.JOURNEY,
        journey_starts.OWN,
        0,
        f"{ids.text(course.automation_id)}:{person.user_id}",
        person.user_id,
        fanout_rows.token_of(course.automation_id),
        msgspec.to_builtins(held),
    )
    identity = ids.of_job(cursor.id, ordinal, person.user_id, "run", desk.head)
    return run.launch(cursor.workspace_id, identity, body.tenant_id, asked, desk.now)


# ── how it ends ─────────────────────────────────────────────────────────────────────────────────────


def hear(desk: desks.Desk, workspace_id: int, course: courses.Course) -> None:
    """One of its partitions has come further: the run is told when all of them have come to their end."""
    if course.run_id is None:
        return
    found = [
        desk.cursors[key] for key in cursors_of(workspace_id, course.automation_id) if key in desk.cursors
    ]
    whole = campaigns.added([fanout.progress(one) for one in found])
    if whole.partitions < ids.PARTITIONS or whole.pending:
        return
    status = plans.Status.FAILED if whole.error else plans.Status.SUCCEEDED
    # A request may have several.
    name = "counts" if course.body.request_id is None else ids.text(course.automation_id)
    output = {name: counts(whole)}
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


def ended(
    desk: desks.Desk, start: rows.Start, run_id: bytes, body: journey_starts.Body, records: Any
) -> None:
    """The run of one recipient has ended: its cursor counts it."""
    identity = ids.parse(body.mailing or "")
    if identity is None:
        return
    sent = records[-1].status if records else plans.Status.SKIPPED
    state = _ENDS.get(plans.Status(sent), messages.State.CANCELED)
    if state is messages.State.FAILED and plans.goes_nowhere(records[-1].output):
        state = messages.State.UNROUTABLE
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
