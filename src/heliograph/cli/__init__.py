"""The command line: one small file for each family of commands.

Law: every error of ours is one clear line on stderr, never a traceback; exit code 2 for what was typed wrongly, 1 for
what went wrong. A command loads what it needs when it runs, so that `--help` is quick. Nothing is decided here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from heliograph import __version__, errors
from heliograph.cli import (
    applying,
    backtesting,
    batching,
    demonstrating,
    explaining,
    holding,
    importing,
    locking_secrets,
    managing,
    providing,
    resolving,
    serving,
    suppressing,
    templating,
    terminal,
    verifying,
    working,
)

commands = typer.Typer(
    name="heliograph",
    help="Events, people and dates come in; Heliograph decides who hears what, and proves why.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@commands.callback(invoke_without_command=True)
def _first(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,
) -> None:
    if version:
        typer.echo(f"heliograph {__version__}")
        raise typer.Exit
    terminal.help_unless_told(context)


for _command in (
    serving.serve,
    working.worker,
    managing.migrate,
    applying.apply,
    explaining.explain,
    backtesting.backtest,
    demonstrating.demo,
):
    commands.command()(_command)
for _name, _family in (
    ("key", managing.keys),
    ("workspace", managing.workspaces),
    ("secret", locking_secrets.secrets),
    ("provider", providing.providers),
    ("template", templating.templates),
    ("import", importing.imports),
    ("held", holding.held),
    ("batch", batching.batch),
    ("uncertain", resolving.uncertain),
    ("inbox", resolving.inbox),
    ("suppression", suppressing.suppressions),
    ("verify", verifying.verify),
):
    commands.add_typer(_family, name=_name)


def main() -> None:
    """The program `heliograph`."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Carry out one command; gives its exit code."""
    try:
        outcome = commands(args=arguments, prog_name="heliograph", standalone_mode=False)
    except typer.TyperException as fault:
        terminal.complain(f"{fault.format_message()} (see `heliograph --help`)")
        return 2
    except errors.HeliographError as fault:
        terminal.complain(*_lines(fault))
        return 1
    except typer.Abort:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; nothing more can be said to them.
        sys.stdout = None
        return 1
    except Exception as fault:  # noqa: BLE001 the last one who could turn a traceback into a line
        terminal.complain(_unforeseen(fault))
        return 1
    return outcome if isinstance(outcome, int) else 0


def _unforeseen(fault: Exception) -> str:
    if isinstance(fault, OSError) and fault.strerror:
        # A file that cannot be read or written is nothing of ours.
        return fault.strerror if fault.filename is None else f"{fault.filename}: {fault.strerror}"
    return f"this should not have happened: {type(fault).__name__}: {fault}"


def _lines(fault: errors.HeliographError) -> list[str]:
    if len(fault.faults) < 2:
        return [fault.message]
    return [str(one) for one in fault.faults]
