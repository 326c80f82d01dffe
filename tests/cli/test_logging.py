"""The log of a process: one line an event, and in nobody's way."""

import io
import sys
from collections.abc import Iterator

import pytest
import structlog

from heliograph import logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    yield
    structlog.reset_defaults()


class Full(io.StringIO):
    """A file on a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


def test_an_event_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    """What is at least of the level is told in one line, with its instant."""
    logs.configure("warning")
    log = structlog.get_logger("test")
    log.info("small")
    log.warning("large", size=7)
    (line,) = capsys.readouterr().err.splitlines()
    assert "large" in line
    assert "size=7" in line


def test_a_line_is_written_with_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers write to one stream, which may be unbuffered: between a line and its end no other one gets in."""
    written: list[str] = []
    stream = io.StringIO()
    monkeypatch.setattr(stream, "write", written.append)
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure("info")
    structlog.get_logger("test").warning("turn_failed")
    (line,) = written
    assert line.endswith("\n")


def test_a_line_that_cannot_be_written_is_lost_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk under the log, or a reader of it that has gone, ends nothing that only wanted to tell."""
    logs.configure("info")
    log = structlog.get_logger("test")
    closed = io.StringIO()
    closed.close()
    for stream in (Full(), closed):
        monkeypatch.setattr(sys, "stderr", stream)
        log.warning("mail_server_rests")
