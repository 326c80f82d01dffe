"""Commands that act on things an operator has listed: on those named by id, or on all of them.

A family of commands says of each what is done and what is told; the options are the same for all of them and stand
here.

Law: those named are done in one transaction, all of them or, where one is not what it was taken for, none; all of them
in short transactions, so that nobody waits long, until nothing is left of what there was.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from heliograph import errors
from heliograph.cli import options, terminal

if TYPE_CHECKING:
    import sqlalchemy as sa

    Act = Callable[[options.Store, sa.Connection, int, Collection[bytes], int], int]
    Listed = Callable[[sa.Connection, int, int, bytes], Sequence[bytes]]
    Deed = tuple[Act, Listed]

Chosen = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Ids, as `list` shows them."),
]
All = Annotated[bool, typer.Option("--all", help="Everything that `list` would show.")]
Limit = Annotated[int, typer.Option(min=1, help="At most so many of each kind.")]

AT_ONCE = 500


def command(
    family: typer.Typer, name: str, what: str, told: str
) -> Callable[[Callable[[], Deed]], Callable[[], Deed]]:
    """Declare a command that does something to what is chosen; the docstring of what it decorates is its help.

    What it decorates gives the deed and the list to choose from, when the command is used and not before; `what` says
    what those that are named have to be ("held"), `told` what is said at the end, with the count in braces.
    """

    def declared(give: Callable[[], Deed]) -> Callable[[], Deed]:
        def chosen_command(
            chosen: Chosen = None,
            everything: All = False,
            workspace: options.Workspace = "default",
            database: options.DatabaseUrl = None,
        ) -> None:
            act, listed = give()
            count = act_on(act, listed, what, chosen, everything, workspace, database)
            terminal.say(told.format(count))

        chosen_command.__doc__ = give.__doc__
        family.command(name)(chosen_command)
        return give

    return declared


def act_on(
    act: Act,
    listed: Listed,
    what: str,
    chosen: list[str] | None,
    everything: bool,
    workspace: str,
    database: str | None,
) -> int:
    """Let `act` loose on what was chosen; gives how many it was done to.

    `listed` gives ids in a workspace in their order, at most so many, beyond one; `what` says what those that are
    named have to be ("held").
    """
    if bool(chosen) == everything:
        raise typer.BadParameter("name what is meant by its ID, or everything by --all", param_hint="ID")
    named = [options.parse_id(text, "ID") for text in chosen or ()]
    with options.opened(database) as store:
        with store.reading() as connection:
            owner = options.workspace_id(connection, workspace)
        now = options.moment(store)
        if everything:
            return _act_on_all(act, listed, store, owner, now)
        with store.writing() as connection:
            count = act(store, connection, owner, named, now)
            if count != len(set(named)):
                raise errors.NotFound(
                    f"{len(set(named)) - count} of these are not {what} in the workspace {workspace}:"
                    " nothing was changed"
                )
    return count


def without_store(act: Callable[[sa.Connection, int, Collection[bytes], int], int]) -> Act:
    """For what needs a connection and no more."""
    return lambda _store, *given: act(*given)


def _act_on_all(act: Act, listed: Listed, store: options.Store, owner: int, now: int) -> int:
    done, after = 0, b""
    while True:
        with store.writing() as connection:
            found = listed(connection, owner, AT_ONCE, after)
            if not found:
                return done
            done += act(store, connection, owner, found, now)
            # What comes back while we are at it is for the next time: else we might never end.
            after = found[-1]
