"""The control record: `/api/automation/control` (rules.md 3.3, C14, C15; engine.md E22)."""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import get, patch

from heliograph import errors
from heliograph.core import control, explain, schedule
from heliograph.store import workspaces
from heliograph.web.calls import Call, in_thread

TAG = "Control"


class ControlChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What to change of the control record; `is_paused`, `hold_deliveries` or `sandbox` is required."""

    is_paused: bool | msgspec.UnsetType = msgspec.UNSET
    pause_reason: str | msgspec.UnsetType | None = msgspec.UNSET
    paused_until: explain.Instant | msgspec.UnsetType | None = msgspec.UNSET
    hold_deliveries: bool | msgspec.UnsetType = msgspec.UNSET
    sandbox: bool | msgspec.UnsetType = msgspec.UNSET


class Control(msgspec.Struct, kw_only=True):
    """The workspace's control record as it holds now."""

    singleton: Literal[True]
    is_paused: bool
    pause_reason: str | None
    paused_until: explain.Instant | None
    hold_deliveries: bool
    sandbox: bool
    updated_at: explain.Instant
    updated_by: str | None


@get("/api/automation/control", opt={"tag": TAG})
@in_thread
def read_control(request: Call) -> Control:
    """Read the workspace's control record."""
    request.refuse_query()
    workspace_id = _whole_workspace(request)
    with request.services.database.reading() as connection:
        stored = workspaces.read_control(connection, workspace_id)
    return _control(stored, request.services.now())


@patch("/api/automation/control", opt={"tag": TAG, "body": ControlChange})
@in_thread
def change_control(request: Call) -> Control:
    """Pause or resume every rule of the workspace, hold or release its deliveries, or let them be simulated."""
    request.refuse_query()
    workspace_id, given, now = _whole_workspace(request), request.read_object(), request.services.now()
    store = request.services.database
    with store.writing() as connection:
        workspaces.raise_version(connection, workspace_id)
        stored = workspaces.read_control(connection, workspace_id)
        changed = control.change(stored, given, now, request.principal.key_id)
        workspaces.write_control(connection, workspace_id, changed)
        if stored.hold_deliveries and not changed.hold_deliveries:
            workspaces.free_line(store, connection, workspace_id, now)
    request.wake()
    return _control(changed, now)


def _whole_workspace(request: Call) -> int:
    if request.principal.tenant_id is not None:
        raise errors.Forbidden(
            "the control record is the whole workspace's: take a key that is bound to no tenant"
        )
    return request.principal.workspace_id


def _control(stored: control.Control, now: int) -> Control:
    held = control.effective(stored, now)
    return Control(
        singleton=True,
        is_paused=held.is_paused,
        pause_reason=held.pause_reason,
        paused_until=explain.instant(held.paused_until),
        hold_deliveries=held.hold_deliveries,
        sandbox=held.sandbox,
        updated_at=schedule.write_instant(held.updated_at),
        updated_by=held.updated_by,
    )


HANDLERS = (read_control, change_control)
