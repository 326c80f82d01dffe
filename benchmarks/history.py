"""How fast history is read back when very many runs are stored: every list, filter and order, a dashboard, an export.

Law: each question goes through the whole application (key, query, rows, JSON), all but the socket, and must be answered
with 200. Figures are the p95 of many, each with another rule, cursor, page, event or payload; the table has the p50
beside it. Nobody else is at work.
"""

from __future__ import annotations

import asyncio
import gc
import random
import resource
import shutil
import statistics
import time
from collections.abc import Iterator

import httpx2
import msgspec
from rich.table import Table

from benchmarks import history_questions, history_rows, observer, results, setting, sides, tables
from heliograph import app, clock, settings
from heliograph.engine import housekeeping
from heliograph.store import keys

BENCH = "history"
RUNS, FEW, MANY = 1_000_000, 100_000, 10_000_000
"""How many runs are stored: unless told otherwise, in a quick run, and with `--full`."""
ASKED, SELDOM = 40, 20
"""How often each question is asked: else, and in a quick run; of fewer the p95 would be the slowest."""
EXPORTED = 50_000
_A_RUN = 0.0005
"""Seconds that a stored run takes at most to be filled in, on a busy machine."""


class Order(msgspec.Struct, frozen=True):
    """What the side is to do."""

    side: sides.Order
    runs: int
    times: int


class Figure(msgspec.Struct, frozen=True):
    """How long answers to one question took (s)."""

    name: str
    p50: float
    p95: float


class Read(msgspec.Struct, frozen=True):
    """What it came to."""

    filling: float
    figures: list[Figure]
    #: How long the export of 50,000 runs took (s), and how much more memory the process held after it (MB).
    exporting: float
    export_memory: float


def run(asked: setting.Setting) -> Iterator[results.Row]:
    """Measure on every database."""
    count = FEW if asked.quick else MANY if asked.full else RUNS
    steps = asked.progress.add_task(BENCH, total=len(asked.databases))
    for kind in asked.databases:
        asked.progress.update(steps, description=f"{BENCH} on {kind}")
        try:
            _look_at_disk(asked, count)
            with setting.empty(asked, kind) as url:
                side = sides.Order(kind, url, "", asked.redis, count, 0, 1)
                read = sides.ask(
                    "benchmarks.history",
                    Order(side, count, SELDOM if asked.quick else ASKED),
                    Read,
                    time_out=sides.TIME_OUT + count * _A_RUN,
                )
            asked.progress.console.print(_table(kind, count, read))
            yield from _rows(kind, count, read)
        except sides.Failed as fault:
            asked.refuse(f"{BENCH} on {kind}: {fault}")
        asked.progress.advance(steps)


def _look_at_disk(asked: setting.Setting, count: int) -> None:
    free, needed = shutil.disk_usage(asked.folder).free, count * history_rows.BYTES_A_RUN
    if free < 2 * needed:
        raise sides.Failed(f"{count:,} runs take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free")


def _rows(kind: sides.Database, count: int, read: Read) -> Iterator[results.Row]:
    slowest = max(read.figures, key=lambda figure: figure.p95)
    for figure in read.figures:
        yield results.alone(f"{BENCH}: {figure.name}, p95", kind, figure.p95 * 1000, "ms")
    yield results.alone(
        f"{BENCH}: the slowest of {count:,}, {slowest.name}, p95", kind, slowest.p95 * 1000, "ms"
    )
    yield results.alone(f"{BENCH}: export of {EXPORTED:,} runs", kind, EXPORTED / read.exporting, "rows/s")
    yield results.alone(f"{BENCH}: memory, more after the export", kind, read.export_memory, "MB")


def _table(kind: sides.Database, count: int, read: Read) -> Table:
    title = f"{count:,} runs on {kind}, filled in {read.filling:.0f} s"
    drawn = Table(title=title, title_justify="left")
    drawn.add_column("question")
    for name in ("p50 ms", "p95 ms"):
        drawn.add_column(name, justify="right")
    for figure in read.figures:
        drawn.add_row(figure.name, f"{figure.p50 * 1000:.1f}", f"{figure.p95 * 1000:.1f}")
    return drawn


# ── in a process of its own ─────────────────────────────────────────────────────────────────────────


def work(order: Order) -> Read:
    """Fill the tables, and ask."""
    base, now = tables.opened(order.side), clock.WallClock().now()
    began = time.perf_counter()
    made = history_rows.make(base, order.runs, now)
    filling = time.perf_counter() - began
    broom = housekeeping.Housekeeping(base.session, lambda: now, lambda: 0, watches=False, places_in=base)
    asyncio.run(broom.fold())
    with base.writing() as connection:
        named = {
            "": keys.create(connection, tables.WORKSPACE, keys.Role.ADMIN, "benchmark", now)[1],
            "tenant": keys.create(
                connection, tables.WORKSPACE, keys.Role.ADMIN, "tenant", now, tenant_id=history_rows.TENANT
            )[1],
        }
    application = app.App(settings.load({}, database_url=base.url), ways={})
    # What filling left is no server's: the collector should not look through it while somebody waits.
    gc.collect()
    gc.freeze()
    with asyncio.Runner() as runner:
        reader = _Reader(application, named, runner)
        figures = [reader.figure(question, order.times) for question in history_questions.all_of(made)]
        before = _memory()
        exporting = reader.seconds(f"{history_questions.RUNS}/export", {"limit": EXPORTED}, "")
        read = Read(filling, figures, exporting, _memory() - before)
        reader.close()
    application.close()
    base.close()
    return read


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


class _Reader:
    """A program that asks."""

    def __init__(self, application: app.App, named: dict[str, str], runner: asyncio.Runner):
        transport = httpx2.ASGITransport(application.asgi())
        self._client = httpx2.AsyncClient(transport=transport, base_url="http://heliograph", timeout=300)
        self._keys, self._runner = named, runner

    def figure(self, question: history_questions.Question, times: int) -> Figure:
        """Ask, again and again; the first answers warm up what every server has warm."""
        draw = random.Random(question.name)
        spans = [
            self.seconds(question.path(draw), question.query(draw), question.key) for _ in range(times + 3)
        ][3:]
        return Figure(question.name, statistics.median(spans), observer.quantile(sorted(spans), 0.95))

    def seconds(self, path: str, query: history_questions.Query, key: str) -> float:
        """How long one answer took."""
        headers = {"Authorization": f"Bearer {self._keys[key]}"}
        began = time.perf_counter()
        answer = self._runner.run(self._client.get(path, params=query, headers=headers))
        taken = time.perf_counter() - began
        if answer.status_code != 200:
            raise sides.Failed(f"{path} {query}: {answer.status_code} {answer.text[:300]}")
        return taken

    def close(self) -> None:
        """Hang up."""
        self._runner.run(self._client.aclose())


if __name__ == "__main__":
    sides.answer(Order, work)
