"""How people changed what they want to hear of: `GET /preferences/logs`, in Courier's shape."""

from __future__ import annotations

import msgspec
from litestar import Response, get

from heliograph import errors
from heliograph.core import consent, ids, schedule
from heliograph.store import consent_changes
from heliograph.web import courier, moments, paging
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Preferences"
_Paging = paging.Paging
_USUAL, _MOST = 25, 100


class LogsQuery(msgspec.Struct):
    """Which changes are listed."""

    user_id: str | None = None
    tenant_id: str | None = None
    """To which tenant they were said; only together with `user_id`."""
    since: str | None = None
    """An ISO 8601 date or timestamp: those at or after it."""
    limit: int | None = None
    """1 to 100; 25 if left out."""
    cursor: str | None = None


class PreferenceValue(msgspec.Struct, kw_only=True):
    """What was said of a topic."""

    status: courier.TopicStatus
    has_custom_routing: bool
    custom_routing: list[courier.ChannelClass]


class PreferenceChange(PreferenceValue, kw_only=True, omit_defaults=True):
    """What somebody said of a topic from this moment on."""

    id: str
    user_id: str
    topic_id: str
    topic_name: str
    """What it was called then."""
    timestamp: str
    tenant_id: str | None = None
    previous: PreferenceValue | None = None
    """Left out where they had said nothing."""


class PreferenceChanges(msgspec.Struct):
    """Changes, newest first."""

    items: list[PreferenceChange]
    paging: _Paging


@get("/preferences/logs", opt={"tag": TAG, "query": LogsQuery})
@in_thread
def list_preference_changes(request: Call) -> Response[PreferenceChanges]:
    """List when people changed what they want to hear of, newest first."""
    query, ignored = request.read_courier_query(LogsQuery)
    who = request.principal
    limit = _USUAL if query.limit is None else min(max(query.limit, 1), _MOST)
    wanted = consent_changes.Filter(
        _tenant(request, query),
        query.user_id,
        moments.read(query.since, "since"),
        paging.id_of(query.cursor),
    )
    with request.services.database.reading() as connection:
        found = consent_changes.listed(connection, who.workspace_id, wanted, limit + 1)
    page = paging.page(found, lambda one: ids.text(one.id), limit)
    told = PreferenceChanges([_told(one) for one in page.items], page.paging)
    return Response(told, headers=ignored_header(ignored))


def _tenant(request: Call, query: LogsQuery) -> str | None:
    """The tenant of which changes are listed. Raises errors.NotFound where the key is another tenant's."""
    if query.tenant_id is not None and query.user_id is None:
        raise errors.InvalidQuery(
            faults=[errors.Fault("tenant_id", "needs a user_id: it tells of one person in that tenant")]
        )
    return request.speaking_for(query.tenant_id)


def _told(change: consent_changes.Change) -> PreferenceChange:
    before = change.before
    return PreferenceChange(
        id=ids.text(change.id),
        user_id=change.user_id,
        topic_id=change.topic_id,
        topic_name=change.topic_name,
        timestamp=schedule.write_instant(ids.created_at(change.id)),
        tenant_id=change.tenant_id,
        previous=None if before is None else PreferenceValue(**consent.shown(before)),
        **consent.shown(change.after),
    )


HANDLERS = (list_preference_changes,)
