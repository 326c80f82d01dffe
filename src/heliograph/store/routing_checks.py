"""What a routing names of its workspace: providers and brands, which are looked for where it is written.

Law: reading only, in the caller's transaction.
"""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa

from heliograph import errors
from heliograph.core import overrides, routing, routing_trees
from heliograph.core import providers as core_providers
from heliograph.store import providers, schema

_BRANDS = schema.brands.c


def faults(
    connection: sa.Connection, workspace_id: int, said: routing.Routing, path: str
) -> Iterator[errors.Fault]:
    """Faults of the providers and brands that a routing names."""
    yield from _brand_faults(connection, workspace_id, said, path)
    listed = [*routing_trees.open_names(said.root, f"{path}.routing")]
    named = [(f"{path}.providers.{name}", name) for name in said.providers]
    for channel, one in said.channels.items():
        named += [(f"{path}.channels.{channel}.providers", name) for name in one.providers]
    if not (named or listed):
        return
    kinds = {one.name: one.provider for one in providers.listed(connection, workspace_id)}
    for place, name in listed:
        if name not in kinds:
            yield errors.Fault(place, routing_trees.lack(name, kinds))
    for place, name in named:
        if name not in kinds and name not in core_providers.KINDS:
            yield errors.Fault(place, f"there is no provider {name!r}")
    for name, said_of in said.providers.items():
        if said_of.by_name and name in kinds:
            way = core_providers.channel_of(kinds[name])
            if way not in said_of.by_name:
                place = f"{path}.providers.{name}.override"
                yield errors.Fault(place, f"is not served: {overrides.takes(way)}")


def _brand_faults(
    connection: sa.Connection, workspace_id: int, said: routing.Routing, path: str
) -> Iterator[errors.Fault]:
    named = {channel: one.brand for channel, one in said.channels.items() if one.brand is not None}
    if named:
        query = sa.select(_BRANDS.id).where(
            _BRANDS.workspace_id == workspace_id, _BRANDS.id.in_(named.values())
        )
        known = set(connection.execute(query).scalars())
        for channel, brand in named.items():
            if brand not in known:
                yield errors.Fault(f"{path}.channels.{channel}.brand_id", f"there is no brand {brand!r}")
