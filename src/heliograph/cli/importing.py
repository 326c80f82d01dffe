"""`heliograph import contacts FILE.csv`: people by the thousand, from where an earlier run stopped."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec
import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from heliograph import settings
from heliograph.cli import contact_file, options, terminal

if TYPE_CHECKING:
    from heliograph.store import database as databases
    from heliograph.store import imports as stored

imports = typer.Typer(help="Bring data in from files.", rich_markup_mode=None)
imports.callback(invoke_without_command=True)(terminal.help_unless_told)

_ROWS_AT_ONCE = 5_000


class Standing(msgspec.Struct, frozen=True):
    """How far an import has come."""

    size: int
    changed_at: int
    """Of the file: another size or date is another file."""
    offset: int = 0
    line: int = 0
    made: int = 0
    changed: int = 0
    unchanged: int = 0
    bad: int = 0
    report_size: int = 0


class Outcome(NamedTuple):
    """What an import did, over all its runs."""

    standing: Standing
    report: Path
    resumed_at: int
    """The line after which this run began; 0 = at the head."""


@imports.command("contacts")
def import_contacts(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="First line: user_id and keys of the profile.")
    ],
    workspace: options.Workspace = "default",
    database: options.DatabaseUrl = None,
) -> None:
    """Import contacts: each row is merged into the profile of its user_id; an empty cell says nothing.

    A run that was stopped goes on where it stood when it is started again. Rows that cannot be taken are written to
    FILE.csv.bad.csv with line, field and reason. Cells are text as they stand.
    """
    options.file_there(file)
    with options.opened(database, must_exist=False) as store, _progress(file) as seen:
        outcome = take(store, file, workspace, seen)
    _tell(outcome, workspace)


def take(
    store: databases.Database, file: Path, workspace: str, seen: Callable[[int], None] = lambda _offset: None
) -> Outcome:
    """Import a file from where it stands; `seen` is told how many bytes are done."""
    from heliograph.core import notices
    from heliograph.store import definitions, facts, telling, workspaces
    from heliograph.store import imports as imports_store

    now = options.moment(store)
    with store.writing() as connection:
        if workspace == workspaces.DEFAULT:
            workspaces.ensure(connection, workspace, now, store.safe)
        owner = options.workspace_id(connection, workspace)
        name = f"import:{owner}:{file.resolve()}"
        standing = _standing(facts.read(connection, name), file)
    resumed_at = standing.line
    report = contact_file.Report(file.with_name(f"{file.name}.bad.csv"), standing.report_size)
    with (
        contextlib.closing(contact_file.ContactFile(file, settings.load().default_region or None)) as source,
        contextlib.closing(store.session()) as session,
    ):
        rows = source.rows(contact_file.Place(standing.offset, standing.line) if standing.offset else None)
        while batch := list(islice(rows, _ROWS_AT_ONCE)):
            with store.reading() as connection:
                listens = telling.listening(connection, owner, notices.OF_CONTACTS + notices.OF_SEGMENTS)
                groups = definitions.moving(connection, owner)
            merge = functools.partial(
                imports_store.merge_profiles, session, owner, listens=listens, groups=groups
            )
            standing = _take_batch(merge, name, batch, standing, report, options.moment(store))
            seen(standing.offset)
    with store.writing() as connection:
        facts.forget(connection, name)
    return Outcome(standing, report.path, resumed_at)


def _standing(known: str | None, file: Path) -> Standing:
    found = file.stat()
    fresh = Standing(found.st_size, found.st_mtime_ns)
    if known is None:
        return fresh
    stored = msgspec.json.decode(known, type=Standing)
    return stored if (stored.size, stored.changed_at) == (fresh.size, fresh.changed_at) else fresh


def _take_batch(
    merge: Callable[..., stored.Tally],
    name: str,
    batch: list[contact_file.Row],
    standing: Standing,
    report: contact_file.Report,
    now: int,
) -> Standing:
    """Store some rows, and with them how far the import has come by then, which it gives."""
    given: dict[str, dict[str, Any]] = {}
    for row in batch:
        if not row.faults:
            given[row.user_id] = {**given.get(row.user_id, {}), **row.profile}
    bad = [row for row in batch if row.faults]
    # Before the rows: what stands in the report beyond `report_size` is taken back by a run that goes on.
    report.add(bad)
    offset, line = batch[-1].end

    def after(tally: stored.Tally) -> Standing:
        return msgspec.structs.replace(
            standing,
            offset=offset,
            line=line,
            made=standing.made + tally.made,
            changed=standing.changed + tally.changed,
            unchanged=standing.unchanged + tally.unchanged,
            bad=standing.bad + len(bad),
            report_size=report.size,
        )

    def progress(tally: stored.Tally) -> tuple[str, str]:
        return name, msgspec.json.encode(after(tally)).decode()

    return after(merge(given, now, progress))


@contextlib.contextmanager
def _progress(file: Path) -> Iterator[Callable[[int], None]]:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=terminal.errors_console(), disable=not terminal.is_watched()) as progress:
        task = progress.add_task(f"importing {file.name}", total=file.stat().st_size)
        yield lambda offset: progress.update(task, completed=offset)


def _tell(outcome: Outcome, workspace: str) -> None:
    standing = outcome.standing
    if outcome.resumed_at:
        terminal.say(f"went on after line {outcome.resumed_at}")
    terminal.say(
        f"workspace {workspace}: {standing.made:,} contacts made, {standing.changed:,} changed,"
        f" {standing.unchanged:,} as they were"
    )
    if standing.bad:
        many = "1 row was" if standing.bad == 1 else f"{standing.bad:,} rows were"
        terminal.say(f"{many} not taken: {outcome.report} says which and why")
