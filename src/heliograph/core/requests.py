"""Requests: what `POST /send` may be asked, in Courier's shape (courier-wire.md 2.1).

Law: everything that can be wrong with a request is found before it is taken in, each fault with its place; what nobody
knows is passed over and named (engine.md E29). What a request says is kept as it was read, and never read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from heliograph import errors
from heliograph.core import (
    courier_fields,
    delays,
    documents,
    elemental,
    hooks,
    lists,
    message_delays,
    people,
    routing,
    routing_trees,
    schedule,
    timeouts,
)

MOST_RECIPIENTS = 1_000
MOST_TAGS, LONGEST_TAG = 9, 30
GROUPS = ("list_id", "list_pattern", "audience_id")
_CONTACT = ("email", "phone_number", "locale", "given_name", "family_name", "zoneinfo", "timezone")
_ADDRESSES = (
    *("slack", "ms_teams", "discord", "pagerduty", "webhook"),
    *("firebaseToken", "apn", "expo", "one_signal_player_id"),
)
REACHED_BY = ("email", "phone_number", *_ADDRESSES)
"""The keys of a profile by any of which somebody is reached."""
PROFILE = (*_CONTACT, *_ADDRESSES)
"""The keys of a recipient that are data of their profile; any others stand in `profile`."""
TO = ("user_id", "account_id", "tenant_id", "context", "profile", "data", "preferences", "filters")
MESSAGE = (
    *("to", "template", "content", "data", "brand_id", "context", "metadata", "preferences"),
    *("routing", "channels", "providers", "timeout", "delay"),
)
STRANGE, _ELEMENTS = "is none of the fields that there are", "message.content.elements["
_NOBODY = "names nobody: give `user_id`, `email`, `phone_number`, `list_id` or `audience_id`"
METADATA = ("event", "tags", "trace_id", "utm")


class To(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A recipient: a person, or one of the groups, which has its id or pattern."""

    user_id: str | None = None
    profile: dict[str, Any] = {}
    """What is said of them here, which wins over what is stored."""
    data: dict[str, Any] = {}
    tenant_id: str | None = None
    preferences: dict[str, Any] | None = None
    list_id: str | None = None
    list_pattern: str | None = None
    audience_id: str | None = None
    member_of: str | None = None
    """The tenant of which a group's people have to be members."""
    secret: dict[str, str] = {}
    """The headers of their webhook, until they are locked: they are never written."""
    sealed: hooks.Sealed | None = None
    """The same, locked."""

    def __repr__(self) -> str:
        return f"To({self.user_id!r})"  # no secret in a log

    @property
    def is_group(self) -> bool:
        """Whether it is many people, whom a fan-out walks over."""
        return any(getattr(self, name) is not None for name in GROUPS)


