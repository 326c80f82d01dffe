"""What the commands say: plain lines and tables on stdout, complaints on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from heliograph.core import ids


def say(line: str = "") -> None:
    """One line for whoever asked."""
    typer.echo(line)


def complain(*lines: str) -> None:
    """What went wrong, each fault in one line on stderr."""
    for line in lines:
        typer.echo(f"heliograph: {' '.join(line.split())}", err=True)


def console() -> Console:
    """Where tables and trees go; nothing that is shown is taken for markup."""
    return Console(markup=False, highlight=False, emoji=False)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], nothing: str | None = None) -> None:
    """Rows under their columns, a number to the right; where there are none, the line `nothing` instead."""
    listed = [list(row) for row in rows]
    if nothing is not None and not listed:
        say(nothing)
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        is_number = bool(listed) and all(isinstance(row[place], int) for row in listed)
        # An id that is broken over lines cannot be copied into the next command.
        is_id = bool(listed) and all(ids.parse(str(row[place])) is not None for row in listed)
        table.add_column(
            column,
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=is_id,
            min_width=36 if is_id else None,
        )
    for row in listed:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console().print(table)


def help_unless_told(context: typer.Context) -> None:
    """A program or a family of commands that is named alone says what it can do."""
    if context.invoked_subcommand is None:
        say(context.get_help())
        raise typer.Exit


def errors_console() -> Console:
    """Where progress is shown: beside the answer, not in it."""
    return Console(stderr=True, markup=False, highlight=False, emoji=False)


def is_watched() -> bool:
    """Whether somebody sees progress."""
    return sys.stderr.isatty()
