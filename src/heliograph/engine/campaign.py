"""Campaign: when it runs, what it goes by, and what is made of each person (a chapter of the turn).

Law: what a campaign goes by is written down as it begins: conditions of segments, versions of groups. It is judged on
a person's profile as it stands in the turn that walks over them, and hears of its partitions through its inbox alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph.core import (
    campaigns,
    consent,
    effects,
    exposures,
    ids,
    messages,
    routes,
    segments,
    templates,
    values,
)
from heliograph.engine import desk as desks
from heliograph.engine import fanout
from heliograph.store import definitions, fanout_rows, rows

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

_PLANNED, _UNROUTABLE = int(messages.State.PLANNED), int(messages.State.UNROUTABLE)
_EMAIL, _SMS = "email", "sms"
_FIELDS: Mapping[str, str] = {_EMAIL: "email", _SMS: "phone"}
"""Where the address of each channel stands in what segments see of a person."""


class Group(msgspec.Struct, frozen=True):
    """The communication group of one action, in the version that is sent."""

    id: str
    version: int
    reads: tuple[str, ...]
    """The names that its texts read."""
    channels: tuple[str, ...] = (_EMAIL,)
    """By which it goes."""


class Body(msgspec.Struct, frozen=True):
    """What a fan-out goes by, as it was when it began."""

    tenant_id: str | None
    include: list[list[dict[str, Any]]]
    """The conditions of each included segment; of everybody's segment none."""
    exclude: list[list[dict[str, Any]]]
    groups: list[Group]
    """Of each action."""
    include_of: list[str | None] = []
    """The tenants whose included segments these are; None: the workspace's."""
    exclude_of: list[str | None] = []
    merge: dict[str, str] = {}
    """Where the exposed fields stand that the groups' texts may name."""


_body = msgspec.json.Decoder(Body)


class Course(NamedTuple):
    """A fan-out, ready to judge people."""

    automation_id: bytes
    body: Body
    is_in: segments.Member
    merge: tuple[tuple[str, exposures.Reading], ...]
    due_at: int
    """Since when its people are due."""


def course(row: fanout_rows.Fanout) -> Course:
    """A stored fan-out, compiled."""
    body = _body.decode(row.body)
    member = segments.audience(
        segments.compiled(body.include, body.include_of), segments.compiled(body.exclude, body.exclude_of)
    )
    merge = tuple((name, exposures.Reading(path)) for name, path in body.merge.items())
    return Course(row.automation_id, body, member, merge, row.created_at)


class Limits(NamedTuple):
    """What an installation has set for campaigns."""

    lock_window: int
    """How long before its time (µs) a campaign can be changed no more."""
    grace: int
    """A campaign that is later than this (µs) does not run (A5), and no fan-out goes on unasked (E33)."""


# ── the campaign ────────────────────────────────────────────────────────────────────────────────────


def standing(row: fanout_rows.Campaign) -> campaigns.Standing:
    """How a stored campaign stands."""
    return campaigns.Standing(campaigns.State(row.state), *row[4:9], bool(row.is_stopping))


def stand(row: fanout_rows.Campaign, now: campaigns.Standing) -> fanout_rows.Campaign:
    """The campaign's row for this standing."""
    return fanout_rows.Campaign(row.workspace_id, row.automation_id, row.partition, int(now.state), *now[1:])


def is_starting(row: fanout_rows.Campaign, now: int, limits: Limits) -> bool:
    """Whether a look at the clock lets a campaign run: then what it goes by has to be read."""
    before = standing(row)
    after = campaigns.at_time(before, now, limits.lock_window, limits.grace)
    return after.state is campaigns.State.RUNNING and before.state is not campaigns.State.RUNNING


