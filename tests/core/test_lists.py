"""Lists: ids, patterns over them, and what subscribers prefer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import lists

_part = st.text(alphabet="ab-ö/", min_size=1, max_size=3)
_ids = st.lists(_part, min_size=1, max_size=4).map(".".join)


@pytest.mark.parametrize("given_id", ["news", "news.weekly", "a.b.c.d", "sch/2026/x", "käse.☕"])
def test_an_id_has_one_to_four_parts(given_id: str) -> None:
    """Parts with dots between are an id, whatever letters they have."""
    assert lists.check_id(given_id, "id") == given_id


@pytest.mark.parametrize(
    "given_id",
    ["", ".a", "a.", "a..b", "a.b.c.d.e", "a b", "a*", "*", "a.#", "\ta", "x" * 256, None, 7],
)
def test_what_is_no_id_is_refused(given_id: object) -> None:
    """No wildcards, spaces or empty parts; at most four parts and 255 characters."""
    with pytest.raises(errors.InvalidInput):
        lists.check_id(given_id, "id")


@pytest.mark.parametrize(
    ("pattern", "meant", "not_meant"),
    [
        ("news", ["news"], ["news.a", "new"]),
        ("news.*", ["news.a", "news.b"], ["news", "news.a.b", "old.a"]),
        ("*.weekly", ["news.weekly"], ["weekly", "news.weekly.a"]),
        ("news.**", ["news.a", "news.a.b.c"], ["news", "newsy.a"]),
        ("*.a.**", ["x.a.b", "x.a.b.c"], ["x.a", "a.b"]),
        ("*", ["news"], ["news.a"]),
    ],
)
def test_a_pattern_means_some_lists(pattern: str, meant: list[str], not_meant: list[str]) -> None:
    """`*` stands for one whole part, `**` at the end for one or more."""
    made = lists.check_pattern(pattern, "pattern")
    assert [one for one in (*meant, *not_meant) if made.matches(one)] == meant


@pytest.mark.parametrize(
    "pattern", ["**", "*.**", "***", "poke**", "poke*", "a.**.b", "a..b", "", "a b", None]
)
def test_what_is_no_pattern_is_refused(pattern: object) -> None:
    """A wildcard is a whole part, `**` the last one, and never behind nothing but wildcards."""
    with pytest.raises(errors.InvalidInput):
        lists.check_pattern(pattern, "pattern")


@given(_ids, st.data())
def test_what_a_pattern_means_begins_with_its_prefix(list_id: str, data: st.DataObject) -> None:
    """Every id that a pattern means begins as the pattern says, and an id means itself alone."""
    assert lists.check_pattern(list_id, "p").matches(list_id)
    parts = list_id.split(".")
    some = [part if data.draw(st.booleans()) else "*" for part in parts]
    made = lists.check_pattern(".".join(some), "p")
    assert made.matches(list_id)
    assert list_id.startswith(made.prefix)


def test_who_opted_out_of_a_list_is_known() -> None:
    """A subscriber's preferences speak for one notification or one category."""
    prefers = lists.check_preferences(
        {
            "notifications": {"weekly": {"status": "OPTED_OUT"}},
            "categories": {"sale": {"status": "OPTED_IN"}},
        },
        "preferences",
    )
    assert lists.is_opted_out(prefers, "weekly", None)
    assert not lists.is_opted_out(prefers, "daily", "sale")
    assert not lists.is_opted_out(None, "weekly", "sale")


def test_every_fault_of_preferences_is_told() -> None:
    """Each entry that is none has its place."""
    with pytest.raises(errors.InvalidInput) as refusal:
        lists.check_preferences(
            {"categories": {"a": 1, "b": {"status": "NO"}}, "notifications": []}, "preferences"
        )
    assert [fault.path for fault in refusal.value.faults] == [
        "preferences.categories.a",
        "preferences.categories.b.status",
        "preferences.notifications",
    ]
