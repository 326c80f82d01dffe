"""What all tests share: databases, the two tiers (E36), the marks of the checklist.

`make test` is quick and repeatable: few examples, fixed seeds. `make torture` sets HELIOGRAPH_TORTURE=1
and asks for the full counts; a test says both with `scale(quick, full)`.
"""

from collections import Counter
from collections.abc import Callable

import hypothesis
import pytest

from heliograph import loading
from tests import environment

loading.calm_collector()

pytest_plugins = (
    "tests.sessions",
    "tests.databases",
    "tests.proofs",
    "tests.breaking",
    "tests.torture_report",
)

hypothesis.settings.register_profile("quick", max_examples=60, deadline=None, derandomize=True)
hypothesis.settings.register_profile("torture", max_examples=2_000, deadline=None)
hypothesis.settings.load_profile("torture" if environment.is_torture() else "quick")


@pytest.fixture(scope="session")
def scale() -> Callable[[int, int], int]:
    """`scale(quick, full)`: the first count in `make test`, the second in `make torture`."""
    return lambda quick, full: full if environment.is_torture() else quick


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only `make torture` runs."""
    if environment.is_torture():
        return
    left_out = [item for item in items if item.get_closest_marker("torture_only")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_collection_finish() -> None:
    """Six thousand tests stay to the end: nobody need look at them for garbage."""
    loading.settle_garbage()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say in one line for each reason what was skipped."""
    reasons = Counter(_reason(report) for report in terminalreporter.getreports("skipped"))
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{reason} ({count} skipped)")


def _reason(report: pytest.TestReport) -> str:
    return report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else "skipped"
