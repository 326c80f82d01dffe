"""What a run of the benchmarks was asked for, and the empty databases that it hands out."""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from rich.progress import Progress

from benchmarks import sides

_numbers = itertools.count(1)


class Setting(NamedTuple):
    """What to run, and on what."""

    quick: bool
    #: The full counts, where those take many minutes.
    full: bool
    databases: tuple[sides.Database, ...]
    #: A PostgreSQL server on which databases may be made and dropped.
    postgres: str
    redis: str
    #: Where SQLite's files go: a folder on the disk that is to be measured.
    folder: Path
    progress: Progress
    #: What could not be measured, a line each.
    faults: list[str]

    def refuse(self, fault: str) -> None:
        """Say that something could not be measured; the rest goes on."""
        self.faults.append(fault)
        self.progress.console.print(f"no figure for {fault}", style="red", markup=False, highlight=False)


@contextmanager
def empty(setting: Setting, database: sides.Database) -> Iterator[str]:
    """An empty database of this kind (`sides.Order.url`), gone afterwards."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory(prefix="heliograph-bench-", dir=setting.folder) as folder:
            yield str(Path(folder) / "benchmark.db")
        return
    name = f"heliograph_bench_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(setting.postgres, autocommit=True) as server:
        server.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield urlsplit(setting.postgres)._replace(path=f"/{name}").geturl()
        finally:
            server.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
