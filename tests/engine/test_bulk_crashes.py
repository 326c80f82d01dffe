"""Killed before or after any commit, a bulk job asks for each of its users' messages once."""

from __future__ import annotations

import msgspec
import pytest

from heliograph import testing
from heliograph.core import bulk, ids
from heliograph.store import bulk as stored
from heliograph.store import bulk_rows
from tests import tables
from tests.engine import kills

USERS, LOST = 23, 2
"""How many users a job has, and of how many nothing says where to write to them."""
MESSAGE = {"event": "hello", "content": {"title": "Hello {n}", "body": "b"}}


class InBulk(kills.House):
    """A day on which a job is run."""

    def begin(self) -> None:
        """Everybody is added, and the job is run twice."""
        self.empty()
        world = self.world
        made, now = bulk.define({"message": MESSAGE}), world.clock.now()
        known = [
            {"profile": {"email": f"u{n % 5}@example.com"}, "data": {"n": n}} for n in range(USERS - LOST)
        ]
        users, _ = bulk.users({"users": [*known, *({"data": {}} for _ in range(LOST))]})
        job = bulk_rows.Job(
            *(world.workspace_id, ids.mint(now, 1, 7, 1), 7, None),
            *(msgspec.json.encode(made.definition), msgspec.json.encode(made.said)),
            *(int(bulk.State.CREATED), 0, 0, 0, 0),
            error=None,
        )
        with world.app.store.writing() as connection:
            stored.create(connection, job)
            assert stored.add(connection, job, users)
            for _ in range(2):
                stored.run(connection, job, now)


@pytest.mark.torture_only
@pytest.mark.torture
def test_a_bulk_job_outlives_its_process(world: testing.World) -> None:
    """Wherever a process is killed: each user of a job has one message, and the job counts them all."""
    house = InBulk(world)

    def check() -> None:
        assert tables.waiting(world.app.store) == set()
        found = tables.content(world.app.store)
        (job,) = found["bulk_jobs"]
        assert (job["state"], job["place"], job["failures"]) == (bulk.State.COMPLETED, USERS, LOST)
        asked = {row["request_id"] for row in found["bulk_users"]} - {None}
        assert len(asked) == len(found["requests"]) == len(found["messages"]) == USERS - LOST
        assert {row["id"] for row in found["messages"]} == asked
        house.lost(found["messages"])

    house.outlives(check, least=kills.EXAMPLES // 2)
