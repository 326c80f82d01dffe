"""Calendar: the days of date automations, from midnight to the runs that wait for their hour (a chapter of the turn).

At a company's local midnight each automation lays out a walk through the birthdays of the day in every partition that
has any; a walk takes the next people of its partition and makes a run of each, which waits on a timer. Birthdays that
become known later are looked at as they come.

Law: a run is made once for each automation, contact and year, by its start key; what walks is one row in each
partition, moved in the transaction that makes the runs, so a calendar that was killed goes on where it was.
Everything is read before anything is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import msgspec

from heliograph.core import dates, effects, ids, schedule
from heliograph.engine import desk as desks
from heliograph.engine import faults, run
from heliograph.store import birthdays, calendar_rows, database, definitions, rows
from heliograph.store.dates import Kept

_decode = msgspec.json.Decoder().decode
_kept = msgspec.json.Decoder(Kept)

TIMERS = frozenset({effects.Timer.CALENDAR, effects.Timer.BIRTHDAYS, effects.Timer.WALK})
MOST_PEOPLE = 1_000
"""The most people whom one step of a walk takes."""


class Rule(NamedTuple):
    """A date automation, ready."""

    id: bytes
    version: int
    tenant_id: str | None
    timing: dates.Timing
    since: int
    """Nothing is done for a time before it."""
    updated_at: int
    is_paused: bool


class Book(NamedTuple):
    """The date automations of a workspace in one version of its definitions."""

    company: dates.Company
    rules: Mapping[bytes, Rule]


def book(stored: definitions.Definitions) -> Book:
    """What is stored of a workspace's date automations, compiled."""
    rules = {}
    for one in stored.dates:
        kept = _kept.decode(one.definition)
        rules[one.id] = Rule(
            one.id,
            one.version,
            one.tenant_id,
            dates.timing(kept),
            max(one.created_at, kept.since or 0),
            one.updated_at,
            kept.paused,
        )
    return Book(dates.company(_decode(stored.settings) or {}), rules)


class Start(NamedTuple):
    """Somebody for whom an automation acts."""

    rule: Rule
    person: calendar_rows.Birthday
    due_at: int
    key: str


class Step(NamedTuple):
    """What one timer comes to."""

    starts: list[Start]
    place: str
    is_last: bool


