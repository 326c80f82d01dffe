"""Journey: what the runs of journeys do and see (a door of started.py).

Law: what a run was started with, it keeps; what it reads beside that (stored profiles, how its messages stand) is read
in bulk by the turn and stands in the records of the steps that looked at it.
"""

from __future__ import annotations

import itertools
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import (
    campaigns,
    effects,
    expressions,
    frames,
    ids,
    journey_starts,
    journeys,
    outlooks,
    plans,
    rule_journeys,
    rules,
    runs,
    tenants,
)
from heliograph.engine import askings, fanout, looking, mailing, match, run, started
from heliograph.engine import desk as desks
from heliograph.store import database, identities, journey_runs, rows

_definition = msgspec.json.Decoder(journeys.Definition)
_tenant = msgspec.json.Decoder(tenants.Definition)
_EMPTY: Mapping[str, Any] = {}
_PENDING = int(plans.Status.PENDING)


class Journeys:
    """The door; `evaluator` runs the JavaScript of expressions."""

    def __init__(self, evaluator: expressions.Evaluator, default_subject: str, region: str | None = None):
        self._evaluator, self._default_subject, self._region = evaluator, default_subject, region
        self._views: _Views | None = None

    def is_own(self, row: rows.Run) -> bool:
        """Whether the run brought its steps with it."""
        return row.automation_id == journey_starts.OWN

    def plan(self, row: rows.Run, start: rows.Start, definition: bytes | str | None) -> plans.Plan:
        """The steps, read again: they were checked when they came in."""
        if definition is None:
            return journey_starts.own_plan(journey_starts.read_body(start.body), self._evaluator)
        return journeys.read_steps(_definition.decode(definition).steps, self._evaluator)

    def depth(self, start: rows.Start) -> int:
        """How many events or runs have caused each other before."""
        return journey_starts.read_body(start.body).depth

    def wanted(self, desk: desks.Desk, row: rows.Run, start: rows.Start, plan: plans.Plan) -> started.Wanted:
        """The profiles that its next steps write to, and the messages of earlier sends that they ask about."""
        views = self._views_of(desk)
        known = self._known(views, row, start, plan)
        seen, ahead, recipient = known.run, known.ahead, known.run.context.recipient
        people = {recipient} if ahead.is_own and recipient else set()
        sent = list(itertools.chain.from_iterable(known.sent.values()))
        cursors = _cursors(row, known.under_way) if known.under_way else ()
        if not ahead.looks:
            return started.Wanted(people, sent, cursors=cursors)
        if ahead.asks and (sent or cursors) and row[:2] not in views.asked:
            # Whom and what they name may depend on how these stand.
            views.asked.add(row[:2])
            return started.Wanted(people, sent, cursors=cursors, says_more=True)
        _look_back(desk, row, known)
        scope = seen.scope(desk.now, ahead.fields)
        for step in ahead.naming:
            people.update(step.people(seen, scope))
        places = {place for step in ahead.placing for place in step.tenants(seen, scope)}
        keys = {
            (action, looking.scoped_key(start.tenant_id, name))
            for step in ahead.keyed
            if (key := step.key(scope)) is not None
            for action, name in (key,)
        }
        lists = {list_id for step in ahead.listing for list_id in step.lists(seen, scope)}
        return started.Wanted(people, sent, places, keys, lists, cursors)

    def scene(
        self,
        desk: desks.Desk,
        row: rows.Run,
        start: rows.Start,
        plan: plans.Plan,
        workspace: match.Workspace,
    ) -> plans.Scene:
        """What its next steps see."""
        views = self._views_of(desk)
        known = self._known(views, row, start, plan)
        view, seen, body = views.of(row.workspace_id, start.tenant_id), known.run, known.body
        seen.people, seen.stored, seen.tenants = view.people, view.stored, view.tenants
        seen.keys = _OwnKeys(view.keys, desk.now, seen, start) if known.ahead.keyed else view.keys
        _look_back(desk, row, known)

        def invoke(template: str, given: Mapping[str, Any]) -> Any:
            journey = workspace.journey(start.tenant_id, template)
            return journey_starts.child(journey, template, given, (row.id, body), self._evaluator, desk.now)

        seen.invoke, seen.zone = invoke, workspace.zone
        seen.automation = row.automation_id
        return plans.Scene(
            row.automation_id,
            b"",
            "",
            "",
            None,
            start.contact_id,
            None,
            start.tenant_id,
            body.depth,
            _EMPTY,
            None,
            None,
            None,
            workspace.default_subject or self._default_subject,
            workspace.library,
            self._region,
            desk.now,
            started=seen,
            lists=view.lists,
        )

    def ended(
        self, desk: desks.Desk, row: rows.Run, start: rows.Start, records: Sequence[runs.Record]
    ) -> None:
        """Whoever started it for one recipient of many is told."""
        if journey_starts.may_be_of_many(start.body):
            mailing.ended(desk, start, row.id, journey_starts.read_body(start.body), records)

    def invoke(self, workspace: match.Workspace, asked: plans.Invocation) -> effects.Start | str:
        """The start of a journey that a rule's action asks for, or why there is none."""
        name = asked.template
        journey = None if name is None else workspace.journey(asked.scene.tenant_id, name)
        return rule_journeys.of_rule(journey, asked, self._evaluator)

    def _views_of(self, desk: desks.Desk) -> _Views:
        views = self._views
        if views is None or views.desk is not desk:
            views = self._views = _Views(desk)
        return views

    def _known(self, views: _Views, row: rows.Run, start: rows.Start, plan: plans.Plan) -> _Known:
        """What a run says of what it looks at: found out once for as long as it stands like this."""
        key = (row.workspace_id, row.id)
        known = views.known.get(key)
        if known is not None and known.state is row.state:
            return known
        records, outlook = runs.read(row.state), outlooks.of_plan(plan)
        body = journey_starts.read_body(start.body)
        seen = self._run(row, start, body, outlook) if known is None else known.run
        seen.look(len(records), records)
        # A step that is woken is still in its place: what follows it has not been taken.
        ahead = outlook.ahead[len(records)]
        sent, under_way = {}, []
        for visit in ahead.read:
            if visit < len(records):
                sent[visit] = askings.message_ids(start, row.id, visit, records[visit])
                if records[visit].status == _PENDING:
                    under_way.append((visit, records[visit]))
        known = views.known[key] = _Known(row.state, seen, body, ahead, sent, under_way)
        return known

    def _run(
        self, row: rows.Run, start: rows.Start, body: journey_starts.Body, outlook: outlooks.Outlook
    ) -> frames.Run:
        """The run as its steps see it, but for what is read of others."""
        context = journey_starts.context_of(body)
        made = frames.Run(
            row.id, context, self._evaluator, outlook.refs, leaves=outlook.leaves, token=start.token
        )
        made.tenant_id = start.tenant_id
        return made


