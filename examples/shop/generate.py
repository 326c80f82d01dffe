"""The shop's month as files, or as iterators for a program that replays it.

    python -m examples.shop.generate DIR [--contacts 10000] [--events 50000] [--seed 7]

Law: the same arguments give the same bytes. No clock is read: the month ends at `--end`, a fixed day in the past
unless the caller names another.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from examples.shop import month, people, story

SEED, CONTACTS, EVENTS = 7, 10_000, 50_000
END = datetime(2025, 10, 1, tzinfo=UTC)

COLUMNS = (
    "user_id", "email", "phone_number", "given_name", "family_name", "birthdate", "locale", "zoneinfo",
    "country", "city", "loyalty_tier", "loyalty_points", "newsletter", "sms_offers",
)  # fmt: skip
"""The header of contacts.csv: `user_id`, then the keys of the profile; an empty cell is a key not known."""

BAD_ROWS: tuple[tuple[str, ...], ...] = (
    ("", "nobody@example.com", "", "No", "Id"),
    ("bad-email", "not an address", "", "No", "Address"),
    ("bad-phone", "phone@example.com", "after six", "No", "Number"),
    ("bad-birthdate", "birthdate@example.com", "", "No", "Birthday", "1990-02-31"),
    ("bad-zone", "zone@example.com", "", "No", "Zone", "", "en-GB", "Mars/Olympus_Mons"),
    ("bad-width", *("too many cells",) * 20),
)
"""What `--with-bad-rows` spreads over contacts.csv, one fault each: what a row breaks is in its `user_id`."""


def contacts(seed: int = SEED, n: int = CONTACTS) -> Iterator[people.Contact]:
    """`n` customers: `user_id` and profile keys, flat. The first n of a larger crowd are the crowd of n."""
    return people.contacts(seed, n)


def events(
    seed: int, contacts: Sequence[people.Contact], n: int = EVENTS, end: datetime = END
) -> Iterator[story.Event]:
    """`n` different events of these contacts in the thirty days before `end`, by `occurred_at`, as the API takes them.

    `end` names its zone. About one event in two hundred comes twice in a row, equal to the byte with its
    `idempotency_key`, as from a client that got no answer the first time: those are on top of `n`.
    """
    return month.Month(seed, contacts, n, end.astimezone(UTC)).tell()


def write(
    directory: Path, everybody: Sequence[people.Contact], happenings: Iterable[story.Event], bad: bool
) -> None:
    """contacts.csv, contacts.ndjson and events.ndjson; `bad` spreads `BAD_ROWS` over the first."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "contacts.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(_rows(everybody, bad))
    _write_lines(directory / "contacts.ndjson", everybody)
    _write_lines(directory / "events.ndjson", happenings)


def _rows(everybody: Sequence[people.Contact], bad: bool) -> Iterator[Sequence[object]]:
    """The header and the people, with the bad rows at even distances among them."""
    yield COLUMNS
    faults = iter(BAD_ROWS if bad else ())
    stride = max(1, len(everybody) // (len(BAD_ROWS) + 1))
    for number, contact in enumerate(everybody, 1):
        yield [contact.get(column, "") for column in COLUMNS]
        if number % stride == 0:
            yield from islice(faults, 1)
    yield from faults


def _write_lines(path: Path, rows: Iterable[object]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


def _day(written: str) -> datetime:
    """`2026-05-01` or an instant with its offset; a day alone begins at midnight UTC."""
    moment = datetime.fromisoformat(written)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files that the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m examples.shop.generate", description=__doc__.split("\n")[0]
    )
    parser.add_argument("directory", type=Path, metavar="DIR")
    parser.add_argument("--contacts", type=int, default=CONTACTS)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument(
        "--end", type=_day, default=END, help="the day on which the month ends, e.g. 2026-05-01"
    )
    parser.add_argument(
        "--with-bad-rows", action="store_true", help="spread a few faulty rows over contacts.csv"
    )
    chosen = parser.parse_args(arguments)
    everybody = list(contacts(chosen.seed, chosen.contacts))
    happenings = events(chosen.seed, everybody, chosen.events, chosen.end)
    write(chosen.directory, everybody, happenings, chosen.with_bad_rows)


if __name__ == "__main__":
    main()
