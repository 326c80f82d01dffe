"""Messages on their way out: claimed once, settled by whoever holds the claim, found again when a holder is gone."""

from collections.abc import Sequence

import sqlalchemy as sa
from msgspec.structs import replace

from heliograph.core import messages, reports
from heliograph.store import database, report_rows, rows, schema
from tests import tables
from tests.store import samples

LEASE = 60 * samples.SECOND


def plan(session: database.Session, *planned: rows.Message, events: Sequence[rows.Event] = ()) -> None:
    writes = rows.Writes()
    writes.events = list(events)
    writes.messages = list(planned)
    writes.send_due = [samples.due(one) for one in planned]
    with session.transaction() as connection:
        session.hot.write(connection, writes, (0,), samples.NOW)


def claim(
    session: database.Session, worker: str = "w1", *, limit: int = 100, now: int = samples.NOW, start: int = 0
) -> list[rows.Claimed]:
    with session.transaction() as connection:
        found: list[rows.Claimed]
        found, _ = session.hot.claim(connection, now, limit, worker, now + LEASE, start)
    return found


def settled(one: rows.Message, state: messages.State = messages.State.ACCEPTED) -> rows.Settled:
    return rows.Settled(
        *(one.workspace_id, one.id, samples.NOW, state, samples.NOW + 5), b"[]", "told", None, None
    )


def settle(session: database.Session, worker: str, *entries: rows.Settled) -> list[rows.Settled]:
    with session.transaction() as connection:
        found: list[rows.Settled] = session.hot.settle(connection, worker, entries)
    return found


def expired(session: database.Session, worker: str, *, now: int, limit: int = 100) -> list[rows.Claimed]:
    with session.transaction() as connection:
        found: list[rows.Claimed] = session.hot.take_expired(connection, now, limit, worker, now + 60_000_000)
    return found


def test_a_claimed_message_is_nobody_elses(store: database.Database, session: database.Session) -> None:
    """Whoever claims a message gets it whole with its event; the next one finds nothing."""
    event = samples.event(1)
    one, alone = samples.message(1, event), samples.message(2)
    plan(session, one, alone, events=[event])
    found = claim(session)
    assert [tables.as_stored(entry.message) for entry in found] == [
        tables.as_stored(row) for row in (one, alone)
    ]
    assert [entry.event and tables.as_stored(entry.event) for entry in found] == [
        tables.as_stored(event),
        None,
    ]
    assert {(entry.due_at, entry.lease_until) for entry in found} == {(samples.NOW, samples.NOW + LEASE)}
    assert claim(session) == []
    held = tables.content(store, "send_due", "claims")
    assert held["send_due"] == []
    assert tables.values(held["claims"]) == [
        [1, row.id, samples.NOW + LEASE, samples.NOW, "w1"] for row in (one, alone)
    ]


def test_no_more_is_claimed_than_asked(session: database.Session) -> None:
    """Claims come in portions, oldest first."""
    plan(session, *(samples.message(number) for number in range(1, 8)))
    portions = [[entry.message.id for entry in claim(session, limit=3)] for _ in range(4)]
    wanted = [samples.message(number).id for number in range(1, 8)]
    assert portions == [wanted[:3], wanted[3:6], wanted[6:], []]


def test_a_claim_that_is_undone_leaves_the_message_in_line(
    store: database.Database, session: database.Session
) -> None:
    """A transaction that fails claims nothing."""
    plan(session, samples.message(1))
    with session.transaction() as connection:
        session.hot.claim(connection, samples.NOW, 10, "w1", samples.NOW + LEASE, 0)
        session.hot.rollback(connection)
        session.hot.begin(connection)
    assert tables.rows(store, "claims") == []
    assert len(claim(session)) == 1


def test_a_workspace_on_hold_is_passed_over(store: database.Database, session: database.Session) -> None:
    """While deliveries are held nothing of that workspace is claimed, and everything of the others."""
    plan(session, samples.message(1), samples.message(2, workspace=2))
    hold = sa.update(schema.workspaces).where(schema.workspaces.c.id == 1)
    with store.writing() as connection:
        connection.execute(hold.values(hold_deliveries=True))
    assert [entry.message.workspace_id for entry in claim(session)] == [2]
    with store.writing() as connection:
        connection.execute(hold.values(hold_deliveries=False))
    assert [entry.message.workspace_id for entry in claim(session)] == [1]


