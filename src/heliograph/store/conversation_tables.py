"""Tables of conversations: how they stand, what is noted beside them, and who takes care of them.

Law: a conversation's row is written by turns of its own partition and by people who hold that partition's lock. It is
listed by its creation, alone or among those of one status, contact or tenant; what else is asked of it is looked at.
"""

from __future__ import annotations

import sqlalchemy as sa

from heliograph.store.columns import Identity, Instant, Json, column, index, table

conversations = table(
    "conversations",
    column("workspace_id", sa.Integer, primary_key=True),
    column("id", sa.Text, primary_key=True),
    column("partition", sa.SmallInteger),
    column("number", sa.BigInteger),
    column("tenant_id", sa.Text, null=True),
    column("attributes", Json),
    column("tags", Json, server_default="[]"),
    column("created_at", Instant),
    column("updated_at", Instant),
    column("contact_id", sa.Text, null=True),
    column("channel", sa.Text, null=True),
    column("status", sa.Text, server_default="open"),
    column("priority", sa.Text, server_default="normal"),
    column("agent_id", sa.Text, null=True),
    column("division_id", sa.Text, null=True),
    sa.Index("conversations_by_creation", "workspace_id", "created_at", "id"),
    sa.Index("conversations_by_status", "workspace_id", "status", "created_at", "id"),
    index(
        "conversations_by_contact",
        "workspace_id",
        "contact_id",
        "created_at",
        "id",
        where="contact_id IS NOT NULL",
    ),
    index(
        "conversations_by_tenant",
        "workspace_id",
        "tenant_id",
        "created_at",
        "id",
        where="tenant_id IS NOT NULL",
    ),
)

# In the order in which they were written: the id is time-ordered.
notes = table(
    "notes",
    column("workspace_id", sa.Integer, primary_key=True),
    column("conversation_id", sa.Text, primary_key=True),
    column("id", Identity, primary_key=True),
    column("author", sa.Text),
    column("text", sa.Text),
)


def _carers(name: str, *more: sa.Column[str]) -> sa.Table:
    return table(
        name,
        column("workspace_id", sa.Integer, primary_key=True),
        column("id", sa.Text, primary_key=True),
        column("tenant_id", sa.Text, null=True),
        column("name", sa.Text),
        *more,
        column("created_at", Instant),
        column("updated_at", Instant),
    )


agents = _carers("agents", column("email", sa.Text, null=True))
divisions = _carers("divisions")
