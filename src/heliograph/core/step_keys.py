"""Step keys: what a step with an `idempotency_key` does once, however many runs ask for it (journeys.md J16, A26, A59).

Law: a key holds for a workspace and an action, from the first step that was taken with it (of a fetch: that succeeded)
until it expires. A later one does nothing and says whose it was.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import delays, expressions, fields, frames, plans, schedule

MAX_KEY = 255
FIELDS = ("idempotency_key", "idempotency_expiry")
KEPT = "idempotency"
"""The key of a step's output that says which key it has used, and until when."""
REPEATS = "repeats"
"""The key of a step's output that says which run had used its key before."""


class Kept(msgspec.Struct, frozen=True):
    """What a step's output says of its key."""

    action: str
    key: str
    expires_at: str


class Once(NamedTuple):
    """The key of a step, and until when it holds."""

    path: str
    key: fields.Field | None
    expiry: fields.Field | None

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at."""
        return frozenset().union(*(field.reads for field in (self.key, self.expiry) if field is not None))

    def named(self, scope: expressions.Scope) -> str | None:
        """The key in this scope; None where there is none. Raises RenderFailed."""
        if self.key is None:
            return None
        path = f"{self.path}.idempotency_key"
        value = fields.resolve(self.key, scope, path, fields.Role.MESSAGE)
        key = frames.text(value, path)
        if len(key) > MAX_KEY:
            raise errors.RenderFailed.at(path, f"takes at most {MAX_KEY} characters")
        return key or None

    def used(self, action: str, run: frames.Run, scope: expressions.Scope) -> frames.Used | None:
        """Who has used it before, if anybody. Raises Unseen."""
        key = self.named(scope)
        return None if key is None else run.keys.get((action, key))

    def noted(self, outcome: plans.Outcome, action: str, scope: expressions.Scope) -> plans.Outcome:
        """What a step came to that uses it: one that asked for something says so."""
        if self.key is None or not outcome.effects:
            return outcome
        return msgspec.structs.replace(outcome, output={**outcome.output, **self.kept(action, scope)})

    def kept(self, action: str, scope: expressions.Scope) -> dict[str, Any]:
        """What the output of a step says that uses it."""
        key = self.named(scope)
        if key is None:
            return {}
        expires_at = scope.now + delays.SHORTEST_KEPT
        if self.expiry is not None:
            path = f"{self.path}.idempotency_expiry"
            value = fields.resolve(self.expiry, scope, path)
            expires_at = (
                delays.parse_expiry(value, scope.now, path) if value not in (None, "") else expires_at
            )
        return {KEPT: {"action": action, "key": key, "expires_at": schedule.write_instant(expires_at)}}


def read(reader: frames.Reader) -> Once:
    """The key of a step. Faults are collected by the reader."""
    key, expiry = (reader.field(name) for name in FIELDS)
    if isinstance(key, fields.Literal) and (
        not isinstance(key.value, str | int) or len(str(key.value)) > MAX_KEY
    ):
        reader.fault("idempotency_key", f"is a text of at most {MAX_KEY} characters")
    if isinstance(expiry, fields.Literal):
        try:
            delays.parse_expiry(expiry.value, 0, reader.at("idempotency_expiry"))
        except errors.InvalidInput as refusal:
            reader.faults += refusal.faults
    return Once(reader.path, key, expiry)


def kept_in(record: Any) -> Kept | None:
    """The key that a step has used, by its record: that of a fetch only once it has succeeded (A26)."""
    found = record.output.get(KEPT) if isinstance(record.output, dict) else None
    if found is None or (plans.REQUEST in record.output and record.status != plans.Status.SUCCEEDED):
        return None
    return msgspec.convert(found, Kept)
