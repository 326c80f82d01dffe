"""Stored templates: what a text for many messages says, and the forms in which people write it.

Law: what is stored can be filled; a fault is found when a template is written, not when somebody waits for a letter. A
template is Liquid in a subject, a text and HTML (or MJML), or it is Elemental content, which is drawn for each channel
in the look of a brand. On Courier's wire the first is a channel's `raw`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import brands, documents, elemental, ids, mime, templates
from heliograph.core.elemental import reading

FIELDS: Final = (
    *(
        "subject",
        "text",
        "html",
        "mjml",
        "elements",
        "name",
        "alias",
        "tags",
        "brand",
        "topic",
        "routing",
        "from",
        "reply_to",
    ),
)
"""What a file of the kind `template` says."""

RAW: Final = reading.RAW
_MOST_TAGS = 50
_OF_TENANTS = "tenant/"
_NOT_SENT = "is not supported: each message goes to one recipient"


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a template says in one version, or in its draft."""

    subject: str | None = None
    text: str | None = None
    html: str | None = None
    mjml: str | None = None
    sms: str | None = None
    """What a text message says, where that is not the text."""
    content: dict[str, Any] | None = None
    """Elemental content, as elemental.define gives it; without it the texts above are the template."""
    name: str | None = None
    tags: list[str] = []
    brand: str | None = None
    topic: str | None = None
    routing: str | None = None
    sender: str | None = None
    """Whom it is from, where that is not the installation's sender; Liquid."""
    reply_to: str | None = None
    creator: str | None = None
    """Who made this version, or changed the draft last."""

    @property
    def is_drawn(self) -> bool:
        """Whether it is drawn in the look of a brand."""
        return self.content is not None

    def same(self, other: Said | None) -> bool:
        """Whether it says what another one says, whoever wrote it."""
        return other is not None and documents.is_same(_of_nobody(self), _of_nobody(other))


def _of_nobody(said: Said) -> Said:
    return msgspec.structs.replace(said, creator=None)


class Written(NamedTuple):
    """A template as a file or a request has it."""

    said: Said
    alias: str | msgspec.UnsetType | None


# ── what it comes to ────────────────────────────────────────────────────────────────────────────────


class Texts(NamedTuple):
    """The texts of a template for one channel, compiled."""

    subject: templates.Text
    text: templates.Text
    html: templates.Text | None
    is_drawn: bool
    """Whether it is Elemental: then `{name}` is looked up in the message's data too."""


def compiled(said: Said, channel: str = "email", locale: str = "", look: brands.Look = brands.PLAIN) -> Texts:
    """The texts of a template; `locale` is one of `locales`, or empty. Raises errors.InvalidInput."""
    made = _sources(said, channel, locale, look)
    return Texts(
        templates.compile_text(made.subject, "subject"),
        templates.compile_text(made.text, "text"),
        None if made.html is None else templates.compile_text(made.html, "html", escape=True),
        said.is_drawn,
    )


def _sources(said: Said, channel: str, locale: str, look: brands.Look) -> elemental.Sources:
    content = said.content
    if content is None:
        # What other channels show of a template of texts is its text.
        names = RAW if channel == "email" else ("subject", "text")
        raw = {name: getattr(said, name) for name in names if getattr(said, name) is not None}
        if channel == "sms" and said.sms is not None:
            raw["text"] = said.sms
        content = {"elements": [{"type": "channel", "channel": channel, "raw": raw}]}
    return elemental.sources(content, channel, locale, look)


def paths(said: Said) -> frozenset[tuple[str, ...]]:
    """The first two names of the paths that its texts read, in an e-mail; none where it cannot be drawn."""
    try:
        made = _sources(said, "email", "", brands.PLAIN)
        return frozenset().union(*(templates.paths_read(text or "") for text in made))
    except errors.InvalidInput:
        return frozenset()


def locales(said: Said) -> frozenset[str]:
    """The locales that a template has words in."""
    return frozenset() if said.content is None else elemental.locales(said.content)


def best_locale(wanted: object, known: frozenset[str]) -> str:
    """The one of these locales that suits a person's (`fr-CA`: itself, else `fr`), or empty."""
    if not known or not isinstance(wanted, str):
        return ""
    name = reading.locale_name(wanted)
    return next((one for one in (name, name.partition("-")[0]) if one in known), "")


