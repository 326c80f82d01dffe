"""The first schema: who may, what is defined, people, and the hot tables of the engine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from heliograph.core import ids
from heliograph.store import schema

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make every table, and the rows that every database has."""
    keys = schema.QUEUE_KEYS[op.get_bind().dialect.name]
    _make_managed()
    _make_people()
    _make_arrivals(keys)
    _make_decisions()
    _make_ledger(keys)
    op.execute(
        "INSERT INTO partitions (partition, last_now) VALUES "
        + ", ".join(f"({n}, 0)" for n in range(ids.PARTITIONS))
    )
    if op.get_bind().dialect.name == "postgresql":
        # Numbers of people made in a turn: a sequence never makes two partitions wait for each other.
        op.execute("CREATE SEQUENCE person_numbers")


def _make_managed() -> None:
    op.create_table(
        "workspaces",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("definitions_version", sa.BigInteger(), nullable=False, server_default="1"),
        sa.Column("settings", schema.Json(), nullable=False, server_default="{}"),
        sa.Column("is_paused", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("pause_reason", sa.Text()),
        sa.Column("paused_until", sa.BigInteger()),
        sa.Column("hold_deliveries", sa.Boolean(), nullable=False, server_default=sa.false()),
        sa.Column("control_updated_at", sa.BigInteger(), nullable=False),
        sa.Column("control_updated_by", sa.Text()),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "control_versions",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("control", schema.Json(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "valid_from"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "counters",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "kind"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "api_keys",
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "automations",
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("trigger_type", sa.Text()),
        sa.Column("definition", schema.Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("automations_by_kind", "automations", ["workspace_id", "kind", "number"], unique=True)
    op.create_table(
        "automation_versions",
        sa.Column("automation_id", schema.Identity(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("definition", schema.Json(), nullable=False),
        sa.PrimaryKeyConstraint("automation_id", "version"),
    )
    op.create_table(
        "templates",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "template_versions",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("content", schema.Json(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id", "version"),
    )
    op.create_table(
        "facts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
        sqlite_with_rowid=False,
    )


def _make_people() -> None:
    op.create_table(
        "contacts",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("profile", schema.Json(), nullable=False),
        sa.Column("tags", schema.Json(), nullable=False, server_default="[]"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "user_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "conversations",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("record", schema.Json(), nullable=False),
        sa.Column("tags", schema.Json(), nullable=False, server_default="[]"),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
    )


def _make_arrivals(keys: dict[str, tuple[str, ...]]) -> None:
    op.create_table(
        "events",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.Text()),
        sa.Column("conversation_id", sa.Text()),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("channel_source", sa.Text()),
        sa.Column("occurred_at", sa.BigInteger()),
        sa.Column("depth", sa.SmallInteger(), nullable=False),
        sa.Column("payload", schema.Json(), nullable=False),
        sa.Column("previous", schema.Json()),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "due",
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("event_id", schema.Identity(), nullable=False),
        sa.PrimaryKeyConstraint(*keys["due"]),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("event_id", schema.Identity(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("idempotency_keys_by_expiry", "idempotency_keys", ["expires_at"])
    op.create_table(
        "inbox",
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("run_id", schema.Identity()),
        sa.Column("body", schema.Json(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*keys["inbox"]),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "timers",
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("wake_at", sa.BigInteger(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.PrimaryKeyConstraint(*keys["timers"]),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "partitions",
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("last_now", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partition"),
        sqlite_with_rowid=False,
    )


def _make_decisions() -> None:
    op.create_table(
        "decisions",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("event_id", schema.Identity(), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("attempts", sa.SmallInteger(), nullable=False),
        sa.Column("available_at", sa.BigInteger()),
        sa.Column("decided_at", sa.BigInteger()),
        sa.Column("definitions_version", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("workspace_id", "event_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "runs",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("automation_id", schema.Identity(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("event_id", schema.Identity()),
        sa.Column("start_key", sa.Text()),
        sa.Column("status", sa.SmallInteger(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("trace", schema.Json()),
        sa.Column("state", schema.Json()),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 75},
    )
    op.create_index("runs_by_automation", "runs", ["automation_id", "id"])
    op.create_index(
        "runs_by_start",
        "runs",
        ["automation_id", "start_key"],
        unique=True,
        sqlite_where=sa.text("start_key IS NOT NULL"),
        postgresql_where=sa.text("start_key IS NOT NULL"),
    )
    op.create_table(
        "cooldowns",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("automation_id", schema.Identity(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("matched_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "automation_id", "subject"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rule_statistics",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("automation_id", schema.Identity(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("matched", sa.BigInteger(), nullable=False),
        sa.Column("executed", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "automation_id", "day", "partition"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "event_statistics",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("processed", sa.BigInteger(), nullable=False),
        sa.Column("failed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "day", "partition"),
        sqlite_with_rowid=False,
    )


def _make_ledger(keys: dict[str, tuple[str, ...]]) -> None:
    op.create_table(
        "messages",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("id", schema.Identity(), nullable=False),
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("tenant_id", sa.Text()),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("automation_id", schema.Identity()),
        sa.Column("run_id", schema.Identity()),
        sa.Column("visit", sa.Integer(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("event_id", schema.Identity()),
        sa.Column("contact_id", sa.Text()),
        sa.Column("address", sa.Text()),
        sa.Column("template_id", sa.Text()),
        sa.Column("template_version", sa.Integer()),
        sa.Column("content", schema.Json()),
        sa.Column("data", schema.Json()),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("settled_at", sa.BigInteger()),
        sa.Column("attempts", schema.Json()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("workspace_id", "id"),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(
        "messages_by_contact",
        "messages",
        ["workspace_id", "contact_id", "id"],
        sqlite_where=sa.text("contact_id IS NOT NULL"),
        postgresql_where=sa.text("contact_id IS NOT NULL"),
    )
    op.create_index(
        "messages_by_address",
        "messages",
        ["workspace_id", "address", "id"],
        sqlite_where=sa.text("contact_id IS NULL"),
        postgresql_where=sa.text("contact_id IS NULL"),
    )
    op.create_table(
        "send_due",
        sa.Column("partition", sa.SmallInteger(), nullable=False),
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("message_id", schema.Identity(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(*keys["send_due"]),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "claims",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("message_id", schema.Identity(), nullable=False),
        sa.Column("lease_until", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("workspace_id", "message_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("claims_by_lease", "claims", ["lease_until"])
