"""The steps that write to a list and put people on one: `send-list`, `subscribe` (journeys.md 1.7.3, J18).

Law: who is on the list is walked over by a fan-out, so that nothing big is ever in one run; the step is told when all
of them were written to. With a `data_source` each recipient is a run of their own, which asks and then sends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import (
    documents,
    effects,
    expressions,
    fetches,
    fields,
    frames,
    lists,
    outgoing,
    overrides,
    people,
    plans,
    pseudonyms,
    routing,
    step_keys,
)

_NAMES, _OBJECTS = ("list", "template", "brand"), ("data", "override")
FIELDS = (*_NAMES, *_OBJECTS, "data_source", *step_keys.FIELDS)
_SOURCE = ("webhook", "merge_strategy")
_SPEAKING = frozenset({"data", "profile", "override"})
"""An answer that has no other keys than these says which is which; any other is data."""
SOURCE_REF = "source"


class Source(NamedTuple):
    """What is asked about each recipient."""

    path: str
    webhook: fetches.Webhook
    strategy: fields.Field | None
    whole: fields.Field | None = None
    """All of it, where it is taken from the run."""

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at."""
        return self.webhook.reads.union(
            *(one.reads for one in (self.strategy, self.whole) if one is not None)
        )

    def of_run(self, scope: expressions.Scope) -> Source:
        """As it is in this scope. Raises RenderFailed."""
        if self.whole is None:
            return self
        said = frames.mapping(fields.resolve(self.whole, scope, self.path), self.path)
        faults = documents.unknown_keys(said, _SOURCE, self.path)
        if faults:
            raise errors.RenderFailed(faults=faults)
        path = f"{self.path}.webhook"
        webhook = fetches.as_said(frames.mapping(said.get("webhook"), path), path)
        return Source(self.path, webhook, fields.Literal(said.get("merge_strategy")))


