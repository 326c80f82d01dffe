"""Foresight: what admission would say of messages that nobody sends (a corner of rehearsal.py).

Law: it is asked what admission.py and pacing.py ask, in their order and of the records as they are now: who wants what
on which way, whether it is quiet where they are, and how much they have had; and then whether anybody takes it.
Reading only; what one rehearsal lets go it counts for its next messages, and keeps nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from heliograph.core import consent, delays, dry_runs, effects, messages, quiet_hours, sending_policies
from heliograph.engine import ways
from heliograph.store import (
    consent as consents,
)
from heliograph.store import (
    definitions,
    preference_topics,
    providers,
    rehearsals,
    suppressions,
    workspaces,
)
from heliograph.store import (
    sending_policies as policies,
)


class Foresight:
    """The words of admission in one rehearsal, of the records that one tenant (None: the workspace) may see."""

    def __init__(
        self,
        connection: sa.Connection,
        workspace_id: int,
        tenant_id: str | None,
        contact: Mapping[str, Any] | None,
        now: int,
    ):
        """`contact` is the event's, to whom a rule's messages go."""
        self._connection, self._workspace_id, self._tenant_id = connection, workspace_id, tenant_id
        self._contact, self._now = contact or {}, now
        self._policies = policies.standing(connection, workspace_id)
        self._topics = definitions.topics(connection, workspace_id)
        self._defaults = preference_topics.defaults(connection, workspace_id).of(tenant_id)
        self._counts: dict[str, sending_policies.Counts] = {}

    def admission(self, asked: effects.Deliver) -> dry_runs.Admission:
        """By which way a message would go and until when it would wait, or why it would not go."""
        possible = [
            (asked.channel, asked.address or ""),
            *((way.channel, way.address) for way in asked.route.ways),
        ]
        found = dry_runs.Admission(*possible[0])
        for channel, address in possible:
            found = self._on(asked, dry_runs.Admission(channel, address))
            if found.refusal is None and not self._goes_by(channel):
                found = found._replace(fault=messages.without_provider(channel))
            elif found.refusal is None or not found.may_go_on:
                break
        return found

    def _goes_by(self, channel: str) -> bool:
        """Whether anybody takes what goes by a channel."""
        return channel in ways.INSTALLED or self._is_sandbox or channel in self._own_channels

    @cached_property
    def _is_sandbox(self) -> bool:
        return workspaces.read_control(self._connection, self._workspace_id).sandbox

    @cached_property
    def _own_channels(self) -> frozenset[str]:
        """The channels for which the workspace has set up a provider."""
        found = providers.listed(self._connection, self._workspace_id)
        return frozenset(one.channel for one in found if one.enabled)

    def _on(self, asked: effects.Deliver, way: dry_runs.Admission) -> dry_runs.Admission:
        topics = self._topics_of(asked)
        refusal = self._refusal(asked.contact_id, way, topics)
        if refusal is not None or asked.contact_id is None:
            return way._replace(refusal=refusal)
        quiet, limits = sending_policies.terms(self._policies, self._tenant_id, topics, way.channel)
        if quiet:
            until = quiet_hours.ends(quiet, self._zone(asked.contact_id), self._now)
            if until is not None and until > self._now:
                return way._replace(waits_until=until)
        made = sending_policies.count(self._counted(asked.contact_id), limits, self._now)
        if isinstance(made, sending_policies.Limit):
            told = f"{messages.CAPPED}: {made.told}"
            return way._replace(refusal=told, may_go_on=made.is_of_channel)
        self._counts[asked.contact_id] = made
        return way

    def _topics_of(self, asked: effects.Deliver) -> tuple[str, ...]:
        """What a message is about, the most special first."""
        topic = asked.route.topic or self._topics.get(asked.template_id or "")
        return tuple(one for one in (asked.template_id, topic) if one is not None)

    def _refusal(
        self, contact_id: str | None, way: dry_runs.Admission, topics: tuple[str, ...]
    ) -> str | None:
        connection, workspace_id, tenant_id = self._connection, self._workspace_id, self._tenant_id
        if way.address:
            suppressing = {way.address: suppressions.tenants(connection, workspace_id, way.address)}
            if consent.is_suppressed(suppressing, way.address, tenant_id):
                return messages.SUPPRESSED
        if contact_id is None:
            return None
        tenants = (None,) if tenant_id is None else (tenant_id, None)
        said = [consents.read(connection, workspace_id, one, contact_id) for one in tenants]
        return messages.OPTED_OUT if consent.refuses(said, way.channel, topics, self._defaults) else None

    def _zone(self, contact_id: str) -> str:
        """The zone by whose clock somebody lives (engine.md E32)."""
        own, levels = rehearsals.of_tenant(self._connection, self._workspace_id, self._tenant_id, contact_id)
        told = [
            own,
            self._contact,
            *(one.user_profile for one in levels),
            *(one.properties for one in levels),
        ]
        of_workspace = workspaces.settings(self._connection, self._workspace_id).get("timezone")
        return delays.zone_told(told, of_workspace)

    def _counted(self, contact_id: str) -> sending_policies.Counts:
        if contact_id not in self._counts:
            self._counts[contact_id] = rehearsals.recent_sends(
                self._connection, self._workspace_id, contact_id
            )
        return self._counts[contact_id]
