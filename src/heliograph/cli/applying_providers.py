"""Providers of `heliograph apply` (a chapter of applying.py): their files name where secrets are, not what they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from heliograph.cli.applied_change import Change

if TYPE_CHECKING:
    import sqlalchemy as sa

    from heliograph.cli import definition_files
    from heliograph.store import safe as safes


def put_provider(
    safe: safes.Safe, connection: sa.Connection, owner: int, one: definition_files.Definition, now: int
) -> Change:
    """Let a provider say what a file says."""
    from heliograph.core import providers as core
    from heliograph.store import providers

    assert isinstance(one.content, core.Definition)
    before = providers.lock(connection, owner, str(one.id))
    if before is None:
        providers.create(connection, safe, owner, one.content, now, str(one.id))
        return Change("provider", one.name, "created")
    was = providers.defined(safe, owner, before)
    after = providers.change(connection, safe, owner, before, one.content, now)
    fields = [
        name for name in (*core.WRITABLE, "secrets") if getattr(was, name) != getattr(one.content, name)
    ]
    if not fields:
        return Change("provider", one.name, "unchanged")
    return Change("provider", one.name, f"changed: {', '.join(fields)} (version {after.version})")
