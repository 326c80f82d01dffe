"""Step keys and passes on PostgreSQL: what was done already that is not to be done again, or not so often."""

from __future__ import annotations

from collections.abc import Collection
from typing import LiteralString

import msgspec

from heliograph.store import packing, step_rows
from heliograph.store.hot_postgres.connection import Connection, fetch
from heliograph.store.packing import Bigints, Identities, Integers, Texts

_LOCK: LiteralString = (
    "SELECT pg_advisory_xact_lock(hashtextextended(k, 7235))"
    " FROM (SELECT k FROM unnest(%s::text[]) WITH ORDINALITY u(k, n) ORDER BY n) o"
)
_READ: LiteralString = (
    "SELECT k.workspace_id, k.action, k.key, k.run_id, k.answer, k.expires_at"
    " FROM unnest(%s::int4[], %s::text[], %s::text[]) w(a, b, c) CROSS JOIN LATERAL"
    " (SELECT * FROM step_keys WHERE workspace_id = w.a AND action = w.b AND key = w.c OFFSET 0) k"
)
_KEEP: LiteralString = (
    "INSERT INTO step_keys AS s SELECT w, a, k, r, j, e FROM unnest(%s::int4[], %s::text[], %s::text[], %s::uuid[],"
    " %s::text[], %s::int8[]) u(w, a, k, r, j, e) ON CONFLICT (workspace_id, action, key) DO UPDATE SET"
    " run_id = excluded.run_id, answer = excluded.answer, expires_at = excluded.expires_at"
    " WHERE s.expires_at <= %s"
)


def read_step_keys(
    connection: Connection, keys: Collection[tuple[int, str, str]]
) -> dict[tuple[int, str, str], step_rows.StepKey]:
    """The keys that are known, by (workspace, action, key); nobody else uses these until the transaction ends."""
    ordered = sorted(keys)
    names = [(f"{workspace}\x1f{action}\x1f{key}",) for workspace, action, key in ordered]
    connection.execute(_LOCK, packing.columns((Texts,), names))
    found = fetch(connection, _READ, packing.columns((Integers, Texts, Texts), ordered))
    return {row[:3]: step_rows.StepKey._make(row) for row in found}


def write_step_keys(connection: Connection, keys: Collection[step_rows.StepKey], now: int) -> None:
    """Remember these keys; one that is known and has not expired stays."""
    if keys:
        kinds = (Integers, Texts, Texts, Identities, Texts, Bigints)
        connection.execute(_KEEP, (*packing.columns(kinds, sorted(keys)), now))


_READ_PASSES: LiteralString = (
    "SELECT p.workspace_id, p.group_key, p.passed_at, p.expires_at FROM unnest(%s::int4[], %s::text[]) w(a, b)"
    " CROSS JOIN LATERAL (SELECT * FROM passes WHERE workspace_id = w.a AND group_key = w.b OFFSET 0) p"
)
_KEEP_PASSES: LiteralString = (
    "INSERT INTO passes SELECT * FROM unnest(%s::int4[], %s::text[], %s::text[], %s::int8[])"
    " ON CONFLICT (workspace_id, group_key) DO UPDATE SET passed_at = excluded.passed_at,"
    " expires_at = excluded.expires_at"
)


def read_passes(
    connection: Connection, groups: Collection[tuple[int, str]]
) -> dict[tuple[int, str], tuple[list[int], int]]:
    """When the last runs of these groups passed, and until when that matters, by (workspace, group)."""
    found = fetch(connection, _READ_PASSES, packing.columns((Integers, Texts), sorted(groups)))
    return {(row[0], row[1]): (msgspec.json.decode(row[2]), row[3]) for row in found}


def write_passes(connection: Connection, passes: Collection[step_rows.Passes]) -> None:
    """Remember who passed."""
    if passes:
        kinds = (Integers, Texts, Texts, Bigints)
        connection.execute(_KEEP_PASSES, packing.columns(kinds, sorted(passes)))
