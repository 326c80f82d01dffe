"""Saving: profiles that runs write, and lists on which they put people (a chapter of the turn).

Law: a profile is written by the turns of whoever it is; what another partition's run wants written comes through the
inbox, and the run hears when it stands there (engine.md E3).
"""

from __future__ import annotations

import msgspec

from heliograph.core import effects, ids, messages, people, plans
from heliograph.engine import desk as desks
from heliograph.engine import records
from heliograph.store import rows

_encode = msgspec.json.Encoder().encode


class _Owed(msgspec.Struct, array_like=True):
    """The body of an inbox row of kind PROFILE."""

    contact_id: str
    fields: dict[str, object]
    strategy: str
    answers: bool
    tenant_id: str | None
    run_id: str
    visit: int
    ordinal: int
    author: str
    depth: int
    generation: int


_owed = msgspec.json.Decoder(_Owed)


def ask(
    desk: desks.Desk, cause: records.Cause, partition: int, here: int, effect: effects.SaveProfile
) -> None:
    """Write a profile of the partition that decides, or let its own do it."""
    if partition == here:
        _save(desk, cause, effect)
        return
    # It waits a turn: what comes of it comes that much later.
    body = _Owed(
        effect.contact_id,
        dict(effect.fields),
        effect.strategy,
        effect.answers,
        cause.tenant_id,
        ids.text(cause.run_id),
        cause.visit,
        cause.ordinal,
        cause.author,
        cause.depth,
        cause.generation + 1,
    )
    identity = ids.of_effect(cause.run_id, cause.visit, cause.ordinal, desk.head, partition)
    kind = int(effects.Inbox.PROFILE)
    desk.writes.inbox.append(
        rows.Inbox(partition, cause.workspace_id, identity, kind, None, _encode(body), 0)
    )


def save(desk: desks.Desk, inbox: rows.Inbox) -> None:
    """A profile of ours that another partition wants written."""
    owed = _owed.decode(inbox.body)
    cause = records.cause_of(inbox, owed, owed.contact_id, None)
    _save(desk, cause, effects.SaveProfile(owed.contact_id, owed.fields, owed.strategy, owed.answers))


def contact_in(inbox: rows.Inbox) -> str:
    """Whose profile an inbox row of kind PROFILE is about."""
    return _owed.decode(inbox.body).contact_id


def _save(desk: desks.Desk, cause: records.Cause, effect: effects.SaveProfile) -> None:
    """Write a profile, and tell the run that waits for it; another tenant's is not there."""
    stored = desk.contacts.get((cause.workspace_id, effect.contact_id))
    error = None
    if effect.answers and stored is not None and cause.tenant_id not in (None, stored.tenant_id):
        error = f"there is no profile {effect.contact_id!r}"
    elif effect.answers and _is_too_large(stored, effect):
        error = people.TOO_LARGE
    else:
        records.save_profile(desk, cause, effect)
    if not effect.answers:
        return
    status = plans.Status.SUCCEEDED if error is None else plans.Status.FAILED
    run_id, visit, ordinal = cause.run_id, cause.visit, cause.ordinal
    partition, kind = ids.partition_of(run_id), int(effects.Inbox.REPLY)
    identity = ids.of_effect(run_id, visit, ordinal, desk.head, partition)
    body = messages.answer_body(visit, ordinal, status, None, error)
    desk.writes.inbox.append(rows.Inbox(partition, cause.workspace_id, identity, kind, run_id, body, 0))


def _is_too_large(stored: rows.Contact | None, effect: effects.SaveProfile) -> bool:
    """Whether it would make more of a profile than it may become."""
    before = b"{}" if stored is None else stored.profile
    if len(before) + len(_encode(effect.fields)) <= people.MAX_BYTES:
        return False
    made = people.merge(effect.strategy, msgspec.json.decode(before), effect.fields)
    return len(_encode(made)) > max(people.MAX_BYTES, len(before))


def subscribe(
    desk: desks.Desk,
    workspace_id: int,
    places: tuple[int, int],
    key: tuple[bytes, int, int],
    effect: effects.Subscribe,
) -> None:
    """Put a contact on a list, or let its own partition do it; `places` is its partition and the one that decides."""
    partition, here = places
    if partition == here:
        desk.subscribe(workspace_id, effect)
        return
    identity = ids.of_effect(*key, desk.head, partition)
    kind = int(effects.Inbox.SUBSCRIBE)
    desk.writes.inbox.append(rows.Inbox(partition, workspace_id, identity, kind, None, _encode(effect), 0))


def subscribed(desk: desks.Desk, inbox: rows.Inbox) -> None:
    """Put a contact of ours on a list, as another partition decided."""
    desk.subscribe(inbox.workspace_id, effects.Subscribe(*msgspec.json.decode(inbox.body)))
