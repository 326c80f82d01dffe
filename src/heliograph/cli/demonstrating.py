"""`heliograph demo`: a month of a shop, from event to e-mail, on this machine."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeVar

import msgspec
import typer
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from heliograph import clock
from heliograph.cli import terminal

if TYPE_CHECKING:
    from heliograph.cli import demo_figures, demo_stage

_T = TypeVar("_T")
_DAY = 86_400
_SEED, _PACED_SEED = 7, 8


def demo(
    leave: Annotated[bool, typer.Option("--exit", help="End when the figures are shown.")] = False,
    json: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the figures to this file too.")
    ] = None,
    events: Annotated[int, typer.Option(min=1, max=5_000_000, metavar="N", help="How many events.")] = 50_000,
    contacts: Annotated[
        int, typer.Option(min=1, max=1_000_000, metavar="N", help="How many customers.")
    ] = 10_000,
    month: Annotated[
        float,
        typer.Option(
            min=0, max=3600, metavar="SECONDS", help="How long the month to come takes; 0: left out."
        ),
    ] = 60.0,
) -> None:
    """Play a month of a shop through a real server, and show what came of it; then the month to come, day by day."""
    from heliograph.cli import demo_figures, demo_stage

    # However this is told to end, what it has started ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    demo_stage.find_shop()
    terminal.say(
        "Lamplight & Fern, a shop that does not exist: a month of it, through a real server on this machine."
    )
    with demo_stage.set_up() as stage:
        figures = _play(stage, events, contacts)
        demo_figures.show(figures)
        demo_figures.show_story(stage)
        if json is not None:
            demo_figures.write(figures, json)
            terminal.say(f"\nThe figures are in {json}.")
        if month:
            _play_month(month)
        if not leave:
            _stay(stage)
    if not figures.agree:
        terminal.complain(
            f"the ledger says {figures.messages_accepted} e-mails were accepted,"
            f" the mail server received {figures.messages_received}"
        )
        raise typer.Exit(1)


def _play(stage: demo_stage.Stage, events: int, contacts: int) -> demo_figures.Figures:
    from heliograph.cli import applying, demo_figures, demo_traffic

    files = _write_shop(stage, events, contacts)
    with _bar("putting customers", contacts) as seen:
        demo_traffic.customers(stage, files.everybody, seen.add)
    changes = applying.put(stage.store, stage.definitions, "default")
    terminal.say(f"  {contacts:,} customers put, {len(changes)} definitions applied")
    with _bar("posting events", files.lines) as seen:
        span = demo_traffic.burst(stage, files.events, seen.add)
    with _bar("deciding, delivering", None) as seen:
        demo_traffic.wait_until_idle(stage, seen.left)
    burst = demo_figures.after_burst(stage, span)
    terminal.say(f"  {files.lines:,} events posted, everything decided and delivered")
    with _bar(f"{demo_traffic.PACE} single events a second", len(files.paced)) as seen:
        paced = demo_traffic.paced(stage, files.paced, seen.add)
    with _bar("delivering", None) as seen:
        demo_traffic.wait_until_idle(stage, seen.left)
    return demo_figures.at_the_end(stage, burst, paced)


def _play_month(seconds: float) -> None:
    """The second part: journeys, a campaign and birthdays need time to pass."""
    from heliograph.cli import demo_doors, demo_month, demo_stage, demo_traffic

    speed = demo_month.speed(seconds)
    terminal.say(
        f"\nThe month to come, in {seconds:g} seconds: a server whose clock runs {speed:,.0f} times as fast,"
        " with every kind of automation."
    )
    with demo_stage.set_up(demo_month.clock_for(seconds)) as stage:
        people = demo_month.everybody(demo_month.CONTACTS)
        with _bar("putting customers", len(people)) as seen:
            demo_traffic.customers(stage, people, seen.add)
        month = demo_month.coming(stage, seconds)
        demo_month.apply(stage, month)
        with _bar("hours of the month", demo_month.DAYS * 24) as seen:
            demo_month.play(stage, month, people, demo_month.EVENTS, seen.add)
        demo_month.wait_until_quiet(stage)
        demo_doors.show(stage)


# ── the shop's files ────────────────────────────────────────────────────────────────────────────────


class _Files(NamedTuple):
    everybody: list[dict[str, Any]]
    events: Path
    lines: int
    """Lines of events, those that come twice among them."""
    paced: list[bytes]
    """Single events for the second part."""


def _write_shop(stage: demo_stage.Stage, events: int, contacts: int) -> _Files:
    from examples.shop import generate
    from heliograph.cli import demo_traffic

    # The month ends at the midnight before today: an event of the future would be refused.
    midnight = datetime.fromtimestamp(clock.WallClock().now() // 1_000_000 // _DAY * _DAY, UTC)
    everybody = list(generate.contacts(_SEED, contacts))
    folder = stage.folder / "shop"
    with _bar("telling the month", events) as seen:
        told = seen.counted(generate.events(_SEED, everybody, events, midnight))
        generate.write(folder, everybody, told, bad=False)
    more = generate.events(_PACED_SEED, everybody, demo_traffic.PACE * demo_traffic.PACE_SECONDS, midnight)
    return _Files(
        everybody,
        folder / "events.ndjson",
        seen.done,
        [msgspec.json.encode(one) for one in more],
    )


# ── waiting, watched ────────────────────────────────────────────────────────────────────────────────


class _CountColumn(ProgressColumn):
    """How much of how much, where that is known."""

    def render(self, task: Task) -> Text:
        """`4,000 of 50,000`."""
        return Text("" if task.total is None else f"{int(task.completed):>9,} of {int(task.total):,}")


class _Bar:
    """How far a part of the play is."""

    def __init__(self, progress: Progress, name: str, total: int | None):
        self._progress = progress
        self._task = progress.add_task(name, total=total)
        self._total = total
        self.done = 0

    def reach(self, done: int) -> None:
        """So much is done."""
        self.done = done
        self._progress.update(self._task, completed=done)

    def add(self, more: int) -> None:
        """So much more is done."""
        self.reach(self.done + more)

    def left(self, left: int) -> None:
        """So much is left, of the most that ever was."""
        self._total = max(self._total or 0, left)
        self._progress.update(self._task, total=self._total, completed=self._total - left)

    def counted(self, things: Iterable[_T]) -> Iterator[_T]:
        """The things, each of them done as it passes."""
        for thing in things:
            yield thing
            self.add(1)


@contextlib.contextmanager
def _bar(name: str, total: int | None) -> Iterator[_Bar]:
    columns = (
        TextColumn("  {task.description:<28}", markup=False),
        BarColumn(),
        _CountColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=terminal.errors_console(), disable=not terminal.is_watched()) as progress:
        yield _Bar(progress, name, total)


def _stay(stage: demo_stage.Stage) -> None:
    """Leave the server up for whoever wants to look around, until Ctrl-C."""
    terminal.say(
        f"""
The server stays up until Ctrl-C. Look around:

  the API       {stage.address.url}/schema
  a key         {stage.key}
  the sinks     http://127.0.0.1:{stage.sinks.http}/counts  (also /messages and /calls: the last twenty, whole)
  the database  export HELIOGRAPH_DATABASE_URL={stage.store.url}

  curl -sS -H 'Authorization: Bearer {stage.key}' '{stage.address.url}/messages'
"""
    )
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            stage.check()
            time.sleep(0.5)
