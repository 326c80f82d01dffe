"""`heliograph worker`: decides and delivers, beside any number of others (PostgreSQL)."""

from __future__ import annotations

import asyncio
import functools
import os
from typing import TYPE_CHECKING

from heliograph import errors, logs, settings
from heliograph.cli import options, stopping, terminal

if TYPE_CHECKING:
    from heliograph.app import App


def worker(
    database: options.DatabaseUrl = None,
    follow: stopping.Follow = False,
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
    early = stopping.Early()
    with stopping.bounded(chosen.lease_seconds) as bound:
        application = app.App(chosen)
        try:
            app.refuse_another_clock(application.store, scaled=False)
            work = functools.partial(_work, application, follow)
            stopping.run(work, follow=follow, bound=bound, early=early)
        finally:
            application.close()


async def _work(application: App, follows: bool, stop: asyncio.Event) -> None:
    chosen = application.settings
    async with application.on_time(stop), application.engine_in_threads():
        for line in settings.mistyped():
            terminal.say(line)
        if not (chosen.smtp_url or follows):
            # Whoever keeps workers has said so; one that is started alone may lack what the others are told.
            terminal.say("e-mails are printed here instead of sent: HELIOGRAPH_SMTP_URL is not set")
        terminal.say(f"worker {os.getpid()} is at work on {options.shown(chosen.database_url)}")
        await stop.wait()
