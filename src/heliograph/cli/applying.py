"""`heliograph apply DIR`: definitions from files, all of them or none."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from heliograph import errors
from heliograph.cli import options, terminal
from heliograph.cli.applied_change import Change, shows_nothing

if TYPE_CHECKING:
    import sqlalchemy as sa

    from heliograph.cli import definition_files
    from heliograph.store import database as databases

    Way = Callable[[sa.Connection, int, definition_files.Definition, int], Change]


def apply(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of .yaml files, or one such file.")],
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Bring in definitions from YAML files: rules, journeys, templates, campaigns, and what else a team keeps in git.

    What says nothing new is left alone.
    """
    if not folder.exists():
        raise errors.NotFound(f"there is no {folder}")
    with options.opened(database, must_exist=False) as store:
        changes = put(store, folder, workspace)
    for change in changes:
        terminal.say(f"{change.kind:<9} {change.name}: {change.what}")
        for warning in change.warnings:
            terminal.say(f"          note: {warning}")
    counts = [
        sum(change.what.startswith(word) for change in changes)
        for word in ("created", "changed", "unchanged")
    ]
    terminal.say(
        f"{counts[0]} created, {counts[1]} changed, {counts[2]} unchanged in the workspace {workspace}"
    )


def put(store: databases.Database, folder: Path, workspace: str, now: int | None = None) -> list[Change]:
    """Store every definition of a folder in one transaction; nothing where any of them has a fault.

    `now` is the present, where a clock of its own is about to be played.
    Raises errors.InvalidInput with the faults of all files, each with its line.
    """
    from heliograph.cli import definition_files
    from heliograph.core import campaigns
    from heliograph.store import workspaces

    found = definition_files.read(folder)
    now = options.moment(store) if now is None else now
    with store.writing() as connection:
        if workspace == workspaces.DEFAULT:
            workspaces.ensure(connection, workspace, now, store.safe)
        owner = options.workspace_id(connection, workspace)
        # Before anything else, as whoever changes one campaign does: no turn moves one that is changed here.
        of_campaigns = [one.id for one in found if one.kind == "campaign" and isinstance(one.id, bytes)]
        places = {campaigns.partition_of(owner, identity) for identity in of_campaigns}
        store.lock_partitions(connection, places)
        ways = _ways(store)
        changes = [_put(ways, connection, owner, one, now) for one in found]
        if all(change.what == "unchanged" for change in changes):
            # Then not even the version is raised, by which every turn reads the definitions again.
            connection.rollback()
    return changes


def _put(
    ways: Mapping[str, Way], connection: sa.Connection, owner: int, one: definition_files.Definition, now: int
) -> Change:
    try:
        return ways[one.kind](connection, owner, one, now)
    except errors.Conflict as fault:
        raise errors.Conflict(f"{one.file}: {fault.message}") from None
    except errors.InvalidInput as fault:
        faults = [errors.Fault(str(one.file), str(found)) for found in fault.faults]
        raise errors.InvalidInput(faults=faults) from None


def _ways(store: databases.Database) -> Mapping[str, Way]:
    """How each kind is stored."""
    from heliograph.cli import applying_campaigns, applying_choices, applying_dates, applying_providers

    return {
        "provider": functools.partial(applying_providers.put_provider, store.safe),
        "brand": _put_brand,
        "routing_strategy": applying_choices.put_strategy,
        "preference_section": applying_choices.put_section,
        "preference_topic": applying_choices.put_topic,
        "list": applying_choices.put_list,
        "audience": applying_choices.put_audience,
        "template": _put_template,
        "journey": _put_journey,
        "rule": _put_rule,
        "date": applying_dates.put_date,
        "segment": applying_campaigns.put_segment,
        "communication_group": applying_campaigns.put_group,
        "campaign": applying_campaigns.put_campaign,
        "sending_policy": _put_sending_policy,
    }


