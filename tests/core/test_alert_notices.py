"""When somebody is told that a rule is alarming: at its start, as reminders, at its end, and never more."""

import itertools
from collections.abc import Sequence

import hypothesis
import pytest
from hypothesis import strategies as st

from heliograph.core import alert_notices, statistics
from heliograph.core.alert_notices import Kind

SECOND = 1_000_000
RENOTIFY = 3_600
WARNING = statistics.Verdict("warning", ("failure_rate",))
CRITICAL = statistics.Verdict("critical", ("failure_rate",))
Looks = Sequence[tuple[int, statistics.Verdict | None]]


def told(looks: Looks) -> list[tuple[int, Kind, int]]:
    """(instant, kind, number) of the notices; a look is (seconds since the one before, what it found)."""
    standing: alert_notices.Standing | None = None
    now, found = 0, []
    for seconds, verdict in looks:
        now += seconds * SECOND
        look = alert_notices.Look(verdict, is_known=True, window_days=1, renotify_secs=RENOTIFY)
        standing, notice = alert_notices.follow(standing, look, now)
        if notice is not None:
            found.append((now // SECOND, notice.kind, notice.number))
    return found


@pytest.mark.parametrize(
    ("looks", "kinds"),
    [
        ([(0, None), (60, None)], []),
        ([(0, WARNING), (60, WARNING), (60, None), (60, None)], [Kind.OPENED, Kind.RECOVERED]),
        ([(0, WARNING), (3_599, WARNING)], [Kind.OPENED]),
        ([(0, WARNING), (3_600, WARNING), (3_600, WARNING)], [Kind.OPENED, Kind.CONTINUED, Kind.CONTINUED]),
        ([(0, WARNING), (60, CRITICAL), (60, WARNING), (60, CRITICAL)], [Kind.OPENED, Kind.WORSENED]),
        ([(0, CRITICAL), (60, WARNING), (60, None)], [Kind.OPENED, Kind.RECOVERED]),
        ([(0, WARNING), (60, None), (60, WARNING), (60, None)], [Kind.OPENED, Kind.RECOVERED]),
        (
            [(0, WARNING), (60, None), (60, WARNING), (3_600, WARNING)],
            [Kind.OPENED, Kind.RECOVERED, Kind.OPENED],
        ),
        ([(0, WARNING), (60, None), (60, CRITICAL)], [Kind.OPENED, Kind.RECOVERED, Kind.OPENED]),
    ],
)
def test_what_is_told(looks: Looks, kinds: list[Kind]) -> None:
    """An alarm is told when it opens, each period while it lasts, once when it is worse, once when it is over."""
    assert [kind for _, kind, _ in told(looks)] == kinds


_looks = st.lists(
    st.tuples(st.sampled_from((60, 600, 1_800, 3_600, 7_200)), st.sampled_from((None, WARNING, CRITICAL))),
    max_size=30,
)


@hypothesis.given(_looks)
def test_nobody_is_told_too_often(looks: Looks) -> None:
    """In a period there is one alarm and one that is worse, and recoveries after alarms alone; no number repeats."""
    found = told(looks)
    for (at, kind, number), (later, after, next_number) in itertools.pairwise(found):
        assert next_number == number + 1 or later - at >= RENOTIFY
        if after is Kind.RECOVERED:
            assert kind is not Kind.RECOVERED
    alarms = [at for at, kind, _ in found if kind is not Kind.RECOVERED]
    for first, third in zip(alarms, alarms[2:], strict=False):
        assert third - first >= RENOTIFY, "at most a warning and a critical alarm in a period"
    if looks and looks[-1][1] is not None:
        assert found, "what is alarming at last was told"


def test_the_end_of_an_alarm_takes_proof() -> None:
    """Too few runs to judge by end no alarm, as when a day has just begun; a whole window without any does."""
    day = 86_400 * SECOND
    alarming = alert_notices.Look(WARNING, is_known=True, window_days=1, renotify_secs=RENOTIFY)
    unknown = alarming._replace(verdict=None, is_known=False)
    standing, _ = alert_notices.follow(None, alarming, 0)
    standing, _ = alert_notices.follow(standing, alarming, 60 * SECOND)
    held, notice = alert_notices.follow(standing, unknown, day)
    assert (held, notice) == (standing, None)
    for ends, at in ((unknown, day + 60 * SECOND), (unknown._replace(is_known=True), 120 * SECOND)):
        _, notice = alert_notices.follow(standing, ends, at)
        assert notice is not None
        assert notice.kind is Kind.RECOVERED


def test_a_count_is_looked_at_after_it_is_written() -> None:
    """A look comes at the end of a minute, half a minute to one and a half after the count."""
    for second in (0, 1, 29, 30, 31, 59, 60):
        at = alert_notices.look_at(second * SECOND)
        assert at % (60 * SECOND) == 0
        assert 30 <= at // SECOND - second <= 90


def test_who_acts_no_more_is_left_alone() -> None:
    """A rule with no matches in all windows, and nothing told, is not looked at again; else each hour, or to remind."""
    nothing = statistics.Counts()
    again = alert_notices.look_again_at
    assert again(None, nothing, 0, RENOTIFY, 90 * SECOND) is None
    assert again(None, nothing, 1, RENOTIFY, 90 * SECOND) == 3_600 * SECOND
    assert again(None, statistics.Counts(1, 1), 0, RENOTIFY, 3_600 * SECOND) == 7_200 * SECOND
    standing = alert_notices.Standing(1, 1, 90 * SECOND, 90 * SECOND, 90 * SECOND, 1)
    assert again(standing, nothing, 0, 60, 90 * SECOND) == 150 * SECOND
    assert again(standing, nothing, 0, 60, 150 * SECOND) == 3_600 * SECOND
