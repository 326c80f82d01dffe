"""Killed before or after any commit, a journey's message to many is asked for once, and its run ends with it."""

from __future__ import annotations

from collections import Counter

import pytest

from heliograph import testing
from heliograph.core import messages, runs
from heliograph.store import delivery_proof
from tests import tables
from tests.engine import kills

RUNS, LISTED = 3, 7
"""How many runs there are, and how many people are on the list."""
STEPS = (
    {
        "action": "send",
        "message": {
            "to": [{"list_id": "l"}, {"user_id": "p0"}, {"email": "x@example.com"}],
            "content": {"title": "Hello", "body": "b"},
            "delay": {"duration": 60_000},
            "metadata": {"tags": ["t"]},
        },
    },
    {"action": "send", "message": {"to": {"user_id": "p1"}, "content": {"title": "Then", "body": "b"}}},
)


class ToMany(kills.House):
    """A day on which runs write to a list and to people beside it."""

    def begin(self) -> None:
        """Runs begin, and one of them is canceled while its message waits."""
        self.empty()
        world = self.world
        for number in range(LISTED):
            world.contact(f"p{number}", email=f"p{number}@example.com")
        world.subscribe("l", *(f"p{number}" for number in range(LISTED)))
        for number in range(RUNS):
            world.invoke(None, *STEPS, cancelation_token=f"t{number}")
        world.invoke(None, {"action": "delay", "duration": "10 seconds"}, CANCEL)


CANCEL = {"action": "cancel", "cancelation_token": "t0"}


@pytest.mark.torture
def test_a_message_to_many_outlives_its_process(world: testing.World) -> None:
    """Wherever a process is killed: each has one message of each run that goes on, none of a canceled one."""
    house = ToMany(world)

    def check() -> None:
        assert tables.waiting(world.app.store) == set()
        found = tables.content(world.app.store)
        ended = Counter(row["status"] for row in found["runs"])
        assert ended == {runs.Status.DONE: RUNS, runs.Status.CANCELED: 1}
        assert len(found["requests"]) == RUNS
        sent = [row for row in found["messages"] if row["state"] == messages.State.ACCEPTED]
        stopped = [row for row in found["messages"] if row["state"] == messages.State.CANCELED]
        assert len(sent) + len(stopped) == len(found["messages"])
        # Of the canceled run its first message is one, and its second may have gone out before.
        assert sum(row["contact_id"] != "p1" for row in stopped) == 1
        going = RUNS - 1
        assert going * (LISTED + 2) + going <= len(sent) <= going * (LISTED + 2) + RUNS
        copies = Counter(mail.message_id for mail in world.mailbox.received)
        for row in found["messages"]:
            was_sent = row["state"] == messages.State.ACCEPTED
            kills.answers_lost(row["id"], row["attempts"], copies, least=int(was_sent))
        assert not copies
        proof = delivery_proof.prove(world.app.store, world.workspace_id, lambda _: None)
        assert proof.faults == []

    house.outlives(check)
