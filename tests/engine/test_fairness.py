"""Fairness: who has little waiting is served beside who has much. Counted in turns, never in seconds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from heliograph import channels, testing
from heliograph.core import effects, ids
from heliograph.engine import bounds, deliver, lanes, rooms
from heliograph.store import rows
from tests import tables
from tests.engine import acts

BACKLOG = 3_000


def rule(world: testing.World, workspace_id: int) -> None:
    acts.rule_in(
        world,
        workspace_id,
        trigger_type="custom.a",
        actions=[{"type": "notify", "emails": ["a@example.com"], "text": "x"}],
    )


def crowd(count: int, name: str) -> list[dict[str, object]]:
    return [{"event_type": "custom.a", "contact_id": f"{name}{number}"} for number in range(count)]


def fill(world: testing.World, workspace_id: int, count: int, name: str) -> list[str]:
    made: list[str] = []
    for first in range(0, count, 1_000):
        made += acts.events_in(world, workspace_id, list(crowd(min(1_000, count - first), f"{name}{first}-")))
    return made


def steadily(world: testing.World) -> None:
    """Let the size of turns not follow this machine's speed."""
    world.turns._size = bounds.Size(world.turns._limits._replace(seconds=1e9))


def test_a_quiet_workspace_is_decided_in_the_next_turn(world: testing.World) -> None:
    """Behind thousands of events of another workspace, the two of a quiet one are decided at once."""
    steadily(world)
    quiet = acts.workspace(world, "quiet")
    for workspace_id in (world.workspace_id, quiet):
        rule(world, workspace_id)
    fill(world, world.workspace_id, BACKLOG, "noisy")
    world.turns.take()
    mine = acts.events_in(world, quiet, list(crowd(2, "q")))
    world.turns.take()
    assert set(mine) <= acts.decided(world)
    assert len(acts.decided(world)) < BACKLOG / 2, "the backlog is still there"


def test_many_noisy_ones_leave_room_for_a_quiet_one(world: testing.World) -> None:
    """With twelve workspaces behind their work, a thirteenth is served within one walk round."""
    steadily(world)
    noisy = [acts.workspace(world, f"noisy{number}") for number in range(12)]
    for workspace_id in noisy:
        fill(world, workspace_id, 600, f"n{workspace_id}-")
    quiet = acts.workspace(world, "quiet")
    mine = acts.events_in(world, quiet, list(crowd(2, "q")))
    turns = 0
    while not set(mine) <= acts.decided(world):
        world.turns.take()
        turns += 1
        assert turns <= 13
    assert len(acts.decided(world)) < 600 * 12 / 2 + 2


def test_a_quiet_workspace_is_decided_beside_a_crowd_of_timers(world: testing.World) -> None:
    """Where thousands of timers of another workspace are due at once, an event is decided long before they are."""
    acts.sized(world.turns, 100)
    quiet, now = acts.workspace(world, "quiet"), world.clock.now()
    owner, kind = world.workspace_id, int(effects.Timer.RUN)
    writes = rows.Writes()
    writes.timers = [
        rows.Timer(n % 64, now - 1, owner, kind, ids.mint(now, n, n % 64, n)) for n in range(2 * BACKLOG)
    ]
    with world._session.transaction() as connection:
        world._session.hot.write(connection, writes, (0,), 0)
    (mine,) = acts.events_in(world, quiet, list(crowd(1, "q")))
    while mine not in acts.decided(world):
        assert world.turns.take().more
    left = len(tables.rows(world.app.store, "timers"))
    assert left > BACKLOG, "the crowd is still there"


