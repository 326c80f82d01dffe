"""What a turn leaves: every table in bulk, first and second time alike."""

from heliograph.core import runs
from heliograph.store import database, rows
from tests import tables
from tests.store import samples


def write(
    session: database.Session,
    writes: rows.Writes,
    *,
    partitions: tuple[int, ...] = (0,),
    now: int = samples.NOW,
) -> None:
    with session.transaction() as connection:
        session.hot.write(connection, writes, partitions, now)


def test_a_turn_that_decided_nothing_writes_nothing(
    store: database.Database, session: database.Session
) -> None:
    """Empty lists are no statements: no table gains a row."""
    before = tables.content(store)
    write(session, rows.Writes(), now=0)
    assert tables.content(store) == before


def test_every_table_is_written_whole(store: database.Database, session: database.Session) -> None:
    """What was decided stands in its tables, field for field."""
    one = samples.event(1)
    writes = rows.Writes()
    writes.events, writes.due = [one], [(one.partition, 1, one.id)]
    writes.decisions = [rows.Decision(1, one.id, 2, 3, samples.NOW + 4, samples.NOW + 5, 6, "why")]
    writes.runs = [samples.run(0, one), samples.run(1, one, reason="cooldown", trace=None, state=None)]
    writes.messages = [
        samples.message(1, one),
        samples.message(2, one, contact_id=None, address=None, content=None),
    ]
    writes.send_due = [samples.due(writes.messages[0])]
    writes.timers, writes.inbox = [samples.timer(1)], [samples.reply(1)]
    writes.cooldowns = {(1, samples.RULE, "contact:ana"): samples.NOW}
    write(session, writes)
    found = tables.content(store)
    assert tables.values(found["events"]) == [tables.as_stored(one)]
    assert tables.values(found["due"]) == [[one.partition, 1, one.id]]
    assert tables.values(found["decisions"]) == [tables.as_stored(writes.decisions[0])]
    assert tables.values(found["runs"]) == [tables.as_stored(row) for row in writes.runs]
    # What reports tell of a message is not there from the beginning.
    planned = [[*row, *[None] * 5] for row in writes.messages]
    assert tables.values(found["messages"]) == [tables.as_stored(row) for row in planned]
    assert tables.values(found["send_due"]) == [tables.as_stored(writes.send_due[0])]
    assert tables.values(found["timers"]) == [tables.as_stored(writes.timers[0])]
    assert tables.values(found["inbox"]) == [tables.as_stored(writes.inbox[0])]
    assert tables.values(found["cooldowns"]) == [[1, samples.RULE, "contact:ana", samples.NOW]]


def test_a_decision_replaces_the_one_before(store: database.Database, session: database.Session) -> None:
    """An event has one decision: the latest."""
    one = samples.event(1)
    first, again = rows.Writes(), rows.Writes()
    first.decisions = [rows.Decision(1, one.id, 1, 1, None, samples.NOW, 1, "first")]
    again.decided_again = [rows.Decision(1, one.id, 2, 2, None, samples.NOW, 1, None)]
    write(session, first)
    write(session, again)
    assert [(row["attempts"], row["error"]) for row in tables.rows(store, "decisions")] == [(2, None)]


def test_a_cooldown_starts_again(store: database.Database, session: database.Session) -> None:
    """The last match is what counts."""
    for at in (samples.NOW, samples.NOW + 8):
        writes = rows.Writes()
        writes.cooldowns = {(1, samples.RULE, "contact:ana"): at, (1, samples.OTHER_RULE, ""): samples.NOW}
        write(session, writes)
    assert [row["matched_at"] for row in tables.rows(store, "cooldowns")] == [samples.NOW + 8, samples.NOW]


def test_what_waits_already_is_not_laid_down_twice(
    store: database.Database, session: database.Session
) -> None:
    """An inbox row is unique on its effect, a timer on what it wakes: the second is the first."""
    for _ in range(2):
        writes = rows.Writes()
        writes.timers, writes.inbox = [samples.timer(1)], [samples.reply(1)]
        write(session, writes)
    assert len(tables.rows(store, "timers")) == len(tables.rows(store, "inbox")) == 1


def test_a_run_moves_on_and_keeps_what_it_was(store: database.Database, session: database.Session) -> None:
    """A change of a run touches its outcome and its records, nothing else of it and no other run."""
    one = samples.event(1)
    writes = rows.Writes()
    writes.runs = [samples.run(0, one), samples.run(1, one)]
    write(session, writes)
    moved, still = samples.run(0, one), samples.run(1, one)
    writes = rows.Writes()
    writes.run_changes[1, moved.id] = (runs.Status.DONE, runs.Outcome.FAILED, "why", b"[3]")
    write(session, writes)
    wanted = moved._replace(status=runs.Status.DONE, outcome=runs.Outcome.FAILED, reason="why", state=b"[3]")
    assert tables.values(tables.rows(store, "runs")) == [tables.as_stored(wanted), tables.as_stored(still)]


