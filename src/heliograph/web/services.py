"""What the composition root hands to the web.

Law: the web reads neither clock nor environment and makes none of these; it is given them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, Protocol

from heliograph.core import expressions
from heliograph.engine import backtests, ingest, rendering
from heliograph.store import database


class Settings(Protocol):
    """The settings that the web looks at."""

    @property
    def default_region(self) -> str:
        """Where telephone numbers without a country code are read."""

    @property
    def allowed_hosts(self) -> tuple[str, ...]:
        """The hosts that may be reached though they are private, or over plain http."""

    @property
    def campaign_lock_seconds(self) -> float:
        """How long before its time a campaign can be changed no more."""

    @property
    def public_url(self) -> str:
        """Where people, and providers, reach this server; empty where that was not said."""

    @property
    def default_subject(self) -> str:
        """The subject of a message whose rule names none."""


class Services(NamedTuple):
    """Everything that answers need."""

    settings: Settings
    database: database.Database
    now: Callable[[], int]
    """The present instant (µs)."""
    ingest: ingest.Ingest
    wake: Callable[[], None]
    """Tells the turns that something was committed which they have to see; callable from any thread."""
    engine_state: Callable[[], Mapping[str, Any]]
    """What this process has done so far, for /metrics and /healthz."""
    backtests: backtests.Backtests
    evaluator: expressions.Evaluator
    """Reads and runs the JavaScript of journeys."""
    link_secret: Callable[[], bytes]
    """What links that carry their own proof are signed with."""
    renders: rendering.Rendering
    """Renders messages and previews."""
    fetch: Callable[[str], Awaitable[bytes]]
    """Reads what is at an address on the public internet. Raises errors.Unavailable."""
    stopwatch: Callable[[], float] = time.perf_counter
    """Seconds that only ever grow: they measure requests and age the cache of keys, and are never stored."""
    called: Callable[[], None] = lambda: None
    """Is told of each request, before it is answered."""
    span: Callable[[float], int] = lambda seconds: int(seconds * 1_000_000)
    """How much of the time of `now` (µs) passes in so many seconds of the wall."""
    rest: Callable[[float], Awaitable[object]] = asyncio.sleep
    """Waits so many seconds of the wall."""
