"""What a turn takes: replies first, then timers, then events, a share of each workspace, each input once."""

from collections.abc import Sequence

import pytest
import sqlalchemy as sa

from heliograph.store import database, rows, schema
from tests import tables
from tests.store import samples


def put(
    session: database.Session,
    *,
    events: list[rows.Event] | None = None,
    inbox: list[rows.Inbox] | None = None,
    timers: list[rows.Timer] | None = None,
) -> None:
    writes = rows.Writes()
    writes.events = events or []
    writes.due = [(one.partition, one.workspace_id, one.id) for one in writes.events]
    writes.inbox, writes.timers = inbox or [], timers or []
    with session.transaction() as connection:
        session.hot.write(connection, writes, (0,), 0)


def take(
    session: database.Session,
    limit: int = 500,
    *,
    now: int = samples.NOW,
    start: int = 0,
    replies: Sequence[rows.Inbox] = (),
    crowded: bool = False,
) -> rows.Taken:
    with session.transaction() as connection:
        taken: rows.Taken = session.hot.take(connection, now, limit, start, replies, crowded)
    return taken


def set_workspace(store: database.Database, workspace: int, **values: object) -> None:
    with store.writing() as connection:
        connection.execute(
            sa.update(schema.workspaces).where(schema.workspaces.c.id == workspace).values(**values)
        )


def test_nothing_due_is_nothing_taken(session: database.Session) -> None:
    """An empty database gives an empty turn, that says nothing is left."""
    taken = take(session)
    assert (taken.inbox, taken.timers, taken.events, taken.more, dict(taken.versions)) == (
        [],
        [],
        [],
        False,
        {},
    )


def test_each_kind_of_input_comes_whole_and_in_its_order(session: database.Session) -> None:
    """Replies and events come by id, timers when they are due, every field as it was put there."""
    events = [samples.event(n) for n in (1, 2, 3)]
    inbox = [samples.reply(n) for n in (1, 2)]
    timers = [samples.timer(2, samples.NOW - 9), samples.timer(1, samples.NOW)]
    put(session, events=events[::-1], inbox=inbox[::-1], timers=timers[::-1])
    taken = take(session)
    assert [tables.as_stored(one) for one in taken.events] == [tables.as_stored(one) for one in events]
    assert [tables.as_stored(one) for one in taken.inbox] == [tables.as_stored(one) for one in inbox]
    assert taken.timers == timers
    assert not taken.more


def test_answers_go_before_timers_and_timers_before_events(session: database.Session) -> None:
    """Where there is room for a few inputs only, what was begun goes on before anything new begins."""
    put(session, events=[samples.event(1)], inbox=[samples.reply(1)], timers=[samples.timer(1)])
    kinds = []
    for _ in range(3):
        taken = take(session, 1)
        kinds.append((len(taken.inbox), len(taken.timers), len(taken.events)))
    assert kinds == [(1, 0, 0), (0, 1, 0), (0, 0, 1)]


def test_answers_at_hand_go_with_those_in_the_inbox(session: database.Session) -> None:
    """An answer that a turn brings along is taken in order among the others, and never lies in the inbox."""
    put(session, events=[samples.event(5)], inbox=[samples.reply(1), samples.reply(3)])
    taken = take(session, 4, replies=[samples.reply(4), samples.reply(2)])
    assert [one.id for one in taken.inbox] == [samples.reply(n).id for n in (1, 2, 3, 4)]
    assert taken.events == []
    assert taken.more
    again = take(session)
    assert (again.inbox, len(again.events)) == ([], 1)


def test_every_input_is_taken_once_and_no_more_than_asked(session: database.Session) -> None:
    """Turn after turn takes what is left, until all of it was taken once."""
    events = samples.crowd(1, 95)
    put(session, events=events)
    taken: list[bytes] = []
    sizes, more = [], []
    for _ in range(100):
        turn = take(session, 20)
        if not turn.events:
            break
        taken += [one.id for one in turn.events]
        sizes.append(len(turn.events))
        more.append(turn.more)
    assert sorted(taken) == sorted(one.id for one in events)
    assert max(sizes) <= 20
    assert sizes[-1] == 20 or not more[-1], "a turn that was not full says that nothing is left"


def test_a_turn_that_fails_takes_nothing(store: database.Database, session: database.Session) -> None:
    """What a failed transaction had taken is still there, in its old place."""
    put(session, events=[samples.event(1)], inbox=[samples.reply(1)], timers=[samples.timer(1)])
    before = tables.content(store)
    with pytest.raises(ZeroDivisionError), session.transaction() as connection:
        _ = len(session.hot.take(connection, samples.NOW, 500, 0)) / 0
    assert tables.content(store) == before


def test_one_subjects_events_are_taken_in_the_order_of_their_arrival(session: database.Session) -> None:
    """However small the turns are, a contact's events keep their order."""
    mine = [samples.event(n, contact="ana") for n in range(1, 60, 3)]
    put(session, events=mine + samples.crowd(100, 40))
    seen: list[bytes] = []
    while (turn := take(session, 7)).events:
        seen += [one.id for one in turn.events if one.contact_id == "ana"]
    assert seen == [one.id for one in mine]