def test_a_quiet_workspace_is_claimed_beside_a_backlog(session: database.Session) -> None:
    """However many messages of one workspace wait, the few of another are in the next portion."""
    noisy = [samples.message(number) for number in range(1, 300)]
    plan(session, *noisy, samples.message(900, workspace=2))
    assert 2 in {entry.message.workspace_id for entry in claim(session, limit=50)}


def test_the_walk_over_workspaces_starts_after_the_last_one(session: database.Session) -> None:
    """Where there is room for one message, another workspace is first each time."""
    plan(session, *(samples.message(number, workspace=1 + number % 3) for number in range(1, 10)))
    firsts = [claim(session, limit=1, start=start)[0].message.workspace_id for start in (0, 1, 2, 3)]
    assert firsts == [1, 2, 3, 1]


def test_a_claim_says_whether_there_may_be_more(session: database.Session) -> None:
    """Who takes less than there is, by room or by share, is told to look again; who takes all is not."""
    long = [samples.message(number, workspace=1) for number in range(1, 30)]
    plan(session, *long, samples.message(90, workspace=2))
    with session.transaction() as connection:
        taken = [
            session.hot.claim(connection, samples.NOW, limit, "w1", samples.NOW, 0)
            for limit in (25, 500, 500)
        ]
    assert [len(found) for found, _ in taken] == [6, 24, 0]
    assert (taken[0][1], taken[-1][1]) == (True, False)


def test_what_became_of_a_message_is_stored(store: database.Database, session: database.Session) -> None:
    """Settling ends the claim, writes the ledger, and gives what was stored to whoever sees to what follows."""
    done, again = samples.message(1), samples.message(2)
    plan(session, done, again)
    claim(session)
    answered = replace(settled(done), attempts=b'[{"at":1}]', error=None, reply=samples.reply(1))
    retried = replace(settled(again, messages.State.PLANNED), settled_at=None, retry=samples.timer(2))
    assert settle(session, "w1", answered, retried) == [answered, retried]
    found = tables.content(store, "claims", "messages")
    assert found["claims"] == []
    width = len(rows.Message._fields)
    assert [row[:width] for row in tables.values(found["messages"])] == [
        tables.as_stored(
            done._replace(state=messages.State.ACCEPTED, settled_at=samples.NOW + 5, attempts=b'[{"at":1}]')
        ),
        tables.as_stored(again._replace(attempts=b"[]", error="told")),
    ]


def test_settling_twice_changes_nothing(store: database.Database, session: database.Session) -> None:
    """A claim ends once: the second answer about a message finds no claim."""
    one = samples.message(1)
    plan(session, one)
    claim(session)
    assert settle(session, "w1", settled(one)) == [settled(one)]
    before = tables.content(store)
    assert settle(session, "w1", replace(settled(one, messages.State.FAILED), reply=samples.reply(1))) == []
    assert tables.content(store) == before


def test_who_lost_the_claim_changes_nothing(store: database.Database, session: database.Session) -> None:
    """A worker that slept over its lease comes back with an answer: the ledger keeps what the new holder says."""
    lost, kept = samples.message(1), samples.message(2)
    plan(session, lost)
    claim(session, "slow")
    assert [entry.message.id for entry in expired(session, "quick", now=samples.NOW + LEASE + 1)] == [lost.id]
    plan(session, kept)
    claim(session, "slow")
    before = tables.content(store)
    answer = replace(settled(lost), reply=samples.reply(1), retry=samples.timer(1))
    assert settle(session, "slow", answer) == []
    assert tables.content(store) == before
    held = settle(session, "slow", answer, settled(kept))
    assert held == [settled(kept)], "what it still holds is settled all the same"
    assert len(settle(session, "quick", settled(lost, messages.State.UNCERTAIN))) == 1
    states = {row["id"]: row["state"] for row in tables.rows(store, "messages")}
    assert states == {lost.id: messages.State.UNCERTAIN, kept.id: messages.State.ACCEPTED}


def test_an_answer_ends_its_own_claim_alone(store: database.Database, session: database.Session) -> None:
    """What became of an earlier claim of the same worker ends no later one, nor what was claimed beside it."""
    again, other = samples.message(1), samples.message(2)
    plan(session, again)
    claim(session)
    assert settle(session, "w1", settled(again, messages.State.PLANNED)) != []
    writes = rows.Writes()
    writes.send_due = [samples.due(again)]
    with session.transaction() as connection:
        session.hot.write(connection, writes, (0,), samples.NOW)
    claim(session, now=samples.NOW + 1)
    plan(session, other)
    claim(session)
    late = replace(settled(again, messages.State.UNCERTAIN), reply=samples.reply(1))
    assert settle(session, "w1", late, settled(other)) == [settled(other)]
    assert [row["message_id"] for row in tables.rows(store, "claims")] == [again.id]
    present = replace(settled(again), claimed_at=samples.NOW + 1)
    assert settle(session, "w1", late, present) == [present]
    states = {row["id"]: row["state"] for row in tables.rows(store, "messages")}
    assert states == dict.fromkeys((again.id, other.id), messages.State.ACCEPTED)


