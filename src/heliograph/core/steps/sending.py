"""The step that writes to people: `send`, in its older form (`recipient`, `template`) and with a `message`.

Law: each recipient is one message, planned when the step is taken; what the run holds fills it, what the step says
wins. A recipient who cannot be reached makes an unroutable message, and the run goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from heliograph import errors
from heliograph.core import (
    courier_fields,
    documents,
    elemental,
    expressions,
    fields,
    frames,
    outgoing,
    overrides,
    people,
    plans,
    pseudonyms,
    request_steps,
    routing,
    step_keys,
    timeouts,
)

MAX_RECIPIENTS = 100
LEGACY = ("recipient", "template", "brand", "data", "profile", "override")
ONCE = step_keys.FIELDS
_ROUTED = ("routing", "channels", "providers", "timeout")
_MESSAGE = ("to", "template", "content", "data", "brand_id", "preferences", *_ROUTED)
_TO = ("user_id", "email", "data")
_CONTENT = ("title", "body")
_TOPIC = "subscription_topic_id"


# ── the older form ──────────────────────────────────────────────────────────────────────────────────


class Send(NamedTuple):
    """Send a stored template to one person; what the step does not say, the run does."""

    path: str
    given: Mapping[str, fields.Field]
    once: step_keys.Once
    needs: tuple[str, ...] = ("recipient", "template")
    """What its run has to say where the step does not."""
    action: str = "send"
    blocks: bool = False

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at."""
        return self.once.reads.union(*(field.reads for field in self.given.values()))

    @property
    def is_own(self) -> bool:
        """Whether it names nobody, so that it is for the run's recipient."""
        return "recipient" not in self.given

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """The recipient's."""
        return (self._named("recipient", run, scope),)

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """One message, unless its key was used before."""
        used = self.once.used(self.action, run, scope)
        if used is not None:
            return plans.done(output={step_keys.REPEATS: used.run_id, plans.MESSAGE_IDS: used.answer})
        user_id, template = self._named("recipient", run, scope), self._named("template", run, scope)
        pseudonyms.refuse(user_id, f"{self.path}.recipient")
        data, profile, said = run.context.data, {**run.people.get(user_id, {}), **run.context.profile}, {}
        if "data" in self.given:
            data = {**data, **self._object("data", scope)}
        if "profile" in self.given:
            profile |= self._object("profile", scope)
        if "override" in self.given:
            override = overrides.of_email(self._object("override", scope), f"{self.path}.override")
            said = {"override": override} if override else {}
        to, brand = outgoing.Recipient(user_id, profile, data), self._brand(run, scope)
        outcome = _deliver(scene, (to,), template, None, brand, **said)
        return self.once.noted(outcome, self.action, scope)

    def _brand(self, run: frames.Run, scope: expressions.Scope) -> str | None:
        """The brand that the step names, else the run's."""
        field, path = self.given.get("brand"), f"{self.path}.brand"
        return frames.name_if_any(fields.resolve_or(field, run.context.brand, scope, path), path)

    def _named(self, name: str, run: frames.Run, scope: expressions.Scope) -> str:
        field, path = self.given.get(name), f"{self.path}.{name}"
        if field is None:
            return frames.name(getattr(run.context, name), path)
        return frames.name(fields.resolve(field, scope, path, fields.Role.MESSAGE), path)

    def _object(self, name: str, scope: expressions.Scope) -> dict[str, Any]:
        field, path = self.given[name], f"{self.path}.{name}"
        return frames.mapping(fields.resolve(field, scope, path), path)


# ── with a message ──────────────────────────────────────────────────────────────────────────────────


