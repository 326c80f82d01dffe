"""Bulk: `/bulk`, in Courier's shape: one message to many people who are named with the job (courier-wire.md 2.1).

Law: a job is made, gets its users, and is run; what was answered is stored. Once it runs nobody is added to it.
"""

from __future__ import annotations

import secrets
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, get, post

from heliograph import errors
from heliograph.core import bulk, ids
from heliograph.store import bulk as store
from heliograph.store import bulk_rows, identities, recipient_secrets
from heliograph.store import requests as stored_requests
from heliograph.web import courier, paging
from heliograph.web.calls import Call, ignored_header, in_thread

_Paging = paging.Paging
TAG = "Bulk"
_JOB = "/bulk/{job_id:str}"

JobStatus = Literal["CREATED", "PROCESSING", "COMPLETED", "ERROR"]
UserStatus = Literal["PENDING", "ENQUEUED", "ERROR"]


class BulkMessage(msgspec.Struct, kw_only=True):
    """What a job sends."""

    event: str
    """The template that is sent, where neither `template` nor `content` says what; what the messages are called."""
    template: str | None = None
    content: dict[str, Any] | None = None
    brand: str | None = None
    data: dict[str, Any] | None = None
    override: dict[str, Any] | None = None
    """What is said of its e-mails instead, under `email` or `channel.email`."""


class BulkBody(msgspec.Struct):
    """A job."""

    message: BulkMessage


class BulkCreated(msgspec.Struct):
    """The job that was made."""

    job_id: str = msgspec.field(name="jobId")


class BulkUser(msgspec.Struct, kw_only=True):
    """Somebody whom a job is for."""

    recipient: str | None = None
    """Their `user_id`."""
    profile: dict[str, Any] | None = None
    """What is said of them here, which wins over what is stored; an e-mail goes to `email` of it."""
    data: dict[str, Any] | None = None
    """Added to the message's."""
    preferences: dict[str, Any] | None = None
    to: dict[str, Any] | None = None
    """More of a recipient of `/send`, but for addresses."""


class BulkUsersBody(msgspec.Struct):
    """Who is added to a job, 10,000 at once."""

    users: Annotated[list[BulkUser], msgspec.Meta(min_length=1, max_length=bulk.MOST_USERS)]


class BulkAdded(msgspec.Struct):
    """How many were added."""

    total: int
    errors: list[str]
    """Always empty: users are added all or not at all."""


class BulkJob(msgspec.Struct, kw_only=True):
    """How a job stands."""

    definition: dict[str, Any]
    """Its message, as it was given."""
    status: JobStatus
    received: int
    enqueued: int
    """How many became a message."""
    failures: int
    """How many of its users nobody could be written to for."""
    error: str | None
    """Why it could not go on."""


class OneBulkJob(msgspec.Struct):
    """A job."""

    job: BulkJob


class BulkUserStanding(BulkUser, kw_only=True):
    """A user of a job, and how they stand."""

    status: UserStatus
    message_id: str | None = msgspec.field(name="messageId", default=None)


class BulkUserPage(msgspec.Struct):
    """A page of a job's users, in the order in which they were added."""

    items: list[BulkUserStanding]
    paging: _Paging


@post("/bulk", status_code=201, opt={"tag": TAG, "body": BulkBody})
@in_thread
def create_job(request: Call) -> Response[BulkCreated]:
    """Make a job: what it says; whom it is for comes next."""
    ignored = request.ignore_query()
    services, who = request.services, request.principal
    made = bulk.define(request.read_object(), services.settings.default_region or None)
    said = courier.bound(made.said, who)
    partition = secrets.randbelow(ids.PARTITIONS)
    identity = identities.fresh(services.now(), partition)
    with services.database.writing() as connection:
        with bulk.placed(made.definition):
            said = stored_requests.check(connection, who.workspace_id, said)
        job = bulk_rows.Job(
            *(who.workspace_id, identity, partition, who.tenant_id),
            *(msgspec.json.encode(made.definition), msgspec.json.encode(said)),
            *(int(bulk.State.CREATED), 0, 0, 0, 0),
            error=None,
        )
        store.create(connection, job)
    return Response(BulkCreated(ids.text(identity)), headers=ignored_header([*ignored, *made.ignored]))


