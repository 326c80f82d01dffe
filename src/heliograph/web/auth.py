"""Who is asking, and what they may do.

Law: a key's role is looked up in one table, by the family of the path and the method, before anything of the request
is read. A key bound to a tenant sees that tenant alone: that is for the store's functions, which take its id.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Iterable
from typing import NamedTuple

from heliograph import errors
from heliograph.core import access_tokens, ids
from heliograph.store import database, keys
from heliograph.store.keys import Role

_FRESH = 2.0
"""Seconds for which a key is believed without another look: a revoked one counts no longer than that."""
_MOST_KNOWN = 10_000

OPEN = ("/healthz", "/readyz", "/metrics", "/schema", "/unsubscribe", "/t", "/inbound/providers")
"""What answers without a key: nothing in it belongs to anybody, its path is its own proof, or its body is signed."""

_BELOW_OPEN = tuple(f"{family}/" for family in OPEN)
_OPERATORS = frozenset({Role.ADMIN, Role.SUPERVISOR})
_READ = ("GET", "OPTIONS")

ROLES: tuple[tuple[str, tuple[str, ...], frozenset[Role]], ...] = (
    ("/api/automation/events", ("POST",), _OPERATORS | {Role.INGEST}),
    ("/inbound/*", ("POST",), _OPERATORS | {Role.INGEST}),
    ("/send", ("POST",), _OPERATORS | {Role.INGEST}),
    ("/profiles/*", ("POST",), frozenset(Role)),
    ("/automations/runs/*", (), _OPERATORS),
    ("/automations/batches/*", (), _OPERATORS),
    ("/automations/*", ("POST",), _OPERATORS | {Role.INGEST}),
    ("/profiles/*", (), _OPERATORS | {Role.AGENT}),
    ("/api/contacts", (), _OPERATORS | {Role.AGENT}),
    ("/api/contacts/*", (), _OPERATORS | {Role.AGENT}),
    ("/api/conversations", (), _OPERATORS | {Role.AGENT}),
    ("/api/conversations/*", (), _OPERATORS | {Role.AGENT}),
    ("/api/agents", _READ, _OPERATORS | {Role.AGENT}),
    ("/api/divisions", _READ, _OPERATORS | {Role.AGENT}),
    ("/messages", _READ, _OPERATORS | {Role.AGENT}),
    ("/messages/*", _READ, _OPERATORS | {Role.AGENT}),
    # The catalog is no secret; who sends for a workspace, and with which logins, is for admins.
    ("/providers/catalog", (), _OPERATORS),
    ("/providers", (), frozenset({Role.ADMIN})),
    ("/providers/*", (), frozenset({Role.ADMIN})),
    ("/*", (), _OPERATORS),
)
"""Which roles pass (engine.md E28): the first row that covers path and method decides.

`/*` covers everything below, a path without it itself alone; no methods are all methods.
"""


class Principal(NamedTuple):
    """Whoever holds the key of a request."""

    key_id: str
    number: int
    """What the `/v1` wire calls `user_id`."""
    workspace_id: int
    tenant_id: str | None
    """The tenant that the key is bound to; None = the whole workspace."""
    role: Role
    folders: tuple[str, ...] = ()
    """Of lists: those that they see where the workspace keeps folders apart."""
    grant: access_tokens.Grant | None = None
    """What they may ask, where it is no key that they hold but a token that one issued."""


class _Known(NamedTuple):
    principal: Principal
    until: float


class Keys:
    """The keys of a database, and the tokens that they issue, each remembered for two seconds by its digest."""

    def __init__(
        self,
        store: database.Database,
        stopwatch: Callable[[], float],
        read_token: Callable[[str], access_tokens.Grant | None] = lambda _: None,
    ):
        """`read_token` gives what a token says that is signed and not over."""
        self._store, self._stopwatch, self._read_token = store, stopwatch, read_token
        self._known: dict[bytes, _Known] = {}

    async def principal(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """Whoever sent these headers. Raises errors.Unauthenticated."""
        text = _key_in(headers)
        if text is None:
            raise errors.Unauthenticated
        digest = keys.digest(text)
        known = self._known.get(digest)
        if known is None or known.until < self._stopwatch():
            known = _Known(await asyncio.to_thread(self._look_up, text), self._stopwatch() + _FRESH)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[digest] = known
        return known.principal

    def _look_up(self, text: str) -> Principal:
        is_token = text.startswith(access_tokens.PREFIX)
        grant = self._read_token(text) if is_token else None
        issuer = None if grant is None else ids.parse(grant.key_id)
        with self._store.reading() as connection:
            key = keys.still(connection, issuer or b"") if is_token else keys.find(connection, text)
        if key is None:
            what = "token is not known, is over, or its key" if is_token else "API key is not known, or"
            raise errors.Unauthenticated(f"this {what} was revoked")
        return Principal(
            ids.text(key.id), key.number, key.workspace_id, key.tenant_id, key.role, key.folders, grant
        )


def _key_in(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    for name, value in headers:
        if name == b"x-api-key":
            return value.decode("latin-1").strip()
        if name == b"authorization":
            scheme, _, text = value.decode("latin-1").strip().partition(" ")
            if scheme.lower() == "bearer":
                return text.strip()
    return None


def is_open(path: str) -> bool:
    """Whether a path answers without a key."""
    return path in OPEN or path.startswith(_BELOW_OPEN)


def authorize(principal: Principal, method: str, path: str) -> None:
    """Let a request through. Raises errors.Forbidden where the key's role, or the token, does not allow it."""
    if principal.grant is not None:
        if not access_tokens.allows(principal.grant, method, path):
            raise errors.Forbidden(f"this token does not open {method} {path}")
        return
    allowed = roles_for(method, path)
    if principal.role not in allowed:
        raise errors.Forbidden(
            f"a key with the role {principal.role.value} may not {method} {path}:"
            f" it takes {' or '.join(role.value for role in Role if role in allowed)}"
        )


@functools.lru_cache(maxsize=1024)
def roles_for(method: str, path: str) -> frozenset[Role]:
    """The roles that pass for a method on a path."""
    return next(
        roles
        for pattern, methods, roles in ROLES
        if _covers(pattern, path) and (not methods or method in methods)
    )


def _covers(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("/*") else path == pattern
