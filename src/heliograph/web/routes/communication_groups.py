"""Communication groups: `/api/communication-groups`, in Reach's shape (segments-and-campaigns.md 1.6)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from litestar import get, patch, post

from heliograph.core import communication_groups, explain, exposures, schedule
from heliograph.store import communication_groups as stored
from heliograph.store import definitions, providers
from heliograph.web import reach
from heliograph.web.calls import Call, in_thread

TAG = "Communication groups"
GroupName = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class GroupEmail(msgspec.Struct, kw_only=True):
    """The e-mail of a group; its texts are Liquid, filled from the person's fields."""

    subject: str | None = None
    preview_text: str | None = None
    """What mail programs show beside the subject."""
    html_body: str | None = None
    text_body: str | None = None
    """Needed before a campaign can be activated."""
    sender: Annotated[str, msgspec.Meta(examples=["Shop <shop@example.com>"])] | None = None
    """Whom it is from; null: the installation's sender."""


class GroupSms(msgspec.Struct, kw_only=True):
    """The text message of a group: sent where there is a provider for those, to who said that they want them."""

    message_body: str | None = None


class NewGroup(msgspec.Struct, kw_only=True):
    """A communication group to create."""

    name: GroupName | None = communication_groups.UNTITLED
    email: GroupEmail | None = None
    sms: GroupSms | None = None


class GroupChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What to change of a group; of `email` and `sms`, the fields that are given."""

    name: GroupName | msgspec.UnsetType = msgspec.UNSET
    email: GroupEmail | msgspec.UnsetType | None = msgspec.UNSET
    sms: GroupSms | msgspec.UnsetType | None = msgspec.UNSET


class CommunicationGroup(msgspec.Struct, kw_only=True):
    """A communication group."""

    id: str
    business_id: str | None
    name: str
    email: GroupEmail | None
    sms: GroupSms | None
    version: int
    """Grows with each change; a campaign sends the version that there was when it began to run."""
    created_at: explain.Instant
    updated_at: explain.Instant
    warnings: list[reach.Caution]


class GroupAnswer(msgspec.Struct):
    """A communication group."""

    success: reach.Yes
    message: str
    data: CommunicationGroup


class CommunicationGroups(msgspec.Struct):
    """A page of communication groups."""

    results: list[CommunicationGroup]
    pagination: reach.Pagination


class GroupList(msgspec.Struct):
    """A page of communication groups."""

    success: reach.Yes
    message: str
    data: CommunicationGroups


class MergeField(msgspec.Struct):
    """A field that texts may name, and how it is written there."""

    name: str
    description: str | None
    written: str


class MergeFields(msgspec.Struct):
    """The fields that texts may name."""

    merge_fields: list[MergeField]


class MergeFieldsAnswer(msgspec.Struct):
    """The fields that texts may name."""

    success: reach.Yes
    message: str
    data: MergeFields


@get("/api/communication-groups", opt={"tag": TAG, "query": reach.SearchQuery})
@in_thread
def list_groups(request: Call) -> GroupList:
    """List communication groups in the order in which they were made."""
    query, tenant = request.read_query(reach.SearchQuery), reach.tenant_of(request)
    workspace = request.principal.workspace_id
    with request.services.database.reading() as connection:
        found = stored.listed(connection, workspace, tenant, query.search)
        has_sms = providers.sends(connection, workspace, "sms")
        page = reach.page(
            found, lambda one: one.id, query, lambda: stored.listed(connection, workspace, tenant)
        )
    listed = [_fields(one, has_sms=has_sms) for one in found[page.first : page.last]]
    return GroupList(True, "communication groups", CommunicationGroups(listed, page.pagination))


@post("/api/communication-groups", opt={"tag": TAG, "body": NewGroup})
@in_thread
def create_group(request: Call) -> GroupAnswer:
    """Create a communication group; it may be empty until it is needed."""
    request.refuse_query()
    services, tenant = request.services, reach.tenant_of(request)
    given = request.read_object()
    with services.database.writing() as connection:
        exposed = definitions.exposed(connection, request.principal.workspace_id)
        definition = communication_groups.define(given, exposed)
        made = stored.create(connection, request.principal.workspace_id, tenant, definition, services.now())
        has_sms = providers.sends(connection, request.principal.workspace_id, "sms")
    return GroupAnswer(True, "the communication group was created", _fields(made, has_sms=has_sms))


@get("/api/communication-groups/{group_id:str}", opt={"tag": TAG})
@in_thread
def read_group(request: Call) -> GroupAnswer:
    """Read a communication group."""
    request.refuse_query()
    workspace, tenant = request.principal.workspace_id, reach.tenant_of(request)
    with request.services.database.reading() as connection:
        found = stored.read(connection, workspace, tenant, request.part("group_id"))
        has_sms = providers.sends(connection, workspace, "sms")
    return GroupAnswer(True, "communication group", _fields(_there(found, request), has_sms=has_sms))


@patch("/api/communication-groups/{group_id:str}", opt={"tag": TAG, "body": GroupChange})
@in_thread
def change_group(request: Call) -> GroupAnswer:
    """Change a communication group; campaigns that run keep what they began with."""
    request.refuse_query()
    services, workspace = request.services, request.principal.workspace_id
    tenant, given = reach.tenant_of(request), request.read_object()
    with services.database.writing() as connection:
        before = _there(stored.lock(connection, workspace, tenant, request.part("group_id")), request)
        exposed = definitions.exposed(connection, workspace)
        changed = communication_groups.change(before.definition, given, exposed)
        made = stored.change(connection, workspace, before, changed, services.now())
        has_sms = providers.sends(connection, workspace, "sms")
    return GroupAnswer(True, "the communication group was changed", _fields(made, has_sms=has_sms))


@get("/api/communication-groups/{group_id:str}/merge-fields", opt={"tag": TAG})
@in_thread
def list_merge_fields(request: Call) -> MergeFieldsAnswer:
    """List the fields that a group's texts may name."""
    request.refuse_query()
    workspace, tenant = request.principal.workspace_id, reach.tenant_of(request)
    with request.services.database.reading() as connection:
        _there(stored.read(connection, workspace, tenant, request.part("group_id")), request)
        exposed = definitions.exposed(connection, workspace)
    fields = [MergeField(name, None, f"{{{{ {name} }}}}") for name in sorted(exposures.BUILT_IN)]
    fields += [
        MergeField(one.name, one.description, f"{{{{ {one.name} }}}}") for one in exposed.to("merge_fields")
    ]
    return MergeFieldsAnswer(True, "merge fields", MergeFields(fields))


def _there(found: stored.Group | None, request: Call) -> stored.Group:
    return request.there(found, "communication group", "group_id")


def _fields(group: stored.Group, *, has_sms: bool) -> CommunicationGroup:
    said = group.definition
    email = None if said.email is None else GroupEmail(**msgspec.structs.asdict(said.email))
    sms = None if said.sms is None else GroupSms(**msgspec.structs.asdict(said.sms))
    return CommunicationGroup(
        id=group.id,
        business_id=group.tenant_id,
        name=said.name,
        email=email,
        sms=sms,
        version=group.version,
        created_at=schedule.write_instant(group.created_at),
        updated_at=schedule.write_instant(group.updated_at),
        warnings=[reach.Caution(*one) for one in communication_groups.warnings(said, has_sms=has_sms)],
    )


HANDLERS = (list_groups, create_group, list_merge_fields, read_group, change_group)
