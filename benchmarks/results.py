"""A benchmark's rows: as a table for people, as JSON for programs.

Law: the JSON is a list of objects with exactly the fields of `Row`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.table import Table


class Row(msgspec.Struct, frozen=True):
    """One comparison."""

    bench: str
    database: str
    #: Our figure; null where our side was not measured.
    ours: float | None
    unit: str
    #: Whom we are compared with; null where a figure stands for itself.
    peer: str | None
    theirs: float | None
    #: Ours divided by theirs.
    ratio: float | None


def row(bench: str, database: str, ours: float | None, unit: str, peer: str, theirs: float) -> Row:
    """A row with its ratio, rounded to what a measurement can tell."""
    ratio = None if ours is None else _rounded(ours / theirs)
    return Row(bench, database, None if ours is None else _rounded(ours), unit, peer, _rounded(theirs), ratio)


def alone(bench: str, database: str, ours: float, unit: str) -> Row:
    """A row of a figure that stands for itself."""
    return Row(bench, database, _rounded(ours), unit, None, None, None)


def _rounded(number: float) -> float:
    return round(number, 1) if number >= 100 else float(f"{number:.3g}")


def table(rows: Sequence[Row]) -> Table:
    """The rows for people."""
    drawn = Table(title="side by side", title_justify="left")
    for name in ("bench", "database", "peer"):
        drawn.add_column(name)
    for name in ("theirs", "ours", "unit", "ours / theirs"):
        drawn.add_column(name, justify="left" if name == "unit" else "right")
    for one in rows:
        drawn.add_row(
            one.bench,
            one.database,
            one.peer or "–",
            written(one.theirs),
            written(one.ours),
            one.unit,
            written(one.ratio),
        )
    return drawn


def written(number: float | None) -> str:
    """A figure as people read it."""
    if number is None:
        return "–"
    return f"{number:,.0f}" if number >= 100 else f"{number:,.3g}"


def save(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(list(rows))) + b"\n")
