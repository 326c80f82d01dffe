"""The providers of a World's workspaces, which take what goes out by them and keep it (a part of World)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heliograph import app, clock
from heliograph.core import providers as core_providers
from heliograph.store import providers as stored_providers
from heliograph.testing.mailbox import Outbox

_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "smtp": {"host": "mail.example.com"},
    "twilio": {"account_sid": "AC1", "auth_token": "t", "from": "+15005550006"},
    "webhook": {},
    "apprise-push": {"url": "json://push.example.com/{address}"},
    "apprise-chat": {"url": "json://chat.example.com/{address}"},
}


class Outboxes:
    """Providers, each with a stand-in."""

    app: app.App
    clock: clock.ManualClock
    workspace_id: int
    outboxes: dict[str, Outbox]

    def provider(self, provider: str, alias: str, **definition: Any) -> Outbox:
        """A provider of the workspace, and the stand-in that takes what goes out by it; one that is there is replaced.

        `settings` may be left out. Raises errors.InvalidInput as the API does.
        """
        given = {"settings": _SETTINGS[provider], **definition, "provider": provider, "alias": alias}
        said, safe, now = core_providers.define(given), self.app.store.safe, self.clock.now()
        with self.app.store.writing() as connection:
            before = stored_providers.lock(connection, self.workspace_id, alias)
            if before is None:
                stored_providers.create(connection, safe, self.workspace_id, said, now, alias)
            else:
                stored_providers.change(connection, safe, self.workspace_id, before, said, now)
        return self._outbox(alias, said)

    def _outbox(self, name: str, said: core_providers.Definition) -> Outbox:
        return self.outboxes.setdefault(name, Outbox(core_providers.channel_of(said.provider)))
