"""The step that waits: `delay` (journeys.md J5, J6).

Law: `until` wins over `duration`; a moment that has passed is no wait. Days and longer follow the clocks of the run's
zone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from heliograph import errors
from heliograph.core import delays, effects, expressions, fields, frames, plans, schedule


class Delay(NamedTuple):
    """Wait before the next step."""

    path: str
    duration: fields.Field | None
    until: fields.Field | None
    action: str = "delay"
    blocks: bool = True

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at; the run's profile for its zone."""
        return frozenset().union(*(field.reads for field in (self.duration, self.until) if field is not None))

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """The run's recipient, for the zone."""
        return () if run.context.recipient is None else (run.context.recipient,)

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """Wait until then."""
        at = self._at(scene, run, scope)
        output = {plans.WAKES_AT: schedule.write_instant(at)}
        return plans.pending(effects.Wait(at), output=output) if at > scene.now else plans.done(output=output)

    def _at(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> int:
        if self.until is not None:
            path = f"{self.path}.until"
            return delays.parse_until(fields.resolve(self.until, scope, path), path)
        assert self.duration is not None
        path = f"{self.path}.duration"
        duration = delays.parse_duration(fields.resolve(self.duration, scope, path), path)
        recipient = run.context.recipient
        stored = {} if recipient is None else run.people.get(recipient, {})
        zones = [
            profile.get(name)
            for profile in (run.context.profile, stored)
            for name in ("zoneinfo", "timezone")
        ]
        return delays.after(scene.now, duration, delays.zone_of(*zones, run.zone))


def read_delay(reader: frames.Reader) -> Delay:
    """A `delay` step. Faults are collected by the reader."""
    duration, until = reader.field("duration"), reader.field("until")
    if reader.raw("duration") is None and reader.raw("until") is None:
        reader.fault("", "needs `duration` or `until`")
    elif isinstance(until, fields.Literal):
        _check(reader, "until")
    elif until is None and isinstance(duration, fields.Literal):
        _check(reader, "duration")
    return Delay(reader.path, duration, until)


def _check(reader: frames.Reader, name: str) -> None:
    parse = delays.parse_until if name == "until" else delays.parse_duration
    try:
        parse(reader.raw(name), reader.at(name))
    except errors.InvalidInput as refusal:
        reader.faults += refusal.faults


KINDS = {"delay": (read_delay, ("duration", "until"))}
