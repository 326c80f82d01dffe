"""The step that lets no more than so many pass: `throttle` (journeys.md J18, A69, A70).

Law: of a group at most `max_allowed` runs pass in any `period`, counted back from the moment at which one comes; who
comes too many ends there, THROTTLED. A group is decided in one place, one run after the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from heliograph import errors
from heliograph.core import delays, effects, expressions, fields, frames, ids, plans

SCOPES = ("user", "global", "dynamic")
MOST_ALLOWED = 1_000
FIELDS = ("max_allowed", "period", "scope", "throttle_key", "should_alert", "on_throttle")


class Throttle(NamedTuple):
    """Pass, or end here."""

    path: str
    given: Mapping[str, fields.Field]
    action: str = "throttle"
    blocks: bool = True

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at; the run's data and profile for its user."""
        return frozenset({"data", "profile"}).union(*(field.reads for field in self.given.values()))

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """Nobody's."""
        return ()

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """Ask whether it may pass."""
        values = {
            name: fields.resolve(field, scope, f"{self.path}.{name}") for name, field in self.given.items()
        }
        faults = [errors.Fault(f"{self.path}.{name}", told) for name, told in _faults(values)]
        if faults:
            raise errors.RenderFailed(faults=faults)
        period = delays.parse_period(values["period"], f"{self.path}.period")
        kind, key = str(values["scope"]), values.get("throttle_key")
        group = [kind, frames.name_if_any(key, f"{self.path}.throttle_key")]
        if kind != "dynamic":
            group += [ids.text(run.automation), self.path]
        if kind == "user":
            group.append(_user(run, self.path))
        asked = effects.Throttle(tuple(group), int(values["max_allowed"]), period)
        return plans.pending(asked, output={plans.REQUEST: "throttle"})


def _user(run: frames.Run, path: str) -> str:
    if run.context.user is None:
        raise errors.RenderFailed.at(
            f"{path}.scope", "is user, and the run has none: neither a recipient nor a user_id in its data"
        )
    return frames.name(run.context.user, f"{path}.scope")


def _faults(values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    most = values.get("max_allowed")
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= MOST_ALLOWED:
        yield "max_allowed", f"is a whole number, 1 to {MOST_ALLOWED:,}"
    if values.get("scope") not in SCOPES:
        yield "scope", errors.unknown("scope", values.get("scope"), SCOPES)
    elif values["scope"] == "dynamic" and values.get("throttle_key") in (None, ""):
        yield "throttle_key", "is required where the scope is dynamic"


def read_throttle(reader: frames.Reader) -> Throttle:
    """A `throttle` step; what of it is literal is checked now."""
    found = {name: reader.field(name) for name in FIELDS[:3]} | {FIELDS[3]: reader.named(FIELDS[3])}
    given = {name: field for name, field in found.items() if field is not None}
    dynamic = {name for name, field in given.items() if not isinstance(field, fields.Literal)}
    for name in ("max_allowed", "period", "scope"):
        if reader.raw(name) is None:
            reader.fault(name, "is required")
    values = {name: field.value for name, field in given.items() if isinstance(field, fields.Literal)}
    if "throttle_key" in dynamic:
        values["throttle_key"] = "told later"
    for name, told in _faults(values):
        if (name in given and name not in dynamic) or (name == "throttle_key" and "scope" in values):
            reader.fault(name, told)
    if "period" in values:
        try:
            delays.parse_period(values["period"], reader.at("period"))
        except errors.InvalidInput as refusal:
            reader.faults += refusal.faults
    if reader.raw("should_alert") not in (None, False):
        reader.fault("should_alert", "is false: nobody is alerted")
    if reader.raw("on_throttle") is not None and not isinstance(reader.raw("on_throttle"), dict):
        reader.fault("on_throttle", "is an object; whatever it says, the run ends")
    return Throttle(reader.path, given)


KINDS = {"throttle": (read_throttle, FIELDS)}
