"""Reports in whatever order: what is known of a message, and of an address."""

from hypothesis import given
from hypothesis import strategies as st

from heliograph.core import reports
from heliograph.core.messages import TRANSITIONS, State
from heliograph.core.reports import Report, What

INSTANTS = st.integers(1, 9)
REPORTS = st.builds(
    Report,
    st.sampled_from(What),
    INSTANTS,
    bounce=st.sampled_from((reports.HARD, reports.SOFT)),
    words=st.sampled_from(("", "550 no such user", "452 full")),
    link=st.sampled_from((None, "https://shop.example/a", "https://shop.example/b")),
)


def after(*told: Report) -> reports.Known:
    """What is known after these."""
    known = reports.NOTHING
    for one in told:
        known = reports.take_in(known, one)
    return known


@given(st.lists(REPORTS, max_size=8).flatmap(lambda told: st.tuples(st.just(told), st.permutations(told))))
def test_the_same_reports_leave_the_same_row(both: tuple[list[Report], list[Report]]) -> None:
    """In whatever order reports come, and however often, the same is known after them."""
    told, shuffled = both
    assert after(*told) == after(*shuffled, *told)


@given(st.lists(REPORTS, max_size=8), REPORTS)
def test_nothing_goes_back(told: list[Report], more: Report) -> None:
    """A further report never takes back an instant, and moves a message only where the table of states says so."""
    before, known = after(*told), after(*told, more)
    for name in ("delivered_at", "opened_at", "clicked_at"):
        assert getattr(before, name) is None or getattr(known, name) <= getattr(before, name)
    state, then = before.reached or State.ACCEPTED, known.reached
    assert then is not None
    assert then is state or then in TRANSITIONS[state]
    assert reports.read_told(reports.write_told(known.told)) == known.told


def test_a_message_stands_as_far_as_it_has_come() -> None:
    """Clicked weighs more than opened, opened than delivered, delivered than a soft bounce, and a hard one than all."""
    soft = Report(What.BOUNCED, 1, bounce=reports.SOFT)
    stands = [soft]
    assert after(*stands).status == "UNDELIVERABLE"
    for what, word in ((What.DELIVERED, "DELIVERED"), (What.OPENED, "OPENED"), (What.CLICKED, "CLICKED")):
        stands.append(Report(what, 2))
        assert after(*stands).status == word
    assert after(Report(What.COMPLAINED, 1)).status == "DELIVERED"
    assert after(*stands, Report(What.BOUNCED, 3, bounce=reports.HARD)).status == "UNDELIVERABLE"


def test_five_soft_bounces_in_a_row_suppress_and_a_delivery_counts_anew() -> None:
    """Five soft bounces with no delivery between suppress an address; a hard one or a complaint does so at once."""
    account, suppressed = reports.Account(1), None
    words = [reports.Word("a@b.example", What.BOUNCED, at, reports.SOFT) for at in range(1, 10)]
    for word in words[:4]:
        account, suppressed = reports.hear(account, word, 20)
    assert (account.soft, suppressed) == ((1, 2, 3, 4), None)
    between, _ = reports.hear(account, reports.Word("a@b.example", What.DELIVERED, 3), 20)
    assert between.soft == (4,)
    assert reports.hear(account, words[4], 20) == (reports.Account(1, (), 5), "bounce")
    hard = reports.Word("a@b.example", What.BOUNCED, 1, reports.HARD)
    assert reports.hear(None, hard, 20)[1] == "bounce"
    assert reports.hear(None, reports.Word("a@b.example", What.COMPLAINED, 1), 20)[1] == "complaint"
