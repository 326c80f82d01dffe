"""Segment: a group of people that is defined by conditions, and audiences made of segments.

Law: all conditions of a segment must hold; an operator means what it means in rules (operators.py), after both sides
were read as the field's declared type, and a negative one is exactly the negation of its twin, for absent fields too
(segments-and-campaigns.md A13 to A18). A tenant's segment holds that tenant's customers alone. An audience is who is in
an included segment and in no excluded one. Nothing here knows where segments and people are kept.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from heliograph import errors
from heliograph.core import (
    conditions,
    documents,
    exposures,
    operators,
    people,
    predicates,
    readers,
    segment_values,
    values,
)

ALL_USERS: Final = "all_users"
"""The id of the segment that everybody is in: it is built in, and nobody can change it."""

STATUSES: Final = ("active", "deactivated")
WRITABLE: Final = ("name", "description", "conditions", "status")

BUILT_IN: Final[Mapping[str, str]] = {
    "user_id": "string",
    "email": "email",
    "phone": "phone",
    "first_name": "string",
    "last_name": "string",
}
"""The fields that every contact has, with their types."""

KNOWN: Final[Mapping[str, str]] = {
    **BUILT_IN,
    "birthdate": "date",
    "locale": "string",
    "zoneinfo": "string",
}
"""The fields whose type is known to every workspace; what else a profile holds is typed by what it is compared with."""

OPERATORS: Final = ("equals", "not_equals", "greater_than", "less_than", "exists", "not_exists")
"""The operators of the source document, and two of ours."""

ORDERED: Final = segment_values.ORDERED
_MOST_CONDITIONS, _LONGEST_FIELD = 100, 255
_KEYS = ("field", "operator", "value")
_KEPT = ("path", "type")
"""What is kept besides of an exposed field: where it stands, and its type."""


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A segment as people write and read it."""

    name: str
    description: str | None = None
    conditions: list[dict[str, Any]]
    status: str = "active"


EVERYBODY: Final = Definition(
    name="All users", description="Everybody: built in, and always there.", conditions=[]
)
"""What the segment of everybody says."""


class Owned(NamedTuple):
    """What a segment says, and whose it is."""

    definition: Definition
    tenant_id: str | None = None
    """Whose customers alone it holds; None: everybody's."""


class Test(NamedTuple):
    """One condition of a segment, understood."""

    written: dict[str, Any]
    keys: tuple[str, ...]
    """Where in the person's view (`view`) the field stands."""
    meaning: operators.Meaning
    reading: exposures.Reading | None = None
    """For an exposed field whose path may meet several values: any of them will do."""


# ── reading what people write ───────────────────────────────────────────────────────────────────────


def define(
    given: Mapping[str, Any], region: str | None = None, exposed: exposures.Exposed = exposures.NOTHING
) -> Definition:
    """A new segment from a request's body. Raises errors.InvalidInput with every fault at its place."""
    faults = documents.unknown_keys(given, (*WRITABLE, "type"), "")
    faults += [errors.Fault(name, "is required") for name in ("name", "conditions") if name not in given]
    if given.get("type", "custom") != "custom":
        faults.append(errors.Fault("type", 'is "custom": the segment of everybody, all_users, is built in'))
    found, more = _checked(given, region, exposed)
    if faults or more:
        raise errors.InvalidInput(faults=[*faults, *more])
    return Definition(**found)


def change(
    stored: Definition,
    given: Mapping[str, Any],
    region: str | None = None,
    exposed: exposures.Exposed = exposures.NOTHING,
) -> Definition:
    """A stored segment with the given fields replaced, each whole. Raises errors.InvalidInput."""
    faults = documents.unknown_keys(given, WRITABLE, "")
    found, more = _checked(given, region, exposed)
    if faults or more:
        raise errors.InvalidInput(faults=[*faults, *more])
    return msgspec.structs.replace(stored, **found)


def shown(definition: Definition) -> list[dict[str, Any]]:
    """The conditions as people wrote them, without what was kept of an exposed field."""
    return [
        {name: value for name, value in one.items() if name not in _KEPT} for one in definition.conditions
    ]


def fields_used(definition: Definition) -> frozenset[str]:
    """The fields that its conditions name."""
    return frozenset(one["field"] for one in definition.conditions)


def _checked(
    given: Mapping[str, Any], region: str | None, exposed: exposures.Exposed
) -> tuple[dict[str, Any], list[errors.Fault]]:
    found, faults = readers.checked(given, _FIELDS)
    if "conditions" in given:
        try:
            found["conditions"] = [
                test.written for test in parse(given["conditions"], region=region, exposed=exposed)
            ]
        except errors.InvalidInput as refusal:
            faults += refusal.faults
    return found, faults


def _status(value: object, path: str) -> str:
    if value in STATUSES:
        return str(value)
    if isinstance(value, str):
        raise errors.InvalidInput.at(path, documents.unknown("status", value, STATUSES))
    raise errors.InvalidInput.at(path, f"is {' or '.join(STATUSES)}")


