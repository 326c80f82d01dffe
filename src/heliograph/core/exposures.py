"""Exposed fields: the parts of a platform's own records that conditions and merge fields may name.

Law: a field is exposed by a schema definition, under a name of its own, to segments, to merge fields, or to both; what
is not exposed to a place is refused there (segments-and-campaigns.md A18 to A21). A JSON path (RFC 9535, without
filters) says where in a profile it stands; where a path meets several values, any of them will do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import jsonpath_rfc9535 as jsonpath
import msgspec
from jsonpath_rfc9535 import selectors

from heliograph import errors
from heliograph.core import documents, values

PLACES: Final = ("segments", "merge_fields")
CATEGORIES: Final = ("contacts_schema", "transactions_schema", "custom_schema", "locations_schema")
_ADDRESSES: Final = {"EMAIL": "email", "PHONE": "phone"}
BUILT_IN: Final = frozenset(("user_id", "email", "phone", "first_name", "last_name"))
"""Names that are everybody's already."""
WRITABLE: Final = (
    *("name", "plural_name", "description", "category", "external_id_field", "schema", "fields_to_expose"),
    "expose_name_json_path",
)
_FIELD: Final = ("name", "description", "json_path", "exposure")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST_FIELDS, _LONGEST_PATH = 500, 500
_TYPES: Final = frozenset(("string", "number", "integer", "boolean"))


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """An exposed field."""

    name: str
    description: str | None = None
    json_path: str
    exposure: list[str]


class Schema(msgspec.Struct, frozen=True, kw_only=True):
    """A schema definition as people write and read it."""

    name: str
    plural_name: str | None = None
    description: str | None = None
    category: str = "contacts_schema"
    external_id_field: str | None = None
    schema: dict[str, Any] = {}
    fields_to_expose: list[Field] = []
    expose_name_json_path: str | None = None


class Exposed(NamedTuple):
    """Everything that a workspace's schemas expose."""

    fields: Mapping[str, Field] = {}
    types: Mapping[str, str] = {}
    """The type of each field whose schema says one."""
    is_strict: bool = False
    """Whether there is a schema at all: then what it does not expose is refused."""

    def to(self, place: str) -> list[Field]:
        """The fields that are exposed to a place."""
        return [field for field in self.fields.values() if place in field.exposure]

    def types_for(self, place: str) -> dict[str, str]:
        """The fields that are exposed to a place, with their types; text where the schema says none."""
        return {field.name: self.types.get(field.name, "string") for field in self.to(place)}

    def fault(self, name: str, place: str) -> str | None:
        """Why a place may not name this field; None where it may, or where no schema speaks of it."""
        field = self.fields.get(name)
        if field is not None:
            if place in field.exposure:
                return None
            return f"the field {name!r} is not exposed to {place.replace('_', ' ')}"
        if not self.is_strict:
            return None
        known = [one.name for one in self.to(place)]
        return f"{errors.unknown('field', name, [*sorted(BUILT_IN), *known])}: no schema exposes it"


NOTHING: Final = Exposed()


# ── reading what people write ───────────────────────────────────────────────────────────────────────


def define(given: Mapping[str, Any]) -> Schema:
    """A schema definition from a request's body. Raises errors.InvalidInput with every fault at its place."""
    faults = documents.unknown_keys(given, WRITABLE, "")
    name = given.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        faults.append(errors.Fault("name", "is required: letters, digits, - and _, 100 at most"))
    for key in ("plural_name", "description", "external_id_field"):
        if given.get(key) is not None and (not isinstance(given[key], str) or len(given[key]) > 10_000):
            faults.append(errors.Fault(key, "is a text, or null"))
    if given.get("category", CATEGORIES[0]) not in CATEGORIES:
        faults.append(errors.Fault("category", f"is one of {', '.join(CATEGORIES)}"))
    schema = given.get("schema", {})
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        faults.append(errors.Fault("schema", "is a JSON Schema of an object"))
    if given.get("expose_name_json_path") is not None:
        faults += _path_faults(given["expose_name_json_path"], "expose_name_json_path")
    exposed = given.get("fields_to_expose", [])
    faults += _fields_faults(exposed)
    if faults:
        raise errors.InvalidInput(faults=faults[: documents.MAX_FAULTS])
    return msgspec.convert({**given, "schema": schema, "fields_to_expose": exposed}, Schema)


def change(stored: Schema, given: Mapping[str, Any]) -> Schema:
    """A stored definition with the given fields replaced, each whole. Raises errors.InvalidInput."""
    if given.get("name", stored.name) != stored.name:
        raise errors.InvalidInput.at("name", "cannot be changed: make another schema")
    return define({**msgspec.to_builtins(stored), **given})


