"""The connection of a request to the outside, made only to an address that the guard has judged.

Law: TLS and Host keep the name, the connection goes to the address.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import httpcore2

from heliograph import guard


class Forbidden(httpcore2.ConnectError):
    """Says to the door, through the connection pool, that the guard refused; goes no further."""


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """Where the connection pool gets its connections."""

    def __init__(self, guarded: guard.Guard):
        self._guard = guarded
        self._plain = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the pool's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Tries the addresses of a host one after the other; raises Forbidden before any where one is."""
        addresses = await self._judged(host, port)
        for left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
            patience = timeout and timeout / (left + 1)
            try:
                return await self._plain.connect_tcp(address, port, patience, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                if not left:
                    raise
        raise httpcore2.ConnectError(f"{host} has no address")

    async def _judged(self, host: str, port: int) -> Sequence[str]:
        try:
            return await self._guard.addresses(host, port)
        except guard.Forbidden as refused:
            raise Forbidden(str(refused)) from None
        except OSError as fault:
            raise httpcore2.ConnectError(str(fault)) from None
