"""What passes of people who are deleted: who is meant, and who was.

Law: values only. Whom a tenant deletes is meant in what `tenants.reaches` says: its own, and what is the workspace's.
"""

from __future__ import annotations

from typing import NamedTuple


class Whose(NamedTuple):
    """Who is deleted, and the tenant whose key deletes them; None: one of the workspace."""

    workspace_id: int
    user_id: str
    tenant_id: str | None


class Deleted(NamedTuple):
    """Somebody who was deleted, by whom and when (µs)."""

    workspace_id: int
    user_id: str
    tenant_id: str | None
    at: int
