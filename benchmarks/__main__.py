"""The command: `python -m benchmarks [--quick] [--json FILE] [--only NAME] [--databases sqlite,postgresql]`.

Law: `--quick` alone is the engine's rows, in three minutes; `--only` names another bench, or all of them.
"""

from __future__ import annotations

import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, cast, get_args

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from benchmarks import (
    backtest,
    batches,
    campaign,
    engine,
    growth,
    history,
    http_load,
    journeys,
    latency,
    machine,
    matching,
    results,
    sending,
    setting,
    sides,
    templates,
    waiting,
)

BENCHES: dict[str, Callable[[setting.Setting], Iterator[results.Row]]] = {
    engine.BENCH: engine.run,
    http_load.BENCH: http_load.run,
    latency.BENCH: latency.run,
    growth.BENCH: growth.run,
    campaign.BENCH: campaign.run,
    waiting.BENCH: waiting.run,
    waiting.MORE: waiting.run_more,
    journeys.BENCH: journeys.run,
    batches.BENCH: batches.run,
    history.BENCH: history.run,
    matching.BENCH: matching.run,
    backtest.BENCH: backtest.run,
    templates.BENCH: templates.run,
    sending.BENCH: sending.run,
}

#: What `--only` calls every bench.
ALL = "all"

FOLDER = Path(tempfile.gettempdir())

app = typer.Typer(add_completion=False)


@app.command()
def main(  # noqa: PLR0913, PLR0917 - each is an option
    quick: Annotated[
        bool, typer.Option(help="Fewer jobs, and alone the engine: three minutes at most.")
    ] = False,
    full: Annotated[
        bool, typer.Option(help="As much as is promised, where that takes long: history.")
    ] = False,
    json: Annotated[Path | None, typer.Option(help="Write the rows here.", dir_okay=False)] = None,
    only: Annotated[
        str | None, typer.Option(help=f"One of {', '.join(BENCHES)}, or {ALL}, as without --quick.")
    ] = None,
    databases: Annotated[str, typer.Option(help="On which, comma between.")] = "sqlite,postgresql",
    postgres: Annotated[
        str, typer.Option(envvar="HELIOGRAPH_BENCH_POSTGRES", help="A server to make databases on.")
    ] = "postgresql://postgres@127.0.0.1:5432/postgres",
    redis: Annotated[
        str, typer.Option(envvar="HELIOGRAPH_BENCH_REDIS", help="Celery's broker; one of its own by itself.")
    ] = "",
    folder: Annotated[
        Path, typer.Option(help="Where SQLite's files go.", file_okay=False, exists=True)
    ] = FOLDER,
) -> None:
    """Measure Heliograph against others, side by side, and say how."""
    names, wanted = chosen(only, quick=quick), _databases(databases)
    # Told to end, it ends in order: what it started must not outlive it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # Tables that are kept in a file should not be as narrow as a terminal.
    console = Console(width=None if sys.stdout.isatty() else 120)
    with _progress(console) as progress:
        asked = setting.Setting(quick, full, wanted, postgres, redis, folder, progress, [])
        console.print(machine.described(asked))
        rows = [row for name in names for row in BENCHES[name](asked)]
    console.print(results.table(rows))
    if json is not None:
        results.save(rows, json)
    raise typer.Exit(bool(asked.faults))


def _progress(console: Console) -> Progress:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    return Progress(*columns, console=console, transient=True)


def chosen(only: str | None, *, quick: bool) -> list[str]:
    """Which benches are run: the one that is named, all, or the engine's where time is short."""
    if only is None:
        only = engine.BENCH if quick else ALL
    if only not in (ALL, *BENCHES):
        raise typer.BadParameter(
            f"there is no {only!r}; there are: {', '.join(BENCHES)}, {ALL}", param_hint="--only"
        )
    return list(BENCHES) if only == ALL else [only]


def _databases(written: str) -> tuple[sides.Database, ...]:
    named = tuple(dict.fromkeys(name.strip() for name in written.split(",")))
    for name in named:
        if name not in get_args(sides.Database):
            raise typer.BadParameter(f"{name!r} is neither sqlite nor postgresql", param_hint="--databases")
    return cast(tuple[sides.Database, ...], named)


if __name__ == "__main__":
    app(prog_name="python -m benchmarks")
