"""Reading on SQLite: what a turn's decisions look at, in bulk, by key."""

from __future__ import annotations

from collections.abc import Collection

from heliograph.store import rows, spans
from heliograph.store.hot_sqlite.connection import Connection, by_pairs, by_triples

EVENT = (
    "e.workspace_id, e.id, e.partition, e.tenant_id, e.event_type, e.contact_id, e.conversation_id, e.source,"
    " e.channel_source, e.occurred_at, e.depth, e.payload, e.previous"
)
MESSAGE = (
    "m.workspace_id, m.id, m.partition, m.tenant_id, m.kind, m.channel, m.automation_id, m.run_id, m.visit,"
    " m.ordinal, m.event_id, m.contact_id, m.address, m.template_id, m.template_version, m.content, m.data, m.state,"
    " m.settled_at, m.attempts, m.error, m.request_id, m.route"
)
CONVERSATION = (
    "c.workspace_id, c.id, c.partition, c.tenant_id, c.attributes, c.tags, c.created_at, c.updated_at, c.contact_id,"
    " c.channel, c.status, c.priority, c.agent_id, c.division_id"
)


def read_events(connection: Connection, keys: Collection[tuple[int, bytes]]) -> list[rows.Event]:
    """Events by (workspace, id), in order of id."""
    found = by_pairs(
        connection,
        f"SELECT {EVENT} FROM wanted w CROSS JOIN events e ON e.workspace_id = w.a AND e.id = w.b ORDER BY e.id",
        keys,
    )
    return [rows.Event._make(row) for row in found]


def read_span(connection: Connection, span: spans.Span, limit: int, size: int) -> spans.Passed:
    """The next events of a span: of `limit` rows at most, and payloads of `size` bytes, or one event."""
    bounds = (span.event_type, span.workspace_id, span.after, span.until, limit)
    sizes = connection.execute(
        "SELECT id, CASE WHEN event_type = ? THEN length(payload) ELSE 0 END FROM events"
        " WHERE workspace_id = ? AND id > ? AND id < ? ORDER BY id LIMIT ?",
        bounds,
    ).fetchall()
    looked_at, last = spans.within(sizes, size)
    if last is None:
        return spans.Passed([], 0, None)
    found = connection.execute(
        f"SELECT {EVENT} FROM events e WHERE e.workspace_id = ? AND e.id > ? AND e.id <= ? AND e.event_type = ?"
        " AND (? IS NULL OR e.tenant_id = ?) ORDER BY e.id",
        (span.workspace_id, span.after, last, span.event_type, span.tenant_id, span.tenant_id),
    )
    return spans.Passed([rows.Event._make(row) for row in found], looked_at, last)


def read_attempts(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], int]:
    """How often each event was tried before, by (workspace, id); those never tried are absent."""
    found = by_pairs(
        connection,
        "SELECT d.workspace_id, d.event_id, d.attempts FROM wanted w"
        " CROSS JOIN decisions d ON d.workspace_id = w.a AND d.event_id = w.b",
        keys,
    )
    return {(row[0], row[1]): row[2] for row in found}


def read_contacts(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> dict[tuple[int, str], rows.Contact]:
    """Contacts by (workspace, user_id); the unknown are absent."""
    found = by_pairs(
        connection,
        "SELECT c.workspace_id, c.user_id, c.partition, c.tenant_id, c.profile, c.tags, c.created_at, c.updated_at"
        " FROM wanted w CROSS JOIN contacts c ON c.workspace_id = w.a AND c.user_id = w.b",
        keys,
    )
    return {(row[0], row[1]): rows.Contact._make(row) for row in found}


def read_conversations(
    connection: Connection, keys: Collection[tuple[int, str]]
) -> dict[tuple[int, str], rows.Conversation]:
    """Conversations by (workspace, id); the unknown are absent."""
    found = by_pairs(
        connection,
        f"SELECT {CONVERSATION} FROM wanted w CROSS JOIN conversations c ON c.workspace_id = w.a AND c.id = w.b",
        keys,
    )
    return {(row[0], row[1]): rows.Conversation._make(row) for row in found}


def read_cooldowns(
    connection: Connection, keys: Collection[tuple[int, bytes, str]]
) -> dict[tuple[int, bytes, str], int]:
    """When each (workspace, rule, subject) matched last; those that never did are absent."""
    found = by_triples(
        connection,
        "SELECT c.workspace_id, c.automation_id, c.subject, c.matched_at FROM wanted w CROSS JOIN cooldowns c"
        " ON c.workspace_id = w.a AND c.automation_id = w.b AND c.subject = w.c",
        keys,
    )
    return {(row[0], row[1], row[2]): row[3] for row in found}


def read_runs(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], rows.Run]:
    """Runs by (workspace, id)."""
    found = by_pairs(
        connection,
        "SELECT r.workspace_id, r.id, r.automation_id, r.version, r.event_id, r.start_key, r.status, r.outcome,"
        " r.reason, r.trace, r.state FROM wanted w CROSS JOIN runs r ON r.workspace_id = w.a AND r.id = w.b",
        keys,
    )
    return {(row[0], row[1]): rows.Run._make(row) for row in found}


def read_messages(
    connection: Connection, keys: Collection[tuple[int, bytes]]
) -> dict[tuple[int, bytes], rows.Message]:
    """Messages by (workspace, id)."""
    found = by_pairs(
        connection,
        f"SELECT {MESSAGE} FROM wanted w CROSS JOIN messages m ON m.workspace_id = w.a AND m.id = w.b",
        keys,
    )
    return {(row[0], row[1]): rows.Message._make(row) for row in found}