_FIELDS: Final[Mapping[str, Callable[[object, str], Any]]] = {
    "name": readers.name,
    "description": readers.description,
    "status": _status,
}


def parse(
    given: object,
    path: str = "conditions",
    *,
    types: Mapping[str, str] = KNOWN,
    region: str | None = None,
    exposed: exposures.Exposed = exposures.NOTHING,
    is_stored: bool = False,
) -> tuple[Test, ...]:
    """The conditions of a segment; `types` are the declared types of fields, by name.

    A field that is exposed keeps its path and type in the condition: what is stored says itself what it reads.

    A telephone number is kept in E.164, read in `region` where it has no country code. Raises errors.InvalidInput
    with every fault at its place.
    """
    if not isinstance(given, list):
        raise errors.InvalidInput.at(path, 'is a list such as [{"field": …, "operator": …, "value": …}]')
    if not given:
        raise errors.InvalidInput.at(
            path, f'takes at least one condition: for everybody there is "{ALL_USERS}"'
        )
    if len(given) > _MOST_CONDITIONS:
        raise errors.InvalidInput.at(path, f"takes at most {_MOST_CONDITIONS} conditions")
    tests: list[Test] = []
    faults: list[errors.Fault] = []
    for index, one in enumerate(given):
        try:
            place = documents.below(path, index)
            if is_stored:
                tests.append(_stored_test(one, place, types))
            else:
                tests.append(_exposed_test(one, place, types, region, exposed))
        except errors.InvalidInput as refusal:
            faults += refusal.faults
    if faults:
        raise errors.InvalidInput(faults=faults[: documents.MAX_FAULTS])
    return tuple(tests)


def _exposed_test(
    given: object, path: str, types: Mapping[str, str], region: str | None, exposed: exposures.Exposed
) -> Test:
    """A condition of a field that segments may name. Raises errors.InvalidInput."""
    field = given.get("field") if isinstance(given, dict) else None
    if isinstance(given, dict) and isinstance(field, str):
        known = exposed.fields.get(field)
        fault = None if field in types and known is None else exposed.fault(field, "segments")
        if fault is not None:
            raise errors.InvalidInput.at(documents.below(path, "field"), fault)
        if known is not None:
            kind = segment_values.exposed(exposed.types.get(field), region)
            made = _test(given, path, {**types, **({field: kind} if kind else {})}, region)
            kept = {"path": known.json_path, "type": kind}
            return _along(made._replace(written={**made.written, **kept}), known.json_path)
    return _test(given, path, types, region)


def _stored_test(given: dict[str, Any], path: str, types: Mapping[str, str]) -> Test:
    """A condition as it was kept."""
    plain = {name: value for name, value in given.items() if name not in _KEPT}
    if "path" not in given:
        return _test(plain, path, types, None)
    kind = given.get("type")
    made = _test(plain, path, {**types, **({given["field"]: kind} if kind else {})}, None)
    return _along(made._replace(written=given), given["path"])


def _along(test: Test, written: str) -> Test:
    """The test of what stands at a path."""
    reading = exposures.Reading(written)
    if reading.keys is None:
        return test._replace(reading=reading)
    return test._replace(keys=reading.keys)


def _test(given: object, path: str, types: Mapping[str, str], region: str | None) -> Test:
    if not isinstance(given, dict):
        raise errors.InvalidInput.at(path, 'is an object such as {"field": …, "operator": …, "value": …}')
    faults = documents.unknown_keys(given, _KEYS, path)
    field, operator, value = given.get("field"), given.get("operator"), given.get("value")
    keys: tuple[str, ...] = ()
    try:
        keys = _place(field, documents.below(path, "field"))
    except errors.InvalidInput as refusal:
        faults += refusal.faults
    if not isinstance(operator, str):
        faults.append(errors.Fault(documents.below(path, "operator"), f"is one of {', '.join(OPERATORS)}"))
    elif operator not in OPERATORS:
        message = documents.unknown("operator", operator, OPERATORS)
        faults.append(errors.Fault(documents.below(path, "operator"), message))
    if faults:
        raise errors.InvalidInput(faults=faults)
    name = ".".join(keys)
    kind = types.get(name)
    place = documents.below(path, "value")
    value = segment_values.kept(str(operator), value, "value" in given, kind, place, region)
    try:
        meaning = operators.meaning(str(operator), value, segment_values.type_of(kind, str(operator), value))
    except ValueError as refusal:
        raise errors.InvalidInput.at(place, str(refusal)) from None
    written = {"field": name, "operator": operator, **({} if value is None else {"value": value})}
    return Test(written, keys, meaning)


