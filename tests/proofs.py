"""Pytest plugin: which tests prove which items of the checklist.

`@pytest.mark.spec("S4-33", …)` names the items, six at most; a name that is not in the checklist is an error.
`--proofs FILE` writes what every marked test came to, one record a test. `--sabotage FILE` runs the tests of the
items named in FILE twice, as the program is and with each item broken, and writes to `--proofs` what was noticed.
`tests/conformance.py` asks for both and judges.
"""

import json
import random
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, cast

import hypothesis
import pytest
from _pytest.runner import runtestprotocol

from tests import checklist

MOST_ITEMS = 6
DATABASES = ("sqlite", "postgresql")


class Marks(NamedTuple):
    """What a test claims: the items, whether it speaks HTTP, and the database it runs on, if any."""

    items: tuple[str, ...]
    over_http: bool
    database: str | None


class Draw(NamedTuple):
    """What to break: `size` items of `among` (of all that are marked when empty), chosen by `seed`."""

    seed: int
    size: int
    among: list[str]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two options, both for `tests/conformance.py`."""
    group = parser.getgroup("conformance")
    group.addoption("--proofs", metavar="FILE", help="write what the marked tests came to")
    group.addoption(
        "--sabotage", metavar="FILE", help="break the items drawn by FILE, see whether tests notice"
    )


def pytest_configure(config: pytest.Config) -> None:
    """A sabotaged property need not be shrunk to its smallest example."""
    if config.getoption("--sabotage"):
        hunting = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("sabotage", phases=hunting, deadline=None, derandomize=True)
        hypothesis.settings.load_profile("sabotage")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Check the marks and note them where reports carry them."""
    for item in items:
        marks = marks_of(item)
        fault = wrong_with(marks.items)
        if fault:
            raise pytest.UsageError(f"{item.nodeid} {fault}")
        if marks.items:
            item.user_properties.append(("marks", list(marks)))


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
    if file and not is_worker and not session.config.getoption("--sabotage"):
        Path(file).write_text(json.dumps(_outcomes), encoding="utf-8")


# ── sabotage ────────────────────────────────────────────────────────────────────────────────────────


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With `--sabotage`: run the tests of the drawn items as they are, then with each item broken."""
    file = session.config.getoption("--sabotage")
    if not file or session.config.option.collectonly:
        return None
    draw = Draw(**json.loads(Path(file).read_text(encoding="utf-8")))
    tests = _tests_by_item(session.items)
    among = sorted(set(draw.among or tests) & set(tests))
    drawn = random.Random(draw.seed).sample(among, min(draw.size, len(among)))
    found = {name: _unnoticed(checklist.items()[name], tests[name]) for name in drawn}
    Path(session.config.getoption("--proofs")).write_text(json.dumps(found), encoding="utf-8")
    return True


def _tests_by_item(items: Sequence[pytest.Item]) -> dict[str, list[pytest.Item]]:
    """The tests that can prove each item."""
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        marks = marks_of(item)
        for name in marks.items:
            if marks.over_http or not checklist.items()[name].over_http:
                tests.setdefault(name, []).append(item)
    return tests


def _unnoticed(item: checklist.Item, tests: Sequence[pytest.Item]) -> list[str]:
    """What is wrong with the item's proof; nothing when every way of breaking it was noticed."""
    seconds = {test: spent for test in tests if (spent := _passes(test)) is not None}
    passing = sorted(seconds, key=seconds.__getitem__)
    if not passing:
        return ["no marked test passes"]
    from tests import sabotage  # loads the program, which most runs of pytest need not

    ways = sabotage.of_item(item)
    if not ways:
        return ["nothing says how to break it (tests/sabotage/named.py)"]
    return [fault for way in ways if (fault := _fault(str(way), sabotage.active(way), passing))]


def _fault(way: str, broken: AbstractContextManager[None], tests: Sequence[pytest.Item]) -> str | None:
    try:
        with broken:
            noticed = any(_passes(test) is None for test in tests)
    except LookupError as missing:
        return str(missing)
    return None if noticed else f"its tests still pass when {way}"


def _passes(test: pytest.Item) -> float | None:
    """The seconds that the test took to pass; None when it did not."""
    # Keeping the session as the "next item" ends the test's own fixtures and spares the session's.
    reports = runtestprotocol(test, log=False, nextitem=cast("pytest.Item", test.session))
    return sum(report.duration for report in reports) if all(report.passed for report in reports) else None
