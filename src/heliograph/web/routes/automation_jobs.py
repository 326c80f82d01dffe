"""Jobs of tenant automations: `/api/automations/{id}/recipients` and `…/statistics`, in Reach's shape."""

from __future__ import annotations

from collections import Counter
from typing import Literal

import msgspec
from litestar import get
from sqlalchemy import Connection

from heliograph.core import campaigns, explain, ids, messages, schedule, segments
from heliograph.store import campaigns as stored
from heliograph.web import paging, reach
from heliograph.web.calls import Call, in_thread

TAG = "Automations"
JobStatus = Literal["pending", "sent", "skipped", "failed"]


class JobsQuery(reach.PageQuery, kw_only=True):
    """Which jobs are listed."""

    status: JobStatus | None = None


class CommunicationJob(msgspec.Struct, kw_only=True):
    """One message to one person."""

    id: str
    automation_id: str
    action_index: int
    user_id: str
    channel: str
    address: str | None
    status: JobStatus
    skip_reason: str | None
    attempts: int
    provider_message_id: str | None
    uncertain: bool
    """Nobody knows whether it was sent, and it is not tried again."""
    error: str | None
    created_at: explain.Instant
    sent_at: explain.Instant | None


class CommunicationJobs(msgspec.Struct):
    """A page of jobs, in the order in which they were made."""

    results: list[CommunicationJob]
    pagination: reach.Pagination


class CommunicationJobList(msgspec.Struct):
    """A page of jobs."""

    success: reach.Yes
    message: str
    data: CommunicationJobs


class ChannelStatistics(msgspec.Struct):
    """What became of the jobs of one channel."""

    number_sent: int
    number_failed: int
    number_skipped: int
    number_pending: int


class AutomationStatistics(msgspec.Struct):
    """What became of the jobs, by channel."""

    email: ChannelStatistics
    sms: ChannelStatistics


class AutomationStatisticsAnswer(msgspec.Struct):
    """What became of the jobs, by channel."""

    success: reach.Yes
    message: str
    data: AutomationStatistics


@get("/api/automations/{automation_id:str}/recipients", opt={"tag": TAG, "query": JobsQuery})
@in_thread
def list_jobs(request: Call) -> CommunicationJobList:
    """List the jobs of a tenant automation, one for each person and action, in the order in which they were made."""
    query, workspace = request.read_query(JobsQuery), request.principal.workspace_id
    after = paging.id_of(query.cursor)
    with request.services.database.reading() as connection:
        campaign = _there(connection, request)
        stopped = campaign.standing.is_stopping
        states = None if query.status is None else _states(query.status, stopped=stopped)
        found = stored.jobs(connection, workspace, campaign.id, after, states, query.limit + 1)
        total = _total(stored.progress(connection, workspace, campaign), query.status, stopped=stopped)
    more = len(found) > query.limit
    listed = [_job(one, stopped=stopped) for one in found[: query.limit]]
    pagination = reach.Pagination(more, total, listed[-1].id if more else None)
    return CommunicationJobList(True, "jobs", CommunicationJobs(listed, pagination))


_STATUS: dict[messages.State, JobStatus] = {
    messages.State.PLANNED: "pending",
    messages.State.HELD: "pending",
    messages.State.UNCERTAIN: "pending",
    messages.State.ACCEPTED: "sent",
    messages.State.DELIVERED: "sent",
    messages.State.BOUNCED: "failed",
    messages.State.FAILED: "failed",
    messages.State.UNROUTABLE: "skipped",
    messages.State.CANCELED: "skipped",
    messages.State.DELAYED: "pending",
    messages.State.CAPPED: "skipped",
    messages.State.SIMULATED: "sent",
}
_COUNTED: tuple[JobStatus, ...] = ("sent", "failed", "skipped", "pending")
"""As the statistics of a channel have them, in order."""
_OPEN = (messages.State.PLANNED, messages.State.HELD, messages.State.DELAYED)


def _status(state: messages.State, *, stopped: bool) -> JobStatus:
    """How a job stands; what is open of a stopped campaign will not be sent, and is shown so at once."""
    return "skipped" if stopped and state in _OPEN else _STATUS[state]


def _states(status: JobStatus, *, stopped: bool) -> list[messages.State]:
    return [state for state in messages.State if _status(state, stopped=stopped) == status]


def _total(progress: campaigns.Progress, status: JobStatus | None, *, stopped: bool) -> int:
    if stopped:
        progress = progress.of_stopped()
    counts = {
        "pending": progress.uncertain + progress.pending,
        "sent": progress.sent,
        "skipped": progress.skipped,
        "failed": progress.failed,
    }
    return progress.jobs if status is None else counts[status]


def _job(job: stored.Job, *, stopped: bool) -> CommunicationJob:
    row, state = job.row, messages.State(job.row.state)
    status = _status(state, stopped=stopped)
    reason = (row.error or "stopped") if status == "skipped" else None
    accepted = [one.reference for one in job.attempts if one.outcome == "accepted"]
    assert row.contact_id is not None
    assert row.automation_id is not None
    return CommunicationJob(
        id=ids.text(row.id),
        automation_id=ids.text(row.automation_id),
        action_index=row.visit,
        user_id=segments.external_id(row.contact_id, row.tenant_id),
        channel=row.channel,
        address=row.address,
        status=status,
        skip_reason=reason,
        attempts=len(job.attempts),
        provider_message_id=accepted[-1] if accepted else None,
        uncertain=state is messages.State.UNCERTAIN,
        error=None if status == "skipped" else row.error,
        created_at=schedule.write_instant(ids.created_at(row.id)),
        sent_at=explain.instant(row.settled_at) if status == "sent" else None,
    )


@get("/api/automations/{automation_id:str}/statistics", opt={"tag": TAG})
@in_thread
def read_automation_statistics(request: Call) -> AutomationStatisticsAnswer:
    """Read what became of a tenant automation's jobs, by channel."""
    request.refuse_query()
    with request.services.database.reading() as connection:
        campaign = _there(connection, request)
        progress = stored.progress(connection, request.principal.workspace_id, campaign)
        texts = stored.text_messages(connection, request.principal.workspace_id, campaign.id)
    stopped = campaign.standing.is_stopping
    sms = Counter[JobStatus]()
    for state, count in texts.items():
        sms[_status(state, stopped=stopped)] += count
    # A job may have its end a moment before the progress tells of it.
    email = {one: max(0, _total(progress, one, stopped=stopped) - sms[one]) for one in _COUNTED}
    statistics = AutomationStatistics(
        *(ChannelStatistics(*(found[one] for one in _COUNTED)) for found in (email, sms))
    )
    return AutomationStatisticsAnswer(True, "statistics", statistics)


def _there(connection: Connection, request: Call) -> stored.Campaign:
    workspace, tenant = request.principal.workspace_id, reach.tenant_of(request)
    found = stored.read(connection, workspace, tenant, request.identity("automation_id"))
    return request.there(found, "automation", "automation_id")


HANDLERS = (list_jobs, read_automation_statistics)
