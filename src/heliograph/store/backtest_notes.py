"""What a backtest keeps of subjects: when a rule matched last for each of them, and whom it would have acted upon.

Law: it lies in a temporary SQLite database of its own, which moves to the disk what does not fit into a small cache and
is gone when it is closed; so a backtest takes as much memory for ten million people as for ten. The engine's database
is never written.
"""

from __future__ import annotations

import sqlite3
from hashlib import blake2b

_CACHE = 8_192
"""How much of it is kept in memory (KiB)."""


class Notes:
    """The notes of one backtest (core.backtests.Notes)."""

    def __init__(self) -> None:
        # An empty name is a file that only this connection knows.
        self._connection = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in (
            f"PRAGMA cache_size = -{_CACHE}",
            "PRAGMA journal_mode = OFF",
            "PRAGMA synchronous = OFF",
            "CREATE TABLE matches (key BLOB PRIMARY KEY, at INTEGER) WITHOUT ROWID",
            "CREATE TABLE contacts (key BLOB PRIMARY KEY) WITHOUT ROWID",
            "BEGIN",
        ):
            self._connection.execute(statement)
        self._met = 0

    def matched_at(self, rule_id: bytes, subject: str) -> int | None:
        """When a rule matched last for a subject (µs)."""
        row = self._connection.execute(
            "SELECT at FROM matches WHERE key = ?", (_key(rule_id, subject),)
        ).fetchone()
        return None if row is None else int(row[0])

    def match(self, rule_id: bytes, subject: str, at: int) -> None:
        """A rule matched for a subject."""
        self._connection.execute("INSERT OR REPLACE INTO matches VALUES (?, ?)", (_key(rule_id, subject), at))

    def meet(self, contact_id: str) -> None:
        """A contact would have been acted upon."""
        made = self._connection.execute("INSERT OR IGNORE INTO contacts VALUES (?)", (_key(b"", contact_id),))
        self._met += made.rowcount

    def met(self) -> int:
        """How many different contacts that were."""
        return self._met

    def close(self) -> None:
        """Forget everything."""
        self._connection.close()


def _key(rule_id: bytes, subject: str) -> bytes:
    return blake2b(rule_id + subject.encode("utf-8", "surrogatepass"), digest_size=16).digest()
