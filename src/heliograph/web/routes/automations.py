"""Tenant automations: `/api/automations`, in Reach's shape (segments-and-campaigns.md 1.2, 1.3, 1.6).

`/api/automation/…` (rules) is another family: they are told apart by whole segments of the path.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import get, patch, post
from sqlalchemy import Connection

from heliograph import errors
from heliograph.core import campaigns, explain, ids, schedule
from heliograph.store import campaigns as stored
from heliograph.web import reach
from heliograph.web.calls import Call, in_thread

TAG = "Automations"
AutomationStatus = Literal["draft", "active", "scheduled", "running", "completed", "failed", "deactivated"]
AutomationName = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Trigger(msgspec.Struct, kw_only=True):
    """When it runs, once."""

    trigger_type: Literal["one_time"] = "one_time"
    scheduled_at: (
        Annotated[str, msgspec.Meta(description="With an offset, or wall-clock time in `timezone`.")] | None
    ) = None
    """Null: as soon as it is activated."""
    timezone: str | None = None


class SendCommunication(msgspec.Struct, kw_only=True):
    """Which communication group is sent."""

    communication_group_id: str


class AutomationAction(msgspec.Struct, kw_only=True):
    """What is done for everybody in the audience."""

    action_type: Literal["send_communication"]
    action_metadata: SendCommunication


class NewAutomation(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A tenant automation to create, or with `duplicate` one like another."""

    name: AutomationName
    description: str | None = None
    trigger_type: Literal["one_time"] = "one_time"
    trigger_metadata: Trigger | None = None
    action_data: list[AutomationAction] = []
    include_segments: list[str] | None = []
    exclude_segments: list[str] | None = []
    status: Literal["draft"] = "draft"
    duplicate: bool = False
    source_id: str | None = None


class AutomationChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What to change of a tenant automation: each field that is given is replaced whole."""

    name: AutomationName | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    trigger_type: Literal["one_time"] | msgspec.UnsetType = msgspec.UNSET
    trigger_metadata: Trigger | msgspec.UnsetType | None = msgspec.UNSET
    action_data: list[AutomationAction] | msgspec.UnsetType = msgspec.UNSET
    include_segments: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    exclude_segments: list[str] | msgspec.UnsetType | None = msgspec.UNSET
    status: Literal["draft", "active", "deactivated"] | msgspec.UnsetType = msgspec.UNSET


class AutomationsQuery(reach.SearchQuery, kw_only=True):
    """Which tenant automations are listed."""

    status: AutomationStatus | None = None


class CampaignProgress(msgspec.Struct):
    """How far it has come."""

    percent_judged: int
    """How much of the people was looked at."""
    judged: int
    jobs: int
    pending: int
    sent: int
    skipped: int
    failed: int
    uncertain: int
    """Jobs of which nobody knows whether they were sent, and which are not tried again."""


class Automation(msgspec.Struct, kw_only=True):
    """A tenant automation."""

    id: str
    business_id: str | None
    name: str
    description: str | None
    status: AutomationStatus
    trigger_type: Literal["one_time"]
    trigger_metadata: dict[str, Any] | None
    action_data: list[dict[str, Any]]
    include_segments: list[str]
    exclude_segments: list[str]
    version: int
    due_at: explain.Instant | None
    """The instant at which it is to run, or was."""
    started_at: explain.Instant | None
    settled_at: explain.Instant | None
    last_error: str | None
    """Why it failed."""
    progress: CampaignProgress | None
    """Null until it runs."""
    created_at: explain.Instant
    updated_at: explain.Instant


class AutomationAnswer(msgspec.Struct):
    """A tenant automation."""

    success: reach.Yes
    message: str
    data: Automation


class Automations(msgspec.Struct):
    """A page of tenant automations."""

    results: list[Automation]
    pagination: reach.Pagination


class AutomationList(msgspec.Struct):
    """A page of tenant automations."""

    success: reach.Yes
    message: str
    data: Automations


# ── automations ─────────────────────────────────────────────────────────────────────────────────────


@get("/api/automations", opt={"tag": TAG, "query": AutomationsQuery})
@in_thread
def list_automations(request: Call) -> AutomationList:
    """List tenant automations in the order in which they were made."""
    query, tenant = request.read_query(AutomationsQuery), reach.tenant_of(request)
    workspace = request.principal.workspace_id
    state = None if query.status is None else stored.state_of(query.status)
    with request.services.database.reading() as connection:
        found = stored.listed(connection, workspace, tenant, state, query.search)
        page = reach.page(
            found, lambda one: ids.text(one.id), query, lambda: stored.listed(connection, workspace, tenant)
        )
        listed = [_fields(connection, workspace, one) for one in found[page.first : page.last]]
    return AutomationList(True, "automations", Automations(listed, page.pagination))


@post("/api/automations", opt={"tag": TAG, "body": NewAutomation})
@in_thread
def create_automation(request: Call) -> AutomationAnswer:
    """Create a tenant automation, a draft; with `duplicate` and `source_id` one like another."""
    request.refuse_query()
    workspace, tenant = request.principal.workspace_id, reach.tenant_of(request)
    given = request.read_object()
    status = given.pop("status", "draft")
    if status != "draft":
        raise errors.Conflict("a new automation is a draft: PATCH it to activate it")
    source = _source(given)
    with request.services.database.writing() as connection:
        if source is not None:
            found = stored.read(connection, workspace, tenant, source)
            if found is None:
                raise errors.NotFound(f"there is no automation {ids.text(source)!r}")
            definition = campaigns.change(found.definition, {"name": found.definition.name, **given})
        else:
            definition = campaigns.define(given)
        made = stored.create(connection, workspace, tenant, definition, request.services.now())
        data = _fields(connection, workspace, made)
    return AutomationAnswer(True, "the automation was created", data)


def _source(given: dict[str, Any]) -> bytes | None:
    """The automation that is to be duplicated, taken out of the body."""
    duplicate, source = given.pop("duplicate", False), given.pop("source_id", None)
    if not isinstance(duplicate, bool):
        raise errors.InvalidInput.at("duplicate", "is true or false")
    if not duplicate:
        if source is not None:
            raise errors.InvalidInput.at("source_id", "goes with duplicate: true")
        return None
    identity = ids.parse(source) if isinstance(source, str) else None
    if identity is None:
        raise errors.InvalidInput.at("source_id", "is the id of the automation to duplicate")
    return identity


@get("/api/automations/{automation_id:str}", opt={"tag": TAG})
@in_thread
def read_automation(request: Call) -> AutomationAnswer:
    """Read a tenant automation with its progress."""
    request.refuse_query()
    with request.services.database.reading() as connection:
        found = _there(connection, request)
        data = _fields(connection, request.principal.workspace_id, found)
    return AutomationAnswer(True, "automation", data)


@patch("/api/automations/{automation_id:str}", opt={"tag": TAG, "body": AutomationChange})
@in_thread
def change_automation(request: Call) -> AutomationAnswer:
    """Change a tenant automation, or set its status: draft, active or deactivated.

    One that is about to run, runs or has run is not changed any more.
    """
    request.refuse_query()
    services, workspace = request.services, request.principal.workspace_id
    identity, given = request.identity("automation_id"), request.read_object()
    lock_window = int(services.settings.campaign_lock_seconds * schedule.SECOND)
    made = stored.change(
        services.database, workspace, reach.tenant_of(request), identity, given, services.now(), lock_window
    )
    request.wake()
    with services.database.reading() as connection:
        data = _fields(connection, workspace, made)
    return AutomationAnswer(True, "the automation was changed", data)


@post("/api/automations/{automation_id:str}/stop", status_code=200, opt={"tag": TAG})
@in_thread
def stop_automation(request: Call) -> AutomationAnswer:
    """Stop a tenant automation that runs: none of its jobs is handed over from now on."""
    request.refuse_query()
    services, workspace = request.services, request.principal.workspace_id
    identity = request.identity("automation_id")
    made = stored.stop(services.database, workspace, reach.tenant_of(request), identity, services.now())
    request.wake()
    with services.database.reading() as connection:
        data = _fields(connection, workspace, made)
    return AutomationAnswer(True, "the automation was stopped", data)


# ── as they are shown ───────────────────────────────────────────────────────────────────────────────


def _there(connection: Connection, request: Call) -> stored.Campaign:
    workspace, tenant = request.principal.workspace_id, reach.tenant_of(request)
    found = stored.read(connection, workspace, tenant, request.identity("automation_id"))
    return request.there(found, "automation", "automation_id")


def _fields(connection: Connection, workspace_id: int, campaign: stored.Campaign) -> Automation:
    said, standing = campaign.definition, campaign.standing
    progress = None
    if standing.started_at is not None:
        progress = _progress(campaign, stored.progress(connection, workspace_id, campaign))
    return Automation(
        id=ids.text(campaign.id),
        business_id=campaign.tenant_id,
        name=said.name,
        description=said.description,
        status=standing.state.name.lower(),  # type: ignore[arg-type]
        trigger_type="one_time",
        trigger_metadata=said.trigger_metadata,
        action_data=said.action_data,
        include_segments=said.include_segments,
        exclude_segments=said.exclude_segments,
        version=campaign.version,
        due_at=explain.instant(standing.due_at),
        started_at=explain.instant(standing.started_at),
        settled_at=explain.instant(standing.settled_at),
        last_error=standing.error,
        progress=progress,
        created_at=schedule.write_instant(campaign.created_at),
        updated_at=schedule.write_instant(campaign.updated_at),
    )


def _progress(campaign: stored.Campaign, found: campaigns.Progress) -> CampaignProgress:
    if campaign.standing.is_stopping:
        found = found.of_stopped()
    whole = ids.PARTITIONS * max(1, len(campaign.definition.action_data))
    return CampaignProgress(
        100 * found.partitions // whole,
        found.judged,
        found.jobs,
        found.pending,
        found.sent,
        found.skipped,
        found.failed,
        found.uncertain,
    )


HANDLERS = (
    list_automations,
    create_automation,
    read_automation,
    change_automation,
    stop_automation,
)
