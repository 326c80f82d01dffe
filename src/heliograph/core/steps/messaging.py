"""Steps that reach people and programs: `send_message`, `notify`, `call_webhook`.

Law: each asks for one delivery to each recipient and waits for its answer; texts go along unfilled, with what
fills them, because filling is done outside any transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, ClassVar, Literal

import msgspec

from heliograph import errors
from heliograph.core import destinations, documents, effects, hooks, outgoing, people, plans, templates

METHODS = ("POST", "PUT", "PATCH", "GET", "DELETE")


class SendMessage(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="send_message"
):
    """Send the event's contact a message: a stored template, or a text written here."""

    kind: ClassVar[str] = "send_message"
    text: str | None = None
    template_id: str | None = None
    subject: str | None = None
    channel: str | None = None
    data: dict[str, Any] | None = None
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        if (self.text is None) == (self.template_id is None):
            yield "", "give either `text` or `template_id`"
        if self.channel is not None and not _is_text(self.channel) and self.channel not in people.CHANNELS:
            yield "channel", errors.unknown("channel", self.channel, people.CHANNELS)
        yield from templates.faults(
            subject=self.subject,
            text=self.text,
            template_id=self.template_id,
            channel=self.channel,
            data=self.data,
        )

    @cached_property
    def reads(self) -> frozenset[str]:
        """The roots that its texts read."""
        return templates.roots_read((self.subject, self.text, self.data))

    @cached_property
    def given(self) -> templates.Value | None:
        """Its own data, ready to be filled."""
        return templates.compile_value(self.data, "data") if self.data else None

    @cached_property
    def named(self) -> tuple[templates.Text, templates.Text]:
        """Its template and its channel, ready to be filled; empty where it names none."""
        template, channel = self.template_id or "", self.channel or ""
        return templates.compile_text(template, "template_id"), templates.compile_text(channel, "channel")

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """One message to the contact of the event."""
        if scene.contact_id is None:
            return plans.failed("the event has no contact_id, so there is nobody to send to")
        template_id, named = map(scene.said, self.named)
        if named and named not in people.CHANNELS:
            return plans.failed(f"channel: {errors.unknown('channel', named, people.CHANNELS)}")
        pin = None
        if self.template_id is not None:
            pin = scene.library.templates.get(template_id)
            if pin is None:
                return plans.failed(
                    scene.library.lack(template_id) if template_id else "template_id: it is empty"
                )
        channel = named or "email"
        address = people.address_of(scene.contact or {}, channel)
        plain = effects.Deliver(
            effects.Kind.MESSAGE,
            channel,
            scene.contact_id,
            address,
            pin and pin.template_id,
            pin and pin.version,
            scene.library.look(pin)
            if pin
            else {"subject": self.subject or scene.default_subject, "text": self.text},
            self._data(scene),
            None if address else f"contact {scene.contact_id!r} has no {people.ADDRESSES[channel]}",
        )
        if channel == "webhook" and (hook := hooks.said(scene.contact or {})):
            plain = msgspec.structs.replace(plain, content={**(plain.content or {}), **hook})
        if named or not scene.library.strategies:
            return plans.pending(plain)
        data = {**scene.payload, **plain.data.get("data", {})}
        to = outgoing.Recipient(scene.contact_id, scene.contact or {}, data)
        return plans.pending(*outgoing.along(plain, pin, scene.library, to))

    def _data(self, scene: plans.Scene) -> Mapping[str, Any]:
        # A stored template may read the contact whatever this action reads.
        data = _records(scene, self.reads if self.template_id is None else self.reads | {"contact"})
        if self.given is not None:
            data["data"] = self.given.fill(scene.context, scene.now)
        return data


