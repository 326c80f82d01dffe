"""Frames: what surrounds every step of a journey, its `if`, its `ref`, and the run that it stands in.

Law: a step is taken only where its condition holds; what it read of other steps stands in its record, so that a replay
needs nothing else. A field that cannot be resolved ends the run: a message never goes out with a hole in it (J9).
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import msgspec
import rfc8785

from heliograph import errors
from heliograph.core import documents, effects, expressions, fields, plans

STATUSES: Mapping[int, str] = {
    plans.Status.PENDING: "PROCESSED",
    plans.Status.SUCCEEDED: "PROCESSED",
    plans.Status.FAILED: "ERROR",
    plans.Status.SKIPPED: "SKIPPED",
}
"""How the Courier wire names a step's status; one that waits for time is WAITING."""
WAITING = "WAITING"
UNDER_WAY = "PROCESSING"
THROTTLED = "THROTTLED"
NOT_REACHED = "NOT PROCESSED"

Leaves = Callable[[expressions.Context, dict[str, Any]], expressions.Context]
"""A run's context and the output of a step that has succeeded, to the context after it."""

Invoke = Callable[[str, Mapping[str, Any]], "effects.Start | str"]
"""(template's id or alias, what its run is to hold) to the start of it, or why there is none."""


class Used(NamedTuple):
    """A step's key that was used before."""

    run_id: str
    """By whom, as the wire has it."""
    answer: Any
    """What it came to."""


class InTenant(NamedTuple):
    """What is said of somebody in a tenant."""

    levels: Sequence[Mapping[str, Any]]
    """Of everybody in it, by each level, the root first."""
    own: Mapping[str, Any] | None
    properties: Sequence[Mapping[str, Any]] = ()
    """Of each level itself, the root first."""


_SKIPPED = int(plans.Status.SKIPPED)
_NONE: Mapping[Any, Any] = MappingProxyType({})


class Run:
    """A journey's run, as its steps see it."""

    def __init__(  # noqa: PLR0913 - what a run holds
        self,
        run_id: bytes,
        context: expressions.Context,
        evaluator: expressions.Evaluator,
        refs: Mapping[str, int],
        *,
        leaves: Mapping[int, Leaves] = _NONE,
        token: str | None = None,
        people: Mapping[str, Mapping[str, Any]] = _NONE,
        stored: Mapping[str, Mapping[str, Any]] = _NONE,
        tenants: Mapping[tuple[str, str], InTenant] = _NONE,
        keys: Mapping[tuple[str, str], Used] = _NONE,
        sent: Mapping[int, Sequence[str | None]] = _NONE,
        invoke: Invoke = lambda template, _: f"there is no journey {template!r}",
        mailed: Mapping[int, Mapping[str, int]] = _NONE,
        zone: str | None = None,
    ):
        """`refs` is the visit of each step with a name; `people` the stored profiles, by user_id.

        `context` is what it was started with, and `leaves` what becomes of it by the step of each visit.
        `stored` is these profiles as they were written, `tenants` what is said of people there, by (user_id, tenant);
        `keys` the step keys that were used before, by (action, key); `zone` the workspace's; `sent` how the messages
        of earlier sends stand, by visit, None where it was not read, `mailed` how many of sends to lists stand how.
        """
        self.run_id, self.context, self.evaluator, self.refs = run_id, context, evaluator, refs
        self._begun, self._leaves = context, leaves
        self.token, self.sent, self.mailed, self.invoke = token, sent, mailed, invoke
        self.people, self.stored, self.tenants, self.keys = people, stored, tenants, keys
        self.zone = zone
        self.tenant_id: str | None = None
        """Whose it is, where it is a tenant's."""
        self.automation = b""
        """The id of the automation that it is a run of: what a group of its runs is known by."""
        self._visit = 0
        self.records: Sequence[Any] = ()

    def look(self, visit: int, records: Sequence[Any]) -> None:
        """The step of this visit is taken next; `records` is what those before it left."""
        self._visit, self.records = visit, records
        context = self._begun
        for place, left in self._leaves.items():
            if place < len(records) and records[place].status == plans.Status.SUCCEEDED:
                context = left(context, records[place].output)
        self.context = context

    def scope(self, now: int, reads: frozenset[str]) -> expressions.Scope:
        """What the step that is taken next sees, of other steps no more than it reads (as Kind.reads says it)."""
        context, visit = self.context, self._visit
        if reads and self.refs:
            steps = {
                ref: self._left(place, self.records[place])
                for ref, place in self.refs.items()
                if place < visit and is_read(ref, reads)
            }
            context = msgspec.structs.replace(context, steps=steps) if steps else context
        return expressions.Scope(context, self.evaluator, now, expressions.seed(self.run_id, visit))

    def _left(self, visit: int, record: Any) -> dict[str, Any]:
        output, status = record.output if isinstance(record.output, dict) else {}, record.status
        if plans.REQUESTED in output:
            counts = Counter(self.mailed.get(visit) or plans.walked_in(output))
            counts.update(filter(None, self.sent.get(visit, ())))
            return expressions.send_reference(counts or ["ENQUEUED"])
        if (mailed := counts_in(output)) is not None:
            return expressions.send_reference(self.mailed.get(visit, mailed))
        if status == _SKIPPED and not record.answered:
            return expressions.step_reference("SKIPPED")
        if output.get(plans.MESSAGE_IDS):
            if visit not in self.sent:
                raise plans.Unseen(visit)
            if known := [one for one in self.sent[visit] if one]:
                return expressions.send_reference(known)
        if (recipients := output.get(plans.RECIPIENTS)) is None:
            return expressions.step_reference(status_of(record))
        told = self.sent.get(visit) or [None] * len(recipients)
        return expressions.send_reference(
            [one or plans.unread(output, place) for place, one in enumerate(told)]
        )


