"""What people define in a World: rules, journeys, campaigns and what these send (a part of World)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from heliograph import app, clock, errors, settings
from heliograph.core import brands as core_brands
from heliograph.core import campaigns as core_campaigns
from heliograph.core import communication_groups as core_groups
from heliograph.core import dates as core_dates
from heliograph.core import ids, message_templates, rule_journeys, rules
from heliograph.core import journeys as core_journeys
from heliograph.core import segments as core_segments
from heliograph.store import (
    automations,
    brands,
    campaigns,
    communication_groups,
    dates,
    journeys,
    segments,
    templates,
)


class Definitions:
    """Automations, and what they send to whom."""

    app: app.App
    clock: clock.ManualClock
    settings: settings.Settings
    workspace_id: int

    def rule(self, **definition: Any) -> str:
        """A rule; gives its id. `name` may be left out. Raises errors.InvalidInput as the API does."""
        made = rules.define({"name": "A rule", **definition})
        rule_journeys.check_actions(made.actions, self.app.sandbox, self.settings.allowed_hosts)
        with self.app.store.writing() as connection:
            stored = automations.create_rule(
                connection, self.workspace_id, None, made, self.clock.now(), None
            )
        return ids.text(stored.id)

    def template(self, template_id: str, **content: Any) -> None:
        """A template with `subject`, `text`, `html`, or of `elements`. Raises errors.InvalidInput as a file does."""
        with self.app.store.writing() as connection:
            said = message_templates.check(content).said if "elements" in content else content
            templates.put(connection, self.workspace_id, template_id, said, self.clock.now())

    def brand(self, brand_id: str, **definition: Any) -> None:
        """A brand with `settings` and `snippets`; `name` may be left out."""
        made = core_brands.define({"name": brand_id, **definition})
        with self.app.store.writing() as connection:
            brands.put(connection, self.workspace_id, brand_id, made, self.clock.now())

    def journey(self, journey_id: str, *steps: Mapping[str, Any], **definition: Any) -> None:
        """A journey of these steps. `name` may be left out. Raises errors.InvalidInput as the API does."""
        given = {"name": journey_id, "steps": list(steps), **definition}
        made = core_journeys.define(journey_id, given, self.app.sandbox, self.settings.allowed_hosts)
        with self.app.store.writing() as connection:
            journeys.put(connection, self.workspace_id, None, made, self.clock.now())

    def date_automation(self, **definition: Any) -> int:
        """A date automation; gives its number. `name` and `summary` may be left out, and a template named by id.

        Raises errors.InvalidInput as the API does.
        """
        given = {"name": "A birthday", "summary": None, **definition}
        with self.app.store.writing() as connection:
            template_id = given.pop("template", None)
            if template_id is not None:
                stored = templates.read(connection, self.workspace_id, template_id)
                given |= {"actiontype": "email_autoresponder", "actiontarget": stored and stored.number}
            made = dates.create(
                connection, self.workspace_id, None, core_dates.define(given), self.clock.now(), 0
            )
        return made.number

    def change_date_automation(self, number: int, **changes: Any) -> None:
        """PUT a date automation."""
        with self.app.store.writing() as connection:
            stored = dates.lock(connection, self.workspace_id, None, number)
            assert stored is not None, f"there is no date automation {number}"
            changed = core_dates.change(stored.definition, changes)
            dates.change(connection, self.workspace_id, stored, changed, self.clock.now())

    def delete_date_automation(self, number: int) -> None:
        """DELETE a date automation."""
        with self.app.store.writing() as connection:
            stored = dates.lock(connection, self.workspace_id, None, number)
            assert stored is not None, f"there is no date automation {number}"
            dates.delete(connection, stored, self.clock.now())

    def company(self, **settings: str | bool) -> None:
        """Set the company's `timezone`, `leap_day_policy` or `folderrestrict`."""
        with self.app.store.writing() as connection:
            dates.set_company(connection, self.workspace_id, settings, self.clock.now())

    def segment(self, *conditions: Mapping[str, Any], name: str = "A segment") -> str:
        """A segment of those for whom all conditions hold; gives its id. Everybody is in `all_users`."""
        definition = core_segments.define({"name": name, "conditions": list(conditions)})
        with self.app.store.writing() as connection:
            made = segments.create(connection, self.workspace_id, None, definition, self.clock.now())
        return ids.text(made.id)

    def communication_group(self, **email: Any) -> str:
        """A communication group whose e-mail has a `subject`, a `text_body` …; gives its id."""
        definition = core_groups.define({"name": "A group", "email": email})
        with self.app.store.writing() as connection:
            made = communication_groups.create(
                connection, self.workspace_id, None, definition, self.clock.now()
            )
        return made.id

    def campaign(self, *, status: str = "active", **definition: Any) -> str:
        """A campaign; gives its id. `group` or `groups` stand for its actions, `scheduled_at` for its trigger.

        It is activated unless `status` says otherwise. Raises errors.InvalidInput as the API does.
        """
        given = {"name": "A campaign", "include_segments": ["all_users"], **definition}
        groups = given.pop("groups", None) or [given.pop("group")]
        given["action_data"] = [
            {"action_type": core_campaigns.SEND, "action_metadata": {"communication_group_id": group}}
            for group in groups
        ]
        if "scheduled_at" in given:
            given["trigger_metadata"] = {"scheduled_at": given.pop("scheduled_at")}
        with self.app.store.writing() as connection:
            made = campaigns.create(
                connection, self.workspace_id, None, core_campaigns.define(given), self.clock.now()
            )
        identity = ids.text(made.id)
        if status != "draft":
            self.change_campaign(identity, status=status)
        return identity

    def change_campaign(self, campaign_id: str, **changes: Any) -> None:
        """PATCH a campaign."""
        campaigns.change(
            self.app.store,
            self.workspace_id,
            None,
            identity_of(campaign_id),
            changes,
            self.clock.now(),
            self.app.lock_window,
        )

    def stop_campaign(self, campaign_id: str) -> None:
        """Stop a campaign that runs."""
        campaigns.stop(self.app.store, self.workspace_id, None, identity_of(campaign_id), self.clock.now())


def identity_of(text: str) -> bytes:
    """The id that a text is. Raises errors.NotFound."""
    identity = ids.parse(text) or ids.of_wire(text)
    if identity is None:
        raise errors.NotFound(f"there is nothing with the id {text!r}: an id is a UUID")
    return identity
