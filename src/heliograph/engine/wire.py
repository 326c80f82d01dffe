"""Wire: what passes on the socket between a delivery in another process and whoever has it.

Law: what arrives is what was said, in its order. Named tuples are written as lists, so only reading has to know what
they were. What may be said stands in `Word`.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, cast

import msgspec

from heliograph.core import reports
from heliograph.engine import claiming
from heliograph.store import request_rows, rows


class Word(IntEnum):
    """What is said on the socket."""

    # to the outpost
    ORDER = 1
    GIVEN = 2
    WOKEN = 3
    TAKEN = 4
    GRANTED = 5
    REFUSED = 6
    STOP = 7
    # from it
    TAKE = 10
    GRANT = 11
    TOLD = 12


Hear = Callable[[int, Any], None]
_SIZE = struct.Struct("!IB")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Line(asyncio.Protocol):
    """One end of the socket: words with what they say, in their order."""

    def __init__(self, hear: Hear):
        self._hear = hear
        self._rest = bytearray()
        self._transport: asyncio.Transport | None = None
        self.ended = asyncio.Event()
        """Whether the other side is gone."""

    def say(self, word: Word, said: Any) -> None:
        """Say this; to nobody where the other side is gone."""
        if self._transport is None or self._transport.is_closing():
            return
        body = _encode(said)
        self._transport.write(_SIZE.pack(len(body), word) + body)

    def close(self) -> None:
        """Hang up, once everything was said."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is open."""
        # uvloop's are none of the library's classes.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Hear every word that came whole."""
        self._rest += data
        begin = 0
        while len(self._rest) - begin >= _SIZE.size:
            length, word = _SIZE.unpack_from(self._rest, begin)
            end = begin + _SIZE.size + length
            if len(self._rest) < end:
                break
            self._hear(word, _decode(memoryview(self._rest)[begin + _SIZE.size : end]))
            begin = end
        del self._rest[:begin]

    def connection_lost(self, exc: Exception | None) -> None:
        """The other side is gone."""
        self._transport = None
        self.ended.set()


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────

Said = Sequence[Any]


def claimed(said: Said) -> rows.Claimed:
    """A message that was claimed."""
    message, due_at, lease_until, event, is_suppressed = said
    spoken_of = None if event is None else rows.Event._make(event)
    return rows.Claimed(rows.Message._make(message), due_at, lease_until, spoken_of, is_suppressed)


def settled(said: Said) -> rows.Settled:
    """What is to be stored of a message."""
    workspace_id, message_id, claimed_at, state, settled_at, attempts, error, *more = said
    retry, reply, failed, moved, bounce, reference, lost = more
    return rows.Settled(
        workspace_id,
        message_id,
        claimed_at,
        state,
        settled_at,
        attempts,
        error,
        None if retry is None else rows.Timer._make(retry),
        None if reply is None else rows.Inbox._make(reply),
        None if failed is None else claimed(failed),
        None if moved is None else request_rows.Moved._make(moved),
        None if bounce is None else msgspec.convert(bounce, reports.Word),
        reference,
        None if lost is None else claimed(lost),
    )


def taken(said: Said) -> claiming.Taken:
    """What was claimed from the line."""
    expired, begun, stopped, is_cut, versions = said
    return claiming.Taken(
        [claimed(one) for one in expired],
        [claimed(one) for one in begun],
        [(claimed(one), why) for one, why in stopped],
        is_cut,
        versions,
    )
