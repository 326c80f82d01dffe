"""`heliograph verify`: whether what was counted agrees with the rows that it speaks of."""

from __future__ import annotations

import typer

from heliograph import errors
from heliograph.cli import options, terminal
from heliograph.core import schedule

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
        found: list[statistics.Difference] = []
        for day in days:
            with store.reading() as connection:
                found += statistics.differences(connection, owner, day)
    if not found:
        terminal.say(f"The statistics of {len(days):,} days agree with their rows.")
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


def _listed(counts: tuple[int, ...]) -> str:
    return ", ".join(f"{count:,}" for count in counts)
