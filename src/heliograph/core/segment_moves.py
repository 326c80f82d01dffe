"""Segment moves: which segments a write to a profile lets somebody enter or leave.

Law: who is in a segment is a function of the profile as it stands (docs/decisions/0020), so a move is what differs
between the profiles before and after. Nothing is kept of it; an event tells it (notices.py). Who is made enters, and a
segment that is edited moves nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from heliograph.core import conditions, notices, segments

_NOTHING: Mapping[str, Any] = {}


class Group(NamedTuple):
    """A segment that people may enter and leave."""

    id: str
    name: str
    members: segments.Members


class Groups:
    """The active segments of a workspace, compiled into one function."""

    def __init__(self, groups: Sequence[Group]):
        self._groups = groups
        self._judge = conditions.compile_judge([one.members.condition for one in groups])

    def moves(
        self,
        user_id: str,
        tenant_id: str | None,
        before: Mapping[str, Any] | None,
        after: Mapping[str, Any],
    ) -> list[notices.Notice]:
        """What is told of a contact whose profile was `before` (None: there was none) and is `after`."""
        were = set() if before is None else self._held(user_id, tenant_id, before)
        are = self._held(user_id, tenant_id, after)
        told = [(notices.SEGMENT_LEFT, place) for place in sorted(were - are)]
        told += [(notices.SEGMENT_ENTERED, place) for place in sorted(are - were)]
        return [
            notices.Notice(kind, {"segment_id": one.id, "segment_name": one.name}, None)
            for kind, place in told
            for one in (self._groups[place],)
        ]

    def _held(self, user_id: str, tenant_id: str | None, profile: Mapping[str, Any]) -> set[int]:
        person = segments.view(user_id, tenant_id, profile)
        failing = self._judge(conditions.Facts("", "", None, _NOTHING, None, person, None))
        return {
            place
            for place, one in enumerate(self._groups)
            if failing[place] is None and one.members.may_hold(person, tenant_id)
        }


NOBODY = Groups(())
"""Where nobody waits for moves."""
