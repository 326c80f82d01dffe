"""Communication group: what a campaign says, for each channel.

Law: what is stored can be filled; a fault is found when a group is written, not when somebody waits for a letter. A
group may be incomplete until a campaign is activated with it (`unready` says what is missing).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Final

import msgspec

from heliograph import errors
from heliograph.core import exposures, mime, pages, readers, templates

WRITABLE: Final = ("name", "email", "sms")
UNTITLED: Final = "Untitled"
EMAIL: Final = ("subject", "preview_text", "html_body", "text_body", "sender")
_MOST, _MOST_LINE = 1_000_000, 998
_BODY = re.compile(r"<body\b[^<>]*>", re.IGNORECASE)
_NOT_PEOPLE: Final = frozenset(templates.ROOTS) - {"contact"}


class Email(msgspec.Struct, frozen=True, kw_only=True):
    """The e-mail of a group, as it was written."""

    subject: str | None = None
    preview_text: str | None = None
    html_body: str | None = None
    text_body: str | None = None
    sender: str | None = None


class Sms(msgspec.Struct, frozen=True, kw_only=True):
    """The text message of a group."""

    message_body: str | None = None


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A group as people write and read it."""

    name: str
    email: Email | None = None
    sms: Sms | None = None


def define(given: Mapping[str, Any], exposed: exposures.Exposed = exposures.NOTHING) -> Definition:
    """A new group from a request's body. Raises errors.InvalidInput with every fault at its place."""
    reader = readers.Reader(given, "", WRITABLE)
    made = Definition(
        name=reader.take("name", readers.name, UNTITLED),
        email=reader.take("email", _email, None),
        sms=reader.take("sms", _sms, None),
    )
    reader.close()
    faults = merge_faults(made, exposed)
    if faults:
        raise errors.InvalidInput(faults=faults)
    return made


def merge_faults(definition: Definition, exposed: exposures.Exposed) -> list[errors.Fault]:
    """The fields in a group's texts that merge fields may not name."""
    email, sms = definition.email or Email(), definition.sms or Sms()
    texts = [(f"email.{name}", getattr(email, name)) for name in EMAIL if name != "sender"]
    texts.append(("sms.message_body", sms.message_body))
    faults = []
    for place, text in texts:
        paths = [path for path in templates.paths_read(text or "") if path[0] not in _NOT_PEOPLE]
        faults += exposures.merge_faults(paths, exposed, place, is_bare=True)
    return faults


def merge_fields_read(definition: Definition) -> frozenset[str]:
    """The names of the fields of people that its texts read."""
    email, sms = definition.email or Email(), definition.sms or Sms()
    texts = [getattr(email, name) for name in EMAIL if name != "sender"]
    paths = [path for text in (*texts, sms.message_body) for path in templates.paths_read(text or "")]
    return frozenset(path[1] if path[0] == "contact" and len(path) > 1 else path[0] for path in paths)


def change(
    stored: Definition, given: Mapping[str, Any], exposed: exposures.Exposed = exposures.NOTHING
) -> Definition:
    """A stored group with the given fields replaced; of `email` and `sms`, the fields that are given (null empties).

    Raises errors.InvalidInput.
    """
    merged = {name: given[name] for name in given if name not in ("email", "sms")}
    for name in ("email", "sms"):
        part = getattr(stored, name)
        kept = {} if part is None else msgspec.structs.asdict(part)
        if name not in given:
            merged[name] = kept or None
        elif isinstance(given[name], Mapping):
            merged[name] = {**kept, **given[name]}
        else:
            merged[name] = given[name]
    if "name" in given and given["name"] is None:
        raise errors.InvalidInput.at("name", "takes a text of 1 to 255 characters")
    return define({"name": stored.name, **merged}, exposed)


def _email(given: object, path: str) -> Email:
    reader = readers.Reader(given, path, EMAIL)
    made = Email(**{name: reader.take(name, check, None) for name, check in _PARTS.items()})
    reader.close()
    return made


def _sms(given: object, path: str) -> Sms:
    reader = readers.Reader(given, path, ("message_body",))
    made = Sms(message_body=reader.take("message_body", _text(_MOST), None))
    reader.close()
    return made


def _text(most: int, *, is_html: bool = False) -> Callable[[object, str], str]:
    def check(value: object, path: str) -> str:
        if not isinstance(value, str) or len(value) > most:
            raise errors.InvalidInput.at(path, f"takes a text of at most {most} characters")
        templates.compile_text(value, path, escape=is_html)
        return value

    return check


def _sender(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise errors.InvalidInput.at(path, 'is an address such as "Shop <shop@example.com>"')
    mime.mailbox(value, path)
    return value


_PARTS: Final[Mapping[str, Callable[[object, str], str]]] = {
    "subject": _text(_MOST_LINE),
    "preview_text": _text(_MOST_LINE),
    "html_body": _text(_MOST, is_html=True),
    "text_body": _text(_MOST),
    "sender": _sender,
}


def unready(definition: Definition) -> str | None:
    """Why a campaign cannot send this group, or None."""
    email = definition.email
    if email is None:
        if definition.sms is not None and definition.sms.message_body:
            return None
        return "has no e-mail yet: write its email.text_body, and what else it needs"
    if not email.text_body:
        return "has an e-mail without text_body, which is read where HTML is not shown: write it"
    return None


def warnings(definition: Definition, *, has_sms: bool) -> list[tuple[str, str]]:
    """What is allowed but will not have the effect that it looks to have: (place, message).

    `has_sms` is whether the workspace has a provider for text messages.
    """
    if has_sms or definition.sms is None or not definition.sms.message_body:
        return []
    return [("sms", "there is no provider for text messages yet: it is kept, and not sent")]


def content(definition: Definition) -> dict[str, Any]:
    """The group as one version of a template: its texts under the names that letters know."""
    email = definition.email or Email()
    html = email.html_body
    if html is not None and email.preview_text:
        html = _with_preview(html, email.preview_text)
    sms = None if definition.sms is None else definition.sms.message_body or None
    parts = {
        "subject": email.subject,
        "text": email.text_body,
        "html": html,
        "sender": email.sender,
        "sms": sms,
    }
    return {name: text for name, text in parts.items() if text is not None}


def _with_preview(html: str, preview: str) -> str:
    """The HTML with the line that mail programs show beside the subject, hidden at its beginning."""
    parts = pages.split(preview)
    # Every second part is Liquid, whose outputs are escaped as they are filled.
    parts[::2] = [escape(part) for part in parts[::2]]
    hidden = f'<div style="display:none;max-height:0;overflow:hidden">{"".join(parts)}</div>'
    body = _BODY.search(html)
    place = body.end() if body else 0
    return html[:place] + hidden + html[place:]
