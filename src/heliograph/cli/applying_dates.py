"""`heliograph apply`: date automations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from heliograph import errors
from heliograph.cli.applied_change import Change
from heliograph.core import dates as core_dates
from heliograph.store import dates, lists, templates

if TYPE_CHECKING:
    import sqlalchemy as sa

    from heliograph.cli import definition_files


def put_date(connection: sa.Connection, owner: int, one: definition_files.Definition, now: int) -> Change:
    """Store a date automation."""
    assert isinstance(one.id, bytes)
    try:
        definition = _with_target(connection, owner, one.content)
        before, after = dates.put(connection, owner, one.id, definition, now)
    except (errors.InvalidInput, errors.NotFound) as fault:
        raise type(fault)(f"{one.file}: {fault.message}") from None
    if before is None:
        return Change("date", one.name, "created")
    fields = dates.changed_fields(before.definition, after.definition)
    changed = f"changed: {', '.join(fields)} (version {after.version})"
    return Change("date", one.name, changed if fields else "unchanged")


def _with_target(
    connection: sa.Connection, owner: int, content: definition_files.DateFile
) -> core_dates.Definition:
    """The definition with the number of its template or list. Raises errors.NotFound where there is none."""
    definition = content.definition
    if content.template_id is not None:
        template = templates.read(connection, owner, content.template_id)
        if template is None:
            raise errors.NotFound(f"there is no template {content.template_id!r}")
        if dates.message(connection, owner, str(template.number)) is None:
            raise errors.NotFound(f"the template {content.template_id!r} is archived, or was never published")
        return msgspec.structs.replace(definition, actiontarget=str(template.number))
    if (
        definition.actiontype in core_dates.AUTORESPONDERS
        and dates.message(connection, owner, definition.actiontarget) is None
    ):
        raise errors.NotFound(f"there is no message {definition.actiontarget}: name it by `template`")
    if content.list_id is not None:
        found = lists.read(connection, owner, None, content.list_id)
        if found is None or dates.list_of(connection, owner, None, str(found.number)) is None:
            raise errors.NotFound(f"there is no list {content.list_id!r}")
        return msgspec.structs.replace(definition, actiontarget=str(found.number))
    if (
        definition.actiontype == "addtolist"
        and dates.list_of(connection, owner, None, definition.actiontarget) is None
    ):
        raise errors.NotFound(f"there is no list {definition.actiontarget}: name it by `list`")
    return definition
