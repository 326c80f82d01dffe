"""A mail server that takes everything at once and tells when it came: where our messages end in the benchmarks.

Law: a message is noted before it is answered. It speaks what a sender of ours says (EHLO, MAIL, RCPT, DATA, RSET,
QUIT, pipelined), and looks in a message for nothing but the number of its order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

Received = Callable[[int], None]
"""Told of each message: the number of the order that it speaks of."""

_END = b"\r\n.\r\n"
_ORDER, _DIGITS = b"order-", 9
_GREETING = b"220 mailbox ESMTP\r\n"
_REPLIES = {
    b"EHLO": b"250-mailbox\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
    b"DATA": b"354 go on\r\n",
    b"QUIT": b"221 bye\r\n",
}


async def opened(received: Received) -> asyncio.Server:
    """A mailbox on a free port of this machine."""
    return await asyncio.get_running_loop().create_server(lambda: _Session(received), "127.0.0.1", 0)


def port_of(server: asyncio.Server) -> int:
    """Where it listens."""
    return int(server.sockets[0].getsockname()[1])


class _Session(asyncio.Protocol):
    """One sender's connection."""

    def __init__(self, received: Received) -> None:
        self._received = received
        self._rest = b""
        self._in_message = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(_GREETING)

    def data_received(self, data: bytes) -> None:
        """Answer all that came whole, in one write."""
        self._rest += data
        replies: list[bytes] = []
        while (reply := self._message() if self._in_message else self._command()) is not None:
            replies.append(reply)
        if replies:
            self._transport.write(b"".join(replies))
        if replies[-1:] == [_REPLIES[b"QUIT"]]:
            self._transport.close()

    def _command(self) -> bytes | None:
        line, found, rest = self._rest.partition(b"\r\n")
        if not found:
            return None
        self._rest = rest
        verb = line[:4].upper()
        self._in_message = verb == b"DATA"
        return _REPLIES.get(verb, b"250 ok\r\n")

    def _message(self) -> bytes | None:
        content, found, rest = self._rest.partition(_END)
        if not found:
            return None
        self._rest, self._in_message = rest, False
        place = content.find(_ORDER) + len(_ORDER)
        self._received(int(content[place : place + _DIGITS]))
        return b"250 taken\r\n"
