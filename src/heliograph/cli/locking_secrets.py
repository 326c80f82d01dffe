"""`heliograph secret`: the key with which secrets are locked in the database."""

from __future__ import annotations

import typer

from heliograph.cli import options, terminal

secrets = typer.Typer(help="The key that locks secrets in the database.", rich_markup_mode=None)
secrets.callback(invoke_without_command=True)(terminal.help_unless_told)


@secrets.command("key")
def make_key() -> None:
    """Make a key and print it. It is kept nowhere: put it where HELIOGRAPH_SECRET_KEY is set."""
    from heliograph.store import safe

    terminal.say(safe.drawn())


@secrets.command("relock")
def relock(database: options.DatabaseUrl = None) -> None:
    """Lock every secret by the first key that is set, after which the others can go."""
    from heliograph.store import relocking

    with options.opened(database) as store, store.writing() as connection:
        count = relocking.relock(connection, store.safe)
    terminal.say(f"{count} of the secrets {'was' if count == 1 else 'were'} locked anew.")
