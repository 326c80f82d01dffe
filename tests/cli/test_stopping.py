"""How a process that was told to end comes to its end, whatever it waits for."""

import asyncio
import os
import threading

import pytest

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
