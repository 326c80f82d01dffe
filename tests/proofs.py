"""Pytest plugin: which tests prove which items of the checklist.

`@pytest.mark.spec("S4-33", …)` names the items, six at most; a name that is not in the checklist is an error.
`--only S4` keeps the tests of these items alone, `--proofs FILE` writes what every marked test came to, one record
a test, and `--telling N` says to the file descriptor N how far the run has come. `tests/conformance.py` asks for all
and judges; what breaks items is `tests/breaking.py`.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests import checklist

MOST_ITEMS = 6
DATABASES = ("sqlite", "postgresql")


class Marks(NamedTuple):
    """What a test claims: the items, whether it speaks HTTP, and the database it runs on, if any."""

    items: tuple[str, ...]
    over_http: bool
    database: str | None


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options for `tests/conformance.py`."""
    group = parser.getgroup("conformance")
    group.addoption("--proofs", metavar="FILE", help="write what the marked tests came to")
    group.addoption(
        "--only", metavar="ITEMS", help="run only the tests marked with these (S4, S2-10), parted by commas"
    )
    group.addoption("--telling", metavar="N", type=int, help="tell the file descriptor N what has been run")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Check the marks, note them where reports carry them, and leave out what was not asked for."""
    for item in items:
        marks = marks_of(item)
        fault = wrong_with(marks.items)
        if fault:
            raise pytest.UsageError(f"{item.nodeid} {fault}")
        if marks.items:
            item.user_properties.append(("marks", list(marks)))
    if only := config.getoption("--only"):
        wanted = checklist.chosen(only.split(","))
        left_out = [item for item in items if wanted.isdisjoint(marks_of(item).items)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not wanted.isdisjoint(marks_of(item).items)]


def wrong_with(names: Sequence[str]) -> str | None:
    """What is wrong with a test's claim to prove these items, if anything."""
    if len(names) > MOST_ITEMS:
        return f"claims {len(names)} items; {MOST_ITEMS} is the most that one test can prove"
    unknown = [name for name in names if name not in checklist.items()]
    return f"claims {', '.join(unknown)}: not in tests/checklist.tsv" if unknown else None


def marks_of(item: pytest.Item) -> Marks:
    """The claims of one test."""
    names = dict.fromkeys(str(name) for mark in item.iter_markers("spec") for name in mark.args)
    parameters = getattr(item, "callspec", None)
    chosen = [value for value in (parameters.params.values() if parameters else ()) if value in DATABASES]
    return Marks(tuple(names), "api" in getattr(item, "fixturenames", ()), chosen[0] if chosen else None)


# ── what the tests came to ──────────────────────────────────────────────────────────────────────────

_outcomes: dict[str, dict[str, Any]] = {}


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep the worst of a test's set-up, call and end."""
    if report.when == "teardown":
        tell({"done": report.nodeid})
    marks = dict(report.user_properties).get("marks")
    if marks is None:
        return
    record = _outcomes.setdefault(report.nodeid, {"marks": marks, "outcome": "passed", "seconds": 0.0})
    record["seconds"] += report.duration
    if report.failed or (report.skipped and record["outcome"] != "failed"):
        record["outcome"] = "failed" if report.failed else "skipped"
    elif hasattr(report, "wasxfail"):
        record["outcome"] = "skipped"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the outcomes, from the process that hears of all."""
    file = session.config.getoption("--proofs")
    is_worker = hasattr(session.config, "workerinput")
    if file and not is_worker:
        Path(file).write_text(json.dumps(_outcomes), encoding="utf-8")


# ── how far the run has come ────────────────────────────────────────────────────────────────────────

_listener: list[int] = []


def pytest_configure(config: pytest.Config) -> None:
    """Find out whom to tell: the process that hears of all tells, and what tests start does not hold the line."""
    listener = config.getoption("--telling")
    if listener is not None and not hasattr(config, "workerinput"):
        os.set_inheritable(listener, False)
        _listener.append(listener)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(ids: Sequence[str]) -> None:
    """Tell how many tests there are; every process found the same ones."""
    tell({"total": len(ids)})


def tell(what: dict[str, Any]) -> None:
    """One line to whoever listens; several processes may write at once, as long as lines are short."""
    for listener in _listener:
        os.write(listener, json.dumps(what).encode() + b"\n")