@post(_JOB, status_code=200, opt={"tag": TAG, "body": BulkUsersBody})
@in_thread
def add_users(request: Call) -> Response[BulkAdded]:
    """Add users to a job that does not run yet."""
    ignored = request.ignore_query()
    services = request.services
    found, strangers = bulk.users(request.read_object(), services.settings.default_region or None)
    tenants: dict[str, str] = {}
    for place, one in enumerate(found):
        tenant_id = None if one.to is None else one.to.tenant_id
        # Who is bound to a tenant speaks for it, described or not.
        if request.speaking_for(tenant_id) is not None and request.principal.tenant_id is None:
            tenants.setdefault(str(tenant_id), f"users[{place}].to.tenant_id")
    safe, workspace = services.database.safe, request.principal.workspace_id
    found = [
        one if one.to is None else one._replace(to=recipient_secrets.recipient(safe, workspace, one.to))
        for one in found
    ]
    with services.database.writing() as connection:
        stored_requests.check_tenants(connection, workspace, tenants)
        if not store.add(connection, _there(request, connection), found):
            raise errors.Conflict("the job runs, or has run: make another one for more users")
    return Response(BulkAdded(len(found), []), headers=ignored_header([*ignored, *strangers]))


@post(f"{_JOB}/run", status_code=202, opt={"tag": TAG})
@in_thread
def run_job(request: Call) -> Response[None]:
    """Send the job's message to each of its users; a job that runs already goes on as it is."""
    ignored = request.ignore_query()
    with request.services.database.writing() as connection:
        job = _there(request, connection)
        if job.state == bulk.State.ERROR:
            raise errors.Conflict(f"the job has come to an end: {job.error}")
        store.run(connection, job, request.services.now())
    request.wake()
    return Response(None, headers=ignored_header(ignored))


@get(_JOB, opt={"tag": TAG})
@in_thread
def read_job(request: Call) -> Response[OneBulkJob]:
    """Read how a job stands."""
    ignored = request.ignore_query()
    with request.services.database.reading() as connection:
        job = _there(request, connection)
    told = BulkJob(
        definition=msgspec.json.decode(job.definition),
        status=bulk.State(job.state).name,  # type: ignore[arg-type]
        received=job.received,
        enqueued=job.place - job.failures,
        failures=job.failures,
        error=job.error,
    )
    return Response(OneBulkJob(told), headers=ignored_header(ignored))


@get(f"{_JOB}/users", opt={"tag": TAG, "query": paging.CursorQuery})
@in_thread
def list_users(request: Call) -> Response[BulkUserPage]:
    """List a job's users and what became of each, a hundred a page."""
    query, ignored = request.read_courier_query(paging.CursorQuery)
    first = _place(query.cursor)
    with request.services.database.reading() as connection:
        job = _there(request, connection)
        found = store.users(connection, job, first, paging.PER_PAGE + 1)
    page = paging.page(found, lambda one: str(one.ordinal + 1))
    return Response(
        BulkUserPage([_standing(job, one) for one in page.items], page.paging),
        headers=ignored_header(ignored),
    )


def _standing(job: bulk_rows.Job, user: store.User) -> BulkUserStanding:
    given: dict[str, Any] = msgspec.json.decode(user.given)
    said = {name: given.get(name) for name in BulkUser.__struct_fields__}
    if user.request_id is not None:
        return BulkUserStanding(**said, status="ENQUEUED", message_id=ids.wire(user.request_id))
    return BulkUserStanding(**said, status="ERROR" if user.ordinal < job.place else "PENDING")


def _place(cursor: str | None) -> int:
    if not cursor:
        return 0
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 9:
        raise paging.unknown_cursor()
    return int(cursor)


def _there(request: Call, connection: Any) -> bulk_rows.Job:
    who = request.principal
    found = store.read(connection, who.workspace_id, who.tenant_id, request.identity("job_id"))
    return request.there(found, "job", "job_id")


HANDLERS = (create_job, add_users, run_job, read_job, list_users)