class Calendar:
    """The calendar of the turns of one connection."""

    def __init__(self, session: database.Session, known: Callable[[int], definitions.Definitions]):
        """`known` gives the definitions of a workspace, as the present turn goes by them."""
        self._session, self._known = session, known
        self._books: dict[int, tuple[int, Book]] = {}
        self._open: dict[int, tuple[Book, tuple[int, ...], list[tuple[Rule, dates.Occasion]]]] = {}
        self._walks: Mapping[tuple[int, bytes], calendar_rows.Walk] = {}
        self._steps: dict[tuple[int, bytes], Step] = {}
        self._laid: dict[tuple[int, bytes], list[tuple[int, int, list[int]]]] = {}
        """By timer: (day, birthday, the partitions in which anybody has it)."""

    def book(self, workspace_id: int) -> Book:
        """The date automations of a workspace."""
        stored = self._known(workspace_id)
        kept = self._books.get(workspace_id)
        if kept is None or kept[0] != stored.version:
            kept = self._books[workspace_id] = (stored.version, book(stored))
        return kept[1]

    # ── reading, in bulk ────────────────────────────────────────────────────────────────────────────

    def read(
        self,
        connection: Any,
        timers: Iterable[rows.Timer],
        culprits: Collection[tuple[int, bytes]],
        now: int,
        room: int,
    ) -> None:
        """The people of these timers, at most `room` of those who are walked over."""
        mine = [t for t in timers if t.kind in TIMERS and (t.workspace_id, t.id) not in culprits]
        self._steps, self._walks, self._laid = {}, {}, {}
        if not mine:
            return
        hot = self._session.hot
        walking = {(t.workspace_id, t.id) for t in mine if t.kind == effects.Timer.WALK}
        if walking:
            self._walks = hot.read_walks(connection, walking)
        for key, walk in self._walks.items():
            want = min(room, MOST_PEOPLE)
            if want > 0:
                people = hot.walk_birthdays(
                    connection, walk.workspace_id, walk.partition, walk.birthday, walk.place, want
                )
                room -= len(people)
                self._steps[key] = self._step(walk, people, is_last=len(people) < want)
        for timer in mine:
            if timer.kind == effects.Timer.CALENDAR:
                self._laid[timer.workspace_id, timer.id] = self._where(connection, timer, now)
            elif timer.kind == effects.Timer.BIRTHDAYS:
                self._steps[timer.workspace_id, timer.id] = self._late(connection, timer, now)

    def _where(self, connection: Any, timer: rows.Timer, now: int) -> list[tuple[int, int, list[int]]]:
        # Who has their birthday from now on is looked at by the timer that is set with it.
        found = self._open_days(timer, now)
        return [
            (occasion.day, birthday, partitions)
            for occasion in ([] if found is None else found[1])
            for birthday in occasion.birthdays
            if (partitions := self._session.hot.where_birthdays(connection, timer.workspace_id, birthday))
        ]

    def _step(self, walk: calendar_rows.Walk, people: list[calendar_rows.Birthday], *, is_last: bool) -> Step:
        kept = self.book(walk.workspace_id)
        rule = kept.rules.get(walk.automation_id)
        place = people[-1].user_id if people else walk.place
        if rule is None or rule.is_paused:
            return Step([], place, is_last=True)
        occasion = dates.occasion_on(rule.timing, kept.company, walk.birth)
        if walk.birthday not in occasion.birthdays:
            return Step([], place, is_last=True)
        return Step(list(_starts(rule, occasion, people)), place, is_last)

    def _late(self, connection: Any, timer: rows.Timer, now: int) -> Step:
        """Those whose birthday became known when the day of their occasion had begun already."""
        kept = self.book(timer.workspace_id)
        days = schedule.days_begun(kept.company.zone, now - dates.CATCH_UP - 1, now)
        open_now = self._occasions(timer.workspace_id, kept, tuple(day for day, _ in days))
        wanted = sorted({birthday for _, occasion in open_now for birthday in occasion.birthdays})
        if not wanted:
            return Step([], "", is_last=True)
        people = self._session.hot.read_new_birthdays(
            connection, timer.workspace_id, timer.partition, wanted, *birthdays.known_between(timer)
        )
        starts = [start for rule, occasion in open_now for start in _starts(rule, occasion, people)]
        return Step(starts, "", is_last=True)

    def _occasions(
        self, workspace_id: int, kept: Book, days: tuple[int, ...]
    ) -> list[tuple[Rule, dates.Occasion]]:
        """What these days begin for each automation, worked out once: an import asks for it in every partition."""
        known = self._open.get(workspace_id)
        if known is None or known[0] is not kept or known[1] != days:
            found = [
                (rule, occasion)
                for rule in kept.rules.values()
                if not rule.is_paused
                for day in days
                for occasion in dates.beginning(rule.timing, kept.company, day)
            ]
            known = self._open[workspace_id] = (kept, days, found)
        return known[2]

    # ── one timer ───────────────────────────────────────────────────────────────────────────────────

    def timer(self, desk: desks.Desk, timer: rows.Timer, fault: Exception | None) -> None:
        """Decide a timer of a kind of TIMERS; `fault` is why its turn failed with it alone, if it did."""
        faults.attempt_timer(desk, timer, fault, self._decide)

    def _decide(self, desk: desks.Desk, timer: rows.Timer) -> None:
        if timer.kind == effects.Timer.CALENDAR:
            self._begin_days(desk, timer)
        else:
            self._go_on(desk, timer)

    def _go_on(self, desk: desks.Desk, timer: rows.Timer) -> None:
        step = self._steps.get((timer.workspace_id, timer.id))
        walk = self._walks.get((timer.workspace_id, timer.id))
        if timer.kind == effects.Timer.WALK and walk is None:
            return
        if step is None:
            # There was no room: it keeps its place in the line.
            desk.writes.timers.append(timer)
            desk.goes_on = True
            return
        for start in step.starts:
            _start(desk, start)
        desk.judged += len(step.starts)
        if walk is not None:
            _move(desk, walk, step)

    def _begin_days(self, desk: desks.Desk, timer: rows.Timer) -> None:
        found = self._open_days(timer, desk.now)
        if found is None:
            return
        rule, _ = found
        for birth, birthday, partitions in self._laid[timer.workspace_id, timer.id]:
            _lay_out(desk, timer.workspace_id, rule, birth, birthday, partitions)
        zone = self.book(timer.workspace_id).company.zone
        desk.writes.timers.append(timer._replace(wake_at=schedule.next_day(zone, desk.now)))

    def _open_days(self, timer: rows.Timer, now: int) -> tuple[Rule, list[dates.Occasion]] | None:
        """The automation of a timer and the occasions that it begins; None where it has nothing to begin."""
        kept = self.book(timer.workspace_id)
        rule = kept.rules.get(timer.id)
        if rule is None or rule.is_paused:
            return None
        days = _days(rule, kept.company.zone, timer.wake_at, now)
        return rule, [one for day in days for one in dates.beginning(rule.timing, kept.company, day)]


