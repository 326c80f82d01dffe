"""`heliograph verify`: whether what was counted agrees with the rows that it speaks of."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from heliograph import errors
from heliograph import settings as settings_module
from heliograph.cli import options, terminal
from heliograph.core import ids, schedule

if TYPE_CHECKING:
    from heliograph.store import delivery_proof, uncertain

verify = typer.Typer(help="Prove what is kept beside the rows themselves.", rich_markup_mode=None)
verify.callback(invoke_without_command=True)(terminal.help_unless_told)

_MOST_SHOWN = 100


@verify.command("statistics")
def verify_statistics(workspace: options.Workspace = "default", database: options.DatabaseUrl = None) -> None:
    """Count all runs and events anew, day by day, and compare with the statistics; the engine may go on meanwhile."""
    from heliograph.store import statistics

    with options.opened(database) as store:
        with store.reading() as connection:
            owner = options.workspace_id(connection, workspace)
            days = statistics.days_of(connection, owner)
        # Counts outlive their rows: of a day that is forgotten in part there is nothing to compare.
        whole_from = -(-(_forgotten_before(store, database) or 0) // schedule.DAY)
        forgotten, days = (
            range(days.start, min(days.stop, whole_from)),
            range(max(days.start, whole_from), days.stop),
        )
        found: list[statistics.Difference] = []
        for day in days:
            with store.reading() as connection:
                found += statistics.differences(connection, owner, day)
    if not found:
        whole = "1 day agree" if len(days) == 1 else f"{len(days):,} days agree"
        older = (
            f" Older ones ({len(forgotten):,}) may be forgotten, and were not looked at." if forgotten else ""
        )
        terminal.say(f"The statistics of {whole} with their rows.{older}")
        return
    terminal.show_table(
        ("day", "of", "statistics", "rows"),
        [
            (
                schedule.write_instant(one.day * schedule.DAY)[:10],
                one.what,
                _listed(one.stored),
                _listed(one.counted),
            )
            for one in found[:_MOST_SHOWN]
        ],
    )
    raise errors.HeliographError(f"{len(found):,} counts differ from the rows that they speak of")


@verify.command("deliveries")
def verify_deliveries(workspace: options.Workspace = "default", database: options.DatabaseUrl = None) -> None:
    """Prove of the whole ledger that nothing was asked for twice, or lost; the engine may go on meanwhile.

    Every message that a run, a campaign or a request asked for is there, once, and in line or ended. Lists what is
    uncertain.
    """
    from heliograph.store import delivery_proof, uncertain

    with options.opened(database) as store:
        with store.reading() as connection:
            owner = options.workspace_id(connection, workspace)
        with _progress() as seen:
            proof = delivery_proof.prove(store, owner, seen, _forgotten_before(store, database))
        open_ends: list[uncertain.Uncertain] = []
        if proof.uncertain:
            with store.reading() as connection:
                open_ends = uncertain.listed(connection, owner, _MOST_SHOWN)
    _tell(proof, open_ends)
    if proof.faults:
        terminal.show_table(
            ("id", "what is wrong"),
            [(ids.text(one.id), one.what) for one in proof.faults[:_MOST_SHOWN]],
        )
        raise errors.HeliographError(f"{len(proof.faults):,} things in the ledger are not as they must be")
    terminal.say("No effect stands there twice, none is missing, and every message is in line or has ended.")


def _forgotten_before(store: options.Store, url: str | None) -> int | None:
    """What is older than this instant (µs) may be forgotten by now; None where history is kept for ever."""
    days = settings_module.load(database_url=url).retention_days
    return options.moment(store) - int(days * schedule.DAY) if days else None


def _tell(proof: delivery_proof.Proof, open_ends: Sequence[uncertain.Uncertain]) -> None:
    terminal.say(
        f"{proof.messages:,} messages and calls, {proof.jobs:,} of them jobs of campaigns and lists;"
    )
    terminal.say(
        f"{proof.runs:,} runs and {proof.requests:,} requests asked for the others."
        f" {proof.waiting:,} wait, {proof.held:,} are held."
    )
    if not open_ends:
        return
    terminal.say(
        f"{proof.uncertain:,} are uncertain: nobody knows whether they were handed over. For each, say one of"
    )
    for word, told in (
        ("resend", "sent once more; it may come twice"),
        ("accept", "it was handed over, as the mail server's log says"),
        ("fail", "it was not, and shall not be"),
    ):
        terminal.say(f"    heliograph uncertain {word} ID    # {told}")
    terminal.show_table(
        ("id", "what", "channel", "address", "since"),
        [(ids.text(o.id), o.what, o.channel, o.address, options.second(o.settled_at)) for o in open_ends],
    )


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[float], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    console = terminal.errors_console()
    with Progress(*columns, console=console, disable=not terminal.is_watched(), transient=True) as progress:
        task = progress.add_task("the ledger", total=1.0)
        yield lambda share: progress.update(task, completed=share)


def _listed(counts: tuple[int, ...]) -> str:
    return ", ".join(f"{count:,}" for count in counts)
