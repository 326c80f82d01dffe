"""The step that asks for what `POST /send` would be asked: `send` with a message for whom one run cannot see to alone.

Law: its message means what the same message means at `/send`: what is taken from the run is put in first, and the
whole is read by the same reader. What becomes of it is the request's business; the run hears of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import (
    courier_fields,
    documents,
    effects,
    expressions,
    fields,
    frames,
    plans,
    requests,
    routing,
    routing_trees,
    schedule,
    step_keys,
)

_ROLES: Mapping[str, fields.Role] = {
    **dict.fromkeys(("template", "brand_id", "context", "preferences", "routing"), fields.Role.MESSAGE),
    "content": fields.Role.CONTENT,
}
"""The parts in which a value that is not there is a hole (A08)."""
_JUDGED = frozenset({"channels", "providers"})
"""The parts whose `if`s are judged of each recipient, and are no expressions of the run."""


class SendRequest(NamedTuple):
    """Send a message to people, lists or audiences, now or later, in a tenant's name."""

    path: str
    parts: Mapping[str, fields.Field]
    """What its message says, by name."""
    once: step_keys.Once
    whole: fields.Field | None = None
    """The message, where all of it is taken from the run."""
    action: str = "send"
    blocks: bool = False

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at."""
        whole = () if self.whole is None else (self.whole,)
        return self.once.reads.union(*(part.reads for part in (*self.parts.values(), *whole)))

    @property
    def tree(self) -> routing_trees.Node | None:
        """By which channels it goes, as far as that is known before the run."""
        said = self.parts.get("routing")
        return None if said is None else routing_trees.read(courier_fields.Read(), _still(said), "")

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """The one by whose clock it is delayed."""
        return (
            ()
            if self.whole is None and "delay" not in self.parts
            else _by_whose_clock(self._read(scope, None))
        )

    def tenants(self, run: frames.Run, scope: expressions.Scope) -> Iterable[tuple[str, str]]:
        """Those in whose name it is sent."""
        return [("", one) for one in _tenants(self._read(scope, None))]

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """One request, unless its key was used before."""
        used = self.once.used(self.action, run, scope)
        if used is not None:
            return plans.done(output={step_keys.REPEATS: used.run_id, plans.MESSAGE_IDS: used.answer})
        said = self._read(scope, scene.region)
        fault = routing.missing(said.routing, said.brand, scene.library) or _missing(said, scene, run)
        if fault is not None:
            return plans.failed(fault)
        said = requests.placed(said, scene.library.providers)
        said = requests.bound(self._of_run(said, run), scene.tenant_id)
        stored = [run.people.get(one, {}) for one in _by_whose_clock(said)]
        try:
            due_at = requests.due_at(said, stored[0] if stored else {}, scene.now)
        except errors.InvalidInput as refusal:
            raise errors.InvalidInput(faults=self._placed(refusal.faults)) from None
        output: dict[str, Any] = {plans.REQUESTED: said.subject}
        if due_at > scene.now:
            output["sends_at"] = schedule.write_instant(due_at)
        asked = effects.SendRequest(said, due_at)
        return plans.pending(asked, output=output | self.once.kept(self.action, scope))

    def _read(self, scope: expressions.Scope, region: str | None) -> requests.Request:
        """What is asked for, once the values of the run are in it. Raises InvalidInput and RenderFailed."""
        path = f"{self.path}.message"
        message = {
            name: fields.resolve(
                part,
                scope,
                documents.below(path, name),
                _ROLES.get(name, fields.Role.STRUCTURE),
            )
            for name, part in self.parts.items()
        }
        if self.whole is not None:
            message = frames.mapping(fields.resolve(self.whole, scope, path, fields.Role.MESSAGE), path)
        try:
            said, ignored = requests.read({"message": message}, region, can_lock=False)
        except errors.InvalidInput as refusal:
            raise errors.InvalidInput(faults=self._placed(refusal.faults)) from None
        strange = [errors.Fault(place, requests.STRANGE) for place in requests.strangers(ignored)]
        if strange:
            raise errors.InvalidInput(faults=self._placed(strange))
        return said

    def _placed(self, faults: Iterable[errors.Fault]) -> list[errors.Fault]:
        return [errors.Fault(f"{self.path}.{fault.path}", fault.message) for fault in faults]

    def _of_run(self, said: requests.Request, run: frames.Run) -> requests.Request:
        """What is asked for, where what the message leaves open is what the run holds."""
        context = run.context
        own = dict(context.profile)
        to = tuple(
            msgspec.structs.replace(one, profile={**own, **one.profile})
            if own and one.user_id is not None and one.user_id == context.recipient
            else one
            for one in said.to
        )
        brand = said.brand if said.brand is not None or context.brand is None else str(context.brand)
        return msgspec.structs.replace(said, to=to, data={**context.data, **said.data}, brand=brand)


def _by_whose_clock(said: requests.Request) -> list[str]:
    one = said.to[0].user_id if said.is_single and said.delay.until is not None else None
    return [] if one is None else [one]


def _tenants(said: requests.Request) -> set[str]:
    named = [said.tenant_id, *(one.tenant_id for one in said.to)]
    return {one for one in named if one is not None}


def _missing(said: requests.Request, scene: plans.Scene, run: frames.Run) -> str | None:
    """What a request names and there is not, as far as a run can tell; a list or audience its turn looks for."""
    library = scene.library
    if said.template is not None and said.template not in library.templates.keys() | library.drafts:
        return library.lack(said.template)
    named = _tenants(said) | {one.member_of for one in said.to if one.member_of is not None}
    for tenant_id in sorted(named):
        is_strange = scene.tenant_id not in (None, tenant_id)
        if is_strange or (tenant_id in _tenants(said) and run.tenants.get(("", tenant_id)) is None):
            return f"there is no tenant {tenant_id!r}"
    return None


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def read(reader: frames.Reader, given: Mapping[str, Any] | str) -> SendRequest:
    """The step with this message. Faults are collected by the reader."""
    once = step_keys.Once(reader.path, None, None)
    if isinstance(given, str) or "$ref" in given:
        return SendRequest(reader.path, {}, once, reader.field("message"))
    parts: dict[str, fields.Field] = {}
    path = reader.at("message")
    for name, raw in given.items():
        if raw is None or raw == "":
            continue
        try:
            parts[name] = _part(name, raw, documents.below(path, name), reader.evaluator)
        except errors.InvalidInput as refusal:
            reader.faults += refusal.faults
    if ("template" in parts) == ("content" in parts):
        reader.fault("message", "takes either `template` or `content`, not both and not neither")
    # What is not known yet is left out, and nobody minds what only its lack makes wrong.
    open_places = [place for name, part in parts.items() for place in _open(part, f"message.{name}")]
    still = {name: _still(part) for name, part in parts.items()}
    for fault in requests.faults_of(still):
        is_own = fault.path != "message" and not fault.path.endswith(".phone_number")
        if is_own and not any(_touch(fault.path, place) for place in open_places):
            reader.faults.append(errors.Fault(f"{reader.path}.{fault.path}", fault.message))
    return SendRequest(reader.path, parts, once)


def _part(name: str, raw: Any, path: str, evaluator: expressions.Evaluator) -> fields.Field:
    if name == "content" and isinstance(raw, dict) and "elements" in raw:
        # Its `refs` are its own elements, and its braces are filled when it is sent: it is taken as it stands.
        return fields.Literal(raw)
    if name not in _JUDGED or not isinstance(raw, dict):
        return fields.parse(raw, path, evaluator)
    made = {key: _judged(one, documents.below(path, key), evaluator) for key, one in raw.items()}
    return fields.Entries(made, frozenset().union(*(one.reads for one in made.values())))


def _judged(raw: Any, path: str, evaluator: expressions.Evaluator) -> fields.Field:
    if not isinstance(raw, dict) or "$ref" in raw:
        return fields.parse(raw, path, evaluator)
    made = {
        key: fields.Literal(one) if key == "if" else fields.parse(one, documents.below(path, key), evaluator)
        for key, one in raw.items()
    }
    return fields.Entries(made, frozenset().union(*(one.reads for one in made.values())))


def _open(field: fields.Field, path: str) -> Iterator[str]:
    """The places of what is not known before the run."""
    if isinstance(field, fields.Entries):
        for key, one in field.fields.items():
            yield from _open(one, documents.below(path, key))
    elif isinstance(field, fields.Items):
        for place, one in enumerate(field.fields):
            yield from _open(one, f"{path}[{place}]")
    elif not isinstance(field, fields.Literal):
        yield path


def _still(field: fields.Field) -> Any:
    """What is known of a field before the run."""
    if isinstance(field, fields.Literal):
        return field.value
    if isinstance(field, fields.Entries):
        return {key: _still(one) for key, one in field.fields.items()}
    if isinstance(field, fields.Items):
        return [_still(one) for one in field.fields]
    return None


def _touch(one: str, other: str) -> bool:
    """Whether one of two places is, or lies in, the other."""
    return (one + ".").startswith((other + ".", other + "[")) or other.startswith((one + ".", one + "["))
