"""Pytest plugin: what `make torture` came to, added to docs/torture.md with the commit it was run on.

A test that is marked `torture` has a row: its promise (the first line of its docstring), how it came out, and the
figures that it gave with `record_property("kills", 200)`.
"""

import platform
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests import environment

ROOT = Path(__file__).parents[1]
FILE = ROOT / "docs" / "torture.md"
_HEAD = "| promise | test | came | seconds | figures |\n|---|---|---|---|---|\n"
_BROKEN_OFF = "broken off"
"""How a test came out that had begun when the run was ended."""

_rows: dict[str, dict[str, Any]] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note each promise where reports carry it."""
    for item in items:
        if item.get_closest_marker("torture") or item.get_closest_marker("torture_only"):
            written = getattr(getattr(item, "obj", None), "__doc__", None) or item.name
            item.user_properties.append(("promise", written.strip().splitlines()[0]))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep what a marked test came to."""
    given = dict(report.user_properties)
    promise = given.pop("promise", None)
    given.pop("marks", None)
    if promise is None or not environment.is_torture():
        return
    row = _rows.setdefault(report.nodeid, {"promise": promise, "came": _BROKEN_OFF, "seconds": 0.0})
    row["seconds"] += report.duration
    row["figures"] = ", ".join(f"{name} {value}" for name, value in given.items())
    if row["came"] == _BROKEN_OFF and (report.when == "call" or not report.passed):
        row["came"] = report.outcome
    elif report.failed:
        row["came"] = "failed"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Add the rows to the document, from the process that hears of all."""
    if _rows and not hasattr(session.config, "workerinput"):
        with FILE.open("a", encoding="utf-8") as document:
            document.write(f"\n## {_commit()}\n\n{_machine()}\n\n{_HEAD}")
            document.writelines(_line(name, row) for name, row in sorted(_rows.items()))


def _line(name: str, row: dict[str, Any]) -> str:
    test = name.removeprefix("tests/")
    return f"| {row['promise']} | `{test}` | {row['came']} | {row['seconds']:.0f} | {row['figures']} |\n"


def _commit() -> str:
    said = _git("show", "--no-patch", "--format=%h of %cs", "HEAD") or "no commit"
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs/torture.md")
    return f"{said}, with changes that are not committed" if changed else said


def _machine() -> str:
    system = f"{platform.system()} {platform.machine()}"
    return f"{system}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}."


def _git(*arguments: str) -> str:
    if shutil.which("git") is None:
        return ""
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