def test_timers_wait_for_their_instant(session: database.Session) -> None:
    """A timer is taken at its instant, not a microsecond before."""
    put(session, timers=[samples.timer(1, samples.NOW + 1)])
    assert take(session).timers == []
    assert len(take(session, now=samples.NOW + 1).timers) == 1


def test_what_is_due_the_longest_goes_first(session: database.Session) -> None:
    """Where more is due than a turn takes, the oldest timers are taken, whichever subjects they are of."""
    timers = [samples.timer(n, samples.NOW - 100 + n, contact=f"c{n * 7 % 12}") for n in range(60)]
    put(session, timers=timers)
    seen: list[int] = []
    while found := take(session, 7).timers:
        seen += [one.wake_at for one in found]
    assert seen == [one.wake_at for one in timers]


def test_a_timer_waits_for_no_event(session: database.Session) -> None:
    """However many events are in line, also before a timer's own subject, the next turn takes what is due."""
    put(
        session,
        events=samples.crowd(100, 900) + [samples.event(n, contact="zoe") for n in range(1, 90)],
        timers=[samples.timer(1, contact="zoe")],
    )
    assert len(take(session, 64).timers) == 1


def test_an_answer_that_was_refused_five_times_is_set_aside(
    store: database.Database, session: database.Session
) -> None:
    """A row that no turn can work stays for an operator and is not tried for ever."""
    put(session, inbox=[samples.reply(1, attempts=5), samples.reply(2, attempts=4)])
    assert [one.attempts for one in take(session).inbox] == [4]
    assert [row["attempts"] for row in tables.rows(store, "inbox")] == [5]
    assert not take(session).more


def test_a_paused_workspace_keeps_its_events(store: database.Database, session: database.Session) -> None:
    """A pause keeps events in line, and theirs alone: what was begun goes on, other workspaces too."""
    put(
        session,
        events=[samples.event(1), samples.event(2, workspace=2)],
        inbox=[samples.reply(1)],
        timers=[samples.timer(1)],
    )
    set_workspace(store, 1, is_paused=True)
    taken = take(session)
    assert ([one.workspace_id for one in taken.events], len(taken.inbox), len(taken.timers)) == ([2], 1, 1)
    assert not take(session).events
    set_workspace(store, 1, is_paused=False)
    assert [one.workspace_id for one in take(session).events] == [1]


def test_a_pause_ends_at_its_instant(store: database.Database, session: database.Session) -> None:
    """At `paused_until` a pause is over, by the clock and without anybody's doing."""
    put(session, events=[samples.event(1)])
    set_workspace(store, 1, is_paused=True, paused_until=samples.NOW + 10)
    assert not take(session, now=samples.NOW + 9).events
    assert take(session, now=samples.NOW + 10).events


def test_a_quiet_workspace_is_served_beside_a_backlog(session: database.Session) -> None:
    """However much one workspace has waiting, the few events of others are in the very next turn."""
    quiet = [samples.event(9_000 + n, workspace=2, contact=f"q{n}") for n in range(3)]
    put(session, events=samples.crowd(1, 400) + quiet)
    taken = take(session, 50)
    assert {one.id for one in quiet} <= {one.id for one in taken.events}


def test_a_turn_that_left_something_says_so(session: database.Session) -> None:
    """Where a share ended a turn before its room did, the turn says that more is waiting."""
    put(session, events=[*samples.crowd(1, 40), samples.event(99, workspace=2)])
    taken = take(session, 50)
    assert len(taken.events) < 41
    assert taken.more


def test_a_crowd_behind_one_contact_is_not_forgotten(session: database.Session) -> None:
    """A contact with far more waiting than others is worked off without anybody waking the worker."""
    put(session, events=[samples.event(n) for n in range(1, 120)] + samples.crowd(200, 5))
    taken = 0
    while (turn := take(session, 100)).more:
        taken += len(turn.events)
    assert taken + len(turn.events) == 124


def test_the_walk_over_workspaces_starts_after_the_last_one(session: database.Session) -> None:
    """Where a turn has no room for all workspaces, another is first each time."""
    for workspace in (1, 2, 3):
        put(
            session,
            events=[samples.event(n, workspace=workspace) for n in range(10 * workspace, 10 * workspace + 5)],
        )
    firsts = [{one.workspace_id for one in take(session, 1, start=start).events} for start in (0, 1, 2, 3)]
    assert firsts == [{1}, {2}, {3}, {1}]


def test_the_version_of_definitions_comes_with_what_was_taken(
    store: database.Database, session: database.Session
) -> None:
    """A turn learns by which version to decide, for every workspace of which it took something."""
    set_workspace(store, 1, definitions_version=5)
    set_workspace(store, 2, definitions_version=6)
    put(
        session,
        events=[samples.event(1)],
        inbox=[samples.reply(1, workspace=2)],
        timers=[samples.timer(1, workspace=3)],
    )
    assert dict(take(session).versions) == {1: 5, 2: 6, 3: 1}


