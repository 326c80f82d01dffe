"""What holds for a tenant's people who said nothing: `/tenants/{id}/default_preferences`, in Courier's shape."""

from __future__ import annotations

from typing import Any

from litestar import Response, delete, get, put

from heliograph import errors
from heliograph.core import consent
from heliograph.store import preference_topics as stored
from heliograph.store import tenants
from heliograph.web import tenant_defaults
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Tenants"
_PATH = "/tenants/{tenant_id:str}/default_preferences"
_ITEM = f"{_PATH}/items/{{topic_id:str}}"
_KNOWN = frozenset({"status", "has_custom_routing", "custom_routing"})


@get(_PATH, opt={"tag": TAG})
@in_thread
def list_default_preferences(request: Call) -> Response[tenant_defaults.DefaultItems]:
    """List what holds for the tenant's people who said nothing."""
    ignored = request.ignore_query()
    with request.services.database.reading() as connection:
        tenant_id = _there(request, connection)
        found = stored.of_tenants(connection, request.principal.workspace_id, [tenant_id])
    return Response(tenant_defaults.told(found.get(tenant_id, {})), headers=ignored_header(ignored))


@put(_ITEM, status_code=204, opt={"tag": TAG, "body": tenant_defaults.DefaultBody})
@in_thread
def put_default_preference(request: Call) -> Response[None]:
    """Let this hold for the tenant's people who said nothing of a topic."""
    ignored = request.ignore_query()
    topic_id, given = request.part("topic_id"), request.read_object()
    topic = consent.check_topic(given, "")
    consent.check_topic_id(topic_id, "topic_id")
    with request.services.database.writing() as connection:
        tenant_id = _there(request, connection)
        now, workspace_id = request.services.now(), request.principal.workspace_id
        stored.put_of_tenant(connection, workspace_id, tenant_id, {topic_id: topic}, now)
    return Response(None, headers=ignored_header([*ignored, *(given.keys() - _KNOWN)]))


@delete(_ITEM, opt={"tag": TAG})
@in_thread
def delete_default_preference(request: Call) -> Response[None]:
    """Let the workspace's own default hold of a topic again."""
    ignored = request.ignore_query()
    topic_id = request.part("topic_id")
    with request.services.database.writing() as connection:
        tenant_id = _there(request, connection)
        if not stored.drop_of_tenant(connection, request.principal.workspace_id, tenant_id, [topic_id]):
            raise errors.NotFound(f"the tenant {tenant_id!r} has set nothing of {topic_id!r}")
    return Response(None, headers=ignored_header(ignored))


def _there(request: Call, connection: Any) -> str:
    who = request.principal
    found = tenants.read(connection, who.workspace_id, who.tenant_id, request.part("tenant_id"))
    return request.there(found, "tenant", "tenant_id").id


HANDLERS = (list_default_preferences, put_default_preference, delete_default_preference)
