"""`heliograph serve`: the server. On SQLite one process does all; on PostgreSQL this one is the web, beside workers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Annotated

import typer

from heliograph import clock, errors, logs, settings
from heliograph.cli import crew, options, stopping, terminal
from heliograph.core import schedule

if TYPE_CHECKING:
    from heliograph.app import App

_NEEDS_POSTGRESQL = (
    "SQLite is one process that does all: several take PostgreSQL,"
    " HELIOGRAPH_DATABASE_URL=postgresql://user@host/name"
)


def serve(
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Where to listen; else HELIOGRAPH_HOST.")
    ] = None,
    port: Annotated[
        int | None, typer.Option(metavar="PORT", help="Where to listen; else HELIOGRAPH_PORT; 0: any.")
    ] = None,
    database: options.DatabaseUrl = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, max=64, metavar="N", help="Worker processes beside the web (PostgreSQL): 1 if not said."
        ),
    ] = None,
    play: Annotated[
        str | None,
        typer.Option(
            "--clock",
            metavar="START,SPEED",
            help="Play a time of your own: 2026-01-01T00:00:00Z,3600 lets an hour pass in a second (SQLite).",
        ),
    ] = None,
    follow: stopping.Follow = False,
) -> None:
    """Serve the API and run the engine."""
    from heliograph.cli import web

    chosen = settings.load(host=host, port=port, database_url=database)
    is_sqlite = chosen.database_url.startswith("sqlite:")
    if is_sqlite and workers:
        raise errors.BadSetting(_NEEDS_POSTGRESQL)
    played = None if play is None else _clock(play, is_sqlite)
    logs.configure(chosen.log_level)
    with (
        web.bound(chosen.host, chosen.port) as place,
        _alone(chosen.database_url) if is_sqlite else contextlib.nullcontext(),
        stopping.bounded(chosen.lease_seconds) as bound,
    ):
        application = _opened(chosen, played)
        try:
            # Whoever sees the first line may tell it to end.
            early = stopping.Early()
            _introduce(application, 0 if is_sqlite else _size(workers))
            engine = functools.partial(_engine, application, _size(workers))
            work = functools.partial(web.serve, application, place, engine)
            stopping.run(work, follow=follow, bound=bound, early=early)
        finally:
            application.close()
    terminal.say("stopped: everything that was accepted is kept")


def _size(workers: int | None) -> int:
    return 1 if workers is None else workers


def _clock(play: str, is_sqlite: bool) -> clock.ScaledClock:
    start, _, speed = play.partition(",")
    if not is_sqlite:
        raise errors.BadSetting(
            "a clock of one's own is played on SQLite alone: processes would not agree on it"
        )
    try:
        return clock.ScaledClock(schedule.parse_instant(start, "START"), _speed(speed))
    except errors.InvalidInput as fault:
        raise typer.BadParameter(str(fault.faults[0]), param_hint="--clock") from None


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.001 <= speed <= 1_000_000:
        raise errors.InvalidInput.at(
            "SPEED", "takes a number from 0.001 to 1000000, as in 2026-01-01T00:00:00Z,60"
        )
    return speed


def _alone(url: str) -> contextlib.AbstractContextManager[None]:
    from heliograph.cli import locking
    from heliograph.store import database

    path = database.Database(url).path
    assert path is not None
    return locking.alone(path)


def _opened(chosen: settings.Settings, played: clock.ScaledClock | None) -> App:
    """The application on its database, which has a workspace and knows its clock."""
    from heliograph import app
    from heliograph.store import relocking, workspaces

    made = app.App(chosen, played)
    try:
        app.refuse_another_clock(made.store, played is not None)
        if played is not None:
            # A play that was stopped goes on where it was: time never runs backwards.
            session = made.session()
            played.start = max(played.start, session.hot.last_now(session.connection))
        with made.store.writing() as connection:
            workspaces.ensure(connection, workspaces.DEFAULT, made.clock.now(), made.store.safe)
            if made.store.safe.has_key:
                relocking.relock(connection, made.store.safe, plain_only=True)
    except BaseException:
        made.close()
        raise
    return made


@contextlib.asynccontextmanager
async def _engine(application: App, workers: int, stop: asyncio.Event) -> AsyncIterator[None]:
    """What decides and delivers while the web answers."""
    if application.store.is_sqlite:
        async with application.engine_on_loop():
            yield
        return
    hands = crew.Crew(workers, settings.environment(application.settings))
    running = asyncio.create_task(hands.run())
    try:
        async with application.on_time(stop):
            yield
    finally:
        hands.stop()
        await running


def _introduce(application: App, workers: int) -> None:
    """Where everything is, before the first request."""
    from heliograph import __version__
    from heliograph.store import keys

    chosen = application.settings
    terminal.say(f"Heliograph {__version__}")
    terminal.say(f"  database   {options.shown(chosen.database_url)}")
    mail = (
        options.shown(chosen.smtp_url) if chosen.smtp_url else "printed here: HELIOGRAPH_SMTP_URL is not set"
    )
    terminal.say(f"  e-mail     {mail}")
    for line in settings.mistyped():
        terminal.say(f"  setting    {line}")
    if not application.store.is_sqlite:
        terminal.say(f"  workers    {workers}" + ("" if workers else ": start some with `heliograph worker`"))
    if isinstance(application.clock, clock.ScaledClock):
        began = schedule.write_instant(application.clock.now())
        terminal.say(f"  clock      from {began}, {application.clock.speed:g} times as fast as the wall")
    with application.store.reading() as connection:
        is_new = not keys.any_there(connection)
    if is_new:
        named = (
            ""
            if chosen.database_url == settings.Settings().database_url
            else f" --database {options.shown(chosen.database_url)}"
        )
        terminal.say(f"  first key  heliograph key create --workspace default --role admin{named}")
