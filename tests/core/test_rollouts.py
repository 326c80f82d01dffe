"""Rollouts: for whom a rule is on, in whatever process and on whatever database."""

import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest

from heliograph.core import ids, rules
from tests import environment

RULE = "6b1f7f6e-0d6f-4f0e-9d0b-1f3a5f3b2c11"
PLACES = {
    "contact:1": 9131,
    "contact:2": 5221,
    "contact:ana": 8972,
    "contact:zoë": 6625,
    "conversation:1": 1090,
}
"""Where rules.md C11 puts subjects; the first two are its own golden vectors."""
MANY = [f"contact:{number}" for number in range(100_000)]


def of(text: str) -> bytes:
    """The id that this text names."""
    identity = ids.parse(text)
    assert identity is not None
    return identity


def on(percentage: int, rule: str = RULE) -> set[str]:
    """The subjects of MANY for whom a rule is on."""
    definition = rules.Definition(
        name="R", trigger_type="custom.a", actions=[], rollout_percentage=percentage
    )
    ready = rules.ready(of(rule), 1, None, 0, definition)
    return {subject for subject in MANY if rules.rolled_out(ready, subject)}


def test_a_subject_has_its_place_in_every_process() -> None:
    """The place is the one of the specification, whatever seed a process hashes by."""
    assert {subject: rules.bucket(of(RULE), subject) for subject in PLACES} == PLACES
    asked = f"[rules.bucket(ids.parse({RULE!r}), one) for one in {[*PLACES]}]"
    for seed in ("0", "4711"):
        told = subprocess.run(
            [sys.executable, "-X", "utf8", "-c", f"from heliograph.core import ids, rules; print({asked})"],
            env={**environment.for_program(), "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=True,
        )
        assert told.stdout.strip() == str([*PLACES.values()])


def test_a_rollout_that_widens_only_adds() -> None:
    """Nobody at 0, everybody at 100, and whoever was in at a smaller share is in at each larger one."""
    shares = [on(percentage) for percentage in (0, 1, 10, 50, 99, 100)]
    assert shares[0] == set()
    assert shares[-1] == {*MANY}
    assert all(narrow < wide for narrow, wide in pairwise(shares))


@pytest.mark.parametrize("rule", [RULE, "00000000-0000-4000-8000-000000000001"])
def test_places_are_spread_evenly(rule: str) -> None:
    """Of 100,000 subjects each hundredth of the places has as many as chance gives it (chi-squared, p = 0.001)."""
    found = Counter(rules.bucket(of(rule), subject) // 100 for subject in MANY)
    assert sum((found[place] - 1_000) ** 2 / 1_000 for place in range(100)) < 148.2


def test_rules_choose_apart() -> None:
    """Who is in for one rule is not for that in for another: a tenth of a tenth is in for both."""
    both = on(10) & on(10, "00000000-0000-4000-8000-000000000001")
    assert 900 < len(both) < 1_100
