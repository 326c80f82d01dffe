"""Outgoing: what is said to many, and the messages that one of them is sent.

Law: whoever sends (a request, a step of a journey, a walk over a list) makes its messages here, so that the same words
to the same person are the same messages. Nothing is rendered but title and body, which are filled once and for all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph.core import courier_text, effects, overrides, people, plans, routes


class Recipient(NamedTuple):
    """One person who is written to."""

    user_id: str | None
    profile: Mapping[str, Any]
    data: Mapping[str, Any]
    tenant: Mapping[str, Any] | None = None
    """The tenant in whose name it is sent, as texts see it."""

    @property
    def address(self) -> str | None:
        """Where they are written to."""
        return people.email_of(self.profile)


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
    fault: str | None = None
    """Why it cannot go out to anybody, where that is known already."""


def letter_of(pin: plans.Pin, library: plans.Library, brand: str | None, **said: Any) -> Letter:
    """A stored template, in the look of the brand that is named, else of its own."""
    look = library.look(pin, brand)
    return Letter(template_id=pin.template_id, template_version=pin.version, look=look, **said)


def letter_with(content: Mapping[str, Any], library: plans.Library, brand: str | None, **said: Any) -> Letter:
    """Words of the sender's own."""
    look = None if is_literal(content) else library.look(None, brand)
    return Letter(content=dict(content), look=look, **said)


def is_literal(content: Mapping[str, Any] | None) -> bool:
    """Whether content is a title and a body."""
    return content is not None and "elements" not in content


def messages(letter: Letter, to: Recipient, fault: str | None = None) -> list[effects.Deliver]:
    """The message to one person, and to whoever is to have a copy of it.

    `fault` is why they are not to have it, where that is known already.
    """
    address, override = to.address, letter.override
    written, filling = _texts(letter, to)
    whole = {**(written or {}), "override": override} if override else written
    fault = letter.fault or fault or (None if address else _no_address(to))
    route = routes.Route(letter.topic)
    made = [
        effects.Deliver(
            effects.Kind.MESSAGE,
            "email",
            to.user_id,
            address,
            letter.template_id,
            letter.template_version,
            whole,
            filling,
            fault,
            route,
        )
    ]
    if override and fault is None:
        shared = {**(written or {}), "override": {**override, "to": address}}
        copy = made[0]._replace(contact_id=None, content=shared)
        made += [copy._replace(address=one) for one in overrides.copies(override) if one != address]
    return made


def _no_address(to: Recipient) -> str:
    return f"contact {to.user_id!r} has no e-mail address"


def _texts(letter: Letter, to: Recipient) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """What stands in the message's `content`, and what fills it."""
    if letter.content is not None and is_literal(letter.content):
        seen = {**to.data, "data": to.data, "profile": to.profile}
        subject = courier_text.fill(letter.content["title"], seen) or letter.default_subject
        text = courier_text.fill(letter.content["body"], seen)
        return {"subject": subject, "text": text, "literal": True}, {}
    filling = {"data": to.data, "profile": to.profile, "contact": {**to.profile, "id": to.user_id}}
    if to.tenant is not None:
        filling["tenant"] = to.tenant
    if letter.content is None and letter.look is None:
        return None, filling
    return {**(letter.content or {}), **(letter.look or {})}, filling