class Request(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A request to send."""

    to: tuple[To, ...]
    template: str | None = None
    content: dict[str, Any] | None = None
    data: dict[str, Any] = {}
    brand: str | None = None
    tenant_id: str | None = None
    """In whose name it is sent."""
    is_bound: bool = False
    """Whether a key asked for it that belongs to this tenant: then it reaches nobody of another one."""
    topic: str | None = None
    timeout: int = timeouts.USUAL
    """Milliseconds after which it is given up."""
    routing: routing.Routing = routing.LEFT_OPEN
    delay: message_delays.Delay = message_delays.Delay()
    event: str | None = None
    tags: tuple[str, ...] = ()
    trace_id: str | None = None
    asked_by: tuple[str, int] | None = None
    """The run, and the visit of its step, where one asked for it: it hears what becomes of it."""

    @property
    def is_single(self) -> bool:
        """Whether one person is written to: then their message is the request."""
        return len(self.to) == 1 and not self.to[0].is_group

    @property
    def subject(self) -> str | None:
        """Who is written to, as their partition is known, where it is one person."""
        if not self.is_single:
            return None
        return known_as(self.to[0])


def known_as(one: To) -> str | None:
    """Who somebody is: the id of a contact, else an address; None for a group, and where neither is given."""
    return one.user_id or people.email_of(one.profile) or people.phone_of(one.profile)


def due_at(said: Request, stored: Mapping[str, Any], now: int) -> int:
    """When (µs) a request of now is taken up; `stored` is the profile of its recipient, where it is one person.

    Raises InvalidInput where it is delayed until no moment.
    """
    first_at = None if said.is_single else message_delays.first_due_at(said.delay, now)
    if first_at is not None:
        return first_at
    known = (said.to[0].profile, stored) if said.is_single else ()
    zone = delays.zone_of(said.delay.zone, *(people.attribute(one, "zoneinfo") for one in known))
    return message_delays.due_at(said.delay, zone, now)


def placed(said: Request, known: Mapping[str, str]) -> Request:
    """The request with the channels told of the providers that it lists; `known` is that of each that there is."""
    root = routing_trees.placed(said.routing.root, known)
    if root is said.routing.root:
        return said
    return msgspec.structs.replace(said, routing=msgspec.structs.replace(said.routing, root=root))


def bound(said: Request, tenant_id: str | None) -> Request:
    """The request as somebody may ask it who is bound to a tenant: they speak for that alone. Raises NotFound."""
    if tenant_id is None:
        return said
    named = [said.tenant_id, *(one.tenant_id for one in said.to), *(one.member_of for one in said.to)]
    strange = next((one for one in named if one not in (None, tenant_id)), None)
    if strange is not None:
        raise errors.NotFound(f"there is no tenant {strange!r}")
    return msgspec.structs.replace(said, tenant_id=tenant_id, is_bound=True)


def sealed(to: To, lock: hooks.Lock) -> To:
    """A recipient whose secrets are locked."""
    url = people.address_of(to.profile, "webhook") or ""
    return (
        msgspec.structs.replace(to, secret={}, sealed=hooks.sealed(to.secret, url, lock)) if to.secret else to
    )


def write(said: Request | To) -> bytes:
    """A request, or a recipient, as it is kept."""
    assert not any(one.secret for one in (said.to if isinstance(said, Request) else (said,)))
    return msgspec.json.encode(said)


_request = msgspec.json.Decoder(Request)


def stored(body: bytes | str) -> Request:
    """A request as it was kept."""
    return _request.decode(body)


# ── reading ─────────────────────────────────────────────────────────────────────────────────────────


def read(
    given: Mapping[str, Any], region: str | None = None, *, can_lock: bool = True
) -> tuple[Request, list[str]]:
    """The request that a body is, and the places of what was passed over. Raises InvalidInput with its faults.

    `can_lock`: whether secrets that it holds are locked before it is kept; else they are refused.
    """
    reading = courier_fields.Read(region, can_lock=can_lock)
    reading.known(given, ("message",), "")
    message = given.get("message")
    if not isinstance(message, dict):
        raise errors.InvalidInput.at("message", "is required: an object with `to`, `template` or `content`")
    made = _message(reading, message)
    if reading.faults:
        raise errors.InvalidInput(faults=reading.faults[: documents.MAX_FAULTS])
    assert made is not None
    return made, reading.ignored


def strangers(ignored: Iterable[str]) -> list[str]:
    """What was passed over and is none of Courier's own: its inbox expires, its designer writes into elements."""
    return [place for place in ignored if place != "message.expiry" and not place.startswith(_ELEMENTS)]


def faults_of(message: Mapping[str, Any]) -> list[errors.Fault]:
    """What is wrong with a message where nothing is passed over: what nobody knows is a fault as well."""
    reading = courier_fields.Read(can_lock=False)
    _message(reading, message)
    strange = [errors.Fault(place, STRANGE) for place in strangers(reading.ignored)]
    return [*reading.faults, *strange]


def _message(reading: courier_fields.Read, message: Mapping[str, Any]) -> Request | None:
    path = "message"
    reading.known(message, MESSAGE, path)
    to = _recipients(reading, message.get("to"))
    template, content = reading.text(message, "template", path), _content(reading, message.get("content"))
    if (message.get("template") in (None, "")) == (message.get("content") is None):
        reading.fault(path, "takes either `template` or `content`, not both and not neither")
    context = reading.inner(message, "context", path, ("tenant_id",))
    metadata = reading.inner(message, "metadata", path, METADATA)
    preferences = reading.inner(message, "preferences", path, ("subscription_topic_id",))
    timeout = reading.mapping(message, "timeout", path)
    given_up = timeouts.message(reading, timeout, f"{path}.timeout") or timeouts.USUAL
    by = routing.read(reading, message, path)
    timeouts.check(reading, by.escalation, f"{path}.timeout", given_up)
    said: dict[str, Any] = {
        "routing": by,
        "delay": _delay(reading, reading.mapping(message, "delay", path), f"{path}.delay"),
        "timeout": given_up,
        "data": reading.mapping(message, "data", path),
        "brand": reading.text(message, "brand_id", path),
        "tenant_id": reading.text(context, "tenant_id", f"{path}.context"),
        "topic": reading.text(preferences, "subscription_topic_id", f"{path}.preferences"),
        "event": reading.text(metadata, "event", f"{path}.metadata"),
        "trace_id": reading.text(metadata, "trace_id", f"{path}.metadata"),
        "tags": _tags(reading, metadata.get("tags")),
    }
    if reading.faults:
        return None
    return Request(to=to, template=template, content=content, **said)


def _content(reading: courier_fields.Read, given: object) -> dict[str, Any] | None:
    path = "message.content"
    if not isinstance(given, dict):
        if given is not None:
            reading.fault(path, "is an object with `title` and `body`, or with `elements`")
        return None
    if "elements" in given:
        try:
            content = elemental.define(given, path)
        except errors.InvalidInput as refusal:
            reading.faults += refusal.faults
            return None
        reading.ignored += elemental.strangers_in(given, path)
        return content
    reading.known(given, ("title", "body"), path)
    for name in ("title", "body"):
        if not isinstance(given.get(name), str):
            reading.fault(f"{path}.{name}", "is required, as text")
    return {name: given.get(name) for name in ("title", "body")}


def _delay(reading: courier_fields.Read, given: Mapping[str, Any], path: str) -> message_delays.Delay:
    reading.known(given, ("duration", "until", "timezone"), path)
    zone, until = reading.text(given, "timezone", path), reading.text(given, "until", path)
    if zone is not None and (wrong := schedule.zone_fault(zone)):
        reading.fault(f"{path}.timezone", wrong)
    duration = reading.milliseconds(given, "duration", path, message_delays.LONGEST // 1000)
    if not message_delays.is_moment(until):
        reading.fault(f"{path}.until", message_delays.EXAMPLES)
    return message_delays.Delay(duration, until, zone)


def _tags(reading: courier_fields.Read, given: object) -> tuple[str, ...]:
    path = "message.metadata.tags"
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > MOST_TAGS:
        reading.fault(path, f"is a list of at most {MOST_TAGS} tags")
        return ()
    for place, one in enumerate(given):
        if not isinstance(one, str) or not 1 <= len(one) <= LONGEST_TAG:
            reading.fault(f"{path}[{place}]", f"is a text of 1 to {LONGEST_TAG} characters")
    return tuple(dict.fromkeys(given)) if not reading.faults else ()


# ── recipients ──────────────────────────────────────────────────────────────────────────────────────


def _recipients(reading: courier_fields.Read, given: object) -> tuple[To, ...]:
    path = "message.to"
    if given is None:
        reading.fault(path, "is required: whom the message is for")
        return ()
    listed = given if isinstance(given, list) else [given]
    if not 1 <= len(listed) <= MOST_RECIPIENTS:
        reading.fault(path, f"names 1 to {MOST_RECIPIENTS} recipients: send to a list for more")
        return ()
    places = [f"{path}[{n}]" for n in range(len(listed))] if isinstance(given, list) else [path]
    found = [_recipient(reading, one, place) for one, place in zip(listed, places, strict=True)]
    return tuple(one for one in found if one is not None)


def _recipient(reading: courier_fields.Read, given: object, path: str) -> To | None:
    if not isinstance(given, dict):
        reading.fault(path, 'is an object such as {"user_id": "ana"} or {"email": "ana@example.com"}')
        return None
    groups = [name for name in GROUPS if given.get(name) not in (None, "")]
    if len(groups) > 1 or (groups and given.get("user_id")):
        reading.fault(path, f"names one recipient: {' or '.join([*groups, 'user_id'])}")
        return None
    context = reading.inner(given, "context", path, ("tenant_id",))
    tenant = (
        reading.text(given, "tenant_id", path)
        or reading.text(context, "tenant_id", f"{path}.context")
        or reading.text(given, "account_id", path)
    )
    data = reading.mapping(given, "data", path)
    if groups:
        reading.known(given, (*GROUPS, *TO), path)
        return _group(reading, given, groups[0], path, data, tenant)
    reading.known(given, (*TO, *GROUPS, *PROFILE), path)
    user_id = reading.person(given, "user_id", path, people.MAX_ID)
    profile, secret = _profile(reading, given, path)
    preferences, asked = None, given.get("preferences")
    reading.ignored += [f"{path}.preferences.{key}" for key in lists.preferences_ignored(asked)]
    try:
        preferences = lists.check_preferences(asked, f"{path}.preferences")
    except errors.InvalidInput as refusal:
        reading.faults += refusal.faults
    said = {**given, **(given["profile"] if isinstance(given.get("profile"), dict) else {})}
    if not any(said.get(key) for key in ("user_id", *REACHED_BY)):
        reading.fault(path, _NOBODY)
    return To(
        user_id=user_id, profile=profile, data=data, tenant_id=tenant, preferences=preferences, secret=secret
    )


def _profile(
    reading: courier_fields.Read, given: Mapping[str, Any], path: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """What a recipient's fields say of their profile (`profile` goes before), and what of their webhook is secret."""
    own = reading.mapping(given, "profile", path)
    beside = {key: given[key] for key in PROFILE if given.get(key) not in (None, "")}
    cleaned: dict[str, Any] = {}
    secret: dict[str, str] = {}
    for said, place in ((beside, path), (own, f"{path}.profile")):
        kept = said
        try:
            if isinstance(hook := said.get("webhook"), dict):
                reading.known(hook, hooks.KEYS, f"{place}.webhook")
                plain, secret = hooks.read(hook, f"{place}.webhook", can_lock=reading.can_lock)
                kept = {**said, "webhook": plain}
            cleaned |= people.clean_profile(kept, place, reading.region)
        except errors.InvalidInput as refusal:
            reading.faults += refusal.faults
    return cleaned, secret


def _group(
    reading: courier_fields.Read,
    given: Mapping[str, Any],
    name: str,
    path: str,
    data: dict[str, Any],
    tenant: str | None,
) -> To | None:
    value, place = given[name], f"{path}.{name}"
    try:
        if name == "list_id":
            lists.check_id(value, place)
        elif name == "list_pattern":
            lists.check_pattern(value, place)
    except errors.InvalidInput as refusal:
        reading.faults += refusal.faults
        return None
    if reading.text(given, name, path) is None:
        return None
    member_of = _member_of(reading, given.get("filters"), f"{path}.filters")
    return To(**{name: value}, data=data, tenant_id=tenant, member_of=member_of)


def _member_of(reading: courier_fields.Read, given: object, path: str) -> str | None:
    """The tenant that the only filter there is names: {"operator": "MEMBER_OF", "path": "account_id", "value": …}."""
    if given is None or given == []:
        return None
    one = given[0] if isinstance(given, list) and len(given) == 1 else None
    if (
        not isinstance(one, dict)
        or (one.get("operator"), one.get("path")) != ("MEMBER_OF", "account_id")
        or not isinstance(one.get("value"), str)
    ):
        reading.fault(
            path,
            'is one filter: {"operator": "MEMBER_OF", "path": "account_id", "value": "the id of a tenant"}',
        )
        return None
    value: str = one["value"]
    return value
