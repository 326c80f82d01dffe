"""`heliograph uncertain` and `heliograph inbox`: what the engine cannot settle by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from heliograph.cli import choosing, options, terminal
from heliograph.core import ids

if TYPE_CHECKING:
    import sqlalchemy as sa

uncertain = typer.Typer(
    help="Messages that may have been handed over and are not sent again before you say so.",
    rich_markup_mode=None,
)
uncertain.callback(invoke_without_command=True)(terminal.help_unless_told)
inbox = typer.Typer(
    help="Answers and debts between subjects that could not be taken in after five tries.",
    rich_markup_mode=None,
)
inbox.callback(invoke_without_command=True)(terminal.help_unless_told)


@uncertain.command("list")
def list_uncertain(
    workspace: options.Workspace = "default",
    limit: choosing.Limit = 100,
    database: options.DatabaseUrl = None,
) -> None:
    """List what is uncertain, oldest first: the first part of an e-mail's Message-ID is the id shown."""
    from heliograph.store import uncertain as stored

    found = options.read_in(
        workspace, database, lambda connection, owner: stored.listed(connection, owner, limit)
    )
    terminal.show_table(
        ("id", "what", "channel", "contact", "address", "lost", "since"),
        [
            (
                ids.text(one.id),
                one.what,
                one.channel,
                one.contact_id,
                one.address,
                one.lost,
                options.second(one.settled_at),
            )
            for one in found
        ],
        nothing=f"Nothing is uncertain in the workspace {workspace}.",
    )


@choosing.command(
    uncertain,
    "resend",
    "uncertain",
    "{:,} in line again: taken up within five seconds, and sent as if planned now.",
)
def resend() -> choosing.Deed:
    """Send once more: whoever has it already has it twice then. The attempt stays uncertain in the ledger."""
    from heliograph.store import uncertain as stored

    return stored.resend, _uncertain


@choosing.command(uncertain, "accept", "uncertain", "{:,} marked as accepted.")
def accept() -> choosing.Deed:
    """Mark as accepted: it was handed over, as the mail server's log says. Its run goes on."""
    from heliograph.store import uncertain as stored

    return stored.accept, _uncertain


@choosing.command(uncertain, "fail", "uncertain", "{:,} marked as failed.")
def fail() -> choosing.Deed:
    """Mark as failed: it was never handed over, and shall not be. Its run goes on, as after any failure."""
    from heliograph.store import uncertain as stored

    return stored.fail, _uncertain


def _uncertain(connection: sa.Connection, workspace_id: int, limit: int, after: bytes) -> list[bytes]:
    from heliograph.store import uncertain as stored

    return [one.id for one in stored.listed(connection, workspace_id, limit, after)]


@inbox.command("list")
def list_refused(
    workspace: options.Workspace = "default",
    limit: choosing.Limit = 100,
    database: options.DatabaseUrl = None,
) -> None:
    """List what was set aside, oldest first; the log says why it was refused (`inbox_failed`, with the same id)."""
    from heliograph.store import refused as stored

    found = options.read_in(
        workspace, database, lambda connection, owner: stored.listed(connection, owner, limit)
    )
    terminal.show_table(
        ("id", "what", "run", "tries", "since"),
        [
            (
                ids.text(one.id),
                one.what,
                None if one.run_id is None else ids.text(one.run_id),
                one.attempts,
                options.second(one.created_at),
            )
            for one in found
        ],
        nothing=f"Nothing was set aside in the workspace {workspace}.",
    )


@choosing.command(inbox, "retry", "set aside", "{:,} in line again: they are tried within five seconds.")
def retry() -> choosing.Deed:
    """Try again, up to five times more: when the program was mended."""
    from heliograph.store import refused as stored

    return choosing.without_store(stored.retry), _refused


@choosing.command(inbox, "drop", "set aside", "{:,} dropped.")
def drop() -> choosing.Deed:
    """Let it end here: a run that waits for it is told that it was skipped, and goes on."""
    from heliograph.store import refused as stored

    return choosing.without_store(stored.drop), _refused


def _refused(connection: sa.Connection, workspace_id: int, limit: int, after: bytes) -> list[bytes]:
    from heliograph.store import refused as stored

    return [one.id for one in stored.listed(connection, workspace_id, limit, after)]
