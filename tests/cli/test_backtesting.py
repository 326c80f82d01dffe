"""`backtest`: what a rule would have made of the last days, for people and for programs."""

import json
from pathlib import Path

import pytest

from heliograph import clock
from heliograph import testing as helpers
from heliograph.engine import backtests
from tests.cli import program

RULE = """\
kind: rule
id: 5a0b0000-0000-4000-8000-000000000077
name: Large orders
trigger_type: custom.order_placed
conditions:
  - {field: total, operator: greater_than, value: 100}
cooldown_secs: 3600
actions:
  - {type: add_tags, tags: [large]}
"""


@pytest.fixture(autouse=True)
def _keep_our_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that ends takes its low priority with it; these do not end by themselves."""
    monkeypatch.setattr(backtests, "LOWEST_PRIORITY", 0)


def test_a_rule_in_a_file_is_tried(house: str, tell: program.Tell, tmp_path: Path) -> None:
    """What matched, what was held back and what the newest match saw; `--json` gives what the API gives."""
    file = tmp_path / "rule.yaml"
    file.write_text(RULE, encoding="utf-8")
    with helpers.World(house, start=clock.WallClock().now() - 1_000_000) as play:
        play.rule(
            name="All orders",
            trigger_type="custom.order_placed",
            actions=[{"type": "add_tags", "tags": ["a"]}],
        )
        play.events(
            [
                {"event_type": "custom.order_placed", "contact_id": "ana", "payload": {"total": total}}
                for total in (250, 20, 300)
            ]
        )
    told = tell("backtest", "--file", file, "--days", 2)
    assert told.code == 0, told.err
    for words in (
        "3 events of its type",
        "2 matched, 1 of them would have been acted upon",
        "1 different contacts",
        "1 held back: within its cooldown",
        "All orders",
        "yes  total greater_than 100  saw 300",
    ):
        assert words in told.out
    found = json.loads(tell("backtest", "--file", file, "--json").out)
    assert (found["rule_id"], found["days"], found["matched"]) == (None, 7, 2)
    assert tell("apply", tmp_path).code == 0
    stored = json.loads(tell("backtest", "5a0b0000-0000-4000-8000-000000000077", "--json").out)
    assert (stored["rule_id"], stored["executed"]) == ("5a0b0000-0000-4000-8000-000000000077", 1)


def test_what_cannot_be_tried_is_refused(lone_house: str, tell: program.Tell, tmp_path: Path) -> None:
    """A rule or a file is needed, and not both; a file of something else, and an unknown rule, are told."""
    helpers.World(lone_house).close()
    assert tell("backtest").code == 2
    assert tell("backtest", "x", "--days", 0).code == 2
    unknown = tell("backtest", "00000000-0000-7000-8000-000000000000")
    assert (unknown.code, "there is no rule" in unknown.err) == (1, True)
    file = tmp_path / "template.yaml"
    file.write_text("kind: template\nid: hello\ntext: Hello\n", encoding="utf-8")
    assert "is a template" in tell("backtest", "--file", file).err