def _fields_faults(given: object) -> list[errors.Fault]:
    if not isinstance(given, list) or len(given) > _MOST_FIELDS:
        return [errors.Fault("fields_to_expose", f"is a list of at most {_MOST_FIELDS} fields")]
    faults: list[errors.Fault] = []
    names: set[str] = set()
    for index, one in enumerate(given):
        path = f"fields_to_expose[{index}]"
        if not isinstance(one, dict):
            faults.append(errors.Fault(path, "is an object with `name`, `json_path` and `exposure`"))
            continue
        faults += documents.unknown_keys(one, _FIELD, path)
        name = one.get("name")
        if not isinstance(name, str) or not _FIELD_NAME.fullmatch(name):
            faults.append(
                errors.Fault(f"{path}.name", "is required: small letters, digits and _, 64 at most")
            )
        elif name in names or name in BUILT_IN:
            what = "is built in" if name in BUILT_IN else "is exposed twice"
            faults.append(errors.Fault(f"{path}.name", f"{name!r} {what}: take another name"))
        else:
            names.add(name)
        if one.get("description") is not None and not isinstance(one["description"], str):
            faults.append(errors.Fault(f"{path}.description", "is a text, or null"))
        faults += _path_faults(one.get("json_path"), f"{path}.json_path")
        exposure = one.get("exposure")
        if not isinstance(exposure, list) or not exposure or not {*map(str, exposure)} <= {*PLACES}:
            faults.append(
                errors.Fault(f"{path}.exposure", f"is a list of {' and '.join(PLACES)}, or one of them")
            )
    return faults


def _path_faults(given: object, path: str) -> list[errors.Fault]:
    if not isinstance(given, str) or not 1 <= len(given) <= _LONGEST_PATH:
        return [errors.Fault(path, "is required: a JSON path such as $.loyalty.points")]
    try:
        query = _query(given)
    except jsonpath.JSONPathError as refusal:
        return [errors.Fault(path, f"is no JSON path: {refusal}")]
    if any(isinstance(one, selectors.FilterSelector) for part in query.segments for one in part.selectors):
        return [errors.Fault(path, "may hold no filter")]
    return []


# ── where fields stand ──────────────────────────────────────────────────────────────────────────────


def _query(written: str) -> jsonpath.JSONPathQuery:
    return jsonpath.compile(written if written.startswith("$") else f"$.{written}")


class Reading:
    """A JSON path, ready to be followed."""

    def __init__(self, written: str):
        self._query = _query(written)
        self.is_single = self._query.singular_query()
        """Whether it meets one value at most."""

    @property
    def keys(self) -> tuple[str, ...] | None:
        """The names and positions along the path; None where it may meet several values, or counts from the end."""
        if not self.is_single:
            return None
        chosen = [part.selectors[0] for part in self._query.segments]
        keys = tuple(str(getattr(one, "name", getattr(one, "index", ""))) for one in chosen)
        return None if any(key.startswith("-") for key in keys) else keys

    def found(self, profile: Mapping[str, Any]) -> list[Any]:
        """Every value that it meets."""
        return [node.value for node in self._query.find(dict(profile))]

    def value(self, profile: Mapping[str, Any]) -> object:
        """The value, MISSING where there is none; the list of them where it may meet several."""
        found = self.found(profile)
        if self.is_single:
            return found[0] if found else values.MISSING
        return found


def gathered(schemas: Iterable[Schema]) -> Exposed:
    """What these schemas expose together."""
    listed = list(schemas)
    fields = {field.name: field for schema in listed for field in schema.fields_to_expose}
    types = {
        field.name: kind
        for schema in listed
        for field in schema.fields_to_expose
        if (kind := _type(schema.schema, field.json_path)) is not None
    }
    return Exposed(fields, types, bool(listed))


def _type(schema: Mapping[str, Any], written: str) -> str | None:
    """The type that a schema declares for what a path meets; None where it says none, or says it in another way."""
    at: Any = schema
    for part in _query(written).segments:
        if len(part.selectors) != 1 or not isinstance(at, Mapping):
            return None
        one = part.selectors[0]
        if isinstance(one, selectors.NameSelector):
            properties = at.get("properties")
            at = properties.get(one.name) if isinstance(properties, Mapping) else None
        else:
            at = at.get("items")
    if not isinstance(at, Mapping):
        return None
    address = _ADDRESSES.get(str(at.get("x-pii-type")))
    if address is not None:
        return address
    kind, form = _kind(at), at.get("format")
    if kind == "string" and form in ("date", "date-time"):
        return str(form)
    return kind if kind in _TYPES else None


def _kind(declared: Mapping[str, Any]) -> str | None:
    """The one type that is declared, beside null; JSON Schema takes a list of them too."""
    kinds = declared.get("type")
    named = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind != "null"]
    return named[0] if len(named) == 1 and isinstance(named[0], str) else None


# ── merge fields ────────────────────────────────────────────────────────────────────────────────────

_PEOPLE: Final = ("contact", "profile")
_ALWAYS: Final = BUILT_IN | {
    *("id", "tags", "phone_number", "given_name", "family_name", "birthdate", "locale", "zoneinfo"),
}


def merge_faults(
    paths: Iterable[Sequence[str]], exposed: Exposed, place: str, *, is_bare: bool
) -> list[errors.Fault]:
    """What is wrong with the paths that a text reads; `is_bare`: names at the root are fields of people too."""
    faults = []
    for path in sorted({tuple(one) for one in paths}):
        inside = path[0] in _PEOPLE
        if inside and len(path) == 1:
            continue
        if not inside and not is_bare:
            continue
        name = path[1] if inside else path[0]
        fault = None if name in _ALWAYS else exposed.fault(name, "merge_fields")
        if fault is not None:
            faults.append(errors.Fault(place, fault))
    return faults
