"""A channel for deliveries in other processes: what it takes it notes in a file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from heliograph import channels


class NotingChannel:
    """Notes the id of each message in a file before it answers."""

    name = "email"
    concurrency = 4

    def __init__(self, notes: Path):
        self._notes = notes

    async def send(self, outgoing: channels.Outgoing) -> channels.Answer:
        """Take it."""
        with self._notes.open("a") as notes:
            notes.write(f"{outgoing.message_id}\n")
        await asyncio.sleep(0)
        return channels.Answer(channels.Outcome.ACCEPTED, "notes", outgoing.message_id, "250")

    async def close(self) -> None:
        """Nothing is open."""


def ways(notes: Path) -> dict[str, channels.Channel]:
    """What goes out by e-mail is noted."""
    return {"email": NotingChannel(notes)}
