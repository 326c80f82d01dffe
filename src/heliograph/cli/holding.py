"""`heliograph held`: what was due for too long while nobody was there to do it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from heliograph import errors
from heliograph.cli import options, terminal
from heliograph.core import ids

if TYPE_CHECKING:
    import sqlalchemy as sa

    Act = Callable[[sa.Connection, int, list[bytes], int], int]

held = typer.Typer(
    help="What was due for longer than the misfire grace, and waits for your word.", rich_markup_mode=None
)
held.callback(invoke_without_command=True)(terminal.help_unless_told)

_AT_ONCE = 500

Chosen = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Ids of events, messages and runs, as `held list` shows them."),
]
All = Annotated[bool, typer.Option("--all", help="Everything that is held.")]


@held.command("list")
def list_held(
    workspace: options.Workspace = "default",
    limit: Annotated[int, typer.Option(min=1, help="At most so many events, and as many messages.")] = 100,
    database: options.DatabaseUrl = None,
) -> None:
    """List what is held, oldest first."""
    from heliograph.store import held as stored

    with options.opened(database) as store, store.reading() as connection:
        found = stored.listed(connection, options.workspace_id(connection, workspace), limit)
    if not found:
        terminal.say(f"Nothing is held in the workspace {workspace}.")
        return
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
    )


@held.command("release")
def release(
    chosen: Chosen = None,
    everything: All = False,
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Let it go on: put back in line, taken up within five seconds."""
    from heliograph.store import held as stored

    count = _act(stored.release, chosen, everything, workspace, database)
    terminal.say(f"{count:,} released: they go on within five seconds.")


@held.command("drop")
def drop(
    chosen: Chosen = None,
    everything: All = False,
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Let it end here: an event is not matched any more, a message or a run is canceled."""
    from heliograph.store import held as stored

    count = _act(stored.drop, chosen, everything, workspace, database)
    terminal.say(f"{count:,} dropped.")


def _act(act: Act, chosen: list[str] | None, everything: bool, workspace: str, database: str | None) -> int:
    if bool(chosen) == everything:
        raise typer.BadParameter("name what is meant by its ID, or everything by --all", param_hint="ID")
    named = [options.parse_id(text, "ID") for text in chosen or ()]
    with options.opened(database) as store:
        with store.reading() as connection:
            owner = options.workspace_id(connection, workspace)
        now = options.present(store)
        if everything:
            return _act_on_all(act, store, owner, now)
        with store.writing() as connection:
            count = act(connection, owner, named, now)
            if count != len(set(named)):
                raise errors.NotFound(
                    f"{len(set(named)) - count} of these are not held in the workspace {workspace}: nothing was changed"
                )
    return count


def _act_on_all(act: Act, store: options.Store, owner: int, now: int) -> int:
    """In short transactions, until nothing is left of what there was."""
    from heliograph.store import held as stored

    done = 0
    while True:
        with store.writing() as connection:
            found = [one.id for one in stored.listed(connection, owner, _AT_ONCE)]
            if not found:
                return done
            done += act(connection, owner, found, now)
