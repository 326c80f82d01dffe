"""Versions of automations: each change of a definition is one, kept for ever with the instant from which it holds.

Law: whatever kind an automation is, its row says how it is now, and each version what it said from when on; both are
written from the same value in the caller's transaction (engine.md E27).
"""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
import sqlalchemy as sa

from heliograph.store import schema


class Versioned(Protocol):
    """An automation of any kind, in one version."""

    @property
    def id(self) -> bytes:
        """Its id."""

    @property
    def version(self) -> int:
        """The number of this version, from 1 on."""

    @property
    def updated_at(self) -> int:
        """When this version began (µs)."""

    @property
    def definition(self) -> msgspec.Struct:
        """What it says."""


def columns(one: Versioned) -> dict[str, Any]:
    """What a row of `automations` says of this version, whatever kind it is."""
    return {
        "id": one.id,
        "version": one.version,
        "definition": msgspec.json.encode(one.definition),
        "updated_at": one.updated_at,
    }


def add(connection: sa.Connection, workspace_id: int, one: Versioned) -> None:
    """Keep this version."""
    connection.execute(
        sa.insert(schema.automation_versions).values(
            automation_id=one.id,
            version=one.version,
            workspace_id=workspace_id,
            valid_from=one.updated_at,
            definition=msgspec.json.encode(one.definition),
        )
    )