def _place(field: object, path: str) -> tuple[str, ...]:
    if not isinstance(field, str) or not field:
        raise errors.InvalidInput.at(path, f"is {', '.join(BUILT_IN)}, or a path into the profile")
    if len(field) > _LONGEST_FIELD:
        raise errors.InvalidInput.at(path, f"takes at most {_LONGEST_FIELD} characters")
    keys = tuple(field.removeprefix("$").removeprefix(".").split("."))
    if "" in keys:
        raise errors.InvalidInput.at(path, "has no empty names: write loyalty.points, not loyalty..points")
    return keys


# ── who is in ───────────────────────────────────────────────────────────────────────────────────────


def external_id(user_id: str, tenant_id: str | None) -> str:
    """A contact's id as its business knows it: a tenant's customers are kept as `<business_id>:<id>` (E14)."""
    return user_id if tenant_id is None else user_id.removeprefix(f"{tenant_id}:")


def view(user_id: str, tenant_id: str | None, profile: Mapping[str, Any]) -> dict[str, Any]:
    """A person as conditions and merge fields see them: the profile, and the built-in fields, which win."""
    zone = people.attribute(profile, "zoneinfo")
    return {
        **(profile if zone is None else {**profile, "zoneinfo": zone}),
        "user_id": external_id(user_id, tenant_id),
        "email": people.email_of(profile),
        "phone": people.phone_of(profile),
        "first_name": people.attribute(profile, "given_name"),
        "last_name": people.attribute(profile, "family_name"),
    }


class Members(NamedTuple):
    """A segment, ready to judge people: all of it must hold."""

    condition: conditions.Condition
    several: tuple[Test, ...] = ()
    """The tests of fields that may have several values."""
    tenant_id: str | None = None
    """Whose customers alone it holds; None: everybody's."""

    def others_hold(self, person: Mapping[str, Any]) -> bool:
        """Whether the tests of fields with several values hold of a person."""
        return all(_any_holds(test, person) for test in self.several)

    def may_hold(self, person: Mapping[str, Any], tenant_id: str | None) -> bool:
        """Whether a customer of this tenant may be in, and the tests of fields with several values hold."""
        return self.tenant_id in (None, tenant_id) and self.others_hold(person)


def _any_holds(test: Test, person: Mapping[str, Any]) -> bool:
    assert test.reading is not None
    decides, negative, kind, wanted = test.meaning
    found = test.reading.found(person)
    read = [one if kind is None else values.coerced(kind, one) for one in found]
    return any(operators.satisfied(decides, one, wanted, values.MISSING) for one in read) is not negative


def condition(tests: Iterable[Test]) -> Members:
    """The tests as one segment, which holds where all of them do."""
    listed = tuple(tests)
    plain = [test for test in listed if test.reading is None]
    leaves = tuple(
        predicates.Leaf(
            f"[{number}]",
            f"contact.{'.'.join(test.keys)}",
            test.written["operator"],
            test.written.get("value"),
            predicates.Place("contact", test.keys),
            test.meaning,
        )
        for number, test in enumerate(plain)
    )
    made = predicates.Condition(predicates.Group("all", tuple(range(len(leaves)))), leaves)
    return Members(made, tuple(test for test in listed if test.reading is not None))


class Member(Protocol):
    """Whether a person, as `view` gives them, is in; `tenant_id` is whose customer they are."""

    def __call__(self, person: Mapping[str, Any], tenant_id: str | None = None, /) -> bool:
        """Whether they are."""


_NOTHING: Mapping[str, Any] = {}


def audience(include: Sequence[Members], exclude: Sequence[Members]) -> Member:
    """Who is in one of the included segments and in none of the excluded ones, as one function."""
    if not include:
        return lambda _person, _tenant_id=None, /: False
    listed = [*include, *exclude]
    judge = conditions.compile_judge([one.condition for one in listed])
    included = len(include)
    others = [(place, one) for place, one in enumerate(listed) if one.several or one.tenant_id is not None]

    def is_in(person: Mapping[str, Any], tenant_id: str | None = None, /) -> bool:
        failing = judge(conditions.Facts("", "", None, _NOTHING, None, person, None))
        if others:
            failing = list(failing)
            for place, one in others:
                if failing[place] is None and not one.may_hold(person, tenant_id):
                    failing[place] = ()
        return None in failing[:included] and None not in failing[included:]

    return is_in


def compiled(
    written: Sequence[Sequence[Mapping[str, Any]]], owners: Sequence[str | None] = ()
) -> list[Members]:
    """Stored segments, each a list of conditions as it was kept; an empty one is everybody.

    `owners` are the tenants whose segments they are, as far as these are said.
    """
    return [
        condition(parse(list(one), is_stored=True) if one else ())._replace(tenant_id=owner)
        for one, owner in zip(written, itertools.chain(owners, itertools.repeat(None)), strict=False)
    ]


def of_owned(listed: Sequence[Owned]) -> list[Members]:
    """The same of segments that say whose they are."""
    return compiled([one.definition.conditions for one in listed], [one.tenant_id for one in listed])
