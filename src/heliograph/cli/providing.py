"""`heliograph provider`: by whom a workspace sends."""

from __future__ import annotations

import typer

from heliograph.cli import options, terminal

providers = typer.Typer(help="By whom a workspace sends.", rich_markup_mode=None)
providers.callback(invoke_without_command=True)(terminal.help_unless_told)


@providers.command("list")
def list_providers(workspace: options.Workspace = "default", database: options.DatabaseUrl = None) -> None:
    """List the providers of a workspace, of each channel in the order in which they are asked."""
    from heliograph.core import providers as core
    from heliograph.store import providers as stored

    with options.opened(database) as store, store.reading() as connection:
        found = stored.listed(connection, options.workspace_id(connection, workspace))
    if not found:
        terminal.say(f"The workspace {workspace} has no providers of its own: heliograph apply sets them up")
        return
    ordered = sorted(found, key=lambda one: (core.CHANNELS.index(one.channel), one.position, one.number))
    terminal.show_table(
        ("channel", "name", "provider", "position", "enabled", "secrets", "title"),
        [
            (
                one.channel,
                one.name,
                one.provider,
                one.position,
                "yes" if one.enabled else "no",
                ", ".join(sorted(one.secrets)),
                one.title,
            )
            for one in ordered
        ],
    )
