"""`heliograph template`: the templates that `apply` brought in, by id and by the number that `/v1` calls them by."""

from __future__ import annotations

from typing import Annotated

import typer

from heliograph import errors
from heliograph.cli import options, terminal

templates = typer.Typer(help="Templates: listed with their numbers, deleted.", rich_markup_mode=None)
templates.callback(invoke_without_command=True)(terminal.help_unless_told)


@templates.command("list")
def list_templates(workspace: options.Workspace = "default", database: options.DatabaseUrl = None) -> None:
    """List the templates of a workspace by id."""
    from heliograph.store import automations

    with options.opened(database) as store, store.reading() as connection:
        found = automations.list_templates(connection, options.workspace_id(connection, workspace))
    if not found:
        terminal.say(f"The workspace {workspace} has no templates: heliograph apply DIR")
        return
    terminal.show_table(
        ("number", "id", "version", "edited", "may be edited"),
        [
            (
                one.number,
                one.id,
                one.version,
                options.second(one.updated_at),
                "yes" if one.is_editable else "no",
            )
            for one in found
        ],
    )


@templates.command("delete")
def delete_template(
    template_id: Annotated[str, typer.Argument(metavar="ID", help="The template's id.")],
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Delete a template. Date automations that send it are paused; what is in line already is sent."""
    from heliograph.store import dates

    with options.opened(database) as store:
        now = options.moment(store)
        with store.writing() as connection:
            owner = options.workspace_id(connection, workspace)
            paused = dates.delete_message(connection, owner, template_id, now)
    if paused is None:
        raise errors.NotFound(f"there is no template {template_id!r} in the workspace {workspace}")
    terminal.say(f"The template {template_id} is deleted.")
    for rule in paused:
        terminal.say(f"Date automation {rule.number} ({rule.definition.name}), which sends it, is paused.")
