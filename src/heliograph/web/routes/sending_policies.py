"""When nobody is disturbed, and how often people are written to at most: `/api/sending-policy`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import get, put

from heliograph import errors
from heliograph.core import documents, explain, schedule, sending_policies
from heliograph.store import sending_policies as stored
from heliograph.web import courier
from heliograph.web.calls import Call, in_thread

TAG = "Sending policy"
_PATH = "/api/sending-policy"
_LONGEST_TENANT = 255

Tracked = Literal["opens", "clicks"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class PolicyQuery(msgspec.Struct):
    """Whose policy, and as of when."""

    tenant_id: str | None = None
    """The tenant that it is of; the workspace's own where none is named."""
    at: Annotated[str, msgspec.Meta(description="An instant: the policy that held then.")] | None = None


class TenantQuery(msgspec.Struct):
    """Whose policy."""

    tenant_id: str | None = None
    """The tenant that it is of; the workspace's own where none is named."""


class QuietWindow(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Hours of the recipient's day in which they are not disturbed."""

    start: str
    end: str
    """Of the next day where it is not after the start."""
    days: list[Day] | msgspec.UnsetType = msgspec.UNSET
    """The days on which it starts; every day where it is left out."""


class Cap(msgspec.Struct, kw_only=True, omit_defaults=True):
    """So many messages to one contact in a period, at most."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=sending_policies.MOST_ALLOWED)]
    period: Annotated[str, msgspec.Meta(description="ISO 8601, such as `P1D`; 60 days at most.")]
    channel: courier.ChannelClass | msgspec.UnsetType | None = msgspec.UNSET
    """The channel that it counts; whatever comes by any where it is left out."""
    name: str | msgspec.UnsetType | None = msgspec.UNSET
    """What a message says that was kept back by it."""


class Rules(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Quiet hours, caps and tracking; null where the less special ones hold, empty where there are to be none."""

    quiet_hours: list[QuietWindow] | None = None
    caps: list[Cap] | None = None
    tracking: list[Tracked] | None = None
    """What e-mails tell of their readers by themselves."""


class NewPolicy(Rules, kw_only=True, omit_defaults=True):
    """What is to hold."""

    topics: dict[str, Rules] = {}
    """By the id of a topic or of a template."""


class Policy(msgspec.Struct, kw_only=True):
    """What holds."""

    tenant_id: str | None
    quiet_hours: list[QuietWindow] | None
    caps: list[Cap] | None
    tracking: list[Tracked] | None
    topics: dict[str, Rules]
    updated_at: explain.Instant | None
    """Since when; null where nothing was set."""
    updated_by: str | None


@get(_PATH, opt={"tag": TAG, "query": PolicyQuery})
@in_thread
def read_sending_policy(request: Call) -> Policy:
    """Read quiet hours and caps, as they hold or as they held at an instant."""
    query = request.read_query(PolicyQuery)
    tenant_id = _tenant(request, query.tenant_id)
    at = None if query.at is None else _instant(query.at)
    with request.services.database.reading() as connection:
        found = stored.read(connection, request.principal.workspace_id, tenant_id, at)
    return _shown(tenant_id, found)


@put(_PATH, opt={"tag": TAG, "query": TenantQuery, "body": NewPolicy})
@in_thread
def put_sending_policy(request: Call) -> Policy:
    """Set quiet hours and caps; what is left out is set no more."""
    tenant_id = _tenant(request, request.read_query(TenantQuery).tenant_id)
    policy, who = sending_policies.define(request.read_object()), request.principal
    if not request.services.settings.public_url:
        _refuse_tracking(policy)
    now = request.services.now()
    with request.services.database.writing() as connection:
        _, after = stored.put(connection, who.workspace_id, tenant_id, policy, now, who.key_id)
    request.wake()
    return _shown(tenant_id, after)


def _refuse_tracking(policy: sending_policies.Policy) -> None:
    """Raises errors.InvalidInput where something is tracked: there is no address that links could lead past."""
    said: dict[str, sending_policies.Rules] = {"": policy, **policy.topics}
    faults = [
        errors.Fault(
            f"{documents.below('topics', name)}.tracking" if name else "tracking",
            "takes the setting HELIOGRAPH_PUBLIC_URL: links lead past this server, and pictures come from it",
        )
        for name, rules in said.items()
        if rules.tracking
    ]
    if faults:
        raise errors.InvalidInput(faults=faults)


def _tenant(request: Call, named: str | None) -> str | None:
    """Whose policy it is. Raises errors.NotFound where a tenant's key names another one."""
    tenant_id = request.speaking_for(named)
    if named is not None and not 1 <= len(named) <= _LONGEST_TENANT:
        raise errors.InvalidQuery(faults=[errors.Fault("tenant_id", "is a text of 1 to 255 characters")])
    return tenant_id


def _instant(written: str) -> int:
    try:
        return schedule.parse_instant(written, "at")
    except errors.InvalidInput as fault:
        raise errors.InvalidQuery(faults=fault.faults) from None


def _shown(tenant_id: str | None, found: stored.Stored) -> Policy:
    policy = found.policy
    return Policy(
        tenant_id=tenant_id,
        **_rules(policy),
        topics={name: Rules(**_rules(rules)) for name, rules in policy.topics.items()},
        updated_at=explain.instant(found.valid_from),
        updated_by=found.updated_by,
    )


def _rules(rules: sending_policies.Rules) -> dict[str, Any]:
    caps = None if rules.caps is None else [Cap(**_set(msgspec.structs.asdict(one))) for one in rules.caps]
    windows = rules.quiet_hours
    quiet = None if windows is None else [QuietWindow(**_set(one)) for one in windows]
    return {"quiet_hours": quiet, "caps": caps, "tracking": rules.tracking}


def _set(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


HANDLERS = (read_sending_policy, put_sending_policy)
