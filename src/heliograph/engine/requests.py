"""Requests: what `POST /send` took in becomes messages when it is due (a chapter of the turn).

Law: who they are and where they are written to is what is stored as the request is due, so a delay loses nobody who
has moved. One person's message is the request itself, by its id; a group is walked over by a mailing. Everything is
read before anything is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph.core import (
    effects,
    ids,
    lists,
    message_delays,
    messages,
    outgoing,
    plans,
    requests,
    routes,
    rules,
    runs,
    tenants,
)
from heliograph.engine import bounds, courses, faults, looking, mailing, match, posting, requested
from heliograph.engine import desk as desks
from heliograph.store import courier_audiences, database, request_rows, rows, waiting_requests
from heliograph.store import lists as stored_lists

_encode = msgspec.json.Encoder().encode
_PLANNED, _UNROUTABLE = int(messages.State.PLANNED), int(messages.State.UNROUTABLE)

TIMERS = frozenset({effects.Timer.REQUEST})
INBOX = frozenset({effects.Inbox.RECALL})
MOST_LISTS = 1_000
"""The most lists that one pattern means."""


class _Asked(NamedTuple):
    """A request that is due."""

    row: request_rows.Request
    said: requests.Request
    crowds: Mapping[int, courses.Body]
    """The mailings of those of its recipients that are groups, but for what is said; absent: there is none."""
    run: rows.Run | None
    """The run whose step asked for it, if one's did."""


