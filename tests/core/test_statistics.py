"""Days of counts as windows, buckets and rates, and what is alarming in them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import alerts, schedule, statistics

NOON = 20_000 * schedule.DAY + schedule.DAY // 2
Counts = statistics.Counts


def test_a_window_ends_with_today() -> None:
    """A window of n days is today and the n - 1 before it, by UTC; four of the same length come before it."""
    assert statistics.window(NOON, 1) == (20_000, 20_000)
    assert statistics.window(NOON, 7) == (19_994, 20_000)
    assert statistics.window(20_001 * schedule.DAY - 1, 1) == (20_000, 20_000)
    assert statistics.window(20_001 * schedule.DAY, 1) == (20_001, 20_001)
    assert statistics.preceding(statistics.Window(19_994, 20_000)) == (19_966, 19_993)


@given(
    st.integers(1, 60),
    st.integers(1, 60),
    st.dictionaries(
        st.integers(19_900, 20_010), st.builds(Counts, *(st.integers(0, 9) for _ in Counts._fields))
    ),
)
def test_buckets_hold_the_window_and_nothing_else(
    length: int, together: int, by_day: dict[int, Counts]
) -> None:
    """Buckets follow one another without a gap, the newest alone may be shorter, and they add up to the window."""
    days = statistics.window(NOON, length)
    found = statistics.buckets(days, together, by_day)
    starts = [bucket.start for bucket in found]
    assert starts == [day * schedule.DAY for day in range(days.first, days.last + 1, together)]
    inside = [counts for day, counts in by_day.items() if days.first <= day <= days.last]
    for name in Counts._fields:
        total = sum(getattr(bucket.counts, name) for bucket in found)
        assert total == sum(getattr(counts, name) for counts in inside)


@pytest.mark.parametrize(
    ("counts", "rate"),
    [
        (Counts(), 0),
        (Counts(9, 5, 5, 0), 0),
        (Counts(9, 4, 3, 0), 25),
        (Counts(9, 3, 2, 0), pytest.approx(100 / 3)),
        (Counts(9, 4, 1, 2), 50),
        (Counts(9, 4, 0, 4), 0),
        (Counts(9, 4, 0, 0), 100),
    ],
)
def test_what_is_pending_has_not_failed(counts: Counts, rate: Any) -> None:
    """The rate is that of runs that wait for nothing more, and 0 where there is none."""
    assert counts.failure_rate == rate


def verdict(counts: Counts, before: int = 0, **settings: Any) -> tuple[str, ...] | None:
    """Level and reasons, in one tuple."""
    found = statistics.verdict(alerts.effective(settings), counts, before)
    return None if found is None else (found.level, *found.reasons)


@pytest.mark.parametrize(
    ("counts", "settings", "expected"),
    [
        (Counts(10, 10, 9), {}, None),
        (Counts(10, 10, 8), {}, ("warning", "failure_rate")),
        (Counts(10, 10, 6), {}, ("warning", "failure_rate")),
        (Counts(10, 10, 5), {}, ("critical", "failure_rate")),
        (Counts(9, 9, 0), {}, None),
        (Counts(9, 9, 0), {"min_matched_runs": 9}, ("critical", "failure_rate")),
        (Counts(10, 10, 0, 10), {}, None),
        (Counts(10, 10, 4), {"failure_rate_threshold_pct": 70}, None),
        (Counts(10, 10, 3), {"failure_rate_threshold_pct": 70}, ("critical", "failure_rate")),
        (Counts(10, 10, 3), {"critical_threshold_pct": 71}, ("warning", "failure_rate")),
        (Counts(10, 10, 10), {"failure_rate_threshold_pct": 0}, ("warning", "failure_rate")),
    ],
)
def test_a_failure_rate_is_alarming_from_its_threshold_on(
    counts: Counts, settings: dict[str, Any], expected: tuple[str, ...] | None
) -> None:
    """At the threshold it is a warning, at the critical one critical, and under the least count nothing."""
    assert verdict(counts, **settings) == expected


@pytest.mark.parametrize(
    ("matched", "before", "expected"),
    [
        (10, 13, ("warning", "volume_spike")),
        (10, 14, None),
        (10, 0, None),
        (9, 1, None),
        (30, 40, None),
        (31, 40, ("warning", "volume_spike")),
        (0, 40, ("warning", "went_quiet")),
        (0, 39, None),
        (1, 400, None),
    ],
)
def test_far_more_or_nothing_is_alarming(matched: int, before: int, expected: tuple[str, ...] | None) -> None:
    """More than three times the mean of the four windows before is a spike, none where there were enough is quiet."""
    assert verdict(Counts(matched, matched, matched), before) == expected


def test_reasons_come_together() -> None:
    """A rule that fails and acts far more than usual has both reasons, at the worse level."""
    assert verdict(Counts(50, 50, 0), 4) == ("critical", "failure_rate", "volume_spike")
