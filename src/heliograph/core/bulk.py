"""Bulk: one message to many people who are named with the job, in Courier's shape (courier-wire.md 2.1).

Law: what is wrong with a job or a user is found as it is taken in, with its place. A user of whom nothing says where to
write is taken in all the same, and counted as a failure. Each of the others is a request to send of its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import courier_fields, documents, hooks, overrides, requests

MOST_USERS = 10_000
"""The most users who are added at once."""
_MESSAGE = ("event", "template", "content", "brand", "data", "override")
_USER = ("recipient", "profile", "data", "preferences", "to")
_UNUSED = ("email", "phone_number")
NO_ADDRESS = "names nobody: give `recipient`, or an address such as `profile.email`"
_NOBODY: Mapping[str, Any] = {"title": "", "body": ""}


class State(IntEnum):
    """How a job stands."""

    CREATED = 0
    PROCESSING = 1
    COMPLETED = 2
    ERROR = 3


TRANSITIONS: Mapping[State | None, tuple[State, ...]] = {
    None: (State.CREATED,),
    State.CREATED: (State.PROCESSING, State.ERROR),
    State.PROCESSING: (State.PROCESSING, State.COMPLETED, State.ERROR),
    State.COMPLETED: (),
    State.ERROR: (),
}


class Job(NamedTuple):
    """A job as it is taken in."""

    definition: dict[str, Any]
    """As it was given."""
    said: requests.Request
    """The request that each user is, but for whom it is for."""
    ignored: list[str]


class User(NamedTuple):
    """A user as they are taken in."""

    given: dict[str, Any]
    to: requests.To | None
    """None: nothing can be sent to them."""
    ignored: list[str]


# ── jobs ────────────────────────────────────────────────────────────────────────────────────────────


def define(given: Mapping[str, Any], region: str | None = None) -> Job:
    """The job that a body is. Raises InvalidInput with every fault."""
    message = given.get("message")
    if not isinstance(message, dict):
        raise errors.InvalidInput.at("message", "is required: an object with `event`")
    event = message.get("event")
    faults = []
    if not isinstance(event, str) or not event:
        faults.append(
            errors.Fault("message.event", "is required: a template, or what the messages are called")
        )
    if message.get("template") is not None and message.get("content") is not None:
        faults.append(errors.Fault("message", "takes either `template` or `content`, not both"))
    if faults:
        raise errors.InvalidInput(faults=faults)
    email, passed_over = _override(message.get("override"))
    has_content = message.get("content") is not None
    asked = {
        "to": {"user_id": "nobody"},
        "template": None if has_content else message.get("template") or event,
        "content": message.get("content"),
        "data": message.get("data"),
        "brand_id": message.get("brand"),
        "metadata": {"event": event},
        "channels": {"email": {"override": email}} if email else None,
    }
    with placed(message):
        said, strangers = requests.read({"message": asked}, region)
    ignored = [f"message.{key}" for key in message.keys() - {*_MESSAGE}]
    ignored += [*passed_over, *strangers, *(given.keys() - {"message"})]
    kept = {key: value for key, value in message.items() if value is not None}
    return Job(kept, msgspec.structs.replace(said, to=()), ignored)


def _override(given: object) -> tuple[dict[str, Any], list[str]]:
    """What a job says of its e-mails instead, and the places that nobody looks at. Raises InvalidInput."""
    path = "message.override"
    if given is None:
        return {}, []
    if not isinstance(given, dict):
        raise errors.InvalidInput.at(path, 'is an object such as {"email": {"subject": "Hello"}}')
    try:
        return overrides.of_email(given, path), overrides.passed_over(given, path)
    except errors.RenderFailed as refusal:
        raise errors.InvalidInput(faults=refusal.faults) from None


def placed(message: Mapping[str, Any]) -> contextlib.AbstractContextManager[None]:
    """What is wrong with the request of a job stands where the job says it: at `brand`, and `event` for a template."""
    named = {"message.brand_id": "message.brand"}
    if not message.get("template"):
        named["message.template"] = "message.event"
    return errors.placed(lambda path: named.get(path, path))


def request_of(said: requests.Request, to: requests.To) -> requests.Request:
    """The request that one user of a job is."""
    return msgspec.structs.replace(said, to=(to,))


# ── users ───────────────────────────────────────────────────────────────────────────────────────────


def users(given: Mapping[str, Any], region: str | None = None) -> tuple[list[User], list[str]]:
    """The users that a body names, and what of it nobody knows. Raises InvalidInput with every fault."""
    listed = given.get("users")
    if not isinstance(listed, list) or not 1 <= len(listed) <= MOST_USERS:
        raise errors.InvalidInput.at("users", f"is a list of 1 to {MOST_USERS} objects")
    found: list[User] = []
    faults: list[errors.Fault] = []
    for place, one in enumerate(listed):
        try:
            found.append(_user(one, f"users[{place}]", region))
        except errors.InvalidInput as refusal:
            faults += refusal.faults
        if len(faults) >= documents.MAX_FAULTS:
            break
    if faults:
        raise errors.InvalidInput(faults=faults[: documents.MAX_FAULTS])
    return found, [*(given.keys() - {"users"}), *(name for one in found for name in one.ignored)]


def _user(given: object, path: str, region: str | None) -> User:
    if not isinstance(given, dict):
        raise errors.InvalidInput.at(path, 'is an object such as {"recipient": "ana"}')
    beside = given.get("to")
    if beside is not None and not isinstance(beside, dict):
        raise errors.InvalidInput.at(f"{path}.to", "is an object")
    to: dict[str, Any] = dict(beside or {})
    for place, name in (
        (f"{path}.recipient", given.get("recipient")),
        (f"{path}.to.user_id", to.get("user_id")),
    ):
        if name is not None and not isinstance(name, str):
            raise errors.InvalidInput.at(
                place, f"is a text of at most {courier_fields.LONGEST_TEXT} characters"
            )
    # Courier routes e-mail by the profile alone.
    ignored = [f"{path}.to.{key}" for key in _UNUSED if to.pop(key, None) is not None]
    if given.get("recipient"):
        to["user_id"] = given["recipient"]
    for name in ("profile", "data"):
        to[name] = _together(to.get(name), given.get(name), f"{path}.{name}")
    if given.get("preferences") is not None:
        to["preferences"] = given["preferences"]
    ignored += [f"{path}.{key}" for key in given.keys() - {*_USER}]
    kept = _shown({key: value for key, value in given.items() if value is not None})
    if not to.get("user_id") and not any(
        to.get(key) or to["profile"].get(key) for key in requests.REACHED_BY
    ):
        return User(kept, None, ignored)
    with errors.placed(lambda place: _place(place, path, given)):
        said, strangers = requests.read({"message": {"to": to, "content": _NOBODY}}, region)
    return User(kept, said.to[0], [*ignored, *(_place(name, path, given) for name in strangers)])


def _shown(given: dict[str, Any]) -> dict[str, Any]:
    """A user as answers repeat them: without the secrets of their webhook."""
    found = dict(given)
    for name in ("to", "profile"):
        if isinstance(inner := found.get(name), dict):
            found[name] = _shown(inner)
    if isinstance(hook := found.get("webhook"), dict):
        found["webhook"] = hooks.shown(hook)
    return found


def _together(first: object, second: object, path: str) -> dict[str, Any]:
    for one in (first, second):
        if one is not None and not isinstance(one, dict):
            raise errors.InvalidInput.at(path, "is an object")
    return {**(first or {}), **(second or {})}  # type: ignore[dict-item]


def _place(path: str, user: str, given: Mapping[str, Any]) -> str:
    """Where in the body a place of the request that was read stands: with the user, or in `to` of it."""
    inner = path.removeprefix("message.to")
    name = inner.removeprefix(".").split(".")[0].split("[")[0]
    if name == "user_id" and given.get("recipient"):
        return f"{user}.recipient"
    return f"{user}{inner}" if not name or given.get(name) is not None else f"{user}.to{inner}"