def _put_template(
    connection: sa.Connection, owner: int, one: definition_files.Definition, now: int
) -> Change:
    from heliograph.core import documents, elemental, message_templates
    from heliograph.store import templates

    assert isinstance(one.content, message_templates.Written)
    said, alias = one.content
    before = templates.read(connection, owner, str(one.id))
    after = templates.put(connection, owner, str(one.id), said, now, alias)
    strange = () if said.content is None else elemental.strangers_in(said.content, "")
    notes = shows_nothing(place.removeprefix(".") for place in strange)
    if before is None or before.published is None:
        return Change("template", one.name, "created", notes)
    was = msgspec.structs.asdict(before.published)
    fields = [
        name
        for name, value in msgspec.structs.asdict(said).items()
        if not documents.is_same(value, was[name]) and name != "creator"
    ]
    fields += ["alias"] if before.alias != after.alias else []
    if not fields and before.archived_at is None:
        return Change("template", one.name, "unchanged", notes)
    what = f"changed: {', '.join(fields) or 'no longer archived'} (version {after.version})"
    return Change("template", one.name, what, notes)


def _put_brand(connection: sa.Connection, owner: int, one: definition_files.Definition, now: int) -> Change:
    from heliograph.core import brands as core
    from heliograph.core import documents
    from heliograph.store import brands

    assert isinstance(one.content, core.Definition)
    before = brands.read(connection, owner, str(one.id))
    after = brands.put(connection, owner, str(one.id), one.content, now)
    if before is None:
        return Change("brand", one.name, "created")
    fields = documents.changed_fields(before.definition, after.definition, core.WRITABLE)
    if not fields:
        return Change("brand", one.name, "unchanged")
    return Change("brand", one.name, f"changed: {', '.join(fields)} (version {after.version})")


def _put_journey(connection: sa.Connection, owner: int, one: definition_files.Definition, now: int) -> Change:
    from heliograph.core import documents, journey_checks
    from heliograph.core import journeys as core
    from heliograph.store import journeys

    assert isinstance(one.content, core.Definition)
    before = journeys.find(connection, owner, None, one.content.id)
    after = journeys.put(connection, owner, None, one.content, now)
    notes = shows_nothing(journey_checks.strangers(one.content.steps, "steps"))
    if before is None or before.id != after.id:
        return Change("journey", one.name, "created", notes)
    if before.version == after.version:
        return Change("journey", one.name, "unchanged", notes)
    fields = documents.changed_fields(before.definition, after.definition, core.WRITABLE)
    return Change("journey", one.name, f"changed: {', '.join(fields)} (version {after.version})", notes)


def _put_rule(connection: sa.Connection, owner: int, one: definition_files.Definition, now: int) -> Change:
    from heliograph.core import rule_warnings, rules
    from heliograph.store import automations, references

    assert isinstance(one.id, bytes)
    assert isinstance(one.content, rules.Definition)
    before, after = automations.put_rule(connection, owner, one.id, one.content, now)
    found = rule_warnings.of_content(
        after.definition, references.known(connection, owner, None, after.definition)
    )
    notes = tuple(f"{note.path} {note.message}" for note in found)
    if before is None:
        return Change("rule", one.name, "created", notes)
    if before.version == after.version:
        return Change("rule", one.name, "unchanged", notes)
    fields = automations.changed_fields(before.definition, after.definition)
    return Change("rule", one.name, f"changed: {', '.join(fields)} (version {after.version})", notes)


def _put_sending_policy(
    connection: sa.Connection, owner: int, one: definition_files.Definition, now: int
) -> Change:
    from heliograph.core import sending_policies as core
    from heliograph.store import sending_policies

    assert isinstance(one.content, core.Policy)
    before, after = sending_policies.put(connection, owner, str(one.id) or None, one.content, now, None)
    if before.valid_from is None and after.valid_from is not None:
        return Change("sending_policy", one.name, "created")
    fields = [name for name in core.WRITABLE if getattr(before.policy, name) != getattr(after.policy, name)]
    return Change("sending_policy", one.name, f"changed: {', '.join(fields)}" if fields else "unchanged")
