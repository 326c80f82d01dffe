"""Steps that read and write stored profiles: `get-profile`, `update-profile` (journeys.md 1.6, A28, A29, A64, A65).

Law: a profile is read as it stands when the step is taken, and written by the turn of whoever it is: the run goes on
when it stands there. What cannot be found is told of the step, and nothing is merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import effects, expressions, fetches, fields, frames, people, plans, pseudonyms, tenants

_PROFILE, _DATA = "profile", "data."
_NAMES = ("user_id", "path", "tenant_id")


class GetProfile(NamedTuple):
    """Bring a stored profile into what the run holds."""

    path: str
    given: Mapping[str, fields.Field]
    action: str = "get-profile"
    blocks: bool = False

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at."""
        return frozenset().union(*(field.reads for field in self.given.values()))

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """Whose profile it is."""
        return (self._named("user_id", scope) or "",)

    def tenants(self, run: frames.Run, scope: expressions.Scope) -> Iterable[tuple[str, str]]:
        """Where it is looked at, if anywhere."""
        tenant_id = self._named("tenant_id", scope)
        return () if tenant_id is None else ((self._named("user_id", scope) or "", tenant_id),)

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """Read it."""
        user_id, tenant_id = self._named("user_id", scope), self._named("tenant_id", scope)
        if not user_id:
            raise errors.RenderFailed.at(f"{self.path}.user_id", "is empty")
        target = self._named("path", scope) or _PROFILE
        fault = _path_fault(target)
        if fault is not None:
            raise errors.RenderFailed.at(f"{self.path}.path", fault)
        place = f"{self.path}.merge_strategy"
        strategy = fetches.strategy_of(self.given.get("merge_strategy"), "soft-merge", scope, place)
        stored = run.stored.get(user_id)
        if stored is None:
            return plans.failed(f"there is no profile {user_id!r}")
        found = dict(stored)
        if tenant_id is not None:
            there = run.tenants.get((user_id, tenant_id))
            if there is None:
                return plans.failed(f"there is no tenant {tenant_id!r}")
            found = tenants.profile_in(there.levels, stored, there.own)
        output = {"user_id": user_id, "path": target, "merge_strategy": strategy, fetches.FETCHED: found}
        return plans.done(output=output)

    def left(self, context: expressions.Context, output: dict[str, Any]) -> expressions.Context:
        """The run's context with the profile in it."""
        found, strategy, target = output[fetches.FETCHED], output["merge_strategy"], output["path"]
        if target == _PROFILE:
            return msgspec.structs.replace(context, profile=people.merge(strategy, context.profile, found))
        name = target.removeprefix(_DATA)
        before = context.data.get(name)
        if before is not None and not isinstance(before, dict):
            # There is no merging with what is no object: it is replaced, or left.
            before, strategy = {}, "replace" if strategy in ("replace", "overwrite") else ""
        if not strategy:
            return context
        return msgspec.structs.replace(
            context, data={**context.data, name: people.merge(strategy, before, found)}
        )

    def _named(self, name: str, scope: expressions.Scope) -> str | None:
        field, path = self.given.get(name), f"{self.path}.{name}"
        if field is None:
            return None
        return frames.name_if_any(fields.resolve(field, scope, path, fields.Role.MESSAGE), path)


def _path_fault(given: object) -> str | None:
    name = given.removeprefix(_DATA) if isinstance(given, str) else ""
    if given == _PROFILE or (name and name != given and "." not in name):
        return None
    return 'is "profile", or "data." and the name of a field'


def read_get_profile(reader: frames.Reader) -> GetProfile:
    """A `get-profile` step."""
    given = {name: field for name in _NAMES if (field := reader.named(name)) is not None}
    if reader.raw("user_id") is None:
        reader.fault("user_id", "is required: whose profile is to be read")
    strategy = fetches.read_strategy(reader, "merge_strategy")
    if strategy is not None:
        given["merge_strategy"] = strategy
    target = given.get("path")
    if isinstance(target, fields.Literal) and (fault := _path_fault(target.value)):
        reader.fault("path", fault)
    return GetProfile(reader.path, given)


class UpdateProfile(NamedTuple):
    """Write somebody's stored profile."""

    path: str
    recipient: fields.Field | None
    profile: fields.Field | None
    strategy: fields.Field | None
    action: str = "update-profile"
    blocks: bool = True

    @property
    def reads(self) -> frozenset[str]:
        """What its fields look at."""
        parts = (self.recipient, self.profile, self.strategy)
        return frozenset().union(*(part.reads for part in parts if part is not None))

    def people(self, run: frames.Run, scope: expressions.Scope) -> Iterable[str]:
        """Whose profile it is."""
        return (self._user_id(run, scope),)

    def take(self, scene: plans.Scene, run: frames.Run, scope: expressions.Scope) -> plans.Outcome:
        """Let it be written."""
        user_id, path = self._user_id(run, scope), f"{self.path}.profile"
        strategy = fetches.strategy_of(self.strategy, "replace", scope, f"{self.path}.merge")
        given = self._given(run, scope, path)
        if given is None:
            return plans.failed(f"{path}: there is none, neither here nor of the run itself")
        cleaned = people.clean_profile(given, path, scene.region)
        if len(msgspec.json.encode(cleaned)) > people.MAX_BYTES:
            raise errors.RenderFailed.at(path, people.TOO_LARGE)
        # Whoever writes it has looked at it: raises Unseen where nobody has.
        run.people.get(user_id)
        output = {"recipient_id": user_id, "merge": strategy}
        return plans.pending(effects.SaveProfile(user_id, cleaned, strategy, answers=True), output=output)

    def _given(self, run: frames.Run, scope: expressions.Scope, path: str) -> dict[str, Any] | None:
        """What is to be written; None where nothing was said, which must not empty a profile."""
        if self.profile is None:
            return dict(run.context.profile) or None
        value = fields.resolve(self.profile, scope, path)
        return None if value is None else frames.mapping(value, path)

    def _user_id(self, run: frames.Run, scope: expressions.Scope) -> str:
        path = f"{self.path}.recipient_id"
        value: Any = run.context.recipient
        if self.recipient is not None:
            value = fields.resolve(self.recipient, scope, path, fields.Role.MESSAGE)
        user_id = frames.text(value, path)
        if not 1 <= len(user_id) <= people.MAX_ID:
            raise errors.RenderFailed.at(path, f"takes 1 to {people.MAX_ID} characters")
        return pseudonyms.refuse(user_id, path)


def read_update_profile(reader: frames.Reader) -> UpdateProfile:
    """An `update-profile` step."""
    profile = reader.field("profile")
    if isinstance(profile, fields.Literal):
        # Where a telephone number without a country code is read is known when the step is taken.
        given = profile.value
        if isinstance(given, dict):
            given = {name: value for name, value in given.items() if name != "phone_number"}
        try:
            people.clean_profile(given, reader.at("profile"))
        except errors.InvalidInput as refusal:
            reader.faults += refusal.faults
    elif isinstance(profile, fields.Text | fields.Items):
        reader.fault("profile", "is an object")
    strategy = fetches.read_strategy(reader, "merge")
    return UpdateProfile(reader.path, reader.named("recipient_id"), profile, strategy)


KINDS = {
    "get-profile": (read_get_profile, (*_NAMES, "merge_strategy")),
    "update-profile": (read_update_profile, ("recipient_id", "profile", "merge")),
}
