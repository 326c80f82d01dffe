"""Clocks of machines that share a database."""

import pytest

from heliograph import clock

NOON = 1_800_000_000_000_000
MINUTES = 300 * clock.SECOND


class Machine:
    """A clock on the wall that anybody may set, and time that passes."""

    def __init__(self, ahead: int = 0):
        self.wall, self.steady = clock.ManualClock(NOON + ahead), clock.ManualClock(0)
        self.shared = clock.SharedClock(self.wall, self.steady.now)

    def let_pass(self, span: int) -> None:
        self.wall.move(span)
        self.steady.move(span)


@pytest.mark.parametrize("ahead", [MINUTES, -MINUTES])
def test_a_clock_that_is_apart_goes_by_the_databases(ahead: int) -> None:
    """What is told counts, in both directions, and again once the machine's own clock was set right."""
    machine = Machine(ahead)
    shared = machine.shared
    assert shared.agree(lambda: NOON)
    assert (shared.now(), shared.ahead) == (NOON, ahead)
    machine.let_pass(1_000)
    assert shared.now() == NOON + 1_000
    assert not shared.agree(lambda: NOON + 1_000), "it is no news"
    machine.wall.move(-ahead)
    assert shared.agree(lambda: NOON + 1_000)
    assert (shared.now(), shared.ahead) == (NOON + 1_000, 0)


@pytest.mark.parametrize("by", [MINUTES, -MINUTES])
def test_a_clock_that_is_set_sets_no_time(by: int) -> None:
    """Not even until the next look at the database; that look tells of it, once."""
    machine = Machine()
    machine.wall.move(by)
    machine.let_pass(1_000)
    assert machine.shared.now() == NOON + 1_000
    assert machine.shared.agree(lambda: NOON + 1_000)
    assert (machine.shared.now(), machine.shared.ahead) == (NOON + 1_000, by)
    assert not machine.shared.agree(lambda: NOON + 1_000)


def test_a_database_whose_clock_is_set_is_followed() -> None:
    """All who share it go by it, and are told that they are apart."""
    shared = Machine().shared
    assert shared.agree(lambda: NOON + MINUTES)
    assert (shared.now(), shared.ahead) == (NOON + MINUTES, -MINUTES)


def test_small_differences_are_left() -> None:
    """Clocks that are kept by the net are as good as the database's."""
    shared = Machine().shared
    assert not shared.agree(lambda: NOON + clock.APART - 1)
    assert shared.now() == NOON


def test_an_answer_that_took_long_says_nothing() -> None:
    """While the question was under way the database was slow: it is asked again."""
    machine = Machine()

    def tell() -> int:
        machine.let_pass(clock.APART)
        return NOON

    assert not machine.shared.agree(tell)
    assert (machine.shared.now(), machine.shared.ahead) == (NOON + clock.APART, 0)
