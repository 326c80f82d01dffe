"""Alembic's way in: the connection is handed over by `migrations.upgrade`, which owns the transaction."""

from __future__ import annotations

from alembic import context

from heliograph.store import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    transaction_per_migration=False,
)
context.run_migrations()