class SendList(NamedTuple):
    """Send a template to everybody on a list."""

    path: str
    given: Mapping[str, fields.Field]
    source: Source | None
    once: step_keys.Once
    needs: tuple[str, ...] = ("template",)
    """What its run has to say where the step does not."""
    action: str = "send-list"
    blocks: bool = False

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at."""
        found = self.once.reads.union(*(field.reads for field in self.given.values()))
        return found if self.source is None else found | self.source.reads

    @property
    def webhook(self) -> fetches.Webhook | None:
        """What it asks, whose address is checked beforehand."""
        return None if self.source is None else self.source.webhook

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """Nobody's: a fan-out reads them."""
        return ()

    def lists(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """The list that it names."""
        return (self._named("list", None, scope),)

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """One fan-out, unless its key was used before."""
        used = self.once.used(self.action, run, scope)
        if used is not None:
            return plans.done(output={step_keys.REPEATS: used.run_id, plans.MESSAGE_IDS: used.answer})
        list_id = self._named("list", None, scope)
        template = self._named("template", run.context.template, scope)
        data = {**run.context.data, **self._object("data", scope)}
        override = overrides.of_email(self._object("override", scope), f"{self.path}.override")
        request, strategy = self._asked(scope)
        if not plans.can_join(scene, list_id):
            return plans.failed(f"there is no list {list_id!r}")
        pin = scene.library.templates.get(template)
        if pin is None:
            return plans.failed(scene.library.lack(template))
        brand = self._brand(run, scope)
        letter = outgoing.letter_of(pin, scene.library, brand, override=override or None)
        if brand is not None and letter.look is not None and brand not in scene.library.brands:
            return plans.failed(f"there is no brand {brand!r}")
        by = None if letter.routing == routing.BY_EMAIL else letter
        asked = effects.SendMany(
            *(list_id, pin.template_id, pin.version, letter.look, data, request, strategy),
            override=override or None,
            letter=by,
        )
        output: dict[str, Any] = {plans.MAILING: list_id, "template": template}
        output |= self.once.kept(self.action, scope)
        if request is not None:
            output |= {"data_source": fetches.told(request), "merge_strategy": strategy}
        return plans.pending(asked, output=output)

    def _brand(self, run: frames.Run, scope: expressions.Scope) -> str | None:
        """The brand that the step names, else its run's, if any."""
        field, path = self.given.get("brand"), f"{self.path}.brand"
        return frames.name_if_any(fields.resolve_or(field, run.context.brand, scope, path), path)

    def _asked(self, scope: expressions.Scope) -> tuple[dict[str, Any] | None, str]:
        if self.source is None:
            return None, "replace"
        source = self.source.of_run(scope)
        path = f"{source.path}.merge_strategy"
        return source.webhook.request(scope), fetches.strategy_of(source.strategy, "replace", scope, path)

    def _named(self, name: str, usual: str | None, scope: expressions.Scope) -> str:
        field, path = self.given.get(name), f"{self.path}.{name}"
        value = usual if field is None else fields.resolve(field, scope, path, fields.Role.MESSAGE)
        return frames.name(value, path)

    def _object(self, name: str, scope: expressions.Scope) -> dict[str, Any]:
        field, path = self.given.get(name), f"{self.path}.{name}"
        return {} if field is None else frames.mapping(fields.resolve(field, scope, path), path)


def read_send_list(reader: frames.Reader) -> SendList:
    """A `send-list` step. Faults are collected by the reader."""
    found = {name: reader.named(name) for name in _NAMES} | {name: reader.mapped(name) for name in _OBJECTS}
    given = {name: field for name, field in found.items() if field is not None}
    reader.faults += overrides.faults_of(given.get("override"), reader.at("override"))
    if "list" not in given and not reader.faults:
        reader.fault("list", "is required: the id of a list")
    named = given.get("list")
    if isinstance(named, fields.Literal) and (fault := lists.id_fault(named.value)):
        reader.fault("list", fault)
    return SendList(reader.path, given, _read_source(reader), step_keys.read(reader))


def _read_source(reader: frames.Reader) -> Source | None:
    raw = reader.raw("data_source")
    if raw is None:
        return None
    if fields.is_whole(raw):
        path = reader.at("data_source")
        return Source(path, fetches.Webhook(f"{path}.webhook", {}), None, reader.mapped("data_source"))
    if not isinstance(raw, dict):
        reader.fault("data_source", "is an object with a `webhook`")
        return None
    inner = frames.Reader(raw, reader.at("data_source"), reader.evaluator)
    inner.strangers(_SOURCE)
    made = Source(inner.path, fetches.read_webhook(inner), fetches.read_strategy(inner, "merge_strategy"))
    reader.faults += inner.faults
    return made


class Subscribe(NamedTuple):
    """Put somebody on a list; who is on it stays, with new preferences where there are any."""

    path: str
    given: Mapping[str, fields.Field]
    action: str = "subscribe"
    blocks: bool = False

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at."""
        return frozenset().union(*(field.reads for field in self.given.values()))

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """Whoever is put on it."""
        return (self._named("recipient_id", scope),)

    def lists(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """The list that it names."""
        return (self._named("list_id", scope),)

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """They are on the list."""
        list_id, user_id = self._named("list_id", scope), self._named("recipient_id", scope)
        pseudonyms.refuse(user_id, f"{self.path}.recipient_id")
        path, field = f"{self.path}.subscription", self.given.get("subscription")
        said = {} if field is None else frames.mapping(fields.resolve(field, scope, path), path)
        preferences = lists.check_preferences(said.get("preferences"), f"{path}.preferences")
        if not plans.can_join(scene, list_id):
            return plans.failed(f"there is no list {list_id!r}")
        if _is_foreign(run, user_id):
            return plans.failed(f"there is no profile {user_id!r}")
        asked = effects.Subscribe(list_id, user_id, preferences)
        return plans.done(asked, output={"list_id": list_id, "recipient_id": user_id})

    def _named(self, name: str, scope: expressions.Scope) -> str:
        path = f"{self.path}.{name}"
        return frames.name(fields.resolve(self.given[name], scope, path, fields.Role.MESSAGE), path)


def _is_foreign(run: frames.Run, user_id: str) -> bool:
    """Whether somebody is another tenant's; who has no profile is nobody's, and may be on a list."""
    try:
        run.people[user_id]
    except KeyError as nobody:
        return isinstance(nobody, plans.Foreign)
    return False


_JOINING = ("list_id", "recipient_id", "subscription")


def read_subscribe(reader: frames.Reader) -> Subscribe:
    """A `subscribe` step. Faults are collected by the reader."""
    found = {name: reader.named(name) for name in _JOINING[:2]} | {"subscription": reader.mapped(_JOINING[2])}
    given = {name: field for name, field in found.items() if field is not None}
    for name, told in (("list_id", "the id of a list"), ("recipient_id", "who is to be on it")):
        if reader.raw(name) is None:
            reader.fault(name, f"is required: {told}")
    named = given.get("list_id")
    if isinstance(named, fields.Literal) and (fault := lists.id_fault(named.value)):
        reader.fault("list_id", fault)
    said = fields.known(given.get("subscription"))
    if isinstance(said, dict):
        inner = frames.Reader(reader.given["subscription"], reader.at("subscription"), reader.evaluator)
        inner.strangers(("preferences",))
        try:
            lists.check_preferences(said.get("preferences"), inner.at("preferences"))
        except errors.InvalidInput as refusal:
            inner.faults += refusal.faults
        reader.faults += inner.faults
    return Subscribe(reader.path, given)


KINDS = {"send-list": (read_send_list, FIELDS), "subscribe": (read_subscribe, _JOINING)}


# ── one recipient ───────────────────────────────────────────────────────────────────────────────────


class Ask(NamedTuple):
    """Ask about one recipient, and merge what was answered into what they are written to with."""

    request: Mapping[str, Any]
    strategy: str
    action: str = "fetch-data"
    blocks: bool = True
    reads: frozenset[str] = frozenset()

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """Nobody's."""
        return ()

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """Ask, naming the recipient in both ways that were ever documented."""
        assert scene.contact_id is not None
        named = {"recipientId": scene.contact_id, "recipient_id": scene.contact_id}
        request = fetches.with_query(self.request, named)
        output = {plans.REQUEST: fetches.told(request), "merge_strategy": self.strategy}
        return plans.pending(fetches.asked(scene, request), output=output)

    def left(self, context: expressions.Context, output: dict[str, Any]) -> expressions.Context:
        """What the recipient is written to with after the answer."""
        said = _said(output)
        if said is None:
            whole = people.merge(self.strategy, context.data, output[fetches.FETCHED])
            return msgspec.structs.replace(context, data=whole)
        data, profile = said.get("data"), said.get("profile")
        if isinstance(data, dict):
            context = msgspec.structs.replace(context, data=people.merge(self.strategy, context.data, data))
        if isinstance(profile, dict):
            context = msgspec.structs.replace(
                context, profile=people.merge("overwrite", context.profile, profile)
            )
        return context


def _said(output: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """An answer that says itself what in it is data, profile and override; None for one that is data."""
    fetched = output[fetches.FETCHED]
    return None if not fetched or fetched.keys() - _SPEAKING else fetched


class SendOne(NamedTuple):
    """Send the template to one recipient, where it was answered what to say."""

    letter: outgoing.Letter
    mailing: bytes | None
    """The mailing whose messages it is one of."""
    action: str = "send"
    blocks: bool = False
    reads: frozenset[str] = frozenset({f"refs.{SOURCE_REF}"})

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """The recipient's."""
        return (str(run.context.recipient),)

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """One message, or the reason why none (A36)."""
        if scope.context.steps[SOURCE_REF]["status"] != frames.STATUSES[plans.Status.SUCCEEDED]:
            return plans.failed("nothing is sent: its data could not be fetched")
        context = run.context
        user_id = str(context.recipient)
        profile = {**run.people.get(user_id, {}), **context.profile}
        letter, said = self.letter, (_said(run.records[0].output) or {}).get("override")
        if isinstance(said, dict):
            override = {**(letter.override or {}), **overrides.of_email(said, "data_source.override")}
            letter = msgspec.structs.replace(letter, override=override or None)
        asked = [
            msgspec.structs.replace(one, request_id=self.mailing)
            for one in outgoing.messages(letter, outgoing.Recipient(user_id, profile, context.data))
        ]
        return plans.writing(asked)


def of_recipient(
    request: Mapping[str, Any], strategy: str, letter: outgoing.Letter, mailing: bytes | None
) -> plans.Plan:
    """What is done for one recipient of a list with a data source."""
    return plans.plan(
        (
            frames.Step(Ask(request, strategy), "data_source", None, SOURCE_REF),
            frames.Step(SendOne(letter, mailing), "send", None, None),
        )
    )
