"""What the demo's second part shows: what came through each door, and what one customer received, day by day."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import groupby

from rich.table import Table

from heliograph.cli import demo_stage, terminal
from heliograph.store import doors, people

_NAMES = {
    "rule": "rules, for events",
    "journey": "journeys, which wait",
    "campaign": "the campaign, to one segment without another",
    "date": "birthdays, by the calendar",
}


def show(stage: demo_stage.Stage) -> None:
    """Two tables for people."""
    with stage.store.reading() as connection:
        passed = doors.passed(connection, stage.workspace_id)
        somebody = doors.much_written_to(connection, stage.workspace_id)
    terminal.console().print(_doors(passed))
    if somebody is not None:
        _show_days(stage, somebody)


def _show_days(stage: demo_stage.Stage, contact_id: str) -> None:
    with stage.store.reading() as connection:
        received = doors.received(connection, stage.workspace_id, contact_id)
        contact = people.read_contact(connection, stage.workspace_id, None, contact_id)
    name = contact_id if contact is None else contact.profile.get("given_name", contact_id)
    terminal.console().print(_days(f"{name} ({contact_id})", received))


def _doors(passed: list[doors.Door]) -> Table:
    table = Table(title="\nWhat came through each door", title_justify="left", title_style="bold", box=None)
    for heading in ("runs", "messages", "accepted"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for door in passed:
        table.add_row(
            f"{door.runs:,}", f"{door.messages:,}", f"{door.accepted:,}", _NAMES.get(door.kind, door.kind)
        )
    return table


def _days(name: str, received: list[doors.Received]) -> Table:
    table = Table(
        title=f"\nWhat {name} received, day by day",
        title_justify="left",
        title_style="bold",
        show_header=False,
        box=None,
    )
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for day, messages in groupby(
        received, lambda one: datetime.fromtimestamp(one.at // 1_000_000, UTC).date()
    ):
        table.add_row(f"{day:%a %d %b}", ", ".join(f"{one.name} ({one.kind})" for one in messages))
    return table
