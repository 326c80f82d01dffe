"""Sending policies: which of several holds, and how messages are counted."""

from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import sending_policies as policies

CAPS = [{"limit": 1, "period": "P1D"}]
NIGHT = [{"start": "21:00", "end": "08:00"}]


def test_the_most_special_word_holds() -> None:
    """A template's hours before its topic's, before everybody's; of each a tenant's first; an empty list is none."""
    own = policies.define({"quiet_hours": NIGHT, "caps": CAPS, "topics": {"news": {"caps": []}}})
    acme = policies.define({"caps": [{"limit": 5, "period": "P7D"}], "topics": {"bill": {"quiet_hours": []}}})
    known = {"": own, "acme": acme}

    def most(tenant: str | None, *topics: str) -> tuple[bool, list[int]]:
        found = policies.terms(known, tenant, topics, "email")
        return bool(found.quiet), [limit.most for limit in found.limits]

    assert most(None) == (True, [1])
    assert most("acme") == (True, [5])
    assert most("acme", "bill") == (False, [5])
    assert most(None, "bill") == (True, [1])
    assert most("acme", "weekly", "news") == (True, [])
    assert policies.terms({}, "acme", (), "email") == policies.FREE


def test_a_cap_counts_its_channel() -> None:
    """A cap on a channel counts that channel alone, one without counts whatever comes."""
    policy = policies.define({"caps": [{"limit": 1, "period": "P1D", "channel": "sms"}, *CAPS]})
    by_mail = policies.terms({"": policy}, None, (), "email").limits
    by_phone = policies.terms({"": policy}, None, (), "sms").limits
    assert (len(by_mail), len(by_phone)) == (1, 2)
    counts = policies.count({}, by_mail, 10)
    assert isinstance(counts, dict)
    refused = policies.count(counts, by_phone, 20)
    assert isinstance(refused, policies.Limit)
    assert refused.told == "1 in P1D"


@given(
    st.lists(st.integers(0, 40), max_size=40),
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 30)), min_size=1, max_size=3),
)
def test_no_span_of_a_caps_length_holds_more_than_it_allows(
    waits: list[int], caps: list[tuple[int, int]]
) -> None:
    """Whatever comes when: in no period are there more than allowed, and who is kept back could not have gone."""
    minute = 60_000_000
    policy = policies.define({"caps": [{"limit": most, "period": f"PT{long}M"} for most, long in caps]})
    limits = policies.terms({"": policy}, None, (), "email").limits
    counts: policies.Counts = {}
    went: list[int] = []
    now = 0
    for wait in waits:
        now += wait * minute
        made = policies.count(counts, limits, now)
        full = any(sum(now - long * minute < at for at in went) >= most for most, long in caps)
        assert isinstance(made, policies.Limit) == full
        if isinstance(made, dict):
            counts = made
            went.append(now)
    kept = sum(map(len, counts.values()))
    assert kept <= sum(most for most, _ in caps), "no more is kept than is looked at"
