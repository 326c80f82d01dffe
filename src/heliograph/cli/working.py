"""`heliograph worker`: decides and delivers, beside any number of others (PostgreSQL)."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from heliograph import errors, settings
from heliograph.cli import logs, options, stopping, terminal

if TYPE_CHECKING:
    from heliograph.app import App


def worker(
    database: options.DatabaseUrl = None,
    follow: Annotated[
        bool, typer.Option("--while-stdin-is-open", hidden=True, help="End when stdin is closed.")
    ] = False,
) -> None:
    """Decide and deliver beside the web processes (PostgreSQL)."""
    from heliograph import app

    chosen = settings.load(database_url=database)
    if chosen.database_url.startswith("sqlite:"):
        raise errors.BadSetting(
            "on SQLite `heliograph serve` does all in one process: workers take PostgreSQL,"
            " HELIOGRAPH_DATABASE_URL=postgresql://user@host/name"
        )
    logs.configure(chosen.log_level)
    application = app.App(chosen)
    try:
        app.refuse_shared_clock(application.store, scaled=False)
        _run(application, follow=follow)
    finally:
        application.close()


def _run(application: App, *, follow: bool) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_work(application, follow=follow))


async def _work(application: App, *, follow: bool) -> None:
    stop = stopping.told_to_stop()
    if follow:
        _follow_stdin(stop)
    async with application.engine_in_threads():
        terminal.say(f"worker {os.getpid()} is at work on {options.shown(application.settings.database_url)}")
        await stop.wait()


def _follow_stdin(stop: asyncio.Event) -> None:
    """Stop when whoever holds the other end of stdin is gone."""
    loop, stdin = asyncio.get_running_loop(), sys.stdin.fileno()

    def hear() -> None:
        if not os.read(stdin, 4096):
            loop.remove_reader(stdin)
            stop.set()

    loop.add_reader(stdin, hear)
