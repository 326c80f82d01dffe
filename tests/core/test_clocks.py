"""Clocks of machines that share a database."""

import pytest

from heliograph import clock

NOON = 1_800_000_000_000_000
MINUTES = 300 * clock.SECOND


@pytest.mark.parametrize("ahead", [MINUTES, -MINUTES])
def test_a_clock_that_is_apart_goes_by_the_databases(ahead: int) -> None:
    """What is told counts, in both directions, and again once the machine's own clock was set right."""
    wall = clock.ManualClock(NOON + ahead)
    shared = clock.SharedClock(wall)
    assert shared.agree(lambda: NOON)
    assert shared.now() == NOON
    wall.move(1_000)
    assert shared.now() == NOON + 1_000
    assert not shared.agree(lambda: NOON + 1_000), "it is no news"
    wall.move(-ahead)
    assert shared.agree(lambda: NOON + 1_000)
    assert (shared.now(), shared.ahead) == (NOON + 1_000, 0)


def test_small_differences_are_left() -> None:
    """Clocks that are kept by the net are as good as the database's."""
    shared = clock.SharedClock(clock.ManualClock(NOON))
    assert not shared.agree(lambda: NOON + clock.APART - 1)
    assert shared.now() == NOON


@pytest.mark.parametrize("took", [clock.APART, -MINUTES, MINUTES])
def test_an_answer_that_took_long_says_nothing(took: int) -> None:
    """While the question was under way the database was slow, or the machine's clock was set: it is asked again."""
    wall = clock.ManualClock(NOON)
    shared = clock.SharedClock(wall)

    def tell() -> int:
        wall.move(took)
        return NOON

    assert not shared.agree(tell)
    assert shared.ahead == 0
