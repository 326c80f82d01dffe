"""`heliograph suppression`: addresses that nothing is sent to."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from heliograph import errors
from heliograph.cli import options, terminal

if TYPE_CHECKING:
    from collections.abc import Iterable

suppressions = typer.Typer(help="Addresses that nothing is sent to.", rich_markup_mode=None)
suppressions.callback(invoke_without_command=True)(terminal.help_unless_told)


@suppressions.command("add")
def add(
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS…", help="E-mail addresses or numbers.")],
    reason: Annotated[str, typer.Option(help="bounce, complaint, manual or unsubscribe.")] = "manual",
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Let nothing be sent to these any more, not even what is planned already."""
    from heliograph.core import suppressing

    _put([suppressing.define({"address": one, "reason": reason}) for one in addresses], workspace, database)


@suppressions.command("remove")
def remove(
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS…", help="As they are listed.")],
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Let these be written to again."""
    from heliograph.core import suppressing
    from heliograph.store import suppressions as stored

    wanted = [suppressing.check_address(one, "address") for one in addresses]
    with options.opened(database) as store, store.writing() as connection:
        owner = options.workspace_id(connection, workspace)
        gone = sum(stored.delete(connection, owner, None, one) for one in wanted)
    terminal.say(f"{gone} of {len(wanted)} may be written to again.")


@suppressions.command("import")
def bring_in(
    file: Annotated[Path, typer.Argument(help="CSV with a column `address` and, if wanted, `reason`.")],
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Bring in a CSV file: all its rows or, where one is wrong, none."""
    from heliograph.core import suppressing

    with options.file_there(file).open(encoding="utf-8-sig", newline="") as opened:
        try:
            rows = suppressing.read_csv(csv.DictReader(opened))
        except UnicodeDecodeError:
            raise errors.InvalidInput.at(str(file), "is not UTF-8") from None
        except csv.Error as fault:
            raise errors.InvalidInput.at(str(file), f"cannot be read as CSV: {fault}") from None
    _put(rows, workspace, database)


@suppressions.command("export")
def bring_out(workspace: options.Workspace = "default", database: options.DatabaseUrl = None) -> None:
    """Write all of them to the output as CSV."""
    from heliograph.store import suppressions as stored

    with options.opened(database) as store:
        with store.reading() as connection:
            workspace_id = options.workspace_id(connection, workspace)
        for piece in stored.written(store, workspace_id, None):
            sys.stdout.write(piece)


def _put(given: Iterable[tuple[str, str]], workspace: str, database: str | None) -> None:
    from heliograph.store import suppressions as stored

    rows = list(given)
    with options.opened(database) as store:
        now = options.moment(store)
        with store.writing() as connection:
            stored.put(connection, options.workspace_id(connection, workspace), None, rows, now)
    terminal.say(f"Nothing is sent to {len(rows)} {'address' if len(rows) == 1 else 'addresses'} any more.")
