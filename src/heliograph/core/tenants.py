"""Tenants: the organisations to which people belong, one below the other, and what a profile says there.

Law: of what several levels say, the nearer one wins: the root's, each level's down to the tenant's, what is stored of
the person, and last what is stored of them there (journeys.md A28). No chain is longer than MAX_LEVELS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import consent, people

MAX_LEVELS = 4
"""How many tenants may stand one above the other."""
MAX_ID, MAX_NAME = 200, 200
MOST_DEFAULTS = 200
"""Of how many topics a tenant may set what holds for its people who said nothing."""
_KEPT = ("name", "parent_tenant_id", "brand_id", "properties", "user_profile")
_DEFAULTS = "default_preferences"


def reaches(tenant_id: str | None, owner: str | None) -> bool:
    """Whether a tenant has to do with what this one owns: with its own, and what is the workspace's; None: with all."""
    return tenant_id is None or owner in (None, tenant_id)


class Definition(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is said of a tenant."""

    name: str
    parent_tenant_id: str | None = None
    brand_id: str | None = None
    properties: dict[str, Any] = {}
    user_profile: dict[str, Any] = {}
    """What the profile of everybody in it says, where theirs says nothing else."""


class Given(NamedTuple):
    """What somebody says of a tenant."""

    definition: Definition
    defaults: Mapping[str, consent.Topic] | None
    """What holds for its people who said nothing, by topic; None: what held before."""
    ignored: list[str]
    """What nobody knows."""


def define(given: Mapping[str, Any], region: str | None = None) -> Given:
    """The tenant that says this. Raises InvalidInput with its faults."""
    faults = []
    name = given.get("name")
    if name is None:
        faults.append(errors.Fault("name", "is required"))
    elif not isinstance(name, str) or not 1 <= len(name.strip()) <= MAX_NAME:
        faults.append(errors.Fault("name", f"is a text of 1 to {MAX_NAME} characters"))
    faults += [
        errors.Fault(key, "is a text, or null")
        for key in ("parent_tenant_id", "brand_id")
        if given.get(key) is not None and (not isinstance(given[key], str) or "\0" in given[key])
    ]
    if given.get("properties") is not None and not isinstance(given["properties"], dict):
        faults.append(errors.Fault("properties", "is an object, or null"))
    profile: dict[str, Any] = {}
    try:
        said = given.get("user_profile")
        profile = people.clean_profile({} if said is None else said, "user_profile", region)
    except errors.InvalidInput as refusal:
        faults += refusal.faults
    defaults, ignored = None, [*(given.keys() - {*_KEPT, _DEFAULTS})]
    try:
        if _DEFAULTS in given:
            defaults, more = _check_defaults(given[_DEFAULTS])
            ignored += more
    except errors.InvalidInput as refusal:
        faults += refusal.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
    kept = {key: given[key] for key in _KEPT if given.get(key) not in (None, "")}
    return Given(Definition(**{**kept, "user_profile": profile}), defaults, ignored)


def _check_defaults(given: object) -> tuple[Mapping[str, consent.Topic], list[str]]:
    """What holds for whoever said nothing, and the keys that were passed over. Raises InvalidInput."""
    if given is None:
        return {}, []
    if not isinstance(given, dict):
        raise errors.InvalidInput.at(_DEFAULTS, 'is an object such as {"items": []}, or null')
    items, unknown = given.get("items"), [f"{_DEFAULTS}.{name}" for name in given.keys() - {"items"}]
    if items is None:
        return {}, unknown
    found, more = consent.check_topics(items, f"{_DEFAULTS}.items", key="id", least=0, most=MOST_DEFAULTS)
    return found, [*unknown, *more]


def check_place(tenant_id: str, above: Sequence[str], below: int) -> None:
    """Raises InvalidInput where a tenant cannot stand here.

    `above` is its new parent and those above that, from below; `below` how many levels stand below it.
    """
    if tenant_id in above:
        raise errors.InvalidInput.at("parent_tenant_id", "is the tenant itself, or stands below it")
    if len(above) + 1 + below > MAX_LEVELS:
        raise errors.InvalidInput.at(
            "parent_tenant_id", f"makes {len(above) + 1 + below} levels: there may be {MAX_LEVELS}"
        )


def profile_in(
    levels: Sequence[people.Profile], stored: people.Profile, own: people.Profile | None
) -> dict[str, Any]:
    """A person's profile in a tenant: `levels` is what each level says, the root first, `own` what is stored there."""
    merged: dict[str, Any] = {}
    for level in (*levels, stored, own or {}):
        merged = people.merge("overwrite", merged, level)
    return merged


_definition = msgspec.json.Decoder(Definition)
_decode = msgspec.json.Decoder().decode


class Place(NamedTuple):
    """A tenant, and what is stored of somebody there."""

    levels: Sequence[Definition]
    """Each level, the root first."""
    own: people.Profile | None
    """None where they are not with it."""
    seen: Mapping[str, Any]
    """The tenant as texts see it."""

    def profile(self, stored: people.Profile) -> dict[str, Any]:
        """What is known there of somebody of whom this is stored."""
        return profile_in([level.user_profile for level in self.levels], stored, self.own)

    @property
    def brand_id(self) -> str | None:
        """The brand of the nearest level that names one."""
        return next((level.brand_id for level in reversed(self.levels) if level.brand_id), None)


def placed(tenant_id: str, levels: Sequence[bytes | str], own: bytes | str | None) -> Place:
    """A tenant as it is stored, and somebody's being with it."""
    read = [_definition.decode(level) for level in levels]
    seen: dict[str, Any] = {}
    for level in read:
        seen |= level.properties
    name = read[-1].name if read else tenant_id
    return Place(read, None if own is None else _decode(own), {**seen, "id": tenant_id, "name": name})