class Requests:
    """The requests of the turns of one connection."""

    def __init__(
        self,
        store: database.Database,
        session: database.Session,
        known: Callable[[int], match.Workspace],
        limits: bounds.Limits,
    ):
        """`known` gives a workspace as the present turn knows it."""
        self._store, self._session, self._known, self._limits = store, session, known, limits
        self._asked: dict[tuple[int, bytes], _Asked] = {}
        self._recalled: dict[tuple[int, bytes], request_rows.Request] = {}

    # ── reading, in bulk ────────────────────────────────────────────────────────────────────────────

    def read(
        self,
        connection: Any,
        taken: rows.Taken,
        culprits: Collection[tuple[int, bytes]],
        desk: desks.Desk,
    ) -> None:
        """The requests that are due or taken back, who is named in them, and the runs that asked for them."""
        self._asked, self._recalled = {}, {}
        keys = {(t.workspace_id, t.id) for t in taken.timers if t.kind in TIMERS} - {*culprits}
        recalled = {(i.workspace_id, i.id) for i in taken.inbox if i.kind in INBOX} - {*culprits}
        if not keys and not recalled:
            return
        hot, looks = self._session.hot, looking.Looks()
        found = {
            key: (row, requests.stored(row.body))
            for key, row in hot.read_requests(connection, keys | recalled).items()
        }
        self._recalled = {key: found[key][0] for key in recalled & found.keys()}
        asking = {(key[0], _asker(said)) for key, (_, said) in found.items() if said.asked_by}
        runs_known = hot.read_runs(connection, asking) if asking else {}
        for key in recalled & found.keys():
            looks.add(key[0], looking.Wanted(messages=(key[1],)))
        for key in keys & found.keys():
            row, said = found[key]
            people = {one.user_id for one in said.to if one.user_id is not None}
            places = {
                (one.user_id or "", tenant_id)
                for one in said.to
                if (tenant_id := one.tenant_id or said.tenant_id) is not None
            }
            looks.add(row.workspace_id, looking.Wanted(people, tenants=places))
            run_row = runs_known.get((key[0], _asker(said))) if said.asked_by else None
            self._asked[key] = _Asked(row, said, self._crowds(row, said), run_row)
        looks.read(connection, hot, desk)

    def _crowds(self, row: request_rows.Request, said: requests.Request) -> dict[int, courses.Body]:
        groups = {place: one for place, one in enumerate(said.to) if one.is_group}
        if not groups:
            return {}
        bound, request_id = said.tenant_id if said.is_bound else None, ids.text(row.id)
        found: dict[int, courses.Body] = {}
        with self._store.reading() as connection:
            for place, one in groups.items():
                named: dict[str, Any] = {}
                if one.audience_id is not None:
                    audience = courier_audiences.read(connection, row.workspace_id, bound, one.audience_id)
                    if audience is None:
                        continue
                    # Of an audience without a filter nobody is a member.
                    named = {"audience": audience.filter or NOBODY, "audience_of": audience.tenant_id}
                    named["list_id"] = ""
                else:
                    pattern = lists.check_pattern(one.list_pattern or one.list_id, "list")
                    listed = stored_lists.page(connection, row.workspace_id, bound, pattern, "", MOST_LISTS)
                    if not listed and one.list_id is not None:
                        continue
                    named = {"list_id": "", "list_ids": tuple(each.id for each in listed)}
                found[place] = courses.Body(
                    tenant_id=bound,
                    visit=said.asked_by[1] if said.asked_by else 0,
                    template_id=None,
                    template_version=None,
                    look=None,
                    data={**said.data, **one.data},
                    request_id=request_id,
                    member_of=one.member_of,
                    spoken_for=one.tenant_id or said.tenant_id,
                    **named,
                )
        return found

    # ── one input ───────────────────────────────────────────────────────────────────────────────────

    def inbox(self, desk: desks.Desk, inbox: rows.Inbox) -> None:
        """Take a request back whose run was canceled: as long as it waits, it becomes a message that is canceled.

        One that is due finds that out itself when it is taken up.
        """
        key = (inbox.workspace_id, inbox.id)
        row = self._recalled.get(key)
        if row is None:
            return
        if key in desk.messages:
            desk.cancel_message(*key)
        elif row.due_at > desk.now:
            desk.writes.forgotten_timers.append(requested.timer_of(row))
            posting.release(desk, waiting_requests.as_canceled(row, desk.now))

    def timer(self, desk: desks.Desk, timer: rows.Timer, fault: Exception | None) -> None:
        """Let a request become what it asks for; `fault` is why its turn failed with it alone, if it did."""
        asked = self._asked.get((timer.workspace_id, timer.id))
        made: list[rows.Message] = []
        mailed: list[tuple[bytes, courses.Body]] = []
        is_canceled = asked is not None and _is_canceled(desk, asked)
        if fault is None and asked is not None and is_canceled:
            posting.release(desk, waiting_requests.as_canceled(asked.row, desk.now))
        elif fault is None and asked is not None:
            try:
                made, mailed = self._made(desk, asked)
            except Exception as raised:  # noqa: BLE001 - a decision that raises marks its own input (E2)
                fault = raised
        if fault is not None:
            faults.failed_timer(desk, timer, fault)
            return
        # Everything was decided: only now may the desk change.
        is_late = desk.now - timer.wake_at > self._limits.misfire_grace
        for message in made:
            if is_late:
                desk.late[message.id] = timer.wake_at
            posting.post(desk, message, timer.partition)
        asker = None if asked is None or asked.run is None or is_canceled else asked.run
        due_at = timer.wake_at if is_late else desk.now
        for one in mailed:
            mailing.begin_of_request(desk, timer.workspace_id, one, asker and asker.id, due_at)
        if asked is not None and asked.said.asked_by and asker is not None:
            place, walks = (asker.id, asked.said.asked_by[1]), [identity for identity, _ in mailed]
            requested.tell(desk, timer.workspace_id, timer.id, *place, made, walks)

    def _made(
        self, desk: desks.Desk, asked: _Asked
    ) -> tuple[list[rows.Message], list[tuple[bytes, courses.Body]]]:
        row, said = asked.row, asked.said
        head = ids.head(ids.created_at(row.id))
        made: list[rows.Message] = []
        mailed = []
        for place, to in enumerate(said.to):
            tenant_id = to.tenant_id or said.tenant_id
            tenant = self._tenant(desk, row, to.user_id, tenant_id)
            letter = self._letter(row, said, tenant, None if tenant else tenant_id)
            topic = self._topic(row, letter)
            if to.is_group and place in asked.crowds:
                identity = ids.of_effect(row.id, place, 0, head, row.partition)
                body = msgspec.structs.replace(asked.crowds[place], said=letter, topic=topic)
                mailed.append((identity, body))
                continue
            recipient = self._recipient(desk, row, said, to, tenant)
            refusal = _nowhere(to) if to.is_group else _refusal(letter, topic, to)
            if said.routing.is_left_open and to.user_id is None:
                letter = outgoing.reaching(letter, recipient)
            found = outgoing.messages(letter, recipient, refusal)
            made += [self._message(desk, row, tenant_id, place, n, one) for n, one in enumerate(found)]
        if said.is_single:
            made[0] = made[0]._replace(id=row.id, partition=row.partition)
        if asked.run is not None and said.asked_by:
            asker, visit = asked.run, said.asked_by[1]
            made = [
                one._replace(automation_id=asker.automation_id, run_id=asker.id, visit=visit, ordinal=ordinal)
                for ordinal, one in enumerate(made)
            ]
        return made, mailed

    def _letter(
        self,
        row: request_rows.Request,
        said: requests.Request,
        tenant: tenants.Place | None,
        unknown: str | None,
    ) -> outgoing.Letter:
        """What a request says in the name of `tenant`; `unknown` is the one that it names and nobody has described."""
        workspace = self._known(row.workspace_id)
        library = workspace.library
        subject = workspace.default_subject or self._limits.default_subject
        shared: dict[str, Any] = {
            "default_subject": subject,
            "topic": said.topic,
            "routing": said.routing,
            "until": row.due_at + said.timeout * 1000,
            "waits": _waits(row, said),
            "fault": _gone(said, unknown, library),
        }
        brand = said.brand or (None if tenant is None else tenant.brand_id)
        if said.template is None:
            return outgoing.letter_with(said.content or {}, library, brand, **shared)
        pin = library.templates.get(said.template)
        if pin is None:
            return outgoing.Letter(template_id=said.template, **{**shared, "fault": messages.UNPUBLISHED})
        return outgoing.letter_of(pin, library, brand, **shared)

    def _topic(self, row: request_rows.Request, letter: outgoing.Letter) -> str | None:
        """What a letter is about: by its own word, else by its template's."""
        if letter.topic is not None or letter.template_id is None:
            return letter.topic
        return self._known(row.workspace_id).wishes.topic_of(letter.template_id)

    def _tenant(
        self, desk: desks.Desk, row: request_rows.Request, user_id: str | None, tenant_id: str | None
    ) -> tenants.Place | None:
        found = desk.tenant_profiles.get((row.workspace_id, user_id or "", tenant_id or ""))
        return None if found is None else tenants.placed(tenant_id or "", found.levels, found.own)

    def _recipient(
        self,
        desk: desks.Desk,
        row: request_rows.Request,
        said: requests.Request,
        to: requests.To,
        tenant: tenants.Place | None,
    ) -> outgoing.Recipient:
        """Whom a request is for: what is stored of them, what their tenant says, and what the request says."""
        stored: Mapping[str, Any] = {}
        found = None if to.user_id is None else desk.contacts.get((row.workspace_id, to.user_id))
        if (
            to.user_id is not None
            and found is not None
            and (not said.is_bound or found.tenant_id == said.tenant_id)
        ):
            stored = desk.contact(row.workspace_id, to.user_id)
        known = stored if tenant is None else tenant.profile(stored)
        data = {**said.data, **to.data}
        seen = None if tenant is None else tenant.seen
        return outgoing.Recipient(to.user_id, {**known, **to.profile}, data, seen, to.sealed)

    def _message(
        self,
        desk: desks.Desk,
        row: request_rows.Request,
        tenant_id: str | None,
        place: int,
        ordinal: int,
        asked: effects.Deliver,
    ) -> rows.Message:
        partition = rules.partition_of_person(row.workspace_id, asked.contact_id or asked.address or "")
        head = ids.head(ids.created_at(row.id))
        return rows.Message(
            row.workspace_id,
            ids.of_effect(row.id, place, ordinal, head, partition),
            partition,
            tenant_id,
            int(asked.kind),
            asked.channel,
            None,
            None,
            place,
            ordinal,
            None,
            asked.contact_id,
            asked.address,
            asked.template_id,
            asked.template_version,
            None if asked.content is None else _encode(asked.content),
            _encode(asked.data) if asked.data else None,
            _UNROUTABLE if asked.fault else _PLANNED,
            desk.now if asked.fault else None,
            None,
            asked.fault,
            row.id,
            routes.write(asked.route),
        )


