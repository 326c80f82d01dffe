"""Journey: what the runs of journeys do and see (a door of started.py).

Law: what a run was started with, it keeps; what it reads beside that (stored profiles, how its messages stand) is read
in bulk by the turn and stands in the records of the steps that looked at it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from heliograph.core import (
    effects,
    expressions,
    frames,
    ids,
    journeys,
    messages,
    plans,
    rule_journeys,
    rules,
    runs,
)
from heliograph.engine import desk as desks
from heliograph.engine import match, run, started
from heliograph.store import database, journey_runs, rows

_definition = msgspec.json.Decoder(journeys.Definition)
_EMPTY: Mapping[str, Any] = {}


class Journeys:
    """The door; `evaluator` runs the JavaScript of expressions."""

    def __init__(self, evaluator: expressions.Evaluator, default_subject: str):
        self._evaluator, self._default_subject = evaluator, default_subject

    def is_own(self, row: rows.Run) -> bool:
        """Whether the run brought its steps with it."""
        return row.automation_id == journeys.OWN

    def plan(self, row: rows.Run, start: rows.Start, definition: bytes | str | None) -> plans.Plan:
        """The steps, read again: they were checked when they came in."""
        if definition is None:
            return journeys.read_steps(journeys.read_body(start.body).steps, self._evaluator)
        return journeys.read_steps(_definition.decode(definition).steps, self._evaluator)

    def depth(self, start: rows.Start) -> int:
        """How many events or runs have caused each other before."""
        return journeys.read_body(start.body).depth

    def wanted(self, desk: desks.Desk, row: rows.Run, start: rows.Start, plan: plans.Plan) -> started.Wanted:
        """The profiles that its next steps write to, and the messages of earlier sends that they ask about."""
        records = runs.read(row.state)
        seen = self._run(row, start, plan, {}, {})
        seen.look(len(records), records)
        scope = seen.scope(desk.now)
        # A step that is woken is still in its place: what follows it has not been taken.
        following = [step for step in plan.steps[len(records) :] if isinstance(step, frames.Step)]
        people = {user_id for step in following for user_id in step.people(seen, scope)}
        reads = frozenset().union(*(step.reads for step in following))
        sent = [
            message_id
            for ref, visit in seen.refs.items()
            if visit < len(records) and ("refs" in reads or f"refs.{ref}" in reads)
            for message_id in started.message_ids(start, row.id, visit, records[visit])
        ]
        return started.Wanted(people, sent)

    def scene(
        self,
        desk: desks.Desk,
        row: rows.Run,
        start: rows.Start,
        plan: plans.Plan,
        workspace: match.Workspace,
    ) -> plans.Scene:
        """What its next steps see."""
        records = runs.read(row.state)
        sent = {}
        for visit, record in enumerate(records):
            found = [
                desk.messages[row.workspace_id, message_id]
                for message_id in started.message_ids(start, row.id, visit, record)
                if (row.workspace_id, message_id) in desk.messages
            ]
            if found:
                sent[visit] = [messages.COURIER_STATUS[messages.State(one.state)] for one in found]
        people = _People(desk, row.workspace_id)
        seen = self._run(row, start, plan, people, sent)
        body = journeys.read_body(start.body)

        def invoke(template: str, given: Mapping[str, Any]) -> Any:
            journey = workspace.journey(template)
            return journeys.child(journey, template, given, (row.id, body), self._evaluator, desk.now)

        seen.invoke, seen.zone = invoke, workspace.zone
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
            workspace.template_versions,
            None,
            desk.now,
            started=seen,
        )

    def invoke(self, workspace: match.Workspace, asked: plans.Invocation) -> effects.Start | str:
        """The start of a journey that a rule's action asks for, or why there is none."""
        journey = None if asked.template is None else workspace.journey(asked.template)
        return rule_journeys.of_rule(journey, asked, self._evaluator)

    def _run(
        self,
        row: rows.Run,
        start: rows.Start,
        plan: plans.Plan,
        people: Mapping[str, Mapping[str, Any]],
        sent: Mapping[int, list[str]],
    ) -> frames.Run:
        return frames.Run(
            row.id,
            journeys.context_of(journeys.read_body(start.body)),
            self._evaluator,
            frames.refs_of(plan.steps),
            leaves=frames.leaves_of(plan.steps),
            token=start.token,
            people=people,
            sent=sent,
        )


def begin(
    store: database.Database, workspace_id: int, tenant_id: str | None, asked: effects.Start, now: int
) -> bytes:
    """Let a run begin that somebody asked for from outside: it takes its first step in a turn. Gives its id."""
    partition = (
        secrets.randbelow(ids.PARTITIONS)
        if asked.contact_id is None
        else ids.partition_of_subject(workspace_id, rules.cooldown_subject(asked.contact_id, None))
    )
    identity = ids.mint(now, secrets.randbits(ids.COUNTER_BITS), partition, secrets.randbits(36))
    with store.writing() as connection:
        journey_runs.start(store, connection, run.launch(workspace_id, identity, tenant_id, asked, now))
    return identity


class _People(Mapping[str, Mapping[str, Any]]):
    """The stored profiles on a desk, by user_id."""

    def __init__(self, desk: desks.Desk, workspace_id: int):
        self._desk, self._workspace_id = desk, workspace_id

    def __getitem__(self, user_id: str) -> Mapping[str, Any]:
        if (self._workspace_id, user_id) not in self._desk.contacts:
            raise KeyError(user_id)
        return self._desk.contact(self._workspace_id, user_id)

    def __iter__(self) -> Any:
        return iter(())

    def __len__(self) -> int:
        return 0
