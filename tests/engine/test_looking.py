"""What steps look at: keys of steps belong to whoever's run it is."""

from hypothesis import given
from hypothesis import strategies as st

from heliograph.engine import looking

_words = st.text("ab/%2F5", max_size=5)
_scopes = st.tuples(st.one_of(st.none(), _words.filter(bool)), _words)


@given(_scopes, _scopes)
def test_keys_of_steps_never_meet(one: tuple[str | None, str], other: tuple[str | None, str]) -> None:
    """Two keys are stored as the same one only where the tenant and the key are: slashes may stand in both."""
    assert (looking.scoped_key(*one) == looking.scoped_key(*other)) is (one == other)
