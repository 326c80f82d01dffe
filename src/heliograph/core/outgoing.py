"""Outgoing: what is said to many, and the messages that one of them is sent.

Law: whoever sends (a request, a step of a journey, a walk over a list) makes its messages here, so that the same words
to the same person are the same messages. Nothing is rendered but title and body, which are filled once and for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from heliograph.core import (
    chains,
    courier_text,
    delays,
    effects,
    hooks,
    message_delays,
    overrides,
    people,
    plans,
    routes,
    routing,
    routing_trees,
)

UNPUBLISHED = "unpublished"
"""Why nothing is sent by a template of which there is a draft alone."""


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """One person who is written to."""

    user_id: str | None
    profile: Mapping[str, Any]
    data: Mapping[str, Any]
    tenant: Mapping[str, Any] | None = None
    """The tenant in whose name it is sent, as texts see it."""
    sealed: hooks.Sealed | None = None
    """The secret headers of their webhook, locked."""


class Letter(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What is said to every recipient."""

    template_id: str | None = None
    template_version: int | None = None
    content: dict[str, Any] | None = None
    """In place of a template: `title` and `body`, or Elemental."""
    look: dict[str, Any] | None = None
    """The brand in whose look it is drawn, as a message's `content` says it."""
    override: dict[str, Any] | None = None
    """What is said of its e-mail instead (core.overrides)."""
    default_subject: str = ""
    topic: str | None = None
    """The subscription topic that it is of."""
    routing: routing.Routing = routing.BY_EMAIL
    looks: dict[str, dict[str, Any]] = {}
    """As `look`, on the channels that name a brand of their own."""
    until: int | None = None
    """When (µs) it is given up."""
    waits: message_delays.Waits | None = None
    """Until when each of them waits, where that is by their own clock."""
    fault: str | None = None
    """Why it cannot go out to anybody, where that is known already."""
    keeps_data: bool = False
    """Whether each message keeps what filled a title and a body: where no request says it."""


def letter_of(pin: plans.Pin, library: plans.Library, brand: str | None, **said: Any) -> Letter:
    """A stored template, in the look of the brand that is named, else of its own."""
    by = routing.chosen(said.pop("routing", routing.LEFT_OPEN), pin.strategy_id, library)
    look, looks = library.look(pin, brand), _looks(pin, library, by)
    version = pin.version
    return Letter(
        template_id=pin.template_id, template_version=version, look=look, looks=looks, routing=by, **said
    )


_REMEMBERED = 1_024
"""So many letters of a library are remembered: brands may be named by what runs hold."""


def plain_letter(pin: plans.Pin, library: plans.Library, brand: str | None, default_subject: str) -> Letter:
    """A stored template of which nothing more is said: one letter for all runs that send it."""
    key = (pin, brand, default_subject)
    found: Letter | None = library.letters.get(key)
    if found is None:
        found = letter_of(pin, library, brand, default_subject=default_subject)
        if len(library.letters) < _REMEMBERED:
            library.letters[key] = found
    return found


def letter_with(content: Mapping[str, Any], library: plans.Library, brand: str | None, **said: Any) -> Letter:
    """Words of the sender's own."""
    by = routing.chosen(said.pop("routing", routing.LEFT_OPEN), None, library)
    if is_literal(content):
        return Letter(content=dict(content), routing=by, **said)
    look, looks = library.look(None, brand), _looks(None, library, by)
    return Letter(content=dict(content), look=look, looks=looks, routing=by, **said)


def _looks(pin: plans.Pin | None, library: plans.Library, by: routing.Routing) -> dict[str, dict[str, Any]]:
    named = {name: one.brand for name, one in by.channels.items() if one.brand}
    found = {name: library.look(pin, brand) for name, brand in named.items()}
    return {name: look for name, look in found.items() if look is not None}


def _looks_of(letter: Letter, to: Recipient) -> Mapping[str, dict[str, Any]]:
    """What `content` says on single channels: how it looks there, and what request a webhook gets."""
    hook = hooks.said(to.profile, to.sealed)
    return {**letter.looks, "webhook": {**letter.looks.get("webhook", {}), **hook}} if hook else letter.looks


def is_literal(content: Mapping[str, Any] | None) -> bool:
    """Whether content is a title and a body."""
    return content is not None and "elements" not in content


def messages(letter: Letter, to: Recipient, fault: str | None = None) -> list[effects.Deliver]:
    """What one person is sent, and whoever is to have a copy of it; the first is the message that stands for all.

    `fault` is why they are not to have it, where that is known already.
    """
    written, filling = _texts(letter, to)
    looks = _looks_of(letter, to)
    found, passed = chains.ways(letter.routing, to.profile, to.data, looks)
    nowhere, lack = ("", None) if found else _nowhere(letter.routing, to, passed)
    fault = letter.fault or fault or lack
    way = found[0][0] if found else routes.Way(nowhere, "")
    plain = effects.Deliver(
        effects.Kind.MESSAGE,
        way.channel,
        to.user_id,
        way.address or None,
        letter.template_id,
        letter.template_version,
        written,
        filling,
        fault,
        _route_of(letter, to),
    )
    # Most go one way of which nothing is said: what follows would add nothing to them.
    is_bare = len(found) == 1 and len(found[0]) == 1 and not (passed or letter.override)
    if fault is not None or (is_bare and not (way.said or way.limit or way.via)):
        return [plain]
    return _by(plain, letter, found, passed)


