"""Resting: whoever has the lowest priority gives way to others, and only to others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.engine import resting

PARTS = st.floats(0, 1)


@pytest.mark.parametrize(
    ("busy", "rests"),
    [(0.0, 0.01), (0.25, 0.01), (0.5, 0.01 * 0.725 / 0.275), (0.75, 0.19), (1.0, 0.19)],
)
def test_it_works_half_of_its_time_on_a_calm_machine_and_a_twentieth_on_a_full_one(
    busy: float, rests: float
) -> None:
    """The share of its time in which it works goes down evenly between a calm machine and a full one."""
    assert resting.rest(0.01, busy) == pytest.approx(rests)


@given(st.floats(0, 60), PARTS, PARTS)
def test_the_busier_the_others_the_longer_it_rests(worked: float, one: float, other: float) -> None:
    """A rest is never shorter where others do more, nor so long that nobody hears of progress any more."""
    least, most = sorted((one, other))
    assert 0 <= resting.rest(worked, least) <= resting.rest(worked, most) <= 0.5


def test_a_million_events_take_less_than_a_minute_where_nobody_else_works() -> None:
    """At a cost of 25 µs an event, in bites of five hundred."""
    bites, each = 2_000, 500 * 25e-6
    assert sum(each + resting.rest(each, 0.1) for _ in range(bites)) < 60


def test_what_it_does_itself_is_no_others() -> None:
    """Of the processors' time between two looks, that of this process does not count, nor do waits for disks."""
    before = resting.read_times("cpu  100 20 30 1000 50 1 2 3 40 0", own=0.5, ticks=100)
    after = resting.read_times("cpu  150 70 50 1400 90 1 2 3 90 0", own=1.1, ticks=100)
    assert before.all == pytest.approx(12.06)
    assert resting.busy(before, after) == pytest.approx((1.2 - 0.6) / 5.6)
    assert resting.busy(before, before) == 0.0


def test_it_looks_now_and_then() -> None:
    """Until it has looked it takes the machine for full, and it looks no more than ten times a second."""
    at, seen = [0.0], [0.9, 0.1]
    machine = resting.Machine(seen.pop, lambda: at[0])
    assert machine.rest_after(0.01) == pytest.approx(0.19)
    at[0] = 0.11
    assert machine.rest_after(0.01) == machine.rest_after(0.01) == pytest.approx(0.01)
    at[0] = 0.22
    assert machine.rest_after(0.01) == pytest.approx(0.19)


def test_a_machine_is_looked_at() -> None:
    """On whatever system this runs, a rest is found."""
    machine = resting.this_machine()
    assert 0 < machine.rest_after(0.001) < 0.5
