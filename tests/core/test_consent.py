"""Consent: whose word counts, and links that carry their own proof."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import consent, links, suppressing

OUT, IN, MUST = (consent.Topic(status) for status in ("OPTED_OUT", "OPTED_IN", "REQUIRED"))
BY_PUSH = consent.Topic("OPTED_IN", ("push",))


@pytest.mark.parametrize(
    ("tenant", "own", "refuses"),
    [
        ({}, {}, False),
        ({}, {"weekly": OUT}, True),
        ({}, {"daily": OUT}, False),
        ({}, {"*": OUT}, True),
        ({}, {"*": OUT, "weekly": IN}, False),
        ({}, {"*": IN, "weekly": OUT}, True),
        ({}, {"weekly": BY_PUSH}, True),
        ({}, {"*": OUT, "weekly": MUST}, False),
        ({"weekly": IN}, {"weekly": OUT}, False),
        ({"weekly": OUT}, {"weekly": IN}, True),
        ({"*": OUT}, {"weekly": IN}, False),
        ({"daily": IN}, {"weekly": OUT}, True),
    ],
)
def test_the_most_special_word_counts(
    tenant: dict[str, consent.Topic], own: dict[str, consent.Topic], refuses: bool
) -> None:
    """A word on the topic comes before one on everything, and of the same topic the tenant's before the workspace's."""
    said = [consent.Consent(tenant), consent.Consent(own)]
    assert consent.refuses(said, "email", ("weekly",)) is refuses


_routings = st.lists(st.sampled_from(consent.CLASSES), unique=True).map(tuple)
_topics = st.builds(consent.Topic, st.sampled_from(("OPTED_IN", "OPTED_OUT")), st.none() | _routings)


@given(st.none() | _topics, st.sampled_from(consent.CLASSES))
def test_unsubscribing_and_again(before: consent.Topic | None, channel: str) -> None:
    """After unsubscribing nothing comes by that channel, after subscribing again it does, and others are as before."""
    said = consent.Consent({} if before is None else {"*": before})
    without = consent.without_channel(said, "*", channel)
    assert consent.refuses([without], channel, ())
    again = consent.with_channel(without, "*", channel)
    assert not consent.refuses([again], channel, ())
    for other in set(consent.CLASSES) - {channel}:
        was = consent.refuses([said], other, ())
        assert consent.refuses([without], other, ()) is was
        assert consent.refuses([again], other, ()) is was


@given(st.text(max_size=20), st.text(max_size=20), st.binary(min_size=1, max_size=40))
def test_a_link_is_its_own_proof(user_id: str, address: str, secret: bytes) -> None:
    """What was signed is read back, and not with another secret, nor when a letter of it is another one."""
    said = links.Preference(1, None, user_id, "email", "*", address)
    written = links.sign(said, secret)
    assert links.read(written, secret) == said
    assert links.read(written, secret + b"x") is None
    for place in (0, len(written) // 2):
        changed = written[:place] + ("A" if written[place] != "A" else "B") + written[place + 1 :]
        assert links.read(changed, secret) is None
    assert links.read("", secret) is links.read("ä", secret) is None


def test_every_line_that_cannot_be_taken_is_told() -> None:
    """The faults of a file have the numbers of its lines."""
    rows = [{"address": "Ana@Example.com"}, {"address": "x"}, {"address": "a@b.example", "reason": "why"}]
    with pytest.raises(errors.InvalidInput) as refusal:
        suppressing.read_csv(rows)
    assert [fault.path for fault in refusal.value.faults] == ["line 3: address", "line 4: reason"]
    assert suppressing.read_csv([rows[0]]) == [("ana@example.com", "manual")]
    with pytest.raises(errors.InvalidInput, match="names no column"):
        suppressing.read_csv([{"email": "ana@example.com"}])
