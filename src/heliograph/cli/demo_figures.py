"""What the demo shows at its end: figures, with how they were come by."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from rich.table import Table

from heliograph.cli import demo_stage, demo_traffic, explaining, options, terminal
from heliograph.core import effects, ids, messages
from heliograph.store import deliveries, history

_EXPLAINED = "cart-reminder"
"""A template whose rule has something to explain."""


class Latency(NamedTuple):
    """From an event's acceptance to its message's hand-over, in milliseconds."""

    p50: float
    p99: float
    messages: int


class Figures(NamedTuple):
    """Everything that was measured and counted."""

    events: int
    events_per_second: float
    seconds: float
    accepted_per_second: float
    burst: Latency
    paced: Latency
    tally: deliveries.Tally
    received: dict[str, Any]

    @property
    def messages_accepted(self) -> int:
        """Messages to people that the mail server took, by the ledger."""
        return self.tally.accepted(effects.Kind.MESSAGE)

    @property
    def messages_received(self) -> int:
        """Messages that the mail server counted."""
        return int(self.received["smtp"]["messages"])

    @property
    def agree(self) -> bool:
        """Whether ledger and mail server say the same."""
        distinct = int(self.received["smtp"]["distinct"])
        return self.messages_accepted == self.messages_received == distinct


class Burst(NamedTuple):
    """The first part, once all of it was delivered."""

    events: int
    span: demo_traffic.Span
    ended_at: int
    latency: Latency


def after_burst(stage: demo_stage.Stage, span: demo_traffic.Span) -> Burst:
    """What the month in bulk came to."""
    with stage.store.reading() as connection:
        counted = deliveries.tally(connection, stage.workspace_id)
        ended_at = deliveries.last_settled_at(connection, stage.workspace_id) or span.began_at
        delays = deliveries.delays(connection, stage.workspace_id, span.began_at)
    return Burst(counted.events, span, ended_at, latency(delays))


def at_the_end(stage: demo_stage.Stage, burst: Burst, paced: demo_traffic.Span) -> Figures:
    """Everything."""
    with stage.store.reading() as connection:
        tally = deliveries.tally(connection, stage.workspace_id)
        delays = deliveries.delays(connection, stage.workspace_id, paced.began_at)
    seconds = (burst.ended_at - burst.span.began_at) / 1_000_000
    return Figures(
        burst.events,
        burst.events / seconds,
        seconds,
        burst.events / burst.span.seconds,
        burst.latency,
        latency(delays),
        tally,
        stage.sinks.ask("/counts"),
    )


def latency(delays: Sequence[int]) -> Latency:
    """The median and the 99th percentile of delays (µs)."""
    ordered = sorted(delays) or [0]
    p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * part))] / 1000 for part in (0.5, 0.99))
    return Latency(p50, p99, len(delays))


# ── showing ─────────────────────────────────────────────────────────────────────────────────────────


def show(figures: Figures) -> None:
    """Two tables for people."""
    console = terminal.console()
    console.print(_counts(figures))
    console.print(_speeds(figures))


def _table(title: str) -> Table:
    table = Table(title=f"\n{title}", title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column(justify="right", no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    return table


def _counts(figures: Figures) -> Table:
    table = _table("What it came to")
    tally, mail, calls = figures.tally, figures.received["smtp"], figures.received["http"]
    states = {
        state: tally.states.get((effects.Kind.MESSAGE, state), 0)
        for state in (messages.State.UNROUTABLE, messages.State.FAILED, messages.State.UNCERTAIN)
    }
    for count, what in (
        (
            tally.events,
            f"events accepted over HTTP, {figures.events:,} of them in bulk, each on disk before it was answered",
        ),
        (tally.emitted, "events that rules let come in"),
        (tally.runs, "runs: a rule that was considered for an event, with what it saw"),
        (figures.messages_accepted, "e-mails accepted by the mail server, says the ledger"),
        (mail["messages"], f"e-mails received, says the mail server ({mail['repeats']:,} of them repeats)"),
        (states[messages.State.UNROUTABLE], "e-mails to people without an address: that is meant"),
        (states[messages.State.FAILED] + states[messages.State.UNCERTAIN], "e-mails failed or uncertain"),
        (tally.accepted(effects.Kind.CALL), "webhooks accepted, says the ledger"),
        (calls["calls"], f"webhooks received ({calls['repeats']:,} of them repeats)"),
    ):
        table.add_row(f"{count:,}", what)
    return table


def _speeds(figures: Figures) -> Table:
    table = _table("How fast, by the wall clock")
    burst, paced = figures.burst, figures.paced
    table.add_row(
        f"{figures.events_per_second:,.0f}/s",
        f"events end to end: {figures.seconds:.1f} s from the first request to the last answer of the outside",
    )
    table.add_row(
        f"{figures.accepted_per_second:,.0f}/s",
        f"events accepted, {demo_traffic.EVENTS_A_REQUEST:,} to a request on {demo_traffic.CONNECTIONS} connections",
    )
    table.add_row(
        f"{paced.p50:.1f} / {paced.p99:.1f} ms",
        f"p50 / p99 from event accepted to message handed over, at {demo_traffic.PACE} events/s"
        f" ({paced.messages:,} messages)",
    )
    table.add_row(
        f"{burst.p50:,.0f} / {burst.p99:,.0f} ms",
        f"the same within the burst, where events wait in line ({burst.messages:,} messages)",
    )
    return table


def show_story(stage: demo_stage.Stage) -> None:
    """One message from its event to its delivery."""
    now = options.moment(stage.store)
    with stage.store.reading() as connection:
        event_id = deliveries.an_event_answered(connection, stage.workspace_id, _EXPLAINED)
        if event_id is None:
            return
        found = history.explain_event(connection, stage.workspace_id, None, event_id, now)
    assert found is not None
    terminal.say(f"\nOne message explained, as `heliograph explain {ids.text(event_id)}` tells it:\n")
    terminal.console().print(explaining.tree(found))


def write(figures: Figures, file: Path) -> None:
    """The figures for programs."""
    written = {
        "events": figures.events,
        "events_per_second": round(figures.events_per_second, 1),
        "latency_ms": {"p50": round(figures.paced.p50, 2), "p99": round(figures.paced.p99, 2)},
        "runs": figures.tally.runs,
        "messages_accepted": figures.messages_accepted,
        "messages_received": figures.messages_received,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(written)) + b"\n")
