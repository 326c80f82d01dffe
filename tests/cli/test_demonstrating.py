"""`demo`: a small shop, played through a real server to the end."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import heliograph
from heliograph.cli import demo_figures, demo_month, demo_traffic, terminal
from heliograph.core import effects
from heliograph.core import messages as ledger
from heliograph.store import deliveries
from tests.cli import program


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """The demo hears SIGTERM as Ctrl-C; whoever runs the tests does not."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_a_small_shop_is_played_to_the_end(
    tmp_path: Path, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every e-mail that the ledger calls accepted has arrived; the figures are told to people and to programs."""
    monkeypatch.setattr(demo_traffic, "PACE_SECONDS", 1)
    monkeypatch.setattr(terminal, "is_watched", lambda: True)
    file = tmp_path / "out" / "demo.json"
    told = tell("demo", "--exit", "--json", file, "--events", 400, "--contacts", 80, "--month", 0)
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert told.code == 0, told.err
    assert "posting events" in told.err
    assert set(figures) == {
        "events", "events_per_second", "latency_ms", "runs", "messages_accepted", "messages_received",
    }  # fmt: skip
    assert figures["events"] == 400
    assert figures["messages_accepted"] == figures["messages_received"] > 100
    assert figures["runs"] > figures["messages_accepted"]
    assert 0 < figures["latency_ms"]["p50"] <= figures["latency_ms"]["p99"]
    assert "700  events accepted over HTTP" in told.out
    assert "rule Cart reminder (version 1): executed" in told.out
    assert "accepted by smtp: 250" in told.out


def test_the_month_to_come_passes_on_a_clock_of_its_own(
    tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every door has runs or messages of its own, and a customer's month is told day by day."""
    monkeypatch.setattr(demo_traffic, "PACE_SECONDS", 0)
    monkeypatch.setattr(demo_month, "CONTACTS", 60)
    monkeypatch.setattr(demo_month, "EVENTS", 200)
    told = tell("demo", "--exit", "--events", 50, "--contacts", 10, "--month", 4)
    assert told.code == 0, told.err
    _, doors = told.out.split("What came through each door")
    for door in ("the campaign, to one segment without another", "rules, for events", "journeys, which wait"):
        line = next(line for line in doors.splitlines() if door in line)
        _, messages, accepted = (int(number) for number in line.split()[:3])
        assert messages >= accepted > 0, line
    # A long name breaks the title's line.
    _, days = " ".join(doors.split()).split("received, day by day")
    assert any(f"({kind})" in days for kind in ("campaign", "date", "journey", "rule"))


def figures(received: dict[str, Any]) -> demo_figures.Figures:
    """Figures of three e-mails that the ledger calls accepted."""
    nothing = demo_figures.latency([])
    tally = deliveries.Tally(3, 0, 3, {(effects.Kind.MESSAGE, ledger.State.ACCEPTED): 3})
    return demo_figures.Figures(3, 1.0, 3.0, 1.0, nothing, nothing, tally, {"smtp": received})


@pytest.mark.parametrize(
    ("received", "agree"),
    [
        ({"messages": 3, "distinct": 3}, True),
        ({"messages": 2, "distinct": 2}, False),
        ({"messages": 4, "distinct": 3}, False),
    ],
)
def test_ledger_and_mail_server_must_agree(received: dict[str, Any], agree: bool) -> None:
    """A message that is lost, or comes twice, is a difference."""
    assert figures(received).agree is agree


def test_percentiles_are_of_the_slowest() -> None:
    """The 99th percentile of a hundred delays is the longest of them, and the median their middle."""
    assert demo_figures.latency([*range(1_000, 101_000, 1_000)]) == (51.0, 100.0, 100)


def test_the_demo_is_part_of_the_repository(
    tmp_path: Path, tell: program.Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only the package is installed, the demo says where it is to be had."""
    monkeypatch.setattr(heliograph, "__file__", str(tmp_path / "lib" / "heliograph" / "__init__.py"))
    told = tell("demo", "--exit")
    assert (told.code, told.out) == (1, "")
    assert "clone it and type `make demo`" in told.err
