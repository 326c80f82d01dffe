"""`heliograph provider`: by whom a workspace sends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from heliograph import clock, errors, settings
from heliograph.cli import options, terminal

if TYPE_CHECKING:
    import sqlalchemy as sa

    from heliograph import channels
    from heliograph.store import providers as stored_providers

providers = typer.Typer(help="By whom a workspace sends.", rich_markup_mode=None)
providers.callback(invoke_without_command=True)(terminal.help_unless_told)


@providers.command("list")
def list_providers(workspace: options.Workspace = "default", database: options.DatabaseUrl = None) -> None:
    """List the providers of a workspace, of each channel in the order in which they are asked."""
    from heliograph.core import providers as core
    from heliograph.store import providers as stored

    found = options.read_in(workspace, database, stored.listed)
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
        nothing=f"The workspace {workspace} has no providers of its own: heliograph apply sets them up",
    )


@providers.command("test")
def try_out(
    name: Annotated[str, typer.Argument(help="The provider's name, as `provider list` shows it.")],
    to: Annotated[str, typer.Option("--to", metavar="ADDRESS", help="Where the trial goes.")],
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Send one message by a provider, past the ledger, and tell what it answered."""
    from heliograph import outlets

    with options.opened(database) as store:
        with store.reading() as connection:
            owner = options.workspace_id(connection, workspace)
            one = _named(connection, owner, name)
        ways_out = outlets.Outlets(settings.load(database_url=database), store, clock.WallClock())
        answer = asyncio.run(ways_out.tried(owner, one, to))
    _tell(name, to, answer)


def _named(connection: sa.Connection, owner: int, name: str) -> stored_providers.Provider:
    from heliograph.store import providers as stored

    found = {one.name: one for one in stored.listed(connection, owner)}
    if name not in found:
        hint = errors.did_you_mean(name, found) or f": there is {', '.join(found) or 'none'}"
        raise errors.NotFound(f"there is no provider {name!r}{hint}")
    return found[name]


def _tell(name: str, to: str, answer: channels.Answer) -> None:
    said = " ".join(part for part in (answer.code, answer.text) if part)
    terminal.say(f"{name} to {to}: {answer.outcome.value}{f' ({said})' if said else ''}")
    if answer.outcome.value != "accepted":
        raise typer.Exit(1)