def along(
    plain: effects.Deliver, pin: plans.Pin | None, library: plans.Library, to: Recipient
) -> list[effects.Deliver]:
    """A message that says nothing of its channels, by those of its template's strategy, else of the workspace's.

    `plain` is as it is where nobody says any.
    """
    by = routing.chosen(routing.LEFT_OPEN, None if pin is None else pin.strategy_id, library)
    if by == routing.BY_EMAIL:
        return [plain]
    letter = Letter(routing=by, looks=_looks(pin, library, by))
    found, passed = chains.ways(by, to.profile, to.data, _looks_of(letter, to))
    if found:
        return _by(msgspec.structs.replace(plain, fault=None), letter, found, passed)
    channel, lack = _nowhere(by, to, passed)
    return [msgspec.structs.replace(plain, channel=channel, address=None, fault=lack)]


def _by(
    plain: effects.Deliver,
    letter: Letter,
    found: Sequence[tuple[routes.Way, ...]],
    passed: tuple[routes.Passed, ...],
) -> list[effects.Deliver]:
    """A message by each of these chains of ways."""
    # What was passed by is told by the message that stands for all.
    told = (
        msgspec.structs.replace(plain, route=msgspec.structs.replace(plain.route, passed=passed))
        if passed
        else plain
    )
    return [
        one
        for place, chain in enumerate(found)
        for one in _on_its_way(plain if place else told, chain, letter.override, letter.routing.escalation)
    ]


def _route_of(letter: Letter, to: Recipient) -> routes.Route:
    """What a message goes by; one that waits by its recipient's clock is given up as much later."""
    if letter.waits is None:
        is_plain = letter.topic is None and letter.until is None
        return routes.DIRECT if is_plain else routes.Route(topic=letter.topic, until=letter.until)
    at = letter.waits.until(delays.zone_of(people.attribute(to.profile, "zoneinfo")))
    until = None if letter.until is None else letter.until + at - letter.waits.due_at
    return routes.Route(topic=letter.topic, not_before=at, until=until)


def _on_its_way(
    plain: effects.Deliver,
    chain: tuple[routes.Way, ...],
    override: dict[str, Any] | None,
    escalation: routes.Escalation | None,
) -> list[effects.Deliver]:
    """A message with its ways, and the copies of it that its e-mail has."""
    if override:
        said = {"override": override}
        chain = tuple(
            msgspec.structs.replace(one, said={**said, **one.said}) if one.channel == "email" else one
            for one in chain
        )
    way, route = routes.first(chain, plain.route)
    if escalation is not None and route.ways:
        route = msgspec.structs.replace(route, escalation=escalation)
    content = {**(plain.content or {}), **way.said} or None
    made = [
        msgspec.structs.replace(plain, channel=way.channel, address=way.address, content=content, route=route)
    ]
    said = way.said.get("override") or {}
    for address in overrides.copies(said):
        if address != way.address:
            shared = {**(content or {}), "override": {**said, "to": way.address}}
            alone = routes.Route(topic=route.topic, until=route.until, not_before=route.not_before)
            made.append(
                msgspec.structs.replace(
                    made[0], contact_id=None, address=address, content=shared, route=alone
                )
            )
    return made


def reaching(letter: Letter, to: Recipient) -> Letter:
    """What is said to somebody who is named by an address alone: where nobody says by which channels, by that one."""
    # A strategy that says the same is another root: this one stands where there is none.
    if letter.routing.root is not routing.BY_EMAIL.root or people.email_of(to.profile) is not None:
        return letter
    return msgspec.structs.replace(
        letter, routing=msgspec.structs.replace(letter.routing, root=routing_trees.ANYWHERE)
    )


def _nowhere(by: routing.Routing, to: Recipient, passed: Sequence[routes.Passed]) -> tuple[str, str]:
    """The channel of a message that goes by none, and why."""
    named = routing_trees.named(by.root)
    if named and passed and all(one.why == routes.CONDITION for one in passed):
        return named[0], f"{routes.CONDITION}: none of its routing holds ({', '.join(named)})"
    if named:
        return named[0], _no_address(to, named)
    # It names but providers that there were when it was said.
    return "email", f"{routes.NO_PROVIDER}: {passed[0].text}"


def _no_address(to: Recipient, channels: Sequence[str]) -> str:
    if to.user_id is None:
        return f"the recipient has no address for {', '.join(channels)}"
    if channels == ["email"]:
        return f"contact {to.user_id!r} has no e-mail address"
    return f"contact {to.user_id!r} has no address for {', '.join(channels)}"


def _texts(letter: Letter, to: Recipient) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """What stands in the message's `content`, and what fills it."""
    contact = {**to.profile, "id": to.user_id}
    if letter.content is not None and is_literal(letter.content):
        # Data may have a `contact` of its own.
        seen = {"contact": contact, **to.data, "data": to.data, "profile": to.profile}
        if to.tenant is not None:
            seen["tenant"] = to.tenant
        subject = courier_text.fill(letter.content["title"], seen) or letter.default_subject
        text = courier_text.fill(letter.content["body"], seen)
        kept = {"data": to.data, "profile": to.profile} if letter.keeps_data else {}
        return {"subject": subject, "text": text, "literal": True}, kept
    filling = {"data": to.data, "profile": to.profile, "contact": contact}
    if to.tenant is not None:
        filling["tenant"] = to.tenant
    if letter.content is None and letter.look is None:
        return None, filling
    return {**(letter.content or {}), **(letter.look or {})}, filling
