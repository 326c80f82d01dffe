"""Dates by a pattern: what C writes in its own language, whatever the machine speaks."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import strftime

AT = dt.datetime(2026, 1, 4, 15, 5, 9, 7_008, tzinfo=dt.timezone(dt.timedelta(hours=-3, minutes=-30)))


@given(
    st.datetimes(timezones=st.just(dt.UTC)).filter(lambda at: at.year >= 1000),
    st.lists(st.sampled_from("aAbBcdDeFfGHhIjmMnpRSTtuUVwWxXyYzZ%"), min_size=1).map(
        lambda letters: "%" + " %".join(letters)
    ),
)
def test_the_directives_of_c_are_written_as_c_writes_them(at: dt.datetime, pattern: str) -> None:
    """With English names every directive that C and Ruby share agrees with the machine's own."""
    assert strftime.write(at, pattern) == at.strftime(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("%-d/%-m/%y", "4/1/26"),
        ("%_d|%e|%k|%l|%_H|%0e", " 4| 4|15| 3|15|04"),
        ("%^a %^B %#b", "SUN JANUARY JAN"),
        ("%p %P %#p", "PM pm pm"),
        ("%z %:z %s", "-0330 -03:30 1767551709"),
        ("%L %f %N %3N %6N", "007 007008 007008000 007 007008"),
        ("%r|%v|%C|%g", "03:05:09 PM| 4-Jan-2026|20|26"),
        ("%Q %:d %5d %E 100% %", "%Q %:d %5d %E 100% %"),
        ("%%d", "%d"),
    ],
)
def test_flags_and_rubys_own_directives(pattern: str, text: str) -> None:
    """Padding, capitals and fractions are as templates know them; what is not known stays as it is written."""
    assert strftime.write(AT, pattern) == text


def test_an_early_year_has_four_digits() -> None:
    """Years before 1000 are padded, which machines do not agree on."""
    assert strftime.write(dt.datetime(33, 4, 3, tzinfo=dt.UTC), "%Y-%m-%d") == "0033-04-03"
