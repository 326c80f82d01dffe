"""What people of a World want to hear, and when (a part of World)."""

from __future__ import annotations

from typing import Any

from heliograph import app, clock
from heliograph.core import consent as core_consent
from heliograph.core import sending_policies as core_policies
from heliograph.store import consent, sending_policies


class Wishes:
    """Consent, quiet hours and caps."""

    app: app.App
    clock: clock.ManualClock
    workspace_id: int

    def opt_out(self, user_id: str, topic: str = "*") -> None:
        """Somebody wants nothing of a topic any more: the id of a template, or `*` for everything."""

        def out(before: core_consent.Consent) -> core_consent.Consent:
            return core_consent.Consent({**before.topics, topic: core_consent.Topic("OPTED_OUT")})

        consent.change(self.app.store, self.workspace_id, None, user_id, out, self.clock.now())

    def sending_policy(self, tenant_id: str | None = None, **given: Any) -> None:
        """`quiet_hours`, `caps` and `topics`. Raises errors.InvalidInput as the API does."""
        policy, now = core_policies.define(given), self.clock.now()
        with self.app.store.writing() as connection:
            sending_policies.put(connection, self.workspace_id, tenant_id, policy, now, None)
