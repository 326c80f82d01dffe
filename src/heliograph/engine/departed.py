"""Who was deleted of late, and what is older than that (a chapter of the turn).

Law: what was asked for before somebody was deleted is of who they were, and ends (engine.md E22); what came later is of
whoever came back under their name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, Protocol

from heliograph.core import ids, tenants
from heliograph.store import erasure_rows


class Owned(Protocol):
    """What was asked for, and by whom."""

    @property
    def workspace_id(self) -> int:
        """The workspace that it is of."""

    @property
    def id(self) -> bytes:
        """It begins with when it was asked for."""

    @property
    def tenant_id(self) -> str | None:
        """The tenant that it is of; None: the workspace's."""


class Departed(NamedTuple):
    """Contacts who were deleted, as long as they are being taken out of history."""

    deleted: Mapping[tuple[int, str], Collection[erasure_rows.Deleted]]
    """By (workspace, user_id)."""

    def had(self, one: Owned, user_id: str | None) -> bool:
        """Whether an event, message or job was there before this contact was deleted.

        Where a tenant deleted them, what is another tenant's is for somebody else of that name.
        """
        at = ids.created_at(one.id)
        deleted = self.deleted.get((one.workspace_id, user_id or ""), ())
        return any(at <= who.at and tenants.reaches(who.tenant_id, one.tenant_id) for who in deleted)


NOBODY = Departed({})


def among(connection: Any, hot: Any, contacts: Collection[tuple[int, str]]) -> Departed:
    """Those of these, by (workspace, user_id), who were deleted; nothing is read for none."""
    if not contacts:
        return NOBODY
    found: dict[tuple[int, str], list[erasure_rows.Deleted]] = {}
    for one in hot.read_erasures(connection, contacts):
        found.setdefault((one.workspace_id, one.user_id), []).append(one)
    return Departed(found)
