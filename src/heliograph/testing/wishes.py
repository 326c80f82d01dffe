"""What people of a World want to hear, and when (a part of World)."""

from __future__ import annotations

from typing import Any

from heliograph import app, clock
from heliograph.core import consent as core_consent
from heliograph.core import sending_policies as core_policies
from heliograph.store import consent, lists, sending_policies


class Wishes:
    """Lists, consent, quiet hours and caps."""

    app: app.App
    clock: clock.ManualClock
    workspace_id: int

    def subscribe(self, list_id: str, *user_ids: str) -> None:
        """These people are on a list, which is made where there is none."""
        wishes = [lists.Wish(list_id, user_id, None) for user_id in user_ids]
        lists.subscribe(self.app.store, self.workspace_id, None, wishes, self.clock.now(), overwrites=None)

    def subscribers(self, list_id: str) -> list[str]:
        """Who is on a list."""
        with self.app.store.reading() as connection:
            found = lists.subscribers(connection, self.workspace_id, list_id, (-1, ""), 10_000)
        return sorted(one.user_id for one in found)

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