def is_read(ref: str, reads: frozenset[str]) -> bool:
    """Whether a step with these `reads` looks at the step of this name."""
    return "refs" in reads or f"refs.{ref}" in reads


def counts_in(output: Any) -> Mapping[str, int] | None:
    """How many messages of a send to a list stand how, by its record; None for any other step."""
    if not isinstance(output, dict) or plans.MAILING not in output:
        return None
    return output.get("counts") or {"ENQUEUED": 1}


def status_of(record: Any) -> str:
    """How a step stands that left this record."""
    if record.status == plans.Status.PENDING and isinstance(record.output, dict):
        if plans.WAKES_AT in record.output or plans.BATCH in record.output:
            return WAITING
        if plans.REQUEST in record.output:
            return UNDER_WAY
    if isinstance(record.output, dict) and record.output.get(plans.THROTTLED):
        return THROTTLED
    return STATUSES[record.status]


class Kind(Protocol):
    """What a kind of step does within its frame."""

    @property
    def action(self) -> str:
        """Its name on the wire."""

    @property
    def blocks(self) -> bool:
        """Whether the next step waits for what this one asks for."""

    @property
    def reads(self) -> frozenset[str]:
        """What its fields may look at: some of scripts.ROOTS, `refs.<step>`, or `refs` for all steps."""

    def people(self, run: Run, scope: expressions.Scope) -> Iterable[str]:
        """Whose stored profiles it needs."""

    def take(self, scene: plans.Scene, run: Run, scope: expressions.Scope) -> plans.Outcome:
        """What it asks for. Raises InvalidInput and RenderFailed, which end the run."""


@dataclasses.dataclass(frozen=True)
class Step:
    """A step in its frame."""

    body: Kind
    path: str
    condition: expressions.Script | None
    ref: str | None

    @property
    def on_error(self) -> str:
        """A step that blocks is waited for."""
        return "wait" if self.body.blocks else "continue"

    @property
    def kind(self) -> str:
        """The step's name on the wire."""
        return self.body.action

    @functools.cached_property
    def reads(self) -> frozenset[str]:
        """What it may look at of its run."""
        return self.body.reads if self.condition is None else self.body.reads | self.condition.reads

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """Take the step, where its condition holds."""
        run = scene.started
        assert isinstance(run, Run)
        scope = run.scope(scene.now, self.reads)
        judged = None if self.condition is None else expressions.judge(self.condition, scope)
        if judged is None or judged.holds:
            try:
                outcome = self.body.take(scene, run, scope)
            except (errors.InvalidInput, errors.RenderFailed) as fault:
                outcome = plans.Outcome(plans.Status.FAILED, error=str(fault), end=plans.End.FAILED)
        else:
            told = judged.fault or "the condition does not hold"
            outcome = plans.Outcome(plans.Status.SKIPPED, error=told)
        steps = scope.context.steps
        if not steps:
            return outcome
        return msgspec.structs.replace(outcome, output={**(outcome.output or {}), "read": steps})

    def people(self, run: Run, scope: expressions.Scope) -> Iterable[str]:
        """Whose stored profiles it needs, up to the first field that cannot be resolved yet."""
        found: list[str] = []
        with contextlib.suppress(errors.InvalidInput, errors.RenderFailed):
            for user_id in self.body.people(run, scope):
                found.append(user_id)  # noqa: PERF402 - what came before a fault stays
        return found

    @property
    def is_placing(self) -> bool:
        """Whether it may ask what is said of people in tenants."""
        return hasattr(self.body, "tenants") and bool(getattr(self.body, "is_placing", True))

    def tenants(self, run: Run, scope: expressions.Scope) -> Iterable[tuple[str, str]]:
        """Of whom it needs to know what is said of them in a tenant; such a kind has a method of this name."""
        named = getattr(self.body, "tenants", None) if self.is_placing else None
        try:
            return () if named is None else tuple(named(run, scope))
        except (errors.InvalidInput, errors.RenderFailed):
            return ()

    @property
    def has_key(self) -> bool:
        """Whether it is to be done once: its kind has a `once`, with a key in it."""
        once = getattr(self.body, "once", None)
        return once is not None and once.key is not None

    def key(self, scope: expressions.Scope) -> tuple[str, str] | None:
        """The action and the key of a step that has one."""
        try:
            key = self.body.once.named(scope) if self.has_key else None  # type: ignore[attr-defined]
        except (errors.InvalidInput, errors.RenderFailed):
            return None
        return None if key is None else (self.body.action, key)

    def lists(self, run: Run, scope: expressions.Scope) -> Iterable[str]:
        """The lists that it names; a kind that names any has a method `lists`."""
        named = getattr(self.body, "lists", None)
        try:
            return () if named is None else tuple(named(run, scope))
        except (errors.InvalidInput, errors.RenderFailed):
            return ()


