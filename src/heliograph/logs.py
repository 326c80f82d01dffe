"""The log of a running process: one line an event on stderr, readable by people and by `grep`."""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from heliograph import clock
from heliograph.core import schedule

_LEVELS = {name: getattr(logging, name.upper()) for name in ("debug", "info", "warning", "error")}


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
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


def _stamped(_logger: Any, _method: str, event: Any) -> Any:
    return {"timestamp": schedule.write_instant(clock.WallClock().now()), **event}
