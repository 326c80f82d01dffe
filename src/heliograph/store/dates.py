"""Date automations as people manage them, and the settings of a company that they go by.

Law: as for rules (automations.py), every change is a version that stays, a deleted one leaves a tombstone, and each
function works in the caller's transaction and raises the workspace's `definitions_version` before it writes. Whatever
changes what is due on the present day sets the calendar's timer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import dates, effects, ids
from heliograph.store import identities, lists, rows, schema, timers, versions, workspaces

KIND = "date"
_AUTOMATIONS = schema.automations.c
_TEMPLATES = schema.templates.c


class Kept(dates.Definition, frozen=True, kw_only=True):
    """A date automation as it is stored."""

    user_id: int = 0
    """The number of the key that made it; 0 where a command did."""
    since: int | None = None
    """When (µs) it was unpaused or given another time; None: it says the same since it was made."""
    template_id: str | None = None
    """The template that its target is the number of."""
    list_id: str | None = None
    """The list that its target is the number of."""
    first_version: int = 1
    """What an earlier one has queued was aborted when that was deleted."""


class Rule(NamedTuple):
    """A date automation as people read it."""

    id: bytes
    tenant_id: str | None
    number: int
    version: int
    created_at: int
    updated_at: int
    definition: Kept


_kept = msgspec.json.Decoder(Kept)


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def listed(connection: sa.Connection, workspace_id: int, tenant_id: str | None) -> list[Rule]:
    """Every date automation that this tenant (None: the whole workspace) may see, by number."""
    query = versions.visible(workspace_id, tenant_id, KIND).order_by(_AUTOMATIONS.number)
    return [_rule(row) for row in connection.execute(query)]


def lock(connection: sa.Connection, workspace_id: int, tenant_id: str | None, number: int) -> Rule | None:
    """One that is about to be changed: nobody else changes definitions until this transaction ends."""
    workspaces.raise_version(connection, workspace_id)
    query = versions.visible(workspace_id, tenant_id, KIND).where(_AUTOMATIONS.number == number)
    row = connection.execute(query).one_or_none()
    return None if row is None else _rule(row)


def _rule(row: Sequence[Any]) -> Rule:
    return Rule._make((*row[:-1], _kept.decode(row[-1])))


def message(connection: sa.Connection, workspace_id: int, number: str) -> str | None:
    """The id of the published template that has this number; None where there is none."""
    found: str | None = connection.execute(
        sa.select(_TEMPLATES.id).where(
            _TEMPLATES.workspace_id == workspace_id,
            _TEMPLATES.kind == "template",
            _TEMPLATES.number == int(number),
            _TEMPLATES.version > 0,
            _TEMPLATES.archived_at.is_(None),
        )
    ).scalar_one_or_none()
    return found


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────


def create(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    definition: dates.Definition,
    now: int,
    user_id: int,
    identity: bytes | None = None,
) -> Rule:
    """Store a new one; `user_id` is the number of who makes it, `identity` its id where the caller names one."""
    workspaces.raise_version(connection, workspace_id)
    identity = identity or identities.fresh(now)
    number = workspaces.next_number(connection, workspace_id, KIND)
    kept = Kept(
        **{name: getattr(definition, name) for name in dates.WRITABLE},
        user_id=user_id,
        template_id=_template_id(connection, workspace_id, definition),
        list_id=_list_id(connection, workspace_id, tenant_id, definition),
    )
    made = Rule(identity, tenant_id, number, 1, now, now, kept)
    versions.create(connection, workspace_id, KIND, made)
    _look_at(connection, workspace_id, [made.id], now)
    return made


def change(
    connection: sa.Connection, workspace_id: int, stored: Rule, changed: dates.Definition, now: int
) -> Rule:
    """Store the next version of one that was read by `lock`."""
    updated_at = max(now, stored.updated_at)
    before = stored.definition
    begins = (before.paused and not changed.paused) or dates.timing(before) != dates.timing(changed)
    kept = Kept(
        **{name: getattr(changed, name) for name in dates.WRITABLE},
        user_id=before.user_id,
        since=updated_at if begins else before.since,
        template_id=_template_id(connection, workspace_id, changed) or before.template_id,
        list_id=_list_id(connection, workspace_id, stored.tenant_id, changed) or before.list_id,
        first_version=before.first_version,
    )
    made = stored._replace(version=stored.version + 1, updated_at=updated_at, definition=kept)
    connection.execute(
        sa.update(schema.automations).where(_AUTOMATIONS.id == stored.id).values(**versions.columns(made))
    )
    versions.add(connection, workspace_id, made)
    _look_at(connection, workspace_id, [made.id], updated_at)
    return made


def delete(connection: sa.Connection, stored: Rule, now: int) -> None:
    """Leave a tombstone of one that was read by `lock`; what it has queued is aborted when its time comes."""
    connection.execute(
        sa.update(schema.automations)
        .where(_AUTOMATIONS.id == stored.id)
        .values(deleted_at=now, updated_at=max(now, stored.updated_at))
    )


def put(
    connection: sa.Connection, workspace_id: int, identity: bytes, definition: dates.Definition, now: int
) -> tuple[Rule | None, Rule]:
    """Let the one of this id say what `definition` says; gives it as it was (None: there was none) and as it is.

    One that says so already is left alone, one that was deleted comes back. Raises errors.Conflict where the id
    belongs to something else, and errors.InvalidInput where its action may not be changed.
    """
    workspaces.raise_version(connection, workspace_id)
    row = connection.execute(
        sa.select(
            _AUTOMATIONS.workspace_id, _AUTOMATIONS.kind, _AUTOMATIONS.deleted_at, *versions.HEAD
        ).where(_AUTOMATIONS.id == identity)
    ).one_or_none()
    if row is None:
        return None, create(connection, workspace_id, None, definition, now, 0, identity)
    if (row.workspace_id, row.kind) != (workspace_id, KIND):
        raise errors.Conflict(f"the id {ids.text(identity)} belongs to something else: take another one")
    stored = _rule(row[3:])
    wanted = dates.change(stored.definition, {name: getattr(definition, name) for name in dates.WRITABLE})
    if row.deleted_at is not None:
        connection.execute(
            sa.update(schema.automations).where(_AUTOMATIONS.id == identity).values(deleted_at=None)
        )
        # What it had queued before stays aborted: it begins anew.
        again = msgspec.structs.replace(
            stored.definition, paused=True, first_version=stored.version + 1, since=now
        )
        return None, change(connection, workspace_id, stored._replace(definition=again), wanted, now)
    if not changed_fields(stored.definition, wanted):
        return stored, stored
    return stored, change(connection, workspace_id, stored, wanted, now)


def changed_fields(before: dates.Definition, after: dates.Definition) -> list[str]:
    """The names of the fields in which two of them differ."""
    return [name for name in dates.WRITABLE if getattr(before, name) != getattr(after, name)]


def close_message(connection: sa.Connection, workspace_id: int, template_id: str) -> None:
    """Let a template be edited no more, whatever becomes of the automation that sends it."""
    connection.execute(
        sa.update(schema.templates)
        .where(_TEMPLATES.workspace_id == workspace_id, _TEMPLATES.id == template_id)
        .values(is_editable=False)
    )


def _template_id(connection: sa.Connection, workspace_id: int, definition: dates.Definition) -> str | None:
    if definition.actiontype not in dates.AUTORESPONDERS:
        return None
    return message(connection, workspace_id, definition.actiontarget)


def list_of(connection: sa.Connection, workspace_id: int, tenant_id: str | None, number: str) -> str | None:
    """The id of the list that has this number; None where this tenant's runs put nobody on one.

    Those of the workspace (tenant None) put nobody on a tenant's list, as plans.can_join says.
    """
    found = lists.by_number(connection, workspace_id, tenant_id, int(number))
    return None if found is None or found.tenant_id not in (None, tenant_id) else found.id


def _list_id(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, definition: dates.Definition
) -> str | None:
    if definition.actiontype != "addtolist":
        return None
    return list_of(connection, workspace_id, tenant_id, definition.actiontarget)


def set_company(
    connection: sa.Connection, workspace_id: int, changed: Mapping[str, str | bool], now: int
) -> dates.Company:
    """Change a company's settings; what is not queued yet goes by them."""
    workspaces.raise_version(connection, workspace_id)
    there = schema.workspaces.c
    stored = connection.execute(sa.select(there.settings).where(there.id == workspace_id)).scalar_one()
    settings = {**(msgspec.json.decode(stored) or {}), **changed}
    connection.execute(
        sa.update(schema.workspaces)
        .where(there.id == workspace_id)
        .values(settings=msgspec.json.encode(settings))
    )
    identities = [rule.id for rule in listed(connection, workspace_id, None)]
    _look_at(connection, workspace_id, identities, now)
    return dates.company(settings)