def _look_back(desk: desks.Desk, row: rows.Run, known: _Known) -> None:
    """Let a run's steps see how those stand that were taken before, as far as it was read."""
    known.run.sent = looking.standings(desk, row.workspace_id, known.sent) if known.sent else {}
    known.run.mailed = _mailed(desk, row, known.under_way) if known.under_way else {}


def begin(
    store: database.Database, workspace_id: int, tenant_id: str | None, asked: effects.Start, now: int
) -> bytes:
    """Let a run begin that somebody asked for from outside: it takes its first step in a turn. Gives its id.

    Where one has begun already with its start key, it is that one's.
    """
    partition = (
        secrets.randbelow(ids.PARTITIONS)
        if asked.contact_id is None
        else rules.partition_of_person(workspace_id, asked.contact_id)
    )
    identity = identities.fresh(now, partition)
    with store.writing() as connection:
        launched = run.launch(workspace_id, identity, tenant_id, asked, now)
        if journey_runs.start(store, connection, launched):
            return identity
        begun = journey_runs.begun(connection, asked.automation_id, launched.run.start_key)
    if begun is None:
        raise errors.Conflict("a run was started with this key, and is forgotten: use another key")
    return begun


def _mailed(
    desk: desks.Desk, row: rows.Run, under_way: Sequence[tuple[int, runs.Record]]
) -> dict[int, Mapping[str, int]]:
    """How many messages of sends to lists that are under way stand how, by visit, as far as it was read."""
    found: dict[int, Mapping[str, int]] = {}
    for visit, record in under_way:
        keys = _cursors(row, [(visit, record)])
        if keys:
            parts = [fanout.progress(desk.cursors[key]) for key in keys if key in desk.cursors]
            open_ones = Counter(mailing.counts(campaigns.added(parts)))
            found[visit] = open_ones + Counter(plans.walked_in(record.output)) or {"ENQUEUED": 1}
    return found


def _cursors(row: rows.Run, steps: Sequence[tuple[int, runs.Record]]) -> list[tuple[int, bytes]]:
    """The cursors of what these steps write to, as far as it has not ended."""
    return [
        key
        for visit, record in steps
        for identity in _walks(row, visit, record)
        for key in mailing.cursors_of(row.workspace_id, identity)
    ]


def _walks(row: rows.Run, visit: int, record: runs.Record) -> list[bytes]:
    """The fan-outs of a step that have not ended."""
    identity = askings.mailing_id(row.id, visit, record)
    return askings.walks_of(record) if identity is None else [identity]


class _Asked(Mapping[Any, Any]):
    """What is asked of by name alone: nobody walks over it."""

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0