def test_a_quiet_workspace_is_delivered_beside_a_backlog(world: testing.World) -> None:
    """Its message is among the next that are claimed, however many of another workspace wait."""
    quiet = acts.workspace(world, "quiet")
    for workspace_id in (world.workspace_id, quiet):
        rule(world, workspace_id)
    fill(world, world.workspace_id, 1_500, "noisy")
    while world.turns.take().inputs:
        pass
    (mine,) = acts.events_in(world, quiet, list(crowd(1, "q")))
    while world.turns.take().inputs:
        pass
    for _ in range(2):
        world._loop.run_until_complete(world.delivery.step())
    found = {mail.message_id for mail in world.mailbox.received}
    mine_ids, world.workspace_id = world.workspace_id, quiet
    (message,) = world.explain(mine).messages
    world.workspace_id = mine_ids
    assert message.id in found
    assert len(found) < 1_500


def test_a_quiet_workspace_is_written_first_of_what_turns_gave() -> None:
    """Of many messages that were given at once each workspace's first is written before anybody's second."""
    given = [message(1, number) for number in range(3)] + [message(2, 0), message(3, 0), message(2, 1)]
    order = [(one.message.workspace_id, one.message.id) for one in deliver.in_turns(given)]
    assert order == [(1, b"1-0"), (2, b"2-0"), (3, b"3-0"), (1, b"1-1"), (2, b"2-1"), (1, b"1-2")]


def test_nobody_is_left_behind(world: testing.World) -> None:
    """Whatever the shares are, everything of everybody is decided in the end, each event once."""
    steadily(world)
    made = {
        acts.workspace(world, name): size
        for name, size in (("a", 700), ("b", 3), ("c", 90), ("d", 1), ("e", 250))
    }
    ids = {one for workspace_id, size in made.items() for one in fill(world, workspace_id, size, "x")}
    inputs = 0
    while (report := world.turns.take()).inputs:
        inputs += report.inputs
    assert inputs == len(ids) == sum(made.values())
    assert acts.decided(world) == ids


class Slow:
    """A channel that wants two messages in flight."""

    name = "slow"
    concurrency = 2

    def __init__(self, send: Callable[[channels.Outgoing], Awaitable[channels.Answer]] | None = None):
        self._send = send

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """Take it at once, or as it was told to."""
        if self._send is not None:
            return await self._send(outgoing)
        return channels.Answer(channels.Outcome.ACCEPTED, "slow")

    async def close(self) -> None:
        """Nothing is open."""


def message(workspace_id: int, number: int, **said: Any) -> rows.Claimed:
    """A claimed message of which only whose it is matters."""
    fields: dict[str, Any] = dict.fromkeys(rows.Message._fields) | said
    fields |= {"workspace_id": workspace_id, "id": b"%d-%d" % (workspace_id, number)}
    return rows.Claimed(rows.Message(**fields), 0, 0, None)


def test_workspaces_take_turns_in_a_lane() -> None:
    """Whoever has one message in a channel's hands waits for one of each other's, not for all of them."""
    lane, gone = lanes.Lane(Slow()), list[bytes]()
    for claimed in [
        *(message(1, number) for number in range(5)),
        message(2, 0),
        message(3, 0),
        message(2, 1),
    ]:
        lane.put(claimed, cast(channels.Outgoing, None), 0)

    async def run() -> None:
        all_gone = asyncio.Event()

        def answered(one: rows.Claimed, _: channels.Answer) -> None:
            gone.append(one.message.id)
            if len(gone) == 8:
                all_gone.set()

        working = asyncio.create_task(lane.work(answered))
        await all_gone.wait()
        working.cancel()

    asyncio.run(run())
    assert gone == [b"1-0", b"2-0", b"3-0", b"1-1", b"2-1", b"1-2", b"1-3", b"1-4"]


