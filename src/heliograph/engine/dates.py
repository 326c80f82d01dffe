"""Dates: what runs of date automations do and see, the calendar's door to started runs.

Law: a run does what its automation said when it was queued, and looks at what holds when its time has come.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from heliograph.core import dates, plans, runs
from heliograph.core.steps import dates as steps
from heliograph.engine import desk as desks
from heliograph.engine import match, started
from heliograph.store import definitions, rows
from heliograph.store.dates import Kept

_kept = msgspec.json.Decoder(Kept)


class Door:
    """What they do and see."""

    def __init__(self, default_subject: str, region: str | None):
        self._default_subject, self._region = default_subject, region

    def is_own(self, row: rows.Run) -> bool:
        """Their plan is their automation's."""
        return False

    def plan(self, row: rows.Run, start: rows.Start, definition: bytes | str | None) -> plans.Plan:
        """What the automation said when the run was queued."""
        assert definition is not None
        kept = _kept.decode(definition)
        return dates.plan(kept, kept.template_id, kept.list_id)

    def depth(self, start: rows.Start) -> int:
        """None: the calendar starts them."""
        return 0

    def wanted(self, desk: desks.Desk, row: rows.Run, start: rows.Start, plan: plans.Plan) -> started.Wanted:
        """The contact, and the list that they are to be put on."""
        lists = [step.list_id for step in plan.steps if isinstance(step, steps.Enlist) and step.list_id]
        return started.Wanted((start.contact_id,) if start.contact_id is not None else (), lists=lists)

    def scene(
        self, desk: desks.Desk, row: rows.Run, start: rows.Start, plan: plans.Plan, workspace: match.Workspace
    ) -> plans.Scene:
        """The contact, and whether the automation is there."""
        contact_id = start.contact_id
        return plans.Scene(
            row.automation_id,
            b"",
            "",
            "",
            None,
            contact_id,
            None,
            start.tenant_id,
            0,
            {},
            None,
            None if contact_id is None else desk.contact(row.workspace_id, contact_id),
            None,
            self._default_subject,
            workspace.library,
            self._region,
            desk.now,
            started=steps.Standing(_is_gone(row, workspace.definitions)),
            lists=desk.lists.get(row.workspace_id, plans.NO_LISTS),
        )

    def ended(
        self, desk: desks.Desk, row: rows.Run, start: rows.Start, records: Sequence[runs.Record]
    ) -> None:
        """Nobody waits for them."""


def _is_gone(row: rows.Run, stored: definitions.Definitions) -> bool:
    """Whether the automation was deleted since it queued this run; one that is paused is there."""
    kept = next((one for one in stored.dates if one.id == row.automation_id), None)
    return kept is None or row.version < _kept.decode(kept.definition).first_version
