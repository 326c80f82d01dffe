"""Trials: a template as one person would read it, and the same sent to whoever writes it.

Law: a trial is drawn and filled by what makes messages. A preview changes nothing; what is sent is a planned message
that no run and no automation asked for, and is filled once before, so that what cannot be filled is told at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa

from heliograph import errors
from heliograph.core import people, plans, renderings, templates
from heliograph.engine import rendering
from heliograph.store import definitions, trials
from heliograph.store import people as stored_people
from heliograph.store import templates as stored


class Asked(NamedTuple):
    """What is tried, for whom, and with what."""

    template: str
    """Its id or alias."""
    contact_id: str | None = None
    data: Mapping[str, Any] = {}
    version: str | None = None
    """`published` (None too), `draft`, or one such as `v001`."""
    brand_id: str | None = None
    locale: str | None = None
    payload: Mapping[str, Any] | None = None
    """That of the event of a rule, whose texts speak of it."""


class Trial(NamedTuple):
    """A template, ready to be filled."""

    template: stored.Template
    version: int | None
    """None: the draft."""
    look: dict[str, Any] | None
    content: renderings.Content
    data: dict[str, Any]

    @property
    def context(self) -> dict[str, Any]:
        """What fills it."""
        return templates.context_for(self.data["data"], **self.data)

    def rendered(self, now: int) -> renderings.Rendered:
        """What a person reads. Raises errors.HeliographError where it cannot be filled."""
        return self.content.fill(self.context, now)

    def missing(self) -> list[str]:
        """The paths that are empty because there is nothing there."""
        return list(self.content.missing(self.context))


def prepare(connection: sa.Connection, workspace_id: int, tenant_id: str | None, asked: Asked) -> Trial:
    """Make a trial ready. Raises errors.NotFound and InvalidInput for what is not there."""
    found = stored.read(connection, workspace_id, asked.template)
    if found is None:
        raise errors.NotFound(f"there is no template {asked.template!r}")
    chosen = found.in_version(asked.version, stored.versions(connection, workspace_id, found.id))
    library = definitions.library(connection, workspace_id)
    if asked.brand_id is not None and asked.brand_id not in library.brands:
        raise errors.InvalidInput.at("brand_id", f"there is no brand {asked.brand_id!r}")
    look = library.look(plans.Pin(found.id, 0, stored.brand_of(chosen.said)), asked.brand_id)
    renders = rendering.Rendering(
        lambda _, name, version: definitions.template(connection, workspace_id, name, version),
        lambda _, name, version: definitions.look(connection, workspace_id, name, version),
    )
    design = renders.design_of(workspace_id, chosen.said, None if look is None else look["brand"])
    data = {"data": dict(asked.data), **_person(connection, workspace_id, tenant_id, asked.contact_id)}
    if asked.payload is not None:
        payload = dict(asked.payload)
        own = {name: value for name, value in payload.items() if name not in templates.ROOTS}
        data = {**own, **data, "payload": payload, "event": {**payload, "payload": payload}}
    if asked.locale is not None:
        data["profile"] = {**data.get("profile", {}), "locale": asked.locale}
    return Trial(found, chosen.version or None, look, design.content(data), data)


def send(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, trial: Trial, to: str, now: int
) -> str:
    """Put a trial in line for an address; gives the message's id. Raises errors.HeliographError."""
    fault = people.email_fault(to)
    if fault:
        raise errors.InvalidInput.at("to", fault)
    trial.rendered(now)
    planned = trials.Trial(
        workspace_id, tenant_id, to.strip().lower(), trial.template, trial.version, trial.look, trial.data
    )
    return trials.plan(connection, planned, now)


def _person(
    connection: sa.Connection, workspace_id: int, tenant_id: str | None, contact_id: str | None
) -> dict[str, Any]:
    if contact_id is None:
        return {}
    found = stored_people.read_contact(connection, workspace_id, tenant_id, contact_id)
    if found is None:
        raise errors.InvalidInput.at("contact_id", f"there is no contact {contact_id!r}")
    contact = {**found.profile, "id": found.user_id, "tags": found.tags}
    return {"profile": found.profile, "contact": contact}
