"""The demo's second part: the month to come, in a minute, on a clock of its own and through all four doors.

The server's clock runs the month in as many seconds as it is told. It begins once everything is ready, at a midnight of
that clock; what happens is posted when its time comes; journeys wait, a campaign and birthdays have their day. What is
shown is read from the ledger.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from heliograph import clock, errors
from heliograph.cli import applying, demo_stage, demo_traffic
from heliograph.core import ids, schedule
from heliograph.store import queues

DAYS = 30
_AHEAD_SECONDS = 0.5
"""At least so long before the month begins, its definitions are applied."""
CONTACTS, EVENTS = 2_000, 8_000
_SEED = 9
_LOOKS_A_SECOND = 20
_PREVIEW = "2099-01-12T09:00:00"
"""The day of the campaign as its file has it."""
_PREVIEW_DAY = 12

Seen = Callable[[int], None]


class Month(NamedTuple):
    """The month that is played."""

    begins: datetime
    now: Callable[[], int]
    """What time it is on the server's clock (µs)."""

    @property
    def begins_at(self) -> int:
        """Its first instant (µs)."""
        return int(self.begins.timestamp()) * 1_000_000

    @property
    def ends_at(self) -> int:
        """The instant after it (µs)."""
        return self.begins_at + DAYS * schedule.DAY


def speed(seconds: float) -> float:
    """How much faster than the wall a clock runs on which a month takes `seconds`."""
    return DAYS * 86_400 / seconds


def clock_for(seconds: float) -> str:
    """What `heliograph serve --clock` is told: it begins at the next midnight (UTC), that nothing has passed on any."""
    return f"{_midnight_after(clock.WallClock().now()).isoformat()},{speed(seconds)}"


def coming(stage: demo_stage.Stage, seconds: float) -> Month:
    """The month that begins at the next midnight of the server's clock: however long it took until here."""
    now = asyncio.run(_server_time(stage, speed(seconds)))
    return Month(_midnight_after(now() + int(_AHEAD_SECONDS * speed(seconds) * 1_000_000)), now)


def _midnight_after(now: int) -> datetime:
    return datetime.fromtimestamp((now // schedule.DAY + 1) * schedule.DAY // 1_000_000, UTC)


def apply(stage: demo_stage.Stage, month: Month) -> None:
    """Bring in the definitions of the month, the campaign on its day; orders are confirmed as in the first part."""
    root, target = demo_stage.find_shop() / "examples" / "shop", stage.folder / "month"
    target.mkdir()
    for file in sorted((root / "month_to_come").glob("*.yaml")):
        day = month.begins + timedelta(days=_PREVIEW_DAY - 1, hours=9)
        text = file.read_text(encoding="utf-8").replace(_PREVIEW, f"{day:%Y-%m-%dT%H:%M:%S}")
        (target / file.name).write_text(text, encoding="utf-8")
    for name in ("rule-order-confirmation", "template-order-confirmation"):
        text = (root / "definitions" / f"{name}.yaml").read_text(encoding="utf-8")
        (target / f"{name}.yaml").write_text(text, encoding="utf-8")
    # Where this machine is slow, the campaign's day may have come while its file is read: it starts late, then.
    applying.put(stage.store, target, "default", month.begins_at)


def everybody(contacts: int) -> list[dict[str, Any]]:
    """The customers of this month."""
    from examples.shop import generate

    return list(generate.contacts(_SEED, contacts))


def play(
    stage: demo_stage.Stage, month: Month, people: list[dict[str, Any]], events: int, seen: Seen
) -> None:
    """Let the month pass; `seen` is told of each hour."""
    from examples.shop import generate

    told = generate.events(_SEED, people, events, month.begins + timedelta(days=DAYS))
    asyncio.run(_play(stage, month, told, seen))


async def _play(stage: demo_stage.Stage, month: Month, told: Iterator[dict[str, Any]], seen: Seen) -> None:
    async with demo_traffic.connected(stage, 1) as client:
        waiting, hours, at = next(told, None), 0, 0
        while at < month.ends_at:
            at = month.now()
            stage.check()
            lines = []
            while waiting is not None and schedule.parse_instant(waiting["occurred_at"], "occurred_at") <= at:
                lines.append(msgspec.json.encode(waiting) + b"\n")
                waiting = next(told, None)
            if lines:
                await demo_traffic.post(client, b"".join(lines))
            passed = min(max(0, at - month.begins_at) // (schedule.DAY // 24), DAYS * 24)
            seen(passed - hours)
            hours = passed
            await asyncio.sleep(1 / _LOOKS_A_SECOND)


async def _server_time(stage: demo_stage.Stage, speed: float) -> Callable[[], int]:
    """What time it is on the server's clock: the id of an event says when it came in."""
    async with demo_traffic.connected(stage, 1) as client:
        answer = await client.post(demo_traffic.PATH, content=b'{"event_type": "custom.month_awaited"}')
    if answer.status_code != 202:
        raise errors.Unavailable(f"the server answered {answer.status_code}: {answer.text[:300]}")
    identity = ids.parse(answer.json()["ids"][0])
    assert identity is not None
    began, began_at = time.monotonic(), ids.created_at(identity)
    return lambda: began_at + int((time.monotonic() - began) * speed * 1_000_000)


def wait_until_quiet(stage: demo_stage.Stage) -> None:
    """Return once nothing is due any more: what waits for another month may wait."""
    while True:
        stage.check()
        with stage.store.reading() as connection:
            standing = queues.standing(connection)
        if not standing.events + standing.answers + standing.messages + standing.claimed:
            return
        time.sleep(1 / _LOOKS_A_SECOND)
