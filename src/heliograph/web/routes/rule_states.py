"""Whether a rule would act now, and when its schedule lets it (rules.md C16 to C18)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import get

from heliograph import errors
from heliograph.core import control, explain, ids, rules, schedule
from heliograph.store import workspaces
from heliograph.web import rule_answers
from heliograph.web.calls import Call, in_thread

TAG = "Rules"
_END_OF_TIME = schedule.parse_instant("9999-12-31T23:59:59.999999Z", "")


class EffectiveState(msgspec.Struct, kw_only=True):
    """Whether a rule would act now."""

    rule_id: str
    is_active: bool
    is_snoozed: bool
    snoozed_until: explain.Instant | None
    global_paused: bool
    schedule_active: bool
    effective_active: bool
    """Whether all of them let it act."""
    reasons: list[Literal["paused", "inactive", "snoozed", "schedule"]]
    """What keeps it from acting; the first stands first in the order of the gates."""


class PreviewQuery(msgspec.Struct):
    """From when on, and how far."""

    hours: Annotated[int, msgspec.Meta(ge=1, le=744)] = 24
    start_at: explain.Instant | None = None


class PreviewWindow(msgspec.Struct):
    """From an instant up to but without another."""

    start_at: explain.Instant
    end_at: explain.Instant


class SchedulePreview(msgspec.Struct, kw_only=True):
    """When a rule's schedule lets it act."""

    rule_id: str
    timezone: str
    """The zone of the schedule's windows."""
    from_: explain.Instant = msgspec.field(name="from")
    to: explain.Instant
    windows: list[PreviewWindow]
    """In order, merged where they touch, cut off at both ends."""


@get("/api/automation/rules/{rule_id:str}/effective-state", opt={"tag": TAG})
@in_thread
def read_effective_state(request: Call) -> EffectiveState:
    """Tell whether a rule would act now, and if not, why not."""
    request.refuse_query()
    now = request.services.now()
    with request.services.database.reading() as connection:
        found = rule_answers.read(connection, request)
        stored = workspaces.read_control(connection, request.principal.workspace_id)
    ready = rules.ready(found.id, found.version, found.tenant_id, found.created_at, found.definition)
    state = rules.effective_state(ready, control.is_paused(stored, now), now)
    return EffectiveState(
        rule_id=ids.text(found.id),
        is_active=state.is_active,
        is_snoozed=state.is_snoozed,
        snoozed_until=explain.instant(found.definition.snoozed_until),
        global_paused=state.global_paused,
        schedule_active=state.schedule_active,
        effective_active=state.effective_active,
        reasons=list(state.reasons),  # type: ignore[arg-type]
    )


@get("/api/automation/rules/{rule_id:str}/schedule-preview", opt={"tag": TAG, "query": PreviewQuery})
@in_thread
def preview_schedule(request: Call) -> SchedulePreview:
    """List when a rule's schedule lets it act; snooze, pause and `is_active` are not looked at."""
    query = request.read_query(PreviewQuery)
    start, end = _range(query, request.services.now())
    with request.services.database.reading() as connection:
        found = rule_answers.read(connection, request)
    settings = schedule.parse(found.definition.schedule_settings)
    return SchedulePreview(
        rule_id=ids.text(found.id),
        timezone=settings.zone,
        from_=schedule.write_instant(start),
        to=schedule.write_instant(end),
        windows=[
            PreviewWindow(schedule.write_instant(begin), schedule.write_instant(until))
            for begin, until in schedule.windows(settings, start, end)
        ],
    )


def _range(query: PreviewQuery, now: int) -> tuple[int, int]:
    """The instants between which to look. Raises errors.InvalidQuery."""
    try:
        start = now if query.start_at is None else schedule.parse_instant(query.start_at, "start_at")
    except errors.InvalidInput as fault:
        raise errors.InvalidQuery(faults=fault.faults) from None
    end = start + query.hours * schedule.HOUR
    if end > _END_OF_TIME:
        raise errors.InvalidQuery(faults=[errors.Fault("start_at", "lies too far ahead: years end at 9999")])
    return start, end


HANDLERS = (read_effective_state, preview_schedule)
