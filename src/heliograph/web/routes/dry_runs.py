"""Dry run: `POST /api/automation/rules/dry-run` (rules.md C22, R79 to R81)."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import post

from heliograph import errors
from heliograph.core import arrivals, documents, dry_runs, ids, rule_journeys, rules
from heliograph.engine import rehearsal
from heliograph.store import automations
from heliograph.web.calls import Call, in_thread

TAG = "Rules"

_OF_EVENT = ("contact_id", "conversation_id", "source", "channel_source")
_OF_RULE = ("trigger_type", "conditions", "actions")


class DryRunRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An event that nobody sent, and a rule: a stored one by its id, or what a new one would say."""

    event_payload: dict[str, Any]
    rule_id: str | msgspec.UnsetType | None = msgspec.UNSET
    trigger_type: str | msgspec.UnsetType = msgspec.UNSET
    """Required without `rule_id`; with it, it goes before what is stored, as do the next two."""
    conditions: list[Any] | dict[str, Any] | msgspec.UnsetType | None = msgspec.UNSET
    actions: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET
    contact_id: str | msgspec.UnsetType | None = msgspec.UNSET
    conversation_id: str | msgspec.UnsetType | None = msgspec.UNSET
    source: str | msgspec.UnsetType | None = msgspec.UNSET
    channel_source: str | msgspec.UnsetType | None = msgspec.UNSET


@post("/api/automation/rules/dry-run", status_code=200, opt={"tag": TAG, "body": DryRunRequest})
@in_thread
def dry_run_rule(request: Call) -> dry_runs.DryRun:
    """Tell what a rule would make of an event, with nothing written and nobody called."""
    request.refuse_query()
    given, who, now = request.read_object(), request.principal, request.services.now()
    faults = documents.unknown_keys(given, DryRunRequest.__struct_fields__, "")
    if given.get("event_payload") is None:
        faults.append(errors.Fault("event_payload", "is required: the payload of the event"))
    identity = _rule_id(given, faults)
    if identity is None and "trigger_type" not in given:
        faults.append(errors.Fault("trigger_type", "is required, unless rule_id names a stored rule"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    with request.services.database.reading() as connection:
        stored = None
        if identity is not None:
            stored = automations.read_rule(connection, who.workspace_id, who.tenant_id, identity)
            if stored is None:
                raise errors.NotFound(f"there is no rule {given['rule_id']!r}")
        definition = _definition(stored, given, request)
        rule = (
            rules.ready(bytes(16), 0, who.tenant_id, now, definition)
            if stored is None
            else rules.ready(stored.id, stored.version, stored.tenant_id, stored.created_at, definition)
        )
        # A tenant's rule meets that tenant's events alone, whoever asks.
        event = _event(given, definition.trigger_type, who.workspace_id, rule.tenant_id, now)
        settings = request.services.settings
        defaults = rehearsal.Defaults(settings.default_subject, settings.default_region or None)
        return rehearsal.rehearse(
            connection, who.workspace_id, rule, definition.actions, event, defaults, now
        )


def _rule_id(given: dict[str, Any], faults: list[errors.Fault]) -> bytes | None:
    text = given.get("rule_id")
    if text is None:
        return None
    found = ids.parse(text) if isinstance(text, str) else None
    if found is None:
        faults.append(errors.Fault("rule_id", "is the id of a rule, a UUID"))
    return found


def _definition(stored: automations.Rule | None, given: dict[str, Any], request: Call) -> rules.Definition:
    """What the rule says: the given fields go before the stored ones. Raises errors.InvalidInput."""
    said = {name: given[name] for name in _OF_RULE if name in given}
    before = rules.Definition(name="", trigger_type="", actions=[]) if stored is None else stored.definition
    definition = rules.change(before, said)
    if "actions" in said:
        services = request.services
        rule_journeys.check_actions(definition.actions, services.evaluator, services.settings.allowed_hosts)
    return definition


def _as_asked(path: str) -> str:
    """Where a request says what stands there in an event."""
    return f"event_{path}" if path.startswith("payload") else path


def _event(
    given: dict[str, Any], event_type: str, workspace_id: int, tenant_id: str | None, now: int
) -> rehearsal.Event:
    """The event, checked as one that comes in. Raises errors.InvalidInput."""
    said = {name: given[name] for name in _OF_EVENT if name in given}
    body = msgspec.json.encode({**said, "event_type": event_type, "payload": given["event_payload"]})
    with errors.placed(_as_asked):
        ((ready,), _) = arrivals.read(body, "application/json", workspace_id, now)
    arrival = ready.arrival
    return rehearsal.Event(
        event_type,
        arrival.source or arrivals.SOURCE,
        arrival.channel_source,
        arrival.contact_id,
        arrival.conversation_id,
        tenant_id,
        given["event_payload"],
    )


HANDLERS = (dry_run_rule,)