def test_people_are_made_once_and_then_changed(store: database.Database, session: database.Session) -> None:
    """A contact keeps its number and its birth when it changes; a new one gets a number of its own."""
    for at, names in ((samples.NOW, ("ana", "bob")), (samples.NOW + 9, ("bob", "cid"))):
        writes = rows.Writes()
        for name in names:
            writes.contacts[1, name] = samples.contact(
                name, created_at=at, updated_at=at, profile=b"%d" % at, tags=b'["t%d"]' % (at % 10)
            )
        write(session, writes)
    found = {row["user_id"]: row for row in tables.rows(store, "contacts")}
    assert {
        name: (row["created_at"], row["updated_at"], row["profile"], row["tags"])
        for name, row in found.items()
    } == {
        "ana": (samples.NOW, samples.NOW, str(samples.NOW), '["t0"]'),
        "bob": (samples.NOW, samples.NOW + 9, str(samples.NOW + 9), '["t9"]'),
        "cid": (samples.NOW + 9, samples.NOW + 9, str(samples.NOW + 9), '["t9"]'),
    }
    numbers = [row["number"] for row in found.values()]
    assert len(set(numbers)) == 3
    assert min(numbers) >= 1
    assert found["cid"]["number"] > max(found["ana"]["number"], found["bob"]["number"])


def test_conversations_are_made_and_changed_alike(
    store: database.Database, session: database.Session
) -> None:
    """A conversation is written as a contact is, with all that it stands for, each workspace for itself."""
    for changed in ({"tags": b'["a"]'}, {"tags": b'["a","b"]', "status": "resolved", "agent_id": None}):
        writes = rows.Writes()
        for workspace in (1, 2):
            row = samples.conversation("k1", workspace=workspace, **changed)
            writes.conversations[workspace, "k1"] = row
        write(session, writes)
    found = tables.rows(store, "conversations")
    names = ("workspace_id", "contact_id", "channel", "status", "priority", "agent_id", "division_id", "tags")
    stands = ["ana", "email", "resolved", "high", None, "billing", '["a","b"]']
    assert [[row[name] for name in names] for row in found] == [[1, *stands], [2, *stands]]


def test_notes_are_kept_in_the_order_of_their_ids(
    store: database.Database, session: database.Session
) -> None:
    """Notes of a conversation lie beside each other, as they were written."""
    writes = rows.Writes()
    writes.notes = [rows.Note(1, "k1", samples.event(number).id, "rule", f"n{number}") for number in (2, 1)]
    write(session, writes)
    assert [row["text"] for row in tables.rows(store, "notes")] == ["n1", "n2"]


def test_statistics_add_up(store: database.Database, session: database.Session) -> None:
    """Counts of one rule and day are added to what is there, wherever they come from."""
    day = samples.NOW // (86_400 * samples.SECOND)
    for partitions in ((0,), (5, 9), (0,)):
        writes = rows.Writes()
        writes.rule_counts = {(1, samples.RULE, day): [4, 3, 2, 1], (1, samples.RULE, day + 1): [0, 0, 1, -1]}
        writes.event_counts = {(1, "", day): [9, 6, 1], (1, "shop", day): [1, 1, 0]}
        write(session, writes, partitions=partitions)
    counts = ("total", "matched", "executed", "pending")
    by_day = {
        one: [
            sum(row[name] for row in tables.rows(store, "rule_statistics") if row["day"] == one)
            for name in counts
        ]
        for one in (day, day + 1)
    }
    assert by_day == {day: [12, 9, 6, 3], day + 1: [0, 0, 3, -3]}
    found = tables.rows(store, "event_statistics")
    of_nobody = [row for row in found if row["tenant_id"] == ""]
    assert [sum(row[name] for row in of_nobody) for name in ("total", "processed", "failed")] == [27, 18, 3]
    assert sum(row["total"] for row in found) == 30


def test_a_turn_of_two_thousand_rows_is_written_in_one_go(
    store: database.Database, session: database.Session
) -> None:
    """Nothing about the size of a turn is a limit of the statements."""
    writes = rows.Writes()
    writes.events = samples.crowd(1, 2_000)
    writes.due = [(one.partition, 1, one.id) for one in writes.events]
    writes.runs = [samples.run(0, one) for one in writes.events]
    writes.messages = [samples.message(number, one) for number, one in enumerate(writes.events)]
    for one in writes.events:
        assert one.contact_id is not None
        writes.contacts[1, one.contact_id] = samples.contact(one.contact_id)
    write(session, writes)
    found = tables.content(store, "events", "due", "runs", "messages", "contacts")
    assert {name: len(table) for name, table in found.items()} == dict.fromkeys(found, 2_000)
