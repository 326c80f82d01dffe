"""Several processes on one PostgreSQL: each input and each message is worked by one of them."""

import contextlib
import os
import resource
import select
import socket
import threading
from collections.abc import Callable

import psycopg
import pytest
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import ids
from heliograph.store import database, rows
from heliograph.store.hot_postgres import connection as hot_connection
from tests.store import samples

Two = tuple[database.Session, database.Session]
PATIENCE = 30
"""Seconds after which a test that waits for another thread gives up."""


def fill(
    session: database.Session, events: list[rows.Event], messages: list[rows.Message] | None = None
) -> None:
    writes = rows.Writes()
    writes.events, writes.messages = events, messages or []
    writes.due = [(one.partition, one.workspace_id, one.id) for one in events]
    writes.send_due = [samples.due(one) for one in writes.messages]
    with session.transaction() as connection:
        session.hot.write(connection, writes, (0,), 0)


def take(session: database.Session, limit: int = 50) -> list[bytes]:
    taken = session.hot.take(session.connection, samples.NOW, limit, 0)
    return [one.id for one in taken.events]


def until(reached: Callable[[], object]) -> None:
    """Look again and again until something is so."""
    gone = threading.Event()
    alarm = threading.Timer(PATIENCE, gone.set)
    alarm.start()
    while not reached():
        assert not gone.is_set(), "it never came to be"
    alarm.cancel()


def test_two_turns_at_once_share_the_work(two_sessions: Two) -> None:
    """Turns that overlap in time never take the same input, and together take every one of them."""
    events = samples.crowd(1, 500)
    fill(two_sessions[0], events)
    seen: list[bytes] = []
    while len(seen) < len(events):
        with two_sessions[0].transaction():
            mine = take(two_sessions[0])
            with two_sessions[1].transaction():
                other = take(two_sessions[1])
        seen += mine + other
        assert mine or other
    assert sorted(seen) == sorted(one.id for one in events)


