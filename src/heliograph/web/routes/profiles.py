"""Profiles: `/profiles/{user_id}`, in Courier's shape (engine.md E15, E16)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import Response, delete, get, patch, post, put

from heliograph import errors
from heliograph.core import consent, patches
from heliograph.core import people as core_people
from heliograph.store import consent as consents
from heliograph.store import people
from heliograph.web import subscribers
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Profiles"
_PATH = "/profiles/{user_id:str}"


class ProfileBody(msgspec.Struct):
    """A profile: any JSON, of which addresses, names, birthdate, locale and zone are checked."""

    profile: dict[str, Any]


class ReadProfile(msgspec.Struct, omit_defaults=True):
    """A profile, and what the person wants to hear of, where they said anything."""

    profile: dict[str, Any]
    preferences: subscribers.Preferences | None = None


class Operation(msgspec.Struct, omit_defaults=True, rename={"from_": "from"}):
    """One operation of a JSON Patch (RFC 6902)."""

    op: Literal["add", "copy", "move", "remove", "replace", "test"]
    path: str
    """A JSON pointer into the profile, such as `/email`."""
    value: Any = None
    from_: str | None = None


class PatchBody(msgspec.Struct):
    """Operations, done one after the other, all or none."""

    patch: list[Operation]


class Saved(msgspec.Struct):
    """It is done."""

    status: Literal["SUCCESS"]


@get(_PATH, opt={"tag": TAG})
@in_thread
def read_profile(request: Call) -> Response[ReadProfile]:
    """Read a person's profile."""
    ignored = request.ignore_query()
    user_id, who = request.part("user_id"), request.principal
    with request.services.database.reading() as connection:
        found = people.read_contact(connection, who.workspace_id, who.tenant_id, user_id)
        said = consents.read(connection, who.workspace_id, who.tenant_id, user_id)
    if found is None:
        raise errors.NotFound(f"there is no profile {user_id!r}")
    preferences = _preferences(said) if said.topics else None
    return Response(ReadProfile(found.profile, preferences), headers=ignored_header(ignored))


def _preferences(said: consent.Consent) -> subscribers.Preferences:
    """What somebody said, as Courier has it beside a profile."""
    shown = {}
    for topic_id, topic in said.topics.items():
        only = None if topic.routing is None else [{"channel": channel} for channel in topic.routing]
        shown[topic_id] = subscribers.Preference(topic.status, None, only)  # type: ignore[arg-type]
    return subscribers.Preferences(None, shown)


@post(_PATH, status_code=200, opt={"tag": TAG, "body": ProfileBody})
@in_thread
def merge_profile(request: Call) -> Response[Saved]:
    """Set attributes of a person, who is made where there is none; the others stay."""
    return _save(request, "overwrite")


@put(_PATH, opt={"tag": TAG, "body": ProfileBody})
@in_thread
def replace_profile(request: Call) -> Response[Saved]:
    """Replace a person's profile whole; the person is made where there is none."""
    return _save(request, "replace")


@patch(_PATH, opt={"tag": TAG, "body": PatchBody})
@in_thread
def patch_profile(request: Call) -> Response[Saved]:
    """Change a person's profile by a JSON Patch: as a whole, or not at all."""
    ignored = request.ignore_query()
    user_id, given, who = _user_id(request), request.read_object(), request.principal
    operations = patches.check(given.get("patch"), "patch")
    services = request.services

    def changed(profile: dict[str, Any]) -> dict[str, Any]:
        made = patches.apply(profile, operations)
        return core_people.clean_profile(made, "profile", services.settings.default_region or None)

    if not people.change_profile(
        services.database, who.workspace_id, who.tenant_id, user_id, changed, services.now()
    ):
        raise errors.NotFound(f"there is no profile {user_id!r}")
    request.wake()
    strange = patches.strangers(operations)
    return Response(Saved("SUCCESS"), headers=subscribers.named([*ignored, *strange], given, ("patch",)))


@delete(_PATH, opt={"tag": TAG})
@in_thread
def delete_profile(request: Call) -> Response[None]:
    """Delete a person: what is planned for them goes out no more; lists and preferences stay."""
    ignored = request.ignore_query()
    user_id, who, services = request.part("user_id"), request.principal, request.services
    if not people.delete_contact(services.database, who.workspace_id, who.tenant_id, user_id, services.now()):
        raise errors.NotFound(f"there is no profile {user_id!r}")
    request.wake()
    return Response(None, headers=ignored_header(ignored))


def _user_id(request: Call) -> str:
    user_id = request.part("user_id")
    if len(user_id) > core_people.MAX_ID:
        raise errors.InvalidInput.at("user_id", f"takes at most {core_people.MAX_ID} characters")
    return user_id


def _save(request: Call, strategy: str) -> Response[Saved]:
    ignored = request.ignore_query()
    user_id, given, who = _user_id(request), request.read_object(), request.principal
    if "profile" not in given:
        raise errors.InvalidInput.at("profile", "is required: an object with the person's attributes")
    if len(request.content.body) > core_people.MAX_BYTES:
        raise errors.TooLarge(core_people.TOO_LARGE)
    services = request.services
    cleaned = core_people.clean_profile(given["profile"], "profile", services.settings.default_region or None)
    people.save_profile(
        services.database,
        who.workspace_id,
        who.tenant_id,
        user_id,
        cleaned,
        services.now(),
        strategy=strategy,
    )
    request.wake()
    return Response(Saved("SUCCESS"), headers=ignored_header([*ignored, *(given.keys() - {"profile"})]))


HANDLERS = (read_profile, merge_profile, replace_profile, patch_profile, delete_profile)
