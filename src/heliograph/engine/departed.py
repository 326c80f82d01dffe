"""Who was deleted of late, and what is older than that (a chapter of the turn).

Law: what was asked for before somebody was deleted is of who they were, and ends (engine.md E22); what came later is of
whoever came back under their name.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from heliograph.core import ids


class Departed(NamedTuple):
    """Contacts who were deleted, as long as they are being taken out of history."""

    deleted_at: Mapping[tuple[int, str], int]
    """When (µs), by (workspace, user_id)."""

    def had(self, workspace_id: int, user_id: str | None, identity: bytes) -> bool:
        """Whether the event, message or job of this id was there before this contact was deleted."""
        return ids.created_at(identity) <= self.deleted_at.get((workspace_id, user_id or ""), -1)


NOBODY = Departed({})


def among(connection: Any, hot: Any, contacts: Collection[tuple[int, str]]) -> Departed:
    """Those of these, by (workspace, user_id), who were deleted; nothing is read for none."""
    return Departed(hot.read_erasures(connection, contacts)) if contacts else NOBODY
