"""Errors on the wire: one shape for each family, told apart by whole path segments.

Law: whatever goes wrong leaves in the shape of its path's family (spec: one model), with every fault and its place;
what nobody foresaw is logged with its traceback and answered without it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, NamedTuple

import msgspec
import structlog
from litestar.exceptions import HTTPException

from heliograph import errors

_log = structlog.get_logger(__name__)


class Family(Enum):
    """Whose wire a path speaks."""

    OURS = "ours"
    """OmniStream's shape too: `/api/automation`, `/api/conversations`, `/api/contacts`, and every unknown path."""
    COURIER = "courier"
    REACH = "reach"
    SIGN_UP = "sign-up"


_COURIER = (
    "audiences auth audit-events automations brands bulk digests inbound lists messages notifications preferences"
    " profiles providers requests routing-strategies send tenants translations users"
)
_REACH = "automations communication-groups resources segments"
_PLAIN = frozenset({Family.COURIER, Family.SIGN_UP})
_FAMILIES: Mapping[tuple[str, ...], Family] = {
    **{(name,): Family.COURIER for name in _COURIER.split()},
    **{("api", name): Family.REACH for name in _REACH.split()},
    ("partner",): Family.REACH,
    ("v1",): Family.SIGN_UP,
}


def family_of(path: str) -> Family:
    """The family of a path: `/profiles/ana` is Courier's, `/profilesx` is nobody's."""
    segments = tuple(path.strip("/").split("/")[:2])
    return _FAMILIES.get(segments) or _FAMILIES.get(segments[:1]) or Family.OURS


class Answer(NamedTuple):
    """An answer as it goes out."""

    status: int
    headers: dict[str, str]
    body: bytes


def answer(fault: Exception, path: str) -> Answer:
    """What is answered to a request for this path that failed."""
    known = _known(fault, path)
    family = family_of(path)
    # Courier and Sign-Up.to know no 422: what is wrong with a body is a 400 there (journeys.md J13).
    is_plain = family in _PLAIN and not isinstance(known, errors.KeyReused)
    status = 400 if is_plain and known.status == 422 else known.status
    headers = {"content-type": "application/json", **_headers(fault, known)}
    if family is Family.COURIER and status == 409 and known.retry_after is None:
        # Courier's clients try a 409 again unless they are told that it will not go away (journeys.md J17).
        headers["x-should-retry"] = "false"
    return Answer(status, headers, msgspec.json.encode(_SHAPES[family](known, status)))


def _known(fault: Exception, path: str) -> errors.HeliographError:
    if isinstance(fault, errors.HeliographError):
        if fault.status == 500:
            _log.error("request_failed", path=path, error=fault.message, exc_info=fault)
        return fault
    if isinstance(fault, HTTPException):
        return _from_framework(fault, path)
    _log.error("request_failed", path=path, error=str(fault), exc_info=fault)
    return errors.HeliographError()


def _from_framework(fault: HTTPException, path: str) -> errors.HeliographError:
    if fault.status_code == 404:
        return errors.NotFound(f"there is nothing at {path}")
    if fault.status_code == 405:
        return errors.MethodNotAllowed(f"{path} takes {_allowed(fault).removesuffix(', OPTIONS')}")
    if fault.status_code < 500:
        return errors.InvalidQuery(fault.detail)
    _log.error("request_failed", path=path, error=fault.detail, exc_info=fault)
    return errors.HeliographError()


def _allowed(fault: HTTPException) -> str:
    methods = str((fault.headers or {}).get("allow", "")).split(", ")
    return ", ".join([*sorted({*methods} - {"OPTIONS"}), "OPTIONS"])


def _headers(fault: Exception, known: errors.HeliographError) -> dict[str, str]:
    found = {}
    if known.status == 401:
        found["www-authenticate"] = "Bearer"
    if isinstance(fault, HTTPException) and fault.status_code == 405:
        found["allow"] = _allowed(fault)
    if known.retry_after is not None or known.status in (429, 503):
        found["retry-after"] = str(max(1, math.ceil(known.retry_after or 1)))
    return found


# ── the shapes ──────────────────────────────────────────────────────────────────────────────────────


def _details(known: errors.HeliographError) -> list[dict[str, str]]:
    return [{"path": _printable(fault.path), "message": _printable(fault.message)} for fault in known.faults]


def _printable(text: str) -> str:
    """The text without halves of surrogate pairs, which came from whoever sent them and cannot be encoded."""
    return text.encode("utf-8", "backslashreplace").decode()


def _ours(known: errors.HeliographError, _status: int) -> dict[str, Any]:
    return {
        "error": {"code": known.code, "message": _printable(known.message), "details": _details(known)},
    }


_COURIER_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    429: "rate_limit_error",
}


def _courier(known: errors.HeliographError, status: int) -> dict[str, Any]:
    kind = _COURIER_TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"message": _printable(known.message), "type": kind, "errors": _details(known)}


def _reach(known: errors.HeliographError, _status: int) -> dict[str, Any]:
    return {"success": False, "message": _printable(known.message), "errors": _details(known)}


def _sign_up(known: errors.HeliographError, status: int) -> dict[str, Any]:
    # There is one message for everything that is wrong.
    message = "; ".join(str(fault) for fault in known.faults) or known.message
    response = {
        "code": status,
        "subcode": known.subcode,
        "message": _printable(message),
        "resource_id": known.resource_id,
    }
    return {"status": "error", "response": response}


_SHAPES: Mapping[Family, Callable[[errors.HeliographError, int], dict[str, Any]]] = {
    Family.OURS: _ours,
    Family.COURIER: _courier,
    Family.REACH: _reach,
    Family.SIGN_UP: _sign_up,
}