def look_at_clock(
    desk: desks.Desk, row: fanout_rows.Campaign, limits: Limits, source: definitions.Campaign | None
) -> None:
    """Let a campaign go where time leads it; `source` is what it goes by, where it is to run now."""
    before = standing(row)
    after = campaigns.at_time(before, desk.now, limits.lock_window, limits.grace)
    if after.state is campaigns.State.RUNNING and before.state is not campaigns.State.RUNNING:
        made = None if source is None else _pinned(source)
        if isinstance(made, Body):
            assert source is not None
            _begin(desk, row, source.version, made)
        else:
            fault = made or "it is not there any more"
            after = campaigns.failed(after._replace(started_at=None), fault, desk.now)
    if after != before:
        desk.put_campaign(stand(row, after))
    wake_at = campaigns.next_look(after, limits.lock_window)
    # One that stands as before is looked at again too, later: it may have been activated where the lock is longer.
    if wake_at is not None and (after != before or wake_at > desk.now):
        desk.writes.timers.append(timer(row, wake_at))


def timer(row: fanout_rows.Campaign, wake_at: int) -> rows.Timer:
    """The timer by which a campaign is looked at."""
    return rows.Timer(
        row.partition, wake_at, row.workspace_id, int(effects.Timer.CAMPAIGN), row.automation_id
    )


def _pinned(source: definitions.Campaign) -> Body | str:
    """What a campaign goes by from now on, or why it cannot run (A3, A22)."""
    definition = source.definition
    missing = [
        identity
        for identity in (*definition.include_segments, *definition.exclude_segments)
        if identity not in source.segments
    ]
    if missing:
        return f"the segment {missing[0]!r} is not there any more"
    groups = []
    for identity in campaigns.groups_of(definition):
        if identity not in source.groups:
            return f"the communication group {identity!r} is not there any more"
        version, content = source.groups[identity]
        channels = _channels(content, has_sms=source.has_sms)
        if not channels:
            lacks = (
                "a text message alone, and no provider sends those"
                if content.get("sms")
                else "no text any more"
            )
            return f"the communication group {identity!r} has {lacks}"
        groups.append(Group(identity, version, _reads(content), channels))
    named = [source.segments[identity] for identity in definition.include_segments]
    # A deactivated segment adds nobody, and still keeps people out: fewer messages rather than more (A22).
    include = [one for one in named if one.definition.status == "active"]
    exclude = [source.segments[identity] for identity in definition.exclude_segments]
    return Body(
        source.tenant_id,
        [list(one.definition.conditions) for one in include],
        [list(one.definition.conditions) for one in exclude],
        groups,
        [one.tenant_id for one in include],
        [one.tenant_id for one in exclude],
        _merged(groups, source.exposed),
    )


def _merged(groups: Sequence[Group], exposed: exposures.Exposed) -> dict[str, str]:
    read = frozenset().union(*(group.reads for group in groups))
    return {
        field.name: field.json_path
        for field in exposed.to("merge_fields")
        if field.name in read or "contact" in read
    }


def _channels(content: Mapping[str, Any], *, has_sms: bool) -> tuple[str, ...]:
    """By which channels a group goes: its text message only where there is a provider for it (A12)."""
    found = [_EMAIL] if content.get("text") else []
    return (*found, *([_SMS] if has_sms and content.get("sms") else []))


def _reads(content: Mapping[str, Any]) -> tuple[str, ...]:
    texts = [content[name] for name in ("subject", "text", "html", "sms") if content.get(name)]
    return tuple(sorted(frozenset().union(*(templates.roots_read(text) for text in texts))))


def _begin(desk: desks.Desk, row: fanout_rows.Campaign, version: int, body: Body) -> None:
    fanout_id = ids.of_fanout(row.automation_id)
    desk.writes.fanouts.append(
        fanout_rows.Fanout(row.workspace_id, fanout_id, row.automation_id, version, _encode(body), desk.now)
    )
    fanout.begin_part(desk, row.workspace_id, fanout_id, 0)


def cursors_of(row: fanout_rows.Campaign) -> list[tuple[int, bytes]]:
    """The keys of every cursor that a campaign has so far."""
    fanout_id = ids.of_fanout(row.automation_id)
    return [
        (row.workspace_id, ids.of_cursor(fanout_id, part, partition))
        for part in range(row.action + 1)
        for partition in range(ids.PARTITIONS)
    ]


