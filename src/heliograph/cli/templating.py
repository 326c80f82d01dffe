"""`heliograph template`: stored templates, by id and by the number that `/v1` calls them by."""

from __future__ import annotations

from typing import Annotated

import typer

from heliograph import errors
from heliograph.cli import options, terminal

templates = typer.Typer(help="Templates: listed with their numbers, tried, deleted.", rich_markup_mode=None)
templates.callback(invoke_without_command=True)(terminal.help_unless_told)


@templates.command("list")
def list_templates(workspace: options.Workspace = "default", database: options.DatabaseUrl = None) -> None:
    """List the templates of a workspace by id."""
    from heliograph.store import templates as stored

    found = options.read_in(workspace, database, stored.listed)
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
        nothing=f"The workspace {workspace} has no templates: heliograph apply DIR",
    )


Data = Annotated[
    str, typer.Option(help="What fills it: data of a send, payload of an event.", metavar="JSON")
]
Person = Annotated[str | None, typer.Option("--contact", help="The contact whose profile fills it.")]
Chosen = Annotated[str, typer.Option(help="published, draft, or one such as v001.")]


@templates.command("preview")
def preview_template(
    template_id: Annotated[str, typer.Argument(metavar="ID", help="The template's id or alias.")],
    contact: Person = None,
    data: Data = "{}",
    version: Chosen = "published",
    html: Annotated[bool, typer.Option("--html", help="Print the HTML instead of the text.")] = False,
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Print a template as a person would read it."""
    from heliograph.engine import trials

    given = options.json_object(data, "--data")
    asked = trials.Asked(template_id, contact, given, version, payload=given)
    with options.opened(database) as store:
        now = options.moment(store)
        with store.reading() as connection:
            tried = trials.prepare(connection, options.workspace_id(connection, workspace), None, asked)
    made = tried.rendered(now)
    if html:
        terminal.say(made.html or "")
        return
    terminal.say(f"Subject: {made.subject}\n\n{made.text}")
    for path in tried.missing():
        terminal.say(f"note: there is nothing at {path}")


@templates.command("test")
def send_test(
    template_id: Annotated[str, typer.Argument(metavar="ID", help="The template's id or alias.")],
    to: Annotated[str, typer.Option(help="The e-mail address that gets it.")],
    contact: Person = None,
    data: Data = "{}",
    version: Chosen = "published",
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Send a template to an address; the running engine delivers it."""
    from heliograph.engine import trials

    given = options.json_object(data, "--data")
    asked = trials.Asked(template_id, contact, given, version, payload=given)
    with options.opened(database) as store:
        now = options.moment(store)
        with store.writing() as connection:
            owner = options.workspace_id(connection, workspace)
            tried = trials.prepare(connection, owner, None, asked)
            made = trials.send(connection, owner, None, tried, to, now)
        if not store.is_sqlite:
            store.notify()
    terminal.say(f"The message {made} to {to} stands in line.")


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
