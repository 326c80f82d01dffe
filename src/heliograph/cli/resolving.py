"""`heliograph uncertain` and `heliograph inbox`: what the engine cannot settle by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

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

Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]


@uncertain.command("list")
def list_uncertain(
    workspace: options.Workspace = "default", limit: Limit = 100, database: options.DatabaseUrl = None
) -> None:
    """List what is uncertain, oldest first: the first part of an e-mail's Message-ID is the id shown."""
    from heliograph.store import uncertain as stored

    with options.opened(database) as store, store.reading() as connection:
        found = stored.listed(connection, options.workspace_id(connection, workspace), limit)
    if not found:
        terminal.say(f"Nothing is uncertain in the workspace {workspace}.")
        return
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
    )


@uncertain.command("resend")
def resend(
    chosen: choosing.Chosen = None,
    everything: choosing.All = False,
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Send once more: whoever has it already has it twice then. The attempt stays uncertain in the ledger."""
    from heliograph.store import uncertain as stored

    count = choosing.act_on(stored.resend, _uncertain, "uncertain", chosen, everything, workspace, database)
    terminal.say(f"{count:,} in line again: they are sent within five seconds.")


@uncertain.command("accept")
def accept(
    chosen: choosing.Chosen = None,
    everything: choosing.All = False,
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Mark as accepted: it was handed over, as the mail server's log says. Its run goes on."""
    from heliograph.store import uncertain as stored

    count = choosing.act_on(stored.accept, _uncertain, "uncertain", chosen, everything, workspace, database)
    terminal.say(f"{count:,} marked as accepted.")


@uncertain.command("fail")
def fail(
    chosen: choosing.Chosen = None,
    everything: choosing.All = False,
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Mark as failed: it was never handed over, and shall not be. Its run goes on, as after any failure."""
    from heliograph.store import uncertain as stored

    count = choosing.act_on(stored.fail, _uncertain, "uncertain", chosen, everything, workspace, database)
    terminal.say(f"{count:,} marked as failed.")


def _uncertain(connection: sa.Connection, workspace_id: int, limit: int, after: bytes) -> list[bytes]:
    from heliograph.store import uncertain as stored

    return [one.id for one in stored.listed(connection, workspace_id, limit, after)]


@inbox.command("list")
def list_refused(
    workspace: options.Workspace = "default", limit: Limit = 100, database: options.DatabaseUrl = None
) -> None:
    """List what was set aside, oldest first; the log says why it was refused (`inbox_failed`, with the same id)."""
    from heliograph.store import refused as stored

    with options.opened(database) as store, store.reading() as connection:
        found = stored.listed(connection, options.workspace_id(connection, workspace), limit)
    if not found:
        terminal.say(f"Nothing was set aside in the workspace {workspace}.")
        return
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
    )


@inbox.command("retry")
def retry(
    chosen: choosing.Chosen = None,
    everything: choosing.All = False,
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Try again, up to five times more: when the program was mended."""
    from heliograph.store import refused as stored

    count = choosing.act_on(
        choosing.without_store(stored.retry), _refused, "set aside", chosen, everything, workspace, database
    )
    terminal.say(f"{count:,} in line again: they are tried within five seconds.")


@inbox.command("drop")
def drop(
    chosen: choosing.Chosen = None,
    everything: choosing.All = False,
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Let it end here: a run that waits for it is told that it was skipped, and goes on."""
    from heliograph.store import refused as stored

    count = choosing.act_on(
        choosing.without_store(stored.drop), _refused, "set aside", chosen, everything, workspace, database
    )
    terminal.say(f"{count:,} dropped.")


def _refused(connection: sa.Connection, workspace_id: int, limit: int, after: bytes) -> list[bytes]:
    from heliograph.store import refused as stored

    return [one.id for one in stored.listed(connection, workspace_id, limit, after)]