def hear(desk: desks.Desk, row: fanout_rows.Campaign, actions: int) -> None:
    """Let a campaign take in that one of its partitions has come further."""
    found = [desk.cursors[key] for key in cursors_of(row) if key in desk.cursors]
    before = standing(row)
    latest = campaigns.added([fanout.progress(one) for one in found if one.part == row.action])
    whole = campaigns.added([fanout.progress(one) for one in found])
    after = campaigns.progressed(before, latest, whole, ids.PARTITIONS, actions, desk.now)
    if after == before:
        return
    if after.action != before.action:
        fanout.begin_part(desk, row.workspace_id, ids.of_fanout(row.automation_id), after.action)
    desk.put_campaign(stand(row, after))


# ── its people ──────────────────────────────────────────────────────────────────────────────────────


def step(
    desk: desks.Desk,
    cursor: fanout_rows.Cursor,
    course: Course,
    people: Sequence[rows.Contact],
    *,
    is_last: bool,
) -> None:
    """Judge the next people of a cursor and make their jobs; then it stands behind them."""
    walked = fanout.as_they_are(desk, cursor, people, is_last=is_last)
    group = course.body.groups[cursor.part]
    made: list[rows.Message] = []
    for person in walked:
        if course.body.tenant_id is not None and person.tenant_id != course.body.tenant_id:
            continue
        seen = segments.view(person.user_id, person.tenant_id, _decode(person.profile))
        if course.is_in(seen, person.tenant_id):
            data = _data(group, person, _merge(course, seen))
            for channel in group.channels:
                ordinal = cursor.jobs + len(made)
                made.append(
                    _job(
                        desk,
                        cursor,
                        course,
                        (group, channel),
                        (person, seen[_FIELDS[channel]], data),
                        ordinal,
                    )
                )
    # Everything was decided: only now does the desk change.
    fanout.move(desk, cursor, course.automation_id, walked, made, is_last=is_last)


def _merge(course: Course, seen: Mapping[str, Any]) -> Mapping[str, Any]:
    """What texts see of a person: an exposed field is what stands at its path, whatever the profile has by its name."""
    if not course.merge:
        return seen
    found = {name: reading.value(seen) for name, reading in course.merge}
    return {name: value for name, value in {**seen, **found}.items() if value is not values.MISSING}


def _job(
    desk: desks.Desk,
    cursor: fanout_rows.Cursor,
    course: Course,
    said: tuple[Group, str],
    to: tuple[rows.Contact, str | None, bytes | None],
    ordinal: int,
) -> rows.Message:
    """The message to one person by one channel; `to` is who, where, and what fills the texts."""
    (group, channel), (person, address, data) = said, to
    return rows.Message(
        cursor.workspace_id,
        ids.of_job(cursor.id, ordinal, person.user_id, channel, desk.head),
        cursor.partition,
        course.body.tenant_id,
        int(effects.Kind.MESSAGE),
        channel,
        course.automation_id,
        None,
        cursor.part,
        0,
        None,
        person.user_id,
        address,
        group.id,
        group.version,
        # Who said nothing has agreed to e-mails, and not to text messages (A10).
        consent.ASKED_FIRST if channel == _SMS else None,
        data,
        _UNROUTABLE if address is None else _PLANNED,
        desk.now if address is None else None,
        None,
        routes.NO_ADDRESS if address is None else None,
    )


def _data(group: Group, person: rows.Contact, seen: Mapping[str, Any]) -> bytes | None:
    """What fills the texts: the merge fields by their own names, and the contact, where they are read."""
    data = {name: seen[name] for name in group.reads if name not in templates.ROOTS and name in seen}
    if "contact" in group.reads:
        data["contact"] = {**seen, "id": person.user_id, "tags": _decode(person.tags)}
    if "tenant" in group.reads:
        data["tenant"] = {"id": person.tenant_id}
    return _encode(data) if data else None
