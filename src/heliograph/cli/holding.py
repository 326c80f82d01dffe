"""`heliograph held`: what was due for too long while nobody was there to do it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from heliograph.cli import choosing, options, terminal
from heliograph.core import ids

if TYPE_CHECKING:
    import sqlalchemy as sa

held = typer.Typer(
    help="What was due for longer than the misfire grace, and waits for your word.", rich_markup_mode=None
)
held.callback(invoke_without_command=True)(terminal.help_unless_told)


@held.command("list")
def list_held(
    workspace: options.Workspace = "default",
    limit: choosing.Limit = 100,
    database: options.DatabaseUrl = None,
) -> None:
    """List what is held, oldest first."""
    from heliograph.store import held as stored

    found = options.read_in(
        workspace, database, lambda connection, owner: stored.listed(connection, owner, limit)
    )
    terminal.show_table(
        ("id", "what", "about", "contact", "address", "since"),
        [
            (
                ids.text(one.id),
                one.what,
                one.about,
                one.contact_id,
                one.address,
                options.second(one.created_at),
            )
            for one in found
        ],
        nothing=f"Nothing is held in the workspace {workspace}.",
    )


@choosing.command(held, "release", "held", "{:,} released: they go on within five seconds.")
def release() -> choosing.Deed:
    """Let it go on: put back in line, taken up within five seconds."""
    from heliograph.store import held as stored

    return choosing.without_store(stored.release), _ids


@choosing.command(held, "drop", "held", "{:,} dropped.")
def drop() -> choosing.Deed:
    """Let it end here: an event is not matched any more, a message or a run is canceled."""
    from heliograph.store import held as stored

    return choosing.without_store(stored.drop), _ids


def _ids(connection: sa.Connection, workspace_id: int, limit: int, _after: bytes) -> list[bytes]:
    # Nothing that was let go is held a second time, so the oldest are always new ones.
    from heliograph.store import held as stored

    return [one.id for one in stored.listed(connection, workspace_id, limit)]
