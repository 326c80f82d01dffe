"""The log of a running process: one line an event on stderr, readable by people and by `grep`."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, TextIO, cast

import structlog

from heliograph import clock
from heliograph.core import schedule

_LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}


class _Stderr:
    """Where lines go. Where nobody takes them any more (a full disk, a reader that has gone), they are lost.

    A line that cannot be written is no reason to leave undone what it tells of.
    """

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()


_STDERR = cast("TextIO", _Stderr())


def configure(level: str) -> None:
    """Log what is at least of this level (`debug`, `info`, `warning`, `error`)."""
    is_terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _stamped,
            structlog.dev.ConsoleRenderer(
                colors=is_terminal, exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        # A line and its end at once: workers share the stream, and what it is told may be told unbuffered.
        logger_factory=lambda *_: structlog.WriteLogger(_STDERR),
    )


def _stamped(_logger: Any, _method: str, event: Any) -> Any:
    return {"timestamp": schedule.write_instant(clock.WallClock().now()), **event}
