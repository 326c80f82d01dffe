"""Killed before or after any commit, a campaign goes on where it was: every person has one job, and one message."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
import sqlalchemy as sa
from hypothesis import strategies as st

from heliograph import channels, testing
from heliograph.core import ids, messages
from heliograph.core.campaigns import State
from heliograph.store import imports, schema
from tests import environment, tables
from tests.engine import kills

EXAMPLES = 200 if environment.is_torture() else 6
PEOPLE = 70


class Sink:
    """A channel that counts what it is given."""

    name = "email"
    concurrency = 40

    def __init__(self) -> None:
        self.copies: Counter[str] = Counter()

    def send_now(self, outgoing: channels.Outgoing) -> channels.Answer:
        """Count it."""
        self.copies[outgoing.message_id] += 1
        return testing.accepted(outgoing)

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """The same, for who waits."""
        return self.send_now(outgoing)

    async def close(self) -> None:
        """Nothing is open."""


class House(kills.House):
    """A day on which very many people are written to."""

    def __init__(self, world: testing.World, inputs: int):
        super().__init__(world)
        self.sink, self.INPUTS = Sink(), inputs
        world.app.deliveries.installed = {"email": self.sink}

    def launch(self, people: int) -> str:
        """People, and a campaign to all of them but one in ten; gives its id."""
        world = self.world
        self.empty()
        self.sink.copies.clear()
        for first in range(0, people, 5_000):
            crowd = {
                f"c{number}": {"email": f"c{number}@example.com", "n": number % 10}
                for number in range(first, min(first + 5_000, people))
            }
            imports.merge_profiles(world._session, world.workspace_id, crowd, world.clock.now())
        tenth = world.segment({"field": "n", "operator": "equals", "value": 3})
        group = world.communication_group(subject="Hello {{ user_id }}", text_body="Hello")
        return world.campaign(group=group, exclude_segments=[tenth])

    def live(self, moments: list[kills.Moment]) -> None:
        """Processes that start and work until nothing is left to do, however often they are killed."""
        super().live(moments)
        # Who was in the hands of several that died is tried again after longer and longer waits.
        self._pass(hours=6)

    def pass_time(self) -> None:
        """An hour."""
        self._pass(hours=1)

    def _pass(self, hours: int) -> None:
        """Time passes ten minutes at a time: what is due in between, each at its own instant, is done together."""
        self.world.run_until_idle()
        for _ in range(6 * hours):
            self.world.clock.move(600_000_000)
            self.world.run_until_idle()

    def check(self, campaign: str, people: int) -> None:
        """Each person of the audience has one job, which was sent, and what came twice has a name."""
        assert tables.waiting(self.world.app.store) == set()
        jobs = bytearray(people)
        for contact_id, identity, state, attempts in self._jobs():
            jobs[int(contact_id.removeprefix("c"))] += 1
            assert state == messages.State.ACCEPTED
            kills.answers_lost(identity, attempts, self.sink.copies)
        assert all(count == (number % 10 != 3) for number, count in enumerate(jobs)), (
            "one job for each of them"
        )
        assert not self.sink.copies, "nobody received what the ledger does not know"
        progress = self.world.progress(campaign)
        assert (progress.partitions, progress.judged, progress.jobs) == (ids.PARTITIONS, people, sum(jobs))
        assert (progress.sent, progress.pending) == (sum(jobs), 0)
        assert self.world.campaign_stands(campaign).state is State.COMPLETED

    def _jobs(self) -> Iterator[Any]:
        """Every job: whom it is for, its id, its state and its attempts; never all of them in memory."""
        job = schema.messages.c
        with self.world.app.store.reading() as connection:
            yield from connection.execution_options(yield_per=10_000).execute(
                sa.select(job.contact_id, job.id, job.state, job.attempts)
            )


@pytest.mark.torture
def test_a_campaign_killed_at_any_commit_reaches_everybody_once(world: testing.World) -> None:
    """Wherever a process is killed and started again: nobody is left out, nobody is judged or written to twice."""
    house = House(world, 4)

    @hypothesis.settings(max_examples=EXAMPLES, phases=kills.PHASES)
    @hypothesis.given(st.lists(kills.moment, min_size=30, max_size=120))
    def lived(moments: list[kills.Moment]) -> None:
        campaign = house.launch(PEOPLE)
        house.live(moments)
        house.check(campaign, PEOPLE)

    lived()
    assert house.hot.kills > EXAMPLES


@pytest.mark.torture
def test_a_large_campaign_killed_in_the_middle_loses_and_repeats_nothing(
    world: testing.World,
    scale: Callable[[int, int], int],
    record_property: Callable[[str, object], None],
) -> None:
    """A campaign to very many people, whose processes die again and again, reaches each of them once."""
    # Laying more people down would take most of the test's time, and proves nothing more.
    people = scale(20_000, 1_000_000)
    house = House(world, 500)
    campaign = house.launch(people)
    deaths = scale(8, 80)
    moments: list[kills.Moment] = []
    for number in range(deaths):
        moments += [*[None] * 11, "before" if number % 2 else "after"]
    house.live(moments)
    house.check(campaign, people)
    assert house.hot.kills == deaths
    record_property("people", people)
    record_property("kills", deaths)
