"""The step that waits: `delay` (journeys.md J5, J6).

Law: `until` wins over `duration`; a moment that has passed is no wait. Days and longer follow the clocks of the run's
zone: of the profile, else of its tenant, else of the workspace (engine.md E32).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

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

    @property
    def is_own(self) -> bool:
        """The zone may be the recipient's."""
        return True

    @property
    def is_placing(self) -> bool:
        """Whether a zone may matter: to days and longer."""
        if self.duration is None or isinstance(self.until, fields.Literal):
            return False
        if not isinstance(self.duration, fields.Literal):
            return True
        span = delays.parse_duration(self.duration.value)
        return bool(span.months or span.days)

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """The run's recipient, for the zone."""
        return (run.context.recipient,) if run.context.recipient else ()

    def tenants(self, run: frames.Run, scope: expressions.Scope) -> Iterable[tuple[str, str]]:
        """The run's own, for the zone."""
        return () if run.tenant_id is None else ((run.context.recipient or "", run.tenant_id),)

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """Wait until then."""
        at = self._at(scene, run, scope)
        output = {plans.WAKES_AT: schedule.write_instant(at)}
        return plans.pending(effects.Wait(at), output=output) if at > scene.now else plans.done(output=output)

    def _at(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> int:
        path = f"{self.path}.until"
        until = None if self.until is None else fields.resolve(self.until, scope, path)
        # A moment that the run does not say is none that was given: the duration counts, where there is one.
        if self.duration is None or until not in (None, ""):
            return delays.parse_until(until, path)
        path = f"{self.path}.duration"
        duration = delays.parse_duration(fields.resolve(self.duration, scope, path), path)
        if not (duration.months or duration.days):
            return scene.now + duration.elapsed
        return delays.after(scene.now, duration, _zone(run))


def _zone(run: frames.Run) -> str:
    """The zone by whose clocks it waits: whoever is nearer to the person says it (E32)."""
    recipient = run.context.recipient
    told: list[Mapping[str, Any]] = [run.context.profile]
    there = None if run.tenant_id is None else run.tenants.get((recipient or "", run.tenant_id))
    if there is not None and there.own is not None:
        told.append(there.own)
    if recipient is not None:
        told.append(run.people.get(recipient, {}))
    if there is not None:
        told += [*reversed(there.levels), *reversed(there.properties)]
    return delays.zone_told(told, run.zone)


def read_delay(reader: frames.Reader) -> Delay:
    """A `delay` step. Faults are collected by the reader."""
    duration, until = reader.field("duration"), reader.field("until")
    if reader.raw("duration") is None and reader.raw("until") is None:
        reader.fault("", "needs `duration` or `until`")
    elif isinstance(until, fields.Literal):
        reader.check(until, "until", delays.parse_until)
    else:
        reader.check(duration, "duration", delays.parse_duration)
    return Delay(reader.path, duration, until)


KINDS = {"delay": (read_delay, ("duration", "until"))}
