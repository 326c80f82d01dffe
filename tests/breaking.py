"""Pytest plugin: the tests of drawn items, run as the program is and with each item broken.

`--sabotage FOLDER` finds a `Draw` in the folder and takes items of it that no other process has taken; as many
processes as like may work on one folder. What was noticed is told to `--telling`, one line an item. Only tests that
pass before anything is broken can notice; one that notices is enough, so the quickest are asked first.
"""

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import hypothesis
import pytest
from _pytest.runner import runtestprotocol

from tests import checklist, proofs

_DRAW = "draw.json"
_AT_ONCE = 4
"""Items that a process takes at once: neighbours often have tests in common."""


class Draw(NamedTuple):
    """What to break: `size` items of `among` that are marked, chosen by `seed`; what tests took, where it is known."""

    seed: int
    size: int
    among: Sequence[str]
    seconds: Mapping[str, float]

    def write(self, folder: Path) -> None:
        """Lay it where processes find it."""
        (folder / _DRAW).write_text(json.dumps(self._asdict()), encoding="utf-8")

    def items(self, marked: set[str]) -> list[str]:
        """The items drawn, in the order of the checklist."""
        known = marked.intersection(self.among)
        among = [name for name in checklist.items() if name in known]
        drawn = random.Random(self.seed).sample(among, min(self.size, len(among)))
        return sorted(drawn, key=among.index)


def pytest_addoption(parser: pytest.Parser) -> None:
    """One option, for `tests/conformance.py`."""
    group = parser.getgroup("conformance")
    group.addoption(
        "--sabotage", metavar="FOLDER", help="break the items drawn there, see whether tests notice"
    )


def pytest_configure(config: pytest.Config) -> None:
    """A sabotaged property need not be shrunk to its smallest example."""
    if config.getoption("--sabotage"):
        hunting = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
        hypothesis.settings.register_profile("sabotage", hypothesis.settings.default, phases=hunting)
        hypothesis.settings.load_profile("sabotage")


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """With `--sabotage`: run the tests of the drawn items instead."""
    place = session.config.getoption("--sabotage")
    if not place or session.config.option.collectonly:
        return None
    folder = Path(place)
    draw = Draw(**json.loads((folder / _DRAW).read_text(encoding="utf-8")))
    tests = _tests_by_item(session.items)
    drawn = draw.items(set(tests))
    proofs.tell({"total": len(drawn)})
    trial = Trial(draw.seconds)
    for name in taken(folder, drawn):
        proofs.tell({"done": name, "faults": trial.faults(checklist.items()[name], tests[name])})
    return True


def taken(folder: Path, drawn: Sequence[str]) -> Iterator[str]:
    """Items that no other process has taken."""
    for start in range(0, len(drawn), _AT_ONCE):
        try:
            (folder / f"taken-{start}").touch(exist_ok=False)
        except FileExistsError:
            continue
        yield from drawn[start : start + _AT_ONCE]


def _tests_by_item(items: Sequence[pytest.Item]) -> dict[str, list[pytest.Item]]:
    """The tests that can prove each item."""
    tests: dict[str, list[pytest.Item]] = {}
    for item in items:
        marks = proofs.marks_of(item)
        for name in marks.items:
            if marks.over_http or not checklist.items()[name].over_http:
                tests.setdefault(name, []).append(item)
    return tests


class Trial:
    """Items put to the test, one after the other, in this process."""

    def __init__(self, seconds: Mapping[str, float]):
        self._seconds = seconds
        self._passing: dict[str, bool] = {}
        """Whether a test passes as the program is, once that was looked at."""

    def faults(self, item: checklist.Item, tests: Sequence[pytest.Item]) -> list[str]:
        """What is wrong with the item's proof; nothing when every way of breaking it was noticed."""
        from tests import sabotage  # loads the program, which most runs of pytest need not

        ways = sabotage.of_item(item)
        if not ways:
            return ["nothing says how to break it (tests/sabotage/named.py)"]
        ordered = sorted(tests, key=self._dearness)
        if not any(self._passes_whole(test) for test in ordered):
            return ["no marked test passes"]
        return [
            fault for way in ways if (fault := self._fault(str(way), partial(sabotage.active, way), ordered))
        ]

    def _fault(
        self, way: str, broken: Callable[[], AbstractContextManager[None]], tests: Sequence[pytest.Item]
    ) -> str | None:
        for test in filter(self._passes_whole, tests):
            try:
                with broken():
                    is_unmoved = _passes(test)
            except LookupError as missing:
                return str(missing)
            if not is_unmoved:
                return None
        return f"its tests still pass when {way}"

    def _dearness(self, test: pytest.Item) -> tuple[float, bool]:
        """By what tests are put in order: what they took, else whether a server has to be asked."""
        return self._seconds.get(test.nodeid, 0.0), proofs.marks_of(test).database == "postgresql"

    def _passes_whole(self, test: pytest.Item) -> bool:
        if test.nodeid not in self._passing:
            self._passing[test.nodeid] = _passes(test)
        return self._passing[test.nodeid]


def _passes(test: pytest.Item) -> bool:
    # Keeping the session as the "next item" ends the test's own fixtures and spares the session's.
    reports = runtestprotocol(test, log=False, nextitem=cast("pytest.Item", test.session))
    return all(report.passed for report in reports)
