"""Lists: a walk by cursor, whatever is written meanwhile, and how much is looked at for a page."""

from typing import NamedTuple

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from heliograph import errors
from heliograph.core import ids, schedule
from heliograph.store import database, event_lists, listings, places, schema
from tests.store import samples

START = samples.NOW
DRAWN = st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["one", "two", None]), st.integers(0, 3))


class _Came(NamedTuple):
    """An event that came in."""

    id: bytes
    event_type: str
    conversation_id: str | None


class _Stream:
    """An empty history, and events that come in one after the other, some at the same instant."""

    def __init__(self, store: database.Database):
        self.store, self.at, self.came = store, START, list[_Came]()
        with store.writing() as connection:
            for table in (schema.events, schema.event_places, schema.event_place_marks):
                connection.execute(sa.delete(table))

    def add(self, drawn: list[tuple[str, str | None, int]]) -> None:
        """Some more events."""
        with self.store.writing() as connection:
            for event_type, conversation_id, later in drawn:
                self.at += later
                place = len(self.came)
                came = _Came(ids.mint(self.at, place, place % 64, place), event_type, conversation_id)
                self.came.append(came)
                made = samples.event(
                    place, id=came.id, event_type=event_type, conversation_id=conversation_id
                )
                connection.execute(sa.insert(schema.events).values(**made._asdict()))

    def fill(self) -> None:
        """Give places to what is there."""
        places.fill_events(self.store, self.at + places.SETTLED_AFTER + 1, 1_000)

    def page(self, chosen: event_lists.Filter, order: listings.Order) -> listings.Found:
        """A page of the events that pass."""
        with listings.looking(self.store) as connection:
            listed = event_lists.listed(connection, 1, None, chosen)
            assert listed is not None
            return listings.find(connection, listed, order)


def check_walk(stream: _Stream, data: st.DataObject) -> None:
    """Walk through what is there while more comes in, and places are made."""
    stream.add(data.draw(st.lists(DRAWN, max_size=12)))
    chosen = event_lists.Filter(
        event_type=data.draw(st.sampled_from(["a", None])),
        conversation_id=data.draw(st.sampled_from(["one", None])),
    )
    order = listings.Order(descending=data.draw(st.booleans()), limit=data.draw(st.integers(1, 4)))
    there = [
        came.id
        for came in stream.came
        if chosen.event_type in (None, came.event_type)
        and chosen.conversation_id in (None, came.conversation_id)
    ]
    seen: list[bytes] = []
    while True:
        if data.draw(st.booleans()):
            stream.fill()
        found = stream.page(chosen, order)
        seen += found.ids
        if found.after is None:
            break
        order = order._replace(after=found.after)
        stream.add(data.draw(st.lists(DRAWN, max_size=2)) if len(stream.came) < 40 else [])
    assert seen == sorted(set(seen), reverse=order.descending)
    assert set(there) <= set(seen)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_walk_sees_what_was_there_once(store: database.Database, data: st.DataObject) -> None:
    """A walk shows every row that was committed before it began exactly once, though more come in meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listings, "LOOK", 3)
        check_walk(_Stream(store), data)


def test_a_page_looks_at_a_bounded_number_of_rows(
    store: database.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where few rows pass, a page may be empty and still go on; another order, or a far page, is refused instead."""
    monkeypatch.setattr(listings, "LOOK", 5)
    stream = _Stream(store)
    stream.add([("a", None, 1), *[("b", None, 1)] * 12])
    chosen = event_lists.Filter(event_type="a")
    first = stream.page(chosen, listings.Order(limit=1))
    assert (first.ids, first.total, first.is_exact) == ([], 0, False)
    assert first.after == stream.came[-5].id
    second = stream.page(chosen, listings.Order(limit=1, after=first.after))
    third = stream.page(chosen, listings.Order(limit=1, after=second.after))
    assert (third.ids, third.after) == ([stream.came[0].id], None)
    with pytest.raises(errors.InvalidQuery) as refused:
        stream.page(event_lists.Filter(), listings.Order("attempts"))
    assert [fault.path for fault in refused.value.faults] == ["sort_by"]
    narrow = listings.Order("attempts", created_from=ids.created_at(stream.came[-5].id))
    assert stream.page(event_lists.Filter(), narrow).ids == [came.id for came in stream.came[:-6:-1]]
    with pytest.raises(errors.InvalidQuery) as refused:
        stream.page(chosen, listings.Order(limit=1, offset=1))
    assert [fault.path for fault in refused.value.faults] == ["page"]


def test_a_range_holds_its_beginning_and_not_its_end(store: database.Database) -> None:
    """Ranges of instants follow each other without a gap or an overlap."""
    stream = _Stream(store)
    stream.add([("a", None, 1)] * 4)
    at = [ids.created_at(came.id) for came in stream.came]
    assert schedule.write_instant(at[0]) < schedule.write_instant(at[1])
    early, late = listings.Order(created_to=at[2]), listings.Order(created_from=at[2])
    assert stream.page(event_lists.Filter(), early).ids == [stream.came[1].id, stream.came[0].id]
    assert stream.page(event_lists.Filter(), late).ids == [stream.came[3].id, stream.came[2].id]


def test_places_are_made_once(store: database.Database) -> None:
    """What was given a place is not looked at again; what is too young waits, for it may not be alone."""
    stream = _Stream(store)
    stream.add([("a", "one", 1)] * 5)
    now = stream.at + places.SETTLED_AFTER
    assert places.fill_events(store, now - 1, 3) == 3
    assert places.fill_events(store, now - 1, 3) == 0
    assert places.fill_events(store, now + 1, 3) == 2
    assert places.fill_events(store, now + 1, 3) == 0
    with store.reading() as connection:
        assert places.mark(connection, 1, places.Kind.CONVERSATION) == stream.came[-1].id
        assert places.mark(connection, 2, places.Kind.PAYLOAD) == places.START


def test_lists_are_planned_anew_and_by_walks_alone(shared_store: database.Database) -> None:
    """PostgreSQL never plans for a limit that it does not know, nor reads all to sort it, among several processes."""
    with listings.looking(shared_store) as connection:
        chosen = dict(map(tuple, connection.execute(_CHOSEN)))
    assert chosen == {
        "enable_bitmapscan": "off",
        "enable_seqscan": "off",
        "max_parallel_workers_per_gather": "0",
        "plan_cache_mode": "force_custom_plan",
    }
    with shared_store.reading() as connection:
        assert not {*chosen.items()} & {*map(tuple, connection.execute(_CHOSEN))}, (
            "who reads next is free again"
        )


_CHOSEN = sa.text(
    "SELECT name, setting FROM pg_settings WHERE name IN ('plan_cache_mode', 'enable_seqscan',"
    " 'enable_bitmapscan', 'max_parallel_workers_per_gather')"
)
