"""Steps of date automations: write to the contact, or to people of one's own about the contact.

Law: what holds is looked at when the time has come, not when it was queued: an automation that was deleted by then
sends nothing, and who is gone or has no address is passed over, with the reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import msgspec

from heliograph.core import effects, people, plans

ABORTED = "aborted: the automation was deleted"
SUBJECT = "{{ data.automation }}: {{ contact.given_name | default: contact.id }}"
TEXT = """\
{{ data.automation }}

Contact: {{ contact.id }}
Name: {{ contact.given_name }} {{ contact.family_name }}
E-mail: {{ contact.email }}
Birthday: {{ contact.birthdate }}
"""


class Standing(NamedTuple):
    """What a run sees of its automation."""

    is_deleted: bool

    def look(self, visit: int, records: Sequence[Any]) -> None:
        """Nothing changes from step to step."""


class Autorespond(msgspec.Struct, frozen=True):
    """Send the contact a template, as an e-mail or as a text message."""

    kind: ClassVar[str] = "email_autoresponder"
    number: str
    template_id: str | None
    """None where there was no template of this number."""
    channel: str = "email"
    on_error: str = "continue"

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """One message to the contact."""
        ended = _ended(scene)
        if ended is not None:
            return ended
        pin = None if self.template_id is None else scene.library.templates.get(self.template_id)
        if pin is None:
            return plans.failed(f"there is no message {self.number}")
        address = people.address_of(scene.contact or {}, self.channel)
        if address is None:
            missing = "e-mail address" if self.channel == "email" else "phone number"
            return _passed_over(f"contact {scene.contact_id!r} has no {missing}")
        content = scene.library.look(pin)
        template = (pin.template_id, pin.version)
        return _sent(scene, scene.contact_id, address, template, content, {}, self.channel)


class Enlist(msgspec.Struct, frozen=True):
    """Put the contact on a list."""

    kind: ClassVar[str] = "addtolist"
    number: str
    list_id: str | None
    """None where there was no list of this number."""
    on_error: str = "continue"

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """The contact is on the list, from now on or already."""
        ended = _ended(scene)
        if ended is not None:
            return ended
        if self.list_id is None or not plans.can_join(scene, self.list_id):
            return _passed_over(f"there is no list {self.number} any more")
        assert scene.contact_id is not None
        subscribed = effects.Subscribe(self.list_id, scene.contact_id)
        return plans.done(subscribed, output={"list_id": self.list_id})


class Tell(msgspec.Struct, frozen=True):
    """Tell somebody whose birthday it is."""

    kind: ClassVar[str] = "notify"
    address: str
    automation: str
    """Its name."""
    on_error: str = "continue"

    def take(self, scene: plans.Scene) -> plans.Outcome:
        """One message to the address."""
        ended = _ended(scene)
        if ended is not None:
            return ended
        content = {"subject": SUBJECT, "text": TEXT}
        return _sent(scene, None, self.address, (None, None), content, {"automation": self.automation})


def _sent(
    scene: plans.Scene,
    contact_id: str | None,
    address: str,
    template: tuple[str | None, int | None],
    content: dict[str, Any] | None,
    data: dict[str, str],
    channel: str = "email",
) -> plans.Outcome:
    filling = {"contact": scene.contact, "data": data}
    return plans.pending(
        effects.Deliver(
            effects.Kind.MESSAGE, channel, contact_id, address, *template, content, filling, None
        ),
        output={plans.RECIPIENTS: [(contact_id, address)]},
    )


def _ended(scene: plans.Scene) -> plans.Outcome | None:
    """Why nothing is sent at all."""
    if isinstance(scene.started, Standing) and scene.started.is_deleted:
        return plans.Outcome(plans.Status.SKIPPED, error=ABORTED, end=plans.End.CANCELED)
    # Of somebody who is not stored, a scene knows nothing but the id.
    if scene.contact is None or "tags" not in scene.contact:
        return _passed_over(f"there is no contact {scene.contact_id!r} any more")
    return None


def _passed_over(reason: str) -> plans.Outcome:
    return plans.Outcome(plans.Status.SKIPPED, error=reason)