def leaves_of(steps: Iterable[Any]) -> dict[int, Leaves]:
    """The visit of every step that changes what the run holds, and how: such a kind has a method `left`."""
    return {
        visit: step.body.left
        for visit, step in enumerate(steps)
        if isinstance(step, Step) and hasattr(step.body, "left")
    }


def refs_of(steps: Iterable[Any]) -> dict[str, int]:
    """The visit of every step that has a name."""
    return {step.ref: visit for visit, step in enumerate(steps) if isinstance(step, Step) and step.ref}


# ── reading steps ───────────────────────────────────────────────────────────────────────────────────


class Reader:
    """Reads the fields of one step: an empty text in an optional field is no value (A02)."""

    def __init__(self, given: Mapping[str, Any], path: str, evaluator: expressions.Evaluator):
        self.given, self.path, self.evaluator = given, path, evaluator
        self.faults: list[errors.Fault] = []

    def at(self, name: str) -> str:
        """The place of a field."""
        return documents.below(self.path, name)

    def raw(self, name: str) -> Any:
        """A field as it is written; None where it is not there, null, or empty."""
        value = self.given.get(name)
        return None if value == "" else value

    def field(self, name: str) -> fields.Field | None:
        """A field; None where it is not there. Faults are collected."""
        value = self.raw(name)
        if value is None:
            return None
        try:
            return fields.parse(value, self.at(name), self.evaluator)
        except errors.InvalidInput as refusal:
            self.faults += refusal.faults
            return None

    def named(self, place: str) -> fields.Field | None:
        """A field that comes to an id or a key; one that plainly never will is a fault."""
        field = self.field(place)
        self.check(field, place, name)
        if isinstance(field, fields.Items | fields.Entries):
            self.fault(place, "is no text")
        return field

    def mapped(self, place: str) -> fields.Field | None:
        """A field that comes to an object; one that plainly never will is a fault."""
        field = self.field(place)
        is_literal = isinstance(field, fields.Literal) and not isinstance(field.value, dict)
        if is_literal or isinstance(field, fields.Items | fields.Text):
            self.fault(place, "is an object")
        return field

    def check(self, field: fields.Field | None, place: str, parse: Callable[[Any, str], object]) -> None:
        """A fault where a field is literal and `parse` refuses what it is."""
        if isinstance(field, fields.Literal):
            self.refused(parse, field.value, place)

    def refused(self, parse: Callable[[Any, str], object], value: Any, place: str) -> None:
        """A fault where `parse` refuses a value."""
        try:
            parse(value, self.at(place))
        except (errors.InvalidInput, errors.RenderFailed) as refusal:
            self.faults += refusal.faults

    def fault(self, name: str, message: str) -> None:
        """Something is wrong with a field."""
        self.faults.append(errors.Fault(self.at(name) if name else self.path, message))

    def strangers(self, known: Sequence[str]) -> None:
        """Collect a fault for each field that is none of these."""
        self.faults += documents.unknown_keys(self.given, known, self.path)

    def done(self) -> None:
        """Raise what was collected, if anything."""
        if self.faults:
            raise errors.InvalidInput(faults=self.faults)


def text(value: Any, path: str) -> str:
    """A resolved value as text: numbers and truths as JavaScript writes them. Raises RenderFailed for anything else."""
    if isinstance(value, str):
        if "\0" in value:
            raise errors.RenderFailed.at(path, "holds a NUL character, which no database takes")
        return value
    if isinstance(value, bool | int | float):
        return (rfc8785.dumps(value) if isinstance(value, float) else msgspec.json.encode(value)).decode()
    raise errors.RenderFailed.at(path, "is not there" if value is None else "is no text")


LONGEST_NAME = 255


def name(value: Any, path: str) -> str:
    """A resolved value as the id or the key of something, which tables find it by. Raises RenderFailed."""
    written = text(value, path)
    if not 1 <= len(written) <= LONGEST_NAME:
        raise errors.RenderFailed.at(path, f"takes 1 to {LONGEST_NAME} characters")
    return written


def name_if_any(value: Any, path: str) -> str | None:
    """The same of something that need not be named: an empty text is none (A02)."""
    return None if value in (None, "") else name(value, path)


def mapping(value: Any, path: str) -> dict[str, Any]:
    """A resolved value that is an object, or nothing. Raises RenderFailed for anything else."""
    if value is None or isinstance(value, dict):
        return value or {}
    raise errors.RenderFailed.at(path, "is no object")