def test_a_hold_on_deliveries_comes_with_what_was_taken(
    store: database.Database, session: database.Session
) -> None:
    """A turn learns which of its workspaces hold their deliveries, so that it claims nothing of theirs."""
    set_workspace(store, 2, hold_deliveries=True)
    put(session, events=[samples.event(1), samples.event(2, workspace=2)])
    assert set(take(session).held) == {2}


def test_time_is_remembered(session: database.Session) -> None:
    """The latest instant of a turn is known to the next one, and an earlier one does not undo it."""
    with session.transaction() as connection:
        assert session.hot.last_now(connection) == 0
    for now in (samples.NOW, samples.NOW + 7, samples.NOW + 3):
        put(session, events=[samples.event(now - samples.NOW)])
        with session.transaction() as connection:
            taken = session.hot.take(connection, now, 500, 0)
            latest = max(now, session.hot.last_now(connection))
            session.hot.write(connection, rows.Writes(), taken.partitions, latest)
    with session.transaction() as connection:
        assert session.hot.last_now(connection) == samples.NOW + 7


def test_the_next_due_instant_is_that_of_a_timer_or_of_a_pause(
    store: database.Database, session: database.Session
) -> None:
    """A sleeper learns when to wake: at the earliest timer, or when the earliest pause ends."""

    def next_due() -> int | None:
        found: int | None = session.hot.next_due(session.connection, samples.NOW)
        return found

    assert next_due() is None
    put(
        session,
        timers=[samples.timer(1, samples.NOW + 50), samples.timer(2, samples.NOW + 40, contact="bob")],
    )
    assert next_due() == samples.NOW + 40
    set_workspace(store, 1, is_paused=True, paused_until=samples.NOW + 30)
    assert next_due() == samples.NOW + 30
    set_workspace(store, 1, is_paused=True, paused_until=None)
    assert next_due() == samples.NOW + 40


def test_a_pause_that_is_over_wakes_nobody(store: database.Database, session: database.Session) -> None:
    """A pause that ran out stays in its record, but is nothing to be woken for."""
    set_workspace(store, 1, is_paused=True, paused_until=samples.NOW - 1)
    assert session.hot.next_due(session.connection, samples.NOW) is None


CROWD, TURNS = 8_000, 40


@pytest.mark.parametrize("quiet", ["inbox", "timers", "events"])
@pytest.mark.parametrize("noisy", ["inbox", "timers", "instants", "moments"])
@pytest.mark.parametrize("owner", [1, 3])
def test_a_backlog_of_one_workspace_holds_up_no_other(
    session: database.Session, noisy: str, quiet: str, owner: int
) -> None:
    """However much of one workspace waits in a queue, what is due of another is taken in one of the next turns."""
    many = range(CROWD)
    if noisy == "inbox":
        put(session, inbox=[samples.reply(n, workspace=owner)._replace(partition=n % 64) for n in many])
    else:
        at = [samples.NOW - 64 + n % 64 * (noisy == "instants") for n in many]
        if noisy == "moments":
            at = [samples.NOW - CROWD + n for n in many]
        timers = [samples.timer(n, workspace=owner, wake_at=at[n])._replace(partition=n % 64) for n in many]
        put(session, timers=timers)
    last = CROWD + 1
    if quiet == "inbox":
        put(session, inbox=[samples.reply(last, workspace=2)])
    elif quiet == "timers":
        put(session, timers=[samples.timer(last, workspace=2)])
    else:
        put(session, events=[samples.event(last, workspace=2)])
    start, crowded, taken_of = 0, False, list[int]()
    for _ in range(TURNS):
        taken = take(session, start=start, crowded=crowded)
        start, crowded = taken.reached, taken.crowded
        for found in (taken.inbox, taken.timers, taken.events):
            taken_of += [row.workspace_id for row in found]
        if 2 in taken_of:
            break
        assert taken.more
    assert 2 in taken_of
    assert len(taken_of) < CROWD / 2


def test_shares_leave_everything_in_its_order(session: database.Session) -> None:
    """Whatever the shares are, everything is taken once, and of each workspace the oldest first."""
    made = [samples.timer(n, workspace=1 + n % 3, wake_at=samples.NOW - n % 7) for n in range(900)]
    put(session, timers=made, inbox=[samples.reply(n, workspace=1 + n % 2) for n in range(900)])
    start, crowded, inbox, timers = 0, False, list[rows.Inbox](), list[rows.Timer]()
    while (taken := take(session, limit=60, start=start, crowded=crowded)).versions:
        start, crowded = taken.reached, taken.crowded
        inbox += taken.inbox
        timers += taken.timers
    assert (len(inbox), len(timers)) == (900, 900)
    for workspace in (1, 2, 3):
        instants = [one.wake_at for one in timers if one.workspace_id == workspace]
        assert instants == sorted(instants)
        answers = [one.id for one in inbox if one.workspace_id == workspace]
        assert answers == sorted(answers)
