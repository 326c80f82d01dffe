"""Reading on PostgreSQL: what a turn's decisions look at, in bulk, by key."""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

from heliograph.core import ids
from heliograph.store import packing, rows, spans
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.packing import Identities, Integers, Texts

EVENT: LiteralString = (
    "e.workspace_id, e.id, e.partition, e.tenant_id, e.event_type, e.contact_id, e.conversation_id, e.source,"
    " e.channel_source, e.occurred_at, e.depth, e.payload, e.previous"
)
MESSAGE: LiteralString = (
    "m.workspace_id, m.id, m.partition, m.tenant_id, m.kind, m.channel, m.automation_id, m.run_id, m.visit,"
    " m.ordinal, m.event_id, m.contact_id, m.address, m.template_id, m.template_version, m.content, m.data, m.state,"
    " m.settled_at, m.attempts, m.error, m.request_id, m.route"
)
CONVERSATION: LiteralString = (
    "c.workspace_id, c.id, c.partition, c.tenant_id, c.attributes, c.tags, c.created_at, c.updated_at, c.contact_id,"
    " c.channel, c.status, c.priority, c.agent_id, c.division_id"
)
# Lateral, so that each key is looked up in the table's own index, however small the table was when it was planned.
_BY_ID: LiteralString = " FROM unnest(%s::int4[], %s::uuid[]) w(a, b) CROSS JOIN LATERAL (SELECT * FROM "
_BY_NAME: LiteralString = " FROM unnest(%s::int4[], %s::text[]) w(a, b) CROSS JOIN LATERAL (SELECT * FROM "


def read_events(connection: Connection, keys: Collection[tuple[int, bytes]]) -> list[rows.Event]:
    """Events by (workspace, id), in order of id."""
    query = f"SELECT {EVENT}{_BY_ID}events WHERE workspace_id = w.a AND id = w.b OFFSET 0) e ORDER BY e.id"
    return [rows.Event._make(row) for row in fetch(connection, query, _ids(keys))]


def read_span(connection: Connection, span: spans.Span, limit: int, size: int) -> spans.Passed:
    """The next events of a span: of `limit` rows at most, and payloads of `size` bytes, or one event."""
    bounds = (span.event_type, span.workspace_id, ids.text(span.after), ids.text(span.until), limit)
    sizes = fetch(
        connection,
        "SELECT id, CASE WHEN event_type = %s THEN octet_length(payload) ELSE 0 END FROM events"
        " WHERE workspace_id = %s AND id > %s::uuid AND id < %s::uuid ORDER BY id LIMIT %s",
        bounds,
    )
    looked_at, last = spans.within(sizes, size)
    if last is None:
        return spans.Passed([], 0, None)
    found = fetch(
        connection,
        f"SELECT {EVENT} FROM events e WHERE e.workspace_id = %s AND e.id > %s::uuid AND e.id <= %s::uuid"
        " AND e.event_type = %s AND (%s::text IS NULL OR e.tenant_id = %s::text) ORDER BY e.id",
        (
            span.workspace_id,
            ids.text(span.after),
            ids.text(last),
            span.event_type,
            span.tenant_id,
            span.tenant_id,
        ),
    )
    return spans.Passed([rows.Event._make(row) for row in found], looked_at, last)


def read_attempts(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], int]:
    """How often each event was tried before, by (workspace, id); those never tried are absent."""
    query: LiteralString = (
        f"SELECT d.workspace_id, d.event_id, d.attempts{_BY_ID}decisions"
        " WHERE workspace_id = w.a AND event_id = w.b OFFSET 0) d"
    )
    return {(row[0], row[1]): row[2] for row in fetch(connection, query, _ids(keys))}


def read_contacts(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> dict[tuple[int, str], rows.Contact]:
    """Contacts by (workspace, user_id); the unknown are absent."""
    query: LiteralString = (
        "SELECT c.workspace_id, c.user_id, c.partition, c.tenant_id, c.profile, c.tags, c.created_at, c.updated_at"
        f"{_BY_NAME}contacts WHERE workspace_id = w.a AND user_id = w.b OFFSET 0) c"
    )
    return {(row[0], row[1]): rows.Contact._make(row) for row in fetch(connection, query, _names(keys))}


def read_conversations(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> dict[tuple[int, str], rows.Conversation]:
    """Conversations by (workspace, id); the unknown are absent."""
    query: LiteralString = (
        f"SELECT {CONVERSATION}{_BY_NAME}conversations WHERE workspace_id = w.a AND id = w.b OFFSET 0) c"
    )
    return {(row[0], row[1]): rows.Conversation._make(row) for row in fetch(connection, query, _names(keys))}


def read_cooldowns(
    connection: Connection, keys: Collection[tuple[int, bytes, str]]
) -> dict[tuple[int, bytes, str], int]:
    """When each (workspace, rule, subject) matched last; those that never did are absent."""
    found = fetch(
        connection,
        "SELECT c.workspace_id, c.automation_id, c.subject, c.matched_at"
        " FROM unnest(%s::int4[], %s::uuid[], %s::text[]) w(a, b, c) CROSS JOIN LATERAL (SELECT * FROM"
        " cooldowns WHERE workspace_id = w.a AND automation_id = w.b AND subject = w.c OFFSET 0) c",
        packing.columns((Integers, Identities, Texts), sorted(keys)),
    )
    return {(row[0], row[1], row[2]): row[3] for row in found}


def read_runs(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], rows.Run]:
    """Runs by (workspace, id)."""
    query: LiteralString = (
        "SELECT r.workspace_id, r.id, r.automation_id, r.version, r.event_id, r.start_key, r.status, r.outcome,"
        f" r.reason, r.trace, r.state{_BY_ID}runs WHERE workspace_id = w.a AND id = w.b OFFSET 0) r"
    )
    return {(row[0], row[1]): rows.Run._make(row) for row in fetch(connection, query, _ids(keys))}


def read_messages(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], rows.Message]:
    """Messages by (workspace, id)."""
    query: LiteralString = (
        f"SELECT {MESSAGE}{_BY_ID}messages WHERE workspace_id = w.a AND id = w.b OFFSET 0) m"
    )
    return {(row[0], row[1]): rows.Message._make(row) for row in fetch(connection, query, _ids(keys))}


def _ids(keys: Collection[tuple[int, bytes]]) -> list[packing.Packed]:
    return packing.columns((Integers, Identities), sorted(keys))


def _names(keys: Collection[tuple[int, str]]) -> list[packing.Packed]:
    return packing.columns((Integers, Texts), sorted(keys))
