"""`make conformance`: how much of the five source documents is proved, by tests that pass in this very run.

One line a source document (`S4 12/299`). An item counts when every test marked with it passed and at least one
ran; where a test touches storage it must have passed on SQLite and, where a server is named, on PostgreSQL.
Skipped tests prove nothing. Endpoints, fields and errors count only when proved over HTTP.

    --missing      also list the open items
    --sabotage N   break N proved items and strike those whose tests do not notice
    --seed S       draw the same ones again
    --only-drawn   run nothing but the tests of the items drawn
"""

import argparse
import json
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests import checklist, environment, proofs

_ROOT = Path(__file__).parents[1]
_QUIET = ("-q", "--no-header", "-p", "no:cacheprovider", "-m", "spec")
_PARALLEL = ("-n", "auto", "--maxprocesses", "4", "--dist", "worksteal")


def main(arguments: Sequence[str]) -> int:
    """Run, judge, print; 1 when a marked test failed or an item was struck."""
    asked = _parser().parse_args(arguments)
    if environment.postgres_server() is None:
        print(
            "PostgreSQL is not named (HELIOGRAPH_TEST_POSTGRES): items that touch storage are judged on SQLite"
        )
    failed, proved = (False, set[str]()) if asked.only_drawn else _run_all()
    struck: Mapping[str, Sequence[str]] = {}
    if asked.sabotage:
        struck = _run_sabotage(asked.sabotage, asked.seed, sorted(proved))
    if not asked.only_drawn:
        _print_standing(proved - set(struck))
        _print_open(proved - set(struck) if asked.missing else None)
    return 1 if failed or struck else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make conformance")
    parser.add_argument("--missing", action="store_true", help="list the items that are not proved")
    parser.add_argument("--sabotage", type=int, metavar="N", default=0, help="break N items, see who notices")
    parser.add_argument("--seed", type=int, default=None, help="draw the same items again")
    parser.add_argument("--only-drawn", action="store_true", help="run only the tests of the items drawn")
    return parser


# ── proved ──────────────────────────────────────────────────────────────────────────────────────────


def _run_all() -> tuple[bool, set[str]]:
    """Run every marked test; whether any failed, and the items proved."""
    status, outcomes = _pytest(*_PARALLEL)
    return status not in (0, 5), proved(
        outcomes.values(), on_postgres=environment.postgres_server() is not None
    )


def proved(outcomes: Iterable[Mapping[str, Any]], *, on_postgres: bool) -> set[str]:
    """The items for which every test that may speak passed, on each database that it touches."""
    wanted = {"sqlite", "postgresql"} if on_postgres else {"sqlite"}
    passed: dict[str, set[str | None]] = {}
    failed: set[str] = set()
    for outcome in outcomes:
        marks = proofs.Marks(*outcome["marks"])
        for name in marks.items:
            if checklist.items()[name].over_http and not marks.over_http:
                continue
            if outcome["outcome"] == "failed":
                failed.add(name)
            elif outcome["outcome"] == "passed":
                passed.setdefault(name, set()).add(marks.database)
    return {
        name for name, where in passed.items() if name not in failed and (where == {None} or where >= wanted)
    }


def _pytest(*options: str) -> tuple[int, dict[str, Any]]:
    """Run pytest on the marked tests; its status and what the plugin wrote. What failed is printed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "proofs.json"
        command = [sys.executable, "-m", "pytest", "tests", *_QUIET, f"--proofs={file}", *options]
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 5):
            print(done.stdout + done.stderr)
        if not file.exists():
            sys.exit("the tests could not be run")
        return done.returncode, json.loads(file.read_text(encoding="utf-8"))


def _print_standing(held: set[str]) -> None:
    for source in checklist.SOURCES:
        items = [item.id for item in checklist.items().values() if item.source == source]
        print(f"{source} {len(held.intersection(items))}/{len(items)}")
    for name, reason in checklist.NOT_APPLICABLE.items():
        print(f"n/a {name}: {reason}")


def _print_open(held: set[str] | None) -> None:
    if held is None:
        return
    for item in checklist.items().values():
        if item.id not in held and item.id not in checklist.NOT_APPLICABLE:
            print(f"open {item.id} {item.text}")


# ── put to the test ─────────────────────────────────────────────────────────────────────────────────


def _run_sabotage(count: int, seed: int | None, among: list[str]) -> Mapping[str, Sequence[str]]:
    """Break `count` items; those whose tests did not notice, with what was not noticed."""
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "draw.json"
        file.write_text(json.dumps(proofs.Draw(seed, count, among)._asdict()), encoding="utf-8")
        _, found = _pytest(f"--sabotage={file}")
    struck = {name: faults for name, faults in found.items() if faults}
    print(f"sabotage: {len(found)} items broken, {len(struck)} not noticed (--seed {seed})")
    for name in sorted(struck, key=_in_order):
        print(f"struck {name} {'; '.join(struck[name])}: {checklist.items()[name].text}")
    return struck


def _in_order(name: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", name))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
