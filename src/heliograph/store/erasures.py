"""Taking somebody out of history who was deleted (engine.md E22).

Law: what departures.py noted is taken up again after any crash. History is gone through in small bites, each a
transaction of its own, for all who were deleted at once; what is still on its way is left for the next round. No turn
moves their runs meanwhile: a bite writes anew what it has read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from heliograph.core import effects, ids, pseudonyms, runs
from heliograph.store import database, departures, erased_requests, reports, schema

_ERASURES, _EVENTS, _RUNS = schema.erasures.c, schema.events.c, schema.runs.c
_MESSAGES, _STARTS, _CLAIMS = schema.messages.c, schema.starts.c, schema.claims.c
_CONVERSATIONS, _INBOX = schema.conversations.c, schema.inbox.c
_REQUESTS = schema.requests.c
_AT_ONCE, _EVENTS_AT_ONCE, _PEOPLE_AT_ONCE = 100, 2_000, 200
_COLUMNS = ("workspace_id", "id", "user_id", "pseudonym", "reached", "until", "tenant_id")
_TEXTS = ("error", "start_key")
_pseudonym = msgspec.json.Decoder(pseudonyms.Pseudonym)
_decode, _encode = msgspec.json.decode, msgspec.json.encode


# ── going through history ───────────────────────────────────────────────────────────────────────────


def workspaces(store: database.Database) -> list[int]:
    """Those in which somebody is to go."""
    with store.reading() as connection:
        return list(connection.execute(sa.select(_ERASURES.workspace_id).distinct()).scalars())


def step(store: database.Database, workspace_id: int, now: int) -> bool:
    """One bite; gives whether there is more to do in this round."""
    cohort = _cohort(store, workspace_id, now)
    for one in cohort:
        if _own_rows(store, one, now):
            return True
    if _walk(store, cohort, now):
        return True
    _end(store, cohort)
    return False


def _cohort(store: database.Database, workspace_id: int, now: int) -> list[departures.Erasure]:
    """Those who go together: whoever joins later has a walk over the events of their own.

    Nobody waits for those who have walked, of whom something is on its way.
    """
    mine, walked = _ERASURES.workspace_id == workspace_id, _ERASURES.reached >= _ERASURES.until
    columns = [_ERASURES[name] for name in _COLUMNS]
    query = sa.select(*columns).where(mine).limit(_PEOPLE_AT_ONCE)
    begun = query.where(_ERASURES.until.is_not(None)).order_by(walked, _ERASURES.id)
    waiting = query.where(_ERASURES.until.is_(None)).order_by(_ERASURES.id)
    with store.reading() as connection:
        found = connection.execute(begun).all()
        fresh = [] if any(row.reached < row.until for row in found) else connection.execute(waiting).all()
    if fresh:
        with store.writing() as connection:
            place = {"reached": bytes(16), "until": ids.head(now) + b"\xff" * 8}
            chosen = (_ERASURES.id.in_([row.id for row in fresh]), _ERASURES.until.is_(None))
            connection.execute(sa.update(schema.erasures).where(mine, *chosen).values(**place))
            found = connection.execute(begun).all()
    return [
        departures.Erasure(
            *(row.workspace_id, row.id, row.user_id, _pseudonym.decode(row.pseudonym)),
            *(row.reached, row.until, row.tenant_id),
        )
        for row in found
    ]


def _own_rows(store: database.Database, one: departures.Erasure, now: int) -> int:
    """Messages, runs and conversations that are theirs by an index, some at a time; gives how many were changed."""
    scrubber = pseudonyms.Scrubber(one.who)
    with store.writing() as connection:
        store.lock_partitions(connection, (one.partition,))
        departures.cancel_messages(store, connection, one.whose, now)
        reports.forget_addresses(connection, one.workspace_id, one.who.words)
        return (
            _messages(connection, one, scrubber)
            + _starts(connection, one, scrubber)
            + _conversations(connection, one)
        )


def _messages(connection: sa.Connection, one: departures.Erasure, scrubber: pseudonyms.Scrubber) -> int:
    held = sa.exists().where(
        _CLAIMS.workspace_id == _MESSAGES.workspace_id, _CLAIMS.message_id == _MESSAGES.id
    )
    names = ("content", "data", "attempts", "told", "route")
    columns = [_MESSAGES[name] for name in ("id", "error", *names)]
    base = (
        sa.select(*columns)
        .where(
            _MESSAGES.workspace_id == one.workspace_id,
            _MESSAGES.id <= one.last,
            _MESSAGES.state.not_in(departures.OPEN),
            schema.is_reached(_MESSAGES.tenant_id, one.tenant_id),
            ~held,
        )
        .limit(_AT_ONCE)
    )
    words = [word for word in one.who.words if word != one.who.name]
    found = [
        *connection.execute(base.where(_MESSAGES.contact_id == one.user_id)),
        *connection.execute(base.where(_MESSAGES.contact_id == one.who.name, _MESSAGES.address.is_(None))),
        *connection.execute(base.where(_MESSAGES.contact_id.is_(None), _MESSAGES.address.in_(words))),
    ]
    change = (
        sa.update(schema.messages)
        .where(_MESSAGES.workspace_id == one.workspace_id, _MESSAGES.id == sa.bindparam("key"))
        .values(
            {
                **{name: sa.bindparam(f"new_{name}") for name in (*names, "error")},
                "contact_id": sa.case((_MESSAGES.contact_id.is_not(None), one.who.name)),
                "address": one.who.name,
            }
        )
    )
    _change(connection, change, found, names, scrubber)
    return len(found)


def _starts(connection: sa.Connection, one: departures.Erasure, scrubber: pseudonyms.Scrubber) -> int:
    """What runs were started with, and what they left; those that are under way are left for the next round."""
    query = (
        sa.select(_STARTS.run_id.label("id"), _STARTS.body)
        .join_from(
            schema.starts,
            schema.runs,
            (_RUNS.workspace_id == _STARTS.workspace_id) & (_RUNS.id == _STARTS.run_id),
        )
        .where(
            _STARTS.workspace_id == one.workspace_id,
            _STARTS.contact_id == one.user_id,
            _STARTS.run_id <= one.last,
            schema.is_reached(_STARTS.tenant_id, one.tenant_id),
            _RUNS.status.not_in([int(status) for status in runs.IN_PROGRESS]),
        )
        .limit(_AT_ONCE)
    )
    found = connection.execute(query).all()
    change = (
        sa.update(schema.starts)
        .where(_STARTS.workspace_id == one.workspace_id, _STARTS.run_id == sa.bindparam("key"))
        .values(body=sa.bindparam("new_body"), contact_id=one.who.name)
    )
    _change(connection, change, found, ("body",), scrubber)
    _scrub_runs(connection, one, [row.id for row in found], scrubber)
    return len(found)


def _conversations(connection: sa.Connection, one: departures.Erasure) -> int:
    changed = connection.execute(
        sa.update(schema.conversations)
        .where(
            _CONVERSATIONS.workspace_id == one.workspace_id,
            _CONVERSATIONS.contact_id == one.user_id,
            _CONVERSATIONS.created_at <= ids.created_at(one.id),
            schema.is_reached(_CONVERSATIONS.tenant_id, one.tenant_id),
        )
        .values(contact_id=one.who.name)
    )
    return int(changed.rowcount)


def _walk(store: database.Database, cohort: Sequence[departures.Erasure], now: int) -> bool:
    """The next events with their runs, and requests to send, for those at one place; gives whether there are more."""
    walking = [one for one in cohort if one.reached < one.until]
    if not walking:
        return False
    first = min(walking, key=lambda one: (one.reached, one.until))
    # Two processes that begin at once may leave some behind others.
    walking = [one for one in walking if one.reached == first.reached]
    with store.reading() as connection:
        reached = min(_edge(connection, key, first) for key in (_EVENTS.id, _REQUESTS.id))
        asked = erased_requests.naming(connection, walking, reached)
    with store.writing() as connection:
        found = _events(connection, walking, reached)
        store.lock_partitions(connection, {one.partition for one in found})
        for one, theirs in found.items():
            departures.end_events(connection, one.workspace_id, theirs, now)
            _scrub_events(connection, one, theirs)
        erased_requests.scrub(connection, walking, asked)
        at = (_ERASURES.workspace_id == first.workspace_id, _ERASURES.reached == first.reached)
        chosen = _ERASURES.id.in_([one.id for one in walking])
        connection.execute(sa.update(schema.erasures).where(*at, chosen).values(reached=reached))
    return True


def _edge(connection: sa.Connection, key: sa.Column[Any], first: departures.Erasure) -> bytes:
    """How far a bite goes along a table: to its last row, where there are more than it takes, else to the end."""
    rows = sa.select(key).where(
        key.table.c.workspace_id == first.workspace_id, key > first.reached, key <= first.until
    )
    last: bytes | None = connection.execute(
        rows.order_by(key).offset(_EVENTS_AT_ONCE - 1).limit(1)
    ).scalar_one_or_none()
    return first.until if last is None else last


def _events(
    connection: sa.Connection, cohort: Sequence[departures.Erasure], reached: bytes
) -> dict[departures.Erasure, list[bytes]]:
    """The events of each of these up to a place."""
    first = cohort[0]
    of_whom: dict[str, list[departures.Erasure]] = {}
    for one in cohort:
        of_whom.setdefault(one.user_id, []).append(one)
    query = sa.select(_EVENTS.id, _EVENTS.contact_id, _EVENTS.tenant_id).where(
        _EVENTS.workspace_id == first.workspace_id, _EVENTS.id > first.reached, _EVENTS.id <= reached
    )
    found: dict[departures.Erasure, list[bytes]] = {}
    for row in connection.execute(query):
        # Who came back and was deleted again is there twice: what came before the first time is the first one's.
        theirs = of_whom.get(row.contact_id, ())
        whose = next((one for one in theirs if row.id <= one.last and one.is_of(row.tenant_id)), None)
        if whose is not None:
            found.setdefault(whose, []).append(row.id)
    return found


def _scrub_events(connection: sa.Connection, one: departures.Erasure, chosen: Sequence[bytes]) -> None:
    scrubber = pseudonyms.Scrubber(one.who)
    decided = schema.decisions.c
    found = connection.execute(
        sa.select(_EVENTS.id, _EVENTS.payload, _EVENTS.previous, decided.decided_at)
        .join_from(
            schema.events,
            schema.decisions,
            (decided.workspace_id == _EVENTS.workspace_id) & (decided.event_id == _EVENTS.id),
            isouter=True,
        )
        .where(_EVENTS.workspace_id == one.workspace_id, _EVENTS.id.in_(chosen))
    ).all()
    change = (
        sa.update(schema.events)
        .where(_EVENTS.workspace_id == one.workspace_id, _EVENTS.id == sa.bindparam("key"))
        .values(
            payload=sa.bindparam("new_payload"),
            previous=sa.bindparam("new_previous"),
            contact_id=one.who.name,
        )
    )
    _change(connection, change, found, ("payload", "previous"), scrubber)
    ran: list[bytes] = []
    for row in found:
        if row.decided_at is not None:
            span = ids.runs_of(row.id, ids.head(row.decided_at))
            query = sa.select(_RUNS.id).where(
                _RUNS.workspace_id == one.workspace_id, _RUNS.id.between(*span), _RUNS.event_id == row.id
            )
            ran += connection.execute(query).scalars()
    _scrub_runs(connection, one, ran, scrubber)


def _scrub_runs(
    connection: sa.Connection, one: departures.Erasure, chosen: Sequence[bytes], scrubber: pseudonyms.Scrubber
) -> None:
    if not chosen:
        return
    mine = _RUNS.workspace_id == one.workspace_id
    names = ("trace", "state")
    found = connection.execute(
        sa.select(_RUNS.id, _RUNS.start_key, _RUNS.trace, _RUNS.state).where(mine, _RUNS.id.in_(chosen))
    ).all()
    change = (
        sa.update(schema.runs)
        .where(mine, _RUNS.id == sa.bindparam("key"))
        .values(**{name: sa.bindparam(f"new_{name}") for name in ("start_key", *names)})
    )
    _change(connection, change, found, names, scrubber)


def _change(
    connection: sa.Connection,
    change: sa.Update,
    found: Sequence[Any],
    names: Iterable[str],
    scrubber: pseudonyms.Scrubber,
) -> None:
    """Write rows with these JSON columns, and those that are texts, as they are without somebody."""
    values = []
    for row in found:
        made: dict[str, Any] = {"key": row.id}
        for name in names:
            stored = getattr(row, name)
            made[f"new_{name}"] = None if stored is None else _encode(scrubber.value(_decode(stored)))
        for name in _TEXTS:
            if name in row._fields:
                written = getattr(row, name)
                made[f"new_{name}"] = None if written is None else scrubber.text(written)
        values.append(made)
    if values:
        connection.execute(change, values)


def _end(store: database.Database, cohort: Sequence[departures.Erasure]) -> None:
    """Whoever is named nowhere any more has gone; of whom something is on its way, the next round goes on."""
    for one in cohort:
        with store.writing() as connection:
            whose = one.tenant_id
            in_hand = (_MESSAGES.contact_id == one.who.name) & _MESSAGES.address.is_(None)
            left = [
                sa.select(sa.literal(1)).where(
                    key.table.c.workspace_id == one.workspace_id, theirs, key <= one.last
                )
                for key, theirs in (
                    (
                        _MESSAGES.id,
                        (_MESSAGES.contact_id == one.user_id) & schema.is_reached(_MESSAGES.tenant_id, whose),
                    ),
                    (_MESSAGES.id, in_hand),
                    (
                        _STARTS.run_id,
                        (_STARTS.contact_id == one.user_id) & schema.is_reached(_STARTS.tenant_id, whose),
                    ),
                )
            ]
            written = msgspec.json.encode(one.user_id).decode()
            # A message that another partition made for them is on its way to theirs.
            left.append(
                sa.select(sa.literal(1)).where(
                    _INBOX.partition == one.partition,
                    _INBOX.workspace_id == one.workspace_id,
                    _INBOX.kind == int(effects.Inbox.DELIVER),
                    sa.cast(_INBOX.body, sa.Text).contains(written, autoescape=True),
                )
            )
            if not any(connection.execute(query.limit(1)).first() for query in left):
                connection.execute(
                    sa.delete(schema.erasures).where(
                        _ERASURES.workspace_id == one.workspace_id, _ERASURES.id == one.id
                    )
                )