def _start(desk: desks.Desk, start: Start) -> None:
    person = start.person
    if _is_forgotten(desk, person):
        return
    effect = effects.Start(
        effects.Door.DATE, start.rule.id, start.rule.version, start.key, person.user_id, None, {}
    )
    desk.writes.launches.append(
        run.launch(person.workspace_id, _run_id(desk, start), start.rule.tenant_id, effect, start.due_at)
    )


def _starts(
    rule: Rule, occasion: dates.Occasion, people: Iterable[calendar_rows.Birthday]
) -> Iterator[Start]:
    for person in people:
        if person.birthday not in occasion.birthdays or rule.tenant_id not in (None, person.tenant_id):
            continue
        due_at = dates.queued_at(rule.timing, occasion, max(rule.since, person.known_at))
        if due_at is not None:
            yield Start(rule, person, due_at, f"{person.user_id}:{occasion.year}")


def _is_forgotten(desk: desks.Desk, person: calendar_rows.Birthday) -> bool:
    """Whether an earlier decision of this turn gave them another birthday: then that one is looked at by itself."""
    gone = (person.workspace_id, person.partition, person.birthday, person.user_id)
    return gone in desk.writes.forgotten_birthdays


def _days(rule: Rule, zone: str, wake_at: int, now: int) -> list[int]:
    """The days to begin: those since the timer was due; those of a whole day where the rule is new or was changed."""
    began = schedule.days_begun(zone, wake_at - 1, wake_at)
    is_midnight = bool(began) and rule.updated_at < wake_at
    oldest = now - dates.CATCH_UP - 1
    after = max(wake_at - 1, oldest) if is_midnight else oldest
    return [day for day, _ in schedule.days_begun(zone, after, now)]


def _lay_out(
    desk: desks.Desk, workspace_id: int, rule: Rule, birth: int, birthday: int, partitions: Iterable[int]
) -> None:
    """Let a walk through a birthday begin in these partitions."""
    fanout_id = ids.of_fanout(rule.id, birth * 10_000 + birthday)
    for partition in partitions:
        identity = ids.of_cursor(fanout_id, rule.version, partition)
        desk.writes.walks.append(
            calendar_rows.Walk(workspace_id, identity, partition, rule.id, birth, birthday, "")
        )
        _set_going(desk, workspace_id, identity, partition)


def _set_going(desk: desks.Desk, workspace_id: int, identity: bytes, partition: int) -> None:
    timer = rows.Timer(partition, desk.now, workspace_id, int(effects.Timer.WALK), identity)
    desk.writes.timers.append(timer)
    desk.goes_on = True


def _move(desk: desks.Desk, walk: calendar_rows.Walk, step: Step) -> None:
    if step.is_last:
        desk.writes.ended_walks.append((walk.workspace_id, walk.id))
        return
    desk.writes.moved_walks.append((step.place, walk.workspace_id, walk.id))
    _set_going(desk, walk.workspace_id, walk.id, walk.partition)


def _run_id(desk: desks.Desk, start: Start) -> bytes:
    digest = blake2b(start.rule.id + start.key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    drawn = int.from_bytes(digest, "big")
    return desk.head + ids.foot(drawn >> 36, start.person.partition, drawn)