NOBODY: dict[str, Any] = {"operator": "EQ", "path": "user_id", "value": ""}
"""The filter of an audience that has none."""


def _asker(said: requests.Request) -> bytes:
    """The run whose step asked for a request."""
    identity = ids.parse(said.asked_by[0]) if said.asked_by else None
    return identity or b""


def _is_canceled(desk: desks.Desk, asked: _Asked) -> bool:
    """Whether the run that asked for a request was canceled, as far as this turn knows."""
    if asked.run is None:
        return False
    row = desk.runs.get((asked.run.workspace_id, asked.run.id), asked.run)
    return row.status == runs.Status.CANCELED


def _waits(row: request_rows.Request, said: requests.Request) -> message_delays.Waits | None:
    """How long each of its recipients waits, where they are many and each has a clock of their own."""
    asked_at = ids.created_at(row.id)
    if said.is_single or message_delays.first_due_at(said.delay, asked_at) is None:
        return None
    return message_delays.Waits(said.delay, asked_at, row.due_at)


def _gone(said: requests.Request, tenant_id: str | None, library: plans.Library) -> str | None:
    """Why nothing is sent that was asked for while what it names was there; `tenant_id` is of no tenant."""
    strategy = said.routing.strategy
    if strategy is not None and strategy not in library.strategies:
        return f"there is no routing strategy {strategy!r} any more"
    # Who is bound to a tenant speaks for it, described or not.
    if tenant_id is not None and not said.is_bound:
        return f"there is no tenant {tenant_id!r} any more"
    return None


def _nowhere(to: requests.To) -> str:
    """Why a group is written to no more that was there when it was asked for."""
    kind, name = ("audience", to.audience_id) if to.audience_id else ("list", to.list_id)
    return f"there is no {kind} {name!r} any more"


def _refusal(letter: outgoing.Letter, topic: str | None, to: requests.To) -> str | None:
    """Why nothing is sent to somebody, by what the request itself says they prefer."""
    is_unwanted = lists.is_opted_out(to.preferences, letter.template_id, topic)
    return messages.OPTED_OUT if is_unwanted else None
