"""A CSV file of contacts, read as a stream: one person a row, the columns are keys of the profile.

Law: a row is known by the byte at which it begins and the line on which it stands, so reading can go on from anywhere.
A bad row is told with its field and the reason, and the next one is read; nothing is guessed.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from heliograph import errors
from heliograph.core import people, pseudonyms

KEY = "user_id"
_DELIMITERS = ",;\t"
_TORN = re.compile("[\udc80-\udcff]")
"""Bytes that were no UTF-8, as they were decoded."""
_NO_UTF8 = "is not UTF-8: save the file with that encoding"
_encode = msgspec.json.Encoder().encode


class Place(NamedTuple):
    """Between two rows."""

    offset: int
    """Bytes before it."""
    line: int
    """Lines before it."""


class Row(NamedTuple):
    """One person as they stand in the file; `faults` where they cannot be taken."""

    line: int
    user_id: str
    profile: dict[str, Any]
    faults: tuple[errors.Fault, ...]
    end: Place


class ContactFile:
    """An open file of contacts."""

    def __init__(self, path: Path, region: str | None):
        """`region` is where telephone numbers without a country code are read. Raises errors.InvalidInput."""
        self._file = path.open("rb")
        self._region = region
        try:
            # A mark of its own at its head, as Excel writes one, would make text of the quotes behind it.
            head = len(codecs.BOM_UTF8) if self._file.read(3) == codecs.BOM_UTF8 else 0
            self._place = Place(head, 0)
            self._delimiter = self._guess_delimiter()
            self.columns = self._header()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _guess_delimiter(self) -> str:
        return max(_DELIMITERS, key=self._first().count)

    def _first(self) -> str:
        """The first line, which is still to be read."""
        self._file.seek(self._place.offset)
        first = self._file.readline()
        self._file.seek(self._place.offset)
        return first.decode("utf-8", "surrogateescape")

    def _header(self) -> list[str]:
        if _is_not_utf8(self._first()):
            raise errors.InvalidInput.at("line 1", _NO_UTF8)
        record = next(self._records(), [])
        if isinstance(record, csv.Error):
            raise errors.InvalidInput.at("line 1", _no_csv(record))
        columns = [cell.strip() for cell in record]
        faults = _header_faults(columns)
        if faults:
            raise errors.InvalidInput(faults=faults)
        return columns

    def rows(self, start: Place | None = None) -> Iterator[Row]:
        """The people from a place between two rows on (None: from the first)."""
        if start is not None:
            self._file.seek(start.offset)
            self._place = start
        line = self._place.line + 1
        for record in self._records():
            if isinstance(record, csv.Error):
                yield Row(line, "", {}, (errors.Fault("", _no_csv(record)),), self._place)
            elif any(record):
                yield self._row(line, record)
            line = self._place.line + 1

    def _records(self) -> Iterator[list[str] | csv.Error]:
        """The cells of each record, which may take many lines; `_place` follows.

        Of one that cannot be read its first line is passed over, and what follows is read: a quote that is not closed
        would take with it whoever stands below.
        """
        while True:
            begun = self._place
            try:
                for record in csv.reader(self._lines(), delimiter=self._delimiter, strict=True):
                    yield record
                    begun = self._place
            except csv.Error as fault:
                is_long = self._place.line > begun.line + 1
                self._file.seek(begun.offset)
                self._place = begun
                next(self._lines())
                yield csv.Error("a quote in it is not closed where its cell ends") if is_long else fault
            else:
                return

    def _lines(self) -> Iterator[str]:
        for line in iter(self._file.readline, b""):
            self._place = Place(self._place.offset + len(line), self._place.line + 1)
            # Bytes that are no UTF-8 become halves of surrogate pairs, by which they are known again.
            yield line.decode("utf-8", "surrogateescape")

    def _row(self, line: int, cells: Sequence[str]) -> Row:
        faults = _record_faults(cells, len(self.columns))
        given = {name: cell for name, cell in zip(self.columns, cells, strict=False) if cell.strip()}
        user_id = given.pop(KEY, "").strip()
        if faults:
            return Row(line, user_id, {}, tuple(faults), self._place)
        faults = _id_faults(user_id)
        profile: dict[str, Any] = {}
        try:
            profile = people.clean_profile(given, "", self._region)
        except errors.InvalidInput as refusal:
            faults += refusal.faults
        if len(_encode(profile)) > people.MAX_BYTES:
            faults.append(errors.Fault("", people.TOO_LARGE))
        return Row(line, user_id, profile, tuple(faults), self._place)


def _no_csv(why: csv.Error) -> str:
    told = str(why)
    if told.startswith("new-line character"):
        told = "a carriage return stands in it, without quotes and without a line feed behind it"
    return f"cannot be read as CSV: {told}"


def _header_faults(columns: Sequence[str]) -> list[errors.Fault]:
    if _is_not_utf8("".join(columns)):
        return [errors.Fault("line 1", _NO_UTF8)]
    if KEY not in columns:
        return [errors.Fault("line 1", f"the first line names the columns, and one of them is {KEY}")]
    faults = [
        errors.Fault("line 1", f"column {n} has no name") for n, name in enumerate(columns, 1) if not name
    ]
    twice = sorted(name for name, times in Counter(columns).items() if name and times > 1)
    return faults + [errors.Fault("line 1", f"the column {name} stands there twice") for name in twice]


def _record_faults(cells: Sequence[str], width: int) -> list[errors.Fault]:
    if len(cells) > width:
        return [errors.Fault("", f"has {len(cells)} cells, the first line names {width}")]
    if _is_torn("".join(cells)):
        return [errors.Fault("", _NO_UTF8)]
    return []


def _is_not_utf8(first: str) -> bool:
    # UTF-16 has zeros in it, or the mark of its own that is no UTF-8.
    return "\0" in first or _is_torn(first)


def _is_torn(text: str) -> bool:
    return not text.isascii() and _TORN.search(text) is not None


def _id_faults(user_id: str) -> list[errors.Fault]:
    if not user_id:
        return [errors.Fault(KEY, "is empty: it is the name by which you know the person")]
    if len(user_id) > people.MAX_ID or "\0" in user_id:
        return [errors.Fault(KEY, f"takes at most {people.MAX_ID} characters, none of them NUL")]
    return [errors.Fault(KEY, pseudonyms.RESERVED)] if pseudonyms.is_name(user_id) else []


class Report:
    """The bad rows of one import, in a CSV file that is there only if there are any."""

    def __init__(self, path: Path, size: int):
        """Goes on after the first `size` bytes of what an earlier run has written; 0 begins anew."""
        self.path = path
        # One that was taken away or shortened meanwhile begins anew.
        self.size = size if path.is_file() and path.stat().st_size >= size else 0
        if self.size == 0:
            path.unlink(missing_ok=True)
        else:
            with path.open("rb+") as file:
                file.truncate(size)

    def add(self, rows: Sequence[Row]) -> None:
        """Write down why these were not taken."""
        if not rows:
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if self.size == 0:
            writer.writerow(("line", "user_id", "field", "reason"))
        for row in rows:
            for fault in row.faults:
                writer.writerow((row.line, _printable(row.user_id), fault.path, fault.message))
        written = text.getvalue().encode("utf-8", "replace")
        with self.path.open("ab") as file:
            self.size += file.write(written)


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
