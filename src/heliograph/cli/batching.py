"""`heliograph batch`: what journeys collect, and a word that it be released now."""

from __future__ import annotations

from typing import Annotated

import typer

from heliograph import errors
from heliograph.cli import options, terminal
from heliograph.core import batches, ids

batch = typer.Typer(help="Items of many runs that wait to be released together.", rich_markup_mode=None)
batch.callback(invoke_without_command=True)(terminal.help_unless_told)


@batch.command("list")
def list_batches(
    key: Annotated[str | None, typer.Option(help="Only those with this batch_id.")] = None,
    workspace: options.Workspace = "default",
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100,
    database: options.DatabaseUrl = None,
) -> None:
    """List the batches that are open, newest first, and when they are released if nothing more comes."""
    from heliograph.store import batches as stored

    found = options.read_in(
        workspace,
        database,
        lambda connection, owner: stored.listed(connection, owner, None, limit, batch_key=key),
    )
    terminal.show_table(
        ("id", "batch_id", "user", "items", "status", "opened", "releases", "owner"),
        [
            (
                ids.text(one.id),
                one.batch_key,
                one.user_id,
                f"{one.size:,}",
                batches.State(one.state).name.lower(),
                options.second(one.opened_at),
                options.second(batches.due_at(one)) if one.state == batches.State.OPEN else None,
                ids.wire(one.owner_run_id),
            )
            for one in found
        ],
        nothing=f"No batch is open in the workspace {workspace}.",
    )


@batch.command("release")
def release(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The batch, as `batch list` shows it.")],
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Release a batch now, whatever it waits for: taken up within five seconds."""
    from heliograph.store import batches as stored

    wanted = ids.parse(identity)
    with options.opened(database) as store, store.writing() as connection:
        workspace_id = options.workspace_id(connection, workspace)
        found = None if wanted is None else stored.read(connection, workspace_id, None, wanted)
        if found is None or found.state not in (batches.State.OPEN, batches.State.HELD):
            raise errors.NotFound(f"there is no open batch {identity!r} in the workspace {workspace}")
        stored.order(connection, workspace_id, [found.id], stored.RELEASE)
    terminal.say(f"{found.size:,} items of {found.batch_key!r} are released within five seconds.")
