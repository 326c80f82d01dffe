"""`make conformance`: how much of the five source documents is proved, by tests that pass in this very run.

One line a source document (`S4 12/299`). An item counts when every test marked with it passed and at least one
ran; where a test touches storage it must have passed on SQLite and, where a server is named, on PostgreSQL.
Skipped tests prove nothing. Endpoints, fields and errors count only when proved over HTTP.

    --missing      also list the open items
    --sabotage N   break N proved items and strike those whose tests do not notice
    --seed S       draw the same ones again
    --only-drawn   run nothing but the tests of the items drawn
    --only ITEMS   look at these alone: a document (`S4`), items (`S4-33,S2-10`)
"""

import argparse
import contextlib
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from tests import breaking, checklist, environment, proofs

_ROOT = Path(__file__).parents[1]
_QUIET = ("-q", "--no-header", "-p", "no:cacheprovider", "-m", "spec")
_PROCESSES = min(os.cpu_count() or 1, 4)
_PARALLEL = ("-n", str(_PROCESSES), "--dist", "worksteal")
_LINES = 10
"""How often progress is told where nobody watches a bar."""


def main(arguments: Sequence[str]) -> int:
    """Run, judge, print; 1 when a marked test failed or an item was struck."""
    asked = _parser().parse_args(arguments)
    if environment.postgres_server() is None:
        print(
            "PostgreSQL is not named (HELIOGRAPH_TEST_POSTGRES): items that touch storage are judged on SQLite"
        )
    looked_at = list(checklist.items()) if asked.only is None else sorted(asked.only, key=_in_order)
    only = ("--only", ",".join(looked_at)) if asked.only is not None else ()
    failed, outcomes = (False, {}) if asked.only_drawn else _run_all(only)
    held = proved(outcomes.values(), on_postgres=environment.postgres_server() is not None)
    struck: Mapping[str, Sequence[str]] = {}
    if asked.sabotage:
        seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
        seconds = {name: outcome["seconds"] for name, outcome in outcomes.items()}
        among = looked_at if asked.only_drawn else sorted(held.intersection(looked_at))
        struck = _run_sabotage(breaking.Draw(seed, asked.sabotage, among, seconds), only)
    if not asked.only_drawn:
        _print_standing(held - set(struck), looked_at)
        _print_open(held - set(struck), looked_at if asked.missing else ())
    return 1 if failed or struck else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make conformance")
    parser.add_argument("--missing", action="store_true", help="list the items that are not proved")
    parser.add_argument("--sabotage", type=int, metavar="N", default=0, help="break N items, see who notices")
    parser.add_argument("--seed", type=int, default=None, help="draw the same items again")
    parser.add_argument("--only-drawn", action="store_true", help="run only the tests of the items drawn")
    parser.add_argument(
        "--only", type=_items, metavar="ITEMS", help="look at these alone: S4, or S4-33,S2-10"
    )
    return parser


def _items(names: str) -> set[str]:
    try:
        return checklist.chosen(names.split(","))
    except ValueError as unknown:
        raise argparse.ArgumentTypeError(str(unknown)) from None


# ── proved ──────────────────────────────────────────────────────────────────────────────────────────


def _run_all(options: Sequence[str]) -> tuple[bool, dict[str, Any]]:
    """Run every marked test; whether any failed, and what each came to."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "proofs.json"
        failed, _ = shown("marked tests", _heard(1, *_PARALLEL, f"--proofs={file}", *options))
        if not file.exists():
            sys.exit("the tests could not be run")
        return failed, json.loads(file.read_text(encoding="utf-8"))


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


def _print_standing(held: set[str], looked_at: Sequence[str]) -> None:
    for source in checklist.SOURCES:
        items = [name for name in looked_at if checklist.items()[name].source == source]
        if items:
            print(f"{source} {len(held.intersection(items))}/{len(items)}")
    for name, reason in checklist.NOT_APPLICABLE.items():
        if name in looked_at:
            print(f"n/a {name}: {reason}")


def _print_open(held: set[str], looked_at: Sequence[str]) -> None:
    for name in looked_at:
        if name not in held and name not in checklist.NOT_APPLICABLE:
            print(f"open {name} {checklist.items()[name].text}")


# ── put to the test ─────────────────────────────────────────────────────────────────────────────────


def _run_sabotage(draw: breaking.Draw, options: Sequence[str]) -> Mapping[str, Sequence[str]]:
    """Break the items drawn; those whose tests did not notice, with what was not noticed."""
    with tempfile.TemporaryDirectory() as folder:
        draw.write(Path(folder))
        failed, told = shown("items broken", _heard(_PROCESSES, f"--sabotage={folder}", *options))
    if failed:
        sys.exit("the items drawn could not all be broken")
    found = {one["done"]: one["faults"] for one in told}
    struck = {name: faults for name, faults in found.items() if faults}
    print(f"sabotage: {len(found)} items broken, {len(struck)} not noticed (--seed {draw.seed})")
    for name in sorted(struck, key=_in_order):
        print(f"struck {name} {'; '.join(struck[name])}: {checklist.items()[name].text}")
    return struck


def _in_order(name: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", name))


# ── runs of pytest, and what they tell ──────────────────────────────────────────────────────────────


def _heard(processes: int, *options: str) -> Generator[dict[str, Any], None, bool]:
    """Run pytest on the marked tests, in as many processes; what they tell. Whether any failed, and why is printed."""
    listening, telling = os.pipe()
    command = [sys.executable, "-m", "pytest", "tests", *_QUIET, f"--telling={telling}", *options]
    with contextlib.ExitStack() as opened:
        lines = opened.enter_context(os.fdopen(listening, encoding="utf-8"))
        said = [opened.enter_context(tempfile.TemporaryFile()) for _ in range(processes)]
        running = [
            subprocess.Popen(command, cwd=_ROOT, stdout=file, stderr=subprocess.STDOUT, pass_fds=[telling])
            for file in said
        ]
        os.close(telling)
        yield from map(json.loads, lines)
        failed = [file for file, process in zip(said, running, strict=True) if process.wait() not in (0, 5)]
        for file in failed:
            file.seek(0)
            print(file.read().decode(errors="replace"))
    return bool(failed)


def shown(what: str, told: Generator[dict[str, Any], None, bool]) -> tuple[bool, list[dict[str, Any]]]:
    """Whether a run failed, and all that was done in it: with a bar on a terminal, a line now and then elsewhere."""
    console = Console(stderr=True, highlight=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    done: list[dict[str, Any]] = []
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task, total = progress.add_task(what, total=None), 0
        try:
            while True:
                one = next(told)
                total = one.get("total", total)
                if "done" in one:
                    done.append(one)
                if one.get("faults"):
                    console.print(f"not noticed: {one['done']} {'; '.join(one['faults'])}", soft_wrap=True)
                progress.update(task, completed=len(done), total=total)
                if not console.is_terminal and "done" in one and _is_told(len(done), total):
                    console.print(f"{what}: {len(done)}/{total}")
        except StopIteration as ended:
            if len(done) < total:
                print(f"{what}: no more than {len(done)} of {total} were run")
            return ended.value or len(done) < total, done


def _is_told(done: int, total: int) -> bool:
    return done * _LINES // total > (done - 1) * _LINES // total


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
