"""How a process that was told to end comes to its end, whatever it waits for."""

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest
import uvloop

from heliograph.cli import stopping


@pytest.mark.parametrize("is_late", [False, True])
def test_what_waits_for_something_silent_ends(monkeypatch: pytest.MonkeyPatch, *, is_late: bool) -> None:
    """A thread that waits for what never answers keeps no process from its end, while its loop is there or after."""
    ended, codes = threading.Event(), []

    def exit_with(code: int) -> None:
        codes.append(code)
        ended.set()

    async def work(stop: asyncio.Event) -> None:
        stop.set()
        if is_late:
            asyncio.get_running_loop().run_in_executor(None, ended.wait)
        else:
            await asyncio.to_thread(ended.wait)

    monkeypatch.setattr(os, "_exit", exit_with)
    monkeypatch.setattr(stopping, "_AT_LEAST", 0.0)
    monkeypatch.setattr(stopping, "_MARGIN", 0.0)
    with stopping.bounded(0.0) as bound:
        stopping.run(work, follow=False, bound=bound)
    assert codes == [1]


def test_what_comes_to_its_end_is_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever ends in time is let alone, and nothing of it is left behind."""
    monkeypatch.setattr(os, "_exit", lambda code: pytest.fail(f"ended with {code}"))

    async def work(stop: asyncio.Event) -> None:
        stop.set()

    with stopping.bounded(3_600.0) as bound:
        stopping.run(work, follow=False, bound=bound)
    bound.join()
    assert not bound.is_alive()


@pytest.fixture
def signals() -> Iterator[None]:
    """What this process hears, which is afterwards as it was."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("moment", ["before its loop", "in its loop", "as its loop takes over"])
def test_a_signal_at_the_start_is_heard_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], moment: str
) -> None:
    """Whenever the first signal comes, it is the first one: the process comes to its end, and is not cut short."""
    codes: list[int] = []

    def loop_that_is_told() -> asyncio.AbstractEventLoop:
        loop = new_event_loop()
        loop.call_soon(signal.raise_signal, signal.SIGTERM)
        return loop

    def heard_when_told() -> list[signal.Signals]:
        signal.raise_signal(signal.SIGTERM)
        return heard()

    async def work(stop: asyncio.Event) -> None:
        await stop.wait()

    new_event_loop, heard = uvloop.new_event_loop, stopping._heard
    monkeypatch.setattr(os, "_exit", codes.append)
    early = stopping.Early()
    if moment == "before its loop":
        signal.raise_signal(signal.SIGTERM)
    elif moment == "in its loop":
        monkeypatch.setattr(uvloop, "new_event_loop", loop_that_is_told)
    else:
        monkeypatch.setattr(stopping, "_heard", heard_when_told)
    with stopping.bounded(3_600.0) as bound:
        stopping.run(work, follow=False, bound=bound, early=early)
    assert (codes, capsys.readouterr().out.count("stopping: ")) == ([], 1)