class SendMessage(NamedTuple):
    """Send a message of one's own, or a stored template, to one person or several."""

    path: str
    to: tuple[fields.Field, ...]
    template: fields.Field | None
    content: Mapping[str, fields.Field]
    data: fields.Field | None
    brand: fields.Field | None = None
    drawn: Mapping[str, Any] | None = None
    """Elemental content, which stands in place of `content`."""
    once: step_keys.Once = step_keys.Once("", None, None)
    timeout: int | None = None
    """Milliseconds after which it is given up."""
    by: routing.Routing = routing.LEFT_OPEN
    topic: fields.Field | None = None
    """What it is about, where that is not its template's topic."""
    action: str = "send"
    blocks: bool = False

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at."""
        parts = (*self.to, self.template, *self.content.values(), self.data, self.brand, self.topic)
        return self.once.reads.union(*(part.reads for part in parts if part is not None))

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """The recipients'."""
        named = (to.get("user_id") for to in self._recipients(scope))
        return (
            frames.name(one, "user_id")
            for one in named
            if isinstance(one, str | bool | int | float) and one != ""
        )

    def _recipients(self, scope: expressions.Scope) -> list[dict[str, Any]]:
        path = f"{self.path}.message.to"
        found: list[dict[str, Any]] = []
        for field in self.to:
            value = fields.resolve(field, scope, path)
            found += [frames.mapping(one, path) for one in (value if isinstance(value, list) else [value])]
        if not 1 <= len(found) <= MAX_RECIPIENTS:
            raise errors.RenderFailed.at(path, f"names {len(found)} recipients: 1 to {MAX_RECIPIENTS} may be")
        return found

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """One message to each, unless its key was used before."""
        used = self.once.used(self.action, run, scope)
        if used is not None:
            return plans.done(output={step_keys.REPEATS: used.run_id, plans.MESSAGE_IDS: used.answer})
        return self.once.noted(self._sent(scene, run, scope), self.action, scope)

    def _sent(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        path = f"{self.path}.message"
        brand = None if self.brand is None else self._brand(run, scope)
        if (missing := routing.missing(self.by, brand, scene.library)) is not None:
            return plans.failed(missing)
        shared = dict(run.context.data)
        if self.data is not None:
            shared |= frames.mapping(fields.resolve(self.data, scope, f"{path}.data"), f"{path}.data")
        recipients = [_recipient(one, run, shared, f"{path}.to") for one in self._recipients(scope)]
        until = None if self.timeout is None else scene.now + self.timeout * 1000
        routed: dict[str, Any] = {"routing": self.by, "until": until}
        if self.topic is not None:
            place = f"{path}.preferences.{_TOPIC}"
            topic = frames.text(fields.resolve(self.topic, scope, place, fields.Role.MESSAGE), place)
            routed |= {"topic": topic} if topic else {}
        if self.template is not None:
            place = f"{path}.template"
            template = frames.name(fields.resolve(self.template, scope, place, fields.Role.MESSAGE), place)
            return _deliver(scene, recipients, template, None, self._brand(run, scope), **routed)
        if self.drawn is not None:
            return _deliver(scene, recipients, None, self.drawn, self._brand(run, scope), **routed)
        content = {
            name: frames.text(
                fields.resolve(field, scope, f"{path}.content.{name}", fields.Role.CONTENT),
                f"{path}.content.{name}",
            )
            for name, field in self.content.items()
        }
        return _deliver(scene, recipients, None, content, None, **routed)

    def _brand(self, run: frames.Run, scope: expressions.Scope) -> str | None:
        """The brand that the message names, else the run's."""
        path = f"{self.path}.message.brand_id"
        return frames.name_if_any(fields.resolve_or(self.brand, run.context.brand, scope, path), path)


def _recipient(
    to: Mapping[str, Any], run: frames.Run, shared: Mapping[str, Any], path: str
) -> outgoing.Recipient:
    user_id, address = frames.name_if_any(to.get("user_id"), f"{path}.user_id"), to.get("email")
    if user_id is None and address in (None, ""):
        raise errors.RenderFailed.at(path, "names nobody: give `user_id` or `email`")
    pseudonyms.refuse(user_id or "", f"{path}.user_id")
    profile = dict(run.people.get(user_id, {})) if user_id is not None else {}
    if user_id is not None and user_id == run.context.recipient:
        profile |= run.context.profile
    if address not in (None, ""):
        fault = people.email_fault(frames.text(address, f"{path}.email"))
        if fault:
            raise errors.RenderFailed.at(f"{path}.email", fault)
        profile["email"] = address
    return outgoing.Recipient(user_id, profile, {**shared, **frames.mapping(to.get("data"), f"{path}.data")})


def _deliver(
    scene: plans.Scene,
    recipients: Iterable[outgoing.Recipient],
    template: str | None,
    content: Mapping[str, Any] | None,
    brand: str | None,
    **how: Any,
) -> plans.Outcome:
    """A message to each of these, and to whoever is to have a copy of it; `how` is of outgoing.Letter."""
    library, subject = scene.library, scene.default_subject
    pin = None if template is None else library.templates.get(template)
    if template is None:
        how |= {"default_subject": subject, "keeps_data": True}
        letter = outgoing.letter_with(content or {}, library, brand, **how)
    elif pin is not None and how:
        letter = outgoing.letter_of(pin, library, brand, default_subject=subject, **how)
    elif pin is not None:
        letter = outgoing.plain_letter(pin, library, brand, subject)
    elif template in library.drafts:
        # A draft makes messages that say so (A68).
        letter = outgoing.Letter(template_id=template, fault=outgoing.UNPUBLISHED)
    else:
        return plans.failed(library.lack(template))
    return plans.writing([message for one in recipients for message in outgoing.messages(letter, one)])


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def read_send(reader: frames.Reader) -> Send | SendMessage | request_steps.SendRequest:
    """A `send` step, in either form. Faults are collected by the reader."""
    if reader.raw("message") is not None:
        for name in LEGACY:
            if reader.raw(name) is not None:
                reader.fault(name, "stands in `message` in this form of the step")
        given = reader.raw("message")
        is_read_later = isinstance(given, str) and fields.is_dynamic(given)
        if is_read_later or (isinstance(given, dict) and not is_plain(given)):
            return request_steps.read(reader, given)._replace(once=step_keys.read(reader))
        return _read_message(reader)._replace(once=step_keys.read(reader))
    found = {name: reader.named(name) for name in ("recipient", "template", "brand")}
    found |= {name: reader.mapped(name) for name in ("data", "profile", "override")}
    given = {name: field for name, field in found.items() if field is not None}
    reader.faults += overrides.faults_of(given.get("override"), reader.at("override"))
    return Send(reader.path, given, step_keys.read(reader))


def is_plain(message: Mapping[str, Any]) -> bool:
    """Whether a message is for people, at once, and says no more than a run can see to alone."""
    to = message.get("to")
    listed = to if isinstance(to, list) else [to]
    return (
        all(value is None or value == "" or key in _MESSAGE for key, value in message.items())
        and len(listed) <= MAX_RECIPIENTS
        and all(isinstance(one, dict) and one.keys() <= {*_TO} for one in listed)
        and not any(fields.is_dynamic(message.get(name)) for name in _ROUTED)
        and not any(fields.is_whole(message.get(name)) for name in ("content", "preferences"))
    )


def _read_message(reader: frames.Reader) -> SendMessage:
    given = reader.raw("message")
    if not isinstance(given, dict):
        reader.fault("message", "is an object with `to`, and with `template` or `content`")
        return SendMessage(reader.path, (), None, {}, None)
    inner = frames.Reader(given, reader.at("message"), reader.evaluator)
    inner.strangers(_MESSAGE)
    to = _read_to(inner)
    template, raw = inner.named("template"), inner.raw("content")
    if (template is None) == (raw is None) and not inner.faults:
        inner.fault("", "takes either `template` or `content`, not both")
    content, drawn = _read_content(raw, inner)
    data, brand = inner.mapped("data"), inner.named("brand_id")
    by, timeout = _read_routing(given, inner)
    topic = _read_topic(inner)
    reader.faults += inner.faults
    return SendMessage(
        reader.path, to, template, content, data, brand, drawn, timeout=timeout, by=by, topic=topic
    )


def _read_topic(inner: frames.Reader) -> fields.Field | None:
    """The topic that a message names in its preferences."""
    raw = inner.raw("preferences")
    if raw is None:
        return None
    if not isinstance(raw, dict):
        inner.fault("preferences", f"is an object with the `{_TOPIC}`")
        return None
    words = frames.Reader(raw, inner.at("preferences"), inner.evaluator)
    words.strangers((_TOPIC,))
    topic = words.named(_TOPIC)
    if topic is None and not words.faults:
        words.fault(_TOPIC, "is required: the id of a topic")
    inner.faults += words.faults
    return topic


def _read_routing(given: Mapping[str, Any], inner: frames.Reader) -> tuple[routing.Routing, int | None]:
    """By which channels a message goes, and for how long it is tried; what nobody knows is a fault here."""
    reading, path = courier_fields.Read(), inner.path
    timeout = reading.mapping(given, "timeout", path)
    until = timeouts.message(reading, timeout, f"{path}.timeout")
    by = routing.read(reading, given, path)
    if until is not None:
        timeouts.check(reading, by.escalation, f"{path}.timeout", until)
    inner.faults += reading.faults
    inner.faults += [errors.Fault(place, "is none of the fields that there are") for place in reading.ignored]
    return by, until


def _read_content(raw: object, inner: frames.Reader) -> tuple[dict[str, fields.Field], dict[str, Any] | None]:
    """A message's title and body, or its Elemental content."""
    content: dict[str, fields.Field] = {}
    drawn = None
    if isinstance(raw, dict) and "elements" in raw:
        # Its `refs` are its own elements, and its braces are filled when it is sent: it is taken as it stands.
        inner.faults += documents.unknown_keys(raw, elemental.CONTENT, inner.at("content"))
        try:
            drawn = elemental.define(raw, inner.at("content"))
        except errors.InvalidInput as refusal:
            inner.faults += refusal.faults
    elif isinstance(raw, dict):
        words = frames.Reader(raw, inner.at("content"), inner.evaluator)
        words.strangers(_CONTENT)
        for name in _CONTENT:
            if not isinstance(words.given.get(name), str):
                words.fault(name, "is required, as text")
            elif (field := words.field(name)) is not None:
                content[name] = field
            else:
                content[name] = fields.Literal("")
        inner.faults += words.faults
    elif raw is not None:
        inner.fault("content", "is an object with `title` and `body`, or with `elements`")
    return content, drawn


def _read_to(inner: frames.Reader) -> tuple[fields.Field, ...]:
    raw = inner.raw("to")
    if raw is None:
        inner.fault("to", "is required: whom the message is for")
        return ()
    listed = raw if isinstance(raw, list) else [raw]
    if not 1 <= len(listed) <= MAX_RECIPIENTS:
        inner.fault("to", f"names 1 to {MAX_RECIPIENTS} recipients")
        return ()
    made = []
    for index, one in enumerate(listed):
        path = f"{inner.at('to')}[{index}]" if isinstance(raw, list) else inner.at("to")
        faults = _to_faults(one, path)
        inner.faults += faults
        if not faults:
            try:
                made.append(fields.parse(one, path, inner.evaluator))
            except errors.InvalidInput as refusal:
                inner.faults += refusal.faults
    return tuple(made)


def _to_faults(one: object, path: str) -> list[errors.Fault]:
    if isinstance(one, str) and fields.is_dynamic(one):
        return []
    if not isinstance(one, dict):
        return [errors.Fault(path, "is an object with `user_id` or `email`")]
    if "$ref" in one:
        return []
    faults = documents.unknown_keys(one, _TO, path)
    if not faults and not any(one.get(name) for name in ("user_id", "email")):
        faults = [errors.Fault(path, "names nobody: give `user_id` or `email`")]
    for name, check in _CHECKS.items():
        if one.get(name) not in (None, "") and not fields.is_dynamic(one[name]):
            try:
                check(one[name], documents.below(path, name))
            except (errors.InvalidInput, errors.RenderFailed) as refusal:
                faults += refusal.faults
    return faults


def _address(value: Any, path: str) -> str:
    return people.check_email(frames.text(value, path), path)


_CHECKS = {"user_id": frames.name, "email": _address, "data": frames.mapping}
"""What a recipient says, where it is known beforehand."""


KINDS = {"send": (read_send, (*LEGACY, *ONCE, "message"))}
