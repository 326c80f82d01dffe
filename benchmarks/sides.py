"""How the frame asks a side to do the job: an order in, an outcome out, a process between them.

Law: a side is a module with `if __name__ == "__main__": sides.main(work)`. It makes its tables, warms up, does the
job `repetitions` times, times only that, checks its own rows after each time and answers. It reads its order from
standard input and answers on standard output; all that it prints meanwhile goes to standard error.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

Database = Literal["sqlite", "postgresql"]

ROOT = Path(__file__).resolve().parent.parent
PEERS_PYTHON = str(ROOT / ".venv" / "peers" / "bin" / "python")
"""The interpreter of the peers' own environment, which `make bench` sets up."""

TIME_OUT = 900.0


class Order(msgspec.Struct, frozen=True):
    """What a side is to do."""

    database: Database
    #: A SQLite file that does not exist yet, or the URL of an empty PostgreSQL database.
    url: str
    #: host:port of the sink.
    sink: str
    #: The broker of whoever needs one; empty: they start their own.
    redis: str
    #: Jobs in each repetition, and in the warm-up before the first.
    jobs: int
    warm_up: int
    repetitions: int
    seed: int = 1


class Outcome(msgspec.Struct, frozen=True):
    """What a side did."""

    #: How long each repetition took, from the first event handed in to the last message marked.
    seconds: list[float]
    #: All the jobs, those of the warm-up too: what the sink must have seen.
    jobs: int
    versions: dict[str, str]
    #: How it was tuned, a phrase each.
    settings: list[str]


class Failed(Exception):
    """A side did not finish, or its rows were wrong."""


_T = TypeVar("_T")


def run(module: str, order: Order, python: str = sys.executable) -> Outcome:
    """Let a side work in a process of its own. Raises Failed with what it said last."""
    return ask(module, order, Outcome, python)


def ask(
    module: str,
    order: msgspec.Struct,
    answer_type: type[_T],
    python: str = sys.executable,
    *,
    time_out: float = TIME_OUT,
) -> _T:
    """Let a module work in a process of its own, for so many seconds. Raises Failed with what it said last."""
    if not Path(python).exists():
        raise Failed(f"there is no {python}: `make bench` sets it up")
    started = subprocess.Popen(
        [python, "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        start_new_session=True,
    )
    try:
        answer, said = started.communicate(msgspec.json.encode(order), timeout=time_out)
    except BaseException:
        # Its own session: what it started ends with it.
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        raise
    if started.returncode:
        raise Failed(f"{module}: " + "\n".join(said.decode(errors="replace").splitlines()[-12:]))
    return msgspec.json.decode(answer, type=answer_type)


@contextmanager
def beside(serve: Callable[[Connection], None]) -> Iterator[Connection]:
    """A process of its own that serves the other end of this pipe, gone afterwards."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join()


def main(work: Callable[[Order], Outcome]) -> None:
    """Be a side: read the order, work, answer."""
    answer(Order, work)


_Asked = TypeVar("_Asked")


def answer(order_type: type[_Asked], work: Callable[[_Asked], msgspec.Struct]) -> None:
    """Be a module that is asked: read the order, work, answer."""
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        outcome = work(msgspec.json.decode(sys.stdin.buffer.read(), type=order_type))
    except Failed as fault:
        sys.exit(str(fault))
    with os.fdopen(stdout, "wb") as pipe:
        pipe.write(msgspec.json.encode(outcome))
