"""Who was deleted is taken out of texts; which texts that changes is seen before."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import pseudonyms

_WORDS = st.sampled_from(
    ["ana", "Ana", "ANA", "To", "to", "ſam", "Sam", "İna", "ina", "a@b.c", "A@B.C", "7", "\n", " "]
)
_TEXTS = st.lists(_WORDS, max_size=4).map("".join)
_VALUES = st.recursive(
    _TEXTS | st.integers() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(
    value=_VALUES,
    words=st.lists(_WORDS, min_size=1, max_size=2),
    names=st.lists(_WORDS, max_size=2),
    as_written=st.booleans(),
)
def test_what_names_somebody_is_seen(
    value: Any, words: list[str], names: list[str], as_written: bool
) -> None:
    """Whatever would be another value without somebody is told to be."""
    who = pseudonyms.Pseudonym("deleted-0123456789ab", tuple(words), tuple(names))
    scrubber = pseudonyms.Scrubber(who, as_written=as_written)
    if scrubber.value(value) != value:
        assert scrubber.changes(pseudonyms.together(value))


def test_what_names_nobody_is_seen() -> None:
    """A name within another word is none, and what is too short to be told from other words stands alone."""
    scrubber = pseudonyms.Scrubber(pseudonyms.Pseudonym("deleted-0123456789ab", ("7", "a@b.c"), ("Ana",)))
    for value in ({"by": "banana", "n": "17"}, ["Anabel", "xa@b.c"], "anatomy"):
        assert not scrubber.changes(pseudonyms.together(value))
    for told in ({"by": "7"}, ["I am Ana"], {"A@B.C": 1}, "ana"):
        assert scrubber.changes(pseudonyms.together(told))


def test_a_key_is_no_name() -> None:
    """What somebody is called may be a key of ours: a key is another one where it is an id or an address alone."""
    scrubber = pseudonyms.Scrubber(pseudonyms.Pseudonym("deleted-0123456789ab", ("ana-7",), ("To", "Data")))
    assert scrubber.value({"to": "To", "data": {"ana-7": 1, "Data": 2}}) == {
        "to": "deleted-0123456789ab",
        "data": {"deleted-0123456789ab": 1, "Data": 2},
    }
