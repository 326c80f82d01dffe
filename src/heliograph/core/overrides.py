"""Overrides: what a send says of its e-mail instead of its template (journeys.md A35).

Law: a step's `override` speaks of its e-mail, under `channel.email` or `email`; what other channels and providers would
know is passed over there. What stands with a channel is what that channel knows, and nothing else. Whoever is to have a
copy is written to by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from heliograph import errors
from heliograph.core import fields, frames, mime, people

TEXTS = ("subject", "text", "html")
MOST_COPIES = 50
COPIES = ("cc", "bcc")


def of_email(given: Mapping[str, Any], path: str) -> dict[str, Any]:
    """What an override says of the e-mail: checked, and nothing else. Raises InvalidInput, RenderFailed with places."""
    found: dict[str, Any] = {}
    for place, said in _said(given, path):
        found |= _checked(said, place)
    return found


def passed_over(given: Mapping[str, Any], path: str) -> list[str]:
    """The places of an override that speak of anything but e-mail."""
    found = [f"{path}.{name}" for name in given.keys() - {"email", "channel"}]
    channel = given.get("channel")
    if isinstance(channel, Mapping):
        found += [f"{path}.channel.{name}" for name in channel.keys() - {"email"}]
    for place, said in _said(given, path):
        found += [f"{place}.{name}" for name in said.keys() - {*_EMAIL}]
    return found


def faults_of(given: fields.Field | None, path: str) -> list[errors.Fault]:
    """What is wrong with a step's override, as far as it is known before a run."""
    known = fields.known(given)
    try:
        of_email(known if isinstance(known, dict) else {}, path)
    except (errors.InvalidInput, errors.RenderFailed) as refusal:
        return list(refusal.faults)
    return []


def of_channel(channel: str, given: Mapping[str, Any], path: str) -> tuple[dict[str, Any], list[str]]:
    """What an override says of a message on one channel, and the places of what is passed over.

    Raises InvalidInput, RenderFailed with places.
    """
    if channel == "email":
        return _checked(given, path), [f"{path}.{name}" for name in given.keys() - {*_EMAIL}]
    words = _WORDS.get(channel, {})
    faults = [
        errors.Fault(f"{path}.{name}", f"is not served: {takes(channel)}")
        for name in sorted(given.keys() - words.keys())
    ]
    if faults:
        raise errors.InvalidInput(faults=faults)
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value not in (None, ""):
            found[words[name]] = _READERS[name](value, f"{path}.{name}")
    return found, []


def of_any_channel(given: Mapping[str, Any], path: str) -> dict[str, dict[str, Any]]:
    """What an override would say on each of the channels that know all its fields; empty where none does."""
    found = {}
    for channel in ("email", *_WORDS):
        try:
            said, ignored = of_channel(channel, given, path)
        except (errors.InvalidInput, errors.RenderFailed):
            continue
        if said and not ignored and not copies(said):
            found[channel] = said
    return found


def takes(channel: str) -> str:
    """What an override may say on a channel, in words."""
    words = _EMAIL if channel == "email" else _WORDS.get(channel, {})
    return f"{channel} takes {', '.join(words) or 'no override'}"


LONGEST_DATA = 4_096
"""Bytes of a push message's data, as JSON."""
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9][A-Za-z0-9 ]{0,10}")


def _sender(value: Any, path: str) -> str:
    written = frames.text(value, path)
    if _SENDER.fullmatch(written) is None:
        told = "takes a number such as +15005550006, a short code, or a name of at most 11 letters and digits"
        raise errors.RenderFailed.at(path, told)
    return written


def _data(value: Any, path: str) -> dict[str, str]:
    """What an app is told: texts by name; anything else stands there as JSON."""
    if not isinstance(value, dict):
        raise errors.RenderFailed.at(path, "is an object: texts by name, for the app that shows the message")
    made = {
        name: one if isinstance(one, str) else msgspec.json.encode(one).decode()
        for name, one in value.items()
    }
    if len(msgspec.json.encode(made)) > LONGEST_DATA:
        raise errors.RenderFailed.at(path, f"takes {LONGEST_DATA} bytes at most, as JSON")
    return made


_READERS: Mapping[str, Callable[[Any, str], Any]] = {
    "title": frames.text,
    "body": frames.text,
    "from": _sender,
    "data": _data,
}
_EMAIL = (*TEXTS, "from", "reply_to", *COPIES, "headers")
_TITLED: Mapping[str, str] = {"title": "subject", "body": "text"}
_WORDS: Mapping[str, Mapping[str, str]] = {
    "sms": {"body": "text", "from": "from"},
    "push": {**_TITLED, "data": "data"},
    **dict.fromkeys(("direct_message", "webhook"), _TITLED),
}
"""What is said of a message on channels of words, and what of it that is."""


def _said(given: Mapping[str, Any], path: str) -> Sequence[tuple[str, Mapping[str, Any]]]:
    """The places that speak of e-mail, the longer one last: it wins."""
    if not given:
        return ()
    channel = given.get("channel")
    places = [(f"{path}.email", given.get("email"))]
    if isinstance(channel, Mapping):
        places.append((f"{path}.channel.email", channel.get("email")))
    return [(place, said) for place, said in places if isinstance(said, Mapping)]


def _checked(said: Mapping[str, Any], path: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: frames.text(said[name], f"{path}.{name}") for name in TEXTS if said.get(name)
    }
    for name in ("from", "reply_to"):
        if said.get(name):
            written = frames.text(said[name], f"{path}.{name}")
            mime.mailbox(written, f"{path}.{name}")
            found[name] = written
    for name in COPIES:
        if said.get(name):
            found[name] = _addresses(said[name], f"{path}.{name}")
    headers = frames.mapping(said.get("headers"), f"{path}.headers")
    if headers:
        found["headers"] = {
            name: frames.text(value, f"{path}.headers.{name}") for name, value in headers.items()
        }
        mime.check_headers(found["headers"], f"{path}.headers")
    return found


def _addresses(given: Any, path: str) -> list[str]:
    """One address, several with commas between them, or a list."""
    written = given if isinstance(given, list) else frames.text(given, path).split(",")
    if len(written) > MOST_COPIES:
        raise errors.RenderFailed.at(path, f"takes {MOST_COPIES} addresses at most")
    return [people.check_email(one, path) for one in written]


def copies(found: Mapping[str, Any]) -> list[str]:
    """Whoever is written to beside the recipient, each once."""
    return list(dict.fromkeys(address for name in COPIES for address in found.get(name, ())))
