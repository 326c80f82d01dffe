"""Device tokens: `/users/{user_id}/tokens`, in Courier's shape (courier-wire.md 2.1).

Law: what is registered is where push messages go from then on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from litestar import Response, delete, get, patch, put

from heliograph import errors
from heliograph.core import device_tokens, documents, patches, schedule
from heliograph.store import device_tokens as store
from heliograph.web import subscribers
from heliograph.web.calls import Call, ignored_header, in_thread

TAG = "Device tokens"
_PATH = "/users/{user_id:str}/tokens"
_TOKEN = f"{_PATH}/{{token:str}}"

ProviderKey = Literal["firebase-fcm", "apn", "expo", "onesignal"]
TokenStatus = Literal["active", "unknown", "failed", "revoked"]


class TokenBody(msgspec.Struct, kw_only=True):
    """A device that push messages may go to."""

    provider_key: ProviderKey
    device: dict[str, Any] | None = None
    expiry_date: str | bool | None = None
    """ISO 8601, or `false` for never; 60 days after it was registered last if left out."""
    properties: Any = None
    tracking: dict[str, Any] | None = None


class ListedToken(TokenBody, kw_only=True):
    """A device and its token."""

    token: str


class DeviceToken(ListedToken, kw_only=True):
    """A device and how its token stands."""

    status: TokenStatus
    status_reason: str | None


class TokensBody(msgspec.Struct):
    """Several devices."""

    tokens: list[ListedToken]


class TokenOperation(msgspec.Struct):
    """One operation of a JSON Patch."""

    op: str
    path: str
    value: Any = None


class TokenPatch(msgspec.Struct):
    """What is to be changed."""

    patch: list[TokenOperation]


class TokenList(msgspec.Struct):
    """Somebody's devices, the newest first."""

    tokens: list[DeviceToken]


@get(_PATH, opt={"tag": TAG})
@in_thread
def list_tokens(request: Call) -> Response[TokenList]:
    """List somebody's devices."""
    passed_over = request.ignore_query()
    with request.services.database.reading() as connection:
        found = store.listed(connection, _whose(request))
    return Response(TokenList([_told(one) for one in found]), headers=ignored_header(passed_over))


@put(_PATH, status_code=204, opt={"tag": TAG, "body": TokensBody})
@in_thread
def put_tokens(request: Call) -> Response[None]:
    """Register several devices; one that is there already says what is given now."""
    passed_over = request.ignore_query()
    given = request.read_object() if request.content.body else {}
    listed = given.get("tokens")
    if not isinstance(listed, list) or not 1 <= len(listed) <= device_tokens.MOST:
        raise errors.InvalidInput.at(
            "tokens", f"is a list of 1 to {device_tokens.MOST} objects with a `token`"
        )
    wanted: dict[str, device_tokens.Token] = {}
    for number, one in enumerate(listed):
        path = f"tokens[{number}]"
        if not isinstance(one, dict):
            raise errors.InvalidInput.at(path, "is an object with a `token`")
        fault = device_tokens.token_fault(one.get("token"))
        if fault:
            raise errors.InvalidInput.at(f"{path}.token", fault)
        wanted[one["token"]] = device_tokens.define(one, path)
        passed_over += [documents.below(path, name) for name in device_tokens.ignored(one)]
    _change(request, lambda _: wanted)
    return Response(None, headers=ignored_header([*passed_over, *(given.keys() - {"tokens"})]))


@get(_TOKEN, opt={"tag": TAG})
@in_thread
def read_token(request: Call) -> Response[DeviceToken]:
    """Read one of somebody's devices."""
    passed_over = request.ignore_query()
    with request.services.database.reading() as connection:
        found = {one.text: one for one in store.listed(connection, _whose(request))}
    text = request.part("token")
    if text not in found:
        raise _nowhere(request)
    return Response(_told(found[text]), headers=ignored_header(passed_over))


@put(_TOKEN, status_code=204, opt={"tag": TAG, "body": TokenBody})
@in_thread
def put_token(request: Call) -> Response[None]:
    """Register a device: push messages go there from now on."""
    passed_over, text, given = request.ignore_query(), request.part("token"), request.read_object()
    fault = device_tokens.token_fault(text)
    if fault or given.get("token", text) != text:
        raise errors.InvalidInput.at("token", fault or "is another one than in the path")
    wanted = {text: device_tokens.define(given)}
    _change(request, lambda _: wanted)
    return Response(None, headers=ignored_header([*passed_over, *device_tokens.ignored(given)]))


@patch(_TOKEN, status_code=204, opt={"tag": TAG, "body": TokenPatch})
@in_thread
def patch_token(request: Call) -> Response[None]:
    """Change what is known of a device, by a JSON Patch."""
    passed_over, text, given = request.ignore_query(), request.part("token"), request.read_object()
    operations = patches.check(given.get("patch"), "patch")

    def changed(before: Mapping[str, store.Stored]) -> Mapping[str, device_tokens.Token]:
        if text not in before:
            raise _nowhere(request)
        return {text: device_tokens.patched(before[text].token, operations)}

    _change(request, changed, registers=False)
    return Response(None, headers=ignored_header([*passed_over, *(given.keys() - {"patch"})]))


@delete(_TOKEN, opt={"tag": TAG})
@in_thread
def delete_token(request: Call) -> Response[None]:
    """Forget a device."""
    passed_over, text = request.ignore_query(), request.part("token")

    def changed(before: Mapping[str, store.Stored]) -> Mapping[str, None]:
        if text not in before:
            raise _nowhere(request)
        return {text: None}

    _change(request, changed)
    return Response(None, headers=ignored_header(passed_over))


def _change(request: Call, changed: store.Changed, *, registers: bool = True) -> None:
    services = request.services
    store.change(services.database, _whose(request), changed, services.now(), registers=registers)
    request.wake()


def _whose(request: Call) -> store.Whose:
    fault = subscribers.user_fault(request.part("user_id"))
    if fault:
        raise errors.InvalidInput.at("user_id", fault)
    return store.Whose(request.principal.workspace_id, request.principal.tenant_id, request.part("user_id"))


def _nowhere(request: Call) -> errors.NotFound:
    return errors.NotFound(f"{request.part('user_id')!r} has no device with this token")


def _told(one: store.Stored) -> DeviceToken:
    said = msgspec.structs.asdict(one.token)
    said["expiry_date"] = False if one.expires_at is None else schedule.write_instant(one.expires_at)
    return DeviceToken(token=one.text, **said)


HANDLERS = (list_tokens, put_tokens, read_token, put_token, patch_token, delete_token)
