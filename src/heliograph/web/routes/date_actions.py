"""What a date automation has queued: `/v1/dateAutomation/{id}/actions`, ours, in Sign-Up.to's envelope.

Law: read from the runs that the calendar started, and from nothing else.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from litestar import get

from heliograph import errors
from heliograph.core import ids, plans, runs, schedule
from heliograph.core.steps import dates as steps
from heliograph.engine import askings
from heliograph.store import date_actions
from heliograph.web import folders, sign_up
from heliograph.web.calls import Call, in_thread

TAG = "Date automations"
Status = Literal["queued", "held", "completed", "skipped", "failed", "aborted", "canceled"]
Seconds = Annotated[float, msgspec.Meta(description="Seconds since 1970 UTC.")]


class ActionsQuery(msgspec.Struct):
    """From which one on, and which way."""

    count: Annotated[int, msgspec.Meta(ge=1, le=sign_up.MOST_PER_PAGE)] = sign_up.MOST_PER_PAGE
    reverse: bool = False
    """The newest first."""
    start: str | None = None
    """The id of the first."""


class DateAction(msgspec.Struct, kw_only=True):
    """What is done, or was, for one contact in one year."""

    id: str
    contact_id: str | None
    year: int
    """Of the birthday."""
    status: Status
    reason: str | None
    """Why it was passed over, failed, or ended early."""
    message_id: str | None
    cdate: Seconds
    """When it was queued."""


class Actions(msgspec.Struct):
    """Actions, and where to go on."""

    count: int
    next: str | None
    data: list[DateAction]


class ActionsAnswer(msgspec.Struct):
    """What was found."""

    status: Literal["ok"]
    response: Actions


@get("/v1/dateAutomation/{rule_id:str}/actions", opt={"tag": TAG, "query": ActionsQuery})
@in_thread
def list_date_actions(request: Call) -> ActionsAnswer:
    """List what a date automation has queued, for whom, and what became of it; of a deleted one, too."""
    query, who, written = request.read_query(ActionsQuery), request.principal, request.part("rule_id")
    number = sign_up.number(written)
    first = None if query.start is None else ids.parse(query.start)
    if query.start is not None and first is None:
        raise errors.InvalidQuery(faults=[errors.Fault("start", "is the id of an action")])
    found = None
    if number is not None:
        page = date_actions.Page(query.count, first, query.reverse)
        with request.services.database.reading() as connection:
            is_seen = folders.sight(connection, who)
            found = date_actions.listed(connection, who.workspace_id, who.tenant_id, number, page, is_seen)
    if found is None:
        raise errors.NotFound(f"there is no dateAutomation {written}")
    following = ids.text(found[query.count].run.id) if len(found) > query.count else None
    shown = [_told(one) for one in found[: query.count]]
    return ActionsAnswer("ok", Actions(len(shown), following, shown))


def _told(action: date_actions.Action) -> DateAction:
    run, records = action.run, runs.read(action.run.state)
    sent = askings.known_by(action.start, run.id, 0, records[0]) if records else []
    status, reason = _stands(action, records[0] if records else None)
    return DateAction(
        id=ids.text(run.id),
        contact_id=action.start.contact_id,
        year=int((run.start_key or "").rpartition(":")[2]),
        status=status,
        reason=reason,
        message_id=ids.text(sent[0]) if sent else None,
        cdate=ids.created_at(run.id) / schedule.SECOND,
    )


def _stands(action: date_actions.Action, record: runs.Record | None) -> tuple[Status, str | None]:
    """How it stands, and why."""
    if action.is_aborted:
        return "aborted", steps.ABORTED
    status, error = runs.Status(action.run.status), None if record is None else record.error
    if status in (runs.Status.WAITING, runs.Status.HELD):
        return "held" if status is runs.Status.HELD else "queued", None
    if status is runs.Status.CANCELED:
        return "aborted" if error == steps.ABORTED else "canceled", error or action.run.reason
    settled = None if record is None else _SETTLED.get(plans.Status(record.status))
    return settled or "failed", error or action.run.reason


_SETTLED: dict[plans.Status, Status] = {
    plans.Status.SUCCEEDED: "completed",
    plans.Status.SKIPPED: "skipped",
}


HANDLERS = (list_date_actions,)
