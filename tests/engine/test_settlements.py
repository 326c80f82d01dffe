"""Settlements: what is stored of an answer, by the short way and by the long one."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import channels
from heliograph.core import effects, ids, messages
from heliograph.engine import settlements
from heliograph.store import rows

NOW = 1_795_400_000_000_000
TERMS = settlements.Terms("one", 60_000_000, 3_600_000_000, messages.Policy(8, repeat_uncertain=True))
identities = st.binary(min_size=16, max_size=16)
small = st.integers(0, 2**31)
words = st.text(max_size=12)

rows_to_settle = st.fixed_dictionaries(
    {
        "workspace_id": small,
        "id": st.just(ids.mint(NOW, 1, 1, 1)),
        "partition": st.integers(0, 63),
        "kind": st.sampled_from([int(kind) for kind in (effects.Kind.MESSAGE, effects.Kind.CALL)]),
        "channel": st.sampled_from(["email", "sms"]),
        "automation_id": st.none() | identities,
        "run_id": st.none() | identities,
        "visit": small,
        "ordinal": small,
        "state": st.just(int(messages.State.PLANNED)),
        "attempts": st.none() | st.just(b'[{"at":1,"outcome":"temporary","provider":"smtp"}]'),
        "route": st.none() | st.just(b'{"topic":"news"}'),
    }
)
answers = st.tuples(
    st.sampled_from(channels.Outcome),
    words,
    st.none() | words,
    st.none()
    | st.sampled_from(["250", "550", messages.SIMULATED, settlements.PUT_OFF, messages.NO_PROVIDER]),
    words,
).map(lambda said: channels.Answer(*said))


@given(rows_to_settle, answers, st.booleans())
def test_a_message_that_was_plainly_taken_is_settled_as_any_other(
    said: dict[str, Any], answer: channels.Answer, is_told_of: bool
) -> None:
    """The short way of a first attempt that was accepted stores the same as the way that knows every case."""
    message = rows.Message(**{**dict.fromkeys(rows.Message._fields), **said})
    claimed = rows.Claimed(message, NOW - 5, NOW + 60_000_000, None)

    def settled() -> rows.Settled:
        return settlements.settled(claimed, answer, TERMS, NOW - 5, NOW, is_told_of=is_told_of)

    found = settled()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settlements, "_is_plainly_taken", lambda *_: False)
        assert settled() == found
