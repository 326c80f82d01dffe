"""The checklist: what the five source documents promise, one testable sentence an item.

`checklist.tsv` holds id, source (S0 to S4), part of the document, basis (stated or implied), kind and text.
A kind says how an item can be proved: `endpoint`, `field` and `error` only over HTTP, `behaviour` by any test.
"""

import csv
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

FILE = Path(__file__).with_name("checklist.tsv")
SOURCES = ("S0", "S1", "S2", "S3", "S4")

NOT_APPLICABLE: dict[str, str] = {
    "S1-77": "smsAutomation is not offered",
}
"""Items that cannot be proved, each with the reason."""


class Item(NamedTuple):
    """One promise of a source document."""

    id: str
    source: str
    part: str
    basis: str
    kind: str
    text: str

    @property
    def over_http(self) -> bool:
        """Whether only a test that speaks HTTP can prove it."""
        return self.kind != "behaviour"


@cache
def items() -> dict[str, Item]:
    """Every item by its id, in the order of the documents."""
    with FILE.open(encoding="utf-8", newline="") as lines:
        rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
        next(rows)
        return {row[0]: Item(*row) for row in rows}


def chosen(names: Iterable[str]) -> set[str]:
    """The items that these names stand for: `S4` is all of a document, `S4-33` one item. Raises ValueError."""
    found: set[str] = set()
    for name in names:
        those = {item.id for item in items().values() if name in (item.id, item.source)}
        if not those:
            raise ValueError(f"{name}: neither one of {', '.join(SOURCES)} nor an item of {FILE.name}")
        found |= those
    return found
