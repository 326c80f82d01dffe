"""Schema definitions: `/partner/schema-definitions` (segments-and-campaigns.md 1.5).

What a platform's records are, and which of their fields conditions and merge fields may name.

Law: they belong to the platform, so a key that is bound to a business may read them and not change them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from litestar import get, post

from heliograph import errors
from heliograph.core import explain, exposures, ids, schedule
from heliograph.store import resource_schemas as stored
from heliograph.web import reach
from heliograph.web.calls import Call, in_thread

TAG = "Schemas"
_ONE = "/partner/schema-definitions/{schema_name:str}"
Category = Literal["contacts_schema", "transactions_schema", "custom_schema", "locations_schema"]
Exposure = Literal["segments", "merge_fields"]


class ExposedField(msgspec.Struct, kw_only=True):
    """A field that conditions, merge fields, or both may name."""

    name: str
    description: str | None = None
    json_path: Annotated[str, msgspec.Meta(description="RFC 9535 without filters: $.loyalty.points")]
    exposure: list[Exposure]


class SchemaChange(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What to change of a schema definition: the fields that are given, each whole."""

    plural_name: str | msgspec.UnsetType | None = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    category: Category | msgspec.UnsetType = msgspec.UNSET
    external_id_field: str | msgspec.UnsetType | None = msgspec.UNSET
    schema: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    fields_to_expose: list[ExposedField] | msgspec.UnsetType = msgspec.UNSET
    expose_name_json_path: str | msgspec.UnsetType | None = msgspec.UNSET


class NewSchema(msgspec.Struct, kw_only=True):
    """A schema definition to create."""

    name: str
    plural_name: str | None = None
    description: str | None = None
    category: Category = "contacts_schema"
    external_id_field: str | None = None
    schema: Annotated[dict[str, Any], msgspec.Meta(description="JSON Schema of one record.")] = {}
    fields_to_expose: list[ExposedField] = []
    expose_name_json_path: str | None = None


class SchemaDefinition(msgspec.Struct, kw_only=True):
    """A schema definition."""

    id: str
    platform_id: str
    name: str
    plural_name: str | None
    description: str | None
    category: str
    external_id_field: str | None
    schema: dict[str, Any]
    fields_to_expose: list[ExposedField]
    expose_name_json_path: str | None
    version_number: int
    reference_schemas: list[str]
    created_at: explain.Instant
    updated_at: explain.Instant
    deactivated_at: explain.Instant | None


class SchemaAnswer(msgspec.Struct):
    """A schema definition."""

    success: reach.Yes
    message: str
    data: SchemaDefinition


class SchemaDefinitions(msgspec.Struct):
    """A page of schema definitions."""

    results: list[SchemaDefinition]
    pagination: reach.Pagination


class SchemaList(msgspec.Struct):
    """A page of schema definitions."""

    success: reach.Yes
    message: str
    data: SchemaDefinitions


@get("/partner/schema-definitions", opt={"tag": TAG, "query": reach.PageQuery})
@in_thread
def list_schemas(request: Call) -> SchemaList:
    """List schema definitions in the order in which they were made."""
    query = request.read_query(reach.PageQuery)
    with request.services.database.reading() as connection:
        found = stored.listed(connection, request.principal.workspace_id)
    page = reach.page(found, lambda one: ids.text(one.id), query)
    listed = [_shown(one, request) for one in found[page.first : page.last]]
    return SchemaList(True, "schema definitions", SchemaDefinitions(listed, page.pagination))


@post("/partner/schema-definitions", opt={"tag": TAG, "body": NewSchema})
@in_thread
def create_schema(request: Call) -> SchemaAnswer:
    """Create a schema definition; from then on conditions name what schemas expose, and nothing else."""
    request.refuse_query()
    _refuse_tenants(request)
    definition, services = exposures.define(request.read_object()), request.services
    with services.database.writing() as connection:
        made = stored.create(connection, request.principal.workspace_id, definition, services.now())
    return SchemaAnswer(True, "the schema definition was created", _shown(made, request))


@get(_ONE, opt={"tag": TAG})
@in_thread
def read_schema(request: Call) -> SchemaAnswer:
    """Read a schema definition, by its id or name."""
    request.refuse_query()
    with request.services.database.reading() as connection:
        found = stored.find(connection, request.principal.workspace_id, request.part("schema_name"))
    return SchemaAnswer(True, "schema definition", _shown(_there(found, request), request))


@post(_ONE, status_code=200, opt={"tag": TAG, "body": SchemaChange})
@in_thread
def change_schema(request: Call) -> SchemaAnswer:
    """Change a schema definition. A field that a segment or a communication group uses stays as it is."""
    request.refuse_query()
    _refuse_tenants(request)
    services, workspace, given = request.services, request.principal.workspace_id, request.read_object()
    with services.database.writing() as connection:
        before = _there(stored.lock(connection, workspace, request.part("schema_name")), request)
        changed = exposures.change(before.definition, given)
        made = stored.change(connection, workspace, before, changed, services.now())
    return SchemaAnswer(True, "the schema definition was changed", _shown(made, request))


def _refuse_tenants(request: Call) -> None:
    if request.principal.tenant_id is not None:
        raise errors.Forbidden("a key that is bound to a business may read this, and not change it")


def _there(found: stored.Stored | None, request: Call) -> stored.Stored:
    return request.there(found, "schema definition", "schema_name")


def _shown(one: stored.Stored, request: Call) -> SchemaDefinition:
    said = one.definition
    return SchemaDefinition(
        id=ids.text(one.id),
        platform_id=str(request.principal.workspace_id),
        name=said.name,
        plural_name=said.plural_name,
        description=said.description,
        category=said.category,
        external_id_field=said.external_id_field,
        schema=said.schema,
        fields_to_expose=[ExposedField(**msgspec.structs.asdict(field)) for field in said.fields_to_expose],
        expose_name_json_path=said.expose_name_json_path,
        version_number=one.version,
        reference_schemas=[],
        created_at=schedule.write_instant(one.created_at),
        updated_at=schedule.write_instant(one.updated_at),
        deactivated_at=None,
    )


HANDLERS = (list_schemas, create_schema, read_schema, change_schema)
