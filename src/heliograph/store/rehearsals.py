"""What a dry run looks at: the records and settings that a turn would read for one event.

Law: reading only, a handful of look-ups by key, in one look at the database.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph.core import plans, rules, sending_policies
from heliograph.core import tenants as core_tenants
from heliograph.store import definitions, lists, rows, schema, teams, tenants, workspaces

_CONTACTS, _CONVERSATIONS = schema.contacts.c, schema.conversations.c
_COOLDOWNS = schema.cooldowns.c
_MEMBERS = schema.tenant_users.c
_decode = msgspec.json.Decoder().decode
_counts = msgspec.json.Decoder(sending_policies.Counts)


class Record(NamedTuple):
    """A contact's profile with its tags; both are JSON text."""

    body: bytes | str
    tags: bytes | str


class Seen(NamedTuple):
    """Everything that there is to see."""

    contact: Record | None
    contact_is_foreign: bool
    """Whether the contact is there, and not for this tenant."""
    conversation: rows.Conversation | None
    conversation_is_foreign: bool
    matched_at: int | None
    """When the rule last matched for the event's subject."""
    default_subject: str | None
    library: plans.Library
    agents: Mapping[str, str | None]
    divisions: Mapping[str, str | None]
    lists: Mapping[str, str | None]
    """The tenants of the lists that the rule names, by id, as far as they are there."""


def look(
    connection: sa.Connection,
    workspace_id: int,
    tenant_id: str | None,
    rule_id: bytes,
    contact_id: str | None,
    conversation_id: str | None,
    list_ids: Collection[str],
) -> Seen:
    """What this tenant (None: the whole workspace) may see of it."""
    contact, contact_is_foreign = _contact(connection, workspace_id, tenant_id, contact_id)
    conversation, conversation_is_foreign = _conversation(
        connection, workspace_id, tenant_id, conversation_id
    )
    subject = rules.cooldown_subject(contact_id, conversation_id)
    matched_at = connection.execute(
        sa.select(_COOLDOWNS.matched_at).where(
            _COOLDOWNS.workspace_id == workspace_id,
            _COOLDOWNS.automation_id == rule_id,
            _COOLDOWNS.subject == subject,
        )
    ).scalar_one_or_none()
    return Seen(
        contact,
        contact_is_foreign,
        conversation,
        conversation_is_foreign,
        matched_at,
        workspaces.settings(connection, workspace_id).get("default_subject"),
        definitions.library(connection, workspace_id),
        teams.known(connection, workspace_id, teams.AGENTS),
        teams.known(connection, workspace_id, teams.DIVISIONS),
        lists.tenants(connection, workspace_id, list_ids),
    )


def _contact(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, user_id: str | None
) -> tuple[Record | None, bool]:
    """A contact as the tenant sees them, and whether they are another's."""
    if user_id is None:
        return None, False
    query = sa.select(_CONTACTS.profile, _CONTACTS.tags, _CONTACTS.tenant_id).where(
        _CONTACTS.workspace_id == workspace_id, _CONTACTS.user_id == user_id
    )
    row = connection.execute(query).one_or_none()
    if row is None or tenant_id not in (None, row.tenant_id):
        return None, row is not None
    return Record(row.profile, row.tags), False


def _conversation(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, identity: str | None
) -> tuple[rows.Conversation | None, bool]:
    """A conversation as the tenant sees it, and whether it is another's."""
    if identity is None:
        return None, False
    query = sa.select(*(_CONVERSATIONS[name] for name in rows.Conversation._fields)).where(
        _CONVERSATIONS.workspace_id == workspace_id, _CONVERSATIONS.id == identity
    )
    row = connection.execute(query).one_or_none()
    if row is None or tenant_id not in (None, row.tenant_id):
        return None, row is not None
    return rows.Conversation._make(row), False


# ── whether a message would go ──────────────────────────────────────────────────────────────────────


def of_tenant(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, user_id: str
) -> tuple[Mapping[str, Any], list[core_tenants.Definition]]:
    """What is stored of somebody in a tenant, and what it and those above it say, from below."""
    if tenant_id is None:
        return {}, []
    own = connection.execute(
        sa.select(_MEMBERS.profile).where(
            _MEMBERS.workspace_id == workspace_id,
            _MEMBERS.user_id == user_id,
            _MEMBERS.tenant_id == tenant_id,
        )
    ).scalar_one_or_none()
    found = [
        tenants.read(connection, workspace_id, None, one)
        for one in tenants.line(connection, workspace_id, tenant_id)
    ]
    return {} if own is None else _decode(own), [one.definition for one in found if one is not None]


def recent_sends(connection: sa.Connection, workspace_id: int, user_id: str) -> sending_policies.Counts:
    """What somebody was lately sent, as caps count it."""
    columns = schema.recent_sends.c
    query = sa.select(columns.counts).where(columns.workspace_id == workspace_id, columns.user_id == user_id)
    stored = connection.execute(query).scalar_one_or_none()
    return {} if stored is None else _counts.decode(stored)