# ── files ───────────────────────────────────────────────────────────────────────────────────────────


def id_fault(given: object) -> str | None:
    """What is wrong with the id that a file gives its template; None: nothing."""
    if isinstance(given, str) and given.startswith(_OF_TENANTS):
        return f'does not begin with "{_OF_TENANTS}"'
    return ids.name_fault(given, "order-shipped")


def check(given: Mapping[str, Any]) -> Written:
    """What a file says. Raises errors.InvalidInput with every fault at its place."""
    faults = documents.unknown_keys(given, FIELDS, "")
    raw = {name: given[name] for name in RAW if given.get(name) is not None}
    content = None
    if given.get("elements") is not None:
        faults += [errors.Fault(name, "goes without `elements`") for name in raw]
        try:
            content = elemental.define({"elements": given["elements"]}, "")
        except errors.InvalidInput as refusal:
            faults += [errors.Fault(fault.path.removeprefix("."), fault.message) for fault in refusal.faults]
    else:
        for name, text in raw.items():
            faults += reading.raw_faults(name, text, name)
        if "html" in raw and "mjml" in raw:
            faults.append(errors.Fault("mjml", "takes the place of `html`: give one of them"))
        if "text" not in raw:
            faults.append(errors.Fault("text", "is required: it is read where HTML is not shown"))
    reader = _Head(faults, "")
    fields: dict[str, Any] = {
        "name": reader.text(given, "name"),
        "tags": reader.tags(given),
        "brand": reader.text(given, "brand"),
        "topic": reader.text(given, "topic"),
        "routing": reader.text(given, "routing"),
        "sender": reader.sender(given, "from"),
        "reply_to": reader.sender(given, "reply_to"),
    }
    alias = reader.alias(given)
    if not faults:
        fields |= raw if content is None else {"content": content}
        return Written(_drawable(Said(**fields), "elements" if content is not None else ""), alias)
    raise errors.InvalidInput(faults=faults[: documents.MAX_FAULTS])


# ── Courier's wire ──────────────────────────────────────────────────────────────────────────────────


def of_wire(given: object, stored: Said | None, creator: str, path: str = "notification") -> Written:
    """What the `notification` of a request says; `stored` is what it replaces, from which `email` may be kept.

    Raises errors.InvalidInput with every fault at its place.
    """
    if not isinstance(given, Mapping):
        raise errors.InvalidInput.at(path, "is required: an object with `name` and `content`")
    faults: list[errors.Fault] = []
    reader = _Head(faults, f"{path}.")
    name = reader.text(given, "name")
    if name is None and not faults:
        faults.append(errors.Fault(f"{path}.name", "is required"))
    try:
        content = elemental.define(given.get("content"), f"{path}.content")
    except errors.InvalidInput as refusal:
        faults += refusal.faults
        content = {"elements": []}
    email = reader.email(given, stored)
    fields: dict[str, Any] = {
        "name": name,
        "tags": reader.tags(given),
        "brand": reader.reference(given, "brand", "id"),
        "topic": reader.reference(given, "subscription", "topic_id"),
        "routing": reader.reference(given, "routing", "strategy_id"),
        "creator": creator,
        **email,
    }
    alias = reader.alias(given)
    if not faults:
        return Written(checked_content(Said(**fields), content, f"{path}.content"), alias)
    raise errors.InvalidInput(faults=faults[: documents.MAX_FAULTS])


def with_content(said: Said, content: Mapping[str, Any]) -> Said:
    """The template with this content, which elemental.define has given."""
    elements = content["elements"]
    raw = elements[0].get("raw") if len(elements) == 1 else None
    if raw is not None and elements[0].keys() <= {"type", "channel", "raw", "id"} and raw.keys() <= {*RAW}:
        texts = {name: raw.get(name) for name in RAW}
        return msgspec.structs.replace(said, content=None, **texts)
    nothing = dict.fromkeys(RAW)
    return msgspec.structs.replace(said, content=dict(content), **nothing)


def checked_content(said: Said, content: Mapping[str, Any], path: str = "content") -> Said:
    """The same, refused where it cannot be drawn. Raises errors.InvalidInput."""
    return _drawable(with_content(said, content), path)


