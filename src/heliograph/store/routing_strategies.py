"""Routing strategies as people manage them.

Law: a message takes a strategy as it stands when it is planned. Each function works in the caller's transaction and
raises the workspace's `definitions_version` before it writes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from heliograph import errors
from heliograph.core import ids
from heliograph.core import routing_strategies as core
from heliograph.core.routing_strategies import Definition
from heliograph.store import identities, numbered, routing_checks, schema, templates, workspaces

PREFIX = "rs_"
"""How the id of a strategy begins, as Courier's do."""
_STRATEGIES = schema.routing_strategies.c
_definition = msgspec.json.Decoder(Definition)


class Strategy(NamedTuple):
    """A strategy as people read it."""

    id: str
    number: int
    created_at: int
    updated_at: int
    definition: Definition


def _strategy(row: Sequence[Any]) -> Strategy:
    return Strategy._make((*row[:-1], _definition.decode(row[-1])))


_table = numbered.Table(schema.routing_strategies, Strategy._fields, _strategy)
read, lock, listed = _table.read, _table.lock, _table.listed


def check(connection: sa.Connection, workspace_id: int, definition: Definition) -> None:
    """Raises errors.InvalidInput for the providers and brands that a strategy names and there are not."""
    said = core.routing_of(definition)
    found = [
        errors.Fault(fault.path.lstrip("."), fault.message)
        for fault in routing_checks.faults(connection, workspace_id, said, "")
    ]
    if found:
        raise errors.InvalidInput(faults=found)


def create(
    connection: sa.Connection,
    workspace_id: int,
    definition: Definition,
    now: int,
    identity: str | None = None,
) -> Strategy:
    """Store a new strategy; without an id it gets one. Raises errors.InvalidInput."""
    workspaces.raise_version(connection, workspace_id)
    check(connection, workspace_id, definition)
    named = identity or f"{PREFIX}{ids.text(identities.fresh(now))}"
    number = workspaces.next_number(connection, workspace_id, "routing_strategies")
    made = Strategy(named, number, now, now, definition)
    connection.execute(
        sa.insert(schema.routing_strategies).values(
            **{**made._asdict(), "definition": msgspec.json.encode(definition)}, workspace_id=workspace_id
        )
    )
    return made


def change(
    connection: sa.Connection, workspace_id: int, stored: Strategy, definition: Definition, now: int
) -> Strategy:
    """Let a strategy that was read by `lock` say this; who made it is kept. Raises errors.InvalidInput."""
    check(connection, workspace_id, definition)
    said = msgspec.structs.replace(
        definition, creator=stored.definition.creator, updater=definition.creator or None
    )
    made = stored._replace(definition=said, updated_at=max(now, stored.updated_at))
    connection.execute(
        sa.update(schema.routing_strategies)
        .where(_STRATEGIES.workspace_id == workspace_id, _STRATEGIES.id == stored.id)
        .values(definition=msgspec.json.encode(said), updated_at=made.updated_at)
    )
    return made


def users(connection: sa.Connection, workspace_id: int, identity: str) -> list[templates.Template]:
    """The templates that are sent by a strategy, in draft or published, by id."""
    return [
        one
        for one in templates.listed(connection, workspace_id)
        if identity in (one.draft.routing, one.published and one.published.routing)
    ]


def in_brand(connection: sa.Connection, workspace_id: int, brand_id: str) -> list[str]:
    """The strategies by which messages are drawn in this brand on some channel, by id."""
    return [
        one.id
        for one in listed(connection, workspace_id)
        if any(said.brand == brand_id for said in core.routing_of(one.definition).channels.values())
    ]


def delete(connection: sa.Connection, workspace_id: int, stored: Strategy) -> None:
    """Delete a strategy that was read by `lock`. Raises errors.Conflict where a template is sent by it."""
    used = [one.id for one in users(connection, workspace_id, stored.id)]
    if used:
        raise errors.Conflict(f"the strategy {stored.id!r} is used by the templates {', '.join(used[:10])}")
    connection.execute(
        sa.delete(schema.routing_strategies).where(
            _STRATEGIES.workspace_id == workspace_id, _STRATEGIES.id == stored.id
        )
    )