class Notify(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="notify"
):
    """Write to people of one's own by e-mail, or by text message."""

    kind: ClassVar[str] = "notify"
    text: str
    emails: list[str] = []
    phone_numbers: list[str] = []
    subject: str | None = None
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        if not (1 <= len(self.emails) <= 50 or (self.phone_numbers and not self.emails)):
            yield "emails", "takes 1 to 50 addresses"
        if len(self.phone_numbers) > 50:
            yield "phone_numbers", "takes 1 to 50 numbers"
        for place, channel, written in self._written():
            fault = None if _is_text(written) else _FAULTS[channel](written)
            if fault:
                yield place, fault
        yield from templates.faults(
            subject=self.subject, text=self.text, emails=self.emails, phone_numbers=self.phone_numbers
        )

    @cached_property
    def reads(self) -> frozenset[str]:
        """The roots that its texts read."""
        return templates.roots_read((self.subject, self.text))

    @cached_property
    def recipients(self) -> tuple[tuple[str, templates.Text], ...]:
        """(channel, address), ready to be filled."""
        return tuple(
            (channel, templates.compile_text(written, place)) for place, channel, written in self._written()
        )

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """One message to each address; none where a text that names one comes to something else."""
        content = {"subject": self.subject or scene.default_subject, "text": self.text}
        data = _records(scene, self.reads)
        addresses: dict[tuple[str, str], None] = {}
        for channel, text in self.recipients:
            address = text.source if text.is_static else text.fill(scene.context, scene.now)
            fault = None if text.is_static else _FAULTS[channel](address)
            if fault:
                return plans.failed(f"{text.path}: {fault}")
            addresses[channel, _NORMAL[channel](address)] = None
        return plans.pending(
            *(
                effects.Deliver(effects.Kind.MESSAGE, channel, None, address, None, None, content, data, None)
                for channel, address in addresses
            )
        )

    def _written(self) -> Iterator[tuple[str, str, str]]:
        """Place, channel, and the address as it is written."""
        for index, address in enumerate(self.emails):
            yield f"emails[{index}]", "email", address
        for index, number in enumerate(self.phone_numbers):
            yield f"phone_numbers[{index}]", "sms", number


def _is_text(written: str) -> bool:
    """Whether it is filled when the rule acts, so that what it comes to is only known then."""
    return "{{" in written or "{%" in written


_FAULTS: Mapping[str, Callable[[str], str | None]] = {
    "email": people.email_fault,
    "sms": people.phone_fault,
}
_NORMAL: Mapping[str, Callable[[str], str]] = {
    "email": lambda address: address.strip().lower(),
    "sms": people.check_phone,
}


class CallWebhook(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, tag_field="type", tag="call_webhook"
):
    """Call another program over HTTP."""

    kind: ClassVar[str] = "call_webhook"
    url: str
    method: str = "POST"
    headers: dict[str, str] | None = None
    body: Any = None
    timeout_secs: float = 10
    on_error: Literal["continue", "stop"] = "continue"

    def faults(self) -> Iterable[tuple[str, str]]:
        """What its type does not say."""
        fault = None if _is_text(self.url) else destinations.url_fault(self.url)
        if fault:
            yield "url", fault
        if not _is_text(self.method) and self.method.upper() not in METHODS:
            yield "method", errors.unknown("method", self.method, METHODS)
        if not 0.1 <= self.timeout_secs <= 30:
            yield "timeout_secs", "takes 0.1 to 30 seconds"
        for name, value in (self.headers or {}).items():
            fault = None if _is_text(name) or _is_text(value) else destinations.header_fault(name, value)
            if fault:
                yield documents.below("headers", name), fault
        yield from templates.faults(url=self.url, method=self.method, headers=self.headers, body=self.body)

    @cached_property
    def reads(self) -> frozenset[str]:
        """The roots that its texts read."""
        return templates.roots_read((self.url, self.method, self.headers, self.body))

    @cached_property
    def said_method(self) -> templates.Text:
        """Its method, ready to be filled."""
        return templates.compile_text(self.method, "method")

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """One call."""
        method = scene.said(self.said_method).upper()
        if method not in METHODS:
            return plans.failed(f"method: {errors.unknown('method', method, METHODS)}")
        content = {
            "url": self.url,
            "method": method,
            "headers": self.headers or {},
            "body": self.body,
            "timeout_secs": self.timeout_secs,
        }
        data = _records(scene, self.reads)
        return plans.pending(
            effects.Deliver(
                effects.Kind.CALL, "webhook", scene.contact_id, self.url, None, None, content, data, None
            )
        )


def _records(scene: plans.Scene, read: frozenset[str]) -> dict[str, Any]:
    """The records that texts read, as they are now; the event itself is found by its id."""
    data: dict[str, Any] = {}
    if scene.contact is not None and "contact" in read:
        data["contact"] = scene.contact
    if scene.conversation is not None and "conversation" in read:
        data["conversation"] = scene.conversation
    return data


KINDS = (SendMessage, Notify, CallWebhook)
