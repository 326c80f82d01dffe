"""Limits of providers on SQLite: buckets of tokens, and counts of a day, which a claim batch takes from at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from heliograph.store.hot_sqlite.connection import Connection, by_pairs

Place = tuple[int, str]
"""(workspace, provider)"""


def lock_rates(connection: Connection, places: Collection[Place]) -> dict[Place, int]:
    """When the buckets of these providers are full again; nobody else takes of them until the transaction ends."""
    found = by_pairs(
        connection,
        "SELECT r.workspace_id, r.provider_id, r.full_at FROM wanted w"
        " CROSS JOIN provider_rates r ON r.workspace_id = w.a AND r.provider_id = w.b",
        places,
    )
    return {(row[0], row[1]): row[2] for row in found}


def read_days(connection: Connection, places: Collection[Place], day: int) -> dict[tuple[Place, str], int]:
    """How many e-mails these providers sent on a day, by provider and domain."""
    found = by_pairs(
        connection,
        "SELECT d.workspace_id, d.provider_id, d.domain, d.sent FROM wanted w CROSS JOIN provider_days d"
        f" ON d.workspace_id = w.a AND d.provider_id = w.b AND d.day = {day:d}",
        places,
    )
    return {((row[0], row[1]), row[2]): row[3] for row in found}


def keep_limits(
    connection: Connection, rates: Mapping[Place, int], days: Mapping[tuple[Place, str], int], day: int
) -> None:
    """Store what is left of buckets, and what was sent on a day; the days before it are forgotten."""
    connection.executemany(
        "INSERT OR REPLACE INTO provider_rates VALUES (?,?,?)",
        [(*place, full_at) for place, full_at in rates.items()],
    )
    connection.executemany(
        "DELETE FROM provider_days WHERE workspace_id = ? AND provider_id = ? AND day < ?",
        [(*place, day) for place in {place for place, _ in days}],
    )
    connection.executemany(
        "INSERT OR REPLACE INTO provider_days VALUES (?,?,?,?,?)",
        [(*place, day, domain, sent) for (place, domain), sent in days.items()],
    )
