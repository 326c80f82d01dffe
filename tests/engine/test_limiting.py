"""Limits of providers: rates that all workers share, and senders that are warmed up."""

from hypothesis import given
from hypothesis import strategies as st

from heliograph.core.provider_limits import Rate, WarmUp
from heliograph.testing import World
from tests.engine.test_ways import greet, mailing

DAY = 86_400_000_000


# ── what is decided ─────────────────────────────────────────────────────────────────────────────────


@given(
    st.integers(1_000, 10_000_000),
    st.integers(1, 20),
    st.lists(st.tuples(st.integers(0, 5_000_000), st.integers(0, 40)), min_size=1, max_size=30),
)
def test_no_span_has_more_than_its_rate(interval: int, burst: int, asking: list[tuple[int, int]]) -> None:
    """However it is asked, in any span there go at most its burst and one more for each interval."""
    rate, now, full_at = Rate(interval, burst), 10**15, 0
    went: list[tuple[int, int]] = []
    for wait, wanted in asking:
        now += wait
        granted, full_at = rate.take(full_at, wanted, now)
        assert 0 <= granted <= wanted
        assert granted == wanted or rate.next_at(full_at) > now
        went.append((now, granted))
    for first, (began, _) in enumerate(went):
        for last in range(first, len(went)):
            total = sum(count for _, count in went[first : last + 1])
            assert total <= burst + (went[last][0] - began) // interval + 1


def test_what_is_asked_for_at_its_time_goes() -> None:
    """Where one is refused, it says when the next one goes, and then it does."""
    rate = Rate(100_000, 3)
    granted, full_at = rate.take(0, 10, 0)
    assert (granted, rate.next_at(full_at)) == (3, 100_000)
    assert rate.take(full_at, 5, 99_999)[0] == 0
    assert rate.take(full_at, 5, 100_000)[0] == 1


def test_a_bucket_lacks_no_more_than_it_holds() -> None:
    """What was taken by a slower rate, or by a clock that ran ahead, holds up for no more than one interval."""
    slow, quick, now = Rate(360_000_000, 10), Rate(100_000, 10), 10**15
    granted, full_at = slow.take(0, 50, now)
    assert granted == 10
    refused, full_at = quick.take(full_at, 50, now)
    assert (refused, quick.next_at(full_at)) == (0, now + 100_000)
    assert quick.take(full_at, 50, now + 1_000_000)[0] == 10
    ahead = quick.take(0, 50, now + DAY)[1]
    assert quick.next_at(quick.take(ahead, 50, now)[1]) == now + 100_000
    assert quick.take(quick.take(0, 50, now + 50_000)[1], 50, now)[1] == now + 1_050_000, (
        "clocks differ a little"
    )


def test_a_sender_is_warmed_up_day_by_day() -> None:
    """It begins with few, each day allows more, and after its days there is no limit; before them it is the first."""
    warm_up = WarmUp("2026-01-01", 50, 1.5, 4)
    first = 20_454
    assert [warm_up.limit(first + days) for days in (-3, 0, 1, 2, 3, 4)] == [50, 50, 75, 112, 168, None]


# ── what is done ────────────────────────────────────────────────────────────────────────────────────


def test_a_rate_holds_and_nothing_is_lost(world: World) -> None:
    """Ten a second: the first ten go at once and ten each second follow, in order; another provider is not held up."""
    slow = world.provider(
        "smtp", "slow", settings={"host": "h", "rate_limit": {"rate": 10, "period": "second"}}
    )
    free = world.provider("twilio", "free")
    mailing(world)
    world.rule(trigger_type="custom.a", actions=[{"type": "send_message", "text": "Hi", "channel": "sms"}])
    for number in range(45):
        world.contact(f"c{number}", email=f"c{number}@example.com", phone_number=f"+4420794601{number:02}")
    world.events([{"event_type": "custom.a", "contact_id": f"c{number}"} for number in range(45)])
    world.run_until_idle()
    assert len(free.received) == 45
    counts = [len(slow.received)]
    for _ in range(5):
        world.pass_time(seconds=1)
        counts.append(len(slow.received))
    assert counts[0] == 10
    assert counts[1:] == [20, 30, 40, 45, 45]
    assert len({one.message_id for one in slow.received}) == len(slow.received) == 45
    # None of it counts as an attempt: one each.
    assert {len(one.attempts) for one in world.ledger()} == {1}


def test_workers_share_a_bucket(world: World) -> None:
    """What one delivery has taken another does not have."""
    slow = world.provider(
        "smtp", "slow", settings={"host": "h", "rate_limit": {"rate": 4, "period": "second"}}
    )
    mailing(world)
    deliveries = [world.app.delivery(world._session) for _ in range(2)]
    greet(world, 20)
    while world.turns.take().inputs:
        pass
    for delivery in deliveries * 2:
        delivery.wake()
        world._loop.run_until_complete(delivery.step())
        world.turns.take()
    assert len(slow.received) == 4
    world.delivery = deliveries[1]
    world.pass_time(seconds=30)
    assert len(slow.received) == 20


def test_a_warming_sender_leaves_the_rest_to_the_next_and_to_tomorrow(world: World) -> None:
    """Three a day and domain; the next provider takes what is beyond, and where there is none it waits for its day."""
    warm_up = {"started_on": "2026-01-01", "first": 3, "growth": 2, "days": 10}
    world.app.deliveries.installed.pop("email")
    world.delivery = world.app.delivery(world._session)
    fresh = world.provider("smtp", "fresh", settings={"host": "h", "warm_up": warm_up})
    mailing(world)
    for number in range(8):
        domain = "a.example" if number < 6 else "b.example"
        world.contact(f"c{number}", email=f"c{number}@{domain}")
    world.events([{"event_type": "custom.a", "contact_id": f"c{number}"} for number in range(8)])
    world.run_until_idle()
    assert (
        sorted(one.address.partition("@")[2] for one in fresh.received)
        == ["a.example"] * 3 + ["b.example"] * 2
    )
    world.pass_time(hours=20)
    assert len(fresh.received) == 5
    world.pass_time(hours=5)
    assert len(fresh.received) == 8
    old = world.provider("smtp", "old", position=9)
    world.events([{"event_type": "custom.a", "contact_id": f"c{number}"} for number in range(6)])
    world.run_until_idle()
    # The second day allows six: three went this night.
    assert (len(fresh.received), len(old.received)) == (11, 3)