class _Lists(_Asked):
    """The lists on a desk, by id. Raises plans.Unseen for what nobody asked for beforehand."""

    def __init__(self, desk: desks.Desk, workspace_id: int):
        self._desk, self._workspace_id = desk, workspace_id

    def __getitem__(self, list_id: str) -> str | None:
        if (self._workspace_id, list_id) not in self._desk.lists_looked_up:
            raise plans.Unseen(list_id)
        return self._desk.lists.get(self._workspace_id, plans.NO_LISTS)[list_id]


class _OnDesk(_Asked):
    """What a desk knows, for the runs of a tenant (None: of the workspace).

    Raises plans.Unseen for what nobody asked for beforehand.
    """

    def __init__(self, desk: desks.Desk, workspace_id: int, tenant_id: str | None):
        self._desk, self._workspace_id, self._tenant_id = desk, workspace_id, tenant_id

    def _contact(self, user_id: str) -> rows.Contact:
        key = (self._workspace_id, user_id)
        found = self._desk.contacts.get(key)
        if found is None and key not in self._desk.contacts_looked_up:
            raise plans.Unseen(user_id)
        if found is None:
            raise KeyError(user_id)
        if self._tenant_id not in (None, found.tenant_id):
            raise plans.Foreign(user_id)
        return found


class _People(_OnDesk):
    """The stored people, by user_id, as texts see them."""

    def __getitem__(self, user_id: str) -> Mapping[str, Any]:
        self._contact(user_id)
        return self._desk.contact(self._workspace_id, user_id)


class _Stored(_OnDesk):
    """The stored profiles, by user_id, as they were written."""

    def __getitem__(self, user_id: str) -> Mapping[str, Any]:
        profile: Mapping[str, Any] = msgspec.json.decode(self._contact(user_id).profile)
        return profile


class _Tenants(_OnDesk):
    """What is said of people in tenants, by (user_id, tenant)."""

    def __getitem__(self, place: tuple[str, str]) -> frames.InTenant:
        key = (self._workspace_id, *place)
        if key not in self._desk.tenant_profiles_looked_up:
            raise plans.Unseen(*place)
        if self._tenant_id not in (None, place[1]):
            raise KeyError(place)
        levels, own = self._desk.tenant_profiles[key]
        read = [_tenant.decode(level) for level in levels]
        return frames.InTenant(
            [level.user_profile for level in read],
            None if own is None else msgspec.json.decode(own),
            [level.properties for level in read],
        )


class _Keys(_OnDesk):
    """The step keys that were used before and still hold, by (action, key)."""

    def __getitem__(self, place: tuple[str, str]) -> frames.Used:
        action, name = place
        key = (self._workspace_id, action, looking.scoped_key(self._tenant_id, name))
        if key not in self._desk.step_keys_looked_up:
            raise plans.Unseen(*place)
        found = self._desk.step_keys[key]
        if found.expires_at <= self._desk.now:
            raise KeyError(place)
        return frames.Used(ids.wire(found.run_id), msgspec.json.decode(found.answer))


class _OwnKeys(_Asked):
    """The keys that hold for a run: those that it used itself in this move too, and the others."""

    def __init__(self, others: _Keys, now: int, run: frames.Run, start: rows.Start):
        self._others, self._now, self._run, self._start = others, now, run, start

    def __getitem__(self, place: tuple[str, str]) -> frames.Used:
        run, messages_of = self._run, askings.messages_of(self._start)
        own = looking.used_by_itself(run.run_id, run.records, place, self._now, messages_of)
        return self._others[place] if own is None else own


class _View(NamedTuple):
    """What the runs of one tenant see of a desk."""

    people: _People
    stored: _Stored
    tenants: _Tenants
    keys: _Keys
    lists: _Lists


class _Known(msgspec.Struct, frozen=True):
    """What a run says of what its next steps look at, as long as it stands like this."""

    state: bytes | str | None
    run: frames.Run
    body: journey_starts.Body
    ahead: outlooks.Ahead
    sent: Mapping[int, Sequence[bytes]]
    """The messages of the earlier steps that they read, by visit."""
    under_way: Sequence[tuple[int, runs.Record]]
    """Those of these steps that are pending, by visit."""


class _Views:
    """What runs see of one desk: made once for all runs of a tenant."""

    def __init__(self, desk: desks.Desk):
        self.desk = desk
        self.known: dict[tuple[int, bytes], _Known] = {}
        self.asked: set[tuple[int, bytes]] = set()
        """Runs that say more once it is read how their earlier steps stand."""
        self._views: dict[tuple[int, str | None], _View] = {}

    def of(self, workspace_id: int, tenant_id: str | None) -> _View:
        """What runs of a tenant see (None: of the workspace)."""
        whose = (workspace_id, tenant_id)
        found = self._views.get(whose)
        if found is None:
            there = (self.desk, *whose)
            lists = _Lists(self.desk, workspace_id)
            found = _View(_People(*there), _Stored(*there), _Tenants(*there), _Keys(*there), lists)
            self._views[whose] = found
        return found