def company(connection: sa.Connection, workspace_id: int) -> dates.Company:
    """A company's settings."""
    there = schema.workspaces.c
    stored = connection.execute(sa.select(there.settings).where(there.id == workspace_id)).scalar_one()
    return dates.company(msgspec.json.decode(stored) or {})


def _look_at(connection: sa.Connection, workspace_id: int, identities: Iterable[bytes], now: int) -> None:
    """Let the calendar look at the present day of these."""
    timers.put(
        connection,
        [
            rows.Timer(ids.partition_of(one), now, workspace_id, int(effects.Timer.CALENDAR), one)
            for one in identities
        ],
    )


def delete_message(
    connection: sa.Connection, workspace_id: int, template_id: str, now: int
) -> list[Rule] | None:
    """Delete a template and pause the automations that send it; gives these, None where there is no such template.

    Its versions stay, so that what is in line is sent.
    """
    workspaces.raise_version(connection, workspace_id)
    paused = pause_senders(connection, workspace_id, template_id, now)
    gone = connection.execute(
        sa.delete(schema.templates).where(
            _TEMPLATES.workspace_id == workspace_id,
            _TEMPLATES.id == template_id,
            _TEMPLATES.kind == "template",
        )
    )
    return paused if gone.rowcount else None


def pause_senders(connection: sa.Connection, workspace_id: int, template_id: str, now: int) -> list[Rule]:
    """Pause the automations that send a template; gives them."""
    return _pause(connection, workspace_id, lambda rule: rule.template_id == template_id, now)


def pause_for_list(connection: sa.Connection, workspace_id: int, number: int, now: int) -> list[Rule]:
    """Pause the automations that put people on the list of this number, which is deleted; gives these."""
    workspaces.raise_version(connection, workspace_id)
    wanted = ("addtolist", str(number))
    return _pause(connection, workspace_id, lambda rule: (rule.actiontype, rule.actiontarget) == wanted, now)


def _pause(
    connection: sa.Connection, workspace_id: int, depends: Callable[[Kept], bool], now: int
) -> list[Rule]:
    return [
        change(connection, workspace_id, rule, msgspec.structs.replace(rule.definition, paused=True), now)
        for rule in listed(connection, workspace_id, None)
        if depends(rule.definition) and not rule.definition.paused
    ]
