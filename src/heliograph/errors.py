"""One tree of errors.

Law: every error the program means to show is a class here. Its docstring is the default message,
`code` is stable on the wire and in logs, `status` is the HTTP status. A fault names a place in the
input and what to do about it. Nothing here knows HTTP frameworks, databases or the clock.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from difflib import get_close_matches
from typing import NamedTuple


class Fault(NamedTuple):
    """One thing wrong with an input: `path` names the place (`actions[0].tags`), `message` the fault and its mend."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class HeliographError(Exception):
    """Something went wrong inside Heliograph."""

    code = "internal_error"
    status = 500
    subcode: int | None = None
    """What the `/v1` wire says beside the status."""
    resource_id: int | None = None
    """The number of what the error is about, on that wire."""

    def __init__(
        self, message: str | None = None, *, faults: Sequence[Fault] = (), retry_after: float | None = None
    ):
        self.faults = tuple(faults)
        self.retry_after = retry_after
        self.message = message or (str(self.faults[0]) if self.faults else type(self).default_message())
        super().__init__(self.message)

    @classmethod
    def default_message(cls) -> str:
        """The first paragraph of the class's docstring."""
        return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


# ── what a caller can mend ──────────────────────────────────────────────────────────────────────────


class InvalidInput(HeliographError):
    """The request breaks a rule; `details` lists each fault with its place."""

    code = "validation_failed"
    status = 422

    @classmethod
    def at(cls, path: str, message: str) -> InvalidInput:
        """One fault at one place."""
        return cls(faults=(Fault(path, message),))


class RenderFailed(HeliographError):
    """A template could not be filled; `details` says where and why."""

    code = "render_failed"
    status = 422

    @classmethod
    def at(cls, path: str, message: str) -> RenderFailed:
        """One fault in the text at one place."""
        return cls(faults=(Fault(path, message),))


class MalformedJson(HeliographError):
    """The body is not JSON that can be read."""

    code = "malformed_json"
    status = 400


class InvalidQuery(HeliographError):
    """A query parameter breaks a rule."""

    code = "invalid_query"
    status = 400


class Unauthenticated(HeliographError):
    """No valid API key was given: send it as `Authorization: Bearer <key>` or `X-API-Key: <key>`."""

    code = "unauthenticated"
    status = 401


class Forbidden(HeliographError):
    """This key's role does not allow the request."""

    code = "forbidden"
    status = 403


class NotFound(HeliographError):
    """There is no such thing here."""

    code = "not_found"
    status = 404


class MethodNotAllowed(HeliographError):
    """This path does not take that method."""

    code = "method_not_allowed"
    status = 405


class Conflict(HeliographError):
    """The request conflicts with what is stored."""

    code = "conflict"
    status = 409


class DependentGone(Conflict):
    """What the automation needs does not exist any more."""

    code = "dependent_gone"
    subcode = 12

    def __init__(self, message: str | None = None, *, resource_id: int | None = None):
        super().__init__(message)
        self.resource_id = resource_id


class KeyReused(HeliographError):
    """This Idempotency-Key came with another body before: use another key."""

    code = "idempotency_key_reused"
    status = 422


class TooLarge(HeliographError):
    """The body is larger than this path takes."""

    code = "too_large"
    status = 413


class UnsupportedMedia(HeliographError):
    """This path takes JSON: send `Content-Type: application/json`."""

    code = "unsupported_media_type"
    status = 415


class TooManyRequests(HeliographError):
    """The engine is behind with its work: send again after the time in Retry-After."""

    code = "backlog_full"
    status = 429


class TooManyBacktests(HeliographError):
    """As many backtests run as may run at once: send again when one has ended."""

    code = "backtests_busy"
    status = 429


class Unavailable(HeliographError):
    """The service cannot answer just now: nothing was changed, send again."""

    code = "unavailable"
    status = 503


# ── what an operator can mend ───────────────────────────────────────────────────────────────────────


class BadSetting(HeliographError):
    """A setting has a value that cannot be used."""

    code = "bad_setting"


class NoSecretKey(HeliographError):
    """Secrets are kept locked and no key is set: `heliograph secret key` makes one for HELIOGRAPH_SECRET_KEY."""

    code = "no_secret_key"
    status = 409


class WrongSecretKey(HeliographError):
    """A stored secret opens with none of the keys that are set: set the key that locked it beside the new one."""

    code = "wrong_secret_key"
    status = 503


class DatabaseNewer(HeliographError):
    """The database was written by a newer Heliograph than this one: upgrade the program; nothing was changed."""

    code = "database_newer"
    status = 503


class DatabaseOutdated(HeliographError):
    """The database's schema is older than this program: run `heliograph migrate`."""

    code = "database_outdated"
    status = 503


class DatabaseEncoding(HeliographError):
    """The database's encoding is not UTF8: `createdb --template template0 --encoding UTF8 --locale C` makes one."""

    code = "database_encoding"
    status = 503


class DatabaseTooOld(HeliographError):
    """PostgreSQL 15 or SQLite 3.35 or newer is needed: upgrade it; nothing was changed."""

    code = "database_too_old"
    status = 503


class DatabaseLocked(HeliographError):
    """Another process is using the database: stop it, or use PostgreSQL to run several processes."""

    code = "database_locked"
    status = 503


class DatabaseUnreachable(HeliographError):
    """The database cannot be reached."""

    code = "database_unreachable"
    status = 503


class DiskFull(HeliographError):
    """The disk of the database is full: what was under way was undone; free some space and try again."""

    code = "disk_full"
    status = 503


@contextlib.contextmanager
def placed(place: Callable[[str], str]) -> Iterator[None]:
    """What is refused within stands at other places of what was given: `place` says where that is."""
    try:
        yield
    except InvalidInput as refusal:
        raise InvalidInput(faults=[Fault(place(one.path), one.message) for one in refusal.faults]) from None


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """`, did you mean "equals"?` where a known word is near, else nothing; to end a fault's message with."""
    near = get_close_matches(given, list(known), n=1)
    return f', did you mean "{near[0]}"?' if near else ""


def unknown(what: str, given: object, known: Sequence[str]) -> str:
    """The message for what is none of the known words."""
    listed = ", ".join(known)
    if not isinstance(given, str):
        return f"is one of {listed}"
    return f'unknown {what} "{given}"{did_you_mean(given, known) or f" (known: {listed})"}'