def test_two_workers_in_threads_take_each_input_once(two_sessions: Two) -> None:
    """Side by side at full speed, two workers decide every event exactly once."""
    events = samples.crowd(1, 1_000)
    fill(two_sessions[0], events)
    seen: list[list[bytes]] = [[], []]

    def work(index: int) -> None:
        idle = 0
        while idle < 200 and len(seen[0]) + len(seen[1]) < len(events):
            with two_sessions[index].transaction():
                taken = take(two_sessions[index], 20)
            seen[index] += taken
            idle = 0 if taken else idle + 1

    threads = [threading.Thread(target=work, args=(index,)) for index in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(seen[0] + seen[1]) == sorted(one.id for one in events)


def test_a_turn_that_is_undone_gives_its_work_to_the_other(two_sessions: Two) -> None:
    """What a failed turn had taken is there for whoever comes next."""
    events = samples.crowd(1, 30)
    fill(two_sessions[0], events)
    with pytest.raises(ZeroDivisionError), two_sessions[0].transaction():
        _ = len(take(two_sessions[0])) / 0
    with two_sessions[1].transaction():
        assert sorted(take(two_sessions[1], 500)) == sorted(one.id for one in events)


def test_answers_of_another_workers_partition_go_to_its_inbox(two_sessions: Two) -> None:
    """An answer at hand whose partition another turn has is not lost: it lies in the inbox for who comes next."""
    first, second = two_sessions
    fill(first, [samples.event(1, contact="ana")])
    with first.transaction():
        assert len(take(first)) == 1
        with second.transaction() as connection:
            taken = second.hot.take(connection, samples.NOW, 500, 0, [samples.reply(1, contact="ana")])
            assert (list(taken.inbox), taken.partitions) == ([], ())
            second.hot.write(connection, rows.Writes(), taken.partitions, samples.NOW)
    with second.transaction() as connection:
        taken = second.hot.take(connection, samples.NOW, 500, 0)
    assert [one.id for one in taken.inbox] == [samples.reply(1, contact="ana").id]


def test_answers_of_everybody_leave_room_for_the_other(two_sessions: Two) -> None:
    """A turn with answers of all partitions locks half of them at most: another worker finds the rest free."""
    first, second = two_sessions
    answers = [samples.reply(number, contact=f"c{number}") for number in range(1, 1_800)]
    with first.transaction() as connection:
        taken = first.hot.take(connection, samples.NOW, 1_000, 0, answers[:900])
        assert 0 < len(taken.partitions) <= 32
        with second.transaction() as other:
            free = second.hot.take(other, samples.NOW, 1_000, 0, answers[:899:-1])
            assert free.partitions
            assert not set(free.partitions) & set(taken.partitions)


@pytest.mark.parametrize("crowded", [False, True])
def test_a_crowd_of_timers_is_shared_by_workers(two_sessions: Two, crowded: bool) -> None:
    """However many timers are due, a turn locks as many partitions as fill it: another worker has the others."""
    first, second = two_sessions
    writes = rows.Writes()
    writes.timers = [
        samples.timer(n, workspace=1 + n % 2, wake_at=samples.NOW - n)._replace(partition=n % 64)
        for n in range(12_800)
    ]
    with first.transaction() as connection:
        first.hot.write(connection, writes, (0,), 0)
    with first.transaction() as connection:
        taken = first.hot.take(connection, samples.NOW, 500, 0, (), crowded)
        assert len(taken.timers) > 50
        assert 0 < len(taken.partitions) <= 32
        with second.transaction() as other:
            free = second.hot.take(other, samples.NOW, 500, 0, (), crowded)
            assert len(free.timers) > 50
            assert not set(free.partitions) & set(taken.partitions)


def test_claims_at_once_do_not_overlap(two_sessions: Two) -> None:
    """Two deliveries that claim at the same moment never hold the same message."""
    sent = [samples.message(number, samples.event(number, contact=f"c{number}")) for number in range(1, 80)]
    fill(two_sessions[0], [], sent)

    def claim(session: database.Session) -> list[bytes]:
        claimed, _ = session.hot.claim(session.connection, samples.NOW, 50, "w", samples.NOW + 1, 0)
        return [entry.message.id for entry in claimed]

    with two_sessions[0].transaction():
        mine = claim(two_sessions[0])
        with two_sessions[1].transaction():
            other = claim(two_sessions[1])
    assert mine
    assert other
    with two_sessions[1].transaction():
        rest = claim(two_sessions[1])
    assert sorted(mine + other + rest) == sorted(one.id for one in sent)


def test_leases_are_taken_over_by_one(two_sessions: Two) -> None:
    """A claim whose lease ran out is found by one of two that look at the same moment."""
    fill(two_sessions[0], [], [samples.message(number) for number in range(1, 9)])
    with two_sessions[0].transaction() as connection:
        two_sessions[0].hot.claim(connection, samples.NOW, 50, "gone", samples.NOW, 0)

    def expired(session: database.Session, worker: str) -> list[bytes]:
        found = session.hot.take_expired(
            session.connection, samples.NOW + 1, 5, worker, samples.NOW + 60_000_000
        )
        return [entry.message.id for entry in found]

    with two_sessions[0].transaction():
        mine = expired(two_sessions[0], "w1")
        with two_sessions[1].transaction():
            other = expired(two_sessions[1], "w2")
    assert (len(mine), len(other)) == (5, 3)
    assert not set(mine) & set(other)


def test_a_locked_partition_is_left_out_of_turns(two_sessions: Two) -> None:
    """While a profile is written, no turn decides anything for its partition; every other one goes on."""
    events = samples.crowd(1, 200)
    fill(two_sessions[0], events)
    locked = events[0].partition
    with two_sessions[0].transaction() as connection:
        two_sessions[0].hot.lock_partitions(connection, {locked})
        with two_sessions[1].transaction():
            taken = take(two_sessions[1], 500)
    assert {one.id for one in events if one.partition != locked} == set(taken)
    with two_sessions[1].transaction():
        assert {one.id for one in events if one.partition == locked} == set(take(two_sessions[1], 500))


def test_locking_a_partition_waits_for_the_turn_that_has_it(
    shared_store: database.Database, two_sessions: Two
) -> None:
    """A write to a profile begins when the turn that decides about it has ended."""
    one = samples.event(1)
    fill(two_sessions[0], [one])
    got_it = threading.Event()

    def lock() -> None:
        with two_sessions[1].transaction() as connection:
            two_sessions[1].hot.lock_partitions(connection, {one.partition})
            got_it.set()

    waiting = threading.Thread(target=lock)
    with two_sessions[0].transaction(), psycopg.connect(shared_store.url, autocommit=True) as looking:
        assert take(two_sessions[0]) == [one.id]
        waiting.start()
        query = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        until(lambda: looking.execute(query).fetchone())
        assert not got_it.is_set()
    waiting.join(PATIENCE)
    assert got_it.is_set()


def test_every_partition_can_be_locked_at_once(two_sessions: Two) -> None:
    """An import locks all partitions, in one order, so that two imports cannot wait for each other."""
    fill(two_sessions[0], samples.crowd(1, 50))
    with two_sessions[0].transaction() as connection:
        two_sessions[0].hot.lock_partitions(connection, range(ids.PARTITIONS))
        with two_sessions[1].transaction():
            assert take(two_sessions[1]) == []


def test_a_key_that_another_process_used_is_not_taken_over(two_sessions: Two) -> None:
    """When two processes use one idempotency key at once, the second is told and leaves nothing."""
    one, other = samples.event(1), samples.event(2)
    life = samples.NOW + 86_400 * samples.SECOND
    for event, wanted in ((one, True), (other, False)):
        with two_sessions[0].transaction() as connection:
            key = rows.Key(1, "k", event.id, b"\x01" * 32, life)
            kept = two_sessions[0].hot.accept(connection, [event], [key])
        assert kept is wanted
    with two_sessions[0].transaction() as connection:
        assert two_sessions[0].hot.find_keys(connection, {(1, "k")})[1, "k"].event_id == one.id
        assert two_sessions[0].hot.read_events(connection, {(1, other.id)}) == []


def test_a_sleeper_is_told_of_new_work(shared_store: database.Database, two_sessions: Two) -> None:
    """A commit of new events wakes whoever sleeps, and nobody is told when nobody sleeps."""
    with psycopg.connect(shared_store.url, autocommit=True) as ear:
        ear.execute(f"LISTEN {hot_connection.CHANNEL}")
        listener = shared_store.listener()
        accept(two_sessions[0], samples.event(1))
        assert not list(ear.notifies(timeout=0))
        with listener.asleep():
            accept(two_sessions[0], samples.event(2))
            assert select.select([ear.fileno()], [], [], PATIENCE)[0]
            listener.wait(PATIENCE)
        assert len(list(ear.notifies(timeout=0))) == 1
        listener.interrupt()
        listener.wait(PATIENCE)
        listener.close()


def test_a_sleeper_among_many_files(shared_store: database.Database, two_sessions: Two) -> None:
    """A server that has a thousand connections open sleeps and wakes like any other, also on a connection made anew."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2_048)), hard))
        files.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        for _ in range(1_024):
            files.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        listener = shared_store.listener()
        files.callback(listener.close)
        with listener.asleep():
            accept(two_sessions[0], samples.event(1))
            listener.wait(PATIENCE)
        listener.interrupt()
        listener.wait(PATIENCE)


def accept(session: database.Session, one: rows.Event) -> None:
    with session.transaction() as connection:
        session.hot.accept(connection, [one], [])


def cut(url: str, connection: psycopg.Connection) -> None:
    with psycopg.connect(url, autocommit=True) as operator:
        operator.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))


def test_a_connection_that_was_cut_says_so(shared_store: database.Database, two_sessions: Two) -> None:
    """When the server ends a connection, the transaction under way fails in one clear line and leaves nothing."""
    fill(two_sessions[0], samples.crowd(1, 10))

    def cut_short() -> None:
        with two_sessions[0].transaction() as connection:
            take(two_sessions[0])
            cut(shared_store.url, connection)
            take(two_sessions[0])

    with pytest.raises(errors.DatabaseUnreachable) as told:
        cut_short()
    assert "\n" not in told.value.message
    with two_sessions[1].transaction():
        assert len(take(two_sessions[1], 500)) == 10


def test_a_connection_that_was_cut_is_opened_anew(shared_store: database.Database, two_sessions: Two) -> None:
    """After a cut the next transaction works, and a sleeper can sleep again."""
    listener = shared_store.listener()
    fill(two_sessions[0], samples.crowd(1, 10))
    cut(shared_store.url, two_sessions[0].connection)
    with pytest.raises(errors.DatabaseUnreachable), two_sessions[0].transaction():
        pass
    with two_sessions[0].transaction():
        assert len(take(two_sessions[0])) == 10
    cut(shared_store.url, listener._connection)
    with pytest.raises(errors.DatabaseUnreachable), listener.asleep():
        pass
    with listener.asleep():
        accept(two_sessions[0], samples.event(99))
        listener.wait(PATIENCE)
    listener.close()


def test_a_server_that_vanished_is_not_waited_for(shared_store: database.Database, two_sessions: Two) -> None:
    """Every connection gives a server up of which nothing comes back, whether it was spoken to or not, within 30 s."""
    with shared_store.reading() as pooled:
        drivers = [pooled.connection.driver_connection, two_sessions[0].connection]
        for driver in drivers:
            with socket.fromfd(driver.fileno(), socket.AF_INET, socket.SOCK_STREAM) as line:
                asked = [
                    line.getsockopt(socket.IPPROTO_TCP, name)
                    for name in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
                ]
                assert line.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                assert asked[0] + asked[1] * asked[2] <= 30
                assert 0 < line.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) <= 30_000


def test_a_write_that_stands_still_is_seen(shared_store: database.Database, two_sessions: Two) -> None:
    """A web process that froze while it wrote a contact is ended like a worker; who only reads is left in peace."""
    session = two_sessions[0]

    def standing() -> set[int]:
        return {pid for pid, _ in session.hot.stalled(session.connection)}

    def pid_of(connection: sa.Connection) -> int:
        driver = connection.connection.driver_connection
        assert driver is not None
        return int(driver.info.backend_pid)

    with shared_store.reading() as reader, contextlib.ExitStack() as writers:
        reader.execute(sa.text("SELECT count(*) FROM contacts"))
        locking = writers.enter_context(shared_store.writing())
        shared_store.lock_partitions(locking, range(64))
        changing = writers.enter_context(shared_store.writing())
        changing.execute(sa.text("UPDATE workspaces SET hold_deliveries = true"))
        until(lambda: {pid_of(locking), pid_of(changing)} <= standing())
        assert pid_of(reader) not in standing()
        fill(session, [samples.event(1)])
        with session.transaction():
            assert take(session) == []
        session.hot.end_sessions(session.connection, [pid_of(locking), pid_of(changing)])
        until(lambda: taken_by(session))
        with pytest.raises(errors.DatabaseUnreachable):
            writers.close()


def taken_by(session: database.Session) -> list[bytes]:
    with session.transaction():
        return take(session)


def test_a_turn_that_stands_still_loses_its_partitions(two_sessions: Two) -> None:
    """A worker that is frozen in the middle of a turn is given up by the server, and its work is done by others."""
    frozen, other = two_sessions
    (patience,) = frozen.connection.execute("SHOW idle_in_transaction_session_timeout").fetchone()
    assert patience == "10s"
    frozen.connection.execute("SET idle_in_transaction_session_timeout = '100ms'")
    events = samples.crowd(1, 60)
    fill(other, events)
    frozen.hot.begin(frozen.connection)
    assert take(frozen, 500)
    seen: list[bytes] = []

    def all_taken() -> bool:
        with other.transaction():
            seen.extend(take(other, 500))
        return len(seen) == len(events)

    until(all_taken)
    assert sorted(seen) == sorted(one.id for one in events)
    with pytest.raises(errors.DatabaseUnreachable), frozen.transaction():
        pass
    with frozen.transaction():
        assert take(frozen) == []


def test_queues_are_tidied_beside_the_work(two_sessions: Two) -> None:
    """Clearing dead entries needs no quiet moment and takes nothing away."""
    fill(two_sessions[0], samples.crowd(1, 40))
    with two_sessions[0].transaction():
        mine = take(two_sessions[0], 10)
        two_sessions[1].tidy()
    with two_sessions[1].transaction():
        assert len(mine) + len(take(two_sessions[1], 500)) == 40
