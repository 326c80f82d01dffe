"""Killed before or after any commit, a message of which nobody takes notice is followed by one, and by no other."""

from __future__ import annotations

import pytest

from heliograph import testing
from heliograph.core import ids, messages, routes
from heliograph.store import delivery_proof
from tests import tables
from tests.engine import kills

PEOPLE = 6
STEP = {
    "action": "send",
    "message": {
        "to": [{"user_id": f"p{number}"} for number in range(PEOPLE)],
        "content": {"title": "Hello", "body": "b"},
        "routing": {"method": "single", "channels": ["email", "webhook"]},
        "timeout": {"escalation": 60_000, "criteria": "delivered"},
    },
}


class Unheard(kills.House):
    """A day on which one of some people gets what is sent to all of them."""

    def begin(self) -> None:
        """A run writes to people who can be reached in two ways."""
        self.empty()
        self.world.calls.received.clear()
        for number in range(PEOPLE):
            address = f"https://hooks.example/p{number}"
            self.world.contact(f"p{number}", email=f"p{number}@example.com", webhook=address)
        self.world.invoke(None, STEP)

    def pass_time(self) -> None:
        """What is sent to one of them is told to have arrived."""
        self.world.run_until_idle()
        for one in self.world.ledger():
            if one.row.contact_id == "p0":
                self.world.report(ids.text(one.row.id), "delivered")
        super().pass_time()


@pytest.mark.torture
def test_what_follows_a_message_outlives_its_process(world: testing.World) -> None:
    """Wherever a process is killed: whoever took no notice is written to once more, and whoever did is not."""
    house = Unheard(world)

    def check() -> None:
        assert tables.waiting(world.app.store) == set()
        found = {row["id"]: row for row in tables.rows(world.app.store, "messages")}
        first = {key: row for key, row in found.items() if row["channel"] == "email"}
        assert sorted(row["contact_id"] for row in first.values()) == [f"p{n}" for n in range(PEOPLE)]
        assert len(found) == 2 * PEOPLE - 1
        for key, row in first.items():
            assert row["state"] in messages.TAKEN
            escalated = routes.read(row["route"]).escalated
            if row["contact_id"] == "p0":
                assert escalated is None
                continue
            assert escalated is not None
            follower = found[ids.parse(escalated.by or "") or b""]
            assert (follower["channel"], follower["contact_id"]) == ("webhook", row["contact_id"])
            assert routes.read(follower["route"]).follows == ids.text(key)
            assert follower["state"] == messages.State.ACCEPTED
        assert len(world.calls.received) >= PEOPLE - 1
        proof = delivery_proof.prove(world.app.store, world.workspace_id, lambda _: None)
        assert proof.faults == []

    house.outlives(check, commits=(10, 40))
