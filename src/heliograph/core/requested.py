"""Requested: what a run hears of the request to send that its step asked for.

Law: it is said once, in the transaction that takes the request up; how each message ends is said by the message.
"""

from __future__ import annotations

import msgspec

from heliograph.core import plans


class Made(msgspec.Struct, frozen=True, array_like=True):
    """What a request has become."""

    visit: int
    messages: tuple[tuple[str | None, str | None, str], ...]
    """(contact_id, address, id) of each."""
    walks: tuple[str, ...] = ()
    """The fan-outs over its groups."""

    @property
    def answers(self) -> int:
        """How many answers follow."""
        return len(self.messages) + len(self.walks)

    @property
    def output(self) -> dict[str, object]:
        """What the step's record says of it."""
        return {plans.MADE: self.messages, **({plans.WALKS: self.walks} if self.walks else {})}


write = msgspec.json.Encoder().encode
read = msgspec.json.Decoder(Made).decode
