"""Suppressions as people write them: addresses in one form, reasons, and CSV with a line for each.

Law: a file is taken whole or not at all, and every line that cannot be taken is told by its number.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any, Final

from heliograph import errors
from heliograph.core import consent, documents, people

MANUAL: Final = "manual"
HEADER: Final = "address,reason,created_at\r\n"
MOST_ROWS: Final = 200_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def check_address(given: object, path: str, region: str | None = None) -> str:
    """An e-mail address or a telephone number in the form in which messages carry it. Raises errors.InvalidInput."""
    if isinstance(given, str) and "@" not in given and given.strip():
        return people.check_phone(given.strip().removeprefix("'"), path, region)
    return people.check_email(given, path)


def define(given: Mapping[str, Any], region: str | None = None) -> tuple[str, str]:
    """(address, reason) of a request's body. Raises errors.InvalidInput with every fault."""
    faults = documents.unknown_keys(given, ("address", "reason"), "")
    found: list[str] = []
    for name, check in (("address", check_address), ("reason", _reason)):
        try:
            found.append(check(given.get(name), name, region))
        except errors.InvalidInput as refusal:
            faults += refusal.faults
    if faults:
        raise errors.InvalidInput(faults=faults)
    return found[0], found[1]


def _reason(given: object, path: str, _region: str | None) -> str:
    if given in (None, ""):
        return MANUAL
    if isinstance(given, str) and given in consent.REASONS:
        return given
    raise errors.InvalidInput.at(path, errors.unknown("reason", given, consent.REASONS))


def read_csv(rows: Iterable[Mapping[str, Any]], region: str | None = None) -> list[tuple[str, str]]:
    """(address, reason) of each line. Raises errors.InvalidInput with the faults of all lines, by their numbers."""
    found: list[tuple[str, str]] = []
    faults: list[errors.Fault] = []
    for number, row in enumerate(rows, 2):
        if "address" not in row:
            raise errors.InvalidInput.at("line 1", "names no column `address`")
        if number - 1 > MOST_ROWS:
            raise errors.InvalidInput.at(
                f"line {number}", f"is beyond the {MOST_ROWS} rows that one file may have"
            )
        try:
            found.append(define({"address": row["address"], "reason": row.get("reason")}, region))
        except errors.InvalidInput as refusal:
            faults += [
                errors.Fault(f"line {number}: {fault.path}", fault.message) for fault in refusal.faults
            ]
    if faults:
        raise errors.InvalidInput(faults=faults[: documents.MAX_FAULTS])
    return found


def line(*cells: str) -> str:
    """One line of CSV; what a spreadsheet would take for a formula begins with an apostrophe."""
    written = io.StringIO()
    csv.writer(written).writerow([f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells])
    return written.getvalue()