def content_of(said: Said) -> dict[str, Any]:
    """A template's content on the wire: its elements, or its texts as the `raw` of a channel."""
    if said.content is not None:
        return said.content
    raw = {name: getattr(said, name) for name in RAW if getattr(said, name) is not None}
    element = {"type": "channel", "channel": "email", "raw": raw, "id": "e1"}
    return {"version": reading.VERSION, "elements": [element]}


def _drawable(said: Said, path: str) -> Said:
    """The template, of which every channel and locale that it names was drawn once. Raises errors.InvalidInput."""
    named = {"email"}
    if said.content is not None:
        named = {one["channel"] for one in said.content["elements"] if one["type"] == "channel"} or named
    for channel in sorted(named):
        for locale in ("", *sorted(locales(said))):
            try:
                compiled(said, channel, locale)
            except errors.InvalidInput as refusal:
                where = f"for {channel}" + (f" in {locale}" if locale else "")
                faults = [errors.Fault(path, f"cannot be drawn {where}: {fault}") for fault in refusal.faults]
                raise errors.InvalidInput(faults=faults) from None
    return said


class _Head:
    """Reads what a template is besides its content; keeps what is wrong with it."""

    def __init__(self, faults: list[errors.Fault], prefix: str):
        self._faults, self._prefix = faults, prefix

    def _fault(self, name: str, message: str) -> None:
        self._faults.append(errors.Fault(f"{self._prefix}{name}", message))

    def text(self, given: Mapping[str, Any], name: str) -> str | None:
        """A name."""
        value = given.get(name)
        if value is not None and (not isinstance(value, str) or not 1 <= len(value.strip()) <= 255):
            self._fault(name, "takes a text of 1 to 255 characters")
            return None
        return None if value is None else value.strip()

    def tags(self, given: Mapping[str, Any]) -> list[str]:
        """Tags."""
        value = given.get("tags")
        if value is None:
            return []
        if (
            not isinstance(value, list)
            or len(value) > _MOST_TAGS
            or not all(isinstance(one, str) and 1 <= len(one) <= 100 for one in value)
        ):
            self._fault("tags", f"takes a list of at most {_MOST_TAGS} texts of 1 to 100 characters")
            return []
        return list(dict.fromkeys(value))

    def alias(self, given: Mapping[str, Any]) -> str | msgspec.UnsetType | None:
        """The other name that it is sent by."""
        if "alias" not in given:
            return msgspec.UNSET
        value = given["alias"]
        if value is None:
            return None
        if not documents.is_text(value, 200):
            self._fault("alias", "takes a text of 1 to 200 characters, none of them NUL, or null")
            return None
        if value.startswith(_OF_TENANTS):
            self._fault("alias", f'does not begin with "{_OF_TENANTS}"')
        return value

    def reference(self, given: Mapping[str, Any], name: str, key: str) -> str | None:
        """What another record is named by."""
        value = given.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping) or not documents.is_text(value.get(key), 255):
            self._fault(name, f'is an object such as {{"{key}": "..."}}, or null')
            return None
        return str(value[key])

    def sender(self, given: Mapping[str, Any], name: str, place: str = "") -> str | None:
        """An address, which may have Liquid in it."""
        value = given.get(name)
        if value is None:
            return None
        path = f"{self._prefix}{place}{name}"
        if not isinstance(value, str) or len(value) > 998:
            self._faults.append(errors.Fault(path, 'is an address such as "Shop <shop@example.com>"'))
            return None
        try:
            if templates.compile_text(value, path).is_static:
                mime.mailbox(value, path)
        except errors.InvalidInput as refusal:
            self._faults += refusal.faults
        return value

    def email(self, given: Mapping[str, Any], stored: Said | None) -> dict[str, str | None]:
        """Whom its e-mails are from: kept where nothing is said, cleared by null."""
        if "email" not in given:
            return {"sender": stored.sender, "reply_to": stored.reply_to} if stored else {}
        value = given["email"]
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self._fault("email", "is an object with `from` and `reply_to`, or null")
            return {}
        for name in ("cc", "bcc"):
            if value.get(name):
                self._fault(f"email.{name}", _NOT_SENT)
        return {
            "sender": self.sender(value, "from", "email."),
            "reply_to": self.sender(value, "reply_to", "email."),
        }
