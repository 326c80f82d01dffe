"""Step keys and passes on SQLite: what was done already that is not to be done again, or not so often."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from heliograph.store import step_rows
from heliograph.store.hot_sqlite.connection import Connection, by_pairs, by_triples


def read_step_keys(
    connection: Connection, keys: Collection[tuple[int, str, str]]
) -> dict[tuple[int, str, str], step_rows.StepKey]:
    """The keys that are known, by (workspace, action, key)."""
    found = by_triples(
        connection,
        "SELECT k.workspace_id, k.action, k.key, k.run_id, k.answer, k.expires_at FROM wanted w"
        " CROSS JOIN step_keys k ON k.workspace_id = w.a AND k.action = w.b AND k.key = w.c",
        keys,
    )
    return {row[:3]: step_rows.StepKey._make(row) for row in found}


def write_step_keys(connection: Connection, keys: Collection[step_rows.StepKey], now: int) -> None:
    """Remember these keys; one that is known and has not expired stays."""
    connection.executemany(
        "INSERT INTO step_keys VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET run_id = excluded.run_id,"
        " answer = excluded.answer, expires_at = excluded.expires_at WHERE step_keys.expires_at <= ?",
        [(*key, now) for key in keys],
    )


def read_passes(
    connection: Connection, groups: Collection[tuple[int, str]]
) -> dict[tuple[int, str], tuple[list[int], int]]:
    """When the last runs of these groups passed, and until when that matters, by (workspace, group)."""
    found = by_pairs(
        connection,
        "SELECT p.workspace_id, p.group_key, p.passed_at, p.expires_at FROM wanted w"
        " CROSS JOIN passes p ON p.workspace_id = w.a AND p.group_key = w.b",
        groups,
    )
    return {(row[0], row[1]): (msgspec.json.decode(row[2]), row[3]) for row in found}


def write_passes(connection: Connection, passes: Collection[step_rows.Passes]) -> None:
    """Remember who passed."""
    connection.executemany("INSERT OR REPLACE INTO passes VALUES (?,?,?,?)", list(passes))
