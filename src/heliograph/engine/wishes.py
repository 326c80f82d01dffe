"""Wishes: what a workspace and its people want to be asked before a message goes (a corner of match.py).

Law: all of it is of one version of the definitions, and is worked out once for each kind of message.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from heliograph.core import consent, routes, sending_policies
from heliograph.store import definitions, rows


class Wishes:
    """What is to be asked about the messages of one workspace."""

    def __init__(self, stored: definitions.Definitions, *, asks: bool):
        """`asks` says whether anybody ever said what they want to hear of."""
        self._policies, self._topics, self._defaults = stored.policies, stored.topics, stored.defaults
        self.asks = asks or bool(stored.defaults.said)
        """Whether anybody may not want something."""
        self.paces = any(one.paces for one in stored.policies.values())
        """Whether anything may have to wait, or be kept back."""
        self._terms: dict[tuple[str | None, tuple[str, ...], str], sending_policies.Terms] = {}

    def topics(self, message: rows.Message) -> tuple[str, ...]:
        """What a message is about, the most special first: its template, and its own topic or that of the template."""
        template_id = message.template_id
        topic = routes.read(message.route).topic if message.route else None
        if topic is None and template_id is not None:
            topic = self._topics.get(template_id)
        return tuple(one for one in (template_id, topic) if one is not None)

    def topic_of(self, template_id: str) -> str | None:
        """The topic of a template."""
        return self._topics.get(template_id)

    def defaults(self, tenant_id: str | None) -> Sequence[Mapping[str, consent.Topic]]:
        """What is taken to be said by whoever said nothing: the tenant's, those above it, and the workspace's."""
        return self._defaults.of(tenant_id)

    def terms(self, message: rows.Message) -> sending_policies.Terms:
        """The quiet hours and caps that hold for a message."""
        if not self._policies or message.contact_id is None:
            return sending_policies.FREE
        key = (message.tenant_id, self.topics(message), message.channel)
        if key not in self._terms:
            self._terms[key] = sending_policies.terms(self._policies, *key)
        return self._terms[key]
