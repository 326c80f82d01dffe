"""The connection of a request to the outside, made only to an address that was looked at.

Law: the name is resolved here, once, every address is judged (core/destinations), and exactly a judged address
is connected to, so that a name that changes between a look and a connection gains nothing. TLS and Host keep
the name. Hosts that the operator allows are not judged.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias

import httpcore2

from heliograph.core import destinations

SETTING = "HELIOGRAPH_ALLOWED_HOSTS"

Resolver: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses, in digits, of a host and port; an OSError where there are none."""


class Forbidden(httpcore2.ConnectError):
    """Says to the door, through the connection pool, that the guard refused; goes no further."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses that the system's resolver gives."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(place[4][0]) for place in found))


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """Where the connection pool gets its connections."""

    def __init__(self, allowed_hosts: Iterable[str], resolver: Resolver):
        self._allowed = frozenset(host.lower() for host in allowed_hosts)
        self._resolve = resolver
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
        if destinations.is_odd_literal(host):
            raise Forbidden(f"{host} is an address in disguise: write it in the usual form")
        addresses = await self._addresses(host, port)
        if not self.is_allowed(host, port):
            for kind in filter(None, map(destinations.refusal, addresses)):
                raise Forbidden(
                    f"{host} leads to an address that is {kind}: to allow it, name it in {SETTING}"
                )
        return addresses

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        if _is_literal(host):
            return [host]
        try:
            return await self._resolve(host, port)
        except (OSError, UnicodeError) as fault:
            raise httpcore2.ConnectError(f"{host} cannot be resolved: {fault}") from None

    def is_allowed(self, host: str, port: int) -> bool:
        """Whether the operator allows it, whatever it leads to."""
        return destinations.is_allowed(host, port, self._allowed)


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
