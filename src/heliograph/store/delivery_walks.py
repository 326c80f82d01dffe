"""What a proof of the ledger reads of one workspace, in bites along the keys (delivery_proof.py).

Law: reading alone; each bite is one consistent look.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph.core import delivery_checks, effects, ids, journeys, routes, runs
from heliograph.core.delivery_checks import Asked
from heliograph.core.messages import State
from heliograph.store import database, definitions, fanout_rows, rows, schema, waiting_requests

_MESSAGES, _RUNS, _FANOUTS = schema.messages.c, schema.runs.c, schema.fanouts.c
_CURSORS, _STARTS, _TIMERS = schema.cursors.c, schema.starts.c, schema.timers.c
_DUE, _CLAIMS, _INBOX = schema.send_due.c, schema.claims.c, schema.inbox.c
_AT_ONCE, _KEYS_AT_ONCE = 1_000, 400
_REQUESTS_AT_ONCE = 100
"""Each has a thousand messages at most."""
WAITING = (int(State.PLANNED), int(State.DELAYED))
"""The states of messages that have not ended, and are nobody's to release."""


class Walk:
    """What is read of one workspace."""

    def __init__(self, store: database.Database, workspace_id: int):
        self._store, self._workspace_id = store, workspace_id
        self._actions: dict[tuple[bytes, int], Sequence[str]] = {}
        self._keys: dict[int, set[tuple[bytes, int, int]]] = {}
        self._first: int | None = None

    def messages(self, last: bytes) -> Iterator[Sequence[Any]]:
        """The ledger in its order, up to an id."""
        names = ("id", "run_id", "visit", "ordinal", "state", "route")
        return self._pages(schema.messages, names, last)

    def followed(self, wanted: Collection[bytes]) -> dict[bytes, str | None]:
        """By which message each of these was followed; those that are forgotten are absent."""
        found: dict[bytes, str | None] = {}
        for some in _portions(sorted(wanted)):
            query = sa.select(_MESSAGES.id, _MESSAGES.route).where(
                _MESSAGES.workspace_id == self._workspace_id, _MESSAGES.id.in_(some)
            )
            found |= {row.id: routes.followed(row.route)[1] for row in self._read(query)}
        return found

    def runs(self, last: bytes) -> Iterator[Sequence[Any]]:
        """The runs that have taken steps, in their order."""
        return self._pages(schema.runs, _OF_RUNS, last, _RUNS.state.is_not(None))

    def _pages(
        self,
        table: sa.Table,
        names: Sequence[str],
        last: bytes,
        *only: sa.ColumnElement[bool],
        at_once: int = _AT_ONCE,
    ) -> Iterator[Sequence[Any]]:
        after = bytes(16)
        while True:
            key = table.c.id
            query = sa.select(*(table.c[name] for name in names)).where(
                table.c.workspace_id == self._workspace_id, key > after, key <= last, *only
            )
            page = self._read(query.order_by(key).limit(at_once))
            if page:
                yield page
            if len(page) < at_once:
                return
            after = page[-1].id

    def share(self, identity: bytes, last: bytes) -> float:
        """How far an id is on the way from the first to the last, if as much happened at all times."""
        at, end = ids.created_at(identity), ids.created_at(last)
        self._first = min(self._first or at, at)
        return (at - self._first) / max(1, end - self._first)

    def runs_of(self, wanted: Collection[bytes]) -> Iterator[Any]:
        """These runs, as far as they are there."""
        for some in _portions(sorted(wanted)):
            yield from self._read(
                sa.select(*(_RUNS[name] for name in _OF_RUNS)).where(
                    _RUNS.workspace_id == self._workspace_id, _RUNS.id.in_(some)
                )
            )

    def asked(self, row: Any) -> list[Asked]:
        """What a run has asked of the outside."""
        kinds = None if row.start_key is not None else self._kinds(row.automation_id, row.version)
        return list(delivery_checks.asked(runs.read(row.state), kinds))

    def _kinds(self, automation_id: bytes, version: int) -> Sequence[str]:
        """The actions of a rule, as it was in a version."""
        key = (automation_id, version)
        if key not in self._actions:
            with self._store.reading() as connection:
                stored = definitions.version_of(connection, *key)
            rule = None if stored is None else journeys.rule_in(stored)
            actions = () if rule is None else tuple(str(action.get("type")) for action in rule.actions)
            self._actions[key] = actions
        return self._actions[key]

    def keys_at(self, at: int, *, fresh: bool = False) -> set[tuple[bytes, int, int]]:
        """The effect keys of all messages that were made at an instant."""
        if fresh or at not in self._keys:
            if len(self._keys) >= _MOST_KEPT:
                self._keys.clear()
            head = ids.head(at)
            found = self._read(
                sa.select(_MESSAGES.run_id, _MESSAGES.visit, _MESSAGES.ordinal).where(
                    _MESSAGES.workspace_id == self._workspace_id,
                    _MESSAGES.id.between(head + bytes(8), head + b"\xff" * 8),
                    _MESSAGES.run_id.is_not(None),
                )
            )
            self._keys[at] = {(row.run_id, row.visit, row.ordinal) for row in found}
        return self._keys[at]

    def keys_on_their_way(self, instants: Collection[int]) -> set[tuple[bytes, int, int]]:
        """Those of messages that were made at these instants and lie in an inbox."""
        found = set()
        for at in instants:
            for values in self._on_their_way(at):
                run_id = ids.parse(values[_RUN_PLACE] or "")
                if run_id is not None:
                    found.add((run_id, values[_RUN_PLACE + 1], values[_RUN_PLACE + 2]))
        return found

    def _on_their_way(self, at: int) -> Iterator[Any]:
        """The rows of messages that were made at an instant and lie in an inbox."""
        head = ids.head(at)
        query = sa.select(_INBOX.body).where(
            _INBOX.workspace_id == self._workspace_id,
            _INBOX.kind == effects.Inbox.DELIVER,
            _INBOX.id.between(head + bytes(8), head + b"\xff" * 8),
        )
        yield from (msgspec.json.decode(row.body) for row in self._read(query))

    def requests(self, last: bytes) -> Iterator[Sequence[Any]]:
        """Requests to send, in their order, up to an id."""
        return self._pages(
            schema.requests, ("id", "partition", "body", "due_at"), last, at_once=_REQUESTS_AT_ONCE
        )

    def waiting_requests(self, wanted: Sequence[bytes]) -> set[bytes]:
        """Those of these that no turn has taken up."""
        query = sa.select(_TIMERS.id).where(
            waiting_requests.IS_REQUEST, _TIMERS.workspace_id == self._workspace_id, _TIMERS.id.in_(wanted)
        )
        return {row.id for row in self._read(query)}

    def fanouts_of(self, automations: Collection[bytes]) -> set[bytes]:
        """Those of these effects that have a fan-out."""
        found: set[bytes] = set()
        for some in _portions(sorted(automations)):
            query = sa.select(_FANOUTS.automation_id).where(
                _FANOUTS.workspace_id == self._workspace_id,
                _FANOUTS.id.in_([ids.of_fanout(one) for one in some]),
            )
            found |= {row.automation_id for row in self._read(query)}
        return found

    def of_requests(self, wanted: Sequence[bytes]) -> dict[bytes, dict[bytes, tuple[int, int]]]:
        """By request, (place, ordinal) of each message, by its id, that is no job; those on their way too."""
        found: dict[bytes, dict[bytes, tuple[int, int]]] = {one: {} for one in wanted}
        # These first: what arrives meanwhile is then found twice, by one id.
        for at in {ids.created_at(one) for one in wanted}:
            for values in self._on_their_way(at):
                request_id = ids.parse(values[_REQUEST_PLACE] or "")
                if request_id in found and values[_RUN_PLACE] is None:
                    identity = ids.parse(values[_ID_PLACE])
                    assert identity is not None
                    found[request_id][identity] = values[_RUN_PLACE + 1], values[_RUN_PLACE + 2]
        names = ("request_id", "id", "visit", "ordinal", "route")
        query = sa.select(*(_MESSAGES[name] for name in names)).where(
            _MESSAGES.workspace_id == self._workspace_id,
            _MESSAGES.request_id.in_(wanted),
            _MESSAGES.automation_id.is_(None),
        )
        for row in self._read(query):
            # Those that follow others, of which nobody took notice, are not what it has become.
            is_first = ids.created_at(row.id) == ids.created_at(row.request_id)
            if is_first and routes.followed(row.route)[0] is None:
                found[row.request_id][row.id] = row.visit, row.ordinal
        return found

    def fanouts(self) -> Sequence[Any]:
        """Every fan-out."""
        return self._read(
            sa.select(_FANOUTS.id, _FANOUTS.automation_id, _FANOUTS.run_id, _FANOUTS.created_at)
            .where(_FANOUTS.workspace_id == self._workspace_id)
            .order_by(_FANOUTS.created_at, _FANOUTS.id)
        )

    def doubled(self, automation_id: bytes) -> list[bytes]:
        """The later ones of jobs that are for one person, in one part and by one channel."""
        last = sa.func.max(_text(_MESSAGES.id, self._store))
        query = (
            sa.select(last)
            .where(*self._jobs(automation_id))
            .group_by(_MESSAGES.visit, _MESSAGES.contact_id, _MESSAGES.channel)
            .having(sa.func.count() > 1)
        )
        return [_identity(row[0]) for row in self._read(query)]

    def made(self, automation_id: bytes) -> dict[tuple[int, int], int]:
        """How many jobs a fan-out has made in each part and partition: messages, or runs of recipients."""
        query = (
            sa.select(_MESSAGES.visit, _MESSAGES.partition, sa.func.count())
            .where(*self._jobs(automation_id))
            .group_by(_MESSAGES.visit, _MESSAGES.partition)
        )
        found = {(row[0], row[1]): row[2] for row in self._read(query)}
        token = fanout_rows.token_of(automation_id)
        started = (
            sa.select(_STARTS.partition, sa.func.count())
            .where(_STARTS.workspace_id == self._workspace_id, _STARTS.token == token)
            .group_by(_STARTS.partition)
        )
        for partition, count in self._read(started):
            found[0, partition] = found.get((0, partition), 0) + count
        return found

    def _jobs(self, automation_id: bytes) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            _MESSAGES.automation_id == automation_id,
            _MESSAGES.run_id.is_(None),
            _MESSAGES.workspace_id == self._workspace_id,
        )

    def counted(self, fanout_id: bytes) -> dict[tuple[int, int], int]:
        """How many jobs its cursors have counted."""
        found: dict[tuple[int, int], int] = {}
        for part in itertools.count():
            keys = [ids.of_cursor(fanout_id, part, partition) for partition in range(ids.PARTITIONS)]
            cursors = self._read(
                sa.select(_CURSORS.partition, _CURSORS.jobs).where(
                    _CURSORS.workspace_id == self._workspace_id, _CURSORS.id.in_(keys)
                )
            )
            if not cursors:
                return found
            found |= {(part, row.partition): row.jobs for row in cursors if row.jobs}
        return found

    def nowhere(self, waiting: Sequence[bytes]) -> list[bytes]:
        """Those of these that wait, and stand nowhere."""
        found = [one for some in _portions(waiting) for one in self._nowhere(some, woken=False)]
        timers = sa.select(_TIMERS.id).where(
            _TIMERS.workspace_id == self._workspace_id, _TIMERS.kind == effects.Timer.SEND
        )
        woken = {row.id for row in self._read(timers)} if found else set()
        suspects = [one for one in found if one not in woken]
        # One look at all of it at once, for the few that may have gone from one place to the next meanwhile.
        return [one for some in _portions(suspects) for one in self._nowhere(some, woken=True)]

    def _nowhere(self, some: Sequence[bytes], *, woken: bool) -> list[bytes]:
        query = sa.select(_MESSAGES.id).where(
            _MESSAGES.workspace_id == self._workspace_id,
            _MESSAGES.id.in_(some),
            _MESSAGES.state.in_(WAITING),
            ~sa.exists().where(
                _DUE.partition == _MESSAGES.partition,
                _DUE.workspace_id == _MESSAGES.workspace_id,
                _DUE.message_id == _MESSAGES.id,
            ),
            ~sa.exists().where(
                _CLAIMS.workspace_id == _MESSAGES.workspace_id, _CLAIMS.message_id == _MESSAGES.id
            ),
        )
        if woken:
            query = query.where(
                ~sa.exists().where(
                    _TIMERS.workspace_id == _MESSAGES.workspace_id,
                    _TIMERS.kind == effects.Timer.SEND,
                    _TIMERS.id == _MESSAGES.id,
                ),
                ~sa.exists().where(
                    _INBOX.partition == _MESSAGES.partition,
                    _INBOX.workspace_id == _MESSAGES.workspace_id,
                    _INBOX.id == _MESSAGES.id,
                    _INBOX.kind == effects.Inbox.LET_GO,
                ),
            )
        return [row.id for row in self._read(query)]

    def _read(self, query: sa.Select[Any]) -> Sequence[Any]:
        with self._store.reading() as connection:
            return connection.execute(query).all()


_OF_RUNS = ("id", "automation_id", "version", "start_key", "state")
_MOST_KEPT = 64
"""Instants of which the keys are kept."""
_ID_PLACE, _RUN_PLACE, _REQUEST_PLACE = (
    rows.Message._fields.index(name) for name in ("id", "run_id", "request_id")
)
"""Where a row of the ledger has its ids, as it lies in an inbox; visit and ordinal follow the run."""


def _portions(found: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (found[first : first + _KEYS_AT_ONCE] for first in range(0, len(found), _KEYS_AT_ONCE))


def _text(column: sa.Column[Any], store: database.Database) -> sa.ColumnElement[Any]:
    """PostgreSQL knows no largest id."""
    return column if store.is_sqlite else sa.cast(column, sa.Text)


def _identity(found: Any) -> bytes:
    identity = ids.parse(found) if isinstance(found, str) else bytes(found)
    assert identity is not None
    return identity
