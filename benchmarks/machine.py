"""What the figures were measured on: a figure without this says nothing."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import psycopg
from rich.table import Table

from benchmarks import setting


def described(asked: setting.Setting) -> Table:
    """The machine, the databases and how durable they are."""
    table = Table(title="measured on", title_justify="left", show_header=False)
    for name, value in facts(asked):
        table.add_row(name, value)
    return table


def facts(asked: setting.Setting) -> list[tuple[str, str]]:
    """Names and values, in the order in which they are shown."""
    found = [
        ("machine", f"{cores()} cores, {_processor()}, {platform.system()} {platform.release()}"),
        ("load before", " ".join(f"{load:.2f}" for load in os.getloadavg()) + " (1, 5, 15 minutes)"),
        ("fdatasync", f"{flush_time(asked.folder) * 1e6:.0f} µs in {asked.folder}"),
        ("heliograph", f"{version('heliograph')}, Python {platform.python_version()}"),
    ]
    if "sqlite" in asked.databases:
        found.append(("SQLite", f"{sqlite3.sqlite_version}, WAL, synchronous=FULL (every side)"))
    if "postgresql" in asked.databases:
        found.append(("PostgreSQL", _postgres(asked.postgres)))
    return found


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine()
    )


def flush_time(folder: Path, times: int = 50) -> float:
    """The median time (s) that 4 KiB take to reach the disk: what every commit waits for."""
    spans = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(times):
            file.write(os.urandom(4096))
            file.flush()
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            spans.append(time.perf_counter() - began)
    return statistics.median(spans)


def _postgres(url: str) -> str:
    try:
        connection = psycopg.connect(url)
    except psycopg.OperationalError as fault:
        return f"not reached: {fault}"
    with connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()
            for name in (
                "server_version",
                "fsync",
                "synchronous_commit",
                "full_page_writes",
                "shared_buffers",
            )
        }
    values = {name: value[0] for name, value in shown.items() if value}
    return f"{values.pop('server_version')}, " + ", ".join(
        f"{name}={value}" for name, value in values.items()
    )