def test_messages_to_one_person_go_one_after_the_other() -> None:
    """However many a channel hands over at once, nobody's second message begins before their first was answered."""
    lane, began = lanes.Lane(Slow()), list[bytes]()
    to_ana = [message(1, number, contact_id="ana", kind=effects.Kind.MESSAGE) for number in range(3)]
    for claimed in (*to_ana, message(1, 9, contact_id="ben", kind=effects.Kind.MESSAGE)):
        lane.put(claimed, cast(channels.Outgoing, claimed.message.id), 0)

    async def run() -> None:
        to_ben, all_gone, gone = asyncio.Event(), asyncio.Event(), list[bytes]()

        async def send(outgoing: channels.Outgoing) -> channels.Answer:
            began.append(cast(bytes, outgoing))
            if began[-1] == b"1-9":
                to_ben.set()
            await to_ben.wait()
            return channels.Answer(channels.Outcome.ACCEPTED, "slow")

        def answered(one: rows.Claimed, _: channels.Answer) -> None:
            gone.append(one.message.id)
            if len(gone) == 4:
                all_gone.set()

        lane.way = Slow(send)
        working = [asyncio.create_task(lane.work(answered)) for _ in range(Slow.concurrency)]
        await all_gone.wait()
        for one in working:
            one.cancel()
        assert [one for one in gone if one != b"1-9"] == [b"1-0", b"1-1", b"1-2"]

    asyncio.run(run())
    assert began == [b"1-0", b"1-9", b"1-1", b"1-2"]


def test_very_many_messages_to_one_person_hold_up_nobody() -> None:
    """What waits for its turn among the messages to one person takes up no room that others need."""
    lane = lanes.Lane(Slow())
    room = lane.room
    for number in range(200):
        claimed = message(1, number, address="ops@example.com", kind=effects.Kind.MESSAGE)
        lane.put(claimed, cast(channels.Outgoing, claimed.message.id), 0)
    assert lane.room == 0

    async def run() -> list[bytes]:
        gone, half = list[bytes](), asyncio.Event()

        async def send(_: channels.Outgoing) -> channels.Answer:
            if len(gone) == 100:
                half.set()
                await asyncio.Event().wait()
            return channels.Answer(channels.Outcome.ACCEPTED, "slow")

        def answered(one: rows.Claimed, _: channels.Answer) -> None:
            gone.append(one.message.id)

        lane.way = Slow(send)
        working = [asyncio.create_task(lane.work(answered)) for _ in range(Slow.concurrency)]
        await half.wait()
        assert lane.room == room - 1, "one is being handed over, all others wait for it"
        for one in working:
            one.cancel()
        return gone

    assert asyncio.run(run()) == [b"1-%d" % number for number in range(100)]


def test_a_full_lane_has_room_for_who_has_few_in_hand() -> None:
    """One workspace fills a channel's hands; another still finds room for as many as the channel sends at once."""
    lane = lanes.Lane(Slow())
    noisy = 0
    while lane.offered(in_line=False).take(1):
        lane.put(message(1, noisy), cast(channels.Outgoing, None), 0)
        noisy += 1
    assert noisy >= Slow.concurrency
    assert lane.room == 0
    offered = lane.offered(in_line=True)
    assert [offered.take(workspace_id) for workspace_id in (1, 2, 2, 2, 3)] == [
        False,
        True,
        True,
        False,
        True,
    ]


def test_who_has_more_in_hand_than_there_was_room_for_takes_it_from_nobody() -> None:
    """Who came from the line and from turns at once has too much in hand; others find room all the same."""
    lane = lanes.Lane(Slow())
    for number in range(3 * lane.room):
        lane.put(message(1, number), cast(channels.Outgoing, None), 0)
    offered = lane.offered(in_line=False)
    assert [offered.take(workspace_id) for workspace_id in (1, 2, 2, 2)] == [False, True, True, False]


def test_those_who_have_few_in_hand_find_room_up_to_a_bound() -> None:
    """However many workspaces have few messages in hand, a channel takes no more than it can keep."""
    lane = lanes.Lane(Slow())
    taken = 0
    while lane.offered(in_line=False).take(taken + 1):
        lane.put(message(taken + 1, 0), cast(channels.Outgoing, None), 0)
        taken += 1
    assert lane.room == 0
    assert taken == Slow.concurrency * (lanes._AHEAD + lanes._BESIDE)