def test_of_two_answers_to_a_claim_the_first_is_stored(
    store: database.Database, session: database.Session
) -> None:
    """A claim whose answer was on its way when it was called lost is answered twice in one turn: once is enough."""
    one = samples.message(1)
    plan(session, one)
    claim(session)
    answer, lost = settled(one), settled(one, messages.State.UNCERTAIN)
    assert settle(session, "w1", answer, lost) == [answer]
    (row,) = tables.rows(store, "messages")
    assert row["state"] == messages.State.ACCEPTED


def test_a_lease_runs_out_at_its_end_and_not_before(session: database.Session) -> None:
    """A claim belongs to its holder until its lease is over; then it is found with the instant of the claim."""
    event = samples.event(1)
    plan(session, samples.message(1, event), events=[event])
    claim(session)
    assert expired(session, "w2", now=samples.NOW + LEASE) == []
    (found,) = expired(session, "w2", now=samples.NOW + LEASE + 1)
    assert found.due_at == samples.NOW
    assert found.event is not None
    assert tables.as_stored(found.message) == tables.as_stored(samples.message(1, event))


def test_leases_that_ran_out_are_found_in_portions(session: database.Session) -> None:
    """However many claims a dead worker left, no more are taken than asked."""
    plan(session, *(samples.message(number) for number in range(1, 6)))
    claim(session)
    assert len(expired(session, "w2", now=samples.NOW + LEASE + 1, limit=3)) == 3


def test_all_leases_can_be_ended_at_once(session: database.Session) -> None:
    """A process that is alone with its database need not wait for the leases of its predecessor."""
    plan(session, samples.message(1), samples.message(2))
    claim(session)
    with session.transaction() as connection:
        session.hot.end_leases(connection)
    assert len(expired(session, "w2", now=samples.NOW)) == 2


def test_what_a_turn_planned_and_claimed_is_nobody_elses(
    store: database.Database, session: database.Session
) -> None:
    """A message that is claimed as it is planned never stands in line, and its lease runs like any other."""
    one = samples.message(1)
    writes = rows.Writes()
    writes.messages = [one]
    writes.claims = [(one.workspace_id, one.id, samples.NOW + LEASE, samples.NOW, "w1")]
    with session.transaction() as connection:
        session.hot.write(connection, writes, (0,), samples.NOW)
    assert claim(session, "w2") == []
    assert settle(session, "w2", settled(one)) == []
    (found,) = expired(session, "w2", now=samples.NOW + LEASE + 1)
    assert (found.message.id, found.due_at) == (one.id, samples.NOW)


def test_a_lease_that_was_taken_over_runs_anew(session: database.Session) -> None:
    """Who took a claim over has it for a whole lease: neither they nor anybody else takes it again before its end."""
    plan(session, samples.message(1))
    claim(session)
    over = samples.NOW + LEASE + 1
    (found,) = expired(session, "w2", now=over)
    assert expired(session, "w2", now=over + 1) == expired(session, "w3", now=over + 1) == []
    assert settle(session, "w2", settled(found.message)) != []
    assert expired(session, "w3", now=over + 10 * LEASE) == []


def test_what_a_report_told_first_is_taken_up(store: database.Database, session: database.Session) -> None:
    """A message that was reported before its answer is stored takes that state when it is accepted, and no sooner."""
    early, again = samples.message(1), samples.message(2)
    plan(session, early, again)
    claim(session)
    told = report_rows.Writes()
    for one in (early, again):
        key = (one.workspace_id, one.id)
        told.reached[key] = report_rows.of(*key, reports.Known(delivered_at=samples.NOW))
    writes = rows.Writes()
    writes.reports = told
    with session.transaction() as connection:
        session.hot.write(connection, writes, (0,), samples.NOW)
        known = session.hot.read_reached(connection, told.reached.keys())
    assert {key: row.known for key, row in known.items()} == {
        key: reports.Known(delivered_at=samples.NOW) for key in told.reached
    }
    settle(session, "w1", settled(early), settled(again, messages.State.PLANNED))
    states = [row["state"] for row in tables.content(store, "messages")["messages"]]
    assert states == [messages.State.DELIVERED, messages.State.PLANNED]