def test_what_stands_in_line_goes_first() -> None:
    """While messages stand in line, a turn may claim of its own only for who has few in hand."""
    offered = lanes.Lane(Slow()).offered(in_line=True)
    assert [offered.take(1) for _ in range(3)] == [True, True, False]


def test_a_slow_turn_is_made_smaller_only_so_far(world: testing.World) -> None:
    """Where every turn takes too long whatever it takes in, the engine goes on in turns of a useful size."""
    acts.sized(world.turns, bounds.FIRST_INPUTS, -1.0)
    fill(world, world.workspace_id, 2_000, "c")
    sizes = []
    while (report := world.turns.take()).more:
        sizes.append(report.inputs)
    # A turn on PostgreSQL locks partitions until they hold enough, and takes of each its share: not always all.
    assert min(sizes) >= 8
    assert len(acts.decided(world)) == 2_000


def test_turns_are_shorter_while_workspaces_share_them(world: testing.World) -> None:
    """A turn of a size that suits one workspace is made smaller for two, and larger once one is alone for long."""
    size = bounds.Size(world.turns._limits._replace(inputs=200, seconds=1.0))
    size.learn(size.inputs, size.inputs, 0.5, 0.0, 1)
    alone = size.inputs
    assert alone > bounds.FIRST_INPUTS
    size.learn(alone, alone, 0.5, 0.0, 2)
    shared = size.inputs
    assert shared < alone
    assert shared == bounds.LEAST, "at once, not from turn to turn"
    for _ in range(bounds.SHARED_FOR - 1):
        size.learn(size.inputs, 1, 0.01, 0.0, 1)
    assert size.inputs == shared
    size.learn(shared, shared, 0.5, 0.0, 1)
    assert size.inputs > shared


def test_who_calls_does_not_wait_for_a_long_turn(world: testing.World) -> None:
    """While somebody waits beside them turns have a size of their own, however large they are while nobody does."""
    calls = False
    limits = world.turns._limits._replace(inputs=500, seconds=1.0, hurried_seconds=0.1)
    size = bounds.Size(limits, lambda: calls)
    for _ in range(20):
        size.learn(size.inputs, size.inputs, 0.5, 0.0, 1)
    assert size.inputs == 500
    calls = True
    assert size.inputs == bounds.FIRST_INPUTS
    size.learn(size.inputs, size.inputs, 0.2, 0.0, 1)
    assert size.inputs < bounds.FIRST_INPUTS
    calls = False
    assert size.inputs == 500


def test_a_slow_disk_does_not_make_turns_ever_smaller(world: testing.World) -> None:
    """Where most of a turn is its commit, turns grow until that is a quarter of them."""
    size = bounds.Size(world.turns._limits._replace(inputs=1_000, seconds=0.015))
    for _ in range(100):
        size.learn(size.inputs, size.inputs, 0.010 + size.inputs * 0.0001, 0.010, 1)
    assert 200 < size.inputs <= 330


def test_a_turn_asks_for_the_rooms_that_it_needs_alone() -> None:
    """However many workspaces have providers of their own, a turn looks at those of its messages, once each."""
    asked: list[rooms.Place] = []

    def room(place: rooms.Place) -> rooms.Room | None:
        asked.append(place)
        return rooms.Room(3, 0, 0, {}) if place in ("email", (7, "email")) else None

    found = rooms.Rooms(room, on_the_way=1)
    own, shared = found.of(7, "email"), found.of(1, "email")
    assert own is not None
    assert shared is not None
    assert (own.messages, shared.messages) == (2, 2)
    assert found.of(7, "email") is own
    assert found.of(2, "email") is found.of(1, "email") is shared, "what is the installation's is shared"
    assert (found.of(1, "sms"), found.of(1, "sms")) == (None, None)
    assert asked == [(7, "email"), (1, "email"), "email", (2, "email"), (1, "sms"), "sms"]
